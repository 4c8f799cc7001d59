"""The DICOM JSON headers of a series, written once when it is archived and served as they are."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

from groundglass.series.dicomjson import Converter
from groundglass.series.facts import data_set_start
from groundglass.series.manifest import Manifest
from groundglass.series.source import FileSpan, Source

# The member header of RFC 1952 with no time and no name, so that the same headers give the same file.
_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LEVEL = 6


def dicom_json(head: bytes, *, size: int | None = None) -> dict[str, Any]:
    """Return the DICOM JSON model object (PS3.18 F) of a Part 10 object that begins with `head`.

    File meta information and PixelData are left out. `size`: of the whole object, when the head ends inside PixelData.
    Raises InvalidPackageError.
    """
    beyond = (len(head) if size is None else size) - len(head)
    text = Converter().data_set(head, data_set_start(head), len(head), beyond=beyond)
    found: dict[str, Any] = json.loads(text)
    return found


def headers_gz(fd: int, manifest: Manifest) -> bytes:
    """Return the gzip of the JSON array of the headers of a package, in its order. Raises InvalidPackageError."""
    converter = Converter()
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    crc, length, packed = 0, 0, [_GZIP]
    for rank, each in enumerate(manifest.instances):
        head = Source.of((FileSpan(fd, each.offset, each.header),)).read(0, each.header)
        text = converter.data_set(head, data_set_start(head), len(head))
        piece = (("," if rank else "[") + text).encode()
        crc, length = zlib.crc32(piece, crc), length + len(piece)
        packed.append(deflate.compress(piece))
    packed.append(deflate.compress(b"]") + deflate.flush())
    packed.append(struct.pack("<LL", zlib.crc32(b"]", crc), (length + 1) & 0xFFFFFFFF))
    return b"".join(packed)
