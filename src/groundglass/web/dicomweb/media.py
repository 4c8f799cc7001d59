"""What a WADO-RS client accepts, and how bytes are put into multipart/related (PS3.18 8.6, 8.7; RFC 2387)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

from groundglass.errors import GroundglassError

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
# PS3.18 table 8.7.3-5: how a frame in its stored syntax is named
_FRAME_TYPES: Final = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


class NotAcceptableError(GroundglassError):
    """The client accepts only what we would have to transcode to."""

    http_status = 406
    slug = "not-acceptable"


@dataclass(frozen=True, slots=True)
class Range:
    """One media range of Accept: the type inside multipart/related, and the transfer syntax asked for."""

    multipart: bool
    type: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Part:
    """One body part: its media type, where it is, how long it is, and its bytes."""

    content_type: str
    location: str
    length: int
    content: Iterable[bytes]


def frame_type(transfer_syntax_uid: str) -> str:
    """Return the media type of a frame in this syntax."""
    return _FRAME_TYPES.get(transfer_syntax_uid, OCTETS)


def accepted(request: Request) -> list[Range]:
    """Return the media ranges that the client accepts; without a header it accepts anything."""
    given = request.query_params.get("accept") or request.headers.get("accept") or "*/*"
    return [_range(one) for one in _split(given)]


def must_accept(request: Request, types: Iterable[str], transfer_syntax_uid: str) -> None:
    """Raise NotAcceptableError unless one of our types, in the stored transfer syntax, is accepted."""
    ours = set(types)
    for one in accepted(request):
        fits = one.type in ours or one.type in ("*/*", "") or (one.type.endswith("/*") and one.type[:-1] in _tops(ours))
        if fits and one.transfer_syntax in ("*", "", transfer_syntax_uid):
            return
    raise NotAcceptableError("the object is stored in another transfer syntax or type: accept transfer-syntax=*")


def wants_single(request: Request) -> bool:
    """Whether the first thing the client names is application/dicom by itself."""
    first = accepted(request)[0]
    return not first.multipart and first.type == DICOM


def multipart(parts: list[Part], *, inner: str, body: bool = True) -> StreamingResponse:
    """Answer with parts, streamed; the length is known before."""
    boundary = secrets.token_hex(16)
    heads = [_head(part, boundary) for part in parts]
    end = f"\r\n--{boundary}--\r\n".encode()
    length = sum(len(head) + part.length for head, part in zip(heads, parts, strict=True)) + len(end)
    headers = {"Content-Length": str(length), "X-Content-Type-Options": "nosniff"}
    content = _stream(heads, parts, end) if body else iter(())
    media_type = f'multipart/related; type="{inner}"; boundary={boundary}'
    return StreamingResponse(content, headers=headers, media_type=media_type)


def _head(part: Part, boundary: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\nContent-Type: {part.content_type}\r\nContent-Location: {part.location}\r\n"
        f"Content-Length: {part.length}\r\n\r\n"
    ).encode()


def _stream(heads: list[bytes], parts: list[Part], end: bytes) -> Iterator[bytes]:
    waiting = b""  # small pieces go with the next large one: each piece is a step of the event loop
    for head, part in zip(heads, parts, strict=True):
        waiting += head
        for block in part.content:
            yield waiting + block if waiting else block
            waiting = b""
    yield waiting + end


def _split(header: str) -> list[str]:
    """Split at commas outside of quotes."""
    found, quoted = [""], False
    for character in header[:4096]:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            found.append("")
        else:
            found[-1] += character
    return [one.strip() for one in found if one.strip()] or ["*/*"]


def _range(text: str) -> Range:
    message = Message()
    message["content-type"] = text.replace("\r", " ").replace("\n", " ")
    # Message takes `*/*` for text/plain
    bare = text.partition(";")[0].strip().lower()
    syntax = str(message.get_param("transfer-syntax", "") or "")
    if bare == "multipart/related":
        return Range(True, str(message.get_param("type", "") or "").lower(), syntax)
    return Range(False, bare, syntax)


def _tops(types: Iterable[str]) -> set[str]:
    return {one.partition("/")[0] + "/" for one in types}
