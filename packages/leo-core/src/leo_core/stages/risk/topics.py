"""How many words of a text belong to a topic's vocabulary.

A topic never decides by itself: its counts are features of the category classifier, next to the words themselves.
"""

from __future__ import annotations

from functools import cache, lru_cache

from leo_core.stages.risk.shipped import read_document

__all__ = ["fold_word", "topic_features", "topic_names"]

_ENDINGS = ("'s", "ies", "ing", "ed", "es", "s", "e")
_SHORTEST_STEM = 3
_LEVELS = (1, 2, 3)


@lru_cache(maxsize=4096)
def fold_word(word: str) -> str:
    """A word without its plural or verb ending, so that "burns", "burned" and "burning" are one."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            stem = word[: -len(ending)]
            return stem + "y" if ending == "ies" else stem
    return word


@cache
def topic_names() -> tuple[str, ...]:
    """Names of the features of :func:`topic_features`."""
    topics = tuple(_vocabularies())
    counts = tuple(f"{topic}>={level}" for topic in topics for level in _LEVELS)
    return counts + tuple(f"{topic}&{frame}" for topic in topics for frame in ("advice", "personal"))


def topic_features(tokens: list[str]) -> list[float]:
    """One 0/1 value per name: at least 1, 2, 3 distinct words of a topic, and the topic beside an advice frame."""
    folded = {fold_word(token) for token in tokens}
    if folded.isdisjoint(_all_words()):
        return [0.0] * len(topic_names())
    counts = {topic: len(folded & vocabulary) for topic, vocabulary in _vocabularies().items()}
    levels = [float(count >= level) for count in counts.values() for level in _LEVELS]
    frames = [float(bool(count) and bool(counts[f])) for count in counts.values() for f in ("advice", "personal")]
    return levels + frames


@cache
def _vocabularies() -> dict[str, frozenset[str]]:
    topics = read_document("topics")["topics"]
    return {topic: frozenset(fold_word(word) for word in listed) for topic, listed in topics.items()}


@cache
def _all_words() -> frozenset[str]:
    return frozenset().union(*_vocabularies().values())
