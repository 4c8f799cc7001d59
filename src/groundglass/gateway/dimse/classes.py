"""What the door takes: Verification, every storage class, every transfer syntax that carries the object itself."""

from __future__ import annotations

import re

from pydicom._uid_dict import UID_dictionary
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.sop_class import _STORAGE_CLASSES

VERIFICATION = "1.2.840.10008.1.1"
_COMPOSITE = "1.2.840.10008.5.1.4.1.1."
_NATIVE = frozenset(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"))
# JPIP refers to pixels elsewhere, SMPTE 2110 is a live stream.
_NO_OBJECT = re.compile(r"1\.2\.840\.10008\.1\.2\.(4\.(94|95|204|205)|7\..*)")

# The retired ones too: archives still hold them, and what we cannot use is quarantined with a reason.
STORAGE = frozenset(_STORAGE_CLASSES.values()) | {
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and uid.startswith(_COMPOSITE) and "Storage" in name
}
TRANSFER_SYNTAXES = frozenset(uid for uid in ALL_TRANSFER_SYNTAXES if not _NO_OBJECT.fullmatch(uid))


def choose(abstract_syntax: str, proposed: list[str]) -> str | None:
    """Return the first proposed transfer syntax that is taken for this class; None if the class is not.

    Raises LookupError if the class is taken and none of its syntaxes.
    """
    if abstract_syntax == VERIFICATION:
        taken = _NATIVE
    elif abstract_syntax in STORAGE:
        taken = TRANSFER_SYNTAXES
    else:
        return None
    for syntax in proposed:
        if syntax in taken:
            return syntax
    raise LookupError
