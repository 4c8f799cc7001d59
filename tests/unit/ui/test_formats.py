"""Numbers and times as reference/look.md writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from groundglass.ui import formats

NARROW, WIDE = "\u202f", "\u00a0"


def test_numbers() -> None:
    assert formats.number(16762, "fr") == f"16{NARROW}762"
    assert formats.number(16762, "en") == "16,762"
    assert formats.number(1234567.891, "fr", digits=2) == f"1{NARROW}234{NARROW}567,89"
    assert formats.number(-3, "fr") == "−3"
    assert formats.number(0, "en") == "0"


def test_percentages() -> None:
    assert formats.percent(0.372, "fr") == f"37,2{NARROW}%"
    assert formats.percent(0.372, "en") == "37.2%"


@pytest.mark.parametrize(
    ("n_bytes", "french"),
    [
        (0, "0 octets"),
        (999, "999 octets"),
        (1000, "1,0 ko"),
        (524_288, "524,3 ko"),
        (999_949, "999,9 ko"),
        (999_950, "1,0 Mo"),
        (3_400_000_000_000, "3,4 To"),
        (10**19, f"10{NARROW}000,0 Po"),
    ],
)
def test_sizes(n_bytes: int, french: str) -> None:
    head, _, unit = french.rpartition(" ")
    assert formats.size(n_bytes, "fr") == f"{head}{WIDE}{unit}"


def test_english_sizes() -> None:
    assert formats.size(524_288, "en") == f"524.3{WIDE}kB"


def test_days() -> None:
    assert formats.day(date(2020, 4, 1), "fr") == f"1er{WIDE}avril 2020"
    assert formats.day(date(2020, 8, 21), "fr") == f"21{WIDE}août 2020"
    assert formats.day(date(2020, 4, 1), "en") == f"1{WIDE}April 2020"


def test_short_forms_for_tables() -> None:
    assert formats.short_day(date(2020, 4, 1), "fr") == "01/04/2020"
    assert formats.short_day(date(2020, 4, 1), "en") == f"1{WIDE}Apr{WIDE}2020"
    assert formats.short_moment(datetime(2020, 4, 1, 22, 5, tzinfo=UTC), "fr") == f"02/04/2020{WIDE}00:05"


def test_moments_are_of_paris() -> None:
    summer = datetime(2020, 4, 1, 22, 5, tzinfo=UTC)
    assert formats.moment(summer, "fr") == f"2{WIDE}avril 2020 à 0{WIDE}h{WIDE}05"
    assert formats.moment(datetime(2020, 1, 1, 12, 5, tzinfo=UTC), "en") == f"1{WIDE}January 2020, 13:05"


@pytest.mark.parametrize(
    ("seconds", "french", "english"),
    [
        (-5, "0 s", "0 s"),
        (59, "59 s", "59 s"),
        (60, "1 min", "1 min"),
        (7199, "1 h", "1 h"),
        (86400, "1 jour", "1 day"),
    ],
)
def test_spans(seconds: int, french: str, english: str) -> None:
    assert formats.span(timedelta(seconds=seconds), "fr") == french.replace(" ", WIDE)
    assert formats.span(timedelta(seconds=seconds), "en") == english.replace(" ", WIDE)
    assert formats.span(timedelta(days=3), "fr") == f"3{WIDE}jours"
