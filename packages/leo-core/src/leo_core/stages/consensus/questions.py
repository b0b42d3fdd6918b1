"""What kind of answer a question asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["QuestionTraits", "read_question"]

_MAX_QUESTION = 20_000

_CODE = re.compile(
    r"\[PYTHON\]|```|^[ \t]*(?:async )?def \w+\(|^[ \t]*assert |\bassert \w+\(|console\.log\(|\bprint\(", re.MULTILINE
)
_QUANTITY = re.compile(
    r"\bhow (?:many|much|old|long|far|tall|fast|big|heavy|large|wide|deep|high|often)\b"
    r"|\b(?:calculate|compute|evaluate|solve)\b"
    r"|\b(?:what|find|determine)\b[^?.!\n]{0,80}\b(?:total|sum|cost|costs|price|number|amount|average|mean|median|value|"
    r"difference|profit|loss|salary|age|weight|length|width|height|distance|area|perimeter|volume|speed|rate|percent|"
    r"percentage|fraction|ratio|probability|remainder|product|quotient|income|score|temperature|balance|quantity)\b",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"%|\bper ?cent(?:age)?s?\b", re.IGNORECASE)
_POLAR_START = re.compile(
    r"(?:is|are|was|were|am|do|does|did|can|could|should|shall|will|would|has|have|had|may|might|must)\b", re.IGNORECASE
)
_POLAR_NAMED = re.compile(r"\byes\s*(?:or|/)\s*no\b|\btrue\s*(?:or|/)\s*false\b", re.IGNORECASE)
_OPTION_LINE = re.compile(r"^[ \t]*[(\[]?([A-J])[)\].:][ \t]+(\S.{0,400}?)[ \t]*$", re.MULTILINE)
_OPTION_INLINE = re.compile(r"(?<!\w)\(([A-J])\)[ \t]*([^()\n]{1,400})")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTraits:
    """What a question shows about its answer.

    Attributes:
        code: It is about the value of a program, so types, case and quotes matter.
        numeric: It asks for a quantity.
        polar: It asks yes or no.
        percent: It speaks of per cent, so a bare number may mean per cent.
        options: The options of a multiple-choice question, as (letter, text).
        words: Its words in lower case.
    """

    code: bool = False
    numeric: bool = False
    polar: bool = False
    percent: bool = False
    options: tuple[tuple[str, str], ...] = ()
    words: frozenset[str] = frozenset()


def read_question(question: str) -> QuestionTraits:
    """Tell what kind of answer a question asks for; looks at its first 20,000 characters at most."""
    text = question[:_MAX_QUESTION]
    code = bool(_CODE.search(text))
    options = () if code else _read_options(text)
    return QuestionTraits(
        code=code,
        numeric=not code and not options and bool(_QUANTITY.search(text)),
        polar=not code and not options and _is_polar(text),
        percent=bool(_PERCENT.search(text)),
        options=options,
        words=frozenset(re.findall(r"\w+", text.casefold())),
    )


def _is_polar(text: str) -> bool:
    """Whether the last sentence that ends in a question mark opens like a yes-or-no question."""
    if _POLAR_NAMED.search(text):
        return True
    asked = text.rpartition("?")[0]
    last = re.split(r"[.?!\n]", asked)[-1].strip() if asked else ""
    clause = last.rpartition(",")[2].strip()
    return bool(_POLAR_START.match(last) or _POLAR_START.match(clause))


def _read_options(text: str) -> tuple[tuple[str, str], ...]:
    """Options lettered A, B, … without a gap, each letter once; nothing when there are fewer than two."""
    for pattern in (_OPTION_LINE, _OPTION_INLINE):
        found = pattern.findall(text)
        letters = [letter for letter, _ in found]
        if len(found) > 1 and letters == list("ABCDEFGHIJ"[: len(found)]):
            return tuple((letter, option.strip()) for letter, option in found)
    return ()
