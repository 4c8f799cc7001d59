"""A1: which starts are refused."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundglass import config
from groundglass.core import doors
from groundglass.errors import UnsafeStartError, UsageError

HOSTS = {"loopback": "127.0.0.1", "private": "192.168.1.9", "public": "198.51.100.7"}
HOSTS["public"] = "8.8.4.4"  # an address of the public range; nothing is sent or bound
UNSAFE = {
    ("private", False, False),
    ("private", True, False),
    ("public", False, False),
    ("public", False, True),
    ("public", True, False),
}


@pytest.mark.parametrize(("reach", "tls", "peers"), list(itertools.product(HOSTS, (False, True), (False, True))))
def test_a1_dicom_starts(tmp_path: Path, reach: str, tls: bool, peers: bool) -> None:
    gateway = config.Gateway(
        allowed_aets=["SCANNER"] if peers else [], tls_certificate=Path("cert.pem") if tls else None
    )
    settings = config.Settings(data=tmp_path, gateway=gateway)
    if (reach, tls, peers) in UNSAFE:
        with pytest.raises(UnsafeStartError):
            doors.check_dicom(HOSTS[reach], settings)
    else:
        doors.check_dicom(HOSTS[reach], settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.9"])
def test_http_beyond_loopback_needs_tls_or_a_proxy(tmp_path: Path, host: str) -> None:
    with pytest.raises(UnsafeStartError):
        doors.check_http(host, config.Settings(data=tmp_path))
    for web in (config.Web(tls_certificate=Path("c"), tls_key=Path("k")), config.Web(trusted_proxies=["10.0.0.1"])):
        doors.check_http(host, config.Settings(data=tmp_path, web=web))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_open_to_this_machine(tmp_path: Path, host: str) -> None:
    doors.check_http(host, config.Settings(data=tmp_path))
    doors.check_dicom(host, config.Settings(data=tmp_path))


def test_any_address_counts_as_public(tmp_path: Path) -> None:
    settings = config.Settings(data=tmp_path, gateway=config.Gateway(allowed_aets=["SCANNER"]))
    with pytest.raises(UnsafeStartError, match="public"):
        doors.check_dicom("0.0.0.0", settings)


def test_a_name_that_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        doors.check_http("no-such-host.invalid", config.Settings(data=tmp_path))


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--dicom-host", "0.0.0.0")])
def test_serve_exits_2_with_the_reason(tmp_path: Path, options: tuple[str, str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDGLASS_")}
    command = [sys.executable, "-m", "groundglass", "serve", "--data", str(tmp_path), "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 2
    assert "not started" in done.stderr
    assert not (tmp_path / "postgres").exists()
