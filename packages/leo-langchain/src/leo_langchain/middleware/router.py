"""LEO's routes for the model calls of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents.middleware.types import AgentMiddleware
from pydantic import SecretStr, ValidationError

from leo_core.adapting.closing import Closeable
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_langchain.chat_model import LEOChatModel
from leo_langchain.middleware.scope import ScopeFinder, TenantOf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain.agents.middleware.types import ModelRequest, ModelResponse

    from leo_core import LEO

__all__ = ["LEORouterMiddleware"]


class LEORouterMiddleware(Closeable, AgentMiddleware[Any, Any, Any]):
    """Sends each model call of an agent where it is answered cheapest and well enough.

    The agent's own model is not asked: it only stands for those given here. A call keeps its tools, its response format
    and its streaming; the members get them in their own forms. What was decided stands in the answer's
    ``response_metadata["leo"]``, with the id of the receipt.

    Args:
        small: Asked where that is enough: a name like ``"openai:gpt-5-mini"``, a chat model, or a leo_core model.
        large: Asked where the small one is not enough.
        jury: Asked when a verdict is needed; ``small`` and ``large`` may sit in it.
        model: A :class:`leo_langchain.LEOChatModel` in the place of all other arguments; it is not closed here.
        tenant: Whose calls, as :class:`leo_langchain.LEOCacheMiddleware` takes it.
        use_cache: Whether LEO's cache is used as well: ``True``, ``False``, or ``"exact"``. Off by default, because
            that is what ``LEOCacheMiddleware`` is for.
        **settings: As ``LEOChatModel`` takes them: ``store``, ``max_error``, ``max_cost_usd``, ``route``, ``config`` ….

    Raises:
        ConfigError: A setting is wrong, there is no member, or there are members beside ``model``.

    Example:
        >>> from leo_langchain import LEORouterMiddleware
        >>> router = LEORouterMiddleware(small="openai:gpt-5-mini", large="openai:gpt-5")  # doctest: +SKIP
        >>> agent = create_agent("openai:gpt-5", tools, middleware=[router])  # doctest: +SKIP
    """

    def __init__(
        self,
        small: Any = None,
        large: Any = None,
        jury: Sequence[Any] = (),
        *,
        model: LEOChatModel | None = None,
        tenant: TenantOf = None,
        use_cache: bool | str = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        check_arguments({"jury": jury}, owner="LEORouterMiddleware")
        if model is not None and not isinstance(model, LEOChatModel):
            message = f"LEORouterMiddleware: model is an LEOChatModel, not {type(model).__name__}"
            raise ConfigError(message)
        self._scopes, self._owned = ScopeFinder(tenant), model is None
        if model is None:
            settings |= {"small": small, "large": large, "jury": tuple(jury), "use_cache": use_cache}
            model = _make(settings)
        elif settings or small is not None or large is not None or jury or use_cache:
            message = "give either model= or what one is made of, not both"
            raise ConfigError(message)
        self._model = model

    @property
    def model(self) -> LEOChatModel:
        """The chat model that takes the calls."""
        return self._model

    @property
    def leo(self) -> LEO:
        """The core's engine: ``explain``, ``feedback``, ``public_key``, ``log`` and the rest."""
        return self._model.leo

    def close(self) -> None:
        """Write what is left and release the store, unless the model was given; idempotent."""
        if self._owned:
            self._model.close()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Make the call with LEO in the place of the agent's model."""
        return handler(self._routed(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """:meth:`wrap_model_call` without blocking the event loop."""
        return await handler(self._routed(request))

    def _routed(self, call: ModelRequest[Any]) -> ModelRequest[Any]:
        scope = self._scopes.find(call.runtime)
        who: dict[str, Any] = {"tenant": scope.tenant, "session": scope.session}
        if scope.user is not None:
            who["end_user"] = SecretStr(scope.user)  # tracers see the keywords of a call
        named = {name: value for name, value in who.items() if value is not None}
        return call.override(model=self._model, model_settings={**call.model_settings, **named})


def _make(settings: dict[str, Any]) -> LEOChatModel:
    try:
        return LEOChatModel(**settings)
    except ValidationError as error:  # its own text shows the values, among which there may be a key
        raise ConfigError("; ".join(str(each["msg"]) for each in error.errors(include_input=False))) from None
