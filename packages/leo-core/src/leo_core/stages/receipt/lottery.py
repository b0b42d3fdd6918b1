"""Which answers are audited, in a way that can be checked afterwards.

Every day has a secret seed, made from the log's signing key. Each statement of that day commits to it and states the
chance with which its answer is audited; whether it is follows from the seed and the receipt's place in the log. Nobody
else can tell before the seed is revealed, and the operator cannot choose once the receipt is in the log. When the day
is over the seed is published, and everybody can tell which answers had to be audited: an error rate over another
selection is found out.

seed = SHA-256(domain ‖ Ed25519 signature of (domain ‖ origin ‖ LF ‖ day)), a secret that only the key's owner can make;
commitment = SHA-256(domain ‖ seed); draw = the first 53 bits of HMAC-SHA-256(seed, place), as a number in [0, 1).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from leo_core.stages.receipt.canonical import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json
    from leo_core.stages.receipt.keys import SigningKey

__all__ = ["commit_seed", "derive_seed", "draw_audit", "find_day", "is_due", "stated_day"]

_SEED_DOMAIN = b"leo/audit-seed/1\x00"
_COMMITMENT_DOMAIN = b"leo/audit-commitment/1\x00"
_DRAW_DOMAIN = b"leo/audit-draw/1\x00"
_BITS = 53
"""Bits of a float's mantissa: every draw is an exact float."""
_DAY_CHARACTERS = 10


def derive_seed(key: SigningKey, origin: str, day: str) -> bytes:
    """The secret seed of a day, 32 bytes; the same for the same key, log and day (``2026-01-31``, UTC)."""
    return hashlib.sha256(_SEED_DOMAIN + key.sign(_SEED_DOMAIN + f"{origin}\n{day}".encode())).digest()


def commit_seed(seed: bytes) -> str:
    """The commitment (hex) to a seed. It has 256 bits of its own, so it needs no nonce."""
    return hashlib.sha256(_COMMITMENT_DOMAIN + seed).hexdigest()


def draw_audit(seed: bytes, position: int) -> float:
    """The draw of the receipt at a position of the log, in [0, 1)."""
    digest = hmac.digest(seed, _DRAW_DOMAIN + position.to_bytes(8, "big"), "sha256")
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS)


def find_day(epoch: float) -> str:
    """The day (UTC) of an instant, as :func:`stated_day` gives that of a statement of that instant."""
    return rfc3339(epoch)[:_DAY_CHARACTERS]


def stated_day(statement: Mapping[str, Json]) -> str:
    """The day (UTC) of a statement's time."""
    return str(statement["time"])[:_DAY_CHARACTERS]


def is_due(statement: Mapping[str, Json], seed: bytes) -> bool:
    """Whether the answer has to be audited, by its day's seed."""
    return draw_audit(seed, int(statement["log"]["previous_size"])) < float(statement["audit"]["chance"])
