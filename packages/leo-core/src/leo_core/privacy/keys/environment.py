"""Secrets in environment variables: the one place of LEO that reads the environment.

What is read: the variable that a KEK ``env:NAME`` names; for a KEK in Vault ``VAULT_ADDR``, ``VAULT_TOKEN``,
``VAULT_NAMESPACE`` and ``VAULT_CACERT``, as Vault's own tools do; for one in a PKCS #11 module ``LEO_PKCS11_PIN``.
A variable is seen by whoever may look at the process, and by what it starts.
"""

from __future__ import annotations

import os

from leo_core.errors import KekError
from leo_core.privacy.keys.kek import LocalKek

__all__ = ["find_variable", "load_kek_from_environment", "read_variable"]


def find_variable(name: str) -> str | None:
    """The value of an environment variable; ``None`` where it is not set, or empty."""
    return os.environ.get(name) or None


def read_variable(name: str, *, needed_for: str) -> str:
    """The value of an environment variable.

    Raises:
        KekError: It is not set, or empty.
    """
    value = find_variable(name)
    if value is None:
        message = f"{needed_for} needs the environment variable {name}, which is not set"
        raise KekError(message)
    return value


def load_kek_from_environment(name: str) -> LocalKek:
    """The KEK in an environment variable, as :meth:`leo_core.privacy.keys.kek.LocalKek.to_text` writes it.

    Raises:
        KekError: It is not set, or holds no KEK; nothing of its value is repeated.
    """
    value = read_variable(name, needed_for=f"KEK env:{name}")
    try:
        return LocalKek.from_text(value)
    except KekError as error:
        message = f"environment variable {name}: {error}"
        raise KekError(message) from None
