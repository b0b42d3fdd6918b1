"""A folder with the keyrings of many tenants, a file for each."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import KeyringError
from leo_core.privacy.keys.keyset_text import read_keyset
from leo_core.storage.keyring_file import KeyringFile

if TYPE_CHECKING:
    import os

    from leo_core.privacy.keys.keyset import Keyset

__all__ = ["FoundKeyring", "KeyringFolder"]

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SUFFIX = ".ring"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKeyring:
    """A keyring in a folder, read without its KEK, so that nothing of it is proven.

    Attributes:
        file: Where it is.
        keyset: Its versions; ``None`` where it cannot be read.
        fault: Why it cannot be read; empty where it can.
    """

    file: KeyringFile
    keyset: Keyset | None = None
    fault: str = ""


class KeyringFolder:
    """Finds the file of each tenant's keyring.

    Args:
        path: The folder; made when the first keyring is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def file(self, tenant: str) -> KeyringFile:
        """The file of a tenant's keyring, whether it is there or not.

        Named as the tenant where its name is plain (a to z, digits, ``.``, ``_``, ``-``); otherwise by a hash of it, so
        that no name leads out of the folder and no two share a file where capitals do not count.
        """
        plain = _PLAIN.fullmatch(tenant)
        name = tenant if plain else "=" + hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return KeyringFile(self.path / (name + _SUFFIX))

    def find(self) -> tuple[FoundKeyring, ...]:
        """All keyrings of the folder, by their files' names; those that cannot be read with the reason."""
        found = []
        for path in sorted(self.path.glob("*" + _SUFFIX)):
            file = KeyringFile(path)
            try:
                found.append(FoundKeyring(file=file, keyset=read_keyset(file.read()[0])))
            except KeyringError as error:
                found.append(FoundKeyring(file=file, fault=str(error)))
        return tuple(found)
