"""The secret side of an index: one homomorphic secret for each key version of a tenant.

It lives in the keyring and dies with its version: what was encrypted under a destroyed version is not decrypted again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from leo_core.errors import KeyringError, UnknownEvaluationKeyError
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.keys.keyset import KeyState, find_kept, find_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys
    from leo_core.privacy.ckks.params import FheParams
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.records import Vector

__all__ = ["TenantSecrets"]

_OPEN = frozenset({KeyState.ENABLED, KeyState.DECRYPT_ONLY})


class TenantSecrets:
    """The homomorphic secrets of a tenant; threads take turns.

    Args:
        ring: Keeps them, and counts what they decrypt.
        params: Encryption parameters.
        expected: Rows that an index is going to have, about.
    """

    secret_kind: ClassVar[Any] = FheSecret
    """What makes, reads and uses a secret."""

    def __init__(self, ring: ClientKeyring, params: FheParams, expected: int) -> None:
        self._ring, self._params, self._expected = ring, params, expected
        self._lock = threading.RLock()
        self._secrets: dict[int, Any] = {}

    def find_primary(self) -> str:
        """Name of the secret under which blocks are encrypted now; made when the key version has none yet.

        Raises:
            KeyringError: The keyring is disabled or destroyed.
        """
        with self._lock:
            return str(self._load(self._ring.version, make=True).secret_id.hex())

    def holds(self, secret_id: str) -> bool:
        """Whether the keyring still has the secret of this name, and lets it decrypt."""
        with self._lock:
            return self._find(secret_id) is not None

    def make_evaluation_keys(self, secret_id: str, dim: int) -> EvaluationKeys:
        """Public keys of a secret for vectors of ``dim`` coordinates."""
        with self._lock:
            keys: EvaluationKeys = self._must_find(secret_id)[1].evaluation_keys(dim=dim, expected=self._expected)
            return keys

    def encrypt_query(self, secret_id: str, vector: Vector) -> bytes:
        """A query under this secret."""
        with self._lock:
            return bytes(self._must_find(secret_id)[1].encrypt_query(vector))

    def encrypt_block(self, secret_id: str, rows: npt.NDArray[np.float32]) -> bytes:
        """A block under this secret."""
        with self._lock:
            return bytes(self._must_find(secret_id)[1].encrypt_block(rows, expected=self._expected))

    def decrypt_scores(self, secret_id: str, reply: bytes, counts: Sequence[int]) -> list[npt.NDArray[np.float64]]:
        """The scores in a reply; counted in the keyring before they are decrypted.

        Raises:
            KeyExhaustedError: The key version has decrypted as often as it may.
            CiphertextError: The reply is not what it has to be.
            UnknownEvaluationKeyError: The keyring has no such secret any more.
        """
        with self._lock:
            number, secret = self._must_find(secret_id)
            self._ring.count_decrypts(max(1, len(counts)), version=number)
            return list(secret.decrypt_scores(reply, counts))

    def _must_find(self, secret_id: str) -> tuple[int, Any]:
        found = self._find(secret_id)
        if found is None:
            message = f"the keyring has no secret {secret_id} any more: its key version is disabled or destroyed"
            raise UnknownEvaluationKeyError(message, check="secret")
        return found

    def _find(self, secret_id: str) -> tuple[int, Any] | None:
        """The secret and its version, if the keyring lets it be used at this moment."""
        versions = {each.number: each for each in self._ring.keyset.versions if each.state in _OPEN}
        for number in [number for number in self._secrets if number not in versions]:
            del self._secrets[number]
        for number in sorted(versions, reverse=True):
            if number not in self._secrets and find_kept(versions[number], self._name) is None:
                continue
            try:
                secret = self._load(number, make=False)
            except KeyringError:
                continue
            if secret.secret_id.hex() == secret_id:
                return number, secret
        return None

    @property
    def _name(self) -> str:
        return f"ckks/{self._params.params_id.hex()}"

    def _load(self, number: int, *, make: bool) -> Any:
        known = self._secrets.get(number)
        if known is not None:
            find_version(self._ring.keyset, number)
            return known
        params = self._params
        data = self._ring.kept_secret(
            self._name,
            lambda: bytes(self.secret_kind.generate(params).to_bytes()),
            version=None if make and number == self._ring.version else number,
        )
        self._secrets[number] = secret = self.secret_kind.from_bytes(params, data)
        return secret
