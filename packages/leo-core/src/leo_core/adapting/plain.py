"""Settings as plain values, without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["plain", "public_address", "without_user"]

_SECRET = re.compile(
    r"(?:access|account|api|auth|private|signing|subscription)_?key"
    r"|(?:access|auth|bearer|refresh|session)_?token(?!s)"
    r"|(?:^|_)(?:key|token)$"
    r"|secret|password|credential|authorization|cookie|headers",
    re.IGNORECASE,
)
_USER = re.compile(r"(?<=://)[^/@\s]*@")
_AFTER_PATH = re.compile(r"[?#]")


def plain(value: Any) -> Json:  # noqa: PLR0911 - one per kind
    """A value as JSON, without secrets; what JSON cannot say is named by its class.

    A secret is what a secret type of pydantic holds in a mapping, or what stands there under a name like ``api_key``,
    ``hf_token`` or ``password``; names that only sound so, like ``max_tokens`` or ``stop_token_ids``, stay.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, str):
        return without_user(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {
            str(name): plain(inner)
            for name, inner in sorted(value.items(), key=lambda item: str(item[0]))
            if not _SECRET.search(str(name)) and not isinstance(inner, SecretStr | SecretBytes)
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(inner) for inner in value]
    return f"<{type(value).__qualname__}>"


def without_user(text: str) -> str:
    """A text without the names and passwords that may stand in the addresses in it."""
    return _USER.sub("", text)


def public_address(address: str) -> str:
    """An address without user, password, query, fragment and trailing slash."""
    return _AFTER_PATH.split(without_user(address), maxsplit=1)[0].rstrip("/")
