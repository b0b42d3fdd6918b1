"""Scores by SEAL alone: what LEO does where its kernel is not installed, and what the kernel is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys, find_galois_element
from leo_core.privacy.ckks.seal import SealContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from leo_core.privacy.ckks.block_scoring import Block, Fresh
    from leo_core.privacy.ckks.packing import Slots

__all__ = ["SealScoring"]

_WORD = 8


class SealScoring:
    """A :class:`leo_core.privacy.ckks.block_scoring.ScoringEngine` that calls SEAL for every operation."""

    __slots__ = ("_layout", "_params", "_relin_keys", "_rotation_keys", "_seal")

    def __init__(self, keys: EvaluationKeys) -> None:
        self._seal = SealContext(keys.params)
        self._params, self._layout = keys.params, keys.layout
        switches, relin = keys.read()
        degree = self._params.degree
        elements = {find_galois_element(step, degree): switch for step, switch in switches.items()}
        self._rotation_keys = self._seal.load_galois_keys(elements)
        self._relin_keys = self._seal.load_relin_keys(relin)

    @property
    def size_bytes(self) -> int:
        """Memory that the keys take: two digits of two polynomials modulo three primes each."""
        return (len(self._layout.steps) + 1) * 2 * 2 * 3 * self._params.degree * _WORD

    def load_plain(self, diagonals: Iterable[Slots]) -> tuple[Any, int]:
        """Encode every diagonal; one that is zero is left out, for SEAL refuses products with it."""
        encoded = [self._seal.encode(diagonal, self._params.row_scale_bits) for diagonal in diagonals]
        kept = [None if plaintext.is_zero() else plaintext for plaintext in encoded]
        return kept, len(kept) * 2 * self._params.degree * _WORD

    def load_encrypted(self, diagonals: Iterable[Fresh]) -> tuple[Any, int]:
        """Expand every seed."""
        scale = 2.0**self._params.row_scale_bits
        loaded = [self._seal.load_seeded(residues, seed, scale=scale) for residues, seed in diagonals]
        return loaded, len(loaded) * 4 * self._params.degree * _WORD

    def score(self, query: Sequence[Fresh], blocks: Sequence[Block]) -> list[npt.NDArray[np.integer]]:
        """Residues (2, N) modulo the first prime for every block, after the rescale."""
        scale = 2.0**self._params.query_scale_bits
        rotated = {}
        for part, (residues, seed) in enumerate(query):
            rotated[part, 0] = whole = self._seal.load_seeded(residues, seed, scale=scale)
            for step in range(1, self._layout.baby):
                rotated[part, step] = self._rotate(whole, step)
        return [self._score_block(rotated, block) for block in blocks]

    def _score_block(self, rotated: dict[tuple[int, int], Any], block: Block) -> npt.NDArray[np.integer]:
        evaluator = self._seal.evaluator
        sums: dict[int, Any] = {}
        for (giant, part, baby), diagonal in zip(self._layout.terms(), block.content, strict=True):
            if diagonal is None:
                continue
            product = self._seal.api.Ciphertext()
            multiply = evaluator.multiply if block.encrypted else evaluator.multiply_plain
            multiply(rotated[part, baby], diagonal, product)
            if giant in sums:
                evaluator.add_inplace(sums[giant], product)
            else:
                sums[giant] = product
        total = None
        for giant, found in sums.items():
            if block.encrypted:
                evaluator.relinearize_inplace(found, self._relin_keys)
            turned = self._rotate(found, giant * self._layout.baby) if giant else found
            if total is None:
                total = turned
            else:
                evaluator.add_inplace(total, turned)
        if total is None:
            return np.zeros((2, self._params.degree), dtype=np.uint64)
        evaluator.rescale_to_next_inplace(total)
        return self._seal.read_ciphertext(total)[:, 0]

    def _rotate(self, ciphertext: Any, step: int) -> Any:
        turned = self._seal.api.Ciphertext()
        self._seal.evaluator.rotate_vector(ciphertext, step, self._rotation_keys, turned)
        return turned
