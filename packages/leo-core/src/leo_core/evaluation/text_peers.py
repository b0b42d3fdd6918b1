"""What a user would write for texts with Python and NumPy instead of a kernel: dictionaries, and arrays at once."""

from __future__ import annotations

import math
import re
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]
    Keys = npt.NDArray[np.uint64]
    Rows = npt.NDArray[np.float32]

__all__ = [
    "PieceTable",
    "align_words",
    "cut_trigrams",
    "embed_hashed",
    "find_candidates",
    "find_trigrams",
    "hash_words",
    "index_pieces",
    "measure_strangeness",
    "read_outputs",
    "sum_trees",
]

LONGEST_PIECE = 18
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
_HASHED_WORD = re.compile(r"\w+|[#$%&*+/<=>@^|~]")
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_IN_WORD, _IN_PAIR, _IN_GRAM = (
    np.uint64(salt) for salt in (0x5851F42D4C957F2D, 0x14057B7EF767814F, 0x2545F4914F6CDD1D)
)
_BLOCKS = 8
_LETTERS = 4


def index_pieces(pieces: Sequence[str], pairs: npt.NDArray[np.int32]) -> tuple[dict[str, int], dict[Any, int]]:
    """Rows of the pieces and of the pairs (q, 2)."""
    rows = {piece: row for row, piece in enumerate(pieces)}
    return rows, {(first, second): len(pieces) + row for row, (first, second) in enumerate(pairs.tolist())}


class PieceTable:
    """The trained table for English: words cut with a dictionary, rows added up with NumPy.

    Args:
        arrays: The shipped arrays; see :class:`leo_core.stages.embed.static.StaticEmbedder`.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self.pieces = bytes(np.asarray(arrays["pieces"], dtype=np.uint8)).decode("utf-8").split("\n")
        self.pairs = np.asarray(arrays["pairs"], dtype=np.int32).reshape(-1, 2)
        scales = np.asarray(arrays["scales"], dtype=np.float32)
        self.table = np.asarray(arrays["table"], dtype=np.float32) * scales[:, np.newaxis]
        self._rows, self._pair_rows = index_pieces(self.pieces, self.pairs)

    def embed(self, texts: Sequence[str]) -> Rows:
        """Unit rows (n, d)."""
        return self.pool([self.cut(text) for text in texts])

    def pool(self, cuts: Sequence[Sequence[int]]) -> Rows:
        """Unit rows (n, d) of texts that are cut into rows; none of them empty."""
        starts = np.cumsum([0, *map(len, cuts)])[:-1]
        sums = np.add.reduceat(self.table[np.concatenate([np.asarray(cut, dtype=np.int64) for cut in cuts])], starts)
        unit: Rows = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return unit

    def cut(self, text: str) -> list[int]:
        """Rows of a text's pieces and pairs of pieces; words that cannot be cut are left out."""
        found: list[int] = []
        before = -1
        for word in _WORD.findall(text.lower()):
            rows = self._cut_word(word)
            found += rows
            for row in rows:
                pair = self._pair_rows.get((before, row))
                found += [] if pair is None else [pair]
                before = row
        return found

    def _cut_word(self, word: str) -> list[int]:
        found, at, mark = [], 0, ""
        while at < len(word):
            for end in range(min(len(word), at + LONGEST_PIECE), at, -1):
                row = self._rows.get(mark + word[at:end])
                if row is not None:
                    break
            else:
                return []
            found.append(row)
            at, mark = end, "##"
        return found


def _mix(value: Keys) -> Keys:
    """The finaliser of splitmix64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _hash(rows: npt.NDArray[np.uint32], lengths: Integers) -> Keys:
    """FNV-1a of the first ``lengths`` (n,) code points of each row (n, l)."""
    states = np.full(len(rows), _FNV_OFFSET)
    for column in range(rows.shape[1]):
        fresh = (states ^ rows[:, column].astype(np.uint64)) * _FNV_PRIME
        states = np.where(column < lengths, fresh, states)
    return states


def embed_hashed(texts: Sequence[str], common: Mapping[str, float], gains: Floats, dimension: int) -> Rows:
    """Unit rows (n, dimension) of texts of lower case by hashed words, pairs and n-grams, a text at a time.

    ``common``: weights of words that do not weigh 1. ``gains``: energy of a word, a pair, and a word's n-grams, (3,).
    """
    rows = [_embed_hashed_one(_HASHED_WORD.findall(text), common, gains, dimension) for text in texts]
    return np.array(rows, dtype=np.float32)


def _embed_hashed_one(words: Sequence[str], common: Mapping[str, float], gains: Floats, dimension: int) -> Floats:
    if not words:
        return np.asarray(np.eye(1, dimension)[0])
    lows = np.arange(_BLOCKS) * dimension // _BLOCKS
    widths = ((np.arange(_BLOCKS) + 1) * dimension // _BLOCKS - lows).astype(np.uint64)
    weights = np.array([common.get(word, 1.0) for word in words])
    lengths = np.array([len(word) for word in words])
    codes = np.zeros((len(words), int(lengths.max()) + 6), dtype=np.uint32)
    for place, word in enumerate(words):
        codes[place, : len(word) + 2] = [2, *map(ord, word), 3]
    hashes = _mix(_hash(codes[:, 1:], lengths) ^ _IN_WORD)
    keys, energies = [hashes], [gains[0] * weights**2]
    keys.append(_mix((hashes[:-1] * _FNV_PRIME) ^ hashes[1:] ^ _IN_PAIR))
    energies.append(gains[1] * weights[:-1] * weights[1:])
    counts = sum(np.maximum(0, lengths + 3 - size) for size in (3, 4, 5))
    for size in (3, 4, 5):
        windows = np.lib.stride_tricks.sliding_window_view(codes, size, axis=1)
        word_of, start = np.nonzero(np.arange(windows.shape[1]) < (lengths + 3 - size)[:, np.newaxis])
        keys.append(_mix(_hash(windows[word_of, start], np.full(len(word_of), size)) ^ _IN_GRAM))
        energies.append((gains[2] * weights**2 / counts)[word_of])
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    amounts = np.sqrt(np.bincount(inverse, np.concatenate(energies)) / _BLOCKS)
    bits = _mix(unique[:, np.newaxis] + np.arange(1, _BLOCKS + 1).astype(np.uint64) * _GOLDEN)
    places = lows + ((bits >> np.uint64(32)) * widths >> np.uint64(32)).astype(np.int64)
    signs = np.where(bits & np.uint64(1), 1.0, -1.0) * amounts[:, np.newaxis]
    row = np.bincount(places.ravel(), signs.ravel(), minlength=dimension)
    return np.asarray(row / np.linalg.norm(row))


def cut_trigrams(text: str) -> frozenset[str]:
    """The different runs of three letters."""
    return frozenset([text[at : at + 3] for at in range(len(text) - 2)])


def find_trigrams(letters: npt.NDArray[np.uint32]) -> Integers:
    """The same of code points (n,), as :func:`leo_core.kernels.pairs.read_trigrams` writes them."""
    wide = letters.astype(np.int64)
    return np.unique(wide[:-2] << 42 | wide[1:-1] << 21 | wide[2:])


def align_words(
    likeness: Rows, kinship_a: Rows, kinship_b: Rows, weights_a: Floats, weights_b: Floats, only_a: Flags, only_b: Flags
) -> Floats:
    """The six figures of :func:`leo_core.kernels.pairs.align_words` for texts with words."""
    best_a, best_b = likeness.max(axis=1), likeness.max(axis=0)
    lost = np.array([weights_a @ (1.0 - best_a), weights_b @ (1.0 - best_b)])
    shares = lost / np.array([weights_a.sum(), weights_b.sum()])
    remainder = 1.0
    if only_a.any() or only_b.any():
        own_a: Floats = weights_a * only_a if only_a.any() else weights_a
        own_b: Floats = weights_b * only_b if only_b.any() else weights_b
        cross, square_a, square_b = own_a @ likeness @ own_b, own_a @ kinship_a @ own_a, own_b @ kinship_b @ own_b
        remainder = float(cross) / float(np.sqrt(max(float(square_a), 1e-12) * max(float(square_b), 1e-12)))
    least = min(float(best_a.min()), float(best_b.min()))
    return np.array([1.0 - shares.max(), 1.0 - shares.min(), least, lost.min(), lost.max(), remainder])


def sum_trees(
    rows: Floats,
    feature: npt.NDArray[np.int16],
    number: Floats,
    skip: npt.NDArray[np.int16],
    roots: Integers,
    levels: int,
) -> Floats:
    """Sum of the leaves that each row (n, f) reaches, all rows and trees one level at a time."""
    nodes = np.broadcast_to(roots, (len(rows), len(roots)))
    for _ in range(levels):
        fits = np.take_along_axis(rows, feature[nodes].astype(np.intp), axis=1) <= number[nodes]
        nodes = nodes + np.where(fits, skip[nodes] > 0, skip[nodes])
    return np.asarray(number[nodes].sum(axis=1))


def find_candidates(
    sketches: Keys, rows: npt.NDArray[np.int8], scales: Rows, sketch: Keys, query: npt.NDArray[np.int16], wanted: int
) -> tuple[Integers, Rows]:
    """Rows whose sketches (n, 4) differ least from the query's (2, 4), heavy signs twice, and their inner products."""
    gaps = sketches ^ sketch[0]
    distances = np.bitwise_count(gaps).sum(axis=1) + np.bitwise_count(gaps & sketch[1]).sum(axis=1)
    places = np.argpartition(distances, wanted)[:wanted]
    return places, (rows[places].astype(np.float32) @ query.astype(np.float32)) * scales[places]


def hash_words(words: Sequence[str], buckets: int) -> list[int]:
    """Buckets of the distinct hashed features of words."""
    found = {f"p:{first} {second}" for first, second in pairwise(["^", *words, "$"])}
    for word in words:
        bounded = f"<{word}>"
        found.add(f"w:{word}")
        found.update(f"c:{bounded[start : start + _LETTERS]}" for start in range(len(bounded) - _LETTERS + 1))
    return sorted({zlib.crc32(feature.encode()) % buckets for feature in found})


def read_outputs(
    hashed: npt.NDArray[np.int8],
    found: Integers,
    scale: Rows,
    bias: Rows,
    dense: Rows,
    present: Integers,
    seen: Rows,
    outputs: Rows,
) -> Floats:
    """Outputs of a network with one hidden layer, by sums of rows and one product."""
    total = hashed[found].sum(axis=0, dtype=np.int32) * scale
    total *= 1.0 / math.sqrt(max(len(found), 1))
    total += bias + dense[present].sum(axis=0) + seen
    hidden = len(outputs)
    result: Floats = np.maximum(total[:hidden], 0.0) @ outputs + total[hidden:]
    return result


def measure_strangeness(sketches: Keys, sketch: Keys, crowd: int, share: float) -> float:
    """How far a query (2, 4) lies from the two nearest of ``sketches`` (n, 4), less its neighbour's isolation."""
    gaps = sketches ^ sketch[0]
    distances = np.bitwise_count(gaps).sum(axis=1, dtype=np.int64)
    distances += np.bitwise_count(gaps & sketch[1]).sum(axis=1, dtype=np.int64)
    weight = 256 + int(np.bitwise_count(sketch[1]).sum())
    two = np.partition(distances, 1)[:2]
    others = np.bitwise_count(sketches ^ sketches[int(distances.argmin())]).sum(axis=1)
    reach = np.partition(others, crowd)[crowd]  # the nearest itself is among them
    return float(two.sum() / (2.0 * weight) - share * int(reach) / 256)
