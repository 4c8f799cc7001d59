"""TLS on the DICOM door (security.md N1, N2, A2): modern or nothing, and never in clear beside it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from groundglass.config import Gateway
from groundglass.demo import sender
from groundglass.errors import UsageError
from groundglass.gateway.dimse.tls import server_context
from support import raw_dicom
from support.door import Door, open_door, outgoing, records
from support.raw_dicom import ABORT, Raw


@dataclass(frozen=True, slots=True)
class Identity:
    certificate: Path
    key: Path


def identity(folder: Path, name: str, *, days: int = 30) -> Identity:
    """Write a self-signed certificate of 127.0.0.1, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=60))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@pytest.fixture
def gateway(tmp_path: Path) -> Identity:
    return identity(tmp_path, "gateway")


@pytest.fixture
def door(tmp_path: Path, gateway: Identity) -> Iterator[Door]:
    with open_door(tmp_path / "spool", tls_certificate=gateway.certificate, tls_key=gateway.key) as opened:
        yield opened


@pytest.fixture
def modality(tmp_path: Path) -> Identity:
    return identity(tmp_path, "modality")


@pytest.fixture
def mutual(tmp_path: Path, gateway: Identity, modality: Identity) -> Iterator[Door]:
    """A door that asks its peers for a certificate."""
    with open_door(
        tmp_path / "spool", tls_certificate=gateway.certificate, tls_key=gateway.key, tls_ca=modality.certificate
    ) as opened:
        yield opened


def client(trusted: Identity, shown: Identity | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trusted.certificate)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def test_objects_pass(door: Door, gateway: Identity) -> None:
    objects = [outgoing(1), outgoing(2, pixels=bytes(3_000_000)), outgoing(3)]
    assert sender.send(door.peer(tls=client(gateway)), objects) == [0, 0, 0]
    assert len(records(door.folder)) == 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_that_are_taken(door: Door, gateway: Identity, version: ssl.TLSVersion) -> None:
    context = client(gateway)
    context.minimum_version = context.maximum_version = version
    assert sender.echo(door.peer(tls=context)) == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(door: Door, gateway: Identity, version: ssl.TLSVersion) -> None:
    context = client(gateway)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    _refused(door, context)


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ALL:!ECDHE"]
)
def test_ciphers_without_forward_secrecy_or_aead_are_refused(door: Door, gateway: Identity, cipher: str) -> None:
    context = client(gateway)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    _refused(door, context)


def test_clear_text_is_not_taken_on_a_door_with_tls(door: Door, gateway: Identity) -> None:
    raw = Raw(door.port)
    with raw.socket:
        raw.send(raw_dicom.request())
        with contextlib.suppress(ConnectionError):
            assert raw.socket.recv(1) != bytes([raw_dicom.ACCEPT])
    assert sender.echo(door.peer(tls=client(gateway))) == 0


def test_tls_is_not_taken_on_a_door_without(tmp_path: Path, gateway: Identity) -> None:
    with open_door(tmp_path / "spool") as door:
        _refused(door, client(gateway))
        raw = Raw(door.port)
        with raw.socket:
            raw.send(bytes.fromhex("160301"), bytes(500))
            found = raw.pdu()
            assert found is not None
            assert found[0] == ABORT


def test_a_peer_must_show_a_certificate_of_the_authority(mutual: Door, gateway: Identity, modality: Identity) -> None:
    assert sender.echo(mutual.peer(tls=client(gateway, modality))) == 0
    _refused(mutual, client(gateway))


def test_foreign_and_expired_certificates_are_refused(mutual: Door, gateway: Identity, tmp_path: Path) -> None:
    _refused(mutual, client(gateway, identity(tmp_path, "stranger")))
    _refused(mutual, client(gateway, identity(tmp_path, "late", days=-1)))


@pytest.mark.parametrize("missing", ["tls_certificate", "tls_key", "tls_ca"])
def test_a_wrong_file_is_named_and_the_door_stays_shut(gateway: Identity, tmp_path: Path, missing: str) -> None:
    files = {"tls_certificate": gateway.certificate, "tls_key": gateway.key, "tls_ca": gateway.certificate}
    with pytest.raises(UsageError, match=r"gateway\.tls_certificate"):
        server_context(Gateway(**{**files, missing: tmp_path / "absent"}))


def test_a_key_without_a_certificate_is_refused(gateway: Identity) -> None:
    with pytest.raises(UsageError):
        server_context(Gateway(tls_key=gateway.key))


def _refused(door: Door, context: ssl.SSLContext) -> None:
    # TLS 1.3 tells of a refused client certificate only at the first read.
    with pytest.raises((OSError, sender.SendError)):
        sender.echo(door.peer(tls=context))
