"""Dates of one patient move alike; constants, nonsense and partial dates do not."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.deid import dates
from groundglass.deid.identifiers import Keys

KEYS = Keys.derive(bytes(range(32)), collection="fidac", centre="A")
DAYS = st.dates(min_value=date(1920, 1, 1), max_value=date(2090, 12, 31)).filter(
    lambda day: dates.format_date(day) not in dates.CONSTANTS
)
TIMES = st.times()


def _moment(day: str, time: str) -> datetime:
    return datetime.strptime(day + time[:6] + (time[6:] or ".0"), "%Y%m%d%H%M%S.%f")  # noqa: DTZ007


def _tm(time: object) -> str:
    return time.strftime("%H%M%S.%f")  # type: ignore[attr-defined]


@given(st.text(max_size=20), st.integers(30, 36_500))
def test_a_shift_is_between_one_and_the_most(person: str, most: int) -> None:
    days = dates.shift_days(KEYS, person.encode(), most=most)
    assert 1 <= days <= most
    assert days == dates.shift_days(KEYS, person.encode(), most=most)


@given(DAYS, DAYS)
def test_intervals_between_dates_are_exact(one: date, two: date) -> None:
    clock = dates.clock("shift", days=1234, study_time="")
    moved = [dates.parse_date(clock.date_alone(dates.format_date(day))) for day in (one, two)]
    assert moved[0] is not None
    assert moved[1] is not None
    assert moved[1] - moved[0] == two - one
    assert one - moved[0] == timedelta(days=1234)


@given(DAYS, TIMES, st.integers(-100_000, 100_000))
def test_rebased_pairs_keep_their_signed_difference_to_a_study_at_noon(day: date, time: object, seconds: int) -> None:
    clock = dates.clock("rebase", days=500, study_time=_tm(time))
    study = datetime.combine(day, time)  # type: ignore[arg-type]
    other = study + timedelta(seconds=seconds)
    moved_study = _moment(*clock.pair(dates.format_date(day), _tm(time)))
    pair = clock.pair(other.strftime("%Y%m%d"), other.strftime("%H%M%S.%f"))
    if other.strftime("%Y%m%d") in dates.CONSTANTS:
        return
    assert moved_study.strftime("%H%M%S") == "120000"
    assert _moment(*pair) - moved_study == other - study


def test_an_acquisition_after_midnight_rolls_the_date() -> None:
    clock = dates.clock("rebase", days=10, study_time="235500")
    assert clock.pair("20200310", "235500") == ("20200229", "120000")
    assert clock.pair("20200311", "001500") == ("20200229", "122000")
    clock = dates.clock("rebase", days=10, study_time="001000")
    assert clock.pair("20200310", "120000") == ("20200229", "235000")
    assert clock.pair("20200310", "131000") == ("20200301", "010000")


def test_times_go_without_a_study_time_and_stay_in_research() -> None:
    assert dates.clock("rebase", days=1, study_time="").pair("20200310", "101500") == ("20200309", "")
    assert dates.clock("shift", days=1, study_time="").pair("20200310", "101500.25") == ("20200309", "101500.250000")


@pytest.mark.parametrize("constant", sorted(dates.CONSTANTS))
@pytest.mark.parametrize("mode", ["rebase", "shift"])
def test_a_constant_is_never_shifted(constant: str, mode: dates.Mode) -> None:
    clock = dates.clock(mode, days=77, study_time="101010")
    assert clock.date_alone(constant) == constant
    assert clock.pair(constant, "101010")[0] == constant
    assert clock.instant(constant + "101010") == constant


@pytest.mark.parametrize(
    "text", ["", "DUPONT", "20201332", "20200230", "2020", "202003", "1234567890123", "2020-03-10"]
)
def test_what_is_not_a_whole_date_is_not_copied(text: str) -> None:
    clock = dates.clock("shift", days=5, study_time="10")
    assert clock.date_alone(text) == ""
    assert clock.pair(text, "101010") == ("", "")
    assert clock.instant(text) == ""


def test_old_forms_are_read_and_written_normally() -> None:
    clock = dates.clock("shift", days=5, study_time="")
    assert clock.pair("2020.03.10", "10:15:20") == ("20200305", "101520")
    assert clock.pair("20200310", "10") == ("20200305", "100000")


def test_offsets_of_a_dt_are_honoured() -> None:
    clock = dates.clock("rebase", days=0, study_time="100000", zone="+0200")
    assert clock.instant("20200310090000+0100") == "20200310120000"
    assert clock.instant("20200310100000") == "20200310120000"
    kept = dates.clock("shift", days=1, study_time="", zone="+0200", keep_zone=True)
    assert kept.instant("20200310090000.5+0100") == "20200309090000.500000+0100"


def test_weeks_and_years() -> None:
    week = dates.clock("week", days=9, study_time="10")
    assert week.pair("20200310", "101010") == ("20200309", "")
    assert dates.clock("year", days=9, study_time="10").instant("20200310101010") == "20200101"


@pytest.mark.parametrize(
    ("age", "birth", "study", "years"),
    [
        ("058Y", "", "", 58), ("058Y", "19000615", "20200101", 58), ("", "19410317", "20200316", 78),
        ("", "19410317", "20200317", 79), ("024M", "", "", 2), ("011M", "", "", 0), ("003D", "", "", 0),
        ("", "", "20200101", None), ("abc", "", "", None), ("", "20210101", "20200101", None),
        ("", "19000101", "20200101", None),
    ],
)  # fmt: skip
def test_ages(age: str, birth: str, study: str, years: int | None) -> None:
    assert dates.age_in_years(age, birth, study) == years


@pytest.mark.parametrize(("years", "band", "text"), [(0, 5, "000Y"), (69, 5, "065Y"), (89, 5, "085Y"), (90, 5, "090Y"),
                                                     (104, 1, "090Y"), (69, 1, "069Y"), (89, 1, "089Y")])  # fmt: skip
def test_age_strings(years: int, band: int, text: str) -> None:
    assert dates.age_string(years, band=band) == text


def test_a_date_before_the_calendar_goes() -> None:
    clock = dates.clock("rebase", days=36_500, study_time="10")
    assert clock.date_alone("00020101") == ""
    assert clock.pair("00020101", "101010") == ("", "")
