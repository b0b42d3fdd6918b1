"""Dates and times of day that can be read in one way only."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["read_moment"]

_MAX_LENGTH = 60
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>[0-9]{4}))?"
_WEEKDAY = r"(?:on\s+)?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?(?:the\s+)?"
_SPELLED = (
    re.compile(rf"{_WEEKDAY}{_MONTH}\s+{_DAY}{_YEAR}"),
    re.compile(rf"{_WEEKDAY}{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}"),
)
_ISO = re.compile(
    r"(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})(?:t00:00(?::00)?z?)?"
)
_SLASHED = re.compile(r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4})")
_TIME = re.compile(
    r"(?:at\s+)?(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?(?::(?P<second>[0-9]{2}))?\s*(?P<half>[ap]\.?m\.?)?"
    r"(?:\s+in the (?P<part>morning|afternoon|evening))?"
)
_DIGIT = re.compile(r"[0-9]")
_LAST_MONTH = 12
_NOON = 12


def read_moment(text: str) -> tuple[str, str] | None:
    """The date or the time of day that a text consists of, behind ``"date"`` or ``"time"``.

    A date as ``2024-03-05``, or ``--03-05`` when it names no year; ``03/05/2024`` can be read in two ways and gives
    ``None``, ``13/05/2024`` and ``05/05/2024`` cannot. A time as ``15:30`` or ``15:30:05``; a bare number is none.
    """
    plain = _prepare(text)
    if not plain:
        return None
    day = _find_date(plain)
    if day is not None:
        return "date", day
    time = _find_time(plain)
    return ("time", time) if time is not None else None


def _find_date(plain: str) -> str | None:
    if len(plain) > _MAX_LENGTH:
        return None
    for pattern in (*_SPELLED, _ISO):
        match = pattern.fullmatch(plain)
        if match:
            month = match["month"]
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
            return _spell(match["year"], number, int(match["day"]))
    match = _SLASHED.fullmatch(plain)
    return _read_slashed(match) if match else None


def _find_time(plain: str) -> str | None:
    match = _TIME.fullmatch(plain)
    if match is None or not (match["minute"] or match["half"]):
        return None
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), match["second"]
    if match["half"]:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + _NOON * match["half"].startswith("p")
    elif match["part"] in {"afternoon", "evening"} and hour < _NOON:
        hour += _NOON
    if hour > 23 or minute > 59 or int(second or 0) > 59:  # noqa: PLR2004 - a clock's own limits
        return None
    return f"{hour:02d}:{minute:02d}" + (f":{second}" if second and int(second) else "")


def _prepare(text: str) -> str:
    """The beginning of a text as it is read, empty where it has no digit: every date and time has one."""
    start = text[: _MAX_LENGTH + 1]
    return " ".join(start.lower().split()).rstrip(".") if _DIGIT.search(start) else ""


def _read_slashed(match: re.Match[str]) -> str | None:
    first, second = int(match["first"]), int(match["second"])
    if first == second or second > _LAST_MONTH:
        return _spell(match["year"], first, second)
    return _spell(match["year"], second, first) if first > _LAST_MONTH else None


def _spell(year: str | None, month: int, day: int) -> str | None:
    """ISO form; ``None`` when there is no such day. A year-less 29 February exists."""
    try:
        found = date(int(year) if year else 2000, month, day)
    except ValueError:
        return None
    return found.isoformat() if year else f"--{month:02d}-{day:02d}"
