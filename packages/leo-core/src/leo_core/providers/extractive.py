"""A local reader: quotes the best-supported sentence of the context in its prompt, or says that it cannot."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Final

from leo_core.errors import CapabilityError, ConfigError, InvalidRequestError
from leo_core.providers.context_reading import Passage, find_passage, find_support
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.providers.payload import check_messages, named_tool
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.providers.tool_filling import fill_arguments, matches_question
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

__all__ = ["CANNOT_ANSWER", "ExtractiveModel"]

CANNOT_ANSWER: Final = "I cannot answer from the given context."

_VERSION: Final = "1"


class ExtractiveModel:
    """A deterministic reader without network and without cost.

    It finds the context in its prompt (see :func:`find_passage`), scores every sentence of it against the question (see
    :func:`find_support`) and quotes the best one, word for word; below ``min_support`` it says :data:`CANNOT_ANSWER`.

    Tools: a request that ends with tool results is answered from them. A tool is called when ``tool_choice`` forces one
    (``"any"`` takes the first whose required arguments can be filled; strings that the question does not give take
    the whole question), or else when exactly one tool is bound, the last turn is the user's, the prompt has no context,
    the question shares a word with the tool's name or description, and every required argument can be filled from the
    question (see :func:`fill_arguments`).

    Args:
        min_support: Least share of the question's weight that the quoted sentence must cover, in (0, 1].
        id: Id of the member.
    """

    def __init__(self, *, min_support: float = 0.4, id: str = "extractive") -> None:  # noqa: A002 - the port's own word
        if not 0 < min_support <= 1:
            message = f"min_support={min_support!r} must be above 0 and at most 1"
            raise ConfigError(message)
        self._min_support, self._id = min_support, id

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """A family of its own."""
        return "extractive"

    @property
    def capabilities(self) -> Capabilities:
        """Text and tools."""
        return Capabilities(structured_output=False, images=False, audio=False, files=False)

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """Version of the method and the threshold."""
        return {"provider": "extractive", "version": _VERSION, "min_support": self._min_support}

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"ExtractiveModel(min_support={self._min_support})"

    def estimate(self, request: Request) -> Usage:
        """Tokens by estimate; it costs nothing."""
        return Usage(input_tokens=estimate_input_tokens(request), output_tokens=64, calls=1, cost_usd=0.0)

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return 0.0

    def generate(self, request: Request) -> Draft:
        """Quote, call a tool, or say that it cannot answer.

        Raises:
            RequestError: The request is malformed.
            CapabilityError: Structured output is asked for.
            InvalidRequestError: A tool is forced whose required arguments the question does not give.
        """
        started = time.perf_counter()
        check_messages(request)
        if request.response_format is not None:
            message = "the extractive reader gives no structured output"
            raise CapabilityError(message)
        passage = find_passage(request)
        call = self._tool_call(request, passage)
        if call is not None:
            return self._draft(request, Message(role="assistant", tool_calls=(call,)), started, {})
        support = find_support(passage.question, passage.context)
        found = support is not None and support.score >= self._min_support
        text = support.sentence if support is not None and found else CANNOT_ANSWER
        facts = {
            "support": round(support.score, 6) if support else 0.0,
            "sentences": support.sentences if support else 0,
        }
        return self._draft(request, Message(role="assistant", content=text), started, {**facts, "answered": found})

    async def agenerate(self, request: Request) -> Draft:
        """As :meth:`generate`; pure computation, so nothing is waited for."""
        return self.generate(request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """As :meth:`generate`, word by word."""
        yield from draft_chunks(self.generate(request))

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """As :meth:`generate`, word by word."""
        for chunk in draft_chunks(self.generate(request)):
            yield chunk

    def close(self) -> None:
        """Nothing to release."""

    def _tool_call(self, request: Request, passage: Passage) -> ToolCall | None:
        if request.tool_choice in ("any", "required") or named_tool(request) is not None:
            return self._forced_call(request)
        asked = request.messages[-1].role == "user" and request.tool_choice != "none"
        if not asked or len(request.tools) != 1 or passage.context:
            return None
        tool = request.tools[0]
        if not matches_question(tool, request.question):
            return None
        arguments = fill_arguments(tool.get("parameters") or {}, request.question)
        return None if arguments is None else _call(tool, arguments)

    def _forced_call(self, request: Request) -> ToolCall:
        named = named_tool(request)
        tools = [tool for tool in request.tools if named in (None, tool["name"])]
        for whole_question in (False, True):
            for tool in tools:
                parameters = tool.get("parameters") or {}
                arguments = fill_arguments(parameters, request.question, whole_question=whole_question)
                if arguments is not None:
                    return _call(tool, arguments)
        names = ", ".join(str(tool["name"]) for tool in tools)
        message = f"the question does not give the required arguments of the tool that must be called ({names})"
        raise InvalidRequestError(message, provider="extractive", model=self._id)

    def _draft(self, request: Request, message: Message, started: float, facts: Mapping[str, Json]) -> Draft:
        said = message.text + "".join(json.dumps(dict(call.arguments)) for call in message.tool_calls)
        usage = Usage(
            input_tokens=estimate_input_tokens(request), output_tokens=estimate_text_tokens(said), calls=1, cost_usd=0.0
        )
        return Draft(
            member=self._id,
            model="extractive",
            message=message,
            usage=usage,
            finish_reason="tool_calls" if message.tool_calls else "stop",
            latency_s=time.perf_counter() - started,
            metadata={"model_name": "extractive", "model_provider": "extractive", "usage_estimated": True, **facts},
        )


def _call(tool: Mapping[str, Json], arguments: Mapping[str, Json]) -> ToolCall:
    """A call whose id depends on nothing but the tool and its arguments."""
    name = str(tool["name"])
    digest = hashlib.sha256(json.dumps([name, arguments], sort_keys=True).encode()).hexdigest()
    return ToolCall(id=f"call_{digest[:16]}", name=name, arguments=arguments)
