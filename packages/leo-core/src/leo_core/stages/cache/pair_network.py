"""A small network that reads two questions word by word, each in its context, and aligns them.

A table of words does not know that "light" in "traffic light" is not that in "light meal". So each text is read once by
an encoder of a few layers of self-attention over the rows of the shipped table (Vaswani et al. 2017, with the norm
ahead of each part), and two readings are compared by decomposable attention (Parikh et al. 2016): every piece against
its likely partners on the other side, in both directions, the comparisons weighed, added up and judged. This is done
twice: once as people label questions that are alike, and once strictly, as questions differ that have all words but one
in common; for that each piece is also seen as it was before it was read in its context. The weights are made by
``packages/leo-core/train/pair_network.py`` and ``strict_comparison.py``.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[np.float32]
    ReadRows = Callable[[str], Array]

__all__ = ["MOST_PIECES", "PairNetwork", "Reading", "load_pair_network"]

MOST_PIECES = 32
"""Longest text that the network has learned to read, in word pieces."""
_FILE = "pair_network.npz"
_ROW_LENGTH = np.float32(16.0)
_SHORTEST = np.float32(1e-3)
_LEAST_SQUARE = np.float32(1e-3)
_EPSILON = np.float32(1e-5)
_TINY = np.float32(1e-12)
_COSINE_SCALE = 3.0
_WIDTH = 128
_ROWS = 16
"""Rows that are multiplied by one square map at a time: OpenBLAS starts threads for products of over 2¹⁸ steps, and
to wait for them takes longer than the product itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the network reads from one text of n pieces.

    Attributes:
        pieces: A row for each piece in its context, float32 (n, h).
        weights: How much each piece counts, float32 (n,), positive, of sum 1.
        strict_pieces: The same for the strict comparison, float32 (n, h).
        strict_weights: How much each of these counts, float32 (n,), positive, of sum 1.
        whole: The text as one unit row, float32 (s,).
    """

    pieces: Array
    weights: Array
    strict_pieces: Array
    strict_weights: Array
    whole: Array


class PairNetwork:
    """Reads texts, and compares two readings.

    Args:
        arrays: The weights, as the training script names them.
        read_rows: Gives the rows of a text's word pieces in the shipped table, float32 (n, 256).
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]], read_rows: ReadRows) -> None:
        self._read_rows = read_rows
        self._heads = int(arrays["heads"])
        self._at: dict[str, Array] = {name: np.asarray(each, dtype=np.float32) for name, each in arrays.items()}
        self._input = self._at["input"].reshape(-1, _WIDTH, _WIDTH)
        self._layers = [_Layer(self._at, f"layer{layer}.") for layer in range(int(arrays["layers"]))]
        self._usual, self._strict = _Comparison(self._at, ""), _Comparison(self._at, "strict.")
        width = len(self._at["gain"])
        self._average = np.full(width, 1.0 / width, dtype=np.float32)

    def read(self, texts: Sequence[str]) -> list[Reading | None]:
        """Read texts, all at once; ``None`` for one without a piece or of more than :data:`MOST_PIECES`."""
        return self._read([self._read_rows(text) for text in texts])

    def read_apart(self, a: str, b: str) -> tuple[Reading | None, Reading | None]:
        """Read two texts without what is too much of the words that both begin, then end, with.

        So long texts that differ in a few words can be compared; ``None`` where one is too long all the same.
        """
        one, two = self._read_rows(a), self._read_rows(b)
        start = min(_count_equal(one, two), max(len(one), len(two)) - MOST_PIECES)
        if start > 0:
            one, two = one[start:], two[start:]
        end = min(_count_equal(one[::-1], two[::-1]), max(len(one), len(two)) - MOST_PIECES)
        if end > 0:
            one, two = one[:-end], two[:-end]
        found = self._read([one, two])
        return found[0], found[1]

    def _read(self, rows: Sequence[Array]) -> list[Reading | None]:
        """Read texts, given as rows of their pieces."""
        can = [0 < len(each) <= MOST_PIECES for each in rows]
        parts, last = [], 0
        for each in (each for each, readable in zip(rows, can, strict=True) if readable):
            parts.append(slice(last, last + len(each)))
            last += len(each)
        if not parts:
            return [None] * len(rows)
        first = hidden = self._start(
            np.concatenate([each for each, readable in zip(rows, can, strict=True) if readable]), parts
        )
        for layer in self._layers:
            hidden = self._attend(hidden, layer, parts)
        width = hidden.shape[-1]
        found = self._finish(first.reshape(-1, width), hidden.reshape(-1, width), parts)
        return [next(found) if readable else None for readable in can]

    def _start(self, rows: Array, parts: list[slice]) -> Array:
        """What the layers begin with: direction, length and place of each row, in blocks (c, r, width)."""
        at = self._at
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        rest = np.log(np.maximum(length, _SHORTEST)) * at["input_length"] + at["input_bias"]
        for part in parts:
            rest[part] += at["position"][: part.stop - part.start]
        unit = _cut_rows(rows * (_ROW_LENGTH / np.maximum(length, _SHORTEST)))
        count, size, _ = unit.shape
        blocks = unit.reshape(count, size, len(self._input), -1).transpose(0, 2, 1, 3)
        hidden = (blocks @ self._input).sum(axis=1) + _cut_rows(rest)
        return self._normalise(hidden) * at["input_gain"] + at["input_shift"]

    def _finish(self, first: Array, hidden: Array, parts: list[slice]) -> Iterator[Reading]:
        """The readings of what the layers began with and of the last one's states."""
        at = self._at
        hidden = self._normalise(hidden) * at["gain"] + at["shift"]
        pieces, weights = self._usual.view(hidden)
        strict_pieces, strict_weights = self._strict.view(np.concatenate([hidden, first], axis=1))
        shares: Array = _soften(hidden @ at["share"] + at["share_bias"])
        for part in parts:
            whole: Array = np.dot(shares[part] @ hidden[part], at["whole"])
            size = np.sqrt(whole @ whole + _TINY, dtype=np.float32)
            yield Reading(
                pieces=pieces[part],
                weights=weights[part] / weights[part].sum(),
                strict_pieces=strict_pieces[part],
                strict_weights=strict_weights[part] / strict_weights[part].sum(),
                whole=whole / size,
            )

    def compare(self, a: Reading, b: Reading) -> tuple[float, float, float]:
        """Log-odds that two texts have the same answer, the cosine of the texts as wholes, and the strict log-odds.

        Neither log-odds are calibrated. Symmetric in ``a`` and ``b`` but for rounding.
        """
        cosine = float(a.whole @ b.whole)
        odds = self._usual.judge(a.pieces, a.weights, b.pieces, b.weights, cosine)
        strict = self._strict.judge(a.strict_pieces, a.strict_weights, b.strict_pieces, b.strict_weights, cosine)
        return odds, cosine, strict

    def _attend(self, hidden: Array, layer: _Layer, parts: list[slice]) -> Array:
        """One layer: self-attention, then two linear maps with a ReLU between them, each added to its input."""
        width, heads = hidden.shape[-1], self._heads
        mixed = self._normalise(hidden)[:, None] @ layer.query_key_value + layer.query_key_value_bias
        mixed = mixed.transpose(1, 0, 2, 3).reshape(3, -1, heads, width // heads).transpose(0, 2, 1, 3)
        seen = np.zeros((mixed.shape[2], width), dtype=np.float32)
        for part in parts:
            query, key, value = mixed[:, :, part]
            shares = _share((query @ key.transpose(0, 2, 1)) * np.float32((width / heads) ** -0.5))
            seen[part] = (shares @ value).transpose(1, 0, 2).reshape(-1, width)
        hidden = hidden + seen.reshape(hidden.shape) @ layer.out
        hidden += layer.out_bias
        inner = self._normalise(hidden)[:, None] @ layer.up + layer.up_bias
        np.maximum(inner, 0.0, out=inner)
        hidden += (inner @ layer.down).sum(axis=1)
        hidden += layer.down_bias
        return hidden

    def _normalise(self, rows: Array) -> Array:
        """Rows of mean 0 and deviation 1 (Ba et al. 2016), along the last axis."""
        rows = rows - (rows @ self._average)[..., None]
        spread = np.sqrt(np.einsum("...j,...j->...", rows, rows) * self._average[0] + _EPSILON)
        rows /= spread[..., None]
        return rows


class _Comparison:
    """Decomposable attention between what it takes of the states of two texts."""

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        self._piece, self._piece_bias = arrays[f"{name}piece"], arrays[f"{name}piece_bias"]
        self._weight, self._weight_bias = arrays[f"{name}weight"], arrays[f"{name}weight_bias"]
        self._sharpness = arrays[f"{name}sharpness"]
        self._compare, self._compare_bias = arrays[f"{name}compare"], arrays[f"{name}compare_bias"]
        self._judge, self._judge_bias = arrays[f"{name}judge"], arrays[f"{name}judge_bias"]
        self._last, self._last_bias = arrays[f"{name}last"], arrays[f"{name}last_bias"]

    def view(self, hidden: Array) -> tuple[Array, Array]:
        """A row for each state, of mean square 1, and how much it counts."""
        pieces: Array = hidden @ self._piece + self._piece_bias
        square = np.einsum("ij,ij->i", pieces, pieces) * np.float32(1.0 / pieces.shape[1])
        pieces = pieces / np.sqrt(square + _LEAST_SQUARE)[:, None]
        return pieces, _soften(pieces @ self._weight + self._weight_bias)

    def judge(self, a: Array, weights_a: Array, b: Array, weights_b: Array, cosine: float) -> float:
        """Log-odds of the rows of two texts, their weights, and the cosine of the wholes."""
        score = (a @ b.T) * self._sharpness
        mean_one, most_one = self._gather(a, weights_a, _share(score) @ b)
        mean_two, most_two = self._gather(b, weights_b, _share(score.T) @ a)
        found = np.concatenate(
            [
                mean_one + mean_two,
                np.abs(mean_one - mean_two),
                np.maximum(most_one, most_two),
                np.minimum(most_one, most_two),
                np.array([_COSINE_SCALE * cosine], dtype=np.float32),
            ]
        )
        deep = np.maximum(found @ self._judge + self._judge_bias, 0.0)
        return float(deep @ self._last + self._last_bias)

    def _gather(self, mine: Array, weights: Array, partners: Array) -> tuple[Array, Array]:
        """Comparisons of all pieces with their partners: weighed mean and largest."""
        both = np.concatenate([mine, partners, np.abs(mine - partners), mine * partners], axis=1)
        found = both @ self._compare
        found += self._compare_bias
        np.maximum(found, 0.0, out=found)
        return weights @ found, found.max(axis=0)


class _Layer:
    """The weights of one layer; gain and shift of its norms are part of the maps that follow them.

    Maps from or to more than the width are cut into square blocks (see :data:`_ROWS`).
    """

    def __init__(self, arrays: Mapping[str, Array], name: str) -> None:
        mixed, gain = arrays[f"{name}query_key_value"], arrays[f"{name}gain_attend"]
        bias = arrays[f"{name}query_key_value_bias"] + arrays[f"{name}shift_attend"] @ mixed
        self.query_key_value, self.query_key_value_bias = _cut_columns(gain[:, None] * mixed), _cut_columns(bias[None])
        self.out, self.out_bias = arrays[f"{name}out"], arrays[f"{name}out_bias"]
        up = arrays[f"{name}up"]
        bias = arrays[f"{name}up_bias"] + arrays[f"{name}shift"] @ up
        self.up, self.up_bias = _cut_columns(arrays[f"{name}gain"][:, None] * up), _cut_columns(bias[None])
        down = arrays[f"{name}down"]
        self.down, self.down_bias = down.reshape(-1, down.shape[1], down.shape[1]), arrays[f"{name}down_bias"]


def _count_equal(one: Array, two: Array) -> int:
    """How many rows two texts have in common at the start."""
    size = min(len(one), len(two))
    other = np.flatnonzero((one[:size] != two[:size]).any(axis=1))
    return int(other[0]) if len(other) else size


def _cut_rows(rows: Array) -> Array:
    """Rows (n, d) in blocks (c, r, d) of at most :data:`_ROWS`, filled up with zeros."""
    count = -(-len(rows) // _ROWS)
    size = -(-len(rows) // count)
    filled = np.zeros((count * size, rows.shape[1]), dtype=np.float32)
    filled[: len(rows)] = rows
    return filled.reshape(count, size, -1)


def _cut_columns(weights: Array) -> Array:
    """A map (k, n · width) as n of them, (n, k, width)."""
    return np.ascontiguousarray(weights.reshape(len(weights), -1, _WIDTH).transpose(1, 0, 2))


def load_pair_network(read_rows: ReadRows) -> PairNetwork:
    """The shipped network over the rows that ``read_rows`` gives (``read_pieces`` of the shipped embedder)."""
    data = (files("leo_core.stages.cache") / _FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return PairNetwork(dict(arrays), read_rows)


def _share(scores: Array) -> Array:
    """Softmax along the last axis."""
    powers: Array = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _soften(values: Array) -> Array:
    """log(1 + e^x), positive and smooth."""
    softened: Array = np.maximum(values, np.float32(0.0)) + np.log1p(np.exp(-np.abs(values)))
    return softened
