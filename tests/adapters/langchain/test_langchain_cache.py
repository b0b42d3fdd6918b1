"""LEO's cache behind ``set_llm_cache``: fidelity, scope, failures, threads and processes."""

from __future__ import annotations

import asyncio
import json
import pickle
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from leo_core import LEOConfig
from leo_core.errors import ConfigError, StorageError
from leo_langchain import LEOCache, LEOGraphCache, tenant
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai
from tests.contracts.event_loop import never_blocked
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply
from tests.servers.openai_server import OpenAIServer

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
GENERATIONS = st.lists(
    st.builds(
        Generation, text=st.text(), generation_info=st.none() | st.dictionaries(st.text(max_size=8), JSON, max_size=3)
    ),
    min_size=1,
    max_size=3,
)


class Colour(BaseModel):
    """A colour."""

    name: str


@pytest.fixture
def cache() -> Any:
    with LEOCache() as cache:
        yield cache


def prompt_of(*messages: Any) -> str:
    return dumps(list(messages))


class TestFidelity:
    @given(generations=GENERATIONS, prompt=st.text(), llm_string=st.text())
    @settings(max_examples=60, deadline=None)
    def test_any_list_of_generations_comes_back_exactly(
        self, generations: list[Generation], prompt: str, llm_string: str
    ) -> None:
        cache = shared()
        cache.update(prompt, llm_string, generations)
        found = cache.lookup(prompt, llm_string)
        assert isinstance(found, list)
        assert found == generations
        assert found[0] is not generations[0]
        assert not any(name.endswith("failed") for name in cache.counts), cache.counts

    def test_two_hits_share_nothing(self, cache: LEOCache) -> None:
        kept = [Generation(text="a", generation_info={"x": [1]})]
        cache.update("p", "m", kept)
        kept[0].generation_info["x"].append(2)
        first = cache.lookup("p", "m")
        first[0].generation_info["x"].append(3)
        assert cache.lookup("p", "m") == [Generation(text="a", generation_info={"x": [1]})]

    def test_the_last_update_wins(self, cache: LEOCache) -> None:
        for text in ("old", "new"):
            cache.update("p", "m", [Generation(text=text)])
        assert cache.lookup("p", "m") == [Generation(text="new")]

    @pytest.mark.parametrize("sdk", ["openai", "anthropic"])
    def test_tool_calls_and_structured_output_replay(
        self, cache: LEOCache, openai: OpenAIServer, anthropic: AnthropicServer, sdk: str
    ) -> None:
        set_llm_cache(cache)
        model: Any = chat_openai(openai.base_url) if sdk == "openai" else chat_anthropic(anthropic.base_url)
        for method in ("function_calling", "json_schema"):
            structured = model.with_structured_output(Colour, method=method, include_raw=True)
            cold, hit = (structured.invoke("The colour is 'green'.") for _ in range(2))
            assert cold["parsed"] == hit["parsed"] == Colour(name="green")
            assert [call["id"] for call in hit["raw"].tool_calls] == [call["id"] for call in cold["raw"].tool_calls]
            assert hit["raw"].response_metadata["leo"]["cache"]["hit"]
        assert len(openai.requests) + len(anthropic.requests) == 2

    def test_reasoning_blocks_replay(self, cache: LEOCache, anthropic: AnthropicServer) -> None:
        anthropic.brain = lambda _: Reply(text="Four.", thinking="two and two")
        set_llm_cache(cache)
        cold, hit = (chat_anthropic(anthropic.base_url).invoke("2+2?") for _ in range(2))
        assert hit.content == cold.content
        assert hit.content_blocks == cold.content_blocks

    def test_usage_of_a_hit_is_zero_and_what_it_saved_stands_apart(self, cache: LEOCache, openai: OpenAIServer) -> None:
        set_llm_cache(cache)
        cold = chat_openai(openai.base_url, model="gpt-4o-mini").invoke("Hello")
        usage = UsageMetadataCallbackHandler()
        hit = chat_openai(openai.base_url, model="gpt-4o-mini").invoke("Hello", config={"callbacks": [usage]})
        assert hit.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "total_cost": 0}
        assert sum(counted["total_tokens"] for counted in usage.usage_metadata.values()) == 0
        facts = hit.response_metadata["leo"]
        assert facts["saved_usage"]["total_tokens"] == cold.usage_metadata["total_tokens"]
        assert facts["saved_usd"] == facts["saved_usage"]["cost_usd"] > 0
        assert facts["route"] == "cache"
        assert "token_usage" not in hit.response_metadata

    def test_a_model_without_usage(self, cache: LEOCache) -> None:
        set_llm_cache(cache)
        model = FakeListChatModel(responses=["one", "two"])
        assert [model.invoke("Hello").text for _ in range(2)] == ["one", "one"]

    def test_text_models(self, cache: LEOCache) -> None:
        set_llm_cache(cache)
        model = FakeListLLM(responses=["one", "two", "three"])
        assert [model.invoke(prompt) for prompt in ("a?", "a?", "b?")] == ["one", "one", "two"]

    @pytest.mark.parametrize(
        "broken",
        [
            AIMessage(""),
            AIMessage("It is", response_metadata={"finish_reason": "length"}),
            AIMessage("It is", response_metadata={"finish_reason": "MAX_TOKENS"}),
            AIMessage("I must not", response_metadata={"stop_reason": "refusal"}),
            AIMessage("", additional_kwargs={"refusal": "I must not"}),
            AIMessage("", invalid_tool_calls=[{"type": "invalid_tool_call", "name": "f", "args": "{", "id": "1"}]),
        ],
    )
    async def test_a_reply_that_is_none_is_asked_for_again(self, cache: LEOCache, broken: AIMessage) -> None:
        whole = AIMessage("It is Bern.", response_metadata={"finish_reason": "stop"})
        llm = GenericFakeChatModel(messages=iter([broken, whole]), cache=cache)
        assert [llm.invoke("a").content for _ in range(3)] == [broken.content, *["It is Bern."] * 2]
        llm = GenericFakeChatModel(messages=iter([broken, whole]), cache=cache)
        with tenant("acme"):
            assert [(await llm.ainvoke("a")).content for _ in range(3)] == [broken.content, *["It is Bern."] * 2]

    def test_a_call_in_the_old_form_is_kept(self, cache: LEOCache) -> None:
        call = AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}})
        llm = GenericFakeChatModel(messages=iter([call]), cache=cache)
        assert [llm.invoke("a").additional_kwargs for _ in range(2)] == [call.additional_kwargs] * 2

    def test_what_cannot_be_read_back_is_not_kept(self, cache: LEOCache) -> None:
        cache.update("p", "m", [Generation(text="a", generation_info={"client": object()})])
        assert cache.lookup("p", "m") is None
        assert cache.counts["update.failed"] == 1


_SHARED: list[LEOCache] = []


def shared() -> LEOCache:
    if not _SHARED:
        _SHARED.append(LEOCache())
    return _SHARED[0]


class TestScope:
    def test_llm_string_is_compared_exactly(self, cache: LEOCache) -> None:
        cache.update("Name a colour.", "temperature 0.0", [Generation(text="red")])
        assert cache.lookup("Name a colour.", "temperature 0.01") is None

    def test_ids_usage_and_metadata_are_not_in_the_key(self, cache: LEOCache) -> None:
        usage: Any = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        plain = AIMessage("b")
        noisy = AIMessage(
            [{"type": "text", "text": "b", "id": "t1"}],
            id="1",
            usage_metadata=usage,
            response_metadata={"model_name": "x"},
        )
        cache.update(prompt_of(HumanMessage("a"), plain, HumanMessage("c")), "m", [Generation(text="d")])
        assert cache.lookup(prompt_of(HumanMessage("a", id="2"), noisy, HumanMessage("c")), "m")

    @pytest.mark.parametrize(
        "other",
        [
            [HumanMessage("a", name="bob"), AIMessage("b"), HumanMessage("c")],
            [HumanMessage("a"), AIMessage("B"), HumanMessage("c")],
            [HumanMessage("a"), AIMessage("b"), HumanMessage("C")],
            [HumanMessage("a"), HumanMessage("c")],
            [HumanMessage("a", additional_kwargs={"x": 1}), AIMessage("b"), HumanMessage("c")],
        ],
    )
    def test_everything_else_is(self, cache: LEOCache, other: list[Any]) -> None:
        cache.update(prompt_of(HumanMessage("a"), AIMessage("b"), HumanMessage("c")), "m", [Generation(text="d")])
        assert cache.lookup(prompt_of(*other), "m") is None

    def test_tools_match_exactly_only(self, cache: LEOCache, openai: OpenAIServer) -> None:
        def pick(colour: str) -> str:
            """Pick."""
            return colour

        plain = cache._request(prompt_of(HumanMessage("a")), "m")
        assert plain.constraints.cache is True
        seen: list[str] = []
        set_llm_cache(cache)
        original, cache_lookup = cache.lookup, seen.append

        def spy(prompt: str, llm_string: str) -> Any:
            cache_lookup(llm_string)
            return original(prompt, llm_string)

        cache.lookup = spy
        chat_openai(openai.base_url).bind_tools([pick]).invoke("a")
        chat_openai(openai.base_url).invoke("a")
        assert [cache._request("a", text).constraints.cache for text in seen] == ["exact", True]

    def test_tool_results_match_exactly_only(self, cache: LEOCache) -> None:
        call: Any = {"name": "f", "args": {}, "id": "1", "type": "tool_call"}
        turns = [HumanMessage("go"), AIMessage("", tool_calls=[call]), ToolMessage("42 days", tool_call_id="1")]
        cache.update(prompt_of(*turns), "m", [Generation(text="d")])
        assert cache.lookup(prompt_of(*turns), "m")
        assert cache.lookup(prompt_of(*turns[:2], ToolMessage("43 days", tool_call_id="1")), "m") is None
        failed = ToolMessage("42 days", tool_call_id="1", status="error")
        assert cache.lookup(prompt_of(*turns[:2], failed), "m") is None

    def test_a_prompt_that_only_looks_like_messages_matches_byte_by_byte(self, cache: LEOCache) -> None:
        odd = json.dumps([{"lc": 1, "type": "constructor", "id": ["x", "Evil"], "kwargs": {}}])
        assert odd.startswith('[{"lc"')
        cache.update(odd, "m", [Generation(text="d")])
        assert cache.lookup(odd, "m") == [Generation(text="d")]
        assert cache._request(odd, "m").constraints.cache == "exact"

    def test_tenants(self, cache: LEOCache) -> None:
        with tenant("acme"):
            cache.update("p", "m", [Generation(text="acme's")])
            with tenant("other"):
                assert cache.lookup("p", "m") is None
            assert cache.lookup("p", "m")
        assert cache.lookup("p", "m") is None
        with LEOCache(cache.leo.store, tenant="acme") as own:
            assert own.lookup("p", "m")

    def test_without_a_tenant_nothing_is_kept_where_one_is_required(self) -> None:
        with LEOCache(config=LEOConfig(require_tenant=True)) as cache:
            cache.update("p", "m", [Generation(text="nobody's")])
            assert cache.lookup("p", "m") is None
            assert (cache.counts["update.failed"], cache.counts["lookup.failed"]) == (1, 1)
            with tenant("acme"):
                cache.update("p", "m", [Generation(text="acme's")])
                assert cache.lookup("p", "m") == [Generation(text="acme's")]
            assert cache.flush()
            assert cache.leo.store.tenants() == ("acme",)

    @pytest.mark.parametrize("make", [LEOCache, LEOGraphCache])
    def test_an_empty_name_is_no_tenant(self, make: Any) -> None:
        with pytest.raises(ConfigError, match="not empty"):
            make(tenant="")

    def test_the_tenant_of_the_enclosing_chain(self, cache: LEOCache, openai: OpenAIServer) -> None:
        from langchain_core.runnables import RunnableLambda

        set_llm_cache(cache)
        chain = RunnableLambda(lambda text: text) | chat_openai(openai.base_url)
        for name in ("a", "b", "a"):
            chain.invoke("Hello", config={"configurable": {"tenant": name}})
        assert len(openai.requests) == 2

    def test_invalidation_stays_with_the_tenant(self, cache: LEOCache) -> None:
        for name in ("a", "b"):
            with tenant(name):
                cache.update("p", "m", [Generation(text=name)])
        with tenant("a"):
            assert cache.invalidate(where=lambda entry: entry.text == "p") == 1
            assert cache.lookup("p", "m") is None
        with tenant("b"):
            assert cache.lookup("p", "m") == [Generation(text="b")]
        assert asyncio.run(cache.ainvalidate(tenant=None, where=lambda _: True)) == 1
        with pytest.raises(ConfigError):
            cache.invalidate()

    def test_an_entry_that_somebody_planted_is_a_miss_and_an_event(self, tmp_path: Path) -> None:
        path = tmp_path / "leo.db"
        evil = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}
        with LEOCache(path) as cache:
            cache.update("p", "m", [Generation(text="kept")])
            cache.flush()
            with closing(sqlite3.connect(path)) as connection, connection:
                (body,) = connection.execute("SELECT body FROM entries").fetchone()
                planted = json.loads(body)
                planted["metadata"] = dict.fromkeys(planted["metadata"], json.dumps([evil]))
                connection.execute("UPDATE entries SET body = ?", (json.dumps(planted),))
            assert cache.lookup("p", "m") is None
            assert cache.counts["cache.poisoned"] == 3, "found by its key, near, and by its key again before it leads"
            assert cache.counts.get("lookup.failed", 0) == 0, "it never came to reading it"
            cache.update("p", "m", [Generation(text="kept")])
            cache.flush()
            assert cache.lookup("p", "m") == [Generation(text="kept")]

    def test_a_seal_key_of_ones_own(self, tmp_path: Path) -> None:
        path, key = tmp_path / "leo.db", tmp_path / "keys" / "seal"
        with LEOCache(path, seal_key=key) as cache:
            cache.update("p", "m", [Generation(text="kept")])
        assert key.exists()
        with LEOCache(path, seal_key=str(key)) as cache:
            assert cache.lookup("p", "m")
        with LEOCache(path) as cache:
            assert cache.lookup("p", "m") is None

    def test_clear(self, cache: LEOCache) -> None:
        for name in ("a", "b"):
            with tenant(name):
                cache.update("p", "m", [Generation(text=name)])
        cache.flush()
        cache.clear(tenant="a")
        with tenant("b"):
            assert cache.lookup("p", "m")
        cache.clear()
        for name in ("a", "b"):
            with tenant(name):
                assert cache.lookup("p", "m") is None


class TestMeaning:
    def test_a_paraphrase_is_explored_and_the_outcome_is_learned(self, openai: OpenAIServer) -> None:
        """The first time a paraphrase is compared, not served; what is learned is kept in the promise."""
        with LEOCache(max_wrong_hits=0.1, seed=1) as cache:
            set_llm_cache(cache)
            model = chat_openai(openai.base_url)
            model.invoke("What is the capital of France?")
            cache.flush()
            model.invoke("What is the capital city of France?")
            cache.flush()
            assert cache.counts.get("cache.explore") == 1
            assert cache.counts.get("cache.compared") == 1
        assert len(openai.requests) == 2


class TestFailures:
    def test_a_broken_store_is_a_miss_and_said_once(
        self, openai: OpenAIServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = tmp_path / "leo.db"
        broken.write_bytes(b"this is no database" * 100)
        cache = LEOCache(str(broken))
        set_llm_cache(cache)
        model = chat_openai(openai.base_url)
        assert [bool(model.invoke("Hello").text) for _ in range(3)] == [True] * 3
        assert cache.counts == {"lookup.failed": 3, "update.failed": 3}
        assert len([record for record in caplog.records if record.name == "leo_langchain"]) == 2
        with pytest.raises(StorageError):
            cache.clear()

    async def test_the_same_on_the_loop(self, openai: OpenAIServer, tmp_path: Path) -> None:
        broken = tmp_path / "leo.db"
        broken.write_bytes(b"this is no database" * 100)
        cache = LEOCache(str(broken))
        set_llm_cache(cache)
        assert (await chat_openai(openai.base_url).ainvoke("Hello")).text
        assert cache.counts == {"lookup.failed": 1, "update.failed": 1}

    def test_an_engine_for_keeping_answers_has_nobody_to_ask(self, cache: LEOCache) -> None:
        with pytest.raises(ConfigError, match="at least one member"):
            cache.leo.ask("Hello")


class TestConcurrency:
    def test_threads(self, cache: LEOCache) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    key = f"{(number + turn) % 7}"
                    cache.update(key, "m", [Generation(text=key)])
                    assert cache.lookup(key, "m") == [Generation(text=key)]
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert "lookup.failed" not in cache.counts

    async def test_the_loop_is_never_blocked(self, tmp_path: Path) -> None:
        cache = LEOCache(str(tmp_path / "leo.db"))
        with never_blocked():
            assert await cache.alookup("p", "m") is None
            await cache.aupdate("p", "m", [Generation(text="a")])
            assert await cache.alookup("p", "m") == [Generation(text="a")]
            await cache.aclear()
            assert await cache.alookup("p", "m") is None
        await asyncio.to_thread(cache.close)

    async def test_async_models(self, cache: LEOCache, openai: OpenAIServer) -> None:
        set_llm_cache(cache)
        model = chat_openai(openai.base_url)
        cold, hit = [await model.ainvoke("Hello") for _ in range(2)]
        assert (hit.text, len(openai.requests)) == (cold.text, 1)

    def test_another_process_sees_what_was_kept(self, tmp_path: Path) -> None:
        path = str(tmp_path / "leo.db")
        code = (
            "import sys; from leo_langchain import LEOCache; from langchain_core.outputs import Generation\n"
            "with LEOCache(sys.argv[1]) as cache: cache.update('p', 'm', [Generation(text='from afar')])"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", code, path], check=True)
        with LEOCache(path) as cache:
            assert cache.lookup("p", "m") == [Generation(text="from afar")]

    def test_it_pickles_without_its_engine(self, tmp_path: Path) -> None:
        with LEOCache(str(tmp_path / "leo.db"), max_wrong_hits=0.2) as cache:
            cache.update("p", "m", [Generation(text="a")])
            cache.flush()
            twin = pickle.loads(pickle.dumps(cache))
            assert repr(twin) == repr(cache)
            assert "max_wrong_hits=0.2" in repr(cache)
            assert twin.lookup("p", "m") == [Generation(text="a")]
            twin.close()

    def test_close_is_idempotent_and_not_final(self, cache: LEOCache) -> None:
        cache.close()
        cache.update("p", "m", [ChatGeneration(message=AIMessage("a"))])
        assert cache.lookup("p", "m")
        cache.close()
        cache.close()
