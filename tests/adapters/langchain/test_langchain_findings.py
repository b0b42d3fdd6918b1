"""Measured defects of the obvious implementation: each is shown on a naive one, which LEO's must not share."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.runnables import RunnablePassthrough
from langgraph.graph.message import add_messages

from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Request
from leo_langchain import LEOCache, LEOChatModel, tenant
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.servers.brain import Asked, Reply
from tests.servers.openai_server import OpenAIServer

QUESTION = "Name a colour."


class Naive(BaseChatModel):
    """The obvious wrapper: it calls its member's ``invoke``."""

    inner: Any

    @property
    def _llm_type(self) -> str:
        return "naive"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.inner.invoke(messages, stop=stop, **kwargs))])


class Starts(BaseCallbackHandler):
    """Counts chat model runs."""

    def __init__(self) -> None:
        self.count = 0

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.count += 1


class CountingCache(InMemoryCache):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = self.updates = 0

    def lookup(self, prompt: str, llm_string: str) -> Any:
        self.lookups += 1
        return super().lookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self.updates += 1
        super().update(prompt, llm_string, return_val)


@pytest.fixture
def leo(openai: OpenAIServer) -> Iterator[LEOChatModel]:
    with LEOChatModel(small=chat_openai(openai.base_url)) as model:
        yield model


def total(handler: UsageMetadataCallbackHandler) -> int:
    return sum(usage["total_tokens"] for usage in handler.usage_metadata.values())


# ------------------------------------------------------------------------------------ finding 1: one run, one count


class TestAMemberIsNotARunOfItsOwn:
    """Finding 1."""

    def test_naive_fires_twice_and_counts_twice(self, openai: OpenAIServer) -> None:
        starts, usage = Starts(), UsageMetadataCallbackHandler()
        chain = Naive(inner=chat_openai(openai.base_url)) | RunnablePassthrough()
        message = chain.invoke(QUESTION, config={"callbacks": [starts, usage]})
        assert starts.count == 2
        assert total(usage) == 2 * message.usage_metadata["total_tokens"]

    def test_leo_fires_once_and_counts_once(self, leo: LEOChatModel) -> None:
        starts, usage = Starts(), UsageMetadataCallbackHandler()
        message = (leo | RunnablePassthrough()).invoke(QUESTION, config={"callbacks": [starts, usage]})
        assert starts.count == 1
        assert total(usage) == message.usage_metadata["total_tokens"] > 0

    async def test_leo_fires_once_in_every_way_of_asking(self, leo: LEOChatModel) -> None:
        ways = 0
        for cached in (False, True):
            for route in ("small", None):
                starts = Starts()
                config: Any = {"callbacks": [starts]}
                chain = leo.bind(cache=cached, route=route) | RunnablePassthrough()
                chain.invoke("one", config)
                await chain.ainvoke("two", config)
                list(chain.stream("three", config))
                [_ async for _ in chain.astream("four", config)]
                ways += 4
                assert starts.count == 4
        assert ways == 16

    def test_the_member_does_not_reach_the_ambient_usage_callback(self, leo: LEOChatModel) -> None:
        """``invoke(config={"callbacks": []})`` on the member would still reach handlers in context variables."""
        member = leo.small
        with get_usage_metadata_callback() as naive:
            message = Naive(inner=member).invoke(QUESTION)
        assert total(naive) == 2 * message.usage_metadata["total_tokens"]
        with get_usage_metadata_callback() as ours:
            message = leo.invoke(QUESTION)
        assert total(ours) == message.usage_metadata["total_tokens"]

    def test_the_member_does_not_touch_the_global_cache(self, openai: OpenAIServer) -> None:
        naive, ours = CountingCache(), CountingCache()
        set_llm_cache(naive)
        Naive(inner=chat_openai(openai.base_url)).invoke(QUESTION)
        assert (naive.lookups, naive.updates) == (2, 2)
        set_llm_cache(ours)
        with LEOChatModel(small=chat_openai(openai.base_url)) as model:
            model.invoke(QUESTION)
        assert (ours.lookups, ours.updates) == (0, 0)


# ----------------------------------------------------------------------------------- finding 3: streams and the cache


class TestAStreamIsServedFromTheCache:
    """Finding 3."""

    def test_naive_stream_asks_again(self, openai: OpenAIServer) -> None:
        set_llm_cache(InMemoryCache())
        model = chat_openai(openai.base_url)
        model.invoke(QUESTION)
        list(model.stream(QUESTION))
        assert len(openai.requests) == 2

    def test_leo_stream_is_a_hit_in_chunks(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        cold = leo.invoke(QUESTION)
        chunks = list(leo.stream(QUESTION))
        assert len(openai.requests) == 1
        assert len(chunks) > 2
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert whole.text == cold.text
        assert whole.response_metadata["leo"]["cache"]["hit"]
        assert whole.usage_metadata["total_tokens"] == 0
        assert whole.response_metadata["leo"]["saved_usage"]["total_tokens"] == cold.usage_metadata["total_tokens"]

    async def test_leo_async_stream_is_a_hit(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        cold = await leo.ainvoke(QUESTION)
        text = "".join([chunk.text async for chunk in leo.astream(QUESTION)])
        assert (text, len(openai.requests)) == (cold.text, 1)

    def test_what_was_streamed_serves_invoke(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        text = "".join(chunk.text for chunk in leo.stream(QUESTION))
        hit = leo.invoke(QUESTION)
        assert (hit.text, len(openai.requests)) == (text, 1)
        assert hit.response_metadata["leo"]["route"] == "cache"

    @pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning")
    async def test_events_v3_are_served_from_the_cache(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        naive = chat_openai(openai.base_url)
        set_llm_cache(InMemoryCache())
        naive.invoke(QUESTION)
        _ = naive.stream_events(QUESTION, version="v3").output
        assert len(openai.requests) == 2

        cold = leo.invoke(QUESTION)
        stream = leo.stream_events(QUESTION, version="v3")
        assert next(event["event"] for event in stream) == "message-start"
        assert stream.output.text == cold.text
        assert stream.output.response_metadata["leo"]["cache"]["hit"]
        astream = await leo.astream_events(QUESTION, version="v3")
        assert (await astream.output).text == cold.text
        assert len(openai.requests) == 3

    async def test_events_v2_are_served_from_the_cache(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        leo.invoke(QUESTION)
        kinds = [event["event"] async for event in leo.astream_events(QUESTION, version="v2")]
        assert kinds[0] == "on_chat_model_start"
        assert kinds[-1] == "on_chat_model_end"
        assert kinds.count("on_chat_model_stream") > 2
        assert len(openai.requests) == 1


# -------------------------------------------------------------------------------------------- finding 4: fresh ids


def two_turns(model: Any) -> list[str]:
    """The kinds of messages after the same question was asked twice in one conversation of LangGraph."""
    state: list[AnyMessage] = []
    for _ in range(2):
        state = add_messages(state, [HumanMessage(QUESTION, id=uuid4().hex)])
        state = add_messages(state, [model.invoke([HumanMessage(QUESTION)])])
    return [message.type for message in state]


class TestAHitIsANewMessage:
    """Finding 4."""

    def test_naive_hit_replaces_the_earlier_answer(self, openai: OpenAIServer) -> None:
        set_llm_cache(InMemoryCache())
        assert two_turns(chat_openai(openai.base_url)) == ["human", "ai", "human"]

    def test_leo_hit_is_added(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        assert two_turns(leo) == ["human", "ai", "human", "ai"]
        assert len(openai.requests) == 1

    def test_leo_cache_hit_is_added(self, openai: OpenAIServer) -> None:
        with LEOCache() as cache:
            set_llm_cache(cache)
            assert two_turns(chat_openai(openai.base_url)) == ["human", "ai", "human", "ai"]
        assert len(openai.requests) == 1

    def test_ids_of_blocks_are_dropped_and_links_to_tools_stay(self) -> None:
        content: list[Any] = [
            {"type": "reasoning", "id": "rs_1", "reasoning": "hm"},
            {"type": "text", "id": "msg_1", "text": "so"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        ]
        calls = [{"name": "f", "args": {}, "id": "call_1", "type": "tool_call"}]
        message = AIMessage(content, id="run-1", tool_calls=calls, response_metadata={"id": "resp_1"})
        with LEOCache() as cache:
            cache.update("[]", "model", [ChatGeneration(message=message)])
            (hit,), (other,) = (cache.lookup("[]", "model") or [] for _ in range(2))
        assert isinstance(hit, ChatGeneration)
        assert len({message.id, hit.message.id, other.message.id}) == 3, "every hit is a message of its own"
        assert "id" not in hit.message.response_metadata
        assert [block.get("id") for block in hit.message.content] == [None, None, "call_1"]
        assert hit.message.tool_calls[0]["id"] == "call_1"
        assert (message.id, message.content[0]["id"]) == ("run-1", "rs_1"), "the caller's own message is untouched"


# ------------------------------------------------------------------------------------- finding 5: keys of turn two


def two_turn_chat(model: Any) -> None:
    first = model.invoke([HumanMessage("first?")])
    model.invoke([HumanMessage("first?"), first, HumanMessage("second?")])


class TestAReplayedConversationHitsInEveryTurn:
    """Finding 5."""

    def test_naive_replay_misses_turn_two(self, openai: OpenAIServer) -> None:
        set_llm_cache(InMemoryCache())
        two_turn_chat(chat_openai(openai.base_url))
        two_turn_chat(chat_openai(openai.base_url))
        assert len(openai.requests) == 3

    def test_leo_replay_hits(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        two_turn_chat(leo)
        two_turn_chat(leo)
        assert len(openai.requests) == 2

    def test_leo_cache_replay_hits(self, openai: OpenAIServer) -> None:
        with LEOCache() as cache:
            set_llm_cache(cache)
            two_turn_chat(chat_openai(openai.base_url))
            two_turn_chat(chat_openai(openai.base_url))
            assert cache.counts["cache.hit"] == 2
        assert len(openai.requests) == 2

    def test_the_history_is_part_of_the_key(self, openai: OpenAIServer) -> None:
        with LEOCache() as cache:
            set_llm_cache(cache)
            model = chat_openai(openai.base_url)
            for history in ("I like tea.", "I like coffee."):
                model.invoke([HumanMessage(history), AIMessage("Noted."), HumanMessage("What do I like?")])
        assert len(openai.requests) == 2

    def test_v1_content_and_plain_text_have_one_key(self, openai: OpenAIServer) -> None:
        with LEOChatModel(small=chat_openai(openai.base_url)) as model:
            model.invoke([HumanMessage("a"), AIMessage("b"), HumanMessage("c")])
            blocks: list[Any] = [{"type": "text", "text": "b", "index": 0, "id": "lc_1"}]
            hit = model.invoke([HumanMessage("a"), AIMessage(blocks, id="x"), HumanMessage("c")])
        assert hit.response_metadata["leo"]["cache"]["hit"]


# ------------------------------------------------------------------------ finding 6: the key is no security boundary


class TestOneTenantNeverSeesAnothersAnswers:
    """Finding 6."""

    def test_naive_shares_between_keys(self, openai: OpenAIServer) -> None:
        set_llm_cache(InMemoryCache())
        chat_openai(openai.base_url, api_key="sk-alice").invoke(QUESTION)
        chat_openai(openai.base_url, api_key="sk-bob").invoke(QUESTION)
        assert len(openai.requests) == 1

    def test_leo_cache_separates_tenants(self, openai: OpenAIServer) -> None:
        with LEOCache() as cache:
            set_llm_cache(cache)
            for name, key in (("alice", "sk-alice"), ("bob", "sk-bob"), ("alice", "sk-alice")):
                with tenant(name):
                    chat_openai(openai.base_url, api_key=key).invoke(QUESTION)
        assert len(openai.requests) == 2

    def test_leo_separates_tenants_named_in_every_way(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        leo.invoke(QUESTION)
        leo.invoke(QUESTION, tenant="by-keyword")
        leo.invoke(QUESTION, config={"configurable": {"tenant": "by-config"}})
        list(leo.stream(QUESTION, config={"metadata": {"tenant": "by-metadata"}}))
        with tenant("by-block"):
            leo.invoke(QUESTION)
        leo.bind(tenant="by-binding").invoke(QUESTION)
        assert len(openai.requests) == 6
        assert leo.leo.store.count_entries("by-config") == 1 or leo.leo.flush()
        for way in ("by-keyword", "by-config", "by-metadata", "by-block", "by-binding", "default"):
            assert leo.invoke(QUESTION, tenant=way).response_metadata["leo"]["cache"]["hit"]
        assert len(openai.requests) == 6

    async def test_a_stream_is_the_callers_where_it_is_read_after_the_block(self, leo: LEOChatModel) -> None:
        """A web server's handler returns a stream, and it is read when the handler's block is over."""
        with tenant("acme"):
            chunks, achunks = leo.stream(QUESTION), leo.astream(QUESTION)
        list(chunks)
        async for _ in achunks:
            pass
        with tenant("globex"):
            chunks = leo.stream(QUESTION)
        with tenant("acme"):
            assert [*chunks][-1].response_metadata["leo"]["cache"]["hit"] is False
        leo.leo.flush()
        assert sorted(leo.leo.store.tenants()) == ["acme", "globex"]

    def test_a_leo_within_a_leo_separates_them_too(self) -> None:
        told: list[tuple[str, str | None, str | None]] = []

        def tell(request: Request) -> str:
            told.append((request.tenant, request.session, request.user))
            return "29 days."

        with (
            LEOChatModel(small=ScriptedModel("inner", tell)) as inner,
            LEOChatModel(small=inner, use_cache=False) as outer,
        ):
            costs = [
                outer.invoke(QUESTION, tenant=name, session="s", end_user="ann").response_metadata["leo"]["cost_usd"]
                for name in ("acme", "globex", "acme")
            ]
            list(outer.stream("And in 2029?", {"configurable": {"tenant": "initech"}}))
        assert told == [("acme", "s", "ann"), ("globex", "s", "ann"), ("initech", None, None)]
        assert costs == [0.0, 0.0, 0.0], "the inner one knows what it cost"
        with (
            LEOChatModel(small=ScriptedModel("inner", tell), tenant="own") as inner,
            LEOChatModel(small=inner, use_cache=False) as outer,
        ):
            outer.invoke(QUESTION)
        assert told[-1][0] == "own", "nobody named another"

    def test_leo_separates_tenants_of_a_block_in_generate(self, leo: LEOChatModel, openai: OpenAIServer) -> None:
        leo.generate([[HumanMessage(QUESTION)]])
        with tenant("acme"):
            leo.generate([[HumanMessage(QUESTION)]])
        assert len(openai.requests) == 2

    def test_naive_does_not_notice_a_changed_temperature(self, openai: OpenAIServer) -> None:
        set_llm_cache(InMemoryCache())
        model = chat_openai(openai.base_url, temperature=0.0)
        model.invoke(QUESTION)
        model.temperature = 1.0
        model.invoke(QUESTION)
        assert len(openai.requests) == 1

    def test_leo_notices_a_changed_temperature(self, openai: OpenAIServer) -> None:
        with LEOChatModel(small=chat_openai(openai.base_url), temperature=0.0) as model:
            model.invoke(QUESTION)
            model.temperature = 1.0
            model.invoke(QUESTION)
        assert [request.body["temperature"] for request in openai.requests] == [0.0, 1.0]


# --------------------------------------------------------- finding 7: what semantic caches leave open: scope, poison


class NearestWord(BaseCache):
    """A semantic cache of the usual kind: the nearest prompt over a threshold, whatever else was asked."""

    def __init__(self, threshold: float = 0.8) -> None:
        self.rows: list[tuple[set[str], bytes]] = []
        self.threshold = threshold

    def lookup(self, prompt: str, llm_string: str) -> Any:
        words = self._words(prompt)
        scored = [(len(words & kept) / len(words | kept), row) for kept, row in self.rows]
        best = max(scored, default=(0.0, b""), key=lambda item: item[0])
        return pickle.loads(best[1]) if best[0] >= self.threshold else None

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        self.rows.append((self._words(prompt), pickle.dumps(list(return_val))))

    def clear(self, **_: Any) -> None:
        self.rows.clear()

    @staticmethod
    def _words(prompt: str) -> set[str]:
        return set(re.findall(r"\w+", prompt.lower()))


def february(asked: Asked) -> Reply:
    return Reply(text="29 days." if "2028" in asked.question else "28 days.")


class TestASemanticHitStaysInItsScope:
    """Finding 7."""

    def ask_both_years(self, url: str) -> list[str]:
        model = chat_openai(url)
        return [model.invoke(f"How many days has February in {year}?").text for year in (2027, 2028)]

    def test_naive_serves_last_years_answer(self) -> None:
        with OpenAIServer(february) as server:
            set_llm_cache(NearestWord())
            assert self.ask_both_years(server.base_url) == ["28 days.", "28 days."]

    def test_leo_cache_does_not(self) -> None:
        with OpenAIServer(february) as server, LEOCache(max_wrong_hits=0.05) as cache:
            set_llm_cache(cache)
            for _ in range(10):
                assert self.ask_both_years(server.base_url) == ["28 days.", "29 days."]
            assert len(server.requests) == 2

    def test_naive_serves_another_models_answer(self, openai: OpenAIServer) -> None:
        set_llm_cache(NearestWord())
        chat_openai(openai.base_url, model="gpt-a").invoke(QUESTION)
        chat_openai(openai.base_url, model="gpt-b").invoke(QUESTION)
        assert len(openai.requests) == 1

    def test_leo_cache_keeps_models_parameters_and_tools_apart(self, openai: OpenAIServer) -> None:
        def pick(colour: str) -> str:
            """Pick a colour."""
            return colour

        with LEOCache() as cache:
            set_llm_cache(cache)
            models = [
                chat_openai(openai.base_url, model="gpt-a"),
                chat_openai(openai.base_url, model="gpt-b"),
                chat_openai(openai.base_url, model="gpt-a", temperature=0.5),
                chat_openai(openai.base_url, model="gpt-a").bind(stop=["."]),
                chat_openai(openai.base_url, model="gpt-a").bind_tools([pick]),
            ]
            for model in models + models:
                model.invoke(QUESTION)
        assert len(openai.requests) == len(models)

    def test_naive_runs_what_a_poisoned_entry_says(self) -> None:
        cache = NearestWord(threshold=0.0)
        cache.rows.append(({"x"}, b"c__builtin__\neval\n(S'[\"poisoned\"]'\ntR."))
        assert cache.lookup("x", "") == ["poisoned"]

    def test_leo_cache_refuses_a_poisoned_entry(self, caplog: pytest.LogCaptureFixture) -> None:
        poison = {
            "lc": 1,
            "type": "constructor",
            "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"],
            "kwargs": {"template": "{x}", "input_variables": ["x"]},
        }
        with LEOCache() as cache:
            for text in (json.dumps([poison]), json.dumps({"x": 1}), "not JSON", "[]x"):
                cache.update("prompt", text, [Generation(text="fine")])
                assert cache.lookup("prompt", text) == [Generation(text="fine")]
                cache.flush()
                _poison(cache, text)
                assert cache.lookup("prompt", text) is None
            assert cache.counts["lookup.failed"] == 4
        assert caplog.text.count("the cache failed in lookup") == 1, "logged once"
        assert "not JSON" not in caplog.text


def _poison(cache: LEOCache, text: str) -> None:
    from dataclasses import replace

    request = cache._request("prompt", text)
    _, entry = cache.leo.cache.lookup(request)
    assert entry is not None
    poisoned = dict.fromkeys(entry.metadata, text)
    cache.leo.store.put(replace(entry, metadata=poisoned), None)


# ---------------------------------------------------------------------------------------------- finding 9: serialising


class TestItDoesNotClaimToBeSerialisable:
    """Finding 9."""

    def test_naive_claims_it_and_cannot_be_read_back(self) -> None:
        class Serialisable(Naive):
            @classmethod
            def is_lc_serializable(cls) -> bool:
                return True

        dumped = dumpd(Serialisable(inner="x"))
        assert dumped["type"] == "constructor"
        with pytest.raises(ValueError, match="allow"):
            inspect.unwrap(load)(dumped, allowed_objects="all")

    def test_leo_does_not_claim_it(self) -> None:
        model = LEOChatModel(small="openai:gpt-5-mini", api_key="sk-secret")
        assert not model.is_lc_serializable()
        dumped = dumpd(model)
        assert dumped["type"] == "not_implemented"
        assert "sk-secret" not in json.dumps(dumped)


def test_the_chunk_type_is_langchains(leo: LEOChatModel) -> None:
    assert all(isinstance(chunk, AIMessageChunk) for chunk in leo.stream(QUESTION))
