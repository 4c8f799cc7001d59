"""Small forms: read with a cap, without files."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from groundglass.errors import TooLargeError, UsageError
from groundglass.ui.translations import _

_LIMIT_BYTES: Final = 16 * 1024
_LIMIT_FIELDS: Final = 50


async def fields(request: Request) -> dict[str, str]:
    """Return the fields of a URL-encoded form, the last of each name. Raises TooLargeError, UsageError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise UsageError(_("Ce formulaire n'a pas la forme attendue."))
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > _LIMIT_BYTES:
            raise TooLargeError(_("Ce formulaire est trop long."))
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_LIMIT_FIELDS, errors="strict")
    except ValueError:
        raise UsageError(_("Ce formulaire n'a pas la forme attendue.")) from None
    return dict(pairs)
