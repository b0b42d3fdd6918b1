"""Days and years, rewritten in one notation: ISO dates, dates in figures, feasts, "'82", "nineteen twenties"."""

from __future__ import annotations

import re

__all__ = ["fold_days"]

_FEASTS = {
    "boxing": ("Boxing Day", "26 December"), "eve": ("(?:New Year['’]?s|NY) Eve", "31 December"),
    "year": ("New Year['’]?s Day", "1 January"), "year's": ("New Year['’]?s Day", "1 January"),
    "christmas": ("Christmas Day", "25 December"), "valentine's": ("Valentine['’]?s Day", "14 February"),
    "valentines": ("Valentine['’]?s Day", "14 February"), "patrick's": ("St\\.? Patrick['’]?s Day", "17 March"),
    "bastille": ("Bastille Day", "14 July"), "fools": ("April Fool(?:s|['’]s|s['’]) Day", "1 April"),
    "fool's": ("April Fool(?:s|['’]s|s['’]) Day", "1 April"),
}  # fmt: skip
_FEAST_DATES = {word: (re.compile(rf"\b{name}\b", re.IGNORECASE), date) for word, (name, date) in _FEASTS.items()}
_CHRISTMAS_EVE = re.compile(r"\bChristmas Eve\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\w)['’](\d\d)\b(?!['’])")
_DECADE = re.compile(
    r"\b(eighteen|nineteen)[ -](twenties|thirties|forties|fifties|sixties|seventies|eighties|nineties)\b", re.IGNORECASE
)
_FIGURED_DATE = re.compile(r"(?<![\d./])(\d{1,2})([./])(\d{1,2})\2((?:1[6-9]|20)\d\d)(?![\d./]\d)")
_DECADES = {
    "twenties": 2, "thirties": 3, "forties": 4, "fifties": 5, "sixties": 6, "seventies": 7, "eighties": 8,
    "nineties": 9,
}  # fmt: skip
_THIS_CENTURY = 30
_DOZEN = 12
_ISO_DATE = re.compile(r"\b((?:19|20)\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def fold_days(text: str, bag: frozenset[str]) -> str:
    """The text with days as "5 March 2024" and years in four figures.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    for word in bag & _FEAST_DATES.keys():
        pattern, date = _FEAST_DATES[word]
        text = pattern.sub(date, text)
    if "eve" in bag:
        text = _CHRISTMAS_EVE.sub("24 December", text)
    if "-" in text:
        text = _ISO_DATE.sub(lambda m: f"{int(m[3])} {_MONTHS[int(m[2]) - 1]} {m[1]}", text)
    if "'" in text or "’" in text:
        text = _YEAR.sub(lambda m: f"{20 if int(m[1]) < _THIS_CENTURY else 19}{m[1]}", text)
    if "." in text or "/" in text:
        text = _FIGURED_DATE.sub(_fold_date, text)
    if "teen" in text:
        text = _DECADE.sub(lambda m: f"{18 if m[1].lower() == 'eighteen' else 19}{_DECADES[m[2].lower()]}0s", text)
    return text


def _fold_date(match: re.Match[str]) -> str:
    """A date in figures, where it is clear which of them is the month: dots put the day first."""
    first, sign, second, year = int(match[1]), match[2], int(match[3]), match[4]
    if sign == "/" and first <= _DOZEN and second <= _DOZEN and first != second:
        return match[0]
    day, month = (second, first) if sign == "/" and second > _DOZEN else (first, second)
    if not (1 <= month <= _DOZEN and 1 <= day <= 31):  # noqa: PLR2004 - the longest month
        return match[0]
    return f"{day} {_MONTHS[month - 1]} {year}"
