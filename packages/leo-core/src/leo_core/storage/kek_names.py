"""KEKs by name, as the command line takes them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from leo_core.errors import ConfigError, KekError
from leo_core.privacy.keys.environment import find_variable, load_kek_from_environment, read_variable
from leo_core.storage.keyfile import load_kek

if TYPE_CHECKING:
    from typing import Final

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.privacy.keys.kek_pkcs11 import Pkcs11Kek

__all__ = ["open_kek", "open_pkcs11_kek"]

_FORMS: Final = (
    '"file:<path>", "env:<variable>", "vault:<mount>/<key>" or "pkcs11:token=<label>;object=<label>?module-path=<path>"'
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 4096


def open_kek(name: str) -> KekProvider:
    """The KEK that a name stands for.

    Args:
        name: ``"file:kek.key"``; ``"env:LEO_KEK"``; ``"vault:transit/leo"``, which asks the Vault that ``VAULT_ADDR``
            and ``VAULT_TOKEN`` say; or a PKCS #11 URI (RFC 7512) such as
            ``"pkcs11:token=leo;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so"``, whose PIN is in the file that
            ``pin-source`` names or in ``LEO_PKCS11_PIN``.

    Raises:
        ConfigError: The name has none of these forms.
        KekError: The KEK cannot be used.
        MissingExtraError: An optional part is not installed.
    """
    kind, _, rest = name.partition(":")
    if kind == "file" and rest:
        return load_kek(rest)
    if kind == "env" and _VARIABLE.fullmatch(rest):
        return load_kek_from_environment(rest)
    if kind == "vault" and "/" in rest:
        return _open_vault(rest)
    if kind == "pkcs11" and rest:
        return open_pkcs11_kek(name)
    message = f"this name of a KEK (or KEK itself: it is not repeated) has no form that is known; there are {_FORMS}"
    raise ConfigError(message)


def open_pkcs11_kek(uri: str, *, make: bool = False) -> Pkcs11Kek:
    """The KEK that a PKCS #11 URI stands for: ``token``, ``object``, ``module-path`` and ``pin-source`` of RFC 7512.

    Args:
        uri: Begins with ``pkcs11:``.
        make: Whether the key is to be made first, inside the module.

    Raises:
        ConfigError: It lacks a part, or has one that is not understood.
        KekError: The KEK cannot be used.
        MissingExtraError: The extra ``pkcs11`` is not installed.
    """
    from leo_core.privacy.keys.kek_pkcs11 import Pkcs11Kek  # noqa: PLC0415 - only what is asked for is loaded

    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    parts = [part.partition("=") for part in (*path.split(";"), *query.split("&")) if part]
    found = {key: unquote(value) for key, _, value in parts}
    if "pin-value" in found:
        message = "a PIN in pin-value is seen by everybody on the machine: use pin-source or LEO_PKCS11_PIN"
        raise ConfigError(message)
    unknown = set(found) - {"token", "object", "module-path", "pin-source", "type"}
    missing = {"token", "object", "module-path"} - {key for key, value in found.items() if value}
    if unknown or missing or len(found) != len(parts) or found.get("type", "secret-key") != "secret-key":
        message = f"{uri!r} is no PKCS #11 URI of a KEK; it has the form {_FORMS.rpartition(' or ')[2]}"
        raise ConfigError(message)
    pin = _read_pin(found["pin-source"]) if "pin-source" in found else _read_pin_variable()
    return Pkcs11Kek(library=found["module-path"], token=found["token"], key=found["object"], pin=pin, make=make)


def _open_vault(path: str) -> KekProvider:
    from leo_core.privacy.keys.kek_vault import VaultKek  # noqa: PLC0415 - only what is asked for is loaded

    mount, _, key = path.rpartition("/")
    need = f"KEK vault:{path}"
    return VaultKek(
        url=read_variable("VAULT_ADDR", needed_for=need),
        token=read_variable("VAULT_TOKEN", needed_for=need),
        key=key,
        mount=mount,
        namespace=find_variable("VAULT_NAMESPACE"),
        ca_file=find_variable("VAULT_CACERT"),
    )


def _read_pin_variable() -> str:
    return read_variable("LEO_PKCS11_PIN", needed_for="a KEK in a PKCS #11 module")


def _read_pin(source: str) -> str:
    """The PIN in a file that nobody else may read."""
    file = Path(source.removeprefix("file:"))
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(_MOST_BYTES)
    except OSError as error:
        message = f"PIN file {str(file)!r} cannot be read: {error.strerror}"
        raise KekError(message) from error
    if os.name == "posix" and status.st_mode & _OTHERS:
        message = f"PIN file {str(file)!r} can be read by others (mode {status.st_mode & 0o777:o}): chmod 600 it"
        raise KekError(message)
    return text.decode("utf-8", "replace").strip()
