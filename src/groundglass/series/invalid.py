"""What the series code answers to bytes that are not exactly ours."""

from __future__ import annotations

from groundglass.errors import UnprocessableError


class InvalidPackageError(UnprocessableError):
    """A series package, or an object in one, is not in the one form that is accepted.

    `reason` is a short slug of the code (docs/reference/series-package.md lists them); no value of the data is kept.
    """

    slug = "invalid-package"

    def __init__(self, reason: str) -> None:
        super().__init__(f"not an acceptable series package: {reason}")
        self.reason = reason


class UidConflictError(InvalidPackageError):
    """One SOP Instance UID names two different objects."""

    slug = "uid-conflict"

    def __init__(self) -> None:
        super().__init__("uid_conflict")
