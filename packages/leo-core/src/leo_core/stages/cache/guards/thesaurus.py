"""General knowledge of English words: which mean the same and which the opposite, derived from WordNet 3.0.

``thesaurus.txt.gz`` beside this file is written by ``train/lexicon.py``, which says what its columns are. It is read
when the first two words are compared. The licence of WordNet is in ``THESAURUS-LICENSE.txt``.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left
from functools import cache, lru_cache
from importlib.resources import files

from leo_core.stages.cache.guards.verbs import PRESENT_OF
from leo_core.stages.cache.guards.words import stem

__all__ = ["are_opposed", "are_related", "find_positive", "is_known"]

_COLUMNS = 3
_SHORTEST = 3
_DEGREES = ("er", "est")


@cache
def _read_table() -> list[str]:
    """The lines in order."""
    packed = (files(__package__) / "thesaurus.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("ascii").split("\n")


def _find(word: str) -> str:
    """What the table says of a word; empty if it has none."""
    lines, key = _read_table(), f"{word} "
    at = bisect_left(lines, key)
    return lines[at][len(key) :] if at < len(lines) and lines[at].startswith(key) else ""


def are_related(one: str, two: str) -> bool:
    """Whether two stems have a sense in common, or one has a sense above or beside one of the other.

    Several words are joined by ``_``. Comparatives are related as their adjectives are, if both are of one degree.
    """
    own, above, _, degree = _look_up(one)
    others, beyond, _, other_degree = _look_up(two)
    if degree != other_degree:
        return False
    return not (own.isdisjoint(others) and own.isdisjoint(beyond) and above.isdisjoint(others))


def are_opposed(one: str, two: str) -> bool:
    """Whether a sense of one stem is the opposite of one of the other."""
    own, _, against, _ = _look_up(one)
    others, _, averse, _ = _look_up(two)
    return not (against.isdisjoint(others) and averse.isdisjoint(own))


def is_known(word: str) -> bool:
    """Whether the stem has a sense."""
    return bool(_look_up(word)[0])


@lru_cache(maxsize=1 << 14)
def _look_up(word: str) -> tuple[frozenset[str], frozenset[str], frozenset[str], str]:
    """Senses, senses above, opposite senses, and the degree of comparison ("", "er", "est")."""
    line, degree = _find(word) or _find(stem(PRESENT_OF.get(word, word))), ""
    if not line:
        for ending in _DEGREES:
            root = word.removesuffix(ending)
            if root != word and len(root) >= _SHORTEST:
                line, degree = next(filter(None, map(_find, _positives(root))), ""), ending
                break
    own, above, against = (frozenset(each.split(",")) - {""} for each in f"{line}  ".split(" ")[:_COLUMNS])
    return own, above, against, degree if line else ""


def find_positive(word: str, ending: str) -> str:
    """The stem of the adjective that "er" or "est" was put to; what is left of the word if the table has none."""
    root = word.removesuffix(ending)
    return next((form for form in _positives(root) if _find(form)), root)


def _positives(root: str) -> list[str]:
    """What "bigg", "earli", "fin", "tall" may come from."""
    if root.endswith("i"):
        return [root.removesuffix("i") + "y"]
    return [root[:-1], root] if root[-1:] == root[-2:-1] else [root]
