"""The public part of a secret: what a server needs to rotate and relinearise, and nothing that decrypts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.errors import CiphertextError, ConfigError, ParametersMismatchError
from leo_core.privacy.ckks.packing import Layout, rebuild_layout
from leo_core.privacy.ckks.params import PRESETS, FheParams
from leo_core.privacy.ckks.wire import (
    HEADER_BYTES,
    SEED_BYTES,
    Header,
    Kind,
    check_length,
    count_bytes,
    pack,
    read_header,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    SwitchKey = Sequence[tuple[npt.NDArray[np.integer], bytes]]

__all__ = ["DIGITS", "EvaluationKeys", "find_galois_element"]

DIGITS = 2
"""A polynomial is decomposed into its residues modulo each of the primes that carry scores."""

_GENERATOR = 3
"""Rotation of the slots by one is X ↦ X³, as in SEAL."""


def find_galois_element(step: int, degree: int) -> int:
    """Exponent of the automorphism that rotates the slots by ``step`` to the left."""
    return pow(_GENERATOR, step, 2 * degree)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EvaluationKeys:
    """Keys for the rotations of one layout, and one for products of two ciphertexts. They may be published.

    Attributes:
        params: Parameters of the secret.
        layout: How queries and blocks lie in slots.
        secret_id: Sixteen bytes that stand for the secret; queries and blocks must carry the same.
    """

    params: FheParams
    layout: Layout
    secret_id: bytes
    _data: bytes = field(repr=False)

    @property
    def dim(self) -> int:
        """Coordinates of a vector."""
        return self.layout.dim

    @property
    def key_id(self) -> str:
        """BLAKE2b of the content, 32 hex digits."""
        return hashlib.blake2b(self._data, digest_size=16).hexdigest()

    @property
    def steps(self) -> tuple[int, ...]:
        """Rotations for which there is a key."""
        return self.layout.steps

    def __repr__(self) -> str:
        return f"EvaluationKeys(dim={self.dim}, baby={self.layout.baby}, key_id={self.key_id!r})"

    def to_bytes(self) -> bytes:
        """All of it, for the server."""
        return self._data

    @classmethod
    def from_bytes(cls, data: bytes, *, params: FheParams | None = None) -> EvaluationKeys:
        """Keys that :meth:`to_bytes` wrote.

        Args:
            data: The bytes.
            params: The parameters that they must have; without, those of a preset.

        Raises:
            CiphertextError: The bytes are truncated, oversized, damaged or something else.
            ParametersMismatchError: They were made with other parameters.
        """
        header = read_header(data, Kind.KEYS)
        if params is None:
            params = _find_preset(header)
        header.check(params)
        try:
            layout = rebuild_layout(header.dim, header.baby)
        except ConfigError as error:
            message = f"evaluation keys are damaged: {error}"
            raise CiphertextError(message) from error
        if header.count != len(layout.steps) + 1:
            message = f"evaluation keys hold {header.count} keys instead of {len(layout.steps) + 1}"
            raise CiphertextError(message)
        check_length(data, Kind.KEYS, HEADER_BYTES + header.count * DIGITS * _count_digit_bytes(params))
        keys = cls(params=params, layout=layout, secret_id=header.secret_id, _data=data)
        keys.read()
        return keys

    @classmethod
    def write(
        cls, params: FheParams, layout: Layout, secret_id: bytes, switches: Mapping[int, SwitchKey], relin: SwitchKey
    ) -> EvaluationKeys:
        """Keys from what SEAL generated.

        Args:
            params: Parameters of the secret.
            layout: Whose rotations they are for.
            secret_id: Stands for the secret.
            switches: For every step of the layout a first polynomial (3, N) and a seed for both digits.
            relin: The same for products.
        """
        count = len(layout.steps) + 1
        header = Header(
            kind=Kind.KEYS,
            params_id=params.params_id,
            secret_id=secret_id,
            dim=layout.dim,
            baby=layout.baby,
            count=count,
        )
        ordered = [*(switches[step] for step in layout.steps), relin]
        content = [seed + pack(residues, params.primes) for switch in ordered for residues, seed in switch]
        return cls(params=params, layout=layout, secret_id=secret_id, _data=header.to_bytes() + b"".join(content))

    def read(self) -> tuple[dict[int, SwitchKey], SwitchKey]:
        """For every step, and for products, a first polynomial (3, N) and the seed of the second for both digits.

        Raises:
            CiphertextError: A residue is not below its prime.
        """
        size = _count_digit_bytes(self.params)
        switches: list[SwitchKey] = []
        for first in range(HEADER_BYTES, len(self._data), DIGITS * size):
            digits = [self._data[first + size * digit : first + size * (digit + 1)] for digit in range(DIGITS)]
            switches.append([self._read_digit(digit) for digit in digits])
        return dict(zip(self.steps, switches[:-1], strict=True)), switches[-1]

    def _read_digit(self, data: bytes) -> tuple[npt.NDArray[np.integer], bytes]:
        primes, degree = self.params.primes, self.params.degree
        return unpack(data[SEED_BYTES:], primes, degree, what="an evaluation key"), data[:SEED_BYTES]


def _count_digit_bytes(params: FheParams) -> int:
    return SEED_BYTES + count_bytes(params.primes, params.degree)


def _find_preset(header: Header) -> FheParams:
    for name in PRESETS:
        params = FheParams.preset(name)
        if params.params_id == header.params_id:
            return params
    message = (
        f"evaluation keys were made with parameters {header.params_id.hex()}, which are no preset; hand in the "
        "parameters that they were made with"
    )
    raise ParametersMismatchError(message)
