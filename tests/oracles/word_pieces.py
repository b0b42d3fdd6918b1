"""The slow, obvious cutting of a text into rows."""

from __future__ import annotations

import math
from itertools import groupby

from leo_core.kernels.word_pieces import classify_code

BEGIN = 0xCBF29CE484222325
BUCKET = 0x2545F4914F6CDD1D
GRAM = 0x5851F42D4C957F2D
PRIME = 0x100000001B3
WORD = 2**64 - 1


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & WORD
    return (value ^ (value >> 31)) or 1


def bucket_of(seed: int, codes: list[int], first: int, buckets: int) -> int:
    state = seed
    for code in codes:
        state = ((state ^ code) * PRIME) & WORD
    return first + (((mix(state) >> 32) * buckets) >> 32)


def kind_of(letter: str) -> int:
    """0 apart, 1 letter, 2 sign, 3 script without spaces; for ASCII from the language's own notion of letters."""
    if letter.isascii():
        return 1 if letter.isalnum() else 0 if letter.isspace() or not letter.isprintable() else 2
    return int(classify_code.py_func(ord(letter)))


def split_words(text: str) -> list[tuple[str, int]]:
    """Words with their kinds, in order; a sign and a character of a script without spaces stand alone."""
    found: list[tuple[str, int]] = []
    for kind, letters in groupby(text, kind_of):
        run = "".join(letters)
        found += [(run, kind)] if kind < 2 else [(letter, kind) for letter in run]
    return found


def cut_word(word: str, pieces: dict[str, int]) -> list[int] | None:
    """Rows of the longest pieces from the left; None if that fails."""
    found: list[int] = []
    rest, mark = word, ""
    while rest:
        size = next((n for n in range(min(len(rest), 18), 0, -1) if mark + rest[:n] in pieces), 0)
        if not size:
            return None
        found.append(pieces[mark + rest[:size]])
        rest, mark = rest[size:], "##"
    return found


def cut_text(
    text: str, pieces: dict[str, int], pairs: dict[tuple[int, int], int], first: int, buckets: int
) -> list[tuple[int, float]]:
    """Rows and weights of a folded text."""
    found: list[tuple[int, float]] = []
    before = None
    words = split_words(text)
    for place, (word, kind) in enumerate(words):
        if kind == 0:
            continue
        latin = all(ord(letter) <= 0x24F for letter in word)
        rows = cut_word(word, pieces) if kind == 2 or (kind == 1 and latin) else None
        if rows is not None:
            found += [(row, 1.0) for row in rows]
            for row in rows:
                if (before, row) in pairs:
                    found.append((pairs[before, row], 1.0))
                before = row
            continue
        before = None
        codes = [ord(letter) for letter in word]
        found.append((bucket_of(BUCKET, codes, first, buckets), 1.0))
        if kind == 1:
            framed = [2, *codes, 2]
            share = math.sqrt(2.0 / len(codes))
            found += [(bucket_of(GRAM, framed[at : at + 3], first, buckets), share) for at in range(len(codes))]
        elif kind == 3 and place + 1 < len(words) and words[place + 1][1] == 3:
            found.append((bucket_of(BUCKET, [*codes, ord(words[place + 1][0])], first, buckets), 1.0))
    return found
