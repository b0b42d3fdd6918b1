"""Models whose settings come with the call, and that can still be bound to tools and schemas.

LangChain's own runnables of this kind know nothing of chat models: ``bind_tools`` would bind the default alone, and
what the call configures would be lost without a word.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.runnables import Runnable, RunnableBinding
from langchain_core.runnables.configurable import RunnableConfigurableAlternatives, RunnableConfigurableFields

from leo_langchain._structured import bind_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import AIMessage
    from langchain_core.runnables import ConfigurableField, RunnableConfig

if TYPE_CHECKING:
    _Fields = RunnableConfigurableFields[LanguageModelInput, AIMessage]
    _Alternatives = RunnableConfigurableAlternatives[LanguageModelInput, AIMessage]
else:  # a parametrised base would be a new class of pydantic's, which LangChain leaves abstract
    _Fields, _Alternatives = RunnableConfigurableFields, RunnableConfigurableAlternatives

__all__ = ["AlternativeModels", "ConfigurableModel"]


class ConfigurableModel(_Fields):
    """A LEO some of whose fields come with the call (``configurable_fields``)."""

    def bind_tools(self, tools: Sequence[Any], **settings: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools; what the call configures still counts."""
        bound = _model_of(self).bind_tools(tools, **settings)
        return self.bind(**(bound.kwargs if isinstance(bound, RunnableBinding) else {}))

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["function_calling", "json_schema", "json_mode"] = "function_calling",
        strict: bool | None = None,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers in the form of a schema; what the call configures still counts."""
        return bind_schema(self, schema, method=method, strict=strict, include_raw=include_raw)

    def configurable_alternatives(
        self,
        which: ConfigurableField,
        *,
        default_key: str = "default",
        prefix_keys: bool = False,
        **kwargs: Runnable[LanguageModelInput, AIMessage] | Callable[[], Runnable[LanguageModelInput, AIMessage]],
    ) -> AlternativeModels:
        """Let the call's configuration choose another model in the place of this one."""
        return AlternativeModels(
            which=which, default=self, alternatives=kwargs, default_key=default_key, prefix_keys=prefix_keys
        )

    def stream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - LangChain's name
        """The events of the configured model."""
        runnable, config = self.prepare(config)
        return runnable.stream_events(input, config, **kwargs)

    def astream_events(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - as above
        """:meth:`stream_events` without blocking the event loop."""
        runnable, config = self.prepare(config)
        return runnable.astream_events(input, config, **kwargs)


class AlternativeModels(_Alternatives):
    """A LEO in whose place the call may put another model (``configurable_alternatives``)."""

    def bind_tools(self, tools: Sequence[Any], **settings: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to whichever model the call chooses."""
        return self._each(lambda model: model.bind_tools(tools, **settings))

    def with_structured_output(self, schema: Any, **settings: Any) -> Runnable[LanguageModelInput, Any]:
        """Answers in the form of a schema, of whichever model the call chooses."""
        return self._each(lambda model: model.with_structured_output(schema, **settings))

    def _each(self, change: Callable[[Any], Runnable[Any, Any]]) -> Runnable[LanguageModelInput, Any]:
        def make(given: Any) -> Any:
            return change(given) if isinstance(given, Runnable) else change(given())

        alternatives = {
            name: make(given) if isinstance(given, Runnable) else partial(make, given)
            for name, given in self.alternatives.items()
        }
        changed = {"default": change(self.default), "alternatives": alternatives}
        return RunnableConfigurableAlternatives(**{**self.__dict__, **changed})


def _model_of(configurable: ConfigurableModel) -> BaseChatModel:
    model = configurable.default
    assert isinstance(model, BaseChatModel)  # noqa: S101 - LEO makes them of itself
    return model
