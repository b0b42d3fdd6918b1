"""Phrases of one meaning, folded to one word: bounds ("no more than"), frequencies, majorities."""

from __future__ import annotations

import re

__all__ = ["fold_phrases"]

_FREQUENCIES = (
    (re.compile(r"\ball the time\b|\bat all times\b", re.IGNORECASE), "alltime"),
    (
        re.compile(
            r"\b(?:every )?(?:once|now) (?:in a while|and then|and again)\b|\bfrom time to time\b", re.IGNORECASE
        ),
        "onceinawhile",
    ),
    (re.compile(r"\bhardly ever\b|\balmost never\b", re.IGNORECASE), "hardlyever"),
)
_FREQUENCY_WORDS = frozenset({"time", "times", "once", "now", "ever", "never"})
_NUMERALS = "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty"
_FIGURE = rf"(?:[$€£¥]?\d[\d.,]*|{'|'.join(_NUMERALS.split())}|a hundred|a thousand)\b"
_BOUNDS = (
    (
        re.compile(r"\b(?:no|not) (?:more|greater|later|higher) than\b|\bat most\b|\ba maximum of\b", re.IGNORECASE),
        "atmost",
    ),
    (
        re.compile(r"\b(?:no|not) (?:less|fewer|earlier|lower) than\b|\bat least\b|\ba minimum of\b", re.IGNORECASE),
        "atleast",
    ),
    (re.compile(rf"\bup to(?= {_FIGURE})", re.IGNORECASE), "atmost"),
    (re.compile(rf"\b(?:more than|over|above|exceeding|greater than)(?= {_FIGURE})", re.IGNORECASE), "morethan"),
    (re.compile(rf"\b(?:less than|fewer than|under|below)(?= {_FIGURE})", re.IGNORECASE), "lessthan"),
    (re.compile(r"\b(?:the )?(?:vast )?(?:majority|bulk) of(?: the)?\b|\bmost of(?: the)?\b", re.IGNORECASE), "mostof"),
    (re.compile(r"\bleast (?:expensive|costly|pricey)\b", re.IGNORECASE), "cheapest"),
    (re.compile(r"\bmost (?:expensive|costly|pricey)\b", re.IGNORECASE), "dearest"),
    (re.compile(r"\bdays? of the week\b", re.IGNORECASE), "weekday"),
    (re.compile(r"\b(?:a )?fortnight\b", re.IGNORECASE), "2 weeks"),
)
_BOUND_WORDS = frozenset(
    """than least up minimum maximum over above under below exceeding majority bulk most week fortnight upwards upward
    excess""".split()  # noqa: SIM905 - words read better as a text
)


def fold_phrases(text: str, bag: frozenset[str]) -> str:
    """The text with bounds, frequencies and majorities as one word each.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if not bag.isdisjoint(_FREQUENCY_WORDS):
        for pattern, name in _FREQUENCIES:
            text = pattern.sub(name, text)
    if not bag.isdisjoint(_BOUND_WORDS):
        for pattern, name in _BOUNDS:
            text = pattern.sub(name, text)
    return text
