"""`/api/v1/inbox`: where gateways put packages under their hash and fetch the signed receipts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from groundglass.config import Settings
from groundglass.core.accounts import Account, ensure_centre
from groundglass.errors import (
    NoRoomError,
    NotAllowedError,
    NotFoundError,
    TooLargeError,
    UnprocessableError,
    UsageError,
)
from groundglass.registry import inbox, receipts
from groundglass.ui import access

router = APIRouter(prefix="/api/v1/inbox", tags=["inbox"])
_gateway = access.signed_in("gateway")
Gateway = Annotated[Account, Depends(_gateway)]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BLOCK: Final = 1 << 20
_LONGEST_LEDGER: Final = 1 << 20
_LONGEST_WAIT_SECONDS: Final = 20
_POLL_SECONDS: Final = 0.05
_SLOWEST_POLL_SECONDS: Final = 0.5
_HEADER: Final = re.compile(r"[ -~]{1,200}")


def clear_incoming(settings: Settings) -> None:
    """Remove the halves of uploads that died with an earlier process; called before the door opens."""
    for half in inbox.incoming(settings, "any").parent.glob("*.part"):
        half.unlink(missing_ok=True)


@router.head("/packages/{sha256}")
def has(request: Request, sha256: str, account: Gateway) -> Response:
    """Tell whether the package is here, decided or not: 200, else 404."""
    with access.pool(request).connection() as conn:
        found = inbox.status(conn, _checked(sha256))
    if found is None or not _may_see(account, found):
        raise NotFoundError("this package was not received")
    return Response(status_code=200)


@router.put("/packages/{sha256}", status_code=202)
async def put(request: Request, sha256: str, account: Gateway) -> Response:
    """Take a package: 202 once it is durable, also when it was here before. Its hash is checked while it arrives."""
    settings: Settings = request.app.state.settings
    offer = _offer(request, _checked(sha256), account)
    if await to_thread.run_sync(_admitted, request, offer):
        return Response(status_code=202)
    path = inbox.incoming(settings, f"{secrets.token_hex(16)}.part")
    try:
        await _arrive(request, offer, path)
        await to_thread.run_sync(_receive, request, offer, path)
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody; what came so far goes away
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return Response(status_code=202)


@router.get("/packages/{sha256}/receipt")
async def receipt(
    request: Request, sha256: str, account: Gateway, wait: Annotated[int, Query(ge=0, le=_LONGEST_WAIT_SECONDS)] = 0
) -> Response:
    """Give the signed receipt; 202 when the package is not decided after `wait` seconds."""
    deadline = asyncio.get_running_loop().time() + wait
    pause = _POLL_SECONDS
    while True:
        found = await to_thread.run_sync(_status, request, _checked(sha256))
        if found is None or not _may_see(account, found):
            raise NotFoundError("this package was not received")
        if found.answer is not None:
            return JSONResponse(dict(found.answer))
        if asyncio.get_running_loop().time() + pause > deadline or await request.is_disconnected():
            return Response(status_code=202)
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_POLL_SECONDS)


@router.get("/key")
def key(request: Request, account: Gateway) -> Response:  # noqa: ARG001
    """Give the Ed25519 public key by which receipts are checked, in hex."""
    return JSONResponse({"algorithm": "Ed25519", "key": receipts.public_key(request.app.state.settings).hex()})


Count = Annotated[int, Field(ge=0, le=2**53, strict=True)]


class Counts(BaseModel):
    """One account of a ledger, in instances."""

    model_config = ConfigDict(extra="forbid")

    received: Count
    archived: Count
    quarantined: Count
    duplicates: Count
    pending: Count
    withdrawn: Count
    reasons: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")], Count]


class Ledger(BaseModel):
    """What a gateway counts, as `groundglass ledger --json` prints it."""

    model_config = ConfigDict(extra="forbid")

    total: Counts
    senders: dict[Annotated[str, Field(pattern=r"^[ -~]{1,64}$")], Counts]


@router.put("/ledger", status_code=204)
async def put_ledger(request: Request, account: Gateway) -> Response:
    """Take what the gateway counts, in place of what it said before."""
    # Read here, and not by a parameter: the framework would take a body of any size before it asks for the token.
    body = await _whole(request, _LONGEST_LEDGER)
    try:
        ledger = Ledger.model_validate_json(body)
    except ValidationError:
        raise UnprocessableError(
            "this is not a ledger: total and senders, each with its counts, nothing else"
        ) from None
    await to_thread.run_sync(_keep_ledger, request, account, ledger)
    return Response(status_code=204)


def _keep_ledger(request: Request, account: Account, ledger: Ledger) -> None:
    with access.pool(request).connection() as conn:
        conn.execute(
            "INSERT INTO gateway_ledger (account, centre, reported_at, ledger) VALUES (%s, %s, now(), %s)"
            " ON CONFLICT (account) DO UPDATE"
            " SET centre = EXCLUDED.centre, reported_at = now(), ledger = EXCLUDED.ledger",
            (account.name, account.centre or "", Jsonb(ledger.model_dump())),
        )


async def _whole(request: Request, most: int) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooLargeError(f"a ledger has at most {most} bytes")
    return body


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise UsageError("a package is named by its SHA-256 in 64 small hex digits")
    return sha256


def _may_see(account: Account, found: inbox.Status) -> bool:
    return found.account == account.name or (account.centre is not None and found.centre == account.centre)


def _offer(request: Request, sha256: str, account: Account) -> inbox.Offer:
    """Read what is offered from the headers; a gateway of one centre speaks for that one only."""
    if request.headers.get("content-encoding"):
        raise UsageError("a package is sent as it is, without Content-Encoding")
    try:
        size = int(request.headers["content-length"])
    except (KeyError, ValueError):
        raise UsageError("a package is sent with its Content-Length") from None
    if size <= 0:
        raise UsageError("a package has at least one byte")
    centre = request.headers.get("groundglass-centre") or account.centre
    if not centre or (account.centre and centre != account.centre):
        raise NotAllowedError("this token does not speak for that centre")
    collection, profile = (request.headers.get(f"groundglass-{name}", "") for name in ("collection", "profile"))
    if not _HEADER.fullmatch(collection) or not _HEADER.fullmatch(profile):
        raise UsageError("a package is sent with Groundglass-Collection and Groundglass-Profile")
    return inbox.Offer(sha256, size, account.name, centre, collection, profile)


def _admitted(request: Request, offer: inbox.Offer) -> bool:
    """Check the offer before a byte is read; True when the package is here already."""
    with access.pool(request).connection() as conn:
        ensure_centre(conn, offer.centre, by=offer.account)
        inbox.admit(conn, offer)
        if inbox.status(conn, offer.sha256) is not None:
            return True
    if shutil.disk_usage(inbox.folder(request.app.state.settings)).free < offer.bytes:
        raise NoRoomError("the registry's disk has no room for this package")
    return False


def _receive(request: Request, offer: inbox.Offer, path: Path) -> None:
    with access.pool(request).connection() as conn:
        inbox.receive(conn, request.app.state.settings, offer, path)


def _status(request: Request, sha256: str) -> inbox.Status | None:
    with access.pool(request).connection() as conn:
        return inbox.status(conn, sha256)


async def _arrive(request: Request, offer: inbox.Offer, path: Path) -> None:
    """Write the body to `path` and check its size and hash. Raises UnprocessableError, TooLargeError, NoRoomError."""
    digest, size = hashlib.sha256(), 0
    file = path.open("xb", buffering=0)
    try:
        async for block in _blocks(request):
            size += len(block)
            if size > offer.bytes:
                raise TooLargeError("the body is longer than its Content-Length")
            await to_thread.run_sync(_write, file, digest, block)
    finally:
        file.close()
    if size != offer.bytes or digest.hexdigest() != offer.sha256:
        raise UnprocessableError("what arrived does not have the hash under which it was sent")


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """Gather the body into blocks that are worth a thread's while."""
    waiting, size = [], 0
    async for chunk in request.stream():
        waiting.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _write(file: BinaryIO, digest: Any, block: bytes) -> None:
    digest.update(block)
    view = memoryview(block)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError("the registry's disk is full") from None
        raise
