"""LEO's judgement on the final answers of an agent."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from uuid import uuid4

from langchain.agents.middleware.types import AgentMiddleware, ExtendedModelResponse, ModelResponse
from langchain_core.messages import AIMessage
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.utils.utils import LC_ID_PREFIX
from langgraph.types import Command

from leo_core.adapting.closing import Closeable
from leo_core.adapting.judging import SETTINGS, AnswerJudge, Judgement
from leo_core.adapting.members import OPTIONS, MemberPicker, check_members
from leo_core.adapting.settings import refuse_unknown
from leo_core.engine.arguments import check_argument, check_arguments
from leo_core.errors import AbstainedError, ConfigError
from leo_core.records import Constraints, Draft, Message, Request
from leo_langchain._blocks import without_leo_blocks
from leo_langchain._convert import to_message
from leo_langchain.members import CHAT_MODELS
from leo_langchain.middleware._model_requests import to_plain_request
from leo_langchain.middleware._structured_reply import find_schemas, is_final, make_response
from leo_langchain.middleware.scope import ScopeFinder, TenantOf
from leo_langchain.middleware.state import LEOState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

    from langchain.agents.middleware.types import ModelRequest

    from leo_core import LEO

__all__ = ["LEOVerifyMiddleware"]

Then = Literal["replace", "keep", "abstain", "raise"]

_THEN: Final = ("replace", "keep", "abstain", "raise")
_ABSTENTION: Final = "I cannot answer this reliably."
_NO_STREAM: Final = "nostream"


class LEOVerifyMiddleware(Closeable, AgentMiddleware[LEOState, Any, Any]):
    """Judges the final answers of an agent before they leave it, with a signed receipt for each.

    A final answer calls no tool, or is in the form that was asked for. It is put beside the answers of others to the
    same conversation: the jury always votes on it, or, without a jury, ``large`` is asked where its risk looks too
    high. Whatever comes out stands in the state's ``leo`` (:class:`leo_langchain.middleware.state.LEOState`) and in
    the message's ``response_metadata["leo"]``: the outcome, the verdict's confidence, the risk with its interval, and
    the id of the receipt, which :attr:`leo` has in its log. What the agent's model had to say of LEO before stands
    there under ``draft``.

    The tokens of the agent's model are held back until the verdict, unless ``hold_tokens`` is off: a stream of mode
    ``"messages"`` then gets each answer as one message.

    Args:
        jury: Vote on each final answer together with the agent: names, chat models, or leo_core models.
        large: Asked where the answer's risk is too high (by ``route="cascade"``).
        route: ``"consensus"``: the jury always. ``"cascade"``: the risk first, then ``large``, then the jury.
            ``"small"``: the risk alone. By default the first for which there are members.
        on_overruled: Where another answer is right: ``"replace"`` the agent's by it, ``"keep"`` the agent's,
            ``"abstain"``, or ``"raise"``.
        on_doubt: Where the members disagree too much, or the risk is too high: as above; ``"replace"`` serves the
            answer that looks least wrong.
        abstention: What is said instead of an answer. An answer in the form of a schema cannot be abstained from in
            words: there an abstention is raised.
        max_error: Largest acceptable P(wrong), in [0, 1]; by default what the settings say.
        hold_tokens: Whether tokens are held back until the verdict.
        tenant: On whose behalf, as :class:`leo_langchain.LEOCacheMiddleware` takes it.
        options: For members given by name: ``api_key``, ``base_url``, ``timeout_s``, ``max_retries``; each may be a
            mapping by provider.
        prices: Prices by model name, in US dollars per million tokens, on top of the shipped table.
        **settings: As :class:`leo_core.LEO` takes them: ``store``, ``signing_key``, ``config``, ``checker`` ….

    Raises:
        ConfigError: A setting is wrong, or there is nobody for the route.
        AbstainedError: (at a call) as ``on_overruled`` or ``on_doubt`` say.
        ReceiptError: (at a call) the settings require a receipt, and there is none.

    Example:
        >>> from leo_langchain import LEOVerifyMiddleware
        >>> verify = LEOVerifyMiddleware(["openai:gpt-5", "anthropic:claude-sonnet-4-5"])  # doctest: +SKIP
        >>> agent = create_agent(model, tools, middleware=[verify])  # doctest: +SKIP
        >>> agent.invoke({"messages": [("user", "…")]})["leo"]["receipt"]  # doctest: +SKIP
    """

    state_schema = LEOState

    def __init__(
        self,
        jury: Sequence[Any] = (),
        *,
        large: Any = None,
        route: Literal["consensus", "cascade", "small"] | None = None,
        on_overruled: Then = "replace",
        on_doubt: Then = "keep",
        abstention: str = _ABSTENTION,
        max_error: float | None = None,
        hold_tokens: bool = True,
        tenant: TenantOf = None,
        options: dict[str, Any] | None = None,
        prices: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        refuse_unknown(
            settings, SETTINGS | signature(LEOVerifyMiddleware).parameters.keys(), owner="LEOVerifyMiddleware"
        )
        if route is not None:
            check_argument("route", route, owner="LEOVerifyMiddleware")
        taken = route or ("consensus" if jury else "cascade" if large is not None else "small")
        _check(taken, bool(jury), large is not None)
        for name, then in (("on_overruled", on_overruled), ("on_doubt", on_doubt)):
            if then not in _THEN:
                message = f"{name} is {then!r}; it must be one of {', '.join(_THEN)}"
                raise ConfigError(message)
        own = {"jury": jury, "max_error": max_error, "abstention": abstention, "hold_tokens": hold_tokens}
        check_arguments({**own, "options": options, "prices": prices}, owner="LEOVerifyMiddleware")
        refuse_unknown(options or (), OPTIONS, owner="options")
        check_members([each for each in (large, *jury) if each is not None], CHAT_MODELS, owner="LEOVerifyMiddleware")
        picker = MemberPicker(own=CHAT_MODELS, options=options or {}, prices=prices or {})
        self._judge = AnswerJudge(
            lambda: picker.pick_panel(None, large, tuple(jury)), route=taken, owner="LEOVerifyMiddleware", **settings
        )
        self._on_overruled, self._on_doubt, self._abstention = on_overruled, on_doubt, abstention
        self._constraints = Constraints(max_error=max_error)
        self._hold, self._scopes = hold_tokens, ScopeFinder(tenant)

    @property
    def leo(self) -> LEO:
        """The core's engine: ``explain``, ``feedback``, ``public_key``, ``log`` and the rest."""
        return self._judge.leo

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later use opens it again."""
        self._judge.close()

    # -------------------------------------------------------------------------------------------------- the hooks

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Let the model answer, and judge it if that is the final answer."""
        with _tokens_held(held=self._hold):
            response = handler(request)
        if not is_final(response):
            return response
        asked = self._ask(request, response)
        return self._conclude(request, response, self._judge.judge(*asked))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """:meth:`wrap_model_call` without blocking the event loop."""
        with _tokens_held(held=self._hold):
            response = await handler(request)
        if not is_final(response):
            return response
        asked = self._ask(request, response)
        return self._conclude(request, response, await self._judge.ajudge(*asked))

    # ---------------------------------------------------------------------------------------------------- private

    def _ask(self, call: ModelRequest[Any], response: ModelResponse[Any]) -> tuple[Request, Draft]:
        """What the jury is asked, and what the agent has answered."""
        reply = cast("AIMessage", response.result[0])
        request = to_plain_request(call, self._scopes.find(call.runtime), self._constraints)
        talks_of_tools = any(message.tool_calls or message.role == "tool" for message in request.messages)
        if talks_of_tools:  # providers want to know the tools of which a conversation speaks; nobody may call one now
            request = replace(request, tool_choice="none" if request.tools else None)
        else:
            request = replace(request, tools=())
        message, spec = to_message(reply), _schema_of(call, reply)
        if spec is not None:
            request = replace(
                request,
                response_format={"type": "json_schema", "name": spec.name, "schema": dict(spec.json_schema)},
            )
            message = Message(role="assistant", content=_json_of(reply, find_schemas(call.response_format)))
        model = str(reply.response_metadata.get("model_name") or "agent")
        return request, Draft(member="agent", model=model, message=message, native=reply)

    def _conclude(
        self, call: ModelRequest[Any], response: ModelResponse[Any], found: Judgement
    ) -> ExtendedModelResponse[Any]:
        then = {"confirmed": "keep", "overruled": self._on_overruled, "doubtful": self._on_doubt}[found.outcome]
        if then == "raise" or (then == "abstain" and call.response_format is not None):
            message = f"the answer is {found.outcome}: see the receipt {found.facts()['receipt']}"
            raise AbstainedError(message)
        own = cast("AIMessage", without_leo_blocks(response.result[0]))  # what they say is of the draft
        served = "other" if then == "replace" and not found.proposed else "abstention" if then == "abstain" else "own"
        facts = found.facts() | {"served": served}
        if own.response_metadata.get("leo"):
            facts["draft"] = own.response_metadata["leo"]
        if served == "own":
            told = own.model_copy(update={"response_metadata": {**own.response_metadata, "leo": facts}})
            judged = ModelResponse(
                result=[told, *response.result[1:]], structured_response=response.structured_response
            )
        else:
            other = None if served == "abstention" else found.answer.message
            said = _write(own, other, self._abstention, find_schemas(call.response_format))
            said.response_metadata = {"model_name": found.answer.model, "leo": facts}
            judged = make_response(said, call.response_format)
        return ExtendedModelResponse(model_response=judged, command=Command(update={"leo": facts}))


def _check(route: str, has_jury: bool, has_large: bool) -> None:  # noqa: FBT001 - two facts with names
    needs = {"consensus": has_jury, "cascade": has_jury or has_large, "small": True}
    if not needs.get(route, True):
        message = f"route {route!r} needs {'a jury' if route == 'consensus' else 'large, or a jury'}"
        raise ConfigError(message)


def _schema_of(call: ModelRequest[Any], reply: AIMessage) -> Any:
    """The schema that an answer is in; ``None`` for free text."""
    schemas = find_schemas(call.response_format)
    called = next((schemas[tool["name"]] for tool in reply.tool_calls if tool["name"] in schemas), None)
    return called or next(iter(schemas.values()), None)


def _json_of(reply: AIMessage, schemas: Collection[str]) -> str:
    """An answer in the form of a schema: the arguments of the call that is in it, beside which there may be others."""
    args = next((call["args"] for call in reply.tool_calls if call["name"] in schemas), None)
    return str(reply.text) if args is None else json.dumps(args, ensure_ascii=False)


def _write(own: AIMessage, other: Message | None, abstention: str, schemas: Collection[str]) -> AIMessage:
    """A message in the place of the agent's own: another answer, in its form, or an abstention.

    Of its calls only the one that is in the form is changed: those of tools were not judged.
    """
    new = {"id": f"{LC_ID_PREFIX}-{uuid4()}", "name": own.name}
    if other is None:
        return AIMessage(abstention, **new)
    if own.tool_calls:
        args = json.loads(other.text)
        calls = [{**call, "args": args} if call["name"] in schemas else call for call in own.tool_calls]
        return AIMessage("", tool_calls=calls, **new)
    return AIMessage(other.text, **new)


@contextmanager
def _tokens_held(*, held: bool) -> Iterator[None]:
    """Whatever runs inside is not streamed by LangGraph token by token."""
    config = var_child_runnable_config.get()
    if not held or config is None:
        yield
        return
    token = var_child_runnable_config.set({**config, "tags": [*(config.get("tags") or ()), _NO_STREAM]})
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
