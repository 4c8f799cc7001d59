"""A receipt is believed when the enrolled registry signed it for this package, and not otherwise."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from groundglass.client.receipts import ForgedReceiptError, canonical, check_receipt
from groundglass.errors import UsageError

SHA = "ab" * 32


def sign(receipt: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    return {"receipt": receipt, "signature": base64.b64encode(key.sign(canonical(receipt))).decode()}


@pytest.fixture
def key(tmp_path: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    (tmp_path / "registry.pub").write_text(made.public_key().public_bytes_raw().hex())
    return made


def test_archived(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    signed = sign({"number": "R-1", "package_sha256": SHA, "verdict": "archived", "reasons": []}, key)
    verdict = check_receipt(signed, tmp_path / "registry.pub", package_sha256=SHA)
    assert (verdict.number, verdict.refused) == ("R-1", False)


def test_refused_gives_its_first_reason(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    receipt = {"number": "R-2", "package_sha256": SHA, "verdict": "refused", "reasons": ["identity_residue"]}
    verdict = check_receipt(sign(receipt, key), tmp_path / "registry.pub", package_sha256=SHA)
    assert (verdict.refused, verdict.code) == (True, "identity_residue")


def test_what_is_not_believed(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    good = {"number": "R-3", "package_sha256": SHA, "verdict": "archived", "reasons": []}
    signed = sign(good, key)
    other = Ed25519PrivateKey.generate()
    for wrong in (
        sign(good, other),
        {**signed, "receipt": {**good, "number": "R-4"}},
        sign({**good, "package_sha256": "cd" * 32}, key),
        sign({**good, "verdict": "perhaps"}, key),
        sign({**good, "verdict": "refused"}, key),
        {"receipt": good},
        {**signed, "signature": "not base64"},
        {**signed, "receipt": None},
    ):
        with pytest.raises(ForgedReceiptError):
            check_receipt(wrong, tmp_path / "registry.pub", package_sha256=SHA)


def test_without_a_key_nothing_is_believed() -> None:
    with pytest.raises(UsageError):
        check_receipt({}, None, package_sha256=SHA)
