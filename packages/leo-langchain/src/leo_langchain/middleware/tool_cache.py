"""Results of tools, kept for equal calls."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from langchain.agents.middleware.types import AgentMiddleware
from langchain_core.load import dumps
from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools.base import _get_runnable_config_param
from langchain_core.utils.function_calling import convert_to_openai_tool

from leo_core.adapting.keeper import make_keeper
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.records import CacheDecision, CacheEntry, Constraints, Message, Request
from leo_langchain._kept import describe_hit
from leo_langchain._load import read_objects
from leo_langchain.middleware._keeping import Keeping
from leo_langchain.middleware.scope import ScopeFinder, Sharing, TenantOf, check_sharing, sharing_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain.agents.middleware.types import ToolCallRequest
    from langchain_core.tools import BaseTool
    from langgraph.types import Command
__all__ = ["LEOToolCacheMiddleware"]

_RESULT: Final = "langchain_tool_result"
_SCRATCHPAD: Final = "__pregel_scratchpad"
"""Where LangGraph has what a task was resumed with; nothing public says it."""


class LEOToolCacheMiddleware(Keeping, AgentMiddleware[Any, Any, Any]):
    """Serves equal calls of tools from what they gave before: the same tool, the same arguments, the same tenant.

    Only tools that were named are served, since only their author knows whether a call may be left out: one that looks
    something up may, one that books or sends must not. Errors, interrupts and commands to the graph are never kept, nor
    is what a tool gave after it had asked a human (``interrupt``): that holds for the one call.
    Equal calls at the same time, of one model's answer or of several agents, are made once. A failure of the cache
    never reaches the agent.

    A tool that is handed the state, the store, the runtime or the configuration may give something else for the same
    arguments: name such a tool only when its result depends on no more than its arguments and the tenant (or the user,
    see ``share``).

    Args:
        store: A path, ``":memory:"``, or a store of leo_core.
        tools: Names of the tools whose results are kept, or the tools themselves. ``"all"`` says that every tool of
            the agent is pure: each is kept but those that are handed the state, the store, the runtime or the
            configuration.
        ttl_s: Seconds that a result is kept, at least 0; ``None`` for as long as the settings say; a mapping by the
            name of the tool, where they differ.
        tenant: Whose results, as :class:`leo_langchain.LEOCacheMiddleware` takes it.
        share: Among whom, as there.
        namespace: Part of the keys, as there; give another one when a tool of the same name changes what it does.
        **settings: As :class:`leo_langchain.LEOCache` takes them.

    Raises:
        ConfigError: A setting is wrong, or no tool was named.

    Example:
        >>> from leo_langchain import LEOToolCacheMiddleware
        >>> cache = LEOToolCacheMiddleware("leo.db", tools=["search"], ttl_s=3600)
    """

    def __init__(
        self,
        store: Any = ":memory:",
        *,
        tools: Collection[str | BaseTool] | str,
        ttl_s: float | Mapping[str, float] | None = None,
        tenant: TenantOf = None,
        share: Sharing = "tenant",
        namespace: str = "",
        **settings: Any,
    ) -> None:
        super().__init__()
        check_sharing(share)
        self._ttl_s = dict(ttl_s) if isinstance(ttl_s, Mapping) else ttl_s
        check_arguments({"namespace": namespace}, owner="LEOToolCacheMiddleware")
        for each in self._ttl_s.values() if isinstance(self._ttl_s, dict) else [self._ttl_s]:
            check_arguments({"ttl_s": each}, owner="LEOToolCacheMiddleware")
        self._names = _name_tools(tools)
        self._scopes, self._share, self._namespace = ScopeFinder(tenant), share, namespace
        self._keeper = make_keeper(LEOToolCacheMiddleware, store, logger="leo_langchain", **settings)

    # -------------------------------------------------------------------------------------------------- the hooks

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Serve the call from the cache, or make it and keep what it gives."""
        if not self._is_served(request):
            return handler(request)
        build = self._builder(request)
        served = self._keeper.find(build, lambda decision, entry: _serve(decision, entry, request), promised=True)
        if served is not None:
            return served
        try:
            result = handler(request)
        except BaseException:
            self._keeper.give_up(build)
            raise
        if _is_keepable(result, request):
            self._keeper.keep(build, lambda: _describe(result))
        else:
            self._keeper.give_up(build)
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """:meth:`wrap_tool_call` without blocking the event loop."""
        if not self._is_served(request):
            return await handler(request)
        build = self._builder(request)
        served = await self._keeper.afind(
            build, lambda decision, entry: _serve(decision, entry, request), promised=True
        )
        if served is not None:
            return served
        try:
            result = await handler(request)
        except BaseException:
            self._keeper.give_up(build)
            raise
        if _is_keepable(result, request):
            await self._keeper.akeep(build, lambda: _describe(result))
        else:
            self._keeper.give_up(build)
        return result

    # ---------------------------------------------------------------------------------------------------- private

    def _is_served(self, call: ToolCallRequest) -> bool:
        if self._names is not None:
            return call.tool_call["name"] in self._names
        return call.tool is not None and not _is_handed_more(call.tool)

    def _builder(self, call: ToolCallRequest) -> Callable[[], Request]:
        """Makes the request of the call, once."""
        made: list[Request] = []

        def build() -> Request:
            if not made:
                made.append(self._to_request(call))
            return made[0]

        return build

    def _to_request(self, call: ToolCallRequest) -> Request:
        name = call.tool_call["name"]
        scope = self._scopes.find(call.runtime, getattr(call.runtime, "config", None))
        ttl_s = self._ttl_s.get(name) if isinstance(self._ttl_s, dict) else self._ttl_s
        signature = None if call.tool is None else convert_to_openai_tool(call.tool)
        asked = json.dumps({"tool": name, "arguments": call.tool_call["args"]}, sort_keys=True, default=_refuse)
        return Request(
            messages=(Message(role="user", content=asked),),
            tenant=scope.tenant,
            user=scope.user,
            options={"signature": signature, "namespace": self._namespace, **sharing_key(scope, self._share)},
            constraints=Constraints(cache="exact", ttl_s=ttl_s),
            tags=(f"tool:{name}",),
        )


def _name_tools(tools: Collection[str | BaseTool] | str) -> frozenset[str] | None:
    """Names of tools; ``None`` for all of them."""
    if tools == "all":
        return None
    found: Any = tools
    listed = isinstance(found, Collection) and not isinstance(found, str | Mapping) and len(found) > 0
    if not listed or not all(isinstance(tool, str) or hasattr(tool, "name") for tool in found):
        message = f"tools is 'all', or a list with at least one tool or name of one, not {tools!r}"
        raise ConfigError(message)
    return frozenset(tool if isinstance(tool, str) else tool.name for tool in tools)


def _is_handed_more(tool: BaseTool) -> bool:
    """Whether a tool gets more than its arguments: state, store, runtime, configuration, the id of the call."""
    called = [each for each in (getattr(tool, "func", None), getattr(tool, "coroutine", None)) if each is not None]
    called = called or [tool._run, tool._arun]  # noqa: SLF001 - a tool that is a class of its own is called here
    if any(_get_runnable_config_param(each) for each in called) or tool._injected_args_keys:  # noqa: SLF001 - nothing public says it
        return True
    if isinstance(tool.args_schema, dict):  # as MCP's: it names the arguments that a model gives, and no others
        return any("runtime" in inspect.signature(each).parameters for each in called) and "runtime" not in tool.args
    return bool(set(getattr(tool.get_input_schema(), "model_fields", {})) - set(tool.args))


def _is_keepable(result: ToolMessage | Command[Any], call: ToolCallRequest) -> TypeGuard[ToolMessage]:
    return isinstance(result, ToolMessage) and result.status != "error" and not _was_resumed(call)


def _was_resumed(call: ToolCallRequest) -> bool:
    """Whether a human was asked on the way, whose word holds for this call and no other."""
    config = getattr(call.runtime, "config", None) or var_child_runnable_config.get() or {}
    return bool(getattr((config.get("configurable") or {}).get(_SCRATCHPAD), "resume", None))


def _describe(result: ToolMessage) -> tuple[Message, dict[str, Any]]:
    """A result as the core keeps it.

    Raises:
        ValueError: It could not be read back as it is.
    """
    bare = result.model_copy(update={"id": None, "tool_call_id": ""})
    text = dumps(bare)
    if _read(text) != bare:
        message = "the result cannot be read back as it is"
        raise ValueError(message)
    return Message(role="assistant", content=result.text), {"metadata": {_RESULT: text}}


def _read(text: str) -> ToolMessage:
    loaded = read_objects(text, [ToolMessage])
    if not isinstance(loaded, ToolMessage):
        message = "the entry does not hold a tool's result"
        raise ValueError(message)  # noqa: TRY004 - the text is wrong, not an argument's type
    return loaded


def _serve(decision: CacheDecision, entry: CacheEntry, call: ToolCallRequest) -> ToolMessage:
    """A kept result as a new message that answers this call."""
    kept = _read(str(entry.metadata[_RESULT]))
    facts = {**kept.response_metadata, "leo": describe_hit(decision, entry)}
    return kept.model_copy(update={"tool_call_id": call.tool_call["id"], "response_metadata": facts})


def _refuse(value: object) -> Any:
    message = f"an argument is no JSON: {type(value).__name__}"
    raise TypeError(message)
