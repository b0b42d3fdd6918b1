"""What identifies a LangChain chat model, without its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretBytes, SecretStr

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from leo_core.records import Json

__all__ = ["fingerprint_model", "name_model", "plain"]

_SECRET = re.compile(
    r"api_?key|access_?key|(?:^|_)(?:key|token)$|secret|password|credential|authorization|cookie|headers", re.IGNORECASE
)
_ENDPOINTS = ("openai_api_base", "anthropic_api_url", "base_url", "endpoint", "azure_endpoint", "api_base")


def name_model(model: BaseChatModel) -> tuple[str, str]:
    """Provider and model name, as the model reports them for tracing."""
    params = model._get_ls_params()  # noqa: SLF001 - every chat model says its name only here
    provider = str(params.get("ls_provider") or type(model).__name__.lower())
    return provider, str(params.get("ls_model_name") or type(model).__name__)


def fingerprint_model(model: BaseChatModel) -> Mapping[str, Json]:
    """Class, parameters and address of a model: everything that can change its answers, and no secret."""
    provider, name = name_model(model)
    found = ((name, getattr(model, name, None)) for name in _ENDPOINTS)
    endpoint = next((_without_user(value) for _, value in found if isinstance(value, str)), None)
    return {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "provider": provider,
        "model": name,
        "params": plain(model._identifying_params),  # noqa: SLF001 - as above
        **({"endpoint": endpoint} if endpoint else {}),
    }


def plain(value: Any) -> Json:
    """A value as JSON, without secrets; what JSON cannot say is named by its class."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {
            str(name): plain(inner)
            for name, inner in sorted(value.items(), key=lambda item: str(item[0]))
            if not _SECRET.search(str(name)) and not isinstance(inner, SecretStr | SecretBytes)
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(inner) for inner in value]
    return f"<{type(value).__qualname__}>"


def _without_user(url: str) -> str:
    """An address without the name and password that may stand in it, and without a trailing slash."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
