"""What identifies a LangChain chat model, without its secrets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from leo_core.adapting.plain import plain, public_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json

__all__ = ["fingerprint_model", "identify_member", "name_model"]

_ENDPOINTS = ("openai_api_base", "anthropic_api_url", "base_url", "endpoint", "azure_endpoint", "api_base")


def name_model(model: BaseChatModel) -> tuple[str, str]:
    """Provider and model name, as the model reports them for tracing."""
    params = model._get_ls_params()  # noqa: SLF001 - every chat model says its name only here
    provider = str(params.get("ls_provider") or type(model).__name__.lower())
    return provider, str(params.get("ls_model_name") or type(model).__name__)


def fingerprint_model(model: BaseChatModel) -> Mapping[str, Json]:
    """Class, parameters and address of a model: everything that can change its answers, and no secret."""
    provider, name = name_model(model)
    found = (getattr(model, name) for name in _ENDPOINTS if name in model.__dict__ or name in _names_of(type(model)))
    endpoint = next((public_address(value) for value in found if isinstance(value, str)), None)
    return {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "provider": provider,
        "model": name,
        "params": plain(model._identifying_params),  # noqa: SLF001 - as above
        **({"endpoint": endpoint} if endpoint else {}),
    }


@cache
def _names_of(kind: type[BaseChatModel]) -> frozenset[str]:
    """What a class has beside the fields of its objects. To look for what there is not takes pydantic long."""
    return frozenset(dir(kind))


def identify_member(member: Any) -> Any:
    """What identifies a member, however it was given: a name, a chat model, or a member of the core."""
    if isinstance(member, BaseChatModel):
        return fingerprint_model(member)
    return member if member is None or isinstance(member, str) else plain(getattr(member, "fingerprint", repr(member)))
