"""What crash tests share: a sender that does not give up, and what must hold in the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from groundglass.demo import sender
from groundglass.demo.elements import Part10
from support.archive import Archive
from support.sending import outgoing, peer
from support.stack import Stack

KEY = "5a" * 32
GIVE_UP_SECONDS = 120.0


def settings(folder: Path, **more: str) -> dict[str, str]:
    """Return the settings of a stack whose key is fixed, so that its packages can be compared byte by byte."""
    key = folder / "key"
    key.write_text(KEY)
    return {"GROUNDGLASS_GATEWAY__KEY_FILE": str(key), **more}


def send_until_taken(stack: Stack, files: Sequence[Part10], *, calling: str = "SENDER") -> int:
    """Send as a PACS does: what was not answered with success is sent again. Return how many successes were seen."""
    left, successes = [outgoing(file) for file in files], 0
    pairs = sorted({(one.sop_class_uid, one.transfer_syntax_uid) for one in left})
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while left:
        assert time.monotonic() < deadline, f"{len(left)} instances were never taken"
        try:
            with sender.Association(peer(stack, calling=calling), pairs) as association:
                while left and association.store(left[0]) == 0:
                    successes += 1
                    left.pop(0)
        except (sender.SendError, OSError, AssertionError):
            time.sleep(0.02)  # no door at the moment
    return successes


def packages(stack: Stack) -> dict[str, str]:
    """Return the hash of the current package of every series, by the series' UID."""
    with stack.client("curator") as client:
        archive = Archive(client)
        return {one.uid: hashlib.sha256(archive.package(one).content).hexdigest() for one in archive.series()}


def must_be_as_undisturbed(stack: Stack, successes: int, *, archived: int, undisturbed: dict[str, str]) -> None:
    """What was acknowledged is archived exactly once, the ledger balances, the bytes are the same."""
    counts = stack.wait_quiet(successes)["total"]
    assert counts["archived"] == archived, counts
    assert counts["received"] >= successes
    assert counts["pending"] == counts["withdrawn"] == 0
    assert counts["received"] == counts["archived"] + counts["quarantined"] + counts["duplicates"]
    assert packages(stack) == undisturbed
    assert stack.run("audit", "verify").returncode == 0
    outbox = stack.data / "gateway" / "outbox"
    until_gone(lambda: not list(outbox.glob("*.zip")))


def until_gone(condition: Callable[[], bool]) -> None:
    """Wait for what follows a commit."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
