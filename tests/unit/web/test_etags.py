"""Conditional and partial requests by their headers alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from groundglass.web.etags import RangeNotSatisfiableError, accepts_gzip, byte_range, cached


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": b"", "path": "/", "method": "GET"})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=0-100", (0, 100)),
        ("bytes=99-", (99, 1)),
        ("bytes=-1", (99, 1)),
        ("bytes=-1000", (0, 100)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,2-3", None),
        ("Bytes=0-1", None),
        ("bytes = 0-1", None),
        ("bytes=\u00b2-", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_ranges_of_a_hundred_bytes(asked: str, expected: tuple[int, int] | None):
    assert byte_range(request(range=asked), "tag", 100) == expected


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_beyond_a_hundred_bytes(asked: str):
    with pytest.raises(RangeNotSatisfiableError):
        byte_range(request(range=asked), "tag", 100)


@given(st.integers(0, 300), st.integers(0, 300) | st.none())
def test_a_range_is_what_a_slice_is(first: int, last: int | None):
    data = bytes(200)
    try:
        found = byte_range(request(range=f"bytes={first}-{'' if last is None else last}"), "tag", len(data))
    except RangeNotSatisfiableError:
        assert first >= len(data)
        return
    if last is not None and last < first:
        assert found is None
        return
    assert found == (first, len(data[first : None if last is None else last + 1]))


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_text_is_a_range_or_none(text: str):
    try:
        found = byte_range(request(range=text), "tag", 100)
    except RangeNotSatisfiableError:
        return
    assert found is None or 0 <= found[0] < found[0] + found[1] <= 100


def test_the_version_that_the_client_has():
    assert cached(request(if_none_match='"a", W/"b"'), "b") is not None
    assert cached(request(if_none_match="*"), "b") is not None
    assert cached(request(if_none_match="b"), "b") is None
    assert cached(request(), "b") is None
    assert cached(request(if_none_match='"x",' * 5000 + '"b"'), "b") is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip ; q=1.0", True),
        ("", False),
        ("identity", False),
        ("notgzip", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
    ],
)
def test_who_takes_gzip(header: str, expected: bool):
    assert accepts_gzip(request(accept_encoding=header)) is expected
