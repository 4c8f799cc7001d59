"""The seven PDUs of PS3.8 9.3 as the acceptor needs them: headers, and the short ones whole."""

from __future__ import annotations

import struct

HEADER = struct.Struct(">BxI")
PDV = struct.Struct(">IBB")  # length of what follows it, presentation context, message control header

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = range(1, 8)
MAX_ASSOCIATE_BYTES = 256 * 1024
MAX_DATA_BYTES = 1024 * 1024

# Reasons of the provider's abort, PS3.8 9.3.8.
UNRECOGNISED, UNEXPECTED, INVALID_VALUE = 1, 2, 6

RELEASE_RP = bytes([A_RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0])


class ProtocolError(Exception):
    """The peer broke PS3.8 or PS3.7: the association is aborted for `reason`."""

    def __init__(self, reason: int) -> None:
        super().__init__(reason)
        self.reason = reason


def abort(reason: int = 0, *, source: int = 2) -> bytes:
    """Return an A-ABORT; source 0 is the user of the service (no reason then), 2 its provider."""
    return bytes([A_ABORT, 0, 0, 0, 0, 4, 0, 0, source, reason])


def reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ, PS3.8 9.3.4."""
    return bytes([A_ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, result, source, reason])


NOT_OUR_NAME = reject(1, 1, 7)  # called AE title not recognised
NOT_KNOWN = reject(1, 1, 3)  # calling AE title not recognised
WRONG_APPLICATION = reject(1, 1, 2)
WRONG_VERSION = reject(1, 2, 2)
CONGESTED = reject(2, 3, 1)
TOO_MANY = reject(2, 3, 2)  # local limit exceeded
