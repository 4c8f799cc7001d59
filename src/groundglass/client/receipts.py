"""Reading a registry's signed receipt: who signed it, for what, and what it says."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from groundglass.errors import GroundglassError, UsageError


class ForgedReceiptError(GroundglassError):
    """A receipt that the enrolled registry did not sign, or that is for something else."""

    slug = "forged-receipt"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a registry decided on a package; `code` is the first reason of a refusal."""

    number: str
    refused: bool
    code: str


def check_receipt(signed: dict[str, Any], key_file: Path | None, *, package_sha256: str) -> Verdict:
    """Return the verdict of a receipt after checking its Ed25519 signature. Raises ForgedReceiptError, UsageError."""
    if key_file is None:
        raise UsageError("the gateway does not know its registry's key: set gateway.registry_key_file")
    try:
        receipt = signed["receipt"]
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_file.read_text(encoding="ascii").strip()))
        key.verify(base64.b64decode(signed["signature"]), canonical(receipt))
        if receipt["package_sha256"] != package_sha256 or receipt["verdict"] not in ("archived", "refused"):
            raise ForgedReceiptError("the receipt is for another package")
        refused = receipt["verdict"] == "refused"
        return Verdict(str(receipt["number"]), refused, str(receipt["reasons"][0]) if refused else "")
    except OSError:
        raise UsageError("gateway.registry_key_file cannot be read") from None
    except (InvalidSignature, KeyError, ValueError, TypeError, IndexError):
        raise ForgedReceiptError(
            "the receipt is not signed by the registry that this gateway is enrolled with"
        ) from None


def canonical(value: object) -> bytes:
    """Return the one JSON form that is signed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
