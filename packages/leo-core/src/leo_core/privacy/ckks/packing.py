"""How vectors lie in slots, so that one ciphertext of a query scores a whole block.

With S slots, d | S, the query repeated S / d times and M[j] the two entries of slot j as one complex row,

    score[j] = Σₖ q[(j + k) mod d] · M[j][(j + k) mod d],    0 ≤ k < d,

so the server needs the query rotated by k and the generalised diagonal of k (S. Halevi and V. Shoup, "Algorithms in
HElib", CRYPTO 2014, section 4.3). With k = i·b + r and the diagonals of giant step i rotated back by i·b beforehand,
b rotations of the query and one of the sum of each giant step are enough:

    score = Σᵢ rotᵢᵦ( Σᵣ rotᵣ(q) · rot₋ᵢᵦ(diagᵢᵦ₊ᵣ) ),    0 ≤ r < b.

A dimension that is no power of two is padded with zeros and, where that is shorter, split into two parts with a
ciphertext each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Rows = npt.NDArray[np.float64]
    Slots = npt.NDArray[np.complex128]

__all__ = [
    "MOST_DIM",
    "Layout",
    "check_vectors",
    "choose_layout",
    "rebuild_layout",
    "spread_query",
    "spread_rows",
]

MOST_DIM = 4096
MOST_EXPECTED = 100_000_000
LEAST_PART = 16
LEAST_BABY = 4
MOST_PART = 2048
MOST_PRODUCTS = 128
"""Products of two ciphertexts, which count twice, that add up in 64 bits: residues have at most 28."""

_TOLERANCE = 1e-3
_GIANT_COST = 1.2
"""Cost of a giant step of one block by that of a baby step."""

_BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the coordinates of a vector go.

    Attributes:
        dim: Coordinates of a vector, at least 1.
        parts: Powers of two that together hold them, the largest first; each has a ciphertext of its own in a query.
        baby: b, the rotations of a query, a power of two that divides every part.
    """

    dim: int
    parts: tuple[int, ...]
    baby: int

    @property
    def giants(self) -> int:
        """Giant steps of a block."""
        return self.parts[0] // self.baby

    @property
    def diagonals(self) -> int:
        """Diagonals of a block."""
        return sum(self.parts)

    @property
    def steps(self) -> tuple[int, ...]:
        """Rotations that need a key, each once."""
        giants = range(self.baby, self.parts[0], self.baby)
        return (*range(1, self.baby), *giants)

    def terms(self) -> Iterator[tuple[int, int, int]]:
        """Giant step, part and baby step of every diagonal, in the order in which diagonals are kept."""
        for giant in range(self.giants):
            for part, width in enumerate(self.parts):
                if giant * self.baby < width:
                    for baby in range(self.baby):
                        yield giant, part, baby


def choose_layout(dim: int, expected: int) -> Layout:
    """The cheapest layout for vectors of ``dim`` coordinates and about ``expected`` entries.

    Raises:
        ConfigError: ``dim`` is not in 1 … 4096, or ``expected`` not in 1 … 10⁸.
    """
    _check_whole("dim", dim, MOST_DIM)
    _check_whole("expected", expected, MOST_EXPECTED)
    parts = _choose_parts(dim)
    blocks = -(-expected // _BLOCK)
    costs = {baby: len(parts) * baby + _GIANT_COST * blocks * (parts[0] // baby - 1) for baby in _list_babies(parts)}
    return Layout(dim=dim, parts=parts, baby=min(costs, key=lambda baby: (costs[baby], baby)))


def rebuild_layout(dim: int, baby: int) -> Layout:
    """The layout of ``dim`` coordinates with ``baby`` rotations of the query.

    Raises:
        ConfigError: There is none.
    """
    _check_whole("dim", dim, MOST_DIM)
    parts = _choose_parts(dim)
    if baby not in _list_babies(parts):
        message = f"{dim} coordinates cannot be laid out with {baby} rotations of the query"
        raise ConfigError(message)
    return Layout(dim=dim, parts=parts, baby=baby)


def _check_whole(name: str, value: int, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        message = f"{name} is a whole number from 1 to {most}, not {value!r}"
        raise ConfigError(message)


def _list_babies(parts: tuple[int, ...]) -> list[int]:
    """Powers of two that divide every part and whose products add up without overflow."""
    powers = (1 << power for power in range(MOST_PART.bit_length()))
    return [power for power in powers if LEAST_BABY <= power <= parts[-1] and power * len(parts) <= MOST_PRODUCTS]


def _choose_parts(dim: int) -> tuple[int, ...]:
    """One or two powers of two with the least sum that is not below ``dim``; of equal sums the one part."""
    powers = [1 << power for power in range(LEAST_PART.bit_length() - 1, MOST_PART.bit_length())]
    single = [(power,) for power in powers if power >= dim]
    double = [(a, b) for a in powers for b in powers if a >= b and a + b >= dim]
    return min((*single, *double), key=lambda parts: (sum(parts), len(parts)))


def check_vectors(vectors: Any, *, dim: int, unit: bool, what: str) -> Rows:
    """Vectors as float64 rows of ``dim`` coordinates.

    Args:
        vectors: Shape (n, dim).
        dim: Coordinates that they must have.
        unit: Whether lengths must be 1 within 1e-3; otherwise they must not be above it.
        what: How a message calls one of them.

    Raises:
        ConfigError: They have another shape, are not finite or not of that length: scores above 1 would wrap around.
    """
    message = f"{what} is not made of numbers"
    if np.iscomplexobj(vectors):
        raise ConfigError(message)
    try:
        rows = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(message) from error
    if rows.ndim != 2 or rows.shape[1] != dim:  # noqa: PLR2004 - rows and columns
        message = f"{what} must have {dim} coordinates; the shape is {rows.shape}"
        raise ConfigError(message)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    sound = (lengths <= 1 + _TOLERANCE) & ((lengths >= 1 - _TOLERANCE) | (not unit))
    if not sound.all():
        first = int(np.argmin(sound))
        must = "be 1" if unit else "not be above 1"
        message = f"the length of {what} must {must}, and is {lengths[first]:.6g} in row {first}; normalise it first"
        raise ConfigError(message)
    return rows


def spread_query(vector: Rows, layout: Layout, slots: int) -> Rows:
    """Slots of every part of a query (dim,), shape (parts, slots): each part repeated."""
    padded = _pad(vector[np.newaxis], layout)[0]
    ends = np.cumsum(layout.parts)
    pieces = np.split(padded, ends[:-1])
    return np.stack([np.tile(piece, slots // len(piece)) for piece in pieces])


def spread_rows(rows: Rows, layout: Layout, slots: int) -> Iterator[Slots]:
    """The diagonals of one block of at most 2 · slots rows (n, dim), each of shape (slots,), in the layout's order."""
    complete = np.zeros((2 * slots, layout.diagonals))
    complete[: len(rows)] = _pad(rows, layout)
    pairs = complete[:slots] + 1j * complete[slots:]
    starts = np.cumsum((0, *layout.parts))
    places = np.arange(slots)
    for giant, part, baby in layout.terms():
        shift = giant * layout.baby
        yield pairs[(places - shift) % slots, starts[part] + (places + baby) % layout.parts[part]]


def _pad(rows: Rows, layout: Layout) -> Rows:
    return np.pad(rows, ((0, 0), (0, layout.diagonals - layout.dim)))
