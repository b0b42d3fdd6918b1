"""Scores by LEO's own kernel: what a server does by default. It needs no SEAL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.kernels import ckks
from leo_core.kernels.ckks_ring import make_ring, make_turn
from leo_core.kernels.ckks_seed import expand_seed
from leo_core.privacy.ckks.encoding import encode_slots
from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys, find_galois_element

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from leo_core.privacy.ckks.block_scoring import Block, Fresh
    from leo_core.privacy.ckks.packing import Slots

    Residues = npt.NDArray[np.uint32]

__all__ = ["KernelScoring"]

_AT_ONCE = 32
"""Diagonals that are encoded together."""

_S32 = np.uint64(32)


class KernelScoring:
    """A :class:`leo_core.privacy.ckks.block_scoring.ScoringEngine` on arrays; it releases the GIL while it works."""

    __slots__ = (
        "_giant_keys",
        "_giant_turns",
        "_layout",
        "_params",
        "_relin_key",
        "_ring",
        "_starts",
        "_step_keys",
        "_step_turns",
        "_which",
    )

    def __init__(self, keys: EvaluationKeys) -> None:
        self._params, self._layout = keys.params, keys.layout
        self._ring = make_ring(self._params.primes, self._params.degree)
        switches, relin = keys.read()
        layout = self._layout
        steps = range(layout.baby)
        giants = range(0, layout.parts[0], layout.baby)
        self._step_turns, self._step_keys = self._load_keys(steps, switches)
        self._giant_turns, self._giant_keys = self._load_keys(giants, switches)
        self._relin_key = self._load_key(relin)
        terms = list(layout.terms())
        self._which = np.array([part * layout.baby + baby for _, part, baby in terms], dtype=np.int64)
        counts = np.bincount([giant for giant, _, _ in terms], minlength=layout.giants)
        self._starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

    @property
    def size_bytes(self) -> int:
        """Memory that the keys and the places of turned polynomials take."""
        kept = (self._step_keys, self._giant_keys, self._relin_key, self._step_turns, self._giant_turns)
        return sum(array.nbytes for array in kept)

    def load_plain(self, diagonals: Iterable[Slots]) -> tuple[Any, int]:
        """Encode and transform every diagonal once."""
        content = self._allocate(1)
        place, waiting = 0, []
        for diagonal in diagonals:
            waiting.append(diagonal)
            if len(waiting) == _AT_ONCE or place + len(waiting) == self._layout.diagonals:
                residues = encode_slots(np.stack(waiting), self._params.row_scale_bits, self._params.primes[:2])
                ckks.transform_all(residues, self._ring)
                self._put(content, place, residues[:, np.newaxis])
                place, waiting = place + len(waiting), []
        return content[:, :, :, 0], content.nbytes

    def load_encrypted(self, diagonals: Iterable[Fresh]) -> tuple[Any, int]:
        """Expand every seed."""
        content = self._allocate(2)
        for place, fresh in enumerate(diagonals):
            self._put(content, place, self._expand(fresh)[np.newaxis])
        return content, content.nbytes

    def score(self, query: Sequence[Fresh], blocks: Sequence[Block]) -> list[npt.NDArray[np.integer]]:
        """Residues (2, N) modulo the first prime for every block, after the rescale."""
        parts = np.stack([self._expand(fresh) for fresh in query])
        rotated = ckks.rotate_query(parts, self._step_turns, self._step_keys, self._ring)
        return [self._score_block(rotated, block) for block in blocks]

    def _score_block(self, rotated: Residues, block: Block) -> Residues:
        terms = (block.content, self._which, self._starts, self._ring)
        if block.encrypted:
            sums = ckks.multiply_encrypted(rotated, *terms)
            return ckks.finish_encrypted(sums, self._giant_turns, self._giant_keys, self._relin_key, self._ring)
        sums = ckks.multiply_plain(rotated, *terms)
        return ckks.finish_plain(sums, self._giant_turns, self._giant_keys, self._ring)

    def _allocate(self, polynomials: int) -> Residues:
        tiles = self._params.degree // ckks.TILE
        return np.empty((2, tiles, self._layout.diagonals, polynomials, ckks.TILE), dtype=np.uint32)

    def _put(self, content: Residues, first: int, residues: Residues) -> None:
        """Residues (m, polynomials, 2, N), Montgomery, from diagonal ``first`` on."""
        shifted = self._shift(residues)
        tiled = shifted.reshape(*shifted.shape[:3], -1, ckks.TILE).transpose(2, 3, 0, 1, 4)
        content[:, :, first : first + len(residues)] = tiled

    def _shift(self, residues: Residues) -> Residues:
        """Residues (…, k, N) times 2³²."""
        primes = self._ring.primes[: residues.shape[-2], np.newaxis]
        return ((residues.astype(np.uint64) << _S32) % primes).astype(np.uint32)

    def _expand(self, fresh: Fresh) -> Residues:
        """Both polynomials, shape (2, k, N)."""
        first, seed = fresh
        words = np.frombuffer(seed, dtype="<u8").astype(np.uint64)
        return np.stack([first, expand_seed(words, self._ring.primes[: len(first)], first.shape[1])])

    def _load_key(self, switch: Sequence[Fresh]) -> Residues:
        return self._shift(np.stack([self._expand(digit) for digit in switch]))

    def _load_keys(self, steps: range, switches: dict[int, Sequence[Fresh]]) -> tuple[npt.NDArray[np.int64], Residues]:
        """For every step where its places come from, and its key turned back; the first step is none."""
        degree = self._params.degree
        turns = np.stack([make_turn(find_galois_element(step, degree), degree) for step in steps])
        keys = np.zeros((len(steps), 2, 2, 3, degree), dtype=np.uint32)
        for place, step in enumerate(steps):
            if place:
                keys[place][..., turns[place]] = self._load_key(switches[step])
        return turns, keys
