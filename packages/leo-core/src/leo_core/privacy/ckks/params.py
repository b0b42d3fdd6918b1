"""Parameters of CKKS for scores, and what they are checked against.

CKKS: J. H. Cheon, A. Kim, M. Kim, Y. Song, "Homomorphic encryption for arithmetic of approximate numbers", ASIACRYPT
2017. Security: M. Albrecht et al., "Homomorphic encryption security standard", HomomorphicEncryption.org 2018, table 1
(ternary secrets).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "FheParams"]

_CLASSICAL = {4096: ((256, 58), (192, 75), (128, 109)), 8192: ((256, 118), (192, 152), (128, 218))}
"""Ring degree -> bits of security against classical attacks, and most bits of all primes together."""

_QUANTUM = {4096: ((192, 70), (128, 101)), 8192: ((192, 141), (128, 202))}
"""The same against quantum attacks."""

PRESETS = {"score128": (4096, (28, 28, 29), 30, 24), "score192": (4096, (25, 25, 25), 27, 21)}
"""Name -> ring degree, bits of the primes, bits of the query's and of the rows' scale."""

_PRIMES = 3
_MOST_BITS = 28
_MOST_MORE = 2
_LEAST_BITS = 20
_HEADROOM_BITS = 2
"""A coefficient of two scores in one slot is at most √2 times the scale, and has to stay below half of a prime."""

_TRIAL = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


@dataclass(frozen=True, slots=True, kw_only=True)
class FheParams:
    """One ring, two primes that carry scores, and one that switches keys.

    Attributes:
        degree: N, the degree of the ring: 4096 or 8192. One block holds N entries.
        prime_bits: Bits of the three primes; the first two the same, at most 28 (so that 256 products add up in 64
            bits), the last, special one as many or up to two more.
        query_scale_bits: log₂ of the scale of a query.
        row_scale_bits: log₂ of the scale of the rows that it is scored against.

    Raises:
        ConfigError: A value is outside its range or the table of the standard, or the scales leave the scores no room.
    """

    degree: int
    prime_bits: tuple[int, int, int]
    query_scale_bits: int
    row_scale_bits: int

    def __post_init__(self) -> None:
        _check_security(self.degree, self.prime_bits)
        low, high, special = self.prime_bits
        if not (_LEAST_BITS <= low == high <= _MOST_BITS and low <= special <= low + _MOST_MORE):
            message = (
                f"primes of {list(self.prime_bits)} bits: the first two have the same {_LEAST_BITS} to {_MOST_BITS} "
                f"bits, the last as many or up to {_MOST_MORE} more"
            )
            raise ConfigError(message)
        room = low + high - _HEADROOM_BITS
        if min(self.query_scale_bits, self.row_scale_bits) < 1 or self.query_scale_bits + self.row_scale_bits > room:
            message = (
                f"scales of {self.query_scale_bits} and {self.row_scale_bits} bits: each has at least 1, together they "
                f"have at most {room} with primes of {low} and {high} bits, or scores would wrap around"
            )
            raise ConfigError(message)

    @classmethod
    def preset(cls, name: str) -> FheParams:
        """``"score128"``: 85 bits of primes, 128 bits of security, also against quantum attacks (limit 101).

        ``"score192"``: 75 bits of primes, 192 bits of security against classical attacks, with larger errors.

        Raises:
            ConfigError: There is no preset of that name.
        """
        if name not in PRESETS:
            message = f"no parameters are called {name!r}; there are {', '.join(sorted(PRESETS))}"
            raise ConfigError(message)
        degree, prime_bits, query, rows = PRESETS[name]
        return cls(degree=degree, prime_bits=prime_bits, query_scale_bits=query, row_scale_bits=rows)

    @property
    def block_size(self) -> int:
        """Entries in a block: two in each of the N / 2 slots, as real and as imaginary part."""
        return self.degree

    @property
    def slots(self) -> int:
        """Complex numbers in a ciphertext, N / 2."""
        return self.degree // 2

    @property
    def primes(self) -> tuple[int, int, int]:
        """The primes themselves, as SEAL's ``CoeffModulus::Create`` chooses them."""
        return _find_primes(self.degree, self.prime_bits)

    @property
    def classical_bits(self) -> int:
        """Bits of security against classical attacks, by the standard's table."""
        return _find_level(_CLASSICAL, self.degree, sum(self.prime_bits))

    @property
    def quantum_bits(self) -> int:
        """Bits of security against quantum attacks, by the standard's table; 0 where it promises none."""
        return _find_level(_QUANTUM, self.degree, sum(self.prime_bits))

    @property
    def reply_scale(self) -> float:
        """Scale of scores after the one rescale."""
        return 2.0 ** (self.query_scale_bits + self.row_scale_bits) / self.primes[1]

    @property
    def params_id(self) -> bytes:
        """Eight bytes that stand for these parameters wherever bytes travel."""
        scales = (self.query_scale_bits, self.row_scale_bits)
        content = struct.pack("<6Q", self.degree, *self.primes, *scales)
        return hashlib.blake2b(content, digest_size=8, person=b"LEO fhe params").digest()

    def self_test(self) -> None:
        """Encrypt, score and decrypt known vectors, once in a process and set of parameters.

        Raises:
            ConfigError: The scores are not what they have to be.
            MissingExtraError: The extra ``fhe`` is not installed.
        """
        _test_once(self)


@cache
def _test_once(params: FheParams) -> None:
    from leo_core.privacy.ckks.self_test import run_self_test  # noqa: PLC0415 - loads SEAL

    run_self_test(params)


def _check_security(degree: int, prime_bits: tuple[int, ...]) -> None:
    if degree not in _CLASSICAL:
        message = f"a ring of degree {degree!r} is not supported; degrees are {', '.join(map(str, _CLASSICAL))}"
        raise ConfigError(message)
    if len(prime_bits) != _PRIMES or not all(type(bits) is int for bits in prime_bits):
        message = f"prime_bits are the bits of three primes, not {prime_bits!r}"
        raise ConfigError(message)
    most = _CLASSICAL[degree][-1][1]
    if sum(prime_bits) > most:
        message = (
            f"primes of {list(prime_bits)} bits have {sum(prime_bits)} bits together: at degree {degree} the standard "
            f"promises 128 bits of security up to {most} bits only; take smaller primes or a larger degree"
        )
        raise ConfigError(message)


def _find_level(table: Mapping[int, tuple[tuple[int, int], ...]], degree: int, bits: int) -> int:
    return next((level for level, most in table[degree] if bits <= most), 0)


@cache
def _find_primes(degree: int, prime_bits: tuple[int, int, int]) -> tuple[int, int, int]:
    """Of every size the largest primes that are 1 modulo 2N, the smaller of two before the larger."""
    found = {bits: _list_primes(2 * degree, bits, prime_bits.count(bits)) for bits in set(prime_bits)}
    low, high, special = (found[bits].pop() for bits in prime_bits)
    return low, high, special


def _list_primes(factor: int, bits: int, count: int) -> list[int]:
    primes: list[int] = []
    candidate = ((1 << bits) - 1) // factor * factor + 1
    while len(primes) < count:
        if candidate < 1 << bits and _is_prime(candidate):
            primes.append(candidate)
        candidate -= factor
    return primes


def _is_prime(number: int) -> bool:
    """Miller and Rabin's test, which is exact for these bases up to 3 · 10²⁴ (J. Sorenson and J. Webster, 2017)."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in _TRIAL:
        power = pow(witness, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
