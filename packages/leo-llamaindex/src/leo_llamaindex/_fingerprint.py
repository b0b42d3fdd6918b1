"""What identifies a LlamaIndex LLM, without its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leo_core.adapting.plain import plain
from leo_llamaindex._code import is_code, read_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.llms import LLM

    from leo_core.records import Json

__all__ = ["fingerprint_llm", "name_llm"]

_PROMPTS = ("messages_to_prompt", "completion_to_prompt")
_NOT_SETTINGS = frozenset({"callback_manager", "rate_limiter"})


def name_llm(model: LLM) -> tuple[str, str]:
    """Provider and model name of an LLM."""
    provider = model.class_name().lower().removesuffix("_llm").removesuffix("llm").strip("_") or "llm"
    return provider, model.metadata.model_name


def fingerprint_llm(model: LLM) -> Mapping[str, Json]:
    """Class, name and settings of an LLM: everything that can change its answers, and no secret."""
    provider, name = name_llm(model)
    return {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "provider": provider,
        "model": name,
        "settings": plain(_settings(model)),
    }


def _settings(model: LLM) -> dict[str, Any]:
    return {
        name: getattr(model, name, None)
        for name, field in type(model).model_fields.items()
        if name not in _NOT_SETTINGS and not (field.exclude and not isinstance(getattr(model, name, None), str))
    } | {name: read_code(getattr(model, name)) for name in _PROMPTS if is_code(getattr(model, name, None))}
