"""The caches of both adapters tell OpenTelemetry of their look-ups, inside the span of whoever asks."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM

from leo_langchain import LEOCache, LEOCacheMiddleware
from leo_llamaindex import LEOCachedQueryEngine
from tests.core.telemetry.spans import Told, parent_of

QUESTION = "How many locks has the Moselle?"
SECRETS = ("Moselle", "locks", "twenty-eight")


def check(told: Told, app) -> None:
    spans = told.named("cache_lookup leo")
    assert [span.attributes["leo.cache.hit"] for span in spans] == [False, True]
    assert {parent_of(span) for span in spans} == {app.get_span_context().span_id}
    assert not [secret for secret in SECRETS if secret in told.everything()]


async def test_the_cache_of_a_process() -> None:
    told = Told(capture_content=True)
    with LEOCache(listeners=[told.listener]) as cache:
        model = FakeListChatModel(responses=["It has twenty-eight."], cache=cache)
        with told.tracers.get_tracer("app").start_as_current_span("app") as app:
            model.invoke(QUESTION)
            cache.flush()
            await model.ainvoke(QUESTION)
    check(told, app)


async def test_the_cache_of_an_agent() -> None:
    told = Told(capture_content=True)
    with LEOCacheMiddleware(listeners=[told.listener]) as cache:
        agent = create_agent(FakeListChatModel(responses=["It has twenty-eight."]), [], middleware=[cache])
        with told.tracers.get_tracer("app").start_as_current_span("app") as app:
            agent.invoke({"messages": [("user", QUESTION)]})
            cache.keeper.flush()
            await agent.ainvoke({"messages": [("user", QUESTION)]})
    check(told, app)


async def test_the_cache_of_a_query_engine() -> None:
    told = Told(capture_content=True)
    index = VectorStoreIndex.from_documents(
        [Document(text="The Moselle has twenty-eight locks.")], embed_model=MockEmbedding(embed_dim=8)
    )
    engine = LEOCachedQueryEngine(index.as_query_engine(llm=MockLLM()), listeners=[told.listener])
    with engine, told.tracers.get_tracer("app").start_as_current_span("app") as app:
        engine.query(QUESTION)
        engine.flush()
        await engine.aquery(QUESTION)
    check(told, app)
