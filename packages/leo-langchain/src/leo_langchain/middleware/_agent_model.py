"""What identifies whatever an agent has for a model: the chat model, what is bound to it or comes with the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from langchain.chat_models.base import _ConfigurableModel
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs
from langchain_core.runnables.configurable import DynamicRunnable

from leo_core.adapting.plain import plain
from leo_core.errors import ConfigError
from leo_langchain._fingerprint import fingerprint_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.runnables import RunnableConfig

__all__ = ["describe_model", "has_tools"]

_TOOLS: Final = frozenset({"tools", "functions"})


def describe_model(model: Any, config: RunnableConfig) -> Mapping[str, Any]:
    """Everything about an agent's model that can change its answers, as JSON and without secrets.

    Args:
        model: A chat model; or one with keywords bound to it, with fallbacks, or with fields that the call configures.
        config: The configuration of the call.

    Raises:
        ConfigError: It is something else, of which nothing is known.
    """
    if isinstance(model, BaseChatModel):
        return fingerprint_model(model)
    if isinstance(model, RunnableBindingBase):
        inner = merge_configs(config, model.config)
        return {"models": [describe_model(model.bound, inner)], "bound": plain(model.kwargs)}
    if isinstance(model, RunnableWithFallbacks):
        return {"models": [describe_model(each, config) for each in model.runnables]}
    if isinstance(model, DynamicRunnable):
        chosen, inner = model.prepare(config)
        return describe_model(chosen, inner)
    if isinstance(model, _ConfigurableModel):  # of init_chat_model
        return describe_model(model._model(config), config)  # noqa: SLF001 - nothing public says which model it is
    message = f"nothing is known of a model of type {type(model).__name__}, so that its answers cannot be told apart"
    raise ConfigError(message)


def has_tools(described: Mapping[str, Any]) -> bool:
    """Whether tools are bound to a model that :func:`describe_model` describes."""
    return not _TOOLS.isdisjoint(described.get("bound", ())) or any(map(has_tools, described.get("models", ())))
