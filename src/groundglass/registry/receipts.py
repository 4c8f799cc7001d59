"""Signed receipts: what the registry decided on a package, in words that a gateway can check and keep."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from groundglass.config import Settings
from groundglass.core.secretfiles import read_or_make

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Verdict = Literal["archived", "refused"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was decided. `series_version`, `instances` and `bytes` are of the current version; 0 when refused."""

    number: str
    collection: str
    package_sha256: str
    series_version: int
    instances: int
    bytes: int
    profile: str
    verifier: str
    verdict: Verdict
    reasons: tuple[str, ...]
    at: str
    audit_head: str

    def fields(self) -> dict[str, Any]:
        """Return the receipt as it is written and signed."""
        return {name: getattr(self, name) for name in self.__slots__} | {"reasons": list(self.reasons)}


def new_number() -> str:
    """Return `R-` and fifty random bits: nothing about the package follows from it, nor it from the package."""
    return "R-" + "".join(secrets.choice(_CROCKFORD) for _ in range(10))


def now() -> str:
    """Return the time of a receipt: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def public_key(settings: Settings) -> bytes:
    """Return the 32 bytes by which receipts are checked; the key pair is made at first use."""
    return _key(settings).public_key().public_bytes_raw()


def sign(settings: Settings, receipt: Receipt) -> str:
    """Return the Ed25519 signature of the receipt's canonical bytes, in base64."""
    return base64.b64encode(_key(settings).sign(canonical(receipt.fields()))).decode("ascii")


def verify(key: bytes, answer: Mapping[str, Any]) -> bool:
    """Tell whether `{"receipt": …, "signature": …}` was signed by this public key."""
    try:
        signature = base64.b64decode(answer["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, canonical(answer["receipt"]))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _key(settings: Settings) -> Ed25519PrivateKey:
    path = settings.registry_dir / "secrets" / "receipt.key"
    made = read_or_make(path, lambda: Ed25519PrivateKey.generate().private_bytes_raw().hex().encode())
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(made.decode("ascii")))
