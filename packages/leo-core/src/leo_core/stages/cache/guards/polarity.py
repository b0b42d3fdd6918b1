"""Negation and antonyms must agree."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.opposites import ANTONYMS
from leo_core.stages.cache.guards.order import is_converse
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.stages.cache.guards.words import Words

__all__ = ["NEGATORS", "find_antonyms", "find_negation_conflict", "find_opposites", "is_negated", "negates_opposite"]

NEGATORS = frozenset(
    """not no never without none nobody nothing nowhere neither nor cannot cant dont wont doesnt didnt isnt arent wasnt
    werent shouldnt couldnt wouldnt havent hasnt hadnt aint non hardly barely scarcely lack lacks lacking unless unable
    except excepting excluding excluded aside besides""".split()  # noqa: SIM905 - words read better as a text
)
_IDIOMS = (
    ("or", "not"),
    ("not", "only"),
    ("no", "matter"),
    ("why", "not"),
    ("no", "doubt"),
    ("not", "just"),
    ("nothing", "but"),
    ("nothing", "else"),
    ("nobody", "but"),
    ("nobody", "else"),
)
_PHRASES = frozenset(
    {
        ("apart", "from"),
        ("other", "than"),
        ("save", "for"),
        ("all", "but"),
        ("everything", "but"),
        ("everywhere", "but"),
        ("everyone", "but"),
        ("everybody", "but"),
        ("leaving", "out"),
        ("leave", "out"),
        ("left", "out"),
        ("anything", "but"),
        ("far", "from"),
        ("fail", "to"),
        ("fails", "to"),
        ("failed", "to"),
        ("failing", "to"),
        ("refuse", "to"),
        ("refuses", "to"),
        ("refused", "to"),
    }
)
"""Two words that negate together."""
_BUILT_FREE = re.compile(r"[^\W\d_]-free\b|[^\W\d_]-less\b", re.IGNORECASE)

_EXCEPTIONS = frozenset({"able", "side", "form", "vest", "come", "tend", "press", "port", "pose", "valuable", "less"})
_UNDOING = ("un", "in", "im", "il", "ir", "dis", "non")
_ROOT = 5
_TELLING = NEGATORS | {first for first, _ in _PHRASES}
_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "de", "anti", "mis")
_SHORTEST_ROOT = 4
_NONE: frozenset[str] = frozenset()
_DEGREES = frozenset({"least", "most", "less", "more"})
"""They turn what follows into its opposite: "least painful" is "most painless"."""


def is_negated(words: Words) -> bool:
    """Whether the text holds an odd number of negations, idioms such as "or not" aside."""
    return _count_negations(words) % 2 == 1


def find_negation_conflict(*, a: bool, b: bool) -> str | None:
    """Reason in words, or ``None`` when both or neither are negated."""
    if a == b:
        return None
    return "negation differs: negated, not negated" if a else "negation differs: not negated, negated"


def find_antonyms(a: Words, b: Words, opposites: tuple[str, str] | None) -> str | None:
    """Reason in words when one text has a word where the other has its opposite, as :func:`find_opposites` says."""
    if opposites is None or is_converse(a, b, *opposites):
        return None
    if _is_lessened(a, opposites[0]) != _is_lessened(b, opposites[1]) or {"teach", "me", "learn"} <= a.bag | b.bag:
        return None
    return f"opposites: {opposites[0]}, {opposites[1]}"


def find_opposites(a: Words, b: Words) -> tuple[str, str] | None:
    """A word of each text that is the opposite of the other: the first in ``a``, words of degree after the others."""
    only_a, only_b = a.bag - b.bag, b.bag - a.bag
    if not only_a or not only_b:
        return None
    own = [
        word for word in a.lower if word in only_a
    ]  # in the text's order: that of a set changes from process to process
    if not _DEGREES.isdisjoint(own):
        own.sort(key=_DEGREES.__contains__)
    for word in own:
        opposites = _read_opposites(word)
        if not opposites:
            continue
        found = opposites & only_b
        if not found and stem(word) not in b.stems:
            found = opposites & (b.stems - a.stems)
        if found:
            return word, min(found)
    return _find_prefixed(own, [word for word in b.lower if word in only_b])


@lru_cache(maxsize=1 << 15)
def _read_opposites(word: str) -> frozenset[str]:
    """The opposites of a word and of its stem."""
    return ANTONYMS.get(word, _NONE) | ANTONYMS.get(stem(word), _NONE)


def _is_lessened(words: Words, word: str) -> bool:
    """Whether "less" or "least" turns the word into its opposite: "least expensive"."""
    return any(before in {"less", "least"} and word in {token, stem(token)} for before, token in pairwise(words.lower))


def _find_prefixed(only_a: list[str], only_b: list[str]) -> tuple[str, str] | None:
    """Opposites by prefix: "connected" and "disconnected"."""
    for longer, shorter, a_first in ((only_a, only_b, False), (only_b, only_a, True)):
        for word in longer:
            if len(word) <= _SHORTEST_ROOT or not word.startswith(_NEGATIVE_PREFIXES):
                continue
            for prefix in _NEGATIVE_PREFIXES:
                root = word.removeprefix(prefix)
                if len(root) < _SHORTEST_ROOT or root == word or root not in shorter:
                    continue
                if root not in _EXCEPTIONS or (root == "able" and prefix == "un"):
                    return (root, word) if a_first else (word, root)
    return None


def negates_opposite(a: Words, b: Words) -> bool:
    """Whether one text negates what the other one says with a prefix: "no licence", "unlicensed"."""
    for one, two in ((a, b), (b, a)):
        roots = {root[:_ROOT] for word in one.bag - two.bag for root in _roots(word)}
        if any(word[:_ROOT] in roots for word in two.bag - one.bag):
            return True
    return False


def _roots(word: str) -> Iterator[str]:
    return (word.removeprefix(each) for each in _UNDOING if word.startswith(each) and len(word) >= len(each) + _ROOT)


def _count_negations(words: Words) -> int:
    tokens = words.lower
    bound = len(_BUILT_FREE.findall(words.text)) if "-" in words.text else 0
    if words.bag.isdisjoint(_TELLING) and not (
        ("'" in words.text or "’" in words.text) and any(token.endswith("n't") for token in tokens)
    ):
        return bound
    count = bound
    ends = (*tokens[1:], "")
    before = ""
    for at, (token, after) in enumerate(zip(tokens, ends, strict=True)):
        if token in NEGATORS or token.endswith("n't"):
            idiom = (before, token) in _IDIOMS or (token, after) in _IDIOMS
            count += not idiom and not (token == "no" and _is_ordinal_sign(tokens, at))  # noqa: S105 - no password: a token of text
        elif (token, after) in _PHRASES:
            count += 1
        before = token
    return count


def _is_ordinal_sign(tokens: tuple[str, ...], at: int) -> bool:
    """Whether "no" stands for "number": "Symphony No. 3"."""
    following = [token for token in tokens[at + 1 : at + 3] if token != "."]  # noqa: S105 - no password: a token of text
    return bool(following) and following[0][0].isdigit()
