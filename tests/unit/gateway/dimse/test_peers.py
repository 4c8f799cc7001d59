"""Who makes room for whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from groundglass.gateway.dimse.peers import MAX_WAITING, Peers


@dataclass(eq=False)
class Knocker:
    address: str
    cuts: list[bool] = field(default_factory=list)

    def cut(self) -> None:
        self.cuts.append(True)


def test_the_oldest_of_the_most_numerous_address_is_turned_out() -> None:
    peers = Peers(associations=4, per_address=2)
    honest = Knocker("10.0.0.1")
    peers.enter(honest)
    flood = [Knocker("10.0.0.9") for _ in range(MAX_WAITING + 10)]
    for one in flood:
        peers.enter(one)
    assert [bool(one.cuts) for one in flood] == [True] * 11 + [False] * (MAX_WAITING - 1)
    assert not honest.cuts
    assert peers.admit(honest)


def test_associations_are_counted_in_all_and_by_address() -> None:
    peers = Peers(associations=3, per_address=2)
    first = [Knocker("10.0.0.1") for _ in range(3)]
    others = [Knocker("10.0.0.2"), Knocker("10.0.0.3")]
    for one in [*first, *others]:
        peers.enter(one)
    assert [peers.admit(one) for one in first] == [True, True, False]
    assert [peers.admit(one) for one in others] == [True, False]
    peers.leave(first[0])
    assert peers.admit(others[1])


def test_at_the_end_everyone_is_cut() -> None:
    peers = Peers(associations=3, per_address=2)
    waiting, admitted, gone = Knocker("a"), Knocker("b"), Knocker("c")
    for one in (waiting, admitted, gone):
        peers.enter(one)
    peers.admit(admitted)
    peers.leave(gone)
    peers.cut_all()
    assert (len(waiting.cuts), len(admitted.cuts), len(gone.cuts)) == (1, 1, 0)
