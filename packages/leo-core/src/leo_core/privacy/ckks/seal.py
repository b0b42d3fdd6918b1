"""SEAL, as TenSEAL brings it: contexts, and arrays of residues in and out of its objects.

TenSEAL's ``sealapi`` saves and loads by path only. A path in memory (``memfd_create``) keeps secrets off the disk. What
is loaded is always written here from residues that were checked before, never bytes from outside; the layout of the
streams is that of SEAL 4 (``native/src/seal``: serialization.h, ciphertext.cpp, plaintext.cpp, kswitchkeys.cpp).
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from leo_core.privacy.ckks.params import FheParams

    Words = npt.NDArray[np.uint64]
    AnyResidues = npt.NDArray[np.integer]
    Keys = Sequence[tuple[AnyResidues, bytes]]

__all__ = ["FRESH", "KEY", "LAST", "SealContext", "load_seal"]

KEY, FRESH, LAST = "key", "fresh", "last"
"""Levels: all three primes, both that carry scores, the one that is left after the rescale."""

_STREAM = struct.Struct("<HBBBBHQ")
_MAGIC = 0xA15E
_ZSTD = 2
_CIPHERTEXT = struct.Struct("<32sBQQQdQ")
_PLAINTEXT = struct.Struct("<32sQd")
_BLAKE = 1
_SEED_BYTES = 64
_MOST_BYTES = 1 << 28


def load_seal() -> tuple[Any, Any]:
    """``tenseal.sealapi`` and ``zstandard``.

    Raises:
        MissingExtraError: The extra ``fhe`` is not installed.
        ConfigError: The system has no files in memory.
    """
    try:
        import zstandard  # noqa: PLC0415 - an optional part
        from tenseal import sealapi  # noqa: PLC0415 - an optional part
    except ImportError as error:
        extra = "fhe"
        raise MissingExtraError(extra, "encrypted search") from error
    if not hasattr(os, "memfd_create"):
        message = "encrypted search hands keys to SEAL in memory files (memfd_create), which only Linux has"
        raise ConfigError(message)
    return sealapi, zstandard


class SealContext:
    """SEAL's context of some parameters, and what needs no key.

    Raises:
        ConfigError: SEAL refuses the parameters, or chooses other primes than LEO does.
        MissingExtraError: The extra ``fhe`` is not installed.
    """

    __slots__ = ("_ids", "_version", "_zstandard", "api", "context", "encoder", "evaluator", "params")

    def __init__(self, params: FheParams) -> None:
        api, zstandard = load_seal()
        settings = api.EncryptionParameters(api.SCHEME_TYPE.CKKS)
        settings.set_poly_modulus_degree(params.degree)
        primes = api.CoeffModulus.Create(params.degree, list(params.prime_bits))
        settings.set_coeff_modulus(primes)
        context = api.SEALContext(settings, True, api.SEC_LEVEL_TYPE.TC128)  # noqa: FBT003 - SEAL's signature
        if not context.parameters_set() or tuple(prime.value() for prime in primes) != params.primes:
            message = f"SEAL refuses {params}: {context.parameters_error_message()}"
            raise ConfigError(message)
        self.params, self.api, self._zstandard, self.context = params, api, zstandard, context
        self.encoder, self.evaluator = api.CKKSEncoder(context), api.Evaluator(context)
        ids = {KEY: context.key_parms_id(), FRESH: context.first_parms_id(), LAST: context.last_parms_id()}
        self._ids = {level: struct.pack("<4Q", *words) for level, words in ids.items()}
        self._version = _save(settings)[3:5]

    def primes_of(self, level: str) -> tuple[int, ...]:
        """The primes of a level."""
        return self.params.primes[: {KEY: 3, FRESH: 2, LAST: 1}[level]]

    def encode(self, slots: npt.NDArray[np.generic], scale_bits: int) -> Any:
        """A plaintext of both primes that carry scores."""
        plaintext = self.api.Plaintext()
        self.encoder.encode(slots.tolist(), 2.0**scale_bits, plaintext)
        return plaintext

    def decode(self, plaintext: Any) -> npt.NDArray[np.complex128]:
        """The slots of a plaintext."""
        return np.asarray(self.encoder.decode_complex(plaintext))

    def load_ciphertext(self, residues: AnyResidues, *, scale: float, level: str = FRESH) -> Any:
        """A ciphertext from residues (polynomials, primes, N) in NTT form."""
        body = self._head(len(residues), scale, level) + self._words(residues)
        return self._load(self.api.Ciphertext(), body)

    def load_seeded(self, residues: AnyResidues, seed: bytes, *, scale: float) -> Any:
        """A fresh ciphertext from its first polynomial (primes, N) and the seed of its second."""
        return self._load(self.api.Ciphertext(), self._seeded(residues, seed, scale, FRESH))

    def load_secret(self, residues: AnyResidues) -> Any:
        """A secret key from its residues (3, N)."""
        body = _PLAINTEXT.pack(self._ids[KEY], residues.size, 1.0) + self._words(residues)
        return self._load(self.api.SecretKey(), body)

    def load_galois_keys(self, keys: Mapping[int, Keys]) -> Any:
        """Keys by Galois element, each a first polynomial (3, N) and a seed for both digits."""
        lists = [keys.get(2 * place + 1, ()) for place in range(self.params.degree)]
        return self._load(self.api.GaloisKeys(), self._key_lists(lists))

    def load_relin_keys(self, keys: Keys) -> Any:
        """The key that takes s² to s."""
        return self._load(self.api.RelinKeys(), self._key_lists([keys]))

    def read_ciphertext(self, ciphertext: Any) -> Words:
        """Residues (polynomials, primes, N) of a ciphertext."""
        body = self._dump(ciphertext)
        _, _, size, degree, primes, _, _ = _CIPHERTEXT.unpack_from(body)
        words = np.frombuffer(body, dtype="<u8", count=size * degree * primes, offset=_CIPHERTEXT.size + 24)
        return words.reshape(size, primes, degree)

    def read_seeded(self, ciphertext: Any) -> tuple[Words, bytes]:
        """The first polynomial (primes, N) of a fresh ciphertext that was not expanded, and the seed of its second."""
        return self._split_seeded(self._dump(ciphertext))

    def read_secret(self, secret: Any) -> Words:
        """Residues (3, N) of a secret key."""
        body = self._dump(secret)
        return np.frombuffer(body, dtype="<u8", offset=_PLAINTEXT.size + 24).reshape(3, -1)

    def read_plaintext(self, plaintext: Any) -> Words:
        """Residues (2, N) of an encoded plaintext."""
        body = self._dump(plaintext)
        return np.frombuffer(body, dtype="<u8", offset=_PLAINTEXT.size + 24).reshape(2, -1)

    def read_keys(self, keys: Any) -> list[list[tuple[Words, bytes]]]:
        """Every list of key-switch keys that is not empty, in the order of the Galois elements."""
        body = self._dump(keys)
        lists, (count,), place = [], struct.unpack_from("<Q", body, 32), 40
        for _ in range(count):
            (digits,) = struct.unpack_from("<Q", body, place)
            place += 8
            found = []
            for _ in range(digits):
                size = _STREAM.unpack_from(body, place)[-1]
                found.append(self._split_seeded(body[place + _STREAM.size : place + size]))
                place += size
            if found:
                lists.append(found)
        return lists

    def _head(self, size: int, scale: float, level: str) -> bytes:
        primes = len(self.primes_of(level))
        return _CIPHERTEXT.pack(self._ids[level], 1, size, self.params.degree, primes, scale, 1)

    def _seeded(self, residues: AnyResidues, seed: bytes, scale: float, level: str) -> bytes:
        return self._head(2, scale, level) + self._words(residues) + self._stream(struct.pack("<B64s", _BLAKE, seed))

    def _key_lists(self, lists: Sequence[Keys]) -> bytes:
        parts = [self._ids[KEY], struct.pack("<Q", len(lists))]
        for keys in lists:
            parts.append(struct.pack("<Q", len(keys)))
            parts += [self._stream(self._seeded(residues, seed, 1.0, KEY)) for residues, seed in keys]
        return b"".join(parts)

    @staticmethod
    def _split_seeded(body: bytes) -> tuple[Words, bytes]:
        _, _, _, degree, primes, _, _ = _CIPHERTEXT.unpack_from(body)
        words = np.frombuffer(body, dtype="<u8", count=degree * primes, offset=_CIPHERTEXT.size + 24)
        kind, seed = struct.unpack("<B64s", body[-_SEED_BYTES - 1 :])
        if kind != _BLAKE:
            message = f"SEAL drew from generator {kind}, and LEO can only write down {_BLAKE} (BLAKE2xb)"
            raise ConfigError(message)
        return words.reshape(primes, degree), seed

    def _words(self, residues: AnyResidues) -> bytes:
        content = np.ascontiguousarray(residues, dtype="<u8")
        return self._stream(struct.pack("<Q", content.size) + content.tobytes())

    def _stream(self, body: bytes) -> bytes:
        return _STREAM.pack(_MAGIC, _STREAM.size, *self._version, 0, 0, _STREAM.size + len(body)) + body

    def _load(self, target: Any, body: bytes) -> Any:
        file = os.memfd_create("leo-fhe")
        try:
            with os.fdopen(file, "wb", closefd=False) as stream:
                stream.write(self._stream(body))
            target.load(self.context, f"/proc/self/fd/{file}")
        finally:
            os.close(file)
        return target

    def _dump(self, source: Any) -> bytes:
        data = _save(source)
        compression = _STREAM.unpack_from(data)[4]
        if compression != _ZSTD:
            return data[_STREAM.size :]
        return bytes(self._zstandard.ZstdDecompressor().decompressobj().decompress(data[_STREAM.size :]))


def _save(source: Any) -> bytes:
    file = os.memfd_create("leo-fhe")
    try:
        source.save(f"/proc/self/fd/{file}")
        return os.pread(file, os.fstat(file).st_size, 0)
    finally:
        os.close(file)
