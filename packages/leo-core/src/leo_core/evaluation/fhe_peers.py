"""What search under encryption is measured beside: TenSEAL's product per entry, and an index that the client holds."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

__all__ = ["NaiveDots", "SealedScan"]

_NAIVE = {"poly_modulus_degree": 8192, "coeff_mod_bit_sizes": [60, 40, 40, 60]}
_NAIVE_SCALE = 2.0**40
_STEPS = 127
_CHUNK = 4096
_TIE = 1e-6


class NaiveDots:
    """The way of TenSEAL's tutorials: encrypt the query, ``dot`` it with one entry, return one ciphertext per entry.

    Attributes:
        dots: Products so far.
        max_error: Largest error of them.
    """

    def __init__(self, dim: int) -> None:
        import tenseal  # noqa: PLC0415 - an optional part

        self._context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, **_NAIVE)
        self._context.global_scale = _NAIVE_SCALE
        self._context.generate_galois_keys()
        self._encrypt = tenseal.ckks_vector
        self._query, self._vector = self._encrypt(self._context, [0.0] * dim), np.zeros(dim)
        self._seconds: list[float] = []
        self.max_error = 0.0
        self._query.dot([1.0] * dim)

    @property
    def dots(self) -> int:
        """Products so far."""
        return len(self._seconds)

    @property
    def second_each(self) -> float:
        """Median CPU seconds of a product."""
        return float(np.median(self._seconds))

    def multiply(self, query: Rows, row: Rows) -> None:
        """Time one product, without encryption and decryption."""
        encrypted, plain = self._encrypt(self._context, query.tolist()), row.tolist()
        started = time.process_time()
        product = encrypted.dot(plain)
        self._seconds.append(time.process_time() - started)
        self.max_error = max(self.max_error, abs(product.decrypt()[0] - float(query @ row)))


class SealedScan:
    """The rival without homomorphic encryption: the client fetches the whole index once, sealed, and scans it itself.

    Coordinates are 8-bit, sealed with AES-256-GCM.
    """

    def __init__(self, rows: Rows) -> None:
        codes = np.clip(np.rint(rows * _STEPS), -_STEPS, _STEPS).astype(np.int8)
        key, nonce = AESGCM(secrets.token_bytes(32)), secrets.token_bytes(12)
        sealed = key.encrypt(nonce, codes.tobytes(), None)
        started = time.process_time()
        opened = key.decrypt(nonce, sealed, None)
        self._open_s = time.process_time() - started
        self._codes = np.frombuffer(opened, dtype=np.int8).reshape(rows.shape)
        self._sync_bytes = len(nonce) + len(sealed)
        self._seconds: list[float] = []
        self._top1, self._error = 0, 0.0

    def search(self, query: Rows, scores: Rows) -> None:
        """Time the second of two scans, and compare it with the ``scores`` (n,) in the clear."""
        self._scan(query)
        started = time.process_time()
        found = self._scan(query)
        best = int(found.argmax())
        self._seconds.append(time.process_time() - started)
        self._error = max(self._error, float(np.abs(found / _STEPS - scores).max()))
        self._top1 += bool(scores.max() - scores[best] <= _TIE)

    def _scan(self, query: Rows) -> Rows:
        found = np.empty(len(self._codes), dtype=np.float32)
        for first in range(0, len(found), _CHUNK):
            found[first : first + _CHUNK] = self._codes[first : first + _CHUNK].astype(np.float32) @ query
        return found

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "sync_bytes": self._sync_bytes,
            "open_ms": self._open_s * 1e3,
            "search_ms": float(np.median(self._seconds)) * 1e3,
            "max_error": self._error,
            "top1": self._top1,
        }
