"""The server side: scores of an encrypted query against blocks of rows. Nothing here can decrypt."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from leo_core.errors import ConfigError, KeyMismatchError, ParametersMismatchError
from leo_core.privacy.ckks.packing import check_vectors, spread_rows
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
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys
    from leo_core.privacy.ckks.packing import Layout, Slots
    from leo_core.privacy.ckks.params import FheParams

    Fresh = tuple[npt.NDArray[np.integer], bytes]

__all__ = ["Block", "BlockScorer", "ScoringEngine"]

KERNEL, SEAL = "kernel", "seal"
_LEAST_NOISE_BITS = 30


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Block:
    """Rows as a scorer keeps them in memory.

    Attributes:
        count: Rows.
        encrypted: Whether the server sees none of them.
        size_bytes: Memory that they take, about.
        made_for: Secret, layout and engine of the scorer that loaded them; no other can use them.
        content: What the engine works on.
    """

    count: int
    encrypted: bool
    size_bytes: int
    made_for: tuple[bytes, Layout, str]
    content: Any

    def __repr__(self) -> str:
        return f"Block(count={self.count}, encrypted={self.encrypted}, size_bytes={self.size_bytes})"


class ScoringEngine(Protocol):
    """One way of computing on ciphertexts; SEAL and LEO's kernel are two."""

    @property
    def size_bytes(self) -> int:
        """Memory that the expanded keys take, about."""
        ...

    def load_plain(self, diagonals: Iterable[Slots]) -> tuple[Any, int]:
        """Diagonals as this engine keeps them, and the bytes that they take."""
        ...

    def load_encrypted(self, diagonals: Iterable[Fresh]) -> tuple[Any, int]:
        """The same of encrypted diagonals, each a first polynomial (2, N) and the seed of its second."""
        ...

    def score(self, query: Sequence[Fresh], blocks: Sequence[Block]) -> list[npt.NDArray[np.integer]]:
        """Residues (2, N) modulo the first prime for every block, after the rescale."""
        ...


class BlockScorer:
    """Scores encrypted queries against blocks.

    Args:
        keys: Public evaluation keys; nothing else is known of the client.
        engine: ``"kernel"`` for LEO's own arithmetic, ``"seal"`` for SEAL alone; without, the first that is installed.

    Raises:
        ConfigError: There is no such engine, or SEAL alone is not exact enough with these parameters.
        MissingExtraError: SEAL is needed and the extra ``fhe`` is not installed.
    """

    __slots__ = ("_engine", "_made_for", "keys")

    def __init__(self, keys: EvaluationKeys, *, engine: str | None = None) -> None:
        self.keys = keys
        self._engine = _open_engine(keys, engine)
        self._made_for = (keys.secret_id, keys.layout, type(self._engine).__name__)

    @property
    def size_bytes(self) -> int:
        """Memory that the keys take, about; each block says its own."""
        return self._engine.size_bytes

    def load_plain(self, rows: Any) -> Block:
        """A block of rows that the server knows, such as its own vectors or weights.

        Args:
            rows: Of at most unit length, shape (n, dim), n at most ``params.block_size``.

        Raises:
            ConfigError: There are no or too many rows, or one is not finite or longer than 1.
        """
        params = self.keys.params
        checked = check_vectors(rows, dim=self.keys.dim, unit=False, what="a row")
        if not 1 <= len(checked) <= params.block_size:
            message = f"a block has 1 to {params.block_size} rows, not {len(checked)}"
            raise ConfigError(message)
        content, size = self._engine.load_plain(spread_rows(checked, self.keys.layout, params.slots))
        return self._keep(len(checked), content, size, encrypted=False)

    def load_encrypted(self, data: bytes) -> Block:
        """A block that a client encrypted.

        Raises:
            CiphertextError: The bytes are truncated, oversized, damaged or something else.
            ParametersMismatchError: They were made with other parameters, or laid out for other evaluation keys.
            KeyMismatchError: They were made with another key.
        """
        header, params, layout = self._read_header(data, Kind.BLOCK), self.keys.params, self.keys.layout
        if header.baby != layout.baby:
            message = (
                f"a block is laid out for {header.baby} rotations of the query, the evaluation keys for {layout.baby}; "
                "use the same expected for both"
            )
            raise ParametersMismatchError(message)
        size = self._count_fresh_bytes()
        check_length(data, Kind.BLOCK, HEADER_BYTES + layout.diagonals * size)
        if not 1 <= header.count <= params.block_size:
            message = f"a block has 1 to {params.block_size} rows, not {header.count}"
            raise ParametersMismatchError(message)
        fresh = (self._read_fresh(data, first, "a block") for first in range(HEADER_BYTES, len(data), size))
        content, used = self._engine.load_encrypted(fresh)
        return self._keep(header.count, content, used, encrypted=True)

    def score(self, query: bytes, blocks: Sequence[Block]) -> bytes:
        """Scores of the query against every row of every block, encrypted, 29 KB a block.

        Raises:
            CiphertextError: The query is truncated, oversized, damaged or something else.
            ParametersMismatchError: It was made with other parameters or has another dimension.
            KeyMismatchError: The query, or a block, belongs to another key.
        """
        header, params = self._read_header(query, Kind.QUERY), self.keys.params
        parts, size = len(self.keys.layout.parts), self._count_fresh_bytes()
        if header.count != parts or header.baby:
            message = f"a query of {header.dim} coordinates has {parts} ciphertexts, not {header.count}"
            raise ParametersMismatchError(message)
        check_length(query, Kind.QUERY, HEADER_BYTES + parts * size)
        if any(block.made_for != self._made_for for block in blocks):
            message = f"a block was loaded by a scorer of other keys or another engine than {self.keys}; load it again"
            raise KeyMismatchError(message)
        fresh = [self._read_fresh(query, first, "a query") for first in range(HEADER_BYTES, len(query), size)]
        scores = self._engine.score(fresh, blocks)
        reply = Header(
            kind=Kind.REPLY,
            params_id=params.params_id,
            secret_id=self.keys.secret_id,
            dim=self.keys.dim,
            count=len(blocks),
        )
        return reply.to_bytes() + b"".join(pack(residues, params.primes[:1] * 2) for residues in scores)

    def _read_header(self, data: bytes, kind: Kind) -> Header:
        header = read_header(data, kind)
        header.check(self.keys.params, self.keys.secret_id)
        if header.dim != self.keys.dim:
            message = f"{kind.label} has {header.dim} coordinates, and the evaluation keys are for {self.keys.dim}"
            raise ParametersMismatchError(message)
        return header

    def _count_fresh_bytes(self) -> int:
        return SEED_BYTES + count_bytes(self.keys.params.primes[:2], self.keys.params.degree)

    def _read_fresh(self, data: bytes, first: int, what: str) -> Fresh:
        start, stop = first + SEED_BYTES, first + self._count_fresh_bytes()
        params = self.keys.params
        return unpack(data[start:stop], params.primes[:2], params.degree, what=what), data[first:start]

    def _keep(self, count: int, content: Any, size: int, *, encrypted: bool) -> Block:
        return Block(count=count, encrypted=encrypted, size_bytes=size, made_for=self._made_for, content=content)


def _open_engine(keys: EvaluationKeys, engine: str | None) -> ScoringEngine:
    if engine not in {None, KERNEL, SEAL}:
        message = f"there is no engine {engine!r}; engines are {KERNEL!r} and {SEAL!r}"
        raise ConfigError(message)
    if engine == SEAL or (engine is None and importlib.util.find_spec("numba") is None):
        _check_noise(keys.params)
        from leo_core.privacy.ckks.seal_scoring import SealScoring  # noqa: PLC0415 - loads SEAL

        return SealScoring(keys)
    from leo_core.privacy.ckks.kernel_scoring import KernelScoring  # noqa: PLC0415 - loads numba

    return KernelScoring(keys)


def _check_noise(params: FheParams) -> None:
    """Raise where SEAL's rotations, whose digits are not centred, are too noisy.

    The mean q / 2 of a digit, as a polynomial, is large at the roots next to 1 and -1, and so is the noise of the
    slots there: about 2¹⁸ · q / P by the scale of the query, of the key's noise of 3.2.
    """
    bits = params.query_scale_bits + params.prime_bits[2] - params.prime_bits[0]
    if bits < _LEAST_NOISE_BITS:
        message = (
            "with these parameters SEAL alone misses scores by more than 1e-3; use the engine 'kernel', or the preset "
            "'score128'"
        )
        raise ConfigError(message)
