"""LEOCachedQueryEngine: a question is answered once, as long as nothing changed that it was answered from."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import (
    Document,
    Response,
    Settings,
    StorageContext,
    SummaryIndex,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import CustomQueryEngine, RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import BaseModel

from leo_core import LEOConfig
from leo_core.errors import ConfigError, StorageError, TenantRequiredError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_llamaindex import LEOLLM, LEOCachedQueryEngine, LEOEmbedding, LEOEventHandler
from leo_llamaindex.testing import record_events
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.adapters.llamaindex.reference_llm import ReferenceLLM
from tests.contracts.event_loop import never_blocked
from tests.servers.openai_server import OpenAIServer

QUESTION = "Is the first thing so?"
FOUND = "One thing is so."


def documents() -> list[Document]:
    texts = {"one": FOUND, "two": "Another is not."}
    return [Document(text=text, id_=name, metadata={"page": name}) for name, text in texts.items()]


@pytest.fixture
def llm(openai: OpenAIServer) -> Iterator[LEOLLM]:
    """A model whose own cache is off, so that each answer is a request to the server."""
    Settings.embed_model = LEOEmbedding()
    with LEOLLM(small="openai:gpt-5-mini", api_key=SECRET, base_url=openai.base_url, cache=False) as made:
        yield made


@pytest.fixture
def index(llm: LEOLLM) -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(documents())


def wrap(index: Any, llm: Any, *, streaming: bool = False, top_k: int = 2, **settings: Any) -> LEOCachedQueryEngine:
    engine = index.as_query_engine(llm=llm, streaming=streaming, similarity_top_k=top_k)
    return LEOCachedQueryEngine(engine, **settings)


async def ask(engine: LEOCachedQueryEngine, question: str = QUESTION, *, awaited: bool = False) -> tuple[str, Any]:
    """The whole text of an answer and its response, in which everything is there once the text was read."""
    response = await engine.aquery(question) if awaited else engine.query(question)
    if hasattr(response, "async_response_gen"):
        text = "".join([piece async for piece in response.async_response_gen()])
    elif hasattr(response, "response_gen"):
        text = "".join(response.response_gen)
    else:
        text = str(response)
    engine.flush()
    return text, response


# ----------------------------------------------------------------------------------------------------- a hit


@pytest.mark.parametrize(("streaming", "awaited"), list(itertools.product([False, True], repeat=2)))
async def test_a_repeated_question_is_answered_before_anything_is_retrieved(
    llm: LEOLLM, index: VectorStoreIndex, openai: OpenAIServer, streaming: bool, awaited: bool
) -> None:
    with wrap(index, llm, streaming=streaming) as engine:
        text, first = await ask(engine, awaited=awaited)
        asked = len(openai.requests)
        with record_events() as seen:
            again, hit = await ask(engine, awaited=awaited)
    assert text == again == FOUND
    assert len(openai.requests) == asked
    assert seen.names["QueryStartEvent"] == seen.names["QueryEndEvent"] == 1
    for name in ("RetrievalStartEvent", "EmbeddingStartEvent", "SynthesizeStartEvent", "LLMChatStartEvent"):
        assert seen.names[name] == 0, name
    assert type(hit) is type(first)
    assert [found.model_dump() for found in hit.source_nodes] == [found.model_dump() for found in first.source_nodes]
    assert {name: value for name, value in hit.metadata.items() if name != "leo"} == {
        name: value for name, value in first.metadata.items() if name != "leo"
    }
    facts, before = hit.metadata["leo"], first.metadata["leo"]
    assert (facts["route"], facts["cost_usd"], facts["cache"]["kind"]) == ("cache", 0.0, "exact")
    assert facts["receipt"] == before["receipt"]
    assert facts["receipt"].startswith("leo:rcpt:")
    assert facts["answers"] == before["answers"]
    assert facts["sources"] == ["one", "two"]
    spent = [each["usage"]["total_tokens"] for each in before["answers"]]
    assert facts["saved_usage"]["total_tokens"] == sum(spent) > 0


async def test_ways_of_asking_share_their_answers(llm: LEOLLM, index: VectorStoreIndex, openai: OpenAIServer) -> None:
    with wrap(index, llm, store=(kept := _memory())) as whole, wrap(index, llm, store=kept, streaming=True) as parts:
        await ask(parts)
        asked = len(openai.requests)
        _, hit = await ask(whole, awaited=True)
        pieces = list(parts.query(QUESTION).response_gen)
    assert hit.metadata["leo"]["cache"]["hit"]
    assert len(pieces) > 2
    assert len(openai.requests) == asked


def _memory() -> Any:
    from leo_core.storage.in_memory import InMemoryStore

    return InMemoryStore()


async def test_hits_are_events_and_callbacks_of_their_own(llm: LEOLLM, index: VectorStoreIndex) -> None:
    with wrap(index, llm) as engine:
        await ask(engine)
        debug = LlamaDebugHandler(print_trace_on_end=False)
        engine.callback_manager = CallbackManager([debug])
        with LEOEventHandler() as watch, record_events() as seen:
            await ask(engine)
    assert (watch.summary().answers, watch.summary().hits) == (1, 1)
    assert watch.summary().saved_tokens > 0
    assert seen.names["LEOCacheHitEvent"] == seen.names["LEORouteEvent"] == 1
    assert all(QUESTION not in repr(event) for event in seen.events if type(event).__name__.startswith("LEO"))
    assert len(debug.get_event_pairs(CBEventType.QUERY)) == 1


def test_what_a_caller_does_to_a_response_stays_with_it(llm: LEOLLM, index: VectorStoreIndex) -> None:
    with wrap(index, llm) as engine:
        engine.query(QUESTION)
        engine.flush()
        spoilt = engine.query(QUESTION)
        spoilt.source_nodes[0].node.set_content("spoilt")
        spoilt.metadata.clear()
        assert engine.query(QUESTION).source_nodes[0].node.get_content() == FOUND


WORDINGS = (
    "How do I {}?",
    "How can I {}?",
    "How could I {}?",
    "How should I {}?",
    "What do I do to {}?",
    "Please tell me how to {}.",
)
DOINGS = (
    "reset my password",
    "book a table for two",
    "return a pair of shoes",
    "change my delivery address",
    "cancel the newsletter",
    "rent a bicycle",
)
NEVER_ASKED = "book a table for three"


def test_equivalent_questions_are_served_once_enough_were_explored_and_other_ones_never() -> None:
    """By meaning, in the same scope, and only what the guards let pass; each doing has an answer of its own."""
    asked: list[str] = []

    def reply(request: Any) -> str:
        known = (*DOINGS, NEVER_ASKED)
        asked.append(next(doing for doing in known if doing in request.question))
        return f"To {asked[-1]} ask at desk {known.index(asked[-1])}."

    config = LEOConfig(cache=CacheConfig(max_wrong_hits=0.3, min_explored=3, explore_rate=0.2))
    with LEOLLM(small=ScriptedModel("clerk", replies=reply), cache=False) as clerk:
        inner = RetrieverQueryEngine.from_args(Fixed([TextNode(text="Desks 0 to 5.", id_="n")]), llm=clerk)
        with LEOCachedQueryEngine(inner, version="1", config=config, seed=11) as engine:
            kinds = []
            for wording, doing in itertools.product(WORDINGS, DOINGS):
                response = engine.query(wording.format(doing))
                engine.flush()
                assert str(response) == f"To {doing} ask at desk {DOINGS.index(doing)}."
                kinds.append(response.metadata["leo"]["cache"].get("kind"))
            explored = engine.counts["cache.explore"]
            before = len(asked)
            other = str(engine.query(f"How do I {NEVER_ASKED}?"))
    assert kinds.count("semantic") > 0, engine.counts
    assert explored > 0
    assert len(asked) == before + 1, "another number is another question, whatever the promise would allow"
    assert other == f"To {NEVER_ASKED} ask at desk 6."


# ------------------------------------------------------------------------------------- what an answer depends on


async def test_other_tenants_and_settings_have_their_own_answers(
    llm: LEOLLM, index: VectorStoreIndex, openai: OpenAIServer
) -> None:
    with wrap(index, llm, tenant="acme") as engine:
        await ask(engine)

        async def asks_anew() -> bool:
            before = len(openai.requests)
            await ask(engine)
            anew = len(openai.requests) > before
            await ask(engine)
            assert len(openai.requests) == before + anew
            return anew

        assert not await asks_anew()
        with instrument_tags({"tenant": "other"}):
            assert await asks_anew()
        for style in ("shortly", "at length"):  # prompts of one class differ in their words alone
            prompt = PromptTemplate(f"Context: {{context_str}} Answer {style}: {{query_str}}")
            engine.update_prompts({"response_synthesizer:text_qa_template": prompt})
            assert await asks_anew()
        engine._engine.retriever.similarity_top_k = 1
        assert await asks_anew()
        llm.temperature = 0.9
        assert await asks_anew()
        llm.temperature = None
        assert not await asks_anew()


async def test_a_bundle_with_more_than_its_text_is_another_question(llm: LEOLLM, index: VectorStoreIndex) -> None:
    with wrap(index, llm) as engine:
        await ask(engine)
        for other in (
            QueryBundle(QUESTION, custom_embedding_strs=["elsewhere"]),
            QueryBundle(QUESTION, embedding=[0.5] * 256),
        ):
            assert engine.query(other).metadata["leo"]["route"] != "cache"
        assert engine.query(QueryBundle(QUESTION)).metadata["leo"]["route"] == "cache"


CHANGES = {
    "insert": lambda index: index.insert(Document(text="A third thing is so.", id_="three")),
    "update": lambda index: index.update_ref_doc(Document(text="One thing is so no more.", id_="one")),
    "delete": lambda index: index.delete_ref_doc("one"),
    "delete from the docstore too": lambda index: index.delete_ref_doc("one", delete_from_docstore=True),
}


@pytest.mark.parametrize(
    ("kind", "invalidation", "change"),
    [
        *((VectorStoreIndex, invalidation, change) for invalidation in ("corpus", "sources") for change in CHANGES),
        (SummaryIndex, "corpus", "insert"),
        (SummaryIndex, "sources", "delete from the docstore too"),
    ],
)
def test_a_changed_document_ends_what_was_answered_from_it(
    llm: LEOLLM, change: str, kind: type, invalidation: str
) -> None:
    index = kind.from_documents(documents())
    with wrap(index, llm, invalidation=invalidation) as engine:

        def served() -> bool:
            response = engine.query(QUESTION)
            engine.flush()
            return bool(response.metadata and response.metadata.get("leo", {}).get("route") == "cache")

        assert [served(), served()] == [False, True]
        CHANGES[change](index)
        assert served() == (invalidation == "sources" and change == "insert")


async def test_answers_are_removed_by_source_document(llm: LEOLLM, index: VectorStoreIndex) -> None:
    with wrap(index, llm, top_k=1) as engine:
        await ask(engine)
        assert await engine.ainvalidate(sources=["two"]) == 0
        with instrument_tags({"tenant": "other"}):
            assert engine.invalidate(sources=["one"]) == 0
        assert engine.invalidate(sources=["one"]) == 1
        _, response = await ask(engine)
        assert response.metadata["leo"]["route"] != "cache"
        with pytest.raises(ConfigError):
            engine.invalidate()


def test_answers_outlive_the_process_that_made_them(
    llm: LEOLLM, index: VectorStoreIndex, openai: OpenAIServer, tmp_path: Path
) -> None:
    store = str(tmp_path / "leo.db")
    index.storage_context.persist(str(tmp_path / "index"))
    with wrap(index, llm, store=store, privacy="sealed_local") as engine:
        engine.query(QUESTION)
    asked = len(openai.requests)
    again = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(tmp_path / "index")))
    with wrap(again, llm, store=store, privacy="sealed_local") as engine:
        assert str(engine.query(QUESTION)) == FOUND
    assert len(openai.requests) == asked
    assert FOUND.encode() not in b"".join(path.read_bytes() for path in tmp_path.glob("leo.db*") if path.is_file())


# ------------------------------------------------------------------------------------------------- several at once


async def test_equal_questions_at_once_are_answered_once_and_the_loop_goes_on(
    llm: LEOLLM, index: VectorStoreIndex, openai: OpenAIServer
) -> None:
    with wrap(index, llm) as engine:
        responses = await asyncio.gather(*(engine.aquery(QUESTION) for _ in range(4)))
        assert {str(response) for response in responses} == {FOUND}
        assert len(openai.requests) == 1
        with never_blocked():  # LlamaIndex's own synthesizers block it, so only where they are not needed
            assert str(await engine.aquery(QUESTION)) == FOUND


class Nested(CustomQueryEngine):
    """Asks another engine that is cached, and then takes its time."""

    inner: Any
    asked: int = 0

    def custom_query(self, query_str: str) -> Response:
        self.asked += 1
        self.inner.query(f"{query_str} step {self.asked}")
        time.sleep(0.5)
        return self._found()

    async def acustom_query(self, query_str: str) -> Response:
        self.asked += 1
        await self.inner.aquery(f"{query_str} step {self.asked}")
        await asyncio.sleep(0.5)
        return self._found()

    def _found(self) -> Response:
        return Response(FOUND, source_nodes=[NodeWithScore(node=TextNode(text=FOUND, id_="one"))])


@pytest.mark.parametrize("awaited", [False, True])
async def test_equal_questions_wait_for_an_engine_whose_inner_engine_is_cached_too(awaited: bool) -> None:
    with LEOCachedQueryEngine(Breaking(failures=0), version="1") as inner:
        nested = Nested(inner=inner)
        with LEOCachedQueryEngine(nested, version="1") as engine:
            asked = [engine.aquery(QUESTION) if awaited else asyncio.to_thread(engine.query, QUESTION) for _ in "ab"]
            assert [str(each) for each in await asyncio.gather(*asked)] == [FOUND, FOUND]
            assert nested.asked == 1


# ---------------------------------------------------------------------------------------------------- failures


class Breaking(CustomQueryEngine):
    """Fails as often as it is told, and then answers."""

    failures: int = 1

    def custom_query(self, query_str: str) -> str:
        self.failures -= 1
        if self.failures >= 0:
            raise LookupError("no such table")
        return "recovered"


async def test_an_engines_own_error_reaches_the_caller_and_nobody_waits_for_its_answer() -> None:
    with LEOCachedQueryEngine(Breaking(failures=2), version="1") as engine:
        with pytest.raises(LookupError, match="no such table"):
            engine.query(QUESTION)
        with pytest.raises(LookupError, match="no such table"):
            await engine.aquery(QUESTION)
        assert str(engine.query(QUESTION)) == "recovered"
        assert engine.leo.store.count_entries() == 0, "an answer without a source is not kept"


async def test_a_stream_that_was_left_is_not_kept(llm: LEOLLM, index: VectorStoreIndex) -> None:
    with wrap(index, llm, streaming=True) as engine:
        left = engine.query(QUESTION).response_gen
        next(left)
        left.close()
        response = await engine.aquery(QUESTION)
        stream = response.response_gen
        await anext(stream)
        await stream.aclose()
        engine.flush()
        assert engine.leo.store.count_entries() == 0
        assert (await ask(engine))[0] == FOUND


async def test_a_broken_store_costs_the_hit_and_never_the_answer(
    llm: LEOLLM, index: VectorStoreIndex, tmp_path: Path
) -> None:
    broken = tmp_path / "leo.db"
    broken.write_bytes(b"this is no database" * 100)
    engine = wrap(index, llm, store=str(broken))
    assert str(engine.query(QUESTION)) == str(await engine.aquery(QUESTION)) == FOUND
    assert engine.counts == {"lookup.failed": 2, "update.failed": 2}
    with pytest.raises(StorageError):
        engine.invalidate(sources=["one"])


def test_a_version_that_cannot_be_told_costs_the_hit_and_never_the_answer(llm: LEOLLM, index: VectorStoreIndex) -> None:
    def tell() -> str:
        raise OSError("the registry is down")

    with wrap(index, llm, version=tell) as engine:
        assert str(engine.query(QUESTION)) == FOUND
        assert engine.counts["lookup.failed"] == 1


# ------------------------------------------------------------------------------------------- what is (not) kept


class Fixed(BaseRetriever):
    """Always finds the same nodes; nothing shows when they change."""

    def __init__(self, nodes: list[TextNode]) -> None:
        self.nodes = nodes
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=node, score=0.5) for node in self.nodes]


def test_documents_that_cannot_be_seen_to_change_need_a_version(llm: LEOLLM, openai: OpenAIServer) -> None:
    inner = RetrieverQueryEngine.from_args(Fixed([TextNode(text=FOUND, id_="n")]), llm=llm)
    with pytest.raises(ConfigError, match="version="):
        LEOCachedQueryEngine(inner)
    versions = iter(["1", "1", "2"])
    with LEOCachedQueryEngine(inner, version=lambda: next(versions)) as engine:
        for _ in range(3):
            engine.query(QUESTION)
            engine.flush()
    assert len(openai.requests) == 2


class Special(TextNode):
    """A node that LlamaIndex would read back as another kind of node."""


@pytest.mark.parametrize(
    "nodes",
    [[], [Special(text=FOUND)], [TextNode(text=FOUND, metadata={"when": object()})]],
    ids=["none", "class", "metadata"],
)
def test_what_could_not_be_given_back_as_it_was_is_not_kept(llm: LEOLLM, nodes: list[TextNode]) -> None:
    for node in nodes:
        node.excluded_llm_metadata_keys = ["when"]
    inner = RetrieverQueryEngine.from_args(Fixed(nodes), llm=llm)
    with LEOCachedQueryEngine(inner, version="1") as engine:
        first, again = engine.query(QUESTION), engine.query(QUESTION)
        assert str(first) == str(again)
        engine.flush()
        assert engine.leo.store.count_entries() == 0


class Verdict(BaseModel):
    """A finding."""

    label: str


def test_an_object_comes_back_as_an_object(openai: OpenAIServer) -> None:
    llm = ReferenceLLM(base_url=openai.base_url, api_key=SECRET)
    index = VectorStoreIndex.from_documents(documents())
    inner = index.as_query_engine(llm=llm, output_cls=Verdict, response_mode="compact")
    with LEOCachedQueryEngine(inner) as engine:
        first = engine.query("Judge 'x'")
        engine.flush()
        asked = len(openai.requests)
        again = engine.query("Judge 'x'")
    assert isinstance(first.response, Verdict)
    assert again.response == first.response
    assert again.metadata["leo"]["saved_usd"] is None, "the model is none of LEO's: nobody knows what it costs"
    assert len(openai.requests) == asked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"engine": "no engine"}, "wraps a query engine, not str"),
        ({"invalidation": "never"}, "'corpus' or 'sources'"),
        ({"invalidation": "sources", "version": "1"}, "leave out version="),
    ],
)
def test_bad_arguments_are_refused_at_once(index: VectorStoreIndex, llm: LEOLLM, given: Any, said: str) -> None:
    inner = {"engine": index.as_query_engine(llm=llm)}
    with pytest.raises(ConfigError, match=said):
        LEOCachedQueryEngine(**{**inner, **given})


def test_a_policy_of_several_tenants_refuses_a_question_without_one(index: VectorStoreIndex, llm: LEOLLM) -> None:
    with wrap(index, llm, config=LEOConfig(require_tenant=True)) as engine:
        with pytest.raises(TenantRequiredError):
            engine.query(QUESTION)
        with instrument_tags({"tenant": "acme"}):
            assert str(engine.query(QUESTION)) == FOUND


async def test_the_engine_inside_can_be_used_step_by_step(index: VectorStoreIndex, llm: LEOLLM) -> None:
    with wrap(index, llm) as engine:
        bundle = QueryBundle(QUESTION)
        nodes = engine.retrieve(bundle)
        assert {found.node.ref_doc_id for found in nodes} == {"one", "two"}
        assert str(engine.synthesize(bundle, nodes)) == str(await engine.asynthesize(bundle, nodes)) == FOUND
        assert engine.get_prompts() == engine._engine.get_prompts() != {}
