"""Comparatives in one word and in two: "slower" is "less fast", "faster" is "more quickly"."""

from __future__ import annotations

from leo_core.stages.cache.guards.lexicon import are_synonyms
from leo_core.stages.cache.guards.opposites import ANTONYMS
from leo_core.stages.cache.guards.thesaurus import are_opposed, are_related, find_positive
from leo_core.stages.cache.guards.words import stem

__all__ = ["compare_degrees"]

_DEGREES = {"mor": "er", "more": "er", "most": "est", "less": "er", "least": "est"}
_LESS = frozenset({"less", "least"})
_NONE: frozenset[str] = frozenset()


def compare_degrees(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """Whether a comparative and an adjective with "more", "most", "less" or "least" rank in the same way.

    Args:
        one: One stem, or two with the degree first.
        two: The other of both.
    """
    short, long = (one, two) if len(one) == 1 else (two, one)
    degree, adjective = long
    ending = _DEGREES.get(degree)
    if ending is None or not short[0].endswith(ending):
        return False
    positive = find_positive(short[0], ending)
    if degree in _LESS:
        return _are_opposites(positive, adjective) or _are_opposites(short[0], f"{adjective}{ending}")
    return positive == adjective or are_related(positive, adjective) or are_synonyms(positive, adjective)


def _are_opposites(one: str, two: str) -> bool:
    return are_opposed(one, two) or two in ANTONYMS.get(one, _NONE) | ANTONYMS.get(stem(one), _NONE)
