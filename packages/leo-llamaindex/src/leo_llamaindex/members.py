"""Any LlamaIndex LLM as a member of a LEO.

A member is asked through a quiet copy (:mod:`leo_llamaindex._quiet`): the call of LEO itself emits the events and
counts the tokens, once. A chat model is asked by ``chat``, another one by ``complete`` with its own prompt format.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_index.core.llms import LLM, CustomLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM

from leo_core.adapting.framework_model import FrameworkModel
from leo_core.adapting.members import OwnModels
from leo_core.errors import ConfigError, MalformedReplyError
from leo_core.providers.sdk_errors import sdk_errors
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Capabilities, Chunk, Draft, Json, Request, ToolCallDelta, Usage
from leo_llamaindex._fingerprint import fingerprint_llm, name_llm
from leo_llamaindex._native_call import NativeCall, prepare_call
from leo_llamaindex._native_reply import Reply, StreamFold, read_reply
from leo_llamaindex._quiet import quieten

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping

    from leo_core.telemetry.prices import Price

__all__ = ["LLMS", "LlamaIndexModel"]


class LlamaIndexModel(FrameworkModel[LLM]):
    """A LlamaIndex LLM as a member (``leo_core.ports.Model``).

    Args:
        model: The LLM. It is used as it is now, without its callbacks, and it is not closed.
        id: Id of the member; by default its provider and model name, like ``"openai:gpt-5-mini"``.
        family: Models of one family are presumed to err together; by default read from the model's name.
        prices: Prices by model name, in US dollars per million tokens, on top of the shipped table.
    """

    def __init__(
        self,
        model: LLM,
        *,
        id: str | None = None,  # noqa: A002 - the word that the port uses
        family: str | None = None,
        prices: Mapping[str, Price | Mapping[str, float]] | None = None,
    ) -> None:
        if not isinstance(model, LLM):
            message = f"LlamaIndexModel takes an LLM of LlamaIndex, not {type(model).__name__}"
            raise ConfigError(message)
        provider, name = name_llm(model)
        fingerprint = fingerprint_llm(model)
        super().__init__(
            model, provider=provider, name=name, fingerprint=fingerprint, id=id, family=family, prices=prices
        )
        self._quiet = quieten(model)
        self._blocks, self._stream_blocks = _is_derived(model, "a"), _is_derived(model, "astream_")

    def __getstate__(self) -> dict[str, Any]:
        """Without the quiet copy, which is made anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_quiet"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._quiet = quieten(self.model)

    @property
    def capabilities(self) -> Capabilities:
        """What the LLM's metadata say that it can do; media where it is a chat model."""
        facts = self.model.metadata
        calls = isinstance(self.model, FunctionCallingLLM) and facts.is_function_calling_model
        chats = bool(facts.is_chat_model)
        return Capabilities(
            tools=calls,
            structured_output=calls,
            images=chats,
            audio=chats,
            files=chats,
            max_input_tokens=facts.context_window if facts.context_window > 0 else None,
            max_output_tokens=facts.num_output if facts.num_output > 0 else None,
        )

    # -------------------------------------------------------------------------------------------------- calls

    def generate(self, request: Request) -> Draft:
        """Answer the request."""
        started = time.perf_counter()
        with sdk_errors(self._provider, self._name):
            call = prepare_call(self._quiet, request)
            if self.model.rate_limiter is not None:
                self.model.rate_limiter.acquire()
            response = self._method(call, "")(*call.arguments, **call.kwargs)
            return self._draft(read_reply(response), call, request, started)

    async def agenerate(self, request: Request) -> Draft:
        """Answer the request, without blocking the loop."""
        if self._blocks:
            whole: Draft = await self._within(asyncio.to_thread(self.generate, request), request)
            return whole
        started = time.perf_counter()
        with sdk_errors(self._provider, self._name):
            call = prepare_call(self._quiet, request)
            if self.model.rate_limiter is not None:
                await self.model.rate_limiter.async_acquire()
            response = await self._within(self._method(call, "a")(*call.arguments, **call.kwargs), request)
            return self._draft(read_reply(response), call, request, started)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer in pieces; tool calls come whole, at the end."""
        started = time.perf_counter()
        fold = StreamFold()
        with sdk_errors(self._provider, self._name):
            call = prepare_call(self._quiet, request)
            if self.model.rate_limiter is not None:
                self.model.rate_limiter.acquire()
            with closing(self._method(call, "stream_")(*call.arguments, **call.kwargs)) as responses:
                for response in responses:
                    yield from _shown(fold.push(response), call)
            draft = self._draft(fold.finish(), call, request, started)
        yield from _closing_chunks(draft, call)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer in pieces, without blocking the loop; in one piece where the model cannot stream without it."""
        if self._stream_blocks:
            draft = await self.agenerate(request)
            for chunk in (Chunk(text=draft.text), *_closing_chunks(draft, None)):
                yield chunk
            return
        started = time.perf_counter()
        fold = StreamFold()
        with sdk_errors(self._provider, self._name):
            call = prepare_call(self._quiet, request)
            if self.model.rate_limiter is not None:
                await self.model.rate_limiter.async_acquire()
            opened = await self._within(self._method(call, "astream_")(*call.arguments, **call.kwargs), request)
            async with aclosing(opened) as responses:
                async for response in responses:
                    for chunk in _shown(fold.push(response), call):
                        yield chunk
            draft = self._draft(fold.finish(), call, request, started)
        for chunk in _closing_chunks(draft, call):
            yield chunk

    def _method(self, call: NativeCall, kind: str) -> Any:
        """The quiet method: ``""``, ``"a"``, ``"stream_"`` or ``"astream_"`` of ``chat`` or ``complete``."""
        return getattr(self._quiet, f"{kind}{call.method}")

    @staticmethod
    async def _within(waiting: Awaitable[Any], request: Request) -> Any:
        async with asyncio.timeout(request.constraints.max_latency_s):
            return await waiting

    # ------------------------------------------------------------------------------------------------- replies

    def _draft(self, reply: Reply, call: NativeCall, request: Request, started: float) -> Draft:
        message = call.finish(reply.message)
        if not message.content and not message.tool_calls:
            problem = f"{self._id} returned an empty message"
            raise MalformedReplyError(problem, provider=self._provider, model=self._name)
        name = reply.model or self._name
        usage = reply.usage or Usage(
            input_tokens=estimate_input_tokens(request), output_tokens=estimate_text_tokens(message.text), calls=1
        )
        cost = self.price(usage) if reply.usage is None else self._price_as(usage, name)
        estimated: dict[str, Json] = {} if reply.usage is not None else {"usage_estimated": True}
        return Draft(
            member=self._id,
            model=name,
            message=message,
            usage=replace(usage, cost_usd=cost),
            finish_reason=reply.finish_reason or ("tool_calls" if message.tool_calls else "stop"),
            latency_s=time.perf_counter() - started,
            logprobs=reply.logprobs,
            metadata={"model_name": name, "model_provider": self._provider, **estimated},
        )


def _is_derived(model: LLM, kind: str) -> bool:
    """Whether a method (``a…``, ``astream_…``) is that of ``CustomLLM``, which calls its twin on the loop."""
    name = f"{kind}chat" if model.metadata.is_chat_model else f"{kind}complete"
    return inspect.getattr_static(type(model), name) is inspect.getattr_static(CustomLLM, name)


def _shown(text: str, call: NativeCall) -> Iterator[Chunk]:
    """New text, unless the whole reply has to be unwrapped first."""
    if text and not call.unwraps:
        yield Chunk(text=text)


def _closing_chunks(draft: Draft, call: NativeCall | None) -> Iterator[Chunk]:
    """What is shown at the end of a stream, and the draft."""
    if call is not None and call.unwraps:
        yield Chunk(text=draft.text)
    if draft.message.tool_calls:
        yield Chunk(tool_calls=_whole_calls(draft))
    yield Chunk(draft=draft)


def _whole_calls(draft: Draft) -> tuple[ToolCallDelta, ...]:
    return tuple(
        ToolCallDelta(index=index, id=call.id, name=call.name, arguments=json.dumps(dict(call.arguments)))
        for index, call in enumerate(draft.message.tool_calls)
    )


LLMS = OwnModels(kind=LLM, called="an LLM of LlamaIndex", name=name_llm, wrap=LlamaIndexModel)
"""LlamaIndex's own models, as members."""
