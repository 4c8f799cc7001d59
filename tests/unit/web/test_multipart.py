"""Parts of packages: whatever the ranges and however they are read, the bytes are those."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.web.dicomweb import multipart
from groundglass.web.dicomweb.multipart import Part

PACKAGE = bytes(n * n % 251 for n in range(4000))


class Store:
    """A package that is read in blocks; counts the reads."""

    def __init__(self, block: int, size: int = len(PACKAGE)) -> None:
        self.block, self.size, self.opened = block, size, 0

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        self.opened += 1
        end = min(offset + length, self.size)
        yield from (PACKAGE[at : min(at + self.block, end)] for at in range(offset, end, self.block))


def joined(parts: list[Part]) -> bytes:
    heads = [b"<%d>" % n for n in range(len(parts))]
    return b"".join(piece for pieces in multipart.body(heads, parts, b"<end>") for piece in pieces)


def part(read: multipart.Open, *ranges: tuple[int, int]) -> Part:
    return Part("application/dicom", "/x", "tag", read, ranges)


RANGES = st.tuples(st.integers(0, 3000), st.integers(0, 900))


@given(
    st.lists(st.lists(RANGES, min_size=1, max_size=3), min_size=1, max_size=6),
    st.integers(1, 2000),
    st.integers(0, 500),
)
def test_the_bytes_of_any_ranges(wanted: list[list[tuple[int, int]]], block: int, gap: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "_BLOCK", 700)
        patch.setattr(multipart, "_WIDEST_GAP", gap)
        read = Store(block).read
        expected = b"".join(
            b"<%d>" % n + b"".join(PACKAGE[offset : offset + length] for offset, length in ranges)
            for n, ranges in enumerate(wanted)
        )
        assert joined([part(read, *ranges) for ranges in wanted]) == expected + b"<end>"


def test_a_series_is_read_in_one_pass():
    store = Store(100)
    read = store.read
    joined([part(read, (offset, 150)) for offset in range(30, 3900, 190)])
    assert store.opened == 1


def test_two_packages_are_read_one_after_the_other():
    first, second = Store(100), Store(100)
    one, two = first.read, second.read
    found = joined([part(one, (0, 300)), part(one, (310, 20)), part(two, (5, 300))])
    assert found == b"<0>" + PACKAGE[:300] + b"<1>" + PACKAGE[310:330] + b"<2>" + PACKAGE[5:305] + b"<end>"
    assert (first.opened, second.opened) == (1, 1)


def test_what_lies_far_apart_is_not_read_between():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "_WIDEST_GAP", 10)
        store = Store(100)
        read = store.read
        joined([part(read, (0, 10)), part(read, (2000, 10)), part(read, (2015, 10))])
    assert store.opened == 2


def test_a_package_that_ends_early_breaks_the_answer_off():
    with pytest.raises(OSError, match="ends before"):
        joined([part(Store(100, size=500).read, (0, 600))])
