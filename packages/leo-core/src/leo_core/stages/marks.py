"""Marks in a text that are no part of what it says: citations, and the numbers of a list's items."""

from __future__ import annotations

import re

__all__ = ["CITATION", "blank_citations", "blank_list_numbers"]

CITATION = (
    r"(?:\[(?:\^|(?:source|src|doc|document|ref|reference|note)s?\.?\s*\#?)?[1-9]\d{0,2}"
    r"(?:\s?[,;–-]\s?[1-9]\d{0,2})*\]|【[^】\n]{1,40}】)"
)
"""A citation as models write them: ``[1]``, ``[1, 3]``, ``[2-4]``, ``[^1]``, ``[Source 2]``, ``【1†notes】``."""

_CITATION = re.compile(CITATION, re.IGNORECASE)
_NO_CITATION = re.compile(
    r"(?:[=∈(\[]|\b(?:array|equals|index|interval|is|list|range|returns?|sets?|tuple|vector))\s*$", re.IGNORECASE
)
"""After these a number in brackets is a value."""
_NO_CITATIONS = re.compile(r"(?::|\b(?:are|between|from|in|of|values?|within))\s*$", re.IGNORECASE)
"""After these several are: an interval, or a list of values."""
_LOOK_BACK = 12
_ITEM = re.compile(r"^[ \t>]*(?:[-*_#]+[ \t]*)*(\(?(\d{1,3})[.)])(?=[\s*_])", re.MULTILINE)


def blank_citations(text: str) -> str:
    """The text with spaces in the place of its citations, so that every character stays where it is.

    A number in brackets is taken for a value after a word like "list" or "interval", and several also after "in" or a
    colon; so is one with a nought in it, or with more than three digits.
    """
    return _CITATION.sub(_blank_citation, text)


def _blank_citation(match: re.Match[str]) -> str:
    found = match[0]
    before = match.string[max(0, match.start() - _LOOK_BACK) : match.start()]
    several = re.search(r"\d\s?[,;–-]\s?\d", found) is not None
    is_value = _NO_CITATION.search(before) or (several and _NO_CITATIONS.search(before))
    return found if is_value and found[0] == "[" else " " * len(found)


def blank_list_numbers(text: str) -> str:
    """The text with spaces in the place of the numbers of its list's items, likewise.

    An item's number stands where a line begins, and is 1 or follows that of an earlier item: another one may be what
    the text has to say ("42. That is how many there are.").
    """
    seen: set[int] = set()
    parts, at = [], 0
    for match in _ITEM.finditer(text):
        number = int(match[2])
        if number != 1 and number - 1 not in seen:
            continue
        seen.add(number)
        parts += [text[at : match.start(1)], " " * len(match[1])]
        at = match.end(1)
    return "".join([*parts, text[at:]])
