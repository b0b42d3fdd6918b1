"""Any LangChain chat model as a member of a LEO.

A member is called through its own ``_generate``, ``_agenerate``, ``_stream`` and ``_astream``. Its public
``invoke`` would start a second run: callbacks would fire twice, usage would be counted twice, and the global cache
would be consulted and written for each member.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from leo_core.adapting.framework_model import FrameworkModel
from leo_core.adapting.members import OwnModels
from leo_core.errors import ConfigError, MalformedReplyError
from leo_core.records import Capabilities, Chunk, Draft, Json, Request, ToolCallDelta
from leo_langchain._answers import KeptReply
from leo_langchain._convert import to_message, to_usage
from leo_langchain._errors import translate_error
from leo_langchain._fingerprint import fingerprint_model, name_model
from leo_langchain._finish import finish_of
from leo_langchain._native_call import NativeCall, prepare_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

    from leo_core.telemetry.prices import Price

__all__ = ["CHAT_MODELS", "LangChainModel"]

_SHOWN = frozenset({"reasoning", "thinking", "image", "audio", "video", "file"})


class LangChainModel(FrameworkModel[BaseChatModel]):
    """A LangChain chat model as a member (``leo_core.ports.Model``).

    Args:
        model: The chat model. It is used as it is, whatever its ``cache`` and ``callbacks``, and it is not closed.
        id: Id of the member; by default its provider and model name, like ``"openai:gpt-5-mini"``.
        family: Models of one family are presumed to err together; by default read from the model's name.
        prices: Prices by model name, in US dollars per million tokens, on top of the shipped table.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        id: str | None = None,  # noqa: A002 - the port's word
        family: str | None = None,
        prices: Mapping[str, Price | Mapping[str, float]] | None = None,
    ) -> None:
        if not isinstance(model, BaseChatModel):
            message = f"LangChainModel takes a chat model of LangChain, not {type(model).__name__}"
            raise ConfigError(message)
        provider, name = name_model(model)
        fingerprint = fingerprint_model(model)
        super().__init__(
            model, provider=provider, name=name, fingerprint=fingerprint, id=id, family=family, prices=prices
        )
        self._capabilities = _capabilities_of(model)

    @property
    def capabilities(self) -> Capabilities:
        """What the model's profile says that it can do; everything where there is no profile."""
        return self._capabilities

    # -------------------------------------------------------------------------------------------------- calls

    def generate(self, request: Request) -> Draft:
        """Answer the request."""
        started = time.perf_counter()
        try:
            call = prepare_call(self.model, request)
            if self.model.rate_limiter:
                self.model.rate_limiter.acquire(blocking=True)
            result = self.model._generate(call.messages, stop=call.stop, **call.kwargs)  # noqa: SLF001 - see the module
        except Exception as error:
            raise translate_error(error, provider=self._provider, model=self._name) from error
        return self._draft(_reply_of(result, self), call, started)

    async def agenerate(self, request: Request) -> Draft:
        """Answer the request, without blocking the loop."""
        started = time.perf_counter()
        try:
            call = prepare_call(self.model, request)
            if self.model.rate_limiter:
                await self.model.rate_limiter.aacquire(blocking=True)
            result = await self.model._agenerate(call.messages, stop=call.stop, **call.kwargs)  # noqa: SLF001 - see the module
        except Exception as error:
            raise translate_error(error, provider=self._provider, model=self._name) from error
        return self._draft(_reply_of(result, self), call, started)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer in pieces; the member's own chunks are in ``native``, the last chunk carries the draft."""
        started = time.perf_counter()
        try:
            call = prepare_call(self.model, request)
            if call.unwraps or not _streams(self.model, call):
                yield _whole(self.generate(request))
                return
            if self.model.rate_limiter:
                self.model.rate_limiter.acquire(blocking=True)
            full: AIMessageChunk | None = None
            for piece in self.model._stream(call.messages, stop=call.stop, **call.kwargs):  # noqa: SLF001 - see the module
                chunk = _chunk_message(piece)
                full = chunk if full is None else full + chunk
                yield from _pieces(chunk)
        except Exception as error:
            raise translate_error(error, provider=self._provider, model=self._name) from error
        yield Chunk(draft=self._draft(self._complete(full), call, started))

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer in pieces, without blocking the loop."""
        started = time.perf_counter()
        try:
            call = prepare_call(self.model, request)
            if call.unwraps or not _streams(self.model, call, on_loop=True):
                yield _whole(await self.agenerate(request))
                return
            if self.model.rate_limiter:
                await self.model.rate_limiter.aacquire(blocking=True)
            full: AIMessageChunk | None = None
            pieces = self.model._astream(call.messages, stop=call.stop, **call.kwargs)  # noqa: SLF001 - as above
            async with aclosing(cast("AsyncGenerator[ChatGenerationChunk]", pieces)):
                async for piece in pieces:
                    chunk = _chunk_message(piece)
                    full = chunk if full is None else full + chunk
                    for shown in _pieces(chunk):
                        yield shown
        except Exception as error:
            raise translate_error(error, provider=self._provider, model=self._name) from error
        yield Chunk(draft=self._draft(self._complete(full), call, started))

    # ------------------------------------------------------------------------------------------------- replies

    def _complete(self, full: AIMessageChunk | None) -> AIMessage:
        if full is None:
            message = f"{self._id} streamed nothing"
            raise MalformedReplyError(message, provider=self._provider, model=self._name)
        whole = message_chunk_to_message(full).model_copy(update={"id": None})
        return _in_its_version(whole, self.model) if isinstance(whole, AIMessage) else AIMessage(full.content)

    def _draft(self, reply: AIMessage, call: NativeCall, started: float) -> Draft:
        reply = call.finish(reply)
        facts = reply.response_metadata
        name = str(facts.get("model_name") or facts.get("model") or call.kwargs.get("model") or self._name)
        usage = to_usage(reply)
        own = facts.get("leo")
        if isinstance(own, dict) and "cost_usd" in own:  # a LEO within a LEO knows what each of its members cost
            cost = own["cost_usd"]
        else:
            cost = self._price_as(usage, name) if reply.usage_metadata else None
        return Draft(
            member=self._id,
            model=name,
            message=to_message(reply),
            usage=usage if cost is None else replace(usage, cost_usd=cost),
            finish_reason=finish_of(reply),
            latency_s=time.perf_counter() - started,
            logprobs=_logprobs_of(facts),
            metadata=KeptReply(name, reply),
            native=reply,
        )


# -------------------------------------------------------------------------------------------- what comes back


def _reply_of(result: ChatResult, member: LangChainModel) -> AIMessage:
    """The first generation's message, with the metadata where LangChain puts it after ``_generate``."""
    if not result.generations or not isinstance(result.generations[0].message, AIMessage):
        message = f"{member.id} returned no message"
        raise MalformedReplyError(message, provider=member.id.partition(":")[0], model=member.id)
    generation = result.generations[0]
    metadata = {**(result.llm_output or {}), **_metadata_of(generation)}
    reply = cast("AIMessage", generation.message).model_copy(update={"response_metadata": metadata, "id": None})
    return _in_its_version(reply, member.model)


def _metadata_of(generation: ChatGeneration) -> dict[str, Any]:
    return {**(generation.generation_info or {}), **generation.message.response_metadata}


def _in_its_version(reply: AIMessage, model: BaseChatModel) -> AIMessage:
    """The reply as ``invoke`` would return it when the member is set to LangChain's v1 output."""
    if model.output_version != "v1":
        return reply
    metadata = {**reply.response_metadata, "output_version": "v1"}
    return reply.model_copy(update={"content": reply.content_blocks, "response_metadata": metadata})


def _chunk_message(piece: ChatGenerationChunk) -> AIMessageChunk:
    message = piece.message
    if not isinstance(message, AIMessageChunk):
        return AIMessageChunk(content=message.content)
    message.response_metadata = _metadata_of(piece)
    return message


def _pieces(message: AIMessageChunk) -> Iterator[Chunk]:
    """A chunk of the member, unless there is nothing in it to see; its metadata comes with the draft anyway."""
    calls = tuple(
        ToolCallDelta(
            index=index if isinstance(index := call.get("index"), int) else position,
            id=call.get("id"),
            name=call.get("name"),
            arguments=call.get("args") or "",
        )
        for position, call in enumerate(message.tool_call_chunks)
    )
    chunk = Chunk(text=str(message.text), tool_calls=calls, blocks=_shown_blocks(message), native=message)
    if chunk.text or chunk.tool_calls or chunk.blocks:
        yield chunk


def _shown_blocks(message: AIMessageChunk) -> tuple[dict[str, Json], ...]:
    reasoning = message.additional_kwargs.get("reasoning_content")
    beside = ({"type": "reasoning", "reasoning": reasoning},) if reasoning else ()
    content = () if isinstance(message.content, str) else message.content
    return (*beside, *(block for block in content if isinstance(block, dict) and block.get("type") in _SHOWN))


def _whole(draft: Draft) -> Chunk:
    """A reply that came at once, as the only chunk of its stream."""
    calls = tuple(draft.message.tool_calls)
    native = draft.native
    chunk = AIMessageChunk(
        content=native.content,
        additional_kwargs=native.additional_kwargs,
        response_metadata=native.response_metadata,
        tool_calls=native.tool_calls,
        invalid_tool_calls=native.invalid_tool_calls,
    )
    deltas = tuple(ToolCallDelta(index=index, id=call.id, name=call.name) for index, call in enumerate(calls))
    return Chunk(text=draft.text, tool_calls=deltas, native=chunk, draft=draft)


def _logprobs_of(facts: Mapping[str, Any]) -> tuple[float, ...] | None:
    rows = (facts.get("logprobs") or {}).get("content") if isinstance(facts.get("logprobs"), dict) else None
    if not isinstance(rows, list):
        return None
    return tuple(float(row["logprob"]) for row in rows if isinstance(row, dict) and "logprob" in row)


# ------------------------------------------------------------------------------------------ what the member is


def _streams(model: BaseChatModel, call: NativeCall, *, on_loop: bool = False) -> bool:
    """Whether the model's own ``stream`` would stream this call: that can be switched off, or off for tools."""
    return model._should_stream(async_api=on_loop, **{**call.kwargs, "stream": True})  # noqa: SLF001 - nothing public says it


def _capabilities_of(model: BaseChatModel) -> Capabilities:
    profile: Mapping[str, Any] = model.profile or {}
    binds = type(model).bind_tools is not BaseChatModel.bind_tools
    return Capabilities(
        tools=binds and bool(profile.get("tool_calling", True)),
        structured_output=binds or type(model).with_structured_output is not BaseChatModel.with_structured_output,
        images=bool(profile.get("image_inputs", True)),
        audio=bool(profile.get("audio_inputs", True)),
        files=bool(profile.get("pdf_inputs", True)),
        max_input_tokens=profile.get("max_input_tokens"),
        max_output_tokens=profile.get("max_output_tokens"),
    )


CHAT_MODELS = OwnModels(kind=BaseChatModel, called="a chat model", name=name_model, wrap=LangChainModel)
"""LangChain's own models, as members."""
