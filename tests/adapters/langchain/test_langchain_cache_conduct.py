"""What the suites of LangChain do not ask of a cache: isolation, safety from mutation, parity of streams, processes."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

from leo_langchain import LEOCache, LEOChatModel, tenant
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.servers.openai_server import OpenAIServer

QUESTION = "Name a colour."
TENANTS = ("a", "b", "c")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(TENANTS),
        st.sampled_from(["lookup", "lookup", "update", "clear", "clear all"]),
        st.sampled_from(["p", "q"]),
        st.sampled_from(["m", "n"]),
    ),
    max_size=40,
)


@pytest.fixture
def cache() -> Iterator[LEOCache]:
    with LEOCache() as cache:
        yield cache


@pytest.fixture
def leo(openai: OpenAIServer) -> Iterator[LEOChatModel]:
    with LEOChatModel(small=chat_openai(openai.base_url)) as model:
        yield model


# --------------------------------------------------------------------------------------------------------- isolation

_SHARED: list[LEOCache] = []


@given(operations=OPERATIONS)
@settings(max_examples=25, deadline=None)
def test_tenants_in_any_order_behave_as_if_each_had_a_cache_of_its_own(operations: list[Any]) -> None:
    """Each tenant lives in a context of its own, as its task would, and they come in turns."""
    if not _SHARED:
        _SHARED.append(LEOCache(max_wrong_hits=0.0))
    cache = _SHARED[0]
    cache.clear()
    contexts = {name: contextvars.copy_context() for name in TENANTS}
    blocks = {name: tenant(name) for name in TENANTS}
    for name in TENANTS:
        contexts[name].run(blocks[name].__enter__)
    kept: dict[tuple[str, str, str], str] = {}
    for number, (name, operation, prompt, model) in enumerate(operations):
        key, run = (name, prompt, model), contexts[name].run
        if operation == "lookup":
            found = run(cache.lookup, prompt, model)
            assert (found and found[0].text) == kept.get(key)
        elif operation == "update":
            kept[key] = f"{key} {number}"
            run(cache.update, prompt, model, [Generation(text=kept[key])])
        elif operation == "clear":
            run(lambda name=name: cache.clear(tenant=name))
            kept = {each: text for each, text in kept.items() if each[0] != name}
        else:
            run(cache.clear)
            kept = {}
    for name in TENANTS:
        contexts[name].run(blocks[name].__exit__, None, None, None)
    assert not any(name.endswith("failed") for name in cache.counts), cache.counts


# ---------------------------------------------------------------------------------------------------------- mutation


def spoil(message: Any) -> None:
    """Change everything of a message that can be changed in place."""
    message.content = (
        "spoilt" if isinstance(message.content, str) else [*message.content, {"type": "text", "text": "x"}]
    )
    for part in (message.additional_kwargs, message.response_metadata):
        part["spoilt"] = True
    for call in message.tool_calls:
        call["args"]["spoilt"] = True
    (message.usage_metadata or {})["total_tokens"] = -1
    message.response_metadata.get("leo", {})["spoilt"] = True


def test_a_mutated_message_changes_nobody_elses(cache: LEOCache) -> None:
    content: list[Any] = [{"type": "text", "text": "so", "annotations": [{"type": "citation", "url": "u"}]}]
    calls: Any = [{"name": "f", "args": {"deep": {"er": [1]}}, "id": "1", "type": "tool_call"}]
    message = AIMessage(content, tool_calls=calls, additional_kwargs={"k": {"v": [1]}})
    cache.update("p", "m", [ChatGeneration(message=message)])
    untouched = plain(cache.lookup("p", "m"))
    spoil(message)
    message.tool_calls[0]["args"]["deep"]["er"].append(2)
    message.additional_kwargs["k"]["v"].append(2)
    content[0]["annotations"][0]["url"] = "other"
    for _ in range(2):
        (hit,) = cache.lookup("p", "m") or []
        assert plain([hit]) == untouched
        spoil(hit.message)  # a chat generation
        hit.message.tool_calls[0]["args"]["deep"]["er"].append(3)  # as above
        hit.message.content[0]["annotations"].clear()  # as above
        cache.flush()


def plain(generations: Any) -> Any:
    return [json.loads(each.message.model_copy(update={"id": None}).model_dump_json()) for each in generations]


@pytest.mark.parametrize("through", ["cache", "model"])
def test_a_mutated_answer_does_not_reach_the_next_caller(
    cache: LEOCache, leo: LEOChatModel, openai: OpenAIServer, through: str
) -> None:
    set_llm_cache(cache)
    model: Any = leo if through == "model" else chat_openai(openai.base_url)
    first = model.invoke(QUESTION)
    text = first.text
    for _ in range(3):
        spoil(first)
        first = model.invoke(QUESTION)
        assert first.text == text
        assert "spoilt" not in first.response_metadata | first.additional_kwargs | first.response_metadata["leo"]
        assert first.usage_metadata["total_tokens"] == 0
    assert len(openai.requests) == 1


# ------------------------------------------------------------------------------------------------------------ parity


def outline(message: AIMessage) -> Any:
    """What a caller reads of an answer, whichever way it came."""
    return message.text, [(call["name"], call["args"], call["id"]) for call in message.tool_calls]


@pytest.mark.parametrize("first", ["invoke", "stream", "events"])
@pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_a_hit_is_the_same_in_every_way_of_asking(leo: LEOChatModel, openai: OpenAIServer, first: str) -> None:
    def pick(colour: str) -> str:
        """Pick a colour."""
        return colour

    def stream(model: Any) -> Any:
        chunks = list(model.stream(QUESTION))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return whole

    def events(model: Any) -> Any:
        answer = model.stream_events(QUESTION, version="v3")
        assert_valid_event_stream(list(answer))
        return answer.output

    ways: dict[str, Callable[[Any], Any]] = {"invoke": lambda model: model.invoke(QUESTION)}
    ways |= {"stream": stream, "events": events}
    for number, model in enumerate((leo, leo.bind_tools([pick])), start=1):
        cold = ways[first](model)
        for name, way in ways.items():
            hit = way(model)
            assert outline(hit) == outline(cold), name
            assert hit.response_metadata["leo"]["cache"]["hit"], name
            assert hit.usage_metadata["total_tokens"] == 0, name
            assert hit.response_metadata["leo"]["saved_usage"]["total_tokens"] == cold.usage_metadata["total_tokens"]
        assert len(openai.requests) == number


def test_usage_is_counted_once_over_hits_of_every_kind(leo: LEOChatModel, openai: OpenAIServer) -> None:
    usage = UsageMetadataCallbackHandler()
    config: Any = {"callbacks": [usage]}
    cold = leo.invoke(QUESTION, config)
    leo.invoke(QUESTION, config)
    list(leo.stream(QUESTION, config))
    leo.batch([QUESTION] * 3, config)
    assert sum(each["total_tokens"] for each in usage.usage_metadata.values()) == cold.usage_metadata["total_tokens"]
    assert len(openai.requests) == 1


def test_a_long_conversation_replayed_hits_in_every_turn(cache: LEOCache, openai: OpenAIServer) -> None:
    """Hits become history: their ids, usage and metadata are in no key."""
    set_llm_cache(cache)
    model = chat_openai(openai.base_url)
    for _ in range(3):
        history: list[Any] = []
        for turn in range(5):
            history.append(HumanMessage(f"Question {turn}?"))
            history.append(model.invoke(history))
    assert len(openai.requests) == 5
    assert cache.counts["cache.hit"] == 10


# --------------------------------------------------------------------------------------------------------- processes

WRITER = """
import sys
from langchain_core.outputs import Generation
from leo_langchain import LEOCache, tenant
path, name = sys.argv[1:3]
with LEOCache(path, tenant=name) as cache:
    for number in range(60):
        cache.update(f"{name} {number}", "m", [Generation(text=f"{name} {number}")])
        cache.update("both", "m", [Generation(text=name)])
        with tenant("shared"):
            cache.update(f"{number}", "m", [Generation(text=f"from {name}")])
            assert cache.lookup(f"{number}", "m")[0].text.startswith("from ")
    assert not any(each.endswith("failed") for each in cache.counts), cache.counts
"""


def test_two_processes_write_at_once_and_everything_is_there_and_cleared(tmp_path: Path) -> None:
    path = str(tmp_path / "leo.db")
    with LEOCache(path) as cache:
        assert cache.lookup("early", "m") is None  # opened before anybody wrote
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, path, name], stderr=subprocess.PIPE, text=True)
            for name in ("one", "two")
        ]
        assert [(writer.communicate(timeout=200)[1], writer.returncode) for writer in writers] == [("", 0)] * 2
        for name in ("one", "two"):
            with tenant(name):
                found = [cache.lookup(f"{name} {number}", "m") for number in range(60)]
                assert found == [[Generation(text=f"{name} {number}")] for number in range(60)]
                assert cache.lookup("both", "m") == [Generation(text=name)]
        with tenant("shared"):
            assert all(cache.lookup(f"{number}", "m") for number in range(60))
        cache.clear()
        assert cache.leo.store.count_entries() == 0
        for name in ("one", "two", "shared"):
            with tenant(name):
                assert cache.lookup(f"{name} 1", "m") is None
