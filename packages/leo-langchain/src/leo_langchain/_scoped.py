"""The public calls of a chat model, each with what its configuration says of tenant, user, session and budget."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from pydantic import ConfigDict

from leo_langchain._counting import CountingChatModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.runnables import RunnableConfig

__all__ = ["ScopedChatModel"]


class ScopedChatModel(CountingChatModel):
    """A chat model whose calls take more than LangChain's from their configuration."""

    model_config = ConfigDict(hide_input_in_errors=True)  # keys are among the settings

    tenant: str | None = None

    def __init_subclass__(cls, **settings: Any) -> None:
        """Work out the signatures of ``_generate`` and ``_agenerate``: LangChain looks at them with every call."""
        super().__init_subclass__(**settings)
        for name in ("_generate", "_agenerate"):
            if name in cls.__dict__:
                setattr(cls.__dict__[name], "__signature__", signature(cls.__dict__[name]))  # noqa: B010 - no method has it of its own

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """As LangChain's own, which asks a deprecated method for them, with warnings caught at every call."""
        return {**self._identifying_params, "_type": self._llm_type, "stop": stop, **kwargs}

    @abstractmethod
    def _named(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keywords of a call with the tenant, the user and the session that its surroundings name."""

    @abstractmethod
    def _scoped(self, config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The keywords of a call with those of :meth:`_named`, and with what watching budgets have left."""

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Answer; takes ``tenant``, ``end_user``, ``session``, constraints and sampling as keywords."""
        return super().invoke(input, config, **self._scoped(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - as above
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """:meth:`invoke` without blocking the event loop."""
        return await super().ainvoke(input, config, **self._scoped(config, kwargs))

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - as above
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Answer in pieces, hits of the cache too; for whoever calls, wherever the pieces are read."""
        return self._begin(input, config, self._named(config, kwargs))

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - as above
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """:meth:`stream` without blocking the event loop."""
        return self._abegin(input, config, self._named(config, kwargs))

    def _begin(
        self, given: LanguageModelInput, config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> Iterator[AIMessageChunk]:
        yield from super().stream(given, config, **self._scoped(config, kwargs))

    async def _abegin(
        self, given: LanguageModelInput, config: RunnableConfig | None, kwargs: dict[str, Any]
    ) -> AsyncIterator[AIMessageChunk]:
        chunks = cast("AsyncGenerator[AIMessageChunk]", super().astream(given, config, **self._scoped(config, kwargs)))
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    def stream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - as above
        """Answer as events; ``version="v3"`` gives a ``ChatModelStream``."""
        return super().stream_events(input, config, **self._scoped(config, kwargs))

    def astream_events(self, input: LanguageModelInput, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002 - as above
        """:meth:`stream_events` without blocking the event loop."""
        return super().astream_events(input, config, **self._scoped(config, kwargs))
