"""Months, weekdays, relative days and times of day must agree. Years are numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_date_conflict", "read_dates"]

_FULL = {
    "month": "january february march april may june july august september october november december",
    "weekday": "monday tuesday wednesday thursday friday saturday sunday",
    "day": "today tomorrow yesterday tonight",
    "season": "spring summer autumn winter",
    "daytime": "morning afternoon evening midnight noon am pm",
    "feast": "christmas easter thanksgiving halloween ramadan diwali hanukkah",
}
_SHORT = {
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june", "jul": "july",
    "aug": "august", "sep": "september", "sept": "september", "oct": "october", "nov": "november", "dec": "december",
    "mon": "monday", "tue": "tuesday", "tues": "tuesday", "wed": "wednesday", "thu": "thursday", "thurs": "thursday",
    "fri": "friday", "fall": "autumn", "p.m": "pm", "a.m": "am", "weekdays": "weekday", "weekends": "weekend",
    "xmas": "christmas",
}  # fmt: skip
_KINDS = {word: kind for kind, words in _FULL.items() for word in words.split()}
_KINDS |= {"weekday": "week part", "weekend": "week part", "overmorrow": "day", "ereyesterday": "day"}
_AMBIGUOUS = frozenset({"may", "march", "mar", "fall", "spring", "am", "pm", "mon", "wed", "dec", "jan"})
_TELLING = frozenset({*_KINDS, *_SHORT, *(f"{word}s" for word in _KINDS), *(f"{word}'s" for word in _KINDS)})
_WHICH = {
    "this": "this", "current": "this", "coming": "next", "next": "next", "following": "next", "upcoming": "next",
    "last": "last", "previous": "last", "past": "last",
}  # fmt: skip
_TERMS = frozenset({"week", "weekend", "month", "quarter", "year", "semester", "term", "season", "century", "decade"})
_DAYS_OFF = {"day after tomorrow": "overmorrow", "day before yesterday": "ereyesterday"}
_NEAR_DAYS = frozenset({"tomorrow", "yesterday"})
_NOW = frozenset({"today", "tonight"})
_TACIT = _NOW | {f"this {term}" for term in _TERMS}
"""What a text means that says nothing of the kind."""
_MONTH_SIGNS = frozenset(
    {"in", "of", "since", "until", "till", "by", "during", "this", "next", "last", "early", "late"}
)


def read_dates(words: Words) -> dict[str, set[str]]:
    """Calendar words of a text, by kind."""
    found: dict[str, set[str]] = {}
    if not words.bag.isdisjoint(_TERMS):
        _read_terms(words.lower, found)
    if words.bag.isdisjoint(_TELLING):
        return found
    for at, token in enumerate(words.lower):
        word = _SHORT.get(token, token).removesuffix("'s")
        if word in _NEAR_DAYS:
            word = _DAYS_OFF.get(" ".join((*words.lower[max(at - 2, 0) : at], word)), word)
        kind = _KINDS.get(word)
        if kind is None and word[-1] == "s":
            word = word[:-1]
            kind = _KINDS.get(word)
        if kind is not None and (token not in _AMBIGUOUS or _is_calendar(words, at)):
            found.setdefault(kind, set()).add(word)
    return found


def find_date_conflict(a: dict[str, set[str]], b: dict[str, set[str]], *, sure: bool) -> str | None:
    """Reason in words, or ``None`` when the dates agree.

    Args:
        a: Calendar words of one text, as :func:`read_dates` gives them.
        b: Those of the other.
        sure: Whether only kinds of dates count that both texts have, or also what one of them alone has.
    """
    if a == b:
        return None
    for kind in sorted(a.keys() & b.keys() if sure else a.keys() | b.keys()):
        left, right = a.get(kind, set()), b.get(kind, set())
        if left != right and not (left ^ right <= _TACIT and not (left and right)):
            shown = (" and ".join(sorted(each)) if each else "none" for each in (left, right))
            return f"dates differ: {', '.join(shown)}"
    return None


def _read_terms(tokens: tuple[str, ...], found: dict[str, set[str]]) -> None:
    """Which week, month or year is meant: "next week"."""
    for before, token in pairwise(tokens):
        if token in _TERMS and before in _WHICH:
            found.setdefault(f"which {token}", set()).add(f"{_WHICH[before]} {token}")


def _is_calendar(words: Words, at: int) -> bool:
    """Whether an ambiguous word ("may", "am") stands where a date does."""
    before = words.lower[at - 1] if at else ""
    after = words.lower[at + 1] if at + 1 < len(words.lower) else ""
    if words.lower[at] in {"am", "pm"}:
        return before[:1].isdigit()
    if words.lower[at] == "fall" and not words.bag.isdisjoint({"did", "does", "do", "will"}):
        return False
    if before[:1].isdigit() or after[:1].isdigit():
        return True
    if words.lower[at] == "march" and words.cased[at] == "March" and at not in words.starts:
        return True
    if words.lower[at] in {"fall", "spring"}:
        return before in {"in", "this", "next", "last", "during"} or (before == "the" and at > 1)
    return words.cased[at][0].isupper() and at not in words.starts and before in _MONTH_SIGNS
