"""LEO's cache around the model calls of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents.middleware.types import AgentMiddleware, ExtendedModelResponse, ModelResponse
from langchain_core.messages import AIMessage
from langgraph.types import Command

from leo_core.adapting.keeper import make_keeper
from leo_core.engine.arguments import check_arguments
from leo_core.records import CacheDecision, CacheEntry, Constraints
from leo_core.telemetry.prices import load_prices
from leo_langchain._answers import NATIVE, dump_message, load_message
from leo_langchain._finish import is_whole
from leo_langchain._kept import describe_reply, mark_hit
from leo_langchain.middleware._keeping import Keeping
from leo_langchain.middleware._model_requests import to_cache_request
from leo_langchain.middleware._structured_reply import is_final, make_response
from leo_langchain.middleware.scope import ScopeFinder, Sharing, TenantOf, check_sharing, sharing_key
from leo_langchain.middleware.state import LEOState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain.agents.middleware.types import ModelRequest

    from leo_core.records import Message, Request

__all__ = ["LEOCacheMiddleware"]


class LEOCacheMiddleware(Keeping, AgentMiddleware[LEOState, Any, Any]):
    """Serves an agent's model calls from LEO's cache, whatever chat model the agent has.

    It sees what a model call depends on: the system prompt, the whole conversation, the tools, the response format, the
    settings, the model, and whose call it is. All of it has to be the same exactly; only the last user turn may be
    compared by meaning, and only where neither tools are bound nor tools have answered it. A hit is a new message with
    a new id and nothing spent, marked in ``response_metadata["leo"]`` and in the state's ``leo``.

    Equal calls at the same time make one call. A failure of the cache never reaches the agent: it is counted
    (:attr:`counts`), and logged once per kind. An answer that was cut off, or is not in the form that was asked for, is
    not kept. A schema that is a mapping needs a ``title``: LangChain names it by chance otherwise, so that no two calls
    are the same.

    Args:
        store: A path, ``":memory:"``, or a store of leo_core.
        tenant: Whose answers: a tenant, or a function of the agent's runtime. By default the runtime context says it,
            see :class:`leo_langchain.middleware.scope.ScopeFinder`. A call whose tenant cannot be told goes past the
            cache.
        share: Among whom answers are shared: all users of a ``"tenant"``, or each ``"user"`` with himself alone; then a
            call without a user goes past the cache.
        semantic: Whether the last user turn may be compared by meaning, where that is safe.
        ttl_s: Seconds that an answer is kept, at least 0; by default what the settings say.
        namespace: Part of the keys: agents that share a store, and not their answers, have different ones.
        **settings: As :class:`leo_langchain.LEOCache` takes them: ``max_wrong_hits``, ``config``, ``embedder``,
            ``listeners``, ``seal_key``, ``privacy``, ``single_flight_wait_s``, ``comparator``, ``seed``.

    Raises:
        ConfigError: A setting is wrong.

    Example:
        >>> from leo_langchain import LEOCacheMiddleware
        >>> agent = create_agent(model, tools, middleware=[LEOCacheMiddleware("leo.db")])  # doctest: +SKIP
        >>> agent.invoke({"messages": [("user", "…")]}, context={"tenant": "acme"})  # doctest: +SKIP
    """

    state_schema = LEOState

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        tenant: TenantOf = None,
        share: Sharing = "tenant",
        semantic: bool = True,
        ttl_s: float | None = None,
        namespace: str = "",
        **settings: Any,
    ) -> None:
        super().__init__()
        check_sharing(share)
        own = {"semantic": semantic, "ttl_s": ttl_s, "namespace": namespace}
        check_arguments(own, owner="LEOCacheMiddleware")
        self._scopes, self._share, self._namespace = ScopeFinder(tenant), share, namespace
        self._constraints = Constraints(cache=True if semantic else "exact", ttl_s=ttl_s)
        self._keeper = make_keeper(LEOCacheMiddleware, store, logger="leo_langchain", **settings)
        self._prices = load_prices()

    # -------------------------------------------------------------------------------------------------- the hooks

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Serve the call from the cache, or make it and keep what it brings."""
        build, read = self._builder(request), self._reader(request)
        served = self._keeper.find(build, read, promised=True)
        if served is not None:
            return served
        try:
            response = handler(request)
        except BaseException:
            self._keeper.give_up(build)
            raise
        if self._is_keepable(request, response):
            self._keeper.keep(build, lambda: self._describe(response))
        else:
            self._keeper.give_up(build)
        return response

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """:meth:`wrap_model_call` without blocking the event loop."""
        build, read = self._builder(request), self._reader(request)
        served = await self._keeper.afind(build, read, promised=True)
        if served is not None:
            return served
        try:
            response = await handler(request)
        except BaseException:
            self._keeper.give_up(build)
            raise
        if self._is_keepable(request, response):
            await self._keeper.akeep(build, lambda: self._describe(response))
        else:
            self._keeper.give_up(build)
        return response

    # ---------------------------------------------------------------------------------------------------- private

    def _builder(self, call: ModelRequest[Any]) -> Callable[[], Request]:
        """Makes the request of the call, once."""
        made: list[Request] = []

        def build() -> Request:
            if not made:
                scope = self._scopes.find(call.runtime)
                key = {"namespace": self._namespace, **sharing_key(scope, self._share)}
                made.append(to_cache_request(call, scope, self._constraints, key))
            return made[0]

        return build

    def _reader(self, call: ModelRequest[Any]) -> Callable[[CacheDecision, CacheEntry], ExtendedModelResponse[Any]]:
        def read(decision: CacheDecision, entry: CacheEntry) -> ExtendedModelResponse[Any]:
            reply = mark_hit(load_message(str(entry.metadata[NATIVE])), decision, entry)
            update = {"leo": reply.response_metadata["leo"]}
            return ExtendedModelResponse(
                model_response=make_response(reply, call.response_format), command=Command(update=update)
            )

        return read

    def _describe(self, response: ModelResponse[Any]) -> tuple[Message, dict[str, Any]]:
        reply = _reply_of(response)
        text = dump_message(reply)
        load_message(text)
        return describe_reply(reply, {NATIVE: text}, self._prices)

    @staticmethod
    def _is_keepable(call: ModelRequest[Any], response: ModelResponse[Any]) -> bool:
        """Whether an answer may be served again: whole, and either final or nothing but calls of tools."""
        reply = response.result[0] if response.result else None
        if not isinstance(reply, AIMessage) or not is_whole(reply):
            return False
        if (reply.response_metadata.get("leo") or {}).get("outcome") == "doubtful":
            return False
        if response.structured_response is None and call.response_format is not None and not reply.tool_calls:
            return False
        return is_final(response) or len(response.result) == 1


def _reply_of(response: ModelResponse[Any]) -> AIMessage:
    reply = response.result[0]
    if not isinstance(reply, AIMessage):
        message = f"a model's answer is an AI message, not {type(reply).__name__}"
        raise TypeError(message)
    return reply
