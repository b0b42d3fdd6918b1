"""From the providers' replies to drafts, over the wire and event by event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from leo_core.errors import ConfigError, MalformedReplyError, ProviderUnavailableError
from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.anthropic_reply import AnthropicStream, read_anthropic_reply
from leo_core.providers.openai import OpenAIModel
from leo_core.providers.openai_reply import OpenAIStream, read_openai_reply
from leo_core.providers.sdk_errors import read_retry_after, translate_sdk_error
from leo_core.records import Capabilities, Chunk, Draft, Request, Sampling
from tests.contracts.model import ModelContract, ask
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply, ToolUse
from tests.servers.openai_server import OpenAIServer

ADD = {
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
}
TWO = (ToolUse(name="add", arguments={"a": 1}, id="x"), ToolUse(name="add", arguments={"a": 2, "é": "ü"}, id="y"))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A server."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def anthropic_server() -> Iterator[AnthropicServer]:
    """A server."""
    with AnthropicServer() as server:
        yield server


@pytest.fixture
def gpt(openai_server: OpenAIServer) -> Iterator[OpenAIModel]:
    """A model."""
    with OpenAIModel("gpt-5-mini", base_url=openai_server.base_url, api_key="k") as model:
        yield model


@pytest.fixture
def claude(anthropic_server: AnthropicServer) -> Iterator[AnthropicModel]:
    """A model."""
    with AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k") as model:
        yield model


def both_ways(model: OpenAIModel | AnthropicModel, request: Request) -> tuple[Draft, Draft, list[Chunk]]:
    """The draft whole and streamed, and the chunks."""
    chunks = list(model.stream(request))
    return model.generate(request), ModelContract.whole(chunks), chunks


def deltas(chunks: list[Chunk]) -> dict[int, dict[str, str]]:
    """Tool calls put together from the deltas by their index."""
    calls: dict[int, dict[str, str]] = {}
    for delta in (delta for chunk in chunks for delta in chunk.tool_calls):
        call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
        call["id"] += delta.id or ""
        call["name"] += delta.name or ""
        call["arguments"] += delta.arguments
    return calls


@pytest.mark.parametrize("which", ["gpt", "claude"])
def test_parallel_tool_calls(which: str, request: pytest.FixtureRequest) -> None:
    """Ids, names and arguments, whole and from deltas with a stable index."""
    model = request.getfixturevalue(which)
    request.getfixturevalue({"gpt": "openai_server", "claude": "anthropic_server"}[which]).brain = lambda _: Reply(
        text="I add.", tool_uses=TWO
    )
    whole, streamed, chunks = both_ways(model, ask("?", tools=(ADD,)))
    for draft in (whole, streamed):
        calls = [(call.id, call.name, dict(call.arguments)) for call in draft.message.tool_calls]
        assert calls == [("x", "add", {"a": 1}), ("y", "add", {"a": 2, "é": "ü"})]
        assert draft.finish_reason == "tool_calls"
        assert draft.text == "I add."
    pieced = deltas(chunks)
    assert [pieced[index]["id"] for index in (0, 1)] == ["x", "y"]
    assert [json.loads(pieced[index]["arguments"]) for index in (0, 1)] == [{"a": 1}, {"a": 2, "é": "ü"}]


@pytest.mark.parametrize("which", ["gpt", "claude"])
def test_no_arguments(which: str, request: pytest.FixtureRequest) -> None:
    """A call without arguments has an empty mapping."""
    model = request.getfixturevalue(which)
    tool = {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}
    for draft in both_ways(model, ask("?", tools=(tool,), tool_choice="any"))[:2]:
        assert [dict(call.arguments) for call in draft.message.tool_calls] == [{}]


def test_openai_usage_cost_and_facts(gpt: OpenAIModel, openai_server: OpenAIServer) -> None:
    """Cached and reasoning tokens, the price of the model, and the provider's facts."""
    openai_server.brain = lambda _: Reply(
        text="Yes.",
        model="gpt-5-mini-2025-08-07",
        usage={
            "prompt_tokens": 1_000,
            "completion_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 400},
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
    )
    for draft in both_ways(gpt, ask("?", options={"logprobs": True}))[:2]:
        usage = draft.usage
        assert (usage.input_tokens, usage.output_tokens) == (1_000, 100)
        assert (usage.cached_input_tokens, usage.reasoning_tokens, usage.calls) == (400, 60, 1)
        assert usage.cost_usd == pytest.approx((600 * 0.25 + 400 * 0.025 + 100 * 2.0) / 1e6)
        assert draft.model == draft.metadata["model_name"] == "gpt-5-mini-2025-08-07"
        assert draft.metadata["system_fingerprint"] == "fp_loopback"
        assert draft.metadata["id"]
        assert draft.logprobs == (-0.25,)
        json.dumps(dict(draft.metadata))


def test_anthropic_usage_cost_and_facts(claude: AnthropicModel, anthropic_server: AnthropicServer) -> None:
    """Cached and newly cached tokens are part of the input, each at its own price."""
    anthropic_server.brain = lambda _: Reply(
        text="Yes.",
        usage={
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_read_input_tokens": 400,
            "cache_creation_input_tokens": 200,
        },
    )
    for draft in both_ways(claude, ask("?"))[:2]:
        assert (draft.usage.input_tokens, draft.usage.cached_input_tokens) == (700, 400)
        assert draft.usage.cost_usd == pytest.approx((100 * 1.0 + 400 * 0.1 + 200 * 1.25 + 50 * 5.0) / 1e6)
        assert draft.metadata["finish_reason"] == "end_turn"
        json.dumps(dict(draft.metadata))


def test_unknown_price_is_unknown(openai_server: OpenAIServer) -> None:
    """Not zero; the user's own price is used where given; a model override is priced as itself."""
    with OpenAIModel("house-model", base_url=openai_server.base_url, api_key="k") as model:
        assert model.generate(ask("?")).usage.cost_usd is None
        assert model.estimate(ask("?")).cost_usd is None
        assert model.generate(ask("?", model="gpt-5-mini")).usage.cost_usd is not None
    prices = {"house-model": {"input": 1.0, "output": 0.0}}
    with OpenAIModel("house-model", base_url=openai_server.base_url, api_key="k", prices=prices) as model:
        draft = model.generate(ask("?"))
        assert draft.usage.cost_usd == pytest.approx(draft.usage.input_tokens / 1e6)


def test_usage_that_is_not_reported(openai_server: OpenAIServer) -> None:
    """A stream without usage is estimated and says so."""
    with OpenAIModel("gpt-5-mini", base_url=openai_server.base_url, api_key="k", stream_usage=False) as model:
        draft = ModelContract.whole(list(model.stream(ask("?"))))
    assert "stream_options" not in openai_server.requests[0].body
    assert draft.metadata["usage_estimated"] is True
    assert draft.usage.output_tokens > 0
    assert draft.usage.cost_usd is not None


def test_thinking(
    claude: AnthropicModel, anthropic_server: AnthropicServer, gpt: OpenAIModel, openai_server: OpenAIServer
) -> None:
    """Reasoning comes as a standard block, once, and goes back signed."""
    anthropic_server.brain = openai_server.brain = lambda _: Reply(text="Yes.", thinking="Let me see.")
    for model, extra in ((claude, {"extras": {"signature": "c2lnbmVk"}}), (gpt, {})):
        block = {"type": "reasoning", "reasoning": "Let me see.", **extra}
        whole, streamed, chunks = both_ways(model, ask("?"))
        for draft in (whole, streamed):
            assert draft.message.content == (block, {"type": "text", "text": "Yes."})
        assert [shown for chunk in chunks for shown in chunk.blocks] == [block]
        again = Request(messages=(*ask("?").messages, whole.message, *ask("Go on.").messages))
        assert model.generate(again).text == "Yes."


@pytest.mark.parametrize("how", ["native", "tool"])
def test_structured_output(anthropic_server: AnthropicServer, gpt: OpenAIModel, how: Any) -> None:
    """The answer is JSON text, whichever way it was asked for."""
    request = ask("Where is 'Paris'?", response_format={"type": "json_schema", "name": "place", "schema": SCHEMA})
    with AnthropicModel(
        "claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k", structured_output=how
    ) as claude:
        for model in (claude, gpt):
            for draft in both_ways(model, request)[:2]:
                assert json.loads(draft.text) == {"city": "Paris"}
                assert draft.message.tool_calls == ()
                assert draft.finish_reason == "stop"
    assert anthropic_server.requests[0].body["stream"] is True


@pytest.mark.parametrize("which", ["gpt", "claude"])
def test_finish_reasons(which: str, request: pytest.FixtureRequest) -> None:
    """The limit of tokens, stop sequences, and the provider's own words."""
    model = request.getfixturevalue(which)
    server = request.getfixturevalue({"gpt": "openai_server", "claude": "anthropic_server"}[which])
    for draft in both_ways(model, ask("?", sampling=Sampling(max_tokens=2)))[:2]:
        assert draft.finish_reason == "length"
    for draft in both_ways(model, ask("?", sampling=Sampling(stop=("short",))))[:2]:
        assert draft.finish_reason == "stop"
        assert "short" not in draft.text
    for native, neutral in (
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ):
        server.brain = lambda _, native=native: Reply(text="No.", finish_reason=native)
        expected = native if which == "gpt" else neutral
        assert model.generate(ask("?")).finish_reason == expected


def test_several_choices(gpt: OpenAIModel) -> None:
    """The first choice is the answer; the others are kept as alternatives."""
    for draft in both_ways(gpt, ask("?", options={"n": 3}))[:2]:
        assert draft.metadata["alternatives"] == [draft.text] * 2
    assert gpt.estimate(ask("?", options={"n": 3})).output_tokens == 3 * gpt.estimate(ask("?")).output_tokens


def test_limits_by_server(openai_server: OpenAIServer) -> None:
    """OpenAI itself takes ``max_completion_tokens``, a compatible server ``max_tokens``."""
    with OpenAIModel("m", base_url=openai_server.base_url, api_key="k") as model:
        model.generate(ask("?", sampling=Sampling(max_tokens=5)))
    assert openai_server.requests[0].body["max_tokens"] == 5
    official = OpenAIModel("m", api_key="k")
    assert official._payload(ask("?", sampling=Sampling(max_tokens=5)))[0]["max_completion_tokens"] == 5
    assert official.capabilities == Capabilities(audio=False)
    assert OpenAIModel("gpt-audio-mini", api_key="k").capabilities.audio


def test_connections_are_kept(anthropic_server: AnthropicServer) -> None:
    """One client serves all calls of a loop, and closing leaves nothing behind."""

    async def main(model: AnthropicModel) -> None:
        await asyncio.gather(*(model.agenerate(ask("?")) for _ in range(4)))
        first = await model._connections.async_client()
        assert await model._connections.async_client() is first
        await model.aclose()
        assert await model._connections.async_client() is not first

    with AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k") as model:
        asyncio.run(main(model))
        assert not model._connections._by_loop


def test_close_from_outside_the_loop(anthropic_server: AnthropicServer) -> None:
    """A loop that stands still, and one that runs in another thread."""
    model = AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(model.agenerate(ask("?")))
    model.close()
    loop.run_until_complete(model.agenerate(ask("?")))

    async def main() -> None:
        await asyncio.to_thread(model.close)
        await asyncio.sleep(0.05)

    loop.run_until_complete(main())
    loop.run_until_complete(model.agenerate(ask("?")))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.run(model.agenerate(ask("?")))
    model.close()


# ------------------------------------------------------------------------------------ event by event


def openai_fold(*events: dict[str, Any]) -> tuple[OpenAIStream, list[Chunk]]:
    """Fold events."""
    fold = OpenAIStream(provider="openai", model="m")
    return fold, [chunk for event in events if (chunk := fold.push(event)) is not None]


def choice(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """An event with one choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(
    index: int | None, identity: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    """An event with one piece of a tool call."""
    return choice(tool_calls=[{"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}])


@pytest.mark.parametrize(
    "events",
    [
        (piece(0, "a", "f", "{"), piece(1, "b", "g", "{"), piece(0, None, None, "}"), piece(1, None, None, "}")),
        (piece(0, "a", "f", "{}"), piece(0, "b", "g", "{"), piece(0, None, None, "}")),
        (piece(None, "a", "f", "{}"), piece(None, "b", "g", "{"), piece(None, None, None, "}")),
        (piece(0, "a", "f", "{"), piece(0, "a", "f", "}"), piece(1, "b", "g", "{"), piece(1, "b", None, "}")),
        (piece(3, "a", "f", "{}"), piece(5, "b", "g", "{}")),
    ],
    ids=["interleaved", "all zero", "no index", "id repeated", "gaps"],
)
def test_numbering_of_calls(events: tuple[dict[str, Any], ...]) -> None:
    """Servers number their calls in several ways; ours are 0, 1, …."""
    fold, chunks = openai_fold(*events, choice("tool_calls"))
    assert [(call.id, call.name) for call in fold.finish().tool_calls] == [("a", "f"), ("b", "g")]
    assert sorted(deltas(chunks)) == [0, 1]


def test_calls_without_ids() -> None:
    """A server that gives no ids gets some."""
    fold, _ = openai_fold(piece(0, None, "f", "null"), piece(1, None, "g", " "), choice("function_call"))
    reply = fold.finish()
    assert [(call.id, dict(call.arguments)) for call in reply.tool_calls] == [("call_0", {}), ("call_1", {})]
    assert reply.finish_reason == "tool_calls"


def test_cut_off_call_says_so() -> None:
    """A call cut off at the limit is malformed, and the message says why."""
    fold, _ = openai_fold(piece(0, "a", "f", '{"x": '), choice("length"))
    with pytest.raises(MalformedReplyError, match="limit of tokens"):
        fold.finish()


def test_openai_ends() -> None:
    """Nothing, nothing but a head, and half a reply."""
    with pytest.raises(MalformedReplyError, match="empty"):
        openai_fold()[0].finish()
    with pytest.raises(MalformedReplyError, match="choices"):
        openai_fold({"id": "1", "choices": []})[0].finish()
    with pytest.raises(ProviderUnavailableError, match="ended"):
        openai_fold(choice(content="a"))[0].finish()
    with pytest.raises(MalformedReplyError):
        read_openai_reply({"choices": [{"message": None}]}, provider="openai", model="m")


def test_refusal_and_audio() -> None:
    """A refusal is text that the metadata marks; audio is kept in the metadata."""
    body = {
        "choices": [{"message": {"content": None, "refusal": "No.", "audio": {"id": "a"}}, "finish_reason": "stop"}]
    }
    reply = read_openai_reply(body, provider="openai", model="m")
    assert reply.content == reply.metadata["refusal"] == "No."
    assert reply.metadata["audio"] == {"id": "a"}
    assert reply.usage is None
    assert reply.model == "m"


def test_anthropic_ends() -> None:
    """Nothing, half a reply, and a reply without its content."""
    with pytest.raises(MalformedReplyError, match="empty"):
        AnthropicStream(provider="anthropic", model="m").finish()
    fold = AnthropicStream(provider="anthropic", model="m")
    fold.push({"type": "message_start", "message": {"id": "1"}})
    with pytest.raises(ProviderUnavailableError, match="ended"):
        fold.finish()
    for body in ({}, {"content": []}, {"content": "text", "stop_reason": "end_turn"}):
        with pytest.raises(MalformedReplyError):
            read_anthropic_reply(body, provider="anthropic", model="m")


def test_anthropic_other_blocks() -> None:
    """Citations stay with their text; blocks without a standard form are wrapped and come back."""
    cited = {"type": "text", "text": "Yes.", "citations": [{"cited_text": "y"}]}
    search = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    body = {"content": [search, cited], "stop_reason": "max_tokens", "usage": {}}
    reply = read_anthropic_reply(body, provider="anthropic", model="m")
    assert reply.content == ({"type": "non_standard", "value": search}, cited)
    assert (reply.usage, reply.finish_reason) == (None, "length")
    fold = AnthropicStream(provider="anthropic", model="m")
    fold.push({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for citation in ({"cited_text": "x"}, {"cited_text": "y"}):
        fold.push(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": citation}}
        )
    fold.push({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    (block,) = fold.finish().content
    assert isinstance(block, dict)
    assert len(block["citations"]) == 2


def test_anthropic_cut_off_call() -> None:
    """A call cut off at the limit is malformed, and the message says why."""
    fold = AnthropicStream(provider="anthropic", model="m")
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    fold.push({"type": "content_block_start", "index": 0, "content_block": use})
    fold.push({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}})
    fold.push({"type": "content_block_stop", "index": 0})
    fold.push({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}})
    with pytest.raises(MalformedReplyError, match="limit of tokens"):
        fold.finish()


# --------------------------------------------------------------------------------------------- errors


def test_retry_after_forms() -> None:
    """Milliseconds, seconds, a date, and nonsense."""
    assert read_retry_after({"retry-after-ms": "1500"}) == 1.5
    assert read_retry_after({"retry-after": "2"}) == 2.0
    assert read_retry_after({"retry-after": "-2"}) == 0.0
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert read_retry_after({"retry-after": later}) == pytest.approx(60, abs=5)
    assert read_retry_after({"retry-after": "Mon, 01 Jan 2001 00:00:00 -0000"}) == 0.0
    for nonsense in ({}, {"retry-after": "soon"}, {"retry-after": "inf"}, {"retry-after-ms": "x"}):
        assert read_retry_after(nonsense) is None


def test_unknown_errors() -> None:
    """What no rule knows is an unavailable provider; error bodies decide by their type."""
    error = translate_sdk_error(RuntimeError("sk-secret"), provider="p", model="m")
    assert type(error) is ProviderUnavailableError
    assert "sk-secret" not in str(error)
    with_body = RuntimeError("x")
    with_body.body = {"error": {"type": "rate_limit_error", "message": "private"}}
    error = translate_sdk_error(with_body, provider="p", model="m")
    assert type(error).__name__ == "RateLimitError"
    assert "private" not in str(error)
    assert type(translate_sdk_error(TimeoutError(), provider="p", model="m")).__name__ == "ProviderTimeoutError"


def test_usage_of_calls_is_estimated_too(openai_server: OpenAIServer) -> None:
    """A tool call that is not counted by the server is counted by us."""
    with OpenAIModel("gpt-5-mini", base_url=openai_server.base_url, api_key="k", stream_usage=False) as model:
        draft = ModelContract.whole(list(model.stream(ask("Add 3 and 4", tools=(ADD,), tool_choice="any"))))
    assert draft.message.tool_calls
    assert draft.usage.output_tokens >= 5


def test_settings_of_anthropic(anthropic_server: AnthropicServer) -> None:
    """Its own settings have their ranges; a key may come in a header; only one client is opened per loop."""
    for options in ({"max_tokens": 0}, {"structured_output": "xml"}):
        with pytest.raises(ConfigError):
            AnthropicModel("claude-haiku-4-5", api_key="k", **options)
    with AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, auth_token="k", max_tokens=1) as model:
        assert model.generate(ask("?")).finish_reason == "length"
        assert model.estimate(ask("?")).output_tokens >= 1


async def test_close_spares_what_was_opened_after_it(anthropic_server: AnthropicServer) -> None:
    """Closing inside a loop works a moment later, and only on what was open at the time."""
    model = AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k")
    await model.agenerate(ask("?"))
    first = await model._connections.async_client()
    model.close()
    second = await model._connections.async_client()
    await asyncio.sleep(0.05)
    assert first.is_closed()
    assert not second.is_closed()
    assert await model._connections.async_client() is second
    await model.aclose()
    assert second.is_closed()


async def test_one_client_for_tasks_that_start_together(anthropic_server: AnthropicServer) -> None:
    """Tasks that open at once share one client; the spare ones are closed."""
    with AnthropicModel("claude-haiku-4-5", base_url=anthropic_server.base_url, api_key="k") as model:
        clients = await asyncio.gather(*(model._connections.async_client() for _ in range(5)))
        assert len({id(client) for client in clients}) == 1
        assert not clients[0].is_closed()
        await model.aclose()
