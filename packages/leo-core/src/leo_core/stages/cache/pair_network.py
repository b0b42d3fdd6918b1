"""A small network that reads two questions word by word, each in its context, and aligns them.

A table of words does not know that "light" in "traffic light" is not that in "light meal". So each text is read once by
an encoder of a few layers of self-attention over the rows of the shipped table (Vaswani et al. 2017, with the norm
ahead of each part), and two readings are compared by decomposable attention (Parikh et al. 2016): every piece against
its likely partners on the other side, in both directions, the comparisons weighed, added up and judged. This is done
twice: once as people label questions that are alike, and once strictly, as questions differ that have all words but one
in common; for that each piece is also seen as it was before it was read in its context. The arithmetic is that
of :mod:`leo_core.kernels.reading`; the weights are made by ``packages/leo-core/train/pair_network.py`` and
``strict_comparison.py``.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.kernels.reading import Alignment, Encoder, View

    Array = npt.NDArray[np.float32]
    ReadRows = Callable[[str], Array]

__all__ = ["MOST_PIECES", "PairNetwork", "Reading", "load_pair_network", "read_network"]

MOST_PIECES = 32
"""Longest text that the network has learned to read, in word pieces."""
_FILE = "pair_network.npz"
_HEAD = 32


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

    Raises:
        ConfigError: When a head of the weights is not 32 wide.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.generic]], read_rows: ReadRows) -> None:
        self._rows_of = read_rows
        width, heads = len(arrays["gain"]), int(arrays["heads"])
        if width != heads * _HEAD:
            msg = f"a network {width} wide with {heads} heads; it has to have heads of {_HEAD}"
            raise ConfigError(msg)
        self._arrays = {name: np.asarray(each, dtype=np.float32) for name, each in arrays.items()}

    @cached_property
    def _weights(self) -> _Weights:
        """The weights as the kernels take them."""
        return _Weights(self._arrays)

    def read(self, texts: Sequence[str]) -> list[Reading | None]:
        """Read texts, all at once; ``None`` for one without a piece or of more than :data:`MOST_PIECES`."""
        return self.read_rows([self._rows_of(text) for text in texts])

    def read_apart(self, a: str, b: str) -> tuple[Reading | None, Reading | None]:
        """Read two texts without what is too much of the words that both begin, then end, with.

        So long texts that differ in a few words can be compared; ``None`` where one is too long all the same.
        """
        one, two = self._rows_of(a), self._rows_of(b)
        start = min(_count_equal(one, two), max(len(one), len(two)) - MOST_PIECES)
        if start > 0:
            one, two = one[start:], two[start:]
        end = min(_count_equal(one[::-1], two[::-1]), max(len(one), len(two)) - MOST_PIECES)
        if end > 0:
            one, two = one[:-end], two[:-end]
        found = self.read_rows([one, two])
        return found[0], found[1]

    def read_rows(self, rows: Sequence[Array]) -> list[Reading | None]:
        """The same of texts that are given as the rows of their pieces, float32 (n, 256)."""
        from leo_core.kernels.reading import add_up, encode, see  # noqa: PLC0415 - loads numba

        can = [0 < len(each) <= MOST_PIECES for each in rows]
        readable = [each for each, can_be_read in zip(rows, can, strict=True) if can_be_read]
        if not readable:
            return [None] * len(rows)
        at = self._weights
        ends = np.cumsum([0, *map(len, readable)])
        states = encode(np.concatenate(readable), ends, at.encoder)
        pieces, weights = see(states, ends, at.view)
        strict_pieces, strict_weights = see(states, ends, at.strict_view)
        wholes = add_up(states, ends, at.share, at.whole)
        parts = map(slice, ends[:-1].tolist(), ends[1:].tolist())
        found = (
            Reading(
                pieces=pieces[part],
                weights=weights[part],
                strict_pieces=strict_pieces[part],
                strict_weights=strict_weights[part],
                whole=whole,
            )
            for part, whole in zip(parts, wholes, strict=True)
        )
        return [next(found) if can_be_read else None for can_be_read in can]

    def compare(self, a: Reading, b: Reading) -> tuple[float, float, float]:
        """Log-odds that two texts have the same answer, the cosine of the texts as wholes, and the strict log-odds.

        Neither log-odds are calibrated. Symmetric in ``a`` and ``b`` but for rounding.
        """
        from leo_core.kernels.reading import compare_pieces  # noqa: PLC0415 - loads numba

        at, cosine = self._weights, float(a.whole @ b.whole)
        odds = compare_pieces(a.pieces, a.weights, b.pieces, b.weights, cosine, at.usual)
        strict = compare_pieces(a.strict_pieces, a.strict_weights, b.strict_pieces, b.strict_weights, cosine, at.strict)
        return odds, cosine, strict


class _Weights:
    """The weights of the training script as the kernels take them; gains and shifts go into the maps behind them."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._at = arrays
        self.encoder = self._lay_out_encoder()
        self.view, self.strict_view = self._lay_out_view(""), self._lay_out_view("strict.")
        self.usual, self.strict = self._lay_out_alignment(""), self._lay_out_alignment("strict.")
        gain, shift = arrays["gain"], arrays["shift"]
        self.share = _append(gain * arrays["share"], arrays["share_bias"] + shift @ arrays["share"])
        self.whole = np.vstack([gain[:, None] * arrays["whole"], shift @ arrays["whole"]])

    def _lay_out_encoder(self) -> Encoder:
        from leo_core.kernels.reading import Encoder  # noqa: PLC0415 - loads numba

        at = self._at
        layers = [f"layer{layer}." for layer in range(int(at["layers"]))]
        mixed = [_fold(at, name, "query_key_value", gain="gain_attend", shift="shift_attend") for name in layers]
        ups = [_fold(at, name, "up", gain="gain", shift="shift") for name in layers]
        start = ("input_length", "input_bias", "input_gain", "input_shift")
        return Encoder(
            table=at["input"],
            start=np.stack([at[name] for name in start]),
            position=at["position"],
            mix=np.stack([_cut_heads(weights) for weights, _ in mixed]),
            mix_bias=np.stack([_cut_heads(bias) for _, bias in mixed]),
            out=np.stack([at[f"{name}out"] for name in layers]),
            out_bias=np.stack([at[f"{name}out_bias"] for name in layers]),
            up=np.stack([weights for weights, _ in ups]),
            up_bias=np.stack([bias for _, bias in ups]),
            down=np.stack([at[f"{name}down"] for name in layers]),
            down_bias=np.stack([at[f"{name}down_bias"] for name in layers]),
        )

    def _lay_out_view(self, name: str) -> View:
        from leo_core.kernels.reading import View, fill_columns  # noqa: PLC0415 - loads numba

        at = self._at
        piece = at[f"{name}piece"]
        gain, shift = np.ones(len(piece), dtype=np.float32), np.zeros(len(piece), dtype=np.float32)
        gain[: len(at["gain"])], shift[: len(at["gain"])] = at["gain"], at["shift"]
        return View(
            piece=fill_columns(gain[:, None] * piece),
            bias=fill_columns((at[f"{name}piece_bias"] + shift @ piece)[None]),
            weight=_append(at[f"{name}weight"], at[f"{name}weight_bias"]),
        )

    def _lay_out_alignment(self, name: str) -> Alignment:
        from leo_core.kernels.reading import Alignment  # noqa: PLC0415 - loads numba

        at = self._at
        return Alignment(
            sharpness=at[f"{name}sharpness"].reshape(1),
            compare=at[f"{name}compare"],
            compare_bias=at[f"{name}compare_bias"][None],
            judge=np.vstack([at[f"{name}judge"], at[f"{name}judge_bias"]]),
            last=_append(at[f"{name}last"], at[f"{name}last_bias"]),
        )


def _fold(at: Mapping[str, Array], layer: str, name: str, *, gain: str, shift: str) -> tuple[Array, Array]:
    """A map (k, m) that follows a norm, and its bias (1, m), with the norm's gain and shift."""
    weights = at[layer + name]
    return at[layer + gain][:, None] * weights, (at[f"{layer}{name}_bias"] + at[layer + shift] @ weights)[None]


def _cut_heads(weights: Array) -> Array:
    """Queries, keys and values (k, 3w) head by head, (3w / 32, k, 32), the queries scaled by 1/√32."""
    scaled = weights.copy()
    scaled[:, : weights.shape[1] // 3] *= np.float32(_HEAD**-0.5)
    return np.ascontiguousarray(scaled.reshape(len(weights), -1, _HEAD).transpose(1, 0, 2))


def _append(weights: Array, bias: Array) -> Array:
    return np.append(weights, bias).astype(np.float32)


def _count_equal(one: Array, two: Array) -> int:
    """How many rows two texts have in common at the start."""
    size = min(len(one), len(two))
    other = np.flatnonzero((one[:size] != two[:size]).any(axis=1))
    return int(other[0]) if len(other) else size


def read_network() -> dict[str, npt.NDArray[np.generic]]:
    """The shipped weights, as the training script names them."""
    data = (files("leo_core.stages.cache") / _FILE).read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return dict(arrays)


def load_pair_network(read_rows: ReadRows) -> PairNetwork:
    """The shipped network over the rows that ``read_rows`` gives (``read_pieces`` of the shipped embedder)."""
    return PairNetwork(read_network(), read_rows)
