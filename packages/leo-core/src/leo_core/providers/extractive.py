"""A local reader: quotes the best-supported sentence of the context in its prompt, or says that it cannot."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Final, Literal, get_args

from leo_core.errors import CapabilityError, ConfigError, InvalidRequestError
from leo_core.providers.context_reading import Passage, Support, find_nearest, find_passage, find_support
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.providers.payload import check_messages, named_tool
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.providers.tool_filling import fill_arguments, matches_question
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

__all__ = ["CANNOT_ANSWER", "OFFLINE_JURY", "ExtractiveModel", "ReadingMethod"]

CANNOT_ANSWER: Final = "I cannot answer from the given context."
OFFLINE_JURY: Final = ("extractive", "extractive:vectors", "extractive:letters")
"""Names of the three readers, which compare question and sentences in three ways. They are one family: they read the
same sentences, so their agreement counts for little more than one of them."""

ReadingMethod = Literal["words", "vectors", "letters"]

_VERSION: Final = "1"
_LEAST: Final = {"words": 0.4, "vectors": 0.35, "letters": 0.3}
_EMBEDDERS: Final = {"vectors": "static", "letters": "hashed"}


class ExtractiveModel:
    """A deterministic reader without network and without cost.

    It finds the context in its prompt (see :func:`find_passage`), scores every sentence of it against the question and
    quotes the best one, word for word; below ``min_support`` it says :data:`CANNOT_ANSWER`. It is no language model: it
    puts nothing together, and works nothing out.

    ``"words"`` scores by shared words (see :func:`find_support`), ``"vectors"`` by the cosine of trained vectors,
    ``"letters"`` by that of counted letter groups (see :func:`find_nearest`).

    Tools: a request that ends with tool results is answered from them. A tool is called when ``tool_choice`` forces one
    (``"any"`` takes the first whose required arguments can be filled; strings that the question does not give take
    the whole question), or else when exactly one tool is bound, the last turn is the user's, the prompt has no context,
    the question shares a word with the tool's name or description, and every required argument can be filled from the
    question (see :func:`fill_arguments`).

    Args:
        method: How sentences are scored.
        min_support: Least score of the quoted sentence, in (0, 1]: with ``"words"`` the share of the question's weight
            that it must cover, else a cosine. By default 0.4, 0.35 and 0.3 in that order.
        id: Id of the member; ``"extractive"``, with a colon and the method where it is another than ``"words"``.

    Raises:
        ConfigError: There is no such method, or ``min_support`` is out of range.
    """

    def __init__(
        self,
        *,
        method: ReadingMethod = "words",
        min_support: float | None = None,
        id: str | None = None,  # noqa: A002 - the port's own word
    ) -> None:
        if method not in get_args(ReadingMethod):
            message = f"the local reader has no method {method!r}; there are {', '.join(get_args(ReadingMethod))}"
            raise ConfigError(message)
        least = _LEAST[method] if min_support is None else min_support
        if not 0 < least <= 1:
            message = f"min_support={min_support!r} must be above 0 and at most 1"
            raise ConfigError(message)
        self._method, self._min_support = method, least
        self._id = id or ("extractive" if method == "words" else f"extractive:{method}")

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """One for all methods: they read the same sentences."""
        return "extractive"

    @property
    def capabilities(self) -> Capabilities:
        """Text and tools."""
        return Capabilities(structured_output=False, images=False, audio=False, files=False)

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """Version of the method and the threshold."""
        own = {} if self._method == "words" else {"method": self._method}
        return {"provider": "extractive", "version": _VERSION, "min_support": self._min_support, **own}

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"ExtractiveModel(method={self._method!r}, min_support={self._min_support})"

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
        support = self._find(passage)
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

    def _find(self, passage: Passage) -> Support | None:
        if self._method == "words":
            return find_support(passage.question, passage.context)
        from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

        return find_nearest(passage.question, passage.context, load_embedder(_EMBEDDERS[self._method]).embed)

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
