"""The keyrings of a store: one of the store itself, and one for each tenant."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError, KeyringError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.storage.keyfile import load_or_create_kek
from leo_core.storage.keyring_folder import KeyringFolder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.privacy.keys.key_rotation import RotationPolicy
    from leo_core.privacy.keys.keyset_store import KeysetStore

__all__ = ["KEK_FILE", "KEYS_SUFFIX", "Keyrings"]

KEYS_SUFFIX = ".keys"
"""What is added to the name of a store's file for the folder of its keyrings."""

KEK_FILE = "kek"
"""Name of the file with the key that wraps the keyrings, where no other provider is given."""

_ROOT = "store"


class Keyrings:
    """Keyrings, each made when it is first asked for.

    A tenant's keyring bears a pseudonym of the tenant, as its rows do, so that the keyrings name nobody. The store's
    own keyring makes the pseudonyms; without it nothing is found again.

    Made by :meth:`in_folder` and :meth:`in_memory`.

    Raises:
        KekError: The KEK cannot be used, or another one wrapped the keyrings.
        KeyringError: A keyring cannot be read or made.
    """

    def __init__(
        self, place: Callable[[str], KeysetStore], kek: KekProvider, policy: RotationPolicy | None = None
    ) -> None:
        self._place, self._kek, self._policy = place, kek, policy
        self._rings: dict[str, ClientKeyring] = {}
        self._lock = threading.Lock()
        self._root = self._open(_ROOT)

    @classmethod
    def in_folder(
        cls,
        folder: str | os.PathLike[str],
        *,
        kek: KekProvider | None = None,
        policy: RotationPolicy | None = None,
    ) -> Keyrings:
        """Keyrings in files with mode 0600, which processes share.

        Args:
            folder: The folder; made, with mode 0700, when it is not there.
            kek: Wraps the keyrings; by default a key in a file of the folder, made when it is not there: then the
                folder is all that it takes to read the store.
            policy: When keys are rotated.
        """
        home = Path(folder).expanduser()
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"folder {str(home)!r} for keyrings cannot be made: {error.strerror}; check the rights"
            raise KeyringError(message) from error
        return cls(KeyringFolder(home).file, kek or load_or_create_kek(home / KEK_FILE), policy)

    @classmethod
    def in_memory(cls, *, policy: RotationPolicy | None = None) -> Keyrings:
        """Keyrings that are gone with the process, for a store that is too."""
        return cls(lambda _: InMemoryKeysetStore(), LocalKek.generate(), policy)

    @property
    def root(self) -> ClientKeyring:
        """The store's own keyring."""
        return self._root

    def of(self, tenant: str) -> ClientKeyring:
        """A tenant's keyring; made when there is none.

        Raises:
            TenantDestroyedError: Its keys were destroyed; it gets no others.
            KeyringError: It cannot be read or made.
        """
        ring = self._rings.get(tenant)
        if ring is None:
            with self._lock:
                ring = self._rings.get(tenant) or self._open(self._root.pseudonym("tenant", tenant))
                self._rings[tenant] = ring
        return ring

    def _open(self, name: str) -> ClientKeyring:
        kept = self._place(name)
        if kept.stamp() is None:
            try:
                return ClientKeyring.create(kept, tenant=name, kek=self._kek, policy=self._policy)
            except ConfigError:  # another process was faster
                pass
        return ClientKeyring.load(kept, kek=self._kek, tenant=name, policy=self._policy)
