"""Slow twin of ``leo_core.kernels.hashing``: dictionaries, strings and Python integers."""

from __future__ import annotations

import math
from collections import defaultdict

MASK = (1 << 64) - 1
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3
GOLDEN = 0x9E3779B97F4A7C15
WORD, PAIR, GRAM = 0x5851F42D4C957F2D, 0x14057B7EF767814F, 0x2545F4914F6CDD1D
SYMBOLS = "#$%&*+/<=>@^|~"


def mix(value: int) -> int:
    """The finaliser of splitmix64."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def fnv(codes: list[int]) -> int:
    """FNV-1a over code points."""
    state = OFFSET
    for code in codes:
        state = ((state ^ code) * PRIME) & MASK
    return state


def classify_code(code: int) -> int:
    """0 separates, 1 is inside words, 2 is a word by itself."""
    if code < 0x80:
        char = chr(code)
        return 1 if char.isalnum() or char == "_" else 2 if char in SYMBOLS else 0
    if code < 0xC0:
        return int(chr(code) in "ªµº")
    for low, high, kind in (
        (0x2000, 0x206F, 0),
        (0x3000, 0x3004, 0),
        (0x3008, 0x3020, 0),
        (0x20A0, 0x20CF, 2),
        (0x2190, 0x23FF, 2),
    ):
        if low <= code <= high:
            return kind
    return 1


def find_words(codes: list[int]) -> list[list[int]]:
    """The words, as lists of code points."""
    words: list[list[int]] = []
    open_word: list[int] = []
    for code in [*codes, 32]:
        kind = classify_code(code)
        if kind == 1:
            open_word.append(code)
            continue
        if open_word:
            words.append(open_word)
            open_word = []
        if kind == 2:
            words.append([code])
    return words


def hash_word(codes: list[int]) -> int:
    """Hash of a word."""
    return mix(fnv(codes) ^ WORD)


def grams(word: list[int]) -> list[list[int]]:
    """All 3- to 5-grams between boundary marks."""
    marked = [2, *word, 3]
    return [marked[i : i + size] for size in (3, 4, 5) for i in range(len(marked) - size + 1)]


def embed_codes(
    texts: list[list[int]], common: dict[int, float], gains: tuple[float, float, float], dimension: int
) -> list[list[float]]:
    """Unit rows."""
    return [_embed(find_words(text), common, gains, dimension) for text in texts]


def _embed(
    words: list[list[int]], common: dict[int, float], gains: tuple[float, float, float], dimension: int
) -> list[float]:
    energies: dict[int, float] = defaultdict(float)
    hashes = [hash_word(word) for word in words]
    weights = [common.get(key, 1.0) for key in hashes]
    for word, key, weight in zip(words, hashes, weights, strict=True):
        energies[key or 1] += gains[0] * weight**2
        pieces = grams(word)
        for piece in pieces:
            energies[mix(fnv(piece) ^ GRAM) or 1] += gains[2] * weight**2 / len(pieces)
    for i in range(1, len(words)):
        pair = mix(((hashes[i - 1] * PRIME) & MASK) ^ hashes[i] ^ PAIR)
        energies[pair or 1] += gains[1] * weights[i] * weights[i - 1]
    row = [0.0] * dimension
    for key, energy in energies.items():
        for block in range(8):
            low, high = block * dimension // 8, (block + 1) * dimension // 8
            bits = mix((key + (block + 1) * GOLDEN) & MASK)
            sign = 1 if bits & 1 else -1
            row[low + (((bits >> 32) * (high - low)) >> 32)] += sign * math.sqrt(energy / 8)
    norm = math.sqrt(sum(value**2 for value in row))
    if norm == 0:
        return [1.0] + [0.0] * (dimension - 1)
    return [value / norm for value in row]
