"""A model behind a provider's SDK.

What differs between providers is pure and lives in their ``*_request`` and ``*_reply`` modules; what is left is the
same for all: call, time, translate errors, price. The sync and the async methods share everything but the waiting.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from leo_core.errors import ConfigError, MalformedReplyError, MissingExtraError, ProviderTimeoutError
from leo_core.providers.connections import Connections
from leo_core.providers.names import family_of
from leo_core.providers.rate_headers import read_rest
from leo_core.providers.sdk_errors import sdk_errors
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Capabilities, Chunk, Draft, Json, Message, Request, Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import Price, PriceTable, load_prices

if TYPE_CHECKING:
    from leo_core.providers.reply import Reply, StreamFold

__all__ = ["DEFAULT_OUTPUT_TOKENS", "Call", "RemoteModel"]

DEFAULT_OUTPUT_TOKENS: Final = 1_024
"""Output tokens that an estimate assumes where the request sets no limit."""

_END: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the SDK, ready to be made.

    Attributes:
        model: The model that is asked.
        request: What is asked.
        arguments: Arguments of the SDK's ``create``.
        timeout_s: Longest wait for a single read.
        deadline: Instant (``time.perf_counter``) at which the whole call is given up; ``None`` for none.
        started: Instant at which it began.
    """

    model: str
    request: Request
    arguments: Mapping[str, Any]
    timeout_s: float
    deadline: float | None
    started: float

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline is None else self.deadline - time.perf_counter()

    def limit(self) -> AbstractAsyncContextManager[object]:
        """Gives an awaiting block up at the deadline."""
        return nullcontext() if self.deadline is None else asyncio.timeout(self.remaining_s)


class RemoteModel(ABC):
    """A :class:`leo_core.ports.Model` over an SDK; see :class:`OpenAIModel` and :class:`AnthropicModel`."""

    provider: ClassVar[str]
    sdk: ClassVar[str]

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None,
        timeout_s: float,
        max_retries: int,
        capabilities: Capabilities,
        prices: PriceTable | Mapping[str, Price | Mapping[str, float]] | None,
        id: str | None,  # noqa: A002 - the port's own word
        family: str | None,
        client_options: Mapping[str, Any],
    ) -> None:
        if not model or timeout_s <= 0 or max_retries < 0:
            message = (
                f"model={model!r}, timeout_s={timeout_s!r}, max_retries={max_retries!r}: need a name, > 0 and >= 0"
            )
            raise ConfigError(message)
        if importlib.util.find_spec(self.sdk) is None:
            raise MissingExtraError(self.sdk, type(self).__name__)
        self._model, self._base_url = model, base_url
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self._api_key, self._client_options = api_key, dict(client_options)
        self._capabilities = capabilities
        shipped = load_prices()  # read here and not on an event loop: errors name the models nearest to a wrong name
        self._prices = prices if isinstance(prices, PriceTable) else shipped.with_prices(prices or {})
        self._id = id or f"{self.provider}:{model}"
        self._family = family or family_of(model)
        self._connections = Connections(self._open_client, self._open_async_client)

    # ------------------------------------------------------------------- what a provider decides

    @abstractmethod
    def _payload(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        """The body of the call, and arguments that the SDK itself takes."""

    @abstractmethod
    def _read(self, body: Mapping[str, Json], call: Call) -> Reply:
        """Read a whole reply."""

    @abstractmethod
    def _fold(self, call: Call) -> StreamFold:
        """Begin to fold a streamed reply."""

    @abstractmethod
    def _resource(self, client: Any) -> Any:
        """The SDK's resource whose ``create`` is called."""

    def _stream_options(self) -> Mapping[str, Any]:
        """What the body of a streamed call says besides."""
        return {}

    def _make_client(self, kind: str, options: Mapping[str, Any]) -> Any:
        """Make a client of the SDK."""
        return getattr(importlib.import_module(self.sdk), kind)(**options)

    @abstractmethod
    def _open_client(self) -> Any:
        """Open the client for threads; raises ``ConfigError`` without a key."""

    @abstractmethod
    def _open_async_client(self) -> Any:
        """Open a client for one event loop; raises ``ConfigError`` without a key."""

    # ------------------------------------------------------------------------------- what it is

    @property
    def id(self) -> str:
        """Id of the member."""
        return self._id

    @property
    def model(self) -> str:
        """Name of the model at its provider."""
        return self._model

    @property
    def family(self) -> str:
        """Models of one family are presumed to err together."""
        return self._family

    @property
    def capabilities(self) -> Capabilities:
        """What it can do, as far as is known."""
        return self._capabilities

    @property
    def fingerprint(self) -> Mapping[str, Json]:
        """What can change an answer; no secret."""
        return {"provider": self.provider, "model": self._model, "base_url": _public_url(self._base_url)}

    @property
    def max_retries(self) -> int:
        """How often a call that failed for a passing reason may be made again."""
        return self._max_retries

    def once(self) -> Self:
        """The same model with the same connections, making each call once: whoever calls it decides about retries."""
        if self._max_retries == 0:
            return self
        single = object.__new__(type(self))
        single.__dict__.update(self.__dict__, _max_retries=0)
        return single

    def __repr__(self) -> str:
        """What matters, and no secret."""
        where = f", base_url={_public_url(self._base_url)!r}" if self._base_url else ""
        return f"{type(self).__name__}({self._model!r}{where})"

    def estimate(self, request: Request) -> Usage:
        """Upper estimate of the usage: see :func:`estimate_input_tokens`; output is the limit, or 1,024 without one."""
        output = request.sampling.max_tokens or self._capabilities.max_output_tokens or DEFAULT_OUTPUT_TOKENS
        copies = max(1, int(request.options.get("n") or 1))
        usage = Usage(input_tokens=estimate_input_tokens(request), output_tokens=output * copies, calls=1)
        return replace(usage, cost_usd=cost_of(usage, request.model or self._model, self._prices))

    def price(self, usage: Usage) -> float | None:
        """What these tokens would cost; ``None`` when the price is unknown."""
        return cost_of(usage, self._model, self._prices)

    # ------------------------------------------------------------------------------- what it does

    def generate(self, request: Request) -> Draft:
        """Answer the request."""
        call = self._prepare(request)
        with sdk_errors(self.provider, call.model):
            resource = self._resource(self._client_for(self._connections.client(), call))
            raw = resource.with_raw_response.create(**call.arguments)
            return self._whole(raw.parse(), raw.headers, call)

    async def agenerate(self, request: Request) -> Draft:
        """Answer the request, without blocking the loop."""
        call = self._prepare(request)
        with sdk_errors(self.provider, call.model):
            client = await self._connections.async_client()
            async with call.limit():
                resource = self._resource(self._client_for(client, call))
                raw = await resource.with_raw_response.create(**call.arguments)
                reply = raw.parse()
                reply = await reply if inspect.isawaitable(reply) else reply
            return self._whole(reply, raw.headers, call)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer in pieces; the last chunk carries the draft. Closing the generator closes the connection."""
        call, fold = self._prepare_stream(request)
        with sdk_errors(self.provider, call.model):
            resource = self._resource(self._client_for(self._connections.client(), call))
            events = resource.create(**call.arguments)
        try:
            while (event := self._next(events, call)) is not _END:
                chunk = self._push(fold, event, call)
                if chunk is not None:
                    yield chunk
            yield self._last(fold, _headers_of(events), call)
        finally:
            events.close()

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer in pieces, without blocking the loop."""
        call, fold = self._prepare_stream(request)
        with sdk_errors(self.provider, call.model):
            client = await self._connections.async_client()
            async with call.limit():
                events = await self._resource(self._client_for(client, call)).create(**call.arguments)
        try:
            while (event := await self._anext(events, call)) is not _END:
                chunk = self._push(fold, event, call)
                if chunk is not None:
                    yield chunk
            yield self._last(fold, _headers_of(events), call)
        finally:
            await events.close()

    def close(self) -> None:
        """Release the connections; idempotent. The model may be used again afterwards."""
        self._connections.close()

    async def aclose(self) -> None:
        """Release the connections, waiting for those of the running loop; idempotent."""
        await self._connections.aclose()

    def __enter__(self) -> Self:
        """The model itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the model."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Without what cannot be pickled."""
        return {name: value for name, value in self.__dict__.items() if name != "_connections"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """As it was, with everything closed."""
        self.__dict__.update(state)
        self._connections = Connections(self._open_client, self._open_async_client)

    # ------------------------------------------------------------------------------------- steps

    def _prepare(self, request: Request, *, stream: bool = False) -> Call:
        body, arguments = self._payload(request)
        if stream:
            body = {**self._stream_options(), **body}
        limit_s = request.constraints.max_latency_s
        timeout_s = self._timeout_s if limit_s is None else max(limit_s, 1e-3)
        model, messages = body.pop("model"), body.pop("messages")
        required = {name: body.pop(name) for name in ("max_tokens",) if name in body and self.provider == "anthropic"}
        started = time.perf_counter()
        return Call(
            model=model,
            request=request,
            arguments={
                "model": model,
                "messages": messages,
                "stream": stream,
                "timeout": timeout_s,
                "extra_body": body,
                **required,
                **arguments,
            },
            timeout_s=timeout_s,
            deadline=None if limit_s is None else started + timeout_s,
            started=started,
        )

    def _prepare_stream(self, request: Request) -> tuple[Call, StreamFold]:
        call = self._prepare(request, stream=True)
        return call, self._fold(call)

    def _client_for(self, client: Any, call: Call) -> Any:
        """With a deadline the SDK does not retry by itself: its waiting could outlast the time that is left."""
        retries = 0 if call.deadline is not None else self._max_retries
        return client if retries == 0 else client.with_options(max_retries=retries)

    def _next(self, events: Any, call: Call) -> Any:
        self._check_deadline(call)
        with sdk_errors(self.provider, call.model):
            return next(events, _END)

    async def _anext(self, events: Any, call: Call) -> Any:
        self._check_deadline(call)
        with sdk_errors(self.provider, call.model):
            async with call.limit():
                return await anext(events, _END)

    def _check_deadline(self, call: Call) -> None:
        if call.remaining_s is not None and call.remaining_s <= 0:
            message = f"{self.provider}, model {call.model!r}: the stream outlasted the {call.timeout_s:g} s allowed"
            raise ProviderTimeoutError(message, provider=self.provider, model=call.model)

    def _push(self, fold: StreamFold, event: Any, call: Call) -> Chunk | None:
        with sdk_errors(self.provider, call.model):
            return fold.push(_body_of(event, self.provider, call.model))

    def _last(self, fold: StreamFold, headers: Mapping[str, str], call: Call) -> Chunk:
        with sdk_errors(self.provider, call.model):
            return Chunk(draft=self._draft(fold.finish(), headers, call))

    def _whole(self, reply: Any, headers: Mapping[str, str], call: Call) -> Draft:
        return self._draft(self._read(_body_of(reply, self.provider, call.model), call), headers, call)

    def _draft(self, reply: Reply, headers: Mapping[str, str], call: Call) -> Draft:
        usage = reply.usage or _estimated_usage(call.request, reply)
        cost = self._cost(usage, reply, call)
        estimated = {} if reply.usage else {"usage_estimated": True}
        return Draft(
            member=self._id,
            model=reply.model,
            message=Message(role="assistant", content=reply.content, tool_calls=reply.tool_calls),
            usage=replace(usage, cost_usd=cost),
            finish_reason=reply.finish_reason,
            latency_s=time.perf_counter() - call.started,
            logprobs=reply.logprobs,
            metadata={"model_name": reply.model, "model_provider": self.provider, **reply.metadata, **estimated},
            rest_s=read_rest(headers),
        )

    def _cost(self, usage: Usage, reply: Reply, call: Call) -> float | None:
        """Priced by the name reported, else by the name asked for (servers may report a path or an alias)."""
        costs = (
            cost_of(usage, name, self._prices, cache_write_tokens=reply.cache_write_tokens)
            for name in (reply.model, call.model)
        )
        return next((cost for cost in costs if cost is not None), None)


def _headers_of(events: Any) -> Mapping[str, str]:
    """The headers of a stream's response."""
    headers: Mapping[str, str] = getattr(getattr(events, "response", None), "headers", None) or {}
    return headers


def _body_of(reply: Any, provider: str, model: str) -> Mapping[str, Json]:
    """The JSON of an SDK's object. A reply with another content type comes as a plain string."""
    if hasattr(reply, "model_dump"):
        reply = reply.model_dump(exclude_unset=True, warnings=False)
    if not isinstance(reply, Mapping):
        message = f"{provider}, model {model!r}: the reply is not a JSON object"
        raise MalformedReplyError(message, provider=provider, model=model)
    return reply


def _estimated_usage(request: Request, reply: Reply) -> Usage:
    text = Message(role="assistant", content=reply.content).text
    calls = "".join(f"{call.name}{dict(call.arguments)}" for call in reply.tool_calls)
    tokens = estimate_text_tokens(text + calls)
    return Usage(input_tokens=estimate_input_tokens(request), output_tokens=tokens, calls=1, cost_usd=None)


def _public_url(url: str | None) -> str | None:
    """An address without user, password, query and trailing slash."""
    if url is None:
        return None
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}".rstrip("/")
