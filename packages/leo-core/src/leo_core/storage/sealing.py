"""Seals: how LEO knows its own cache entries again.

A seal stands beside each question that leads to an entry. It is two message authentication codes (keyed BLAKE2b,
RFC 7693, section 2.9), over

* the whole entry and the exact key that leads to it, for exact look-ups, and
* the whole entry, the question's text and its vector, for look-ups by meaning,

so that each look-up checks one of them over what it has in hand, and nothing else has to be read. Tenant, scope,
message, expiry and receipt id are part of the entry. Hits are not: they change.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, StorageError
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage.codec import COMPACT

if TYPE_CHECKING:
    from leo_core.records import CacheEntry, Vector

__all__ = ["SECRET_BYTES", "SealKey"]

SECRET_BYTES = 32
"""Length of the secret that the seals of a store are made with."""

_MAC_BYTES = 32
_EXACT, _NEAR, _EXPORT = b"leo.exact.v1", b"leo.near.v1", b"leo.export.v1"


class SealKey:
    """Makes and checks seals. Compared by identity; shows nothing of its secret.

    Args:
        secret: :data:`SECRET_BYTES` random bytes.

    Raises:
        ConfigError: The secret has another length.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            message = f"a seal key has {SECRET_BYTES} bytes, got {len(secret)}"
            raise ConfigError(message)
        self._secret = secret

    @classmethod
    def generate(cls) -> SealKey:
        """A fresh key from the randomness of the operating system, kept nowhere."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    def seal(self, entry: CacheEntry, *, exact_key: str, text: str, vector: Vector | None) -> str:
        """The seal of a question that leads to an entry: 128 hex digits."""
        body = _encode(entry)
        return (self._mac(_EXACT, body, _encode_text(exact_key)) + self._mac(_NEAR, body, *_near(text, vector))).hex()

    def admits_exact(self, entry: CacheEntry, exact_key: str) -> bool:
        """Whether the entry's seal says that this exact key leads to it."""
        return self._admits(entry, 0, self._mac(_EXACT, _encode(entry), _encode_text(exact_key)))

    def admits_near(self, entry: CacheEntry, text: str, vector: Vector | None) -> bool:
        """Whether the entry's seal says that a question with this text and vector leads to it."""
        return self._admits(entry, 1, self._mac(_NEAR, _encode(entry), *_near(text, vector)))

    def derive_export_key(self) -> SigningKey:
        """The key that signs exports of this store: whoever gets its public part can check them, and make none."""
        return SigningKey.from_seed(self._mac(_EXPORT))

    def __repr__(self) -> str:
        return "SealKey(…)"

    def __reduce__(self) -> str:
        message = "a seal key is not pickled; hand over its file instead"
        raise TypeError(message)

    def _admits(self, entry: CacheEntry, half: int, mac: bytes) -> bool:
        start = half * 2 * _MAC_BYTES
        found = entry.seal[start : start + 2 * _MAC_BYTES]
        return len(entry.seal) == 4 * _MAC_BYTES and found.isascii() and hmac.compare_digest(found, mac.hex())

    def _mac(self, purpose: bytes, *parts: bytes) -> bytes:
        lengths = b",".join([b"%d" % len(part) for part in parts])
        whole = b"".join((lengths, b";", *parts))
        return hashlib.blake2b(whole, key=self._secret, digest_size=_MAC_BYTES, person=purpose).digest()


def _encode(entry: CacheEntry) -> bytes:
    """Every field but hits and seal, in a fixed order, as one JSON array: all that a lookup pays beside the MAC."""
    message, usage = entry.message, entry.usage
    fields = (
        *(entry.id, entry.tenant, entry.exact_key, entry.scope_key, entry.text),
        *(message.role, message.content, message.tool_call_id, message.tool_error, message.name),
        [(call.id, call.name, call.arguments) for call in message.tool_calls],
        *(entry.members, entry.model, entry.route.value, entry.receipt_id, entry.tags, entry.sources),
        *(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens),
        *(usage.calls, usage.cost_usd, entry.created_at, entry.expires_at, entry.fresh_until, entry.size_bytes),
        entry.metadata,
    )
    try:
        return _encode_text(COMPACT.encode(fields))
    except (ValueError, RecursionError) as error:
        why = "a value is nested too deeply or refers to itself; only JSON can be stored"
        raise StorageError(why) from error


def _encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _near(text: str, vector: Vector | None) -> tuple[bytes, ...]:
    return (_encode_text(text),) if vector is None else (_encode_text(text), vector.astype("<f4", copy=False).tobytes())
