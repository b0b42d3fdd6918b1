"""Splitting a key among people, so that some of them together have it and fewer know nothing (Shamir 1979).

Each byte of the key is the constant term of a random polynomial over GF(2^8); a share is the polynomials' values at one
point. The field is that of AES (x^8 + x^4 + x^3 + x + 1, FIPS 197, section 4.2). Products are made of shifts and masks,
without tables and branches that depend on a secret; Python itself promises no constant time.

A share says which set it is of, how many are needed, and carries a check value against slips. The set is named by a
check value of the key itself, so that what shares of several sets would make is refused and not used. A share is as
secret as the key is.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, ShareError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

__all__ = ["MOST_SHARES", "Share", "combine_shares", "split_key"]

MOST_SHARES: Final = 255
"""Points of the field other than 0."""

_POLYNOMIAL = 0x1B
_MOST_BYTES = 1024
_SET_BYTES, _CHECK_BYTES = 16, 4
_LEAST_NEEDED = 2
_FORM = re.compile(r"leo-share:1:([0-9a-f]{32}):(\d{1,3}):(\d{1,3}):((?:[0-9a-f]{2})+):([0-9a-f]{8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One share of a key.

    Attributes:
        set_id: Which key was split, and when: 32 hex digits, of which half are
            random and half are a check value of the key.
        needed: Shares that make the key, from 2.
        point: Where the polynomials were evaluated, 1 to 255.
        values: Their values there, as long as the key.

    Raises:
        ShareError: A field is out of range.
    """

    set_id: str
    needed: int
    point: int
    values: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a share that no splitting makes."""
        if not (_LEAST_NEEDED <= self.needed <= MOST_SHARES and 1 <= self.point <= MOST_SHARES and self.values):
            message = f"share {self.point} of {self.needed} needed is out of range; both are up to {MOST_SHARES}"
            raise ShareError(message)

    def to_text(self) -> str:
        """The share for a person or a file: one line."""
        start = f"leo-share:1:{self.set_id}:{self.needed}:{self.point}:{self.values.hex()}"
        return f"{start}:{_check(start)}"

    @classmethod
    def from_text(cls, text: str) -> Share:
        """The share that :meth:`to_text` wrote.

        Raises:
            ShareError: It is none, or a character is another one; nothing of it is repeated.
        """
        line = text.strip()
        match = _FORM.fullmatch(line)
        if match is None:
            message = "this is no share: one is a line that begins with leo-share:1:"
            raise ShareError(message)
        if not hmac.compare_digest(_check(line.rpartition(":")[0]), match[5]):
            message = f"share {int(match[3])} of set {match[1]} was altered: its check value is another one"
            raise ShareError(message)
        return cls(set_id=match[1], needed=int(match[2]), point=int(match[3]), values=bytes.fromhex(match[4]))


def split_key(key: bytes, *, needed: int, shares: int) -> tuple[Share, ...]:
    """Split a key; any ``needed`` of the shares make it, and fewer tell nobody anything of it.

    Args:
        key: 16 to 1024 bytes that cannot be guessed: the set's id is a check value of them.
        needed: 2 to ``shares``.
        shares: Up to 255.

    Raises:
        ConfigError: A number is out of range.
    """
    if not _LEAST_NEEDED <= needed <= shares <= MOST_SHARES:
        message = f"{needed} of {shares} shares: at least 2 are needed, of at most {MOST_SHARES}, and not more than are"
        raise ConfigError(message)
    if not 16 <= len(key) <= _MOST_BYTES:  # noqa: PLR2004 - 128 bits: fewer could be found by the set's id
        message = f"a key of {len(key)} bytes is split; it has 16 to {_MOST_BYTES}"
        raise ConfigError(message)
    salt = secrets.token_bytes(_SET_BYTES // 2)
    set_id = _name_set(key, salt)
    coefficients = [key, *(secrets.token_bytes(len(key)) for _ in range(needed - 1))]
    return tuple(
        Share(set_id=set_id, needed=needed, point=point, values=_evaluate(coefficients, point))
        for point in range(1, shares + 1)
    )


def combine_shares(shares: Sequence[Share]) -> bytes:
    """The key that the shares are of.

    Args:
        shares: As many as are needed, or more; then all of them have to agree.

    Raises:
        ShareError: There are too few, one is there twice, they are of different sets, or they make another key.
    """
    if not shares:
        message = "no share was given"
        raise ShareError(message)
    first = shares[0]
    for each in shares:
        if (each.set_id, each.needed, len(each.values)) != (first.set_id, first.needed, len(first.values)):
            message = f"share {each.point} is of set {each.set_id}, share {first.point} of set {first.set_id}"
            raise ShareError(message)
    points = sorted({each.point for each in shares})
    if len(points) < len(shares):
        message = f"a share was given twice: the points are {points}, of {len(shares)} shares"
        raise ShareError(message)
    if len(points) < first.needed:
        message = f"{len(points)} shares of set {first.set_id} were given, {first.needed} are needed"
        raise ShareError(message)
    used, spare = shares[: first.needed], shares[first.needed :]
    key = _interpolate(used, 0)
    agreed = [hmac.compare_digest(_interpolate(used, each.point), each.values) for each in spare]
    named = hmac.compare_digest(_name_set(key, bytes.fromhex(first.set_id)[: _SET_BYTES // 2]), first.set_id)
    if not (named and all(agreed)):
        message = f"the shares of set {first.set_id} do not make its key: one was altered, or is of another splitting"
        raise ShareError(message)
    return key


def _name_set(key: bytes, salt: bytes) -> str:
    """A random salt, and a check value of the key under it, 64 bits each."""
    check = hmac.digest(key, b"LEO share set" + salt, hashlib.sha256)[: _SET_BYTES - len(salt)]
    return (salt + check).hex()


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _CHECK_BYTES]


def _evaluate(coefficients: Sequence[bytes], point: int) -> bytes:
    """The polynomials' values at a point (Horner); coefficients from the constant up, a byte for each polynomial."""
    values = bytes(len(coefficients[0]))
    for row in reversed(coefficients):
        values = bytes(_multiply(value, point) ^ each for value, each in zip(values, row, strict=True))
    return values


def _interpolate(shares: Sequence[Share], at: int) -> bytes:
    """The values at a point of the polynomials through the shares (Lagrange); in this field minus is plus."""
    total = bytes(len(shares[0].values))
    for each in shares:
        weight = 1
        for other in shares:
            if other.point != each.point:
                weight = _multiply(weight, _multiply(at ^ other.point, _invert(each.point ^ other.point)))
        total = bytes(sum_ ^ _multiply(value, weight) for sum_, value in zip(total, each.values, strict=True))
    return total


def _multiply(left: int, right: int) -> int:
    """The product in GF(2^8): eight shifts and masked additions, whatever the factors are."""
    product = 0
    for _ in range(8):
        product ^= left & -(right & 1)
        left = ((left << 1) & 0xFF) ^ (_POLYNOMIAL & -(left >> 7))
        right >>= 1
    return product


def _invert(value: int) -> int:
    """The inverse, value^254; that of 0 is 0."""
    result, square = 1, value
    for _ in range(7):
        square = _multiply(square, square)
        result = _multiply(result, square)
    return result
