"""LangGraph's cache of nodes and tasks in LEO's store."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.func import entrypoint, task
from langgraph.graph import StateGraph
from langgraph.types import CachePolicy

from leo_core import LEOConfig
from leo_core.errors import StorageError
from leo_langchain import LEOGraphCache, tenant
from tests.adapters.langchain.middleware.agents import agent_of, ask, forecast
from tests.contracts.event_loop import never_blocked
from tests.servers.openai_server import OpenAIServer

KEY = (("herons", "nest-7"), "k")
SECRET = "...Heliotrope, 2028"
ENCODED = base64.b85encode(b"Heliotrope, 2028").decode()


class State(TypedDict, total=False):
    question: str
    answer: str


@pytest.fixture
def cache():
    with LEOGraphCache() as made:
        yield made


def graph_of(cache, calls, *, ttl=None):
    def node(state: State) -> State:
        calls.append(state["question"])
        return {"answer": state["question"].upper()}

    builder = StateGraph(State)
    builder.add_node("node", node, cache_policy=CachePolicy(ttl=ttl))
    builder.set_entry_point("node")
    return builder.compile(cache=cache)


def test_a_node_is_not_run_again_for_the_same_input(cache):
    calls: list[str] = []
    graph = graph_of(cache, calls)
    answers = [graph.invoke({"question": question})["answer"] for question in ("a", "b", "a")]
    assert answers == ["A", "B", "A"]
    assert calls == ["a", "b"]


async def test_the_same_on_an_event_loop_without_blocking_it(cache):
    calls: list[str] = []
    graph = graph_of(cache, calls)
    with never_blocked("leo_core"), never_blocked("leo_langchain"):
        answers = [(await graph.ainvoke({"question": "a"}))["answer"] for _ in range(2)]
    assert answers == ["A", "A"]
    assert calls == ["a"]


def test_a_task_is_not_run_again(cache):
    calls: list[int] = []

    @task(cache_policy=CachePolicy())
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    @entrypoint(cache=cache)
    def flow(number: int) -> int:
        return double(number).result()

    assert [flow.invoke(3), flow.invoke(3), flow.invoke(4)] == [6, 6, 8]
    assert calls == [3, 4]


def test_an_agent_takes_it(cache):
    with OpenAIServer(forecast) as server:
        agent = agent_of(server.base_url, [], cache=cache)
        assert ask(agent)["messages"][-1].text == "Paris"


@pytest.mark.parametrize("make", [LEOGraphCache, InMemoryCache], ids=["leo", "langgraph"])
def test_it_does_what_langgraphs_own_does(make):
    cache = make()
    other = (("herons", "other"), "k")
    value = {"messages": [HumanMessage("q", id="1"), AIMessage("a", id="2")], "bytes": b"\x00\xff", "n": [1, 2.5]}
    assert cache.get([]) == cache.get([KEY]) == {}
    cache.set({KEY: (value, None), other: ([1], 3600)})
    assert cache.get([KEY, other, (("x",), "k")]) == {KEY: value, other: [1]}
    cache.set({KEY: ("new", None)})
    assert cache.get([KEY]) == {KEY: "new"}
    cache.clear([("herons",), ("herons", "nest-7")])
    assert cache.get([KEY, other]) == {other: [1]}
    cache.set({KEY: ("old", -1)})
    assert cache.get([KEY]) == {}
    cache.clear()
    assert cache.get([other]) == {}


def test_tenants_share_nothing(cache):
    cache.set({KEY: ("nobody's", None)})
    with tenant("acme"):
        assert cache.get([KEY]) == {}
        cache.set({KEY: ("acme's", None)})
        calls: list[str] = []
        graph_of(cache, calls).invoke({"question": "a"})
    assert cache.get([KEY]) == {KEY: "nobody's"}
    with tenant("globex"):
        graph = graph_of(cache, calls)
        graph.invoke({"question": "a"})
        graph.invoke({"question": "a"})
        cache.clear([KEY[0]])
    assert calls == ["a", "a"]
    with tenant("acme"):
        assert cache.get([KEY]) == {KEY: "acme's"}


def test_without_a_tenant_nothing_is_kept_where_one_is_required():
    with LEOGraphCache(config=LEOConfig(require_tenant=True)) as cache:
        cache.set({KEY: (1, None)})
        assert cache.get([KEY]) == {}
        assert cache.counts["update.failed"] == cache.counts["lookup.failed"] == 1
        with tenant("acme"):
            cache.set({KEY: (1, None)})
            assert cache.get([KEY]) == {KEY: 1}


def test_a_broken_store_leaves_the_graph_working(cache, monkeypatch):
    def fail(*_, **__):
        raise StorageError("no disk")

    for name in ("get_exact", "put", "clear"):
        monkeypatch.setattr(cache.leo.store, name, fail)
    calls: list[str] = []
    graph = graph_of(cache, calls)
    assert [graph.invoke({"question": "a"})["answer"] for _ in range(2)] == ["A", "A"]
    assert cache.counts["lookup.failed"] == 2
    assert cache.counts["update.failed"] == 2
    with pytest.raises(StorageError):
        cache.clear()


def test_what_cannot_be_written_without_pickle_is_not_kept(cache):
    class Own:
        pass

    cache.set({KEY: (Own(), None), (("b",), "k"): (1, None)})
    assert cache.get([KEY, (("b",), "k")]) == {(("b",), "k"): 1}


SCRIPT = f"""
import sys
from leo_langchain import LEOGraphCache
with LEOGraphCache(sys.argv[1]) as cache:
    print(cache.get([({KEY[0]!r}, {KEY[1]!r})]))
    cache.set({{(("herons", "nest-7"), "mine"): ("from the other process", 3600)}})
"""


def find_words(folder: Path) -> set[str]:
    """What a reader of the disk would know values by: the text, its code in the clear, their kind, their namespace."""
    words = ("Heliotrope", ENCODED, "msgpack", "other process", "herons", "nest-7")
    bodies = [each.read_bytes() for each in folder.rglob("*") if each.is_file()]
    assert len(bodies) > 1
    return {word for word in words for body in bodies if word.encode() in body}


def test_processes_share_it_and_the_disk_tells_nothing(tmp_path: Path):
    path = tmp_path / "graph.db"
    with LEOGraphCache(path) as cache:
        cache.set({KEY: ({"answer": SECRET}, None)})
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
        assert SECRET in done.stdout
        mine = (("herons", "nest-7"), "mine")
        assert cache.get([mine]) == {mine: "from the other process"}
    assert find_words(tmp_path) == set()
    with LEOGraphCache(tmp_path / "clear.db", privacy=None) as clear:
        clear.set({KEY: ({"answer": SECRET}, None)})
    assert find_words(tmp_path) == {"msgpack", ENCODED}, "in the clear the same words are found"


def test_a_value_that_was_altered_on_disk_is_a_miss(tmp_path: Path):
    path = tmp_path / "graph.db"
    with LEOGraphCache(path) as cache:
        cache.set({KEY: (SECRET, None)})
    with LEOGraphCache(path) as cache:
        assert cache.get([KEY]) == {KEY: SECRET}
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE entries SET body = substr(body, 1, length(body) - 8) || 'AAAAAAAA'")
    with LEOGraphCache(path) as cache:
        assert cache.get([KEY]) == {}
        cache.set({KEY: ("again", None)})
        assert cache.get([KEY]) == {KEY: "again"}
