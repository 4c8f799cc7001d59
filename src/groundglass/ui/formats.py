"""Numbers, sizes and times as a French or a British reader writes them (reference/look.md)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from groundglass.ui.language import Language

NARROW: Final = "\u202f"  # narrow no-break space, the French separator of thousands
NO_BREAK: Final = "\u00a0"
_MONTHS: Final[dict[Language, str]] = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
}
_UNITS: Final[dict[Language, tuple[str, ...]]] = {
    "fr": ("octets", "ko", "Mo", "Go", "To", "Po"),
    "en": ("bytes", "kB", "MB", "GB", "TB", "PB"),
}


def number(value: float, language: Language, *, digits: int = 0) -> str:
    """16 762 or 16,762; `digits` decimals."""
    plain = f"{value:,.{digits}f}"
    if language == "fr":
        return plain.replace(",", NARROW).replace(".", ",").replace("-", "−")
    return plain.replace("-", "−")


def percent(ratio: float, language: Language, *, digits: int = 1) -> str:
    """0.372 becomes 37,2 % or 37.2%."""
    shown = number(ratio * 100, language, digits=digits)
    return f"{shown}{NARROW}%" if language == "fr" else f"{shown}%"


def size(n_bytes: int, language: Language) -> str:
    """Bytes in the decimal unit that leaves one to three digits before the comma: 3,4 To or 3.4 TB."""
    value = float(n_bytes)
    units = _UNITS[language]
    step = 0
    # 999.95 would be shown as 1000.0: it belongs to the next unit.
    while value >= (1000 if step == 0 else 999.95) and step < len(units) - 1:
        value /= 1000
        step += 1
    return f"{number(value, language, digits=1 if step else 0)}{NO_BREAK}{units[step]}"


def day(value: date, language: Language) -> str:
    """1er avril 2020, or 1 April 2020."""
    month = _MONTHS[language].split()[value.month - 1]
    ordinal = "1er" if value.day == 1 and language == "fr" else str(value.day)
    return f"{ordinal}{NO_BREAK}{month} {value.year}"


def moment(value: datetime, language: Language) -> str:
    """An instant to the minute, in Paris: 1er avril 2020 à 14 h 05, or 1 April 2020, 14:05."""
    local = value.astimezone(_paris())
    if language == "fr":
        return f"{day(local, language)} à {local.hour}{NO_BREAK}h{NO_BREAK}{local.minute:02}"
    return f"{day(local, language)}, {local:%H:%M}"


def short_day(value: date, language: Language) -> str:
    """For tables: 01/04/2020, or 1 Apr 2020, which nobody reads as 4 January."""
    if language == "fr":
        return f"{value:%d/%m/%Y}"
    return f"{value.day}{NO_BREAK}{_MONTHS[language].split()[value.month - 1][:3]}{NO_BREAK}{value.year}"


def short_moment(value: datetime, language: Language) -> str:
    """For tables, in Paris: 01/04/2020 14:05, or 1 Apr 2020 14:05."""
    local = value.astimezone(_paris())
    return f"{short_day(local, language)}{NO_BREAK}{local:%H:%M}"


def span(value: timedelta, language: Language) -> str:
    """A length of time in its largest unit: 3 min, 2 h, 5 jours."""
    seconds = max(0, int(value.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if (n := seconds // length) >= 1:
            if unit == "d":
                unit = ("jour" if language == "fr" else "day") + ("s" if n > 1 else "")
            return f"{number(n, language)}{NO_BREAK}{unit}"
    return f"{seconds}{NO_BREAK}s"


@cache
def _paris() -> tzinfo:
    try:
        return ZoneInfo("Europe/Paris")
    except ZoneInfoNotFoundError:  # a minimal container without tzdata
        return UTC
