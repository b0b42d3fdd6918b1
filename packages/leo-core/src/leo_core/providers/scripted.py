"""A deterministic model whose replies are written down, for tests and documentation."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from leo_core.errors import (
    ConfigError,
    InvalidRequestError,
    LEOError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from leo_core.providers.draft_chunks import draft_chunks
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, Usage

__all__ = ["Fail", "Replies", "ScriptedModel"]

Reply = str | Message | Draft
Replies = str | Mapping[str, Reply] | Sequence[Reply] | Callable[[Request], Reply]
Fail = LEOError | Sequence[LEOError | None] | Callable[[Request], LEOError | None]

_PROVIDER: Final = "scripted"


class ScriptedModel:
    """A model that says what its script says.

    Args:
        id: Id of the member, and the model's name.
        replies: One text for every question; a mapping from the text of the last user turn; a sequence, one reply per
            call in order; or a function of the request. A reply is a text, an assistant's message or a whole draft.
        usage: Tokens of every call; estimated from the texts by default.
        cost: US dollars of every call; ``None`` for an unknown price.
        delay_s: Wait before every reply.
        pace_s: Wait before every piece of a streamed reply but the first; a reply that comes whole takes as long.
        fail: Error to raise: always, by a sequence (``None`` for no error; after its end no call fails), or by a
            function of the request.
        fail_after_chunks: Number of chunks after which every stream dies.
        family: Family of the model; its id by default.
        capabilities: What the model can do; everything by default.
        logprobs: Log-probabilities that every draft carries.

    Raises:
        InvalidRequestError: (at a call) the script has no reply to this question, or no reply left.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the port's own word
        replies: Replies,
        *,
        usage: Usage | None = None,
        cost: float | None = 0.0,
        delay_s: float = 0.0,
        pace_s: float = 0.0,
        fail: Fail | None = None,
        fail_after_chunks: int | None = None,
        family: str | None = None,
        capabilities: Capabilities | None = None,
        logprobs: tuple[float, ...] | None = None,
    ) -> None:
        if cost is not None and not 0.0 <= cost < math.inf:
            message = f"cost={cost!r} must be US dollars, at least 0, or None for unknown"
            raise ConfigError(message)
        self._id, self._replies, self._usage, self._cost = id, replies, usage, cost
        self._delay_s, self._pace_s = delay_s, pace_s
        self._fail, self._fail_after_chunks = fail, fail_after_chunks
        self._family, self._logprobs = family or id, logprobs
        self._capabilities = capabilities or Capabilities()
        self._lock = threading.Lock()
        self._calls = 0

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def family(self) -> str:
        """Family of the model."""
        return self._family

    @property
    def capabilities(self) -> Capabilities:
        """What it claims to be able to do."""
        return self._capabilities

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """The model's name."""
        return {"provider": _PROVIDER, "model": self._id}

    @property
    def calls(self) -> int:
        """Calls so far, failed ones included."""
        return self._calls

    def __repr__(self) -> str:
        """What matters, and no secret."""
        return f"ScriptedModel({self._id!r})"

    def __getstate__(self) -> dict[str, object]:
        """Without what cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        """As it was, with everything closed."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def estimate(self, request: Request) -> Usage:
        """The usage of every call, or an estimate of the input and 64 output tokens."""
        usage = self._usage or Usage(input_tokens=estimate_input_tokens(request), output_tokens=64, calls=1)
        return replace(usage, cost_usd=self._cost)

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002 - the port's signature
        """The cost of every call, whatever its tokens."""
        return self._cost

    def generate(self, request: Request) -> Draft:
        """The next reply of the script."""
        draft = self._draft(request)
        if (wait_s := self._wait_s(request) + self._pace_of(draft)) > 0:
            time.sleep(wait_s)
        return draft

    async def agenerate(self, request: Request) -> Draft:
        """The next reply of the script."""
        draft = self._draft(request)
        if (wait_s := self._wait_s(request) + self._pace_of(draft)) > 0:
            await asyncio.sleep(wait_s)
        return draft

    def stream(self, request: Request) -> Iterator[Chunk]:
        """The next reply of the script, word by word."""
        draft = self._draft(request)
        if (wait_s := self._wait_s(request)) > 0:
            time.sleep(wait_s)
        for number, chunk in enumerate(self._chunks(draft)):
            if number and self._pace_s:
                time.sleep(self._pace_s)
            yield chunk

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """The next reply of the script, word by word."""
        draft = self._draft(request)
        if (wait_s := self._wait_s(request)) > 0:
            await asyncio.sleep(wait_s)
        for number, chunk in enumerate(self._chunks(draft)):
            if number and self._pace_s:
                await asyncio.sleep(self._pace_s)
            yield chunk

    def close(self) -> None:
        """Nothing to release."""

    def _chunks(self, draft: Draft) -> Iterator[Chunk]:
        for number, chunk in enumerate(draft_chunks(draft)):
            if number == self._fail_after_chunks:
                message = f"scripted model {self._id!r}: the stream dies after {number} chunks, as its script says"
                raise ProviderUnavailableError(message, provider=_PROVIDER, model=self._id)
            yield chunk

    def _pace_of(self, draft: Draft) -> float:
        """How long the pieces of a reply after the first one take."""
        return self._pace_s * (sum(1 for _ in draft_chunks(draft)) - 1) if self._pace_s else 0.0

    def _wait_s(self, request: Request) -> float:
        limit_s = request.constraints.max_latency_s
        if limit_s is not None and self._delay_s > limit_s:
            message = f"scripted model {self._id!r} takes {self._delay_s:g} s, longer than the {limit_s:g} s allowed"
            raise ProviderTimeoutError(message, provider=_PROVIDER, model=self._id)
        return self._delay_s

    def _draft(self, request: Request) -> Draft:
        with self._lock:
            number, self._calls = self._calls, self._calls + 1
        self._raise_scripted(request, number)
        reply = self._find_reply(request, number)
        if isinstance(reply, Draft):
            return reply
        message = Message(role="assistant", content=reply) if isinstance(reply, str) else reply
        usage = self._usage or Usage(
            input_tokens=estimate_input_tokens(request), output_tokens=estimate_text_tokens(message.text), calls=1
        )
        return Draft(
            member=self._id,
            model=self._id,
            message=message,
            usage=replace(usage, cost_usd=self._cost),
            finish_reason="tool_calls" if message.tool_calls else "stop",
            latency_s=self._delay_s,
            logprobs=self._logprobs,
            metadata={"model_name": self._id, "model_provider": _PROVIDER},
        )

    def _raise_scripted(self, request: Request, number: int) -> None:
        fail = self._fail
        if fail is None:
            return
        if isinstance(fail, Sequence):
            error = fail[number] if number < len(fail) else None
        elif isinstance(fail, LEOError):
            error = fail
        else:
            error = fail(request)
        if error is not None:
            raise error

    def _find_reply(self, request: Request, number: int) -> Reply:
        replies = self._replies
        if isinstance(replies, str):
            return replies
        if isinstance(replies, Mapping):
            if request.question in replies:
                return replies[request.question]
            message = f"the script of {self._id!r} has no reply to this question"
            raise InvalidRequestError(message, provider=_PROVIDER, model=self._id)
        if not isinstance(replies, Sequence):
            return replies(request)
        if number < len(replies):
            return replies[number]
        message = f"the script of {self._id!r} is over after {len(replies)} replies"
        raise InvalidRequestError(message, provider=_PROVIDER, model=self._id)
