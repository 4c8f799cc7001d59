"""Objects in an S3 bucket, by obstore. S3 answers a put once it is durable; an upload that stops is never visible."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import RetryConfig

from groundglass.config import Objects as ObjectSettings
from groundglass.core.objects.port import CHUNK, valid_key, valid_range
from groundglass.errors import NotFoundError, UnavailableError, UsageError

_PART_BYTES = 8 << 20
_RETRIES: RetryConfig = {"max_retries": 8, "retry_timeout": timedelta(seconds=30)}
_PARTS_AT_ONCE = 4  # with _PART_BYTES: 32 MiB in flight


class S3Objects:
    """Objects below a prefix of one bucket; requests that fail are repeated for up to 30 s."""

    def __init__(self, bucket: str, *, prefix: str = "", settings: ObjectSettings) -> None:
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            region=settings.region,
            client_options={"allow_http": (settings.endpoint or "").startswith("http://"), "timeout": "60s"},
            retry_config=_RETRIES,
            **_access(settings),  # type: ignore[arg-type]
        )

    def put_file(self, key: str, path: Path) -> None:
        """See Objects: streamed from disk in parts of 8 MiB."""
        valid_key(key)
        if not path.is_file():
            raise NotFoundError("no such object or file")
        with _faults():
            obstore.put(self._store, key, path, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
        if self.size(key) != path.stat().st_size:
            raise UnavailableError("the object store kept another size than was sent")

    def put_bytes(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See Objects."""
        valid_key(key)
        with _faults():
            obstore.put(self._store, key, bytes(data), chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """See Objects."""
        return b"".join(self.stream(key, offset, length))

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See Objects."""
        valid_range(offset, length)
        valid_key(key)
        if offset or length is not None:
            end = self._end(key, offset, length)
            if end <= offset:
                return iter(())
            with _faults():
                return _pieces(obstore.get(self._store, key, options={"range": (offset, end)}))
        with _faults():
            return _pieces(obstore.get(self._store, key))

    def size(self, key: str) -> int | None:
        """See Objects."""
        valid_key(key)
        try:
            with _faults():
                return int(obstore.head(self._store, key)["size"])
        except NotFoundError:
            return None

    def delete(self, key: str) -> None:
        """See Objects."""
        valid_key(key)
        with contextlib.suppress(NotFoundError), _faults():
            obstore.delete(self._store, key)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Objects."""
        if prefix:
            valid_key(prefix)
        with _faults():
            for page in obstore.list(self._store, prefix or None):
                yield from (entry["path"] for entry in page)

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing lies on this machine."""
        valid_key(key)
        return None

    def _end(self, key: str, offset: int, length: int | None) -> int:
        """Return the end of a range cut to the object: a store refuses a range that starts beyond it."""
        size = self.size(key)
        if size is None:
            raise NotFoundError("no such object")
        return size if length is None else min(size, offset + length)


def _access(settings: ObjectSettings) -> dict[str, object]:
    if settings.skip_signature:
        named: dict[str, object] = {"skip_signature": True}
    elif settings.access_key_id and settings.secret_access_key:
        named = {"access_key_id": settings.access_key_id, "secret_access_key": settings.secret_access_key}
    else:
        raise UsageError("objects on S3 need objects.access_key_id and secret_access_key, or skip_signature")
    if settings.endpoint:
        named["endpoint"] = settings.endpoint
        named["virtual_hosted_style_request"] = False
    return named


def _pieces(answer: obstore.GetResult) -> Iterator[bytes]:
    with _faults():
        for piece in answer.stream(min_chunk_size=CHUNK):
            yield bytes(piece)


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Turn the store's errors, whose messages carry addresses and keys, into ours."""
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError("no such object") from None
    except (BaseError, OSError, ValueError) as error:
        raise UnavailableError(f"the object store failed ({type(error).__name__})") from None
