"""Shares of a secret, of which any ``threshold`` give it back and fewer say nothing (Shamir 1979).

A secret of 32 bytes is a number below the prime 2^521 - 1; a share is the value of a random polynomial of degree
``threshold - 1`` through it. Arithmetic on Python's numbers takes a time that depends on them: make shares where nobody
can time you.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SECRET_BYTES", "SHARE_BYTES", "join_shares", "share_secret"]

SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 66
_PRIME: Final = 2**521 - 1


def share_secret(
    secret: bytes, points: int, threshold: int, *, below: Callable[[int], int] = secrets.randbelow
) -> tuple[bytes, ...]:
    """Shares of a secret for the points 1 to ``points``, each of 66 bytes.

    Args:
        secret: 32 bytes.
        points: How many shares, 1 or more.
        threshold: How many of them give the secret back, in [1, points].
        below: A uniform whole number in [0, n); another source than the system's is for tests.

    Raises:
        ConfigError: A figure is out of its range, or the secret has another length.
    """
    if not 1 <= threshold <= points:
        message = f"threshold is {threshold!r}; of {points} shares it must lie in [1, {points}]"
        raise ConfigError(message)
    if len(secret) != SECRET_BYTES:
        message = f"a secret to share has {SECRET_BYTES} bytes, got {len(secret)}"
        raise ConfigError(message)
    terms = [int.from_bytes(secret, "big"), *(below(_PRIME) for _ in range(threshold - 1))]
    return tuple(_value(terms, point).to_bytes(SHARE_BYTES, "big") for point in range(1, points + 1))


def join_shares(shares: Mapping[int, bytes]) -> bytes | None:
    """The secret from shares by their points, as many as its threshold; ``None`` where they give no secret.

    False shares give another secret, or none: compare it with what is known of it.

    Raises:
        ConfigError: A point or a share is out of its range.
    """
    values = {point: int.from_bytes(share, "big") for point, share in shares.items()}
    if any(not 0 < point < _PRIME for point in values) or any(value >= _PRIME for value in values.values()):
        message = f"the points {sorted(values)} and their shares have to be below 2^521 - 1, the points above 0"
        raise ConfigError(message)
    secret = 0
    for point, value in values.items():
        top, bottom = 1, 1
        for other in values:
            if other != point:
                top, bottom = top * other % _PRIME, bottom * (other - point) % _PRIME
        secret = (secret + value * top * pow(bottom, -1, _PRIME)) % _PRIME
    return secret.to_bytes(SHARE_BYTES, "big")[-SECRET_BYTES:] if secret < 1 << 8 * SECRET_BYTES else None


def _value(terms: list[int], point: int) -> int:
    """The polynomial at a point (Horner)."""
    value = 0
    for term in reversed(terms):
        value = (value * point + term) % _PRIME
    return value
