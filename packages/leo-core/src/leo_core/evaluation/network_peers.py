"""The network under the pair model as it would be written with NumPy and its BLAS instead of kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["NumpyNetwork", "NumpyReading"]

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


class NumpyReading(NamedTuple):
    """Pieces of a text, how much each counts, the same for the strict comparison, and the text as one unit row."""

    pieces: Array
    weights: Array
    strict_pieces: Array
    strict_weights: Array
    whole: Array


class NumpyNetwork:
    """What :class:`leo_core.stages.cache.pair_network.PairNetwork` does, over rows of word pieces.

    Args:
        arrays: The shipped weights, 128 wide.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        self._heads = int(arrays["heads"])
        self._at: dict[str, Array] = {name: np.asarray(each, dtype=np.float32) for name, each in arrays.items()}
        self._input = self._at["input"].reshape(-1, _WIDTH, _WIDTH)
        self._layers = [_Layer(self._at, f"layer{layer}.") for layer in range(int(arrays["layers"]))]
        self._usual, self._strict = _Comparison(self._at, ""), _Comparison(self._at, "strict.")
        width = len(self._at["gain"])
        self._average = np.full(width, 1.0 / width, dtype=np.float32)

    def read(self, rows: Sequence[Array]) -> list[NumpyReading]:
        """Read texts, each given as the rows of its pieces, float32 (n, 256), 1 to 32 of them."""
        parts, last = [], 0
        for each in rows:
            parts.append(slice(last, last + len(each)))
            last += len(each)
        first = hidden = self._start(np.concatenate(rows), parts)
        for layer in self._layers:
            hidden = self._attend(hidden, layer, parts)
        width = hidden.shape[-1]
        return self._finish(first.reshape(-1, width), hidden.reshape(-1, width), parts)

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

    def _finish(self, first: Array, hidden: Array, parts: list[slice]) -> list[NumpyReading]:
        """The readings of what the layers began with and of the last one's states."""
        at = self._at
        hidden = self._normalise(hidden) * at["gain"] + at["shift"]
        pieces, weights = self._usual.view(hidden)
        strict_pieces, strict_weights = self._strict.view(np.concatenate([hidden, first], axis=1))
        shares: Array = _soften(hidden @ at["share"] + at["share_bias"])
        found = []
        for part in parts:
            whole: Array = np.dot(shares[part] @ hidden[part], at["whole"])
            size = np.sqrt(whole @ whole + _TINY, dtype=np.float32)
            weight, strict_weight = weights[part], strict_weights[part]
            weight, strict_weight = weight / weight.sum(), strict_weight / strict_weight.sum()
            found.append(NumpyReading(pieces[part], weight, strict_pieces[part], strict_weight, whole / size))
        return found

    def compare(self, a: NumpyReading, b: NumpyReading) -> tuple[float, float, float]:
        """Log-odds, the cosine of the texts as wholes, and the strict log-odds."""
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


def _share(scores: Array) -> Array:
    """Softmax along the last axis."""
    powers: Array = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def _soften(values: Array) -> Array:
    """log(1 + e^x), positive and smooth."""
    softened: Array = np.maximum(values, np.float32(0.0)) + np.log1p(np.exp(-np.abs(values)))
    return softened
