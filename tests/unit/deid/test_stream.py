"""The walker: every encoding of the same data set is the same, nothing that is not DICOM gets through as such."""

from __future__ import annotations

import contextlib
import dataclasses
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.deid import encoding, nesting, stream
from groundglass.demo import headers, phantom
from groundglass.demo.elements import Element, Part10, Writing

TAGS = (0x00080016, 0x00080018, 0x00081140, 0x0020000D)
KINDS = dict.fromkeys(TAGS, stream.KEEP)
PLAIN, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def _walker(*, implicit: bool = False) -> stream.Walker:
    return stream.Walker(KINDS, frozenset({0x00100010, 0x00101002}), implicit=implicit)


def _body(elements: list[Element], writing: Writing) -> tuple[bytes, int]:
    data = Part10(tuple(elements), writing, pixels=b"\1\2").to_bytes()
    start = 132
    while data[start : start + 2] == b"\2\0":
        start = sum(encoding.value_at(data, start, False))
    return data, start


def _leaf() -> st.SearchStrategy[Element]:
    return st.builds(
        Element,
        st.sampled_from((0x00080060, 0x00081150, 0x00091001, 0x00100010, 0x00100020, 0x0040A160)),
        st.sampled_from(("LO", "PN", "UT", "SH")),
        st.text("AB^é", max_size=9),
    )


def _tree() -> st.SearchStrategy[Element]:
    unique = {"unique_by": lambda element: element.tag, "max_size": 3}
    return st.recursive(
        _leaf(),
        lambda inner: st.builds(
            Element,
            st.sampled_from((0x00081140, 0x00400275, 0x00991001, 0x00101002)),
            st.just("SQ"),
            st.lists(st.lists(inner, **unique).map(tuple), max_size=3).map(tuple),
        ),
        max_leaves=12,
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(_tree(), unique_by=lambda element: element.tag, max_size=5),
    st.booleans(),
    st.sampled_from([PLAIN, IMPLICIT]),
)
def test_a_walk_ends_at_the_pixels_in_every_encoding(elements: list[Element], undefined: bool, syntax: str) -> None:
    writing = Writing(syntax=syntax, undefined_lengths=undefined)
    elements = sorted(elements, key=lambda element: element.tag)
    data, start = _body(elements, writing)
    walker = _walker(implicit=syntax == IMPLICIT)
    first, again = walker.walk(data, start), walker.walk(data, start)
    assert first == again
    assert data[first.pixels : first.pixels + first.length] == b"\1\2"
    assert first.tags == [element.tag for element in elements if element.tag in TAGS]
    assert first.tags == [encoding.value_of(raw, syntax == IMPLICIT)[0] for raw in first.kept]


def test_identity_inside_sequences_is_seen_at_every_depth_and_encoding() -> None:
    inner = Element(0x00991001, "SQ", ((Element(0x00100010, "PN", "DUPONT^A"),),))
    outer = Element(0x00991001, "SQ", ((Element(0x00991001, "SQ", ((inner,),)),),))
    for undefined in (False, True):
        data, start = _body([outer], Writing(undefined_lengths=undefined))
        marks = _walker().walk(data, start).marks
        assert [value for mark in marks for _, value in mark] == [b"DUPONT^A"]


def test_every_shortening_asks_for_more_and_nothing_else() -> None:
    data = headers.ct(headers.exam(1, slices=1, rows=4, columns=4), 0, bytes(32)).to_bytes()
    start = 132
    while data[start : start + 2] == b"\2\0":
        start = sum(encoding.value_at(data, start, False))
    whole = _walker().walk(data, start)
    for end in range(start, whole.pixels):
        with pytest.raises(encoding.ShortError) as short:
            _walker().walk(data[:end], start)
        assert end < short.value.wanted <= len(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_end_in_one_of_three_ways(data: bytes, implicit: bool) -> None:
    with contextlib.suppress(encoding.MalformedError, encoding.ShortError, encoding.TooLargeError):
        _walker(implicit=implicit).walk(data, 0)


def test_depth_is_limited_without_recursion() -> None:
    nested = struct.pack("<HH2sHI", 0x0099, 0x1001, b"SQ", 0, encoding.UNDEFINED) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, encoding.UNDEFINED
    )
    with pytest.raises(encoding.TooLargeError):
        _walker().walk(nested * 5000, 0)


def test_a_hundred_thousand_elements_are_the_most() -> None:
    element = struct.pack("<HH2sH", 0x0009, 0x1001, b"SH", 0)
    with pytest.raises(encoding.TooLargeError):
        _walker().walk(element * 100_001, 0)


def test_a_value_longer_than_its_sequence_is_malformed() -> None:
    inner = struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", 900) + b"x" * 900
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 20) + inner
    data = struct.pack("<HH2sHI", 0x0099, 0x1001, b"SQ", 0, 28) + item
    with pytest.raises(encoding.MalformedError):
        _walker().walk(data, 0)


def test_delimiter_bytes_inside_a_value_end_nothing() -> None:
    tricky = b"\xfe\xff\xdd\xe0\0\0\0\0"
    item = (Element(0x00991002, "UN", tricky), Element(0x00100010, "PN", "DUPONT"))
    data, start = _body([Element(0x00991001, "SQ", (item,))], Writing(undefined_lengths=True))
    found = _walker().walk(data, start)
    assert found.length == 2
    assert ((0x00100010, b"DUPONT"),) in found.marks


def test_items_come_back_as_written() -> None:
    item = (Element(0x00080100, "SH", "A1"), Element(0x00080102, "SH", "DCM "))
    for undefined in (False, True):
        writing = Writing(undefined_lengths=undefined)
        data, start = _body([Element(0x00081140, "SQ", (item, item))], writing)
        raw = _walker().walk(data, start).kept[0]
        items = nesting.items(encoding.value_of(raw, False)[2], False)
        assert [[(tag, value) for tag, _, value, _ in one] for one in items] == [
            [(0x00080100, b"A1"), (0x00080102, b"DCM ")]
        ] * 2


def test_real_shapes_walk_the_same_twice() -> None:
    for maker in ("ge", "siemens", "philips", "canon"):
        file = next(phantom.objects(3, slices=1, rows=8, columns=8, maker=maker))
        for undefined in (False, True):
            writing = dataclasses.replace(file.writing, undefined_lengths=undefined)
            data = dataclasses.replace(file, writing=writing).to_bytes()
            start = 132
            while data[start : start + 2] == b"\2\0":
                start = sum(encoding.value_at(data, start, False))
            walker = _walker(implicit=writing.syntax == IMPLICIT)
            assert walker.walk(data, start) == walker.walk(data, start)


def test_what_was_learned_changes_nothing() -> None:
    """Runs of elements that stay the same are taken together; a fresh walker gives the same for every header."""
    files = []
    for maker in ("ge", "siemens", "canon"):
        files += list(phantom.series(3, slices=6, rows=8, columns=8, maker=maker))  # type: ignore[arg-type]
    files = files * 2 + files[::-1] + files[::3]
    kinds = dict.fromkeys((0x00080018, 0x00181151, 0x00200013, 0x00200032, 0x00081140), stream.KEEP)
    kinds |= {0x00100010: stream.MARK, 0x00080020: stream.BOTH}
    learned = stream.Walker(kinds, frozenset({0x00100010}), implicit=False)
    for data in files:
        start = _start(data)
        if data.find(IMPLICIT.encode() + b"\0\2\0") > 0:
            continue
        fresh = stream.Walker(kinds, frozenset({0x00100010}), implicit=False)
        assert learned.walk(data, start) == fresh.walk(data, start)
    assert learned._runs
    assert max(len(run.raw) for run in learned._runs.values()) > 200
    damaged = bytearray(files[0])
    damaged[files[0].find(b"\x10\0\x10\0PN") + 8] ^= 1
    fresh = stream.Walker(kinds, frozenset({0x00100010}), implicit=False)
    assert learned.walk(bytes(damaged), _start(files[0])) == fresh.walk(bytes(damaged), _start(files[0]))


def _start(data: bytes) -> int:
    start = 132
    while data[start : start + 2] == b"\2\0":
        start = sum(encoding.value_at(data, start, False))
    return start
