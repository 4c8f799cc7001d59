"""The error tree: each class has its message, the command's exit code and the HTTP status.

A message says what was wrong, where, and what to do. It never carries a value of a patient.
"""

from __future__ import annotations

from typing import ClassVar


class GroundglassError(Exception):
    """Anything that groundglass refuses or fails to do, in words for the person who asked."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"  # the stable end of an RFC 9457 `type`


class UsageError(GroundglassError):
    """The command line, a setting or a request is not one that can be carried out."""

    exit_code = 2
    http_status = 400
    slug = "usage"


class UnsafeStartError(UsageError):
    """A door would stand open: the start is refused."""

    slug = "unsafe-start"


class NotSignedInError(GroundglassError):
    """No token or session, or one that is unknown, expired or revoked."""

    http_status = 401
    slug = "not-signed-in"


class NotAllowedError(GroundglassError):
    """The role, centre or grant does not allow it."""

    http_status = 403
    slug = "not-allowed"


class NotFoundError(GroundglassError):
    """There is no such thing, or none that this account may know of."""

    http_status = 404
    slug = "not-found"


class ConflictError(GroundglassError):
    """The state of the thing does not allow it now."""

    http_status = 409
    slug = "conflict"


class TooLargeError(GroundglassError):
    """More bytes, elements or items than the limit allows."""

    http_status = 413
    slug = "too-large"


class UnprocessableError(GroundglassError):
    """Well formed, but not acceptable: what was sent fails a check."""

    http_status = 422
    slug = "unprocessable"


class NoRoomError(GroundglassError):
    """The file system is full, or above its high-water mark."""

    http_status = 507
    slug = "no-room"


class UnavailableError(GroundglassError):
    """A part that this needs does not answer at the moment; the same call may succeed later."""

    http_status = 503
    slug = "unavailable"


class FolderInUseError(UnavailableError):
    """Another instance owns the data folder."""

    slug = "folder-in-use"
