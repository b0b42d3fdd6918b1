"""Salted commitments: what was asked and answered can be opened alone, and says nothing until then.

``commitment = SHA-256(domain ‖ nonce ‖ bytes)`` with a nonce of 32 bytes per commitment. The domain names the
protocol and the commitment, so that a commitment to a question is never one to an answer. Hiding and binding
rest on SHA-256; no key is involved.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.canonical import content_bytes

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["ENTROPY_BYTES", "NONCE_BYTES", "commit", "derive_nonce", "opens", "policy_digest"]

ENTROPY_BYTES = 32
"""Least entropy that one statement needs."""

NONCE_BYTES = 32
"""Length of a nonce."""

_DOMAIN = b"leo/commitment/1\x00"
_NONCE_DOMAIN = b"leo/nonce/1\x00"
_POLICY_DOMAIN = b"leo/policy/1\x00"


def derive_nonce(entropy: bytes, name: str) -> bytes:
    """The nonce of the commitment with this name: HMAC-SHA-256 (RFC 2104) of the name under the entropy.

    One nonce says nothing about another.

    Args:
        entropy: At least :data:`ENTROPY_BYTES` fresh secret bytes, used for one statement only.
        name: Name of the commitment.

    Raises:
        ReceiptError: Too little entropy (``check="entropy"``).
    """
    if len(entropy) < ENTROPY_BYTES:
        message = f"a statement needs at least {ENTROPY_BYTES} bytes of entropy, got {len(entropy)}"
        raise ReceiptError(message, check="entropy")
    return hmac.digest(entropy, _NONCE_DOMAIN + name.encode(), "sha256")


def commit(name: str, nonce: bytes, content: Json) -> str:
    """The commitment (hex) with this name to the canonical bytes of the content.

    Raises:
        ReceiptError: The nonce has another length than :data:`NONCE_BYTES` (``check="commitment.<name>"``),
            or the content is not JSON (``check="content"``).
    """
    if len(nonce) != NONCE_BYTES:
        message = f"the nonce of {name!r} must have {NONCE_BYTES} bytes, got {len(nonce)}"
        raise ReceiptError(message, check=f"commitment.{name}")
    return hashlib.sha256(_DOMAIN + name.encode() + b"\x00" + nonce + content_bytes(content)).hexdigest()


def opens(commitment: str, name: str, nonce: bytes, content: Json) -> bool:
    """Whether nonce and content open the commitment; compared in constant time."""
    return hmac.compare_digest(commit(name, nonce, content), commitment)


def policy_digest(policy: Json) -> str:
    """SHA-256 (hex) of the canonical policy, unsalted: equal policies have equal digests."""
    return hashlib.sha256(_POLICY_DOMAIN + content_bytes(policy)).hexdigest()
