"""Words and numbers of a text, and a stable hash of strings."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["content_words", "hash_bucket", "hash_buckets", "numbers", "sentences", "words"]

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
_SHORT = 4000
"""Characters of a text whose words and numbers are kept for a moment: a question's are asked for again and again."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_STOP = frozenset(
    (  # noqa: SIM905 - words read better as a text
        "a an the and or but of to in on at for with from by as is are was were be been being am do does did have has "
        "had he she it they we you i his her its their our your my me him them us this that these those there here not "
        "no so "
        "if then than too very can could will would should may might must also just about into over under out up down "
        "what which who whom when where why how s t"
    ).split()
)


def words(text: str) -> list[str]:
    """Words in lower case, in order; a word is a run of letters or digits with inner apostrophes."""
    return list(_find_words(text)) if len(text) <= _SHORT else _WORD.findall(text.lower())


def content_words(tokens: list[str]) -> list[str]:
    """The tokens that are not function words of English."""
    return [token for token in tokens if token not in _STOP]


def numbers(text: str) -> list[str]:
    """Numbers as canonical decimal strings: no separators of thousands, no trailing zeros."""
    return list(_find_numbers(text)) if len(text) <= _SHORT else [_canonical(each) for each in _NUMBER.findall(text)]


def sentences(text: str) -> list[str]:
    """Sentences, split at closing punctuation and at line ends; empty ones dropped."""
    return [part for part in (piece.strip() for piece in _SENTENCE.split(text)) if part]


def hash_bucket(feature: str, buckets: int) -> int:
    """Bucket of a feature in ``[0, buckets)`` by CRC-32: the same on every platform and in every version."""
    return zlib.crc32(feature.encode()) % buckets


def hash_buckets(features: Iterable[str], buckets: int) -> set[int]:
    """The buckets of many features; see :func:`hash_bucket`."""
    crc32 = zlib.crc32
    return {crc32(feature.encode()) % buckets for feature in features}


@lru_cache(maxsize=16)
def _find_words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=16)
def _find_numbers(text: str) -> tuple[str, ...]:
    return tuple(_canonical(each) for each in _NUMBER.findall(text))


def _canonical(number: str) -> str:
    plain = number.replace(",", "")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    whole = plain.lstrip("0")
    return f"0{whole}" if not whole or whole.startswith(".") else whole
