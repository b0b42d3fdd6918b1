"""When a key version has served long enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from typing import Final

    from leo_core.privacy.keys.keyset import KeyVersion

__all__ = ["MOST_SEALS", "RotationPolicy", "find_rotation_reason"]

MOST_SEALS: Final = 2**32
"""Seals with random nonces of 96 bits under one key (NIST SP 800-38D, section 8.3)."""

_DAY_S = 86_400.0
_SHORT_OF = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationPolicy:
    """When keys are rotated, and how long the old ones open.

    Attributes:
        max_age_s: Seconds after which the primary is rotated, from 1; infinity for never.
        max_seals: Seals after which it is rotated, 1 to 2^32. All purposes of a version count together, although each
            has a key of its own.
        max_decrypts: Homomorphic results that are decrypted in one key epoch; then its secret decrypts nothing more.
            The rotation comes a sixteenth earlier, so that the index can be encrypted anew in time. The default of
            2^20 is that of systems against attacks on approximate decryption (IND-CPA-D).
        grace_s: Seconds for which an old version opens at least. Longer than any process takes between sealing a record
            and storing it.
        seal_lease: Most seals that a process counts ahead at once; what it does not use is counted all the same.
        decrypt_lease: As ``seal_lease``, for decrypts.
        automatic: Whether sealing and decrypting rotate when it is due; otherwise they refuse at the limits.
    """

    max_age_s: float = 90 * _DAY_S
    max_seals: int = MOST_SEALS
    max_decrypts: int = 2**20
    grace_s: float = 30 * _DAY_S
    seal_lease: int = 4096
    decrypt_lease: int = 64
    automatic: bool = True

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            ConfigError: Names the setting, its value and what is understood.
        """
        for name, least in (("max_age_s", 1), ("grace_s", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value < least:
                message = f"RotationPolicy.{name} is {value!r}; it is a number of seconds from {least}"
                raise ConfigError(message)
        if math.isinf(self.grace_s):
            message = "RotationPolicy.grace_s is infinite; old keys have to go: give seconds"
            raise ConfigError(message)
        limits = {"max_seals": MOST_SEALS, "max_decrypts": 2**62, "seal_lease": 2**20, "decrypt_lease": 2**20}
        for name, most in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                message = f"RotationPolicy.{name} is {value!r}; it is a whole number from 1 to {most}"
                raise ConfigError(message)

    @property
    def decrypts_due(self) -> int:
        """Decrypts from which on a rotation is due: a sixteenth before the last one allowed."""
        return self.max_decrypts - self.max_decrypts // _SHORT_OF


def find_rotation_reason(version: KeyVersion, policy: RotationPolicy, *, now: float) -> str:
    """Why the version is to be rotated: ``"age"``, ``"seals"`` or ``"decrypts"``; empty when it is not."""
    if now - version.created_at >= policy.max_age_s:
        return "age"
    if version.seals >= policy.max_seals:
        return "seals"
    if version.decrypts >= policy.decrypts_due:
        return "decrypts"
    return ""
