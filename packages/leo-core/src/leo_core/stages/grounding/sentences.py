"""Sentences of a text, as spans of characters: abbreviations, initials, lists, other scripts."""

from __future__ import annotations

import re

from leo_core.stages.marks import CITATION

__all__ = ["split_sentences"]

_STOP = re.compile(
    rf"(?P<wide>[。！？｡؟۔।॥։።]+)[\"'”’»」』）)\]]*{CITATION}*"
    rf"|(?P<plain>[.!?…]+)[\"'”’»)\]]*{CITATION}*(?=\s|$)"
    r"|(?P<line>[ \t\r\f\v]*\n\s*)",
    re.IGNORECASE,
)
_MARKER = re.compile(r"(?:[-*•‣▪–—]|#{1,6}|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])\s")
_WORD_BEFORE = re.compile(r"[^\s()\[\]\"'“”‘’«»]+$")
_NUMBERED = re.compile(r"\(?(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})$")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof st mt ft jr sr rev hon gen col capt lt sgt maj gov sen rep pres vs v etc cf al e.g i.e eg ie
    viz no nos vol pp p fig figs eq sec ch ed eds approx ca c dept univ assn inc ltd co corp bros est tel ext
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun ave blvd rd
    z.b d.h u.a bzw usw nr str hr fr sog ggf vgl ca sra sr mme mlle m""".split()  # noqa: SIM905 - words read better as a text
)
_MAY_END = frozenset("etc al inc ltd co corp jr sr est usw".split())  # noqa: SIM905 - words read better as a text
"""Abbreviations that end a sentence where a capital follows."""


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Spans [start, end) of the sentences, in order, without the white space around them.

    A sentence ends at closing punctuation of any script, at an empty line, and at a line end after which a list item or
    a capital follows; not after abbreviations, initials and the number of a list item. Parts without a letter or a
    digit are left out.
    """
    cased = any(character.isupper() for character in text)
    spans, start = [], 0
    for match in _STOP.finditer(text):
        if match.start() >= start and _ends(text, match, start, cased=cased):
            spans.append((start, match.end()))
            start = match.end()
    spans.append((start, len(text)))
    trimmed = (_trim(text, *span) for span in spans)
    return [(begin, end) for begin, end in trimmed if any(character.isalnum() for character in text[begin:end])]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _ends(text: str, match: re.Match[str], start: int, *, cased: bool) -> bool:
    """Whether a sentence that began at ``start`` ends at this mark."""
    if match["wide"] is not None:
        return True
    following = text[match.end() : match.end() + 12]
    if match["line"] is not None:
        if match[0].count("\n") > 1 or _MARKER.match(following):
            return True
        return bool(following) and not following[0].islower() and not text[start : match.start()].endswith((",", ";"))
    return _ends_plainly(text, match, start, following.lstrip(), cased=cased)


def _ends_plainly(text: str, match: re.Match[str], start: int, following: str, *, cased: bool) -> bool:  # noqa: PLR0911 - one rule a line
    """The same for a full stop, an exclamation or a question mark before white space."""
    before = text[start : match.start("plain")]
    apart = before[-1:].isspace()
    if cased and following[:1].islower() and not apart:
        return False
    if match["plain"] != ".":
        return True
    if _NUMBERED.fullmatch(before.strip()):
        return False
    word = _WORD_BEFORE.search(before)
    if word is None or apart:
        return True
    last = word[0].lower()
    if len(last) == 1 and last.isalpha():
        return False
    if last in _ABBREVIATIONS or _DOTTED.fullmatch(last):
        return (last in _MAY_END or _DOTTED.fullmatch(last) is not None) and _starts_anew(following, last)
    return True


def _starts_anew(following: str, last: str) -> bool:
    """Whether what follows an abbreviation begins a sentence; initials and "U.S. Army" do not say."""
    if not following[:1].isupper():
        return not following
    return last in _MAY_END
