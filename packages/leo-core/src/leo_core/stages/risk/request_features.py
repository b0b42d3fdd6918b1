"""Cheap features of a question, known before any model is called.

Each is a plain number on a fixed scale of about [−3, 3], so that weights compare.
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from leo_core.stages.risk.shipped import read_document
from leo_core.stages.risk.tokens import hash_buckets, numbers, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "question_features",
    "request_features",
    "split_options",
    "text_features",
    "vocabulary_buckets",
    "vocabulary_score",
]

_READ = 4000
_VOCABULARY_READ = 150
_OPTION = re.compile(r"(?m)^[ \t]*\(?([A-Ea-e])[.)]\s+(.*)$")
_CODE = re.compile(
    r"```|\bdef \w+\(|\breturn\b.*\n|;\s*\n|\b(?:function|class|import|select|const) \w+[ ({]|[=!<>]=|\?\?"
)
_MATHS = re.compile(r"[=^+*/\\<>≤≥∫Σ√]|\b(?:sqrt|log|cos|sin|mod)\b")
_REASON = frozenset(
    (  # noqa: SIM905 - words read better as a text
        "why prove derive explain compare evaluate calculate compute find solve determine estimate if each every twice "
        "half "
        "times percent total remaining more less than after before following respectively probability average ratio"
    ).split()
)
_NEGATION = frozenset("not except never no neither nor without false incorrect least unless cannot".split())  # noqa: SIM905 - words read better as a text
_OPENERS = ("what", "which", "how", "why", "who", "when", "where")


def request_features(text: str) -> dict[str, float]:
    """Features of a question by name, what the shipped vocabularies say among them."""
    read = text[:_READ]
    tokens = words(read)
    found: dict[int, list[int]] = {}
    spoken = {}
    for name in ("vocabulary", "gain_vocabulary"):
        weights = _weights(name)
        if len(weights) not in found:
            found[len(weights)] = vocabulary_buckets(tokens, len(weights))
        spoken[name] = _sum_weights(weights, found[len(weights)])
    return {**question_features(read), **spoken}


@lru_cache(maxsize=64)
def question_features(text: str) -> Mapping[str, float]:
    """:func:`text_features` of a question, which its request and its answers are judged by; not to be changed."""
    return text_features(text, words(text))


def text_features(text: str, tokens: list[str]) -> dict[str, float]:
    """Counted features: size, digits, options, code, maths, reasoning words, kind of question, language."""
    characters, count = max(len(text), 1), len(tokens)
    stem, options = split_options(text)
    size = math.log1p(count) - 4.0
    features = {
        "size": size,
        "size_squared": size * size,
        "stem_size": math.log1p(len(stem) / 5.0) - 4.0,
        "digits": min(10.0 * sum(map(str.isdigit, text)) / characters, 3.0),
        "numbers": math.log1p(len(numbers(text))) - 1.0,
        "reasoning_words": math.log1p(sum(token in _REASON for token in tokens)),
        "negation": math.log1p(sum(token in _NEGATION for token in tokens)),
        "word_length": (sum(map(len, tokens)) / count - 4.5) if count else 0.0,
        "capitals": min(20.0 * sum(map(str.isupper, text)) / characters, 3.0),
        "code": float(bool(_CODE.search(text))),
        "maths": math.log1p(len(_MATHS.findall(text))),
        "foreign_script": 0.0
        if text.isascii()
        else min(10.0 * sum(ord(letter) > 591 for letter in text) / characters, 3.0),  # noqa: PLR2004 - end of Latin Extended-B
        "blank": float("__" in text or "..." in text),
        "statements": float("statement" in tokens or "statements" in tokens),
        "quoted": math.log1p(text.count('"') // 2),
    }
    return features | _option_features(options) | _opener_features(stem)


def split_options(text: str) -> tuple[str, list[str]]:
    """What comes before the options of a question, and the options; all of it where there are none."""
    first = _OPTION.search(text)
    return (text, []) if first is None else (text[: first.start()], [match[1] for match in _OPTION.findall(text)])


def _option_features(options: list[str]) -> dict[str, float]:
    if not options:
        return {"multiple_choice": 0.0, "option_size": 0.0, "option_spread": 0.0, "numeric_options": 0.0}
    lengths = [math.log1p(len(option)) for option in options]
    return {
        "multiple_choice": 1.0,
        "option_size": sum(lengths) / len(lengths) - 3.0,
        "option_spread": max(lengths) - min(lengths),
        "numeric_options": sum(option[:1].isdigit() for option in options) / len(options),
    }


def _opener_features(stem: str) -> dict[str, float]:
    found = set(words(stem[-300:]))
    openers = {f"asks_{opener}": float(opener in found) for opener in _OPENERS}
    return openers | {"asks_nothing": float("?" not in stem)}


def vocabulary_buckets(tokens: list[str], buckets: int) -> list[int]:
    """Buckets of the distinct words and word pairs of the first and last 75 words, ascending."""
    half = _VOCABULARY_READ // 2
    read = tokens if len(tokens) <= _VOCABULARY_READ else tokens[:half] + tokens[-half:]
    features = set(read) | {f"{first} {second}" for first, second in pairwise(read)}
    return sorted(hash_buckets(features, buckets))


def vocabulary_score(tokens: list[str], name: str = "vocabulary") -> float:
    """What the words themselves say; 0 without any word.

    ``"vocabulary"``: in log-odds of a wrong answer of the small model; ``"gain_vocabulary"``: in P(right) that the
    large model gains over the small one.
    """
    weights = _weights(name)
    return _sum_weights(weights, vocabulary_buckets(tokens, len(weights)))


def _sum_weights(weights: Sequence[float], found: Sequence[int]) -> float:
    return sum(weights[bucket] for bucket in found) / math.sqrt(max(len(found), 1))


@cache
def _weights(name: str) -> tuple[float, ...]:
    document: Mapping[str, list[int]] = read_document("request")[name]
    return tuple(weight / 100.0 for weight in document["hundredths"])
