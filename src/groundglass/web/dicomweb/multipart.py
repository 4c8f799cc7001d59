"""Parts of packages as multipart/related (PS3.18 8.6; RFC 2387), streamed in one pass over each package.

The boundary follows from what is sent, so that the same request has the same bytes and a strong ETag.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from groundglass.web.etags import cached

Open = Callable[[int, int], Iterator[bytes]]
Piece = bytes | memoryview

_BLOCK: Final = 1 << 20  # bytes that a thread reads in one go
_SMALL: Final = 2 << 20  # sent at once
_WIDEST_GAP: Final = 256 << 10  # bytes read for nothing rather than a new read of the store


@dataclass(frozen=True, slots=True)
class Part:
    """Ranges (offset, length) of a package that `read` opens, under a media type and an address; `tag` names them."""

    content_type: str
    location: str
    tag: str
    read: Open
    ranges: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """Bytes of the part."""
        return sum(length for _, length in self.ranges)


def answer(request: Request, parts: Sequence[Part], *, kind: str, alone: bool = False) -> Response:
    """Answer with the parts in their order; `alone`: the only one, by itself. 304 to who holds these bytes."""
    tag = hashlib.sha256("\n".join(f"{kind} {alone} {one.tag} {one.location}" for one in parts).encode()).hexdigest()
    if (unchanged := cached(request, tag)) is not None:
        return unchanged
    heads, end = ([b""], b"") if alone else _frame(parts, tag[:32])
    length = sum(map(len, heads)) + sum(one.length for one in parts) + len(end)
    headers = {"ETag": f'"{tag}"', "Content-Length": str(length), "Vary": "Accept, Authorization, Cookie"}
    media_type = parts[0].content_type if alone else f'multipart/related; type="{kind}"; boundary={tag[:32]}'
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    if length <= _SMALL:
        return Response(b"".join(_pieces(heads, parts, end)), headers=headers, media_type=media_type)
    return Stream(body(heads, parts, end), headers=headers, media_type=media_type)


def body(heads: Sequence[bytes], parts: Sequence[Part], end: bytes) -> Iterator[list[Piece]]:
    """Yield heads and parts, in lists of about 1 MiB."""
    waiting: list[Piece] = []
    size = 0
    for piece in _pieces(heads, parts, end):
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


class Stream(StreamingResponse):
    """Lists of pieces, each made in a thread while the one before is sent; no piece is copied on the way."""

    def __init__(self, lists: Iterator[list[Piece]], *, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__((), headers=headers, media_type=media_type)
        self._lists = lists

    async def stream_response(self, send: Send) -> None:
        """See StreamingResponse."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        ahead = self._read_ahead()
        try:
            while pieces := await ahead:
                ahead = self._read_ahead()
                for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            ahead.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _read_ahead(self) -> asyncio.Task[list[Piece] | None]:
        return asyncio.create_task(to_thread.run_sync(next, self._lists, None))


def _frame(parts: Sequence[Part], boundary: str) -> tuple[list[bytes], bytes]:
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {part.content_type}\r\nContent-Location: {part.location}\r\n"
        f"Content-Length: {part.length}\r\n\r\n".encode()
        for part in parts
    ]
    return heads, f"\r\n--{boundary}--\r\n".encode()


def _pieces(heads: Sequence[bytes], parts: Sequence[Part], end: bytes) -> Iterator[Piece]:
    for _, group in groupby(zip(heads, parts, strict=True), key=lambda pair: id(pair[1].read)):
        together = list(group)
        wanted = [each for _, part in together for each in part.ranges]
        reading = _Ranges(together[0][1].read, wanted)
        for head, part in together:
            yield head
            for each in part.ranges:
                yield from reading.take(*each)
    yield end


class _Ranges:
    """Reads ranges of one package in turn, by as few reads of the store as their order allows."""

    def __init__(self, read: Open, wanted: Sequence[tuple[int, int]]) -> None:
        self._read = read
        self._ends = _ends(wanted)
        self._turn = 0
        self._at = -1
        self._blocks: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")

    def take(self, offset: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes of the next range. Raises OSError when the package is shorter than its manifest says."""
        if not 0 <= offset - self._at <= _WIDEST_GAP or self._at < 0:
            self._at, self._rest = offset, memoryview(b"")
            self._blocks = self._read(offset, self._ends[self._turn] - offset)
        self._turn += 1
        for piece in self._next(offset - self._at):
            piece.release()
        yield from self._next(length)

    def _next(self, length: int) -> Iterator[memoryview]:
        while length:
            if not self._rest:
                block = next(self._blocks, b"")
                if not block:
                    raise OSError("a package ends before its manifest says")
                self._rest = memoryview(block)
            piece, self._rest = self._rest[:length], self._rest[length:]
            self._at += len(piece)
            length -= len(piece)
            yield piece


def _ends(wanted: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each range where a read that begins with it should end: where the next one does not follow closely."""
    ends = [offset + length for offset, length in wanted]
    for turn in range(len(wanted) - 2, -1, -1):
        if 0 <= wanted[turn + 1][0] - (wanted[turn][0] + wanted[turn][1]) <= _WIDEST_GAP:
            ends[turn] = ends[turn + 1]
    return ends
