"""Promise 1: what was acknowledged is never lost. SIGKILL at every step, and the archive is as if undisturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from groundglass.demo import phantom, variants
from groundglass.demo.elements import Part10
from support.crash import must_be_as_undisturbed, packages, send_until_taken, settings
from support.stack import Stack

# Each step of registry.md 14 that exists.
FAIL_POINTS = (
    "spool-written",
    "segment-synced",
    "settled",
    "deid-done",
    "verify-done",
    "package-put",
    "manifest-put",
    "inbox-put",
    "inbox-before-commit",
    "index-written",
    "effect-inserted",
    "before-commit",
    "after-commit-before-ack",
    "push-sent",
    "receipt-stored",
    "gateway-delete",
)
ARCHIVED = 15


def files() -> list[Part10]:
    """Two series of one person, and a localiser that is held back."""
    first = list(phantom.objects(1, slices=8, rows=64, columns=64, patient=1, study=1))
    second = list(phantom.objects(2, slices=7, rows=64, columns=64, patient=1, study=1))
    return [*first, *second, variants.localizer(second[0])]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    with Stack(folder, settings(folder)) as stack:
        successes = send_until_taken(stack, files())
        assert stack.wait_quiet(successes)["total"]["archived"] == ARCHIVED
        yield packages(stack)


@pytest.mark.parametrize("failpoint", FAIL_POINTS)
def test_killed_at(failpoint: str, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    with Stack(tmp_path, settings(tmp_path, GROUNDGLASS_FAILPOINT=failpoint)) as stack:
        successes = send_until_taken(stack, files())
        must_be_as_undisturbed(stack, successes, archived=ARCHIVED, undisturbed=undisturbed)
        assert stack.events("child-ended") or stack.events("child-replaced"), "nothing died: the step is not passed"


@pytest.mark.soak
@pytest.mark.parametrize("nth", range(1, 21))
@pytest.mark.parametrize("failpoint", FAIL_POINTS)
def test_killed_at_the_nth_pass(failpoint: str, nth: int, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    with Stack(tmp_path, settings(tmp_path, GROUNDGLASS_FAILPOINT=f"{failpoint}:{nth}")) as stack:
        successes = send_until_taken(stack, files())
        must_be_as_undisturbed(stack, successes, archived=ARCHIVED, undisturbed=undisturbed)
