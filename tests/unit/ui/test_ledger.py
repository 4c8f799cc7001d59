"""The account as pages show it: sums, parts, and what a gateway may send wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from groundglass.ui.ledger import counts, view

GOOD = {"received": 10, "archived": 4, "quarantined": 3, "duplicates": 2, "pending": 1, "withdrawn": 0}


def test_a_right_account_has_no_gap_and_its_parts_follow_each_other() -> None:
    read = counts({**GOOD, "reasons": {"b": 1, "a": 1, "c": 5}})
    assert read.gap == 0
    assert [(part.start, part.n) for part in read.parts] == [(0, 4), (4, 3), (7, 2), (9, 1), (10, 0)]
    assert read.reasons == (("c", 5), ("a", 1), ("b", 1))


def test_what_is_missing_shows_as_a_gap() -> None:
    assert counts({**GOOD, "archived": 1}).gap == 3
    assert counts({**GOOD, "archived": 5}).gap == -1


def test_senders_are_by_name() -> None:
    assert [s.name for s in view({"total": GOOD, "senders": {"B": GOOD, "A": GOOD}}).senders] == ["A", "B"]


NAMES = st.sampled_from(["total", "senders", "reasons", "received"])
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["total", "senders", "x"]), json))
def test_no_json_of_a_gateway_breaks_the_page(ledger: dict[str, object]) -> None:
    read = view(ledger)
    for one in (read.total, *(sender.counts for sender in read.senders)):
        assert one.received >= 0
        assert all(part.n >= 0 for part in one.parts)
