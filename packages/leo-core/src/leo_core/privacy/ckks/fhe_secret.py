"""The secret side: keys, encryption and decryption, all inside SEAL."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from leo_core.errors import CiphertextError, ConfigError, ScoreRangeError
from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys, find_galois_element
from leo_core.privacy.ckks.packing import (
    MOST_DIM,
    check_vectors,
    choose_layout,
    spread_query,
    spread_rows,
)
from leo_core.privacy.ckks.seal import LAST, SealContext
from leo_core.privacy.ckks.wire import (
    HEADER_BYTES,
    Header,
    Kind,
    check_length,
    count_bytes,
    pack,
    read_header,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from leo_core.privacy.ckks.params import FheParams

__all__ = ["FheSecret"]

MOST_SCORE = 1.01
"""No score of vectors of at most unit length is above it, errors included."""

_POLYNOMIALS = 2


class FheSecret:
    """A CKKS secret key: makes evaluation keys, encrypts queries and blocks, decrypts scores.

    It cannot be pickled and shows nothing of itself; :meth:`to_bytes` is the one way out. Not for use from several
    threads at once.
    """

    __slots__ = ("_decryptor", "_encryptor", "_generator", "_key", "_seal", "params", "secret_id")

    def __init__(self, seal: SealContext, key: Any) -> None:
        self._seal, self._key = seal, key
        self._generator = seal.api.KeyGenerator(seal.context, key)
        self._encryptor = seal.api.Encryptor(seal.context, key)
        self._decryptor = seal.api.Decryptor(seal.context, key)
        self.params: FheParams = seal.params
        self.secret_id = _name_secret(self.params, self._pack())

    @classmethod
    def generate(cls, params: FheParams) -> FheSecret:
        """A new secret, drawn by SEAL from the system's randomness.

        Raises:
            MissingExtraError: The extra ``fhe`` is not installed.
            ConfigError: The parameters fail their self-test.
        """
        params.self_test()
        return cls.generate_untested(params)

    @classmethod
    def generate_untested(cls, params: FheParams) -> FheSecret:
        """A new secret of parameters that were not tried before; for their self-test."""
        seal = SealContext(params)
        return cls(seal, seal.api.KeyGenerator(seal.context).secret_key())

    @classmethod
    def from_bytes(cls, params: FheParams, data: bytes) -> FheSecret:
        """The secret that :meth:`to_bytes` wrote.

        Raises:
            CiphertextError: The bytes are truncated, oversized, damaged or something else.
            ParametersMismatchError: They were made with other parameters.
            ConfigError: The parameters fail their self-test.
        """
        header = read_header(data, Kind.SECRET)
        header.check(params)
        check_length(data, Kind.SECRET, HEADER_BYTES + count_bytes(params.primes, params.degree))
        body = data[HEADER_BYTES:]
        if header.secret_id != _name_secret(params, body):
            message = "a secret is damaged: it does not match its own id"
            raise CiphertextError(message)
        params.self_test()
        seal = SealContext(params)
        return cls(seal, seal.load_secret(unpack(body, params.primes, params.degree, what="a secret")))

    def to_bytes(self) -> bytes:
        """The secret in the clear. Keep it sealed."""
        return self._header(Kind.SECRET).to_bytes() + self._pack()

    def evaluation_keys(self, dim: int = 256, expected: int = 10_000) -> EvaluationKeys:
        """New public keys for vectors of ``dim`` coordinates.

        Args:
            dim: Coordinates, 1 … 4096.
            expected: Entries to be searched, about; more entries take fewer rotations of their sums and more keys.

        Raises:
            ConfigError: An argument is outside its range.
        """
        layout = choose_layout(dim, expected)
        elements = {find_galois_element(step, self.params.degree): step for step in layout.steps}
        switches = {}
        if elements:
            found = self._seal.read_keys(self._generator.create_galois_keys(list(elements)))
            switches = {elements[element]: keys for element, keys in zip(sorted(elements), found, strict=True)}
        (relin,) = self._seal.read_keys(self._generator.create_relin_keys())
        return EvaluationKeys.write(self.params, layout, self.secret_id, switches, relin)

    def encrypt_query(self, vector: Any) -> bytes:
        """A query of one unit vector, shape (d,): one ciphertext of 29 KB, or two where d needs two parts.

        Raises:
            ConfigError: The vector is not finite, not of unit length or has more than 4096 coordinates.
        """
        row = np.asarray(vector)
        if row.ndim != 1 or not 1 <= len(row) <= MOST_DIM:
            message = f"a query is one vector of 1 to {MOST_DIM} coordinates; the shape is {row.shape}"
            raise ConfigError(message)
        rows = check_vectors(row[np.newaxis], dim=len(row), unit=True, what="a query")
        parts = spread_query(rows[0], choose_layout(len(row), 1), self.params.slots)
        header = self._header(Kind.QUERY, dim=len(row), count=len(parts))
        scale = self.params.query_scale_bits
        return header.to_bytes() + b"".join(self._encrypt(part, scale) for part in parts)

    def encrypt_block(self, rows: Any, *, expected: int = 10_000) -> bytes:
        """A block of rows of at most unit length, shape (n, d), n at most ``params.block_size``.

        Args:
            rows: The rows.
            expected: As for the evaluation keys of the server; the layouts have to be the same.

        Raises:
            ConfigError: There are no or too many rows, or one is not finite or longer than 1.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or not 1 <= len(rows) <= self.params.block_size:  # noqa: PLR2004 - rows and columns
            message = f"a block has 1 to {self.params.block_size} rows; the shape is {rows.shape}"
            raise ConfigError(message)
        checked = check_vectors(rows, dim=rows.shape[1], unit=False, what="a row")
        layout = choose_layout(rows.shape[1], expected)
        header = self._header(Kind.BLOCK, dim=layout.dim, baby=layout.baby, count=len(rows))
        diagonals = spread_rows(checked, layout, self.params.slots)
        scale = self.params.row_scale_bits
        return header.to_bytes() + b"".join(self._encrypt(diagonal, scale) for diagonal in diagonals)

    def decrypt_scores(self, reply: bytes, counts: Sequence[int]) -> list[npt.NDArray[np.float64]]:
        """The scores in a reply, for each block those of its rows.

        Args:
            reply: What the server returned.
            counts: Rows of every block that was scored, in order.

        Raises:
            CiphertextError: The reply is truncated, oversized, damaged, something else, or of another number of blocks.
            ParametersMismatchError: It was made with other parameters.
            KeyMismatchError: It was made with another key.
            ScoreRangeError: A score is above 1: the reply was altered, or the query had another length.
            ConfigError: A count is no number of rows.
        """
        header = read_header(reply, Kind.REPLY)
        header.check(self.params, self.secret_id)
        primes, degree = self._seal.primes_of(LAST), self.params.degree
        size = _POLYNOMIALS * count_bytes(primes, degree)
        check_length(reply, Kind.REPLY, HEADER_BYTES + header.count * size)
        if header.count != len(counts):
            message = f"a reply has scores of {header.count} blocks instead of {len(counts)}"
            raise CiphertextError(message)
        wrong = next((count for count in counts if not 0 <= count <= self.params.block_size), None)
        if wrong is not None:
            message = f"a block has 0 to {self.params.block_size} rows, not {wrong}"
            raise ConfigError(message)
        starts = range(HEADER_BYTES, len(reply), size)
        return [self._decrypt(reply[first : first + size])[:count] for first, count in zip(starts, counts, strict=True)]

    def _encrypt(self, slots: npt.NDArray[np.generic], scale_bits: int) -> bytes:
        plaintext = self._seal.encode(slots, scale_bits)
        residues, seed = self._seal.read_seeded(self._encryptor.encrypt_symmetric(plaintext))
        return seed + pack(residues, self.params.primes[:2])

    def _decrypt(self, data: bytes) -> npt.NDArray[np.float64]:
        primes = self._seal.primes_of(LAST)
        residues = unpack(data, primes * _POLYNOMIALS, self.params.degree, what="a reply")
        ciphertext = self._seal.load_ciphertext(residues[:, np.newaxis], scale=self.params.reply_scale, level=LAST)
        plaintext = self._seal.api.Plaintext()
        self._decryptor.decrypt(ciphertext, plaintext)
        slots = self._seal.decode(plaintext)
        scores = np.concatenate((slots.real, slots.imag))
        if not (np.abs(scores) <= MOST_SCORE).all():
            message = "a reply decrypts to what no score can be: it was altered, or made with another key"
            raise ScoreRangeError(message)
        return scores

    def _header(self, kind: Kind, *, dim: int = 0, baby: int = 0, count: int = 0) -> Header:
        return Header(
            kind=kind, params_id=self.params.params_id, secret_id=self.secret_id, dim=dim, baby=baby, count=count
        )

    def _pack(self) -> bytes:
        return pack(self._seal.read_secret(self._key), self.params.primes)

    def __repr__(self) -> str:
        return f"FheSecret(secret_id={self.secret_id.hex()!r})"

    def __reduce__(self) -> NoReturn:
        message = "a secret cannot be pickled; seal its to_bytes() with a keyring"
        raise TypeError(message)


def _name_secret(params: FheParams, packed: bytes) -> bytes:
    """Sixteen bytes that stand for a secret and, of 4096 ternary coefficients, tell nothing."""
    digest = hashlib.blake2b(packed, digest_size=16, key=params.params_id, person=b"LEO fhe secret")
    return digest.digest()
