"""The gateway's way to the registry's inbox: a package under its hash, and the signed receipt for it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from groundglass.errors import GroundglassError, NoRoomError, UnavailableError

_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60.0
_LONGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Inbox:
    """A registry as one gateway sees it. Every method raises UnavailableError when the registry does not answer."""

    url: str
    token: str

    def has(self, sha256: str) -> bool:
        """Whether the registry holds or has decided this package."""
        status, _ = self._call("HEAD", f"/packages/{sha256}")
        return status == 200

    def put(self, sha256: str, path: Path, *, collection: str, centre: str, profile: str) -> None:
        """Send a package, the kernel moving the bytes where the connection is in clear."""
        headers = {
            "Groundglass-Collection": collection,
            "Groundglass-Centre": centre,
            "Groundglass-Profile": profile,
            "Content-Type": "application/zip",
            "Content-Length": str(path.stat().st_size),
        }
        status, answer = self._call("PUT", f"/packages/{sha256}", headers=headers, body=path)
        if status == 507:
            raise NoRoomError("the registry has no room")
        if status not in (200, 201, 202):
            raise InboxRefusedError(status, answer)

    def receipt(self, sha256: str, *, wait_seconds: int = 20) -> dict[str, Any] | None:
        """Return the signed receipt of a package, None while it is not decided. Raises ValueError for what is none."""
        status, answer = self._call("GET", f"/packages/{sha256}/receipt?wait={wait_seconds}")
        if status == 200:
            try:
                signed: dict[str, Any] = json.loads(answer)
            except RecursionError:
                raise ValueError("no receipt is nested like that") from None
            return signed
        if status in (202, 204):
            return None
        raise InboxRefusedError(status, answer)

    def put_ledger(self, ledger: dict[str, Any]) -> None:
        """Tell the registry what this gateway counts."""
        body = json.dumps(ledger).encode()
        status, answer = self._call("PUT", "/ledger", headers={"Content-Type": "application/json"}, body=body)
        if status not in (200, 204):
            raise InboxRefusedError(status, answer)

    def _call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | Path | None = None
    ) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.putrequest(method, urlsplit(self.url).path.rstrip("/") + "/api/v1/inbox" + path)
            given = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **(headers or {})}
            if isinstance(body, bytes):
                given["Content-Length"] = str(len(body))
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body if isinstance(body, bytes) else None)
            if isinstance(body, Path):
                _send_file(connection, body)
            answer = connection.getresponse()
            return answer.status, answer.read(_LONGEST_ANSWER)  # no answer of a registry is longer
        except (OSError, http.client.HTTPException):
            raise UnavailableError("the registry does not answer") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.url)
        if where.scheme == "https":
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            return http.client.HTTPSConnection(
                where.hostname or "", where.port, timeout=_TIMEOUT_SECONDS, context=context, blocksize=_BLOCK
            )
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=_TIMEOUT_SECONDS, blocksize=_BLOCK)


class InboxRefusedError(GroundglassError):
    """The registry answered, and did not take what was sent."""

    slug = "inbox-refused"

    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(f"the registry refused with status {status} ({_slug(answer)})")
        self.status = status


def _send_file(connection: http.client.HTTPConnection, path: Path) -> None:
    assert isinstance(connection.sock, socket.socket)
    with path.open("rb") as file:
        try:
            connection.sock.sendfile(file)
        except (BrokenPipeError, ConnectionResetError):
            return  # the registry may have answered before the end; its answer says why


def _slug(answer: bytes) -> str:
    """Name the problem by its stable slug only: a foreign text is not repeated."""
    try:
        return str(json.loads(answer)["type"]).rsplit("/", 1)[-1][:40]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "no-problem-document"
