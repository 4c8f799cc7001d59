"""What the series code answers to bytes that are not exactly ours."""

from __future__ import annotations

from groundglass.errors import UnprocessableError

# Every reason there is; docs/reference/series-package.md says what each means.
_SLUGS = """
changed-bytes crc directory duplicate-instance element-length element-order element-vr empty frame-count instance-order
item-tag local-header meta-disagrees mixed-series other-instance other-series pixel-items pixel-length
instance-too-large preamble too-deep too-many-elements too-many-instances transfer-syntax truncated uid uid-conflict
"""
REASONS = frozenset(_SLUGS.split())


class InvalidPackageError(UnprocessableError):
    """A series package, or an object in one, is not in the one form that is accepted.

    `reason` is one of REASONS; no value of the data is kept.
    """

    slug = "invalid-package"

    def __init__(self, reason: str) -> None:
        assert reason in REASONS
        super().__init__(f"not an acceptable series package: {reason}")
        self.reason = reason


class UidConflictError(InvalidPackageError):
    """One SOP Instance UID names two different objects."""

    slug = "uid-conflict"

    def __init__(self) -> None:
        super().__init__("uid-conflict")
