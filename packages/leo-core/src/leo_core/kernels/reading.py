"""Short texts read piece by piece in context, and two readings aligned: the arithmetic of a small transformer.

All of it is one pass over arrays that stay in the processor's caches. What the steps are for, and their sources, are
told by :mod:`leo_core.stages.cache.pair_network`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leo_core.kernels._compile import kernel
from leo_core.kernels._tiles import COLUMNS, ROWS, multiply

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Places = npt.NDArray[np.int64]

__all__ = ["Alignment", "Encoder", "View", "add_up", "compare_pieces", "encode", "fill_columns", "see"]

_ROW_LENGTH = np.float32(16.0)
_SHORTEST = np.float32(1e-3)
_LEAST_SQUARE = np.float32(1e-3)
_EPSILON = np.float32(1e-5)
_TINY = np.float32(1e-12)
_COSINE_SCALE = np.float32(3.0)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Encoder(NamedTuple):
    """Weights of an encoder of L layers and width w over rows of the table, of dimension d; float32, contiguous.

    A head is :data:`~leo_core.kernels._tiles.COLUMNS` wide, of which w and u are multiples. Gain and shift of all norms
    but the first are part of the maps that follow them.
    """

    table: Rows
    """From rows of length 16: (d, w)."""
    start: Rows
    """What the logarithm of a row's length weighs, bias, gain, shift: (4, w)."""
    position: Rows
    """(COLUMNS, w)"""
    mix: Rows
    """To queries, keys and values, head by head, the queries scaled: (L, 3w / COLUMNS, w, COLUMNS)."""
    mix_bias: Rows
    """(L, 3w / COLUMNS, 1, COLUMNS)"""
    out: Rows
    """(L, w, w)"""
    out_bias: Rows
    """(L, w)"""
    up: Rows
    """(L, w, u)"""
    up_bias: Rows
    """(L, 1, u)"""
    down: Rows
    """(L, u, w)"""
    down_bias: Rows
    """(L, w)"""


class View(NamedTuple):
    """Weights by which an alignment sees states as pieces of width p; float32, contiguous."""

    piece: Rows
    """(w, p), or (2w, p) where the first states are seen too; filled up with zeros to whole tiles."""
    bias: Rows
    """(1, p), likewise."""
    weight: Rows
    """What a piece weighs for how much it counts, and the bias: (p + 1,)."""


class Alignment(NamedTuple):
    """Weights of a comparison of pieces of width p, c figures each, of which j are made; float32, contiguous."""

    sharpness: Rows
    """(1,)"""
    compare: Rows
    """(4p, c), c a multiple of :data:`~leo_core.kernels._tiles.COLUMNS`."""
    compare_bias: Rows
    """(1, c)"""
    judge: Rows
    """(4c + 2, j), the bias last."""
    last: Rows
    """(j + 1,), the bias last."""


def fill_columns(weights: Rows) -> Rows:
    """Weights (k, m) with columns of zeros up to whole tiles."""
    filled = np.zeros((len(weights), -(-weights.shape[1] // COLUMNS) * COLUMNS), dtype=np.float32)
    filled[:, : weights.shape[1]] = weights
    return filled


@kernel
def encode(rows: Rows, bounds: Places, at: Encoder) -> Rows:
    """States of the pieces of texts, each of 1 to :data:`~leo_core.kernels._tiles.COLUMNS`, in their context.

    Args:
        rows: Rows of all pieces in the table, shape (n, d).
        bounds: Where each text begins, and n, shape (t + 1,).
        at: Weights.

    Returns the last and the first states side by side, (n, 2w), and up to two rows more that fill up the last tile.
    """
    count, width = rows.shape[0], at.table.shape[1]
    size = -(-count // ROWS) * ROWS
    heads = width // COLUMNS
    unit, lengths = np.zeros((size, rows.shape[1]), dtype=np.float32), np.empty(count, dtype=np.float32)
    for row in range(count):
        length = max(np.float32(math.sqrt(_square(rows[row]))), _SHORTEST)
        lengths[row] = math.log(length)
        factor = _ROW_LENGTH / length
        for place in range(rows.shape[1]):
            unit[row, place] = rows[row, place] * factor
    hidden, normed = np.zeros((size, width), dtype=np.float32), np.empty((size, width), dtype=np.float32)
    for text in range(bounds.shape[0] - 1):
        for row in range(bounds[text], bounds[text + 1]):
            for place in range(width):
                told = lengths[row] * at.start[0, place] + at.start[1, place]
                hidden[row, place] = told + at.position[row - bounds[text], place]
    multiply(unit, at.table, hidden, hidden)
    none = np.zeros(width, dtype=np.float32)
    _normalise(hidden, none, normed)
    both = np.empty((size, 2 * width), dtype=np.float32)
    for row in range(size):
        for place in range(width):
            hidden[row, place] = normed[row, place] * at.start[2, place] + at.start[3, place]
            both[row, width + place] = hidden[row, place]
    mixed = np.zeros((3 * heads, size + ROWS, COLUMNS), dtype=np.float32)
    seen = np.zeros((size + ROWS, COLUMNS), dtype=np.float32)
    inner, bias = np.empty((size, at.up.shape[2]), dtype=np.float32), none
    for layer in range(at.out.shape[0]):
        _normalise(hidden, bias, normed)
        for part in range(3 * heads):
            multiply(normed, at.mix[layer, part], at.mix_bias[layer, part], mixed[part, :size])
        for head in range(heads):
            _attend(mixed[head], mixed[heads + head], mixed[2 * heads + head], bounds, seen)
            multiply(seen[:size], at.out[layer, head * COLUMNS : (head + 1) * COLUMNS], hidden, hidden)
        _normalise(hidden, at.out_bias[layer], normed)
        multiply(normed, at.up[layer], at.up_bias[layer], inner)
        for row in range(size):
            for place in range(inner.shape[1]):
                inner[row, place] = max(inner[row, place], _ZERO)
        multiply(inner, at.down[layer], hidden, hidden)
        bias = at.down_bias[layer]
    _normalise(hidden, bias, normed)
    for row in range(size):
        for place in range(width):
            both[row, place] = normed[row, place]
    return both


@kernel
def _attend(queries: Rows, keys: Rows, values: Rows, bounds: Places, seen: Rows) -> None:
    """What one head sees within each text; the arrays have room for the rows that fill up the last tile."""
    turned = np.zeros((COLUMNS, COLUMNS), dtype=np.float32)
    scores = np.zeros((COLUMNS + ROWS, COLUMNS), dtype=np.float32)
    none = np.zeros((1, COLUMNS), dtype=np.float32)
    for text in range(bounds.shape[0] - 1):
        first, count = bounds[text], bounds[text + 1] - bounds[text]
        padded = -(-count // ROWS) * ROWS
        for row in range(count):
            for place in range(COLUMNS):
                turned[place, row] = keys[first + row, place]
        multiply(queries[first : first + padded], turned, none, scores[:padded])
        _share(scores, count, count)
        multiply(scores[:padded], values[first : first + count], none, seen[first : first + padded])


@kernel
def see(states: Rows, bounds: Places, view: View) -> tuple[Rows, Rows]:
    """A row for each state, of mean square 1, and how much it counts.

    Args:
        states: From :func:`encode`.
        bounds: Where each text begins, and n, shape (t + 1,).
        view: Weights.

    Returns pieces, (n, p), and weights, positive and of sum 1 in each text, (n,).
    """
    count, width = bounds[-1], view.weight.shape[0] - 1
    filled = np.empty((states.shape[0], view.piece.shape[1]), dtype=np.float32)
    found, weights = np.empty((count, width), dtype=np.float32), np.empty(count, dtype=np.float32)
    multiply(states, view.piece, view.bias, filled)
    for text in range(bounds.shape[0] - 1):
        total = _ZERO
        for row in range(bounds[text], bounds[text + 1]):
            factor = _ONE / np.float32(math.sqrt(_square(filled[row]) / np.float32(width) + _LEAST_SQUARE))
            for place in range(width):
                found[row, place] = filled[row, place] * factor
            weights[row] = _weigh(found[row], view.weight)
            total += weights[row]
        for row in range(bounds[text], bounds[text + 1]):
            weights[row] /= total
    return found, weights


@kernel
def add_up(states: Rows, bounds: Places, share: Rows, whole: Rows) -> Rows:
    """The texts as unit rows, (t, m).

    Args:
        states: From :func:`encode`, of which the last ones are added up.
        bounds: Where each text begins, and n, shape (t + 1,).
        share: What a state weighs for its share in the whole, and the bias, shape (w + 1,).
        whole: Map from the sum of shares of states, and of the sum of the shares, shape (w + 1, m).
    """
    width, count = share.shape[0] - 1, bounds.shape[0] - 1
    found = np.zeros((count, whole.shape[1]), dtype=np.float32)
    for text in range(count):
        total = np.zeros(width + 1, dtype=np.float32)
        for row in range(bounds[text], bounds[text + 1]):
            own = _weigh(states[row, :width], share)
            for place in range(width):
                total[place] += own * states[row, place]
            total[width] += own
        for inner in range(width + 1):
            for place in range(whole.shape[1]):
                found[text, place] += total[inner] * whole[inner, place]
        factor = _ONE / np.float32(math.sqrt(_square(found[text]) + _TINY))
        for place in range(whole.shape[1]):
            found[text, place] *= factor
    return found


@kernel
def compare_pieces(a: Rows, weights_a: Rows, b: Rows, weights_b: Rows, cosine: float, at: Alignment) -> float:
    """Log-odds of two texts that every piece of either finds its likely partners in the other.

    Args:
        a: Pieces of one text, shape (n, p), n at most :data:`~leo_core.kernels._tiles.COLUMNS`.
        weights_a: How much each counts, of sum 1, shape (n,).
        b: Those of the other, shape (m, p), m likewise.
        weights_b: Shape (m,).
        cosine: Of the texts as wholes.
        at: Weights.
    """
    figures = at.compare.shape[1]
    found = np.empty(4 * figures + 2, dtype=np.float32)
    mean, most = _gather(a, weights_a, b, at)
    other_mean, other_most = _gather(b, weights_b, a, at)
    for place in range(figures):
        found[place] = mean[place] + other_mean[place]
        found[figures + place] = abs(mean[place] - other_mean[place])
        found[2 * figures + place] = max(most[place], other_most[place])
        found[3 * figures + place] = min(most[place], other_most[place])
    found[4 * figures] = _COSINE_SCALE * np.float32(cosine)
    found[4 * figures + 1] = _ONE
    deep = np.zeros(at.judge.shape[1], dtype=np.float32)
    for inner in range(found.shape[0]):
        for place in range(deep.shape[0]):
            deep[place] += found[inner] * at.judge[inner, place]
    odds = np.float64(at.last[deep.shape[0]])
    for place in range(deep.shape[0]):
        odds += max(deep[place], _ZERO) * at.last[place]
    return odds


@kernel
def _gather(mine: Rows, weights: Rows, others: Rows, at: Alignment) -> tuple[Rows, Rows]:
    """Comparisons of all pieces with their partners: weighed mean and largest."""
    count, width, figures = mine.shape[0], mine.shape[1], at.compare.shape[1]
    padded, filled = -(-count // ROWS) * ROWS, -(-width // COLUMNS) * COLUMNS
    both = np.zeros((padded, 4 * width), dtype=np.float32)
    turned = np.zeros((width, COLUMNS), dtype=np.float32)
    rest = np.zeros((others.shape[0], filled), dtype=np.float32)
    none, nothing = np.zeros((1, COLUMNS), dtype=np.float32), np.zeros((1, filled), dtype=np.float32)
    scores, partners = np.empty((padded, COLUMNS), dtype=np.float32), np.empty((padded, filled), dtype=np.float32)
    for row in range(count):
        for place in range(width):
            both[row, place] = mine[row, place]
    for row in range(others.shape[0]):
        for place in range(width):
            rest[row, place] = others[row, place]
            turned[place, row] = others[row, place] * at.sharpness[0]
    multiply(both, turned, none, scores)
    _share(scores, count, others.shape[0])
    multiply(scores, rest, nothing, partners)
    for row in range(count):
        for place in range(width):
            own, partner = both[row, place], partners[row, place]
            both[row, width + place] = partner
            both[row, 2 * width + place] = abs(own - partner)
            both[row, 3 * width + place] = own * partner
    found = np.empty((padded, figures), dtype=np.float32)
    multiply(both, at.compare, at.compare_bias, found)
    mean, most = np.zeros(figures, dtype=np.float32), np.zeros(figures, dtype=np.float32)
    for row in range(count):
        for place in range(figures):
            figure = max(found[row, place], _ZERO)
            mean[place] += weights[row] * figure
            most[place] = max(most[place], figure)
    return mean, most


@kernel
def _normalise(rows: Rows, bias: Rows, found: Rows) -> None:
    """Add a bias (w,) to rows (n, w), and find them with mean 0 and deviation 1."""
    width = rows.shape[1]
    for row in range(rows.shape[0]):
        total = _ZERO
        for place in range(width):
            rows[row, place] += bias[place]
        own = rows[row]
        for place in range(0, width, 4):
            total += (own[place] + own[place + 1]) + (own[place + 2] + own[place + 3])
        mean = total / np.float32(width)
        for place in range(width):
            found[row, place] = own[place] - mean
        factor = _ONE / np.float32(math.sqrt(_square(found[row]) / np.float32(width) + _EPSILON))
        for place in range(width):
            found[row, place] *= factor


@kernel
def _share(scores: Rows, count: int, columns: int) -> None:
    """Softmax of the first columns of the first rows."""
    for row in range(count):
        most = scores[row, 0]
        for place in range(1, columns):
            most = max(most, scores[row, place])
        total = _ZERO
        for place in range(columns):
            power = np.float32(math.exp(scores[row, place] - most))
            scores[row, place] = power
            total += power
        factor = _ONE / total
        for place in range(columns):
            scores[row, place] *= factor


@kernel
def _weigh(row: Rows, weights: Rows) -> np.float32:
    """log(1 + e^x) of what a row (w,) weighs, with the bias after its weights, (w + 1,)."""
    total = weights[row.shape[0]]
    for place in range(row.shape[0]):
        total += row[place] * weights[place]
    return np.float32(max(float(total), 0.0) + math.log1p(math.exp(-abs(total))))


@kernel
def _square(row: Rows) -> np.float32:
    """Sum of the squares of a row, whose length is a multiple of 4."""
    one = two = three = four = _ZERO
    for place in range(0, row.shape[0], 4):
        one += row[place] * row[place]
        two += row[place + 1] * row[place + 1]
        three += row[place + 2] * row[place + 2]
        four += row[place + 3] * row[place + 3]
    return (one + two) + (three + four)
