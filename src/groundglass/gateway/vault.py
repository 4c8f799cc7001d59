"""The keys of the identified zone: files of mode 0600 below DIR/gateway/vault, never in a database, log or backup."""

from __future__ import annotations

import os
import re
from pathlib import Path

from groundglass.config import Settings
from groundglass.core.secretfiles import private_folder, read_or_make
from groundglass.errors import UsageError

_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def collection_key(settings: Settings, *, collection: str, centre: str) -> bytes:
    """Return the 32-byte master key of a collection at a centre, made from the system's generator at first use.

    `gateway.key_file` (64 hex digits) fixes it for every collection and centre. Raises UsageError.
    """
    if settings.gateway.key_file:
        return read_key_file(settings.gateway.key_file)
    for name in (collection, centre):
        if not _NAME.fullmatch(name):
            raise UsageError("a collection and a centre are named by letters, digits, space, - _ and . only")
    vault = private_folder(settings.gateway_dir / "vault")
    return read_or_make(vault / collection / f"{centre}.key", lambda: os.urandom(_KEY_BYTES))


def spool_key(settings: Settings) -> bytes:
    """Return the key of the tokens by which the spool groups what belongs to one series."""
    private_folder(settings.gateway_dir / "vault")
    return read_or_make(settings.gateway_dir / "vault" / "spool.key", lambda: os.urandom(_KEY_BYTES))


def read_key_file(path: Path) -> bytes:
    """Read a key of 64 hex digits. Raises UsageError."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        raise UsageError("the key file cannot be read as 64 hex digits") from None
    if len(key) != _KEY_BYTES:
        raise UsageError("the key file must hold 64 hex digits")
    return key
