"""WADO-RS: a series of 400 slices from one web process, against nginx serving a file of the same size.

`python -m bench.wado [--slices 400] [--rounds 7]`: MB/s to a client that drops what it reads, warm page cache, the
median of the rounds; then single frames and metadata by a kept connection.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench import registry_door
from bench.cstore import free_port
from groundglass.core.objects import open_objects
from groundglass.demo import headers, sender
from groundglass.registry import layout
from groundglass.series import package
from groundglass.series.headers import headers_gz
from groundglass.series.manifest import Manifest
from groundglass.series.package import Member

NGINX = Path("/usr/sbin/nginx")
PIXEL_BYTES = 512 * 512 * 2
_STUDY = """
INSERT INTO study (study_instance_uid, collection, centre, patient_id, modalities, series_count, instance_count, bytes)
VALUES (%s, 'fidac', 'BENCH', 'BENCH', '{CT}', 1, %s, %s) RETURNING id
"""
_SERIES = """
INSERT INTO series (series_instance_uid, study_id, modality, series_number, instances, bytes, version, package_sha256)
VALUES (%s, %s, 'CT', 2, %s, %s, 1, %s)
"""
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit; {user}
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def fill(place: registry_door.Archive, slices: int) -> Manifest:
    """Archive one series of noise."""
    noise, exam = os.urandom(PIXEL_BYTES + slices), headers.exam(1, slices=slices)
    objects = open_objects(place.settings)
    with tempfile.NamedTemporaryFile() as file:
        members = []
        for n in range(slices):
            made = headers.ct(exam, n, noise[n:][:PIXEL_BYTES], syntax=sender.EXPLICIT_LITTLE_ENDIAN)
            members.append(Member(str(sender.parse(made.to_bytes()).sop_instance_uid), (made.to_bytes(),)))
        manifest = package.pack(members, file)
        file.flush()
        where = ("fidac", manifest.series_instance_uid, manifest.sha256)
        objects.put_file(layout.key(*where, layout.PACKAGE), Path(file.name))
        objects.put_bytes(layout.key(*where, layout.MANIFEST), manifest.to_json())
        objects.put_bytes(layout.key(*where, layout.HEADERS), headers_gz(file.fileno(), manifest))
    with psycopg.connect(place.owner) as conn:
        row = conn.execute(_STUDY, (manifest.study_instance_uid, slices, manifest.size)).fetchone()
        assert row
        given = (manifest.series_instance_uid, row[0], slices, manifest.size, bytes.fromhex(manifest.sha256))
        conn.execute(_SERIES, given)
    return manifest


def download(port: int, path: str, headers: dict[str, str]) -> float:
    """Return MB/s of a GET whose body is dropped as it is read."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    buffer, size = bytearray(1 << 20), 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        begin = time.perf_counter()
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while read := connection.recv_into(buffer):
            if not size and b" 200 " not in buffer[:20]:
                raise SystemExit(buffer[:500].decode(errors="replace"))
            size += read
        return size / 1e6 / (time.perf_counter() - begin)


@contextmanager
def nginx(size: int) -> Iterator[int]:
    """Serve a file of this size by nginx, tuned for it; yield the port."""
    folder, port = Path(tempfile.mkdtemp(prefix="gg-bench-")), free_port()
    folder.chmod(0o755)
    with (folder / "file").open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, user=user))
    process = subprocess.Popen([str(NGINX), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


def small(port: int, headers: dict[str, str], paths: Callable[[int], str], requests: int) -> float:
    """Return the milliseconds at p50 of GETs on a kept connection."""
    connection, took = http.client.HTTPConnection("127.0.0.1", port), []
    for n in range(requests):
        begin = time.perf_counter()
        connection.request("GET", paths(n), headers=headers)
        answer = connection.getresponse()
        answer.read()
        took.append(1000 * (time.perf_counter() - begin))
        if answer.status != 200:
            raise SystemExit(f"status {answer.status}")
    return statistics.median(took)


def main() -> None:
    """Print MB/s and the ratio, then frames and metadata."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with registry_door.archive() as place:
        manifest, token = fill(place, given.slices), place.token("curator")
        series = f"/dicom-web/studies/{manifest.study_instance_uid}/series/{manifest.series_instance_uid}"
        bearer = {"Authorization": f"Bearer {token}"}
        files = bearer | {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        with place.door() as port:
            rates = compare(port, series, files, manifest, given.rounds)
            frames = bearer | {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
            uids = [one.sop_instance_uid for one in manifest.instances]
            frame = small(port, frames, lambda n: f"{series}/instances/{uids[n % len(uids)]}/frames/1", 200)
            metadata = small(port, bearer | {"Accept-Encoding": "gzip"}, lambda _: f"{series}/metadata", 100)
    for name, values in rates.items():
        print(f"{name:28s} {statistics.median(values):7.0f} MB/s")
    if rates.get("nginx"):
        ratio = statistics.median(rates["WADO-RS series"]) / statistics.median(rates["nginx"])
        print(f"WADO-RS is {ratio:.2f}x nginx")
    print(f"one frame of 0.5 MB {frame:.2f} ms, metadata of {given.slices} instances {metadata:.2f} ms (p50)")


def compare(port: int, series: str, headers: dict[str, str], manifest: Manifest, rounds: int) -> dict[str, list[float]]:
    """Return the rates of each, taking turns."""
    rates: dict[str, list[float]] = {"WADO-RS series": [], "package": []}
    package_path = f"/api/v1/series/{manifest.series_instance_uid}/package"
    if not NGINX.exists():
        print(f"nginx: {NGINX} is not installed, left out", file=sys.stderr)
        for _ in range(rounds):
            rates["WADO-RS series"].append(download(port, series, headers))
            rates["package"].append(download(port, package_path, headers))
        return rates
    rates["nginx"] = []
    with nginx(manifest.size) as peer:
        for _ in range(rounds):
            rates["WADO-RS series"].append(download(port, series, headers))
            rates["package"].append(download(port, package_path, headers))
            rates["nginx"].append(download(peer, "/file", {}))
    return rates


if __name__ == "__main__":
    main()
