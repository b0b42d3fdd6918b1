"""Counting how often keys are used, across processes, before they are.

A process takes a *lease* of uses: it counts them in the store at once and then uses them one by one. A process that
dies leaves the rest of its lease counted and unused, so the count in the store is never too low.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core.errors import KekError, KeyExhaustedError
from leo_core.privacy.keys.key_rotation import find_rotation_reason
from leo_core.privacy.keys.keys_in_use import make_version
from leo_core.privacy.keys.keyset import add_uses, change_primary, find_version, next_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.privacy.keys.key_rotation import RotationPolicy
    from leo_core.privacy.keys.keys_in_use import KeysInUse
    from leo_core.privacy.keys.keyset import Keyset, KeyVersion

__all__ = ["KeyUses"]

_log = logging.getLogger("leo_core")

_REST_S = 60.0
"""Seconds before a rotation is tried again that failed because of the KEK."""

_SHARE = 64
"""A lease is at most this part of what is allowed, so that several processes share it."""


class KeyUses:
    """Takes uses of keys from leases, and rotates when a key has served long enough. Callers hold ``keys.lock``.

    Args:
        keys: Whose uses are counted.
        policy: How many there may be.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, keys: KeysInUse, policy: RotationPolicy, clock: Callable[[], float]) -> None:
        self._keys, self._policy, self._clock = keys, policy, clock
        self._seals_left: tuple[int, int] = (0, 0)
        self._decrypts_left: dict[int, int] = {}
        self._pid = os.getpid()
        self._rests_until = 0.0

    def take_seal(self) -> KeyVersion:
        """The primary, with one seal counted on it; a fresh one when the one that was has served long enough.

        Raises:
            KeyExhaustedError: It may seal no more, and the policy does not rotate by itself.
        """
        self._forget_after_fork()
        while True:
            version = find_version(self._keys.keyset, self._keys.keyset.primary)
            number, left = self._seals_left
            reason = find_rotation_reason(version, self._policy, now=self._clock())
            counted = number == version.number and left > 0
            if self._policy.automatic and reason == "seals" and not counted:
                self._rotate(self._find_reason(reason))  # nothing else will do
            elif self._policy.automatic and reason not in {"", "seals"} and self.rotate_when_due(reason):
                continue
            elif counted:
                self._seals_left = number, left - 1
                return version
            elif reason == "seals":
                message = f"key version {version.number} has sealed {version.seals} times, as often as it may: rotate"
                raise KeyExhaustedError(message)
            else:
                self._lease_seals(version.number)

    def take_decrypts(self, number: int, count: int) -> None:
        """Count decrypts on a version.

        Raises:
            KeyExhaustedError: There are not so many left; none was counted.
        """
        self._forget_after_fork()
        left = self._decrypts_left.get(number, 0)
        if left < count:
            left += self._lease_decrypts(number, count - left)
        self._decrypts_left[number] = left - count

    def rotate(self, reason: str) -> int:
        """Make a fresh version the primary; returns its number."""
        return self._rotate(lambda _: reason)

    def rotate_when_due(self, reason: str) -> bool:
        """Make a fresh version the primary if the policy says so for this reason; whether it was tried.

        A KEK that cannot be used leaves the old version at work, with a warning, and is asked again a minute later.
        """
        find, now = self._find_reason(reason), self._clock()
        if now < self._rests_until or not find(find_version(self._keys.keyset, self._keys.keyset.primary)):
            return False
        try:
            self._rotate(find)
        except KekError as error:
            self._rests_until = now + _REST_S
            _log.warning("keys are due for rotation (%s), and their KEK refuses: %s", reason, type(error).__name__)
            return False
        return True

    def _find_reason(self, reason: str) -> Callable[[KeyVersion], str]:
        def find(version: KeyVersion) -> str:
            found = find_rotation_reason(version, self._policy, now=self._clock())
            return found if found == reason else ""

        return find

    def _forget_after_fork(self) -> None:
        """What the parent counted ahead is the parent's."""
        if self._pid != os.getpid():
            self._pid, self._seals_left, self._decrypts_left = os.getpid(), (0, 0), {}

    def _rotate(self, find_reason: Callable[[KeyVersion], str]) -> int:
        keys, now = self._keys, self._clock()
        number = next_number(keys.keyset)  # the KEK may be far away: it is asked before the store is locked
        fresh = make_version(keys.ring, keys.kek, number=number, now=now, reason="")

        def change(keyset: Keyset) -> Keyset:
            reason = find_reason(find_version(keyset, keyset.primary))
            if not reason:
                return keyset
            keys.check_kek(keyset)  # another process may have wrapped all keys with another KEK meanwhile
            made = replace(fresh, number=next_number(keyset), reason=reason)
            return change_primary(keyset, made, now=now, grace_s=self._policy.grace_s)

        return keys.change(change).primary

    def _lease_seals(self, number: int) -> None:
        taken = 0

        def change(keyset: Keyset) -> Keyset:
            nonlocal taken
            version = find_version(keyset, keyset.primary)
            most = max(1, min(self._policy.seal_lease, self._policy.max_seals // _SHARE))
            taken = max(0, min(most, self._policy.max_seals - version.seals))
            if version.number != number or not taken:
                taken = 0
                return keyset
            return add_uses(keyset, number, seals=taken)

        self._keys.change(change)
        self._seals_left = number, taken

    def _lease_decrypts(self, number: int, count: int) -> int:
        taken = 0

        def change(keyset: Keyset) -> Keyset:
            nonlocal taken
            version = find_version(keyset, number)
            most = min(self._policy.decrypt_lease, self._policy.max_decrypts // _SHARE)
            taken = min(max(count, most), self._policy.max_decrypts - version.decrypts)
            if taken < count:
                message = (
                    f"key version {number} has {max(0, taken)} of {self._policy.max_decrypts} decrypts left, "
                    f"{count} are needed: encrypt the index anew under version {keyset.primary}"
                )
                raise KeyExhaustedError(message)
            return add_uses(keyset, number, decrypts=taken)

        self._keys.change(change)
        return taken
