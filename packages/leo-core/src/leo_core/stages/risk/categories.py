"""Is a wrong answer to this question likely to do harm?

Four calibrated one-against-rest classifiers (medical, legal, financial, safety) over hashed word n-grams, the
character 4-grams of each word with its boundaries, and counts of topic words (``topics``). They are trained by
``train/category_risk.py`` on ``train/data/high_risk.jsonl``; the labelling guidelines stand in ``train/README.md``. A
word weighs by what it meant in labelled questions, so "kill a process" and "drug store opening hours" are not high
risk.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

from leo_core.records import CategoryRisk
from leo_core.stages.risk.linear import sigmoid
from leo_core.stages.risk.shipped import read_document
from leo_core.stages.risk.tokens import hash_bucket, words
from leo_core.stages.risk.topics import topic_features

__all__ = ["category_features", "read_words", "score_categories"]

_CHARACTERS_READ = 600
"""Characters that are read: the first and the last three hundred of longer texts."""


def read_words(text: str) -> list[str]:
    """The words that the classifier reads, in order: all of them, or both ends of a long text."""
    half = _CHARACTERS_READ // 2
    return words(text if len(text) <= _CHARACTERS_READ else f"{text[:half]} {text[-half:]}")


def category_features(tokens: list[str], buckets: int) -> list[int]:
    """Buckets of the distinct hashed features: words, word pairs, and 4-grams of ``<word>``, ascending."""
    features = {f"w:{token}" for token in tokens}
    features.update(f"p:{first} {second}" for first, second in pairwise(tokens))
    for token in set(tokens):
        bounded = f"<{token}>"
        features.update(f"c:{bounded[start : start + 4]}" for start in range(len(bounded) - 3))
    return sorted({hash_bucket(feature, buckets) for feature in features})


def score_categories(text: str) -> tuple[CategoryRisk, ...]:
    """Calibrated probability of each high-risk category, each in (0, 1), in the order of the shipped model.

    The categories do not exclude each other, so the probabilities need not add up to one. A text without any word
    scores the base rate of the training set's constant term. Takes well under a millisecond for any length.
    """
    names, intercepts, hashed, topical = _model()
    tokens = read_words(text)
    found = category_features(tokens, len(hashed))
    scale = 1.0 / math.sqrt(max(len(found), 1))
    rows = [(hashed[bucket], scale) for bucket in found]
    rows += [(row, value) for row, value in zip(topical, topic_features(tokens), strict=True) if value]
    totals = list(intercepts)
    for row, value in rows:
        for index, weight in enumerate(row):
            totals[index] += weight * value
    return tuple(
        CategoryRisk(category=name, probability=sigmoid(total)) for name, total in zip(names, totals, strict=True)
    )


_Rows = tuple[tuple[float, ...], ...]


@cache
def _model() -> tuple[tuple[str, ...], tuple[float, ...], _Rows, _Rows]:
    document = read_document("categories")
    scale = float(document["weight_scale"])
    hashed, topical = (
        tuple(tuple(weight / scale for weight in row) for row in zip(*document[part], strict=True))
        for part in ("weights", "topic_weights")
    )
    return tuple(document["categories"]), tuple(map(float, document["intercepts"])), hashed, topical
