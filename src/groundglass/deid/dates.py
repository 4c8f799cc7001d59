"""Dates and times: parse tolerantly, move every instant of one patient alike, write normally.

A date with its time is one instant, so an acquisition after midnight rolls the date too.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

from groundglass.deid.identifiers import Keys

Mode = Literal["rebase", "shift", "week", "year"]

# Publicly known fillers: one of them, shifted, would give the shift away. They carry nothing and stay.
CONSTANTS = frozenset({"00010101", "18581117", "19000101", "19700101", "99991231"})
_DA = re.compile(r"(\d{4})(\d\d)(\d\d)|(\d{4})\.(\d\d)\.(\d\d)")
_TM = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?")
_DT = re.compile(r"(\d{8})(\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?)?([+-]\d{4})?")
_NOON = timedelta(hours=12)


def parse_date(text: str) -> date | None:
    """A DA, also in the old form YYYY.MM.DD; None when it is not a date."""
    found = _DA.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups() if part is not None)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def parse_time(text: str) -> timedelta | None:
    """A TM since midnight, also with colons or cut short; None when it is not a time."""
    found = _TM.fullmatch(text.strip(" \0"))
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    fraction = int((found[4] or "0").ljust(6, "0"))
    return timedelta(hours=hours, minutes=minutes, seconds=min(seconds, 59), microseconds=fraction)


def format_date(day: date) -> str:
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def format_time(since_midnight: timedelta) -> str:
    """A TM from the part of a day in `since_midnight`; microseconds only where there are some."""
    seconds, fraction = since_midnight.seconds, since_midnight.microseconds
    text = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"
    return f"{text}.{fraction:06d}" if fraction else text


def shift_days(keys: Keys, person: bytes, *, most: int) -> int:
    """How many whole days this person's dates go into the past: 1 to `most`, never 0."""
    return 1 + int.from_bytes(hmac.digest(keys.date, person, "sha256")[:8], "big") % most


@dataclass(frozen=True, slots=True)
class Clock:
    """How the dates of one patient's study move. `days` are subtracted; `turn` is added to instants with a time.

    `turn` is None where times do not survive. `zone` is the study's offset from UTC, `keep_zone` whether it shows.
    """

    mode: Mode
    days: int
    turn: timedelta | None
    zone: timedelta | None = None
    keep_zone: bool = False

    def date_alone(self, text: str) -> str:
        """Move a DA that has no time. Empty when it is not a date."""
        stripped = text.strip(" \0")
        if stripped in CONSTANTS:
            return stripped
        day = parse_date(stripped)
        return "" if day is None else self._moved(day)

    def pair(self, da: str, tm: str) -> tuple[str, str]:
        """Move one instant. Either half is empty when it does not survive."""
        time = parse_time(tm)
        if time is None or self.turn is None or da.strip(" \0") in CONSTANTS:
            return self.date_alone(da), ""
        moved = time + self.turn
        day = _day_after(da, moved.days - self.days)
        return (day, format_time(moved)) if day else ("", "")

    def instant(self, text: str) -> str:
        """Move a DT. One without its day cannot be moved and goes; its offset from UTC is honoured."""
        found = _DT.fullmatch(text.strip(" \0"))
        if found is None:
            return ""
        if found[2] is None or self.turn is None:
            return self.date_alone(found[1])
        time = parse_time(found[2])
        if time is None or found[1] in CONSTANTS:
            return self.date_alone(found[1])
        if found[3] and not self.keep_zone and self.zone is not None:
            time += self.zone - parse_zone(found[3])
        moved = time + self.turn
        day = _day_after(found[1], moved.days - self.days)
        if not day:
            return ""
        return day + format_time(moved) + (found[3] if found[3] and self.keep_zone else "")

    def _moved(self, day: date) -> str:
        if self.mode == "week":
            return format_date(day - timedelta(days=day.weekday()))
        if self.mode == "year":
            return f"{day.year:04d}0101"
        return _day_after(format_date(day), -self.days)


@lru_cache(maxsize=4096)
def _day_after(da: str, days: int) -> str:
    """The DA so many days later; empty when `da` is not a date or the result is before the calendar."""
    day = parse_date(da)
    try:
        return "" if day is None else format_date(day + timedelta(days=days))
    except OverflowError:
        return ""


def is_zone(text: str) -> bool:
    """An offset `+HHMM` from UTC that exists."""
    return re.fullmatch(r"[+-](?:0\d|1[0-4])[0-5]\d", text) is not None


def parse_zone(text: str) -> timedelta:
    """An offset `+HHMM` from UTC; zero when it is not one."""
    if not is_zone(text):
        return timedelta(0)
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:]))
    return -offset if text[0] == "-" else offset


def clock(mode: Mode, *, days: int, study_time: str, zone: str = "", keep_zone: bool = False) -> Clock:
    """The clock of a study. In `rebase` its StudyTime becomes noon; without one, times do not survive."""
    turn: timedelta | None = None
    if mode == "shift":
        turn = timedelta(0)
    elif mode == "rebase":
        started = parse_time(study_time)
        turn = None if started is None else _NOON - started
    offset = parse_zone(zone) if zone.strip(" \0") else None
    return Clock(mode, days, turn, offset, keep_zone and mode == "shift")


def age_in_years(age: str, birth: str, study: str) -> int | None:
    """Whole years from a PatientAge, otherwise from birth to study; None when neither tells."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", age.strip(" \0").upper())
    if found is not None:
        per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[found[2]]
        return int(int(found[1]) / per_year)
    born, seen = parse_date(birth), parse_date(study)
    if born is None or seen is None or born > seen or birth.strip(" \0") in CONSTANTS:
        return None
    return seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))


def age_string(years: int, *, band: int) -> str:
    """An AS: the lower bound of the band of `band` years; 90 and over are one group."""
    return "090Y" if years >= 90 else f"{years // band * band:03d}Y"
