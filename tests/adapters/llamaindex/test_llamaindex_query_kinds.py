"""Engines that are made of others behind the cache: what kind of response comes, and what is known of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex, get_response_synthesizer
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import Response
from llama_index.core.indices.query.query_transform.base import IdentityQueryTransform
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.query_engine import CustomQueryEngine, SubQuestionQueryEngine, TransformQueryEngine
from llama_index.core.schema import NodeWithScore, TextNode

from leo_core import LEOConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Usage
from leo_core.stages.consensus.config import ConsensusConfig
from leo_llamaindex import LEOLLM, LEOCachedQueryEngine, LEOEmbedding, verified_query_engine
from tests.adapters.llamaindex.engines import Halves, as_tool, route

SAID = "The ferry leaves at 9:40."
BOTH = "When does the ferry leave and what does a ticket cost?"


@pytest.fixture
def index() -> VectorStoreIndex:
    Settings.embed_model = LEOEmbedding()
    return VectorStoreIndex.from_documents([Document(text=SAID, id_="one")])


@pytest.fixture
def llm() -> LEOLLM:
    spent = Usage(input_tokens=100, output_tokens=10, calls=1)
    return LEOLLM(small=ScriptedModel("parrot", replies=lambda request: SAID, usage=spent), cache=False)


async def read(response: Any) -> str:
    if hasattr(response, "async_response_gen"):
        return "".join([piece async for piece in response.async_response_gen()])
    return "".join(response.response_gen) if hasattr(response, "response_gen") else str(response)


async def ask(engine: LEOCachedQueryEngine, question: str, *, awaited: bool) -> Any:
    response = await engine.aquery(question) if awaited else engine.query(question)
    assert await read(response) == SAID
    engine.flush()
    return response


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "around", [route, lambda inner: TransformQueryEngine(inner, IdentityQueryTransform())], ids=["router", "transform"]
)
async def test_a_hit_is_of_the_kind_that_the_answer_was(
    index: VectorStoreIndex, llm: LEOLLM, around: Callable[[Any], Any], streaming: bool, awaited: bool
) -> None:
    store = LEOCachedQueryEngine(index.as_query_engine(llm=llm)).leo.store
    with (
        LEOCachedQueryEngine(around(index.as_query_engine(llm=llm, streaming=streaming)), store=store) as engine,
        LEOCachedQueryEngine(around(index.as_query_engine(llm=llm, streaming=not streaming)), store=store) as other,
    ):
        first, again = [await ask(engine, "When does the ferry leave?", awaited=awaited) for _ in range(2)]
        third = await ask(other, "When does the ferry leave?", awaited=awaited)
        assert engine.counts["cache.hit"] == 1
    assert type(first) is type(again) is not type(third)
    chosen = first.metadata.get("selector_result")
    assert again.metadata.get("selector_result") == chosen
    assert (chosen is None) == (around is not route)


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("use_async", [False, True])
async def test_a_hit_knows_every_answer_behind_it(
    index: VectorStoreIndex, llm: LEOLLM, awaited: bool, use_async: bool
) -> None:
    with LEOCachedQueryEngine(_split(index.as_query_engine(llm=llm), llm, use_async=use_async)) as engine:
        first, again = [await ask(engine, BOTH, awaited=awaited) for _ in range(2)]
    facts = again.metadata["leo"]
    assert len(facts["answers"]) == 3, "two parts, and what was made of them"
    assert facts["saved_usage"]["prompt_tokens"] == 300
    assert facts["receipt"] == facts["answers"][-1]["receipt"] == first.metadata["leo"]["receipt"]


def test_what_stands_on_an_abstention_is_not_kept(index: VectorStoreIndex, llm: LEOLLM) -> None:
    at_odds = [
        ScriptedModel(name, replies=lambda request, name=name: f"At {name}.") for name in ("9:40", "10:15", "11:30")
    ]
    unsure = LEOLLM(jury=at_odds, cache=False, config=LEOConfig(consensus=ConsensusConfig(confidence=0.99)))
    with LEOCachedQueryEngine(_split(index.as_query_engine(llm=unsure), llm)) as engine:
        engine.query(BOTH)
        engine.flush()
        assert engine.leo.store.count_entries() == 0


def _split(inner: BaseQueryEngine, llm: LEOLLM, *, use_async: bool = False) -> SubQuestionQueryEngine:
    made = get_response_synthesizer(llm=llm, use_async=use_async)
    return SubQuestionQueryEngine(Halves(), made, [as_tool(inner)], use_async=use_async, verbose=False)


@pytest.mark.parametrize("awaited", [False, True])
async def test_nobody_waits_for_a_stream_that_was_thrown_away_unread(
    index: VectorStoreIndex, llm: LEOLLM, awaited: bool
) -> None:
    with LEOCachedQueryEngine(index.as_query_engine(llm=llm, streaming=True), single_flight_wait_s=20.0) as engine:
        response = await engine.aquery(BOTH) if awaited else engine.query(BOTH)
        del response
        began = time.monotonic()
        await asyncio.to_thread(engine.query, BOTH)
        assert time.monotonic() - began < 10.0


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_hit_tells_what_was_found_about_its_ground(
    index: VectorStoreIndex, llm: LEOLLM, streaming: bool
) -> None:
    with LEOCachedQueryEngine(verified_query_engine(index, llm=llm, streaming=streaming)) as engine:
        first, again = [await ask(engine, "When does the ferry leave?", awaited=False) for _ in range(2)]
        assert engine.counts["cache.hit"] == 1
    assert again.metadata["leo"]["grounding"] == first.metadata["leo"]["grounding"]
    assert again.metadata["leo"]["grounding"]["action"] == "kept"


def test_an_abstention_for_want_of_ground_is_not_kept(index: VectorStoreIndex) -> None:
    careless = LEOLLM(small=ScriptedModel("parrot", replies=lambda request: "It has a swimming pool."), cache=False)
    with LEOCachedQueryEngine(verified_query_engine(index, llm=careless, on_unsupported="abstain")) as engine:
        assert engine.query("What does it have?").metadata["leo"]["grounding"]["action"] == "abstained"
        engine.flush()
        assert engine.leo.store.count_entries() == 0


class Reporting(CustomQueryEngine):
    """Answers with metadata of its own."""

    metadata: Any

    def custom_query(self, query_str: str) -> Response:
        return Response(SAID, [NodeWithScore(node=TextNode(text=SAID), score=1.0)], {"found": self.metadata})


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [([("Ulva", 9.5)], True), ({"leo:tuple": [1]}, False), ({1: "x"}, False), ({"x", "y"}, False)],
    ids=["sql-rows", "marker", "number-as-key", "set"],
)
def test_metadata_come_back_as_they_were_or_the_answer_is_not_kept(metadata: Any, kept: bool) -> None:
    with LEOCachedQueryEngine(Reporting(metadata=metadata), version="1") as engine:
        for _ in range(2):
            found = engine.query("When does the ferry leave?").metadata["found"]
            assert (found, type(found)) == (metadata, type(metadata))
            engine.flush()
        assert engine.counts.get("cache.hit", 0) == kept


async def test_all_answers_are_removed_of_one_tenant_or_of_all(index: VectorStoreIndex, llm: LEOLLM) -> None:
    with LEOCachedQueryEngine(index.as_query_engine(llm=llm)) as engine:

        async def routes() -> list[str]:
            found = []
            for tenant in ("acme", "other"):
                with instrument_tags({"tenant": tenant}):
                    found.append((await ask(engine, "When does it leave?", awaited=True)).metadata["leo"]["route"])
            return found

        assert await routes() == ["small", "small"]
        assert await engine.aclear("acme") == 1
        assert await routes() == ["small", "cache"]
        assert engine.clear() == 2
        assert await routes() == ["small", "small"]
