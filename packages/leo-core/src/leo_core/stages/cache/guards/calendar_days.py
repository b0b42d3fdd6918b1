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
_MONTH = (
    r"(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH}\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d|\s?[ap]\.?m\b)", re.IGNORECASE
)
_DAY_FIRST = re.compile(rf"\b(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b\.?(?= |[,?!]|$)", re.IGNORECASE)
_MONTH_WORDS = frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec""".split()  # noqa: SIM905 - words read better as a text
)
_WEEKDAY = re.compile(
    r"\b(last|next|this|on|every|since|until|by|coming) (sun|mon|tues?|wed|thu(?:rs?)?|fri|sat)\b(?!['’-])",
    re.IGNORECASE,
)
_WEEKDAYS = {
    "sun": "Sunday", "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday",
}  # fmt: skip
_QUARTER = re.compile(
    r"\b(first|second|third|fourth|1st|2nd|3rd|4th) (?:fiscal )?quarter\b"
    r"(?! (?:finals?|note|mile|pounder|of (?:a|an|one|this|the (?!year)))\b)",
    re.IGNORECASE,
)
_QUARTERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_HUNDREDS = re.compile(r"(?<!late )(?<!early )\b(1[1-8])00s\b", re.IGNORECASE)
_SPAN = re.compile(r"\b(last|past|next|previous) (decade|century)\b", re.IGNORECASE)
_EXPIRY = re.compile(r"(?<![\d/])(0[1-9]|1[0-2])/(\d\d)(?![\d/])")
_EXPIRING = frozenset("expire expires expired expiring expiry exp valid card cards".split())  # noqa: SIM905 - words read better as a text
_TWO_DAYS = re.compile(r"\b(?:two|2) days ago\b", re.IGNORECASE)
_IN_TWO_DAYS = re.compile(r"\bin (?:two|2) days(?:['’] time)?\b", re.IGNORECASE)
_PART_OF = re.compile(
    rf"\b(?:at |in |from )?the (start|beginning|end) of (?:the )?(?={_MONTH}\b|week\b|month\b|year\b)", re.IGNORECASE
)
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


_TELLING = _MONTH_WORDS | _FEAST_DATES.keys() | _WEEKDAYS.keys() | {
    "eve", "quarter", "decade", "century", "days", "start", "beginning", "end",
}  # fmt: skip
_SIGN = re.compile(r"[-'’./]")


def fold_days(text: str, bag: frozenset[str]) -> str:
    """The text with days as "5 March 2024" and years in four figures.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if bag.isdisjoint(_TELLING) and not _SIGN.search(text) and "teen" not in text and "00s" not in text:
        return text
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
    text = _fold_calendar(text, bag)
    if "teen" in text:
        text = _DECADE.sub(lambda m: f"{18 if m[1].lower() == 'eighteen' else 19}{_DECADES[m[2].lower()]}0s", text)
    return text


def _fold_calendar(text: str, bag: frozenset[str]) -> str:
    """Months and weekdays in full, the day before the month, quarters as "Q3", centuries as "17th century"."""
    if not bag.isdisjoint(_MONTH_WORDS):
        text = _MONTH_FIRST.sub(lambda m: f"{m[2]} {_full_month(m[1])}", text)
        text = _DAY_FIRST.sub(lambda m: f"{m[1]} {_full_month(m[2])}", text)
    if not bag.isdisjoint(_WEEKDAYS):
        text = _WEEKDAY.sub(lambda m: f"{m[1]} {_WEEKDAYS[m[2].lower()]}", text)
    if "quarter" in bag:
        text = _QUARTER.sub(lambda m: f"Q{_QUARTERS[m[1].lower()]}", text)
    if "00s" in text:
        text = _HUNDREDS.sub(lambda m: f"{int(m[1]) + 1}th century", text)
    if not bag.isdisjoint({"decade", "century"}):
        text = _SPAN.sub(lambda m: f"{m[1]} {10 if m[2].lower() == 'decade' else 100} years", text)
    if "/" in text and not bag.isdisjoint(_EXPIRING):
        text = _EXPIRY.sub(lambda m: f"{_MONTHS[int(m[1]) - 1]} 20{m[2]}", text)
    if "days" in bag:
        text = _IN_TWO_DAYS.sub("the day after tomorrow", _TWO_DAYS.sub("the day before yesterday", text))
    if not bag.isdisjoint({"start", "beginning", "end"}):
        text = _PART_OF.sub(lambda m: "late " if m[1].lower() == "end" else "early ", text)
    return text


def _full_month(written: str) -> str:
    return next(month for month in _MONTHS if month[:3].lower() == written[:3].lower())


def _fold_date(match: re.Match[str]) -> str:
    """A date in figures, where it is clear which of them is the month: dots put the day first."""
    first, sign, second, year = int(match[1]), match[2], int(match[3]), match[4]
    if sign == "/" and first <= _DOZEN and second <= _DOZEN and first != second:
        return match[0]
    day, month = (second, first) if sign == "/" and second > _DOZEN else (first, second)
    if not (1 <= month <= _DOZEN and 1 <= day <= 31):  # noqa: PLR2004 - the longest month
        return match[0]
    return f"{day} {_MONTHS[month - 1]} {year}"
