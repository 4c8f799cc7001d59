"""The server on an inherited socket, in a process of its own."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from fastapi import FastAPI
    from groundglass.ui.server import serve
    app = FastAPI()
    app.get("/")(lambda: "hello")
    paths = [Path(p) for p in sys.argv[2:]] or [None, None]
    serve(app, fd=int(sys.argv[1]), on_ready=lambda: print("ready", flush=True), certificate=paths[0], key=paths[1])
    """
)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def start(listener: socket.socket, *files: Path, program: str = PROGRAM) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(listener.fileno()), *map(str, files)],
        pass_fds=[listener.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_tells_when_ready_and_ends_cleanly(number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(listener)
        answer = httpx.get(f"http://127.0.0.1:{listener.getsockname()[1]}/?secret=1", trust_env=False)
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    assert answer.json() == "hello"
    assert "server" not in answer.headers
    assert process.returncode == 0
    assert "secret" not in log


@pytest.mark.parametrize(
    ("start_line", "more"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 65536),
        (b"GET / HTTP/1.1\r\n", b"x: 1\r\n" * 10_000),
        (b"GET /", b"a" * 65536),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: 1\r\n" * 10_000),
    ],
    ids=["header", "headers", "address", "trailers"],
)
def test_a_head_without_end_is_cut(start_line: bytes, more: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(listener)
        with (
            socket.create_connection(listener.getsockname(), timeout=20) as client,
            pytest.raises((ConnectionResetError, BrokenPipeError)),
        ):
            client.sendall(start_line + more * 1000)
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"])
def test_a_request_that_does_not_come_is_cut(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(listener, program=PROGRAM.replace("import sys", "import sys, groundglass.ui.server as door", 1)
                        .replace("app = FastAPI()", "door._CLOCK_SECONDS = 0.3; app = FastAPI()"))  # fmt: skip
        with socket.create_connection(listener.getsockname(), timeout=20) as client:
            client.sendall(sent)
            while client.recv(4096):
                pass
        process.terminate()
        process.communicate(timeout=30)


def test_tls_1_2_with_forward_secrecy_or_better_and_no_clear_text(certificate: tuple[Path, Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(listener, *certificate)
        address = listener.getsockname()
        try:
            context = ssl.create_default_context(cafile=str(certificate[0]))
            assert handshake(address, context) == "TLSv1.3"
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            assert handshake(address, context) == "TLSv1.2"
            context.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                handshake(address, context)
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{address[1]}/", trust_env=False)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def handshake(address: tuple[str, int], context: ssl.SSLContext) -> str | None:
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
        return secure.version()
