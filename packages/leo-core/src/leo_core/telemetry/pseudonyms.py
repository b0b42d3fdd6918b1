"""Names of tenants and sessions as they may leave the process: not at all, as keyed hashes, or as they are."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from leo_core.errors import ConfigError

__all__ = ["Naming", "Pseudonyms"]

Naming = Literal["none", "hashed", "plain"]
_DIGEST_BYTES = 8
_LEAST_KEY_BYTES = 16
_MOST_KEY_BYTES = 64


class Pseudonyms:
    """Writes names.

    Args:
        naming: ``"none"`` writes nothing, ``"hashed"`` 16 hexadecimal digits of a keyed BLAKE2b, ``"plain"`` the name.
        key: The key of the hashes, 16 to 64 bytes. By default a new one each time: the hashes of one process then
            agree with each other and with those of no other.

    Raises:
        ConfigError: The naming is unknown or the key is too short or too long.
    """

    def __init__(self, naming: Naming = "none", key: bytes | None = None) -> None:
        if naming not in {"none", "hashed", "plain"}:
            message = f"names can be written as 'none', 'hashed' or 'plain', not {naming!r}"
            raise ConfigError(message)
        if key is not None and not _LEAST_KEY_BYTES <= len(key) <= _MOST_KEY_BYTES:
            message = f"a key for hashed names has {_LEAST_KEY_BYTES} to {_MOST_KEY_BYTES} bytes, not {len(key)}"
            raise ConfigError(message)
        self._naming = naming
        self._key = key or secrets.token_bytes(32)

    def __repr__(self) -> str:
        return f"Pseudonyms({self._naming!r})"

    def write(self, name: str | None) -> str | None:
        """The name as it may be told; ``None`` when it may not, or there is none."""
        if name is None or self._naming == "none":
            return None
        if self._naming == "plain":
            return name
        return hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES, key=self._key).hexdigest()
