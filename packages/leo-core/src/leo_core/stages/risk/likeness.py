"""What makes two requests alike beside their embeddings: counted features, and how much each counts."""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from leo_core.stages.risk.request_features import split_options, text_features
from leo_core.stages.risk.tokens import numbers, sentences, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

__all__ = ["feature_names", "read_features", "spreads", "wording_features"]

_READ = 4000
_COUNTED, _WORDED = 0.2, 0.1
"""What a standard deviation of a feature counts beside embeddings of length 1; chosen on training halves."""
_NUMERALS = frozenset(
    (  # noqa: SIM905 - words read better as a text
        "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand "
        "dozen half third quarter twice thrice double triple"
    ).split()
)
_RATE = re.compile(
    r"(?i)\b(?:per|each|every|apiece|rate|hourly|daily|weekly|monthly|an? (?:hour|day|week|month|year))\b"
)
_COMPARISON = re.compile(r"(?i)\b(?:more|less|fewer|older|younger|than|times|as many|as much)\b")
_PART = re.compile(r"(?i)\d+\s*/\s*\d+|%|percent|\bhalf\b|\bthird\b|quarter")
_TIME = re.compile(r"(?i)\b(?:minutes?|hours?|days?|weeks?|months?|years?)\b")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_NEGATED = re.compile(r"\b(?:NOT|EXCEPT|LEAST|FALSE|INCORRECT)\b")
_ALL = re.compile(r"(?i)(?:all|none|both) of (?:the|these)")
_ROMAN = re.compile(r"\b(?:I|II|III|IV)\b.*\b(?:I|II|III)\b")
_FIGURE = re.compile(r"[\d$.\-−]+")


@lru_cache(maxsize=64)
def wording_features(text: str) -> Mapping[str, float]:
    """How a question is put: sentences, numerals, rates, comparisons, parts, times, and the form of its options.

    Not to be changed: the same question is read before and after the call.
    """
    stem, options = split_options(text[:_READ])
    tokens, found = words(stem), [float(number) for number in numbers(stem)]
    listed = " ".join(options)
    return {
        "sentences": math.log1p(len(sentences(stem))) - 1.0,
        "numerals": math.log1p(sum(token in _NUMERALS for token in tokens)),
        "rates": math.log1p(len(_RATE.findall(stem))),
        "comparisons": math.log1p(len(_COMPARISON.findall(stem))),
        "parts": math.log1p(len(_PART.findall(stem))),
        "times": math.log1p(len(_TIME.findall(stem))),
        "distinct_numbers": math.log1p(len(set(found))),
        "largest_number": min(math.log10(1.0 + max(found, default=0.0)) / 2.0, 5.0),
        "decimals": float(any(number % 1.0 for number in found)),
        "names": math.log1p(len(set(_NAME.findall(stem)))),
        "variety": len(set(tokens)) / max(len(tokens), 1),
        "negated_stem": float(bool(_NEGATED.search(stem))),
        "all_of_these": float(bool(_ALL.search(listed))),
        "figure_options": float(any(_FIGURE.match(option) for option in options)),
        "roman_options": float(bool(_ROMAN.search(listed))),
        "mean_option": math.log1p(sum(map(len, options)) / max(len(options), 1)),
    }


def read_features(features: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """What likeness looks at, in the order of :func:`feature_names`, from features by name; missing ones are 0."""
    return np.array([features.get(name, 0.0) for name in feature_names()])


@cache
def feature_names() -> tuple[str, ...]:
    """Names of the features, in order."""
    return (*text_features("", []), *wording_features(""))


@cache
def spreads() -> npt.NDArray[np.float64]:
    """What one standard deviation of each feature counts beside the embedding, (f,)."""
    worded = set(wording_features(""))
    return np.array([_WORDED if name in worded else _COUNTED for name in feature_names()])
