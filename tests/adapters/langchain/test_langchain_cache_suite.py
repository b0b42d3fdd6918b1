"""LangChain's own suites for caches, in memory, on SQLite and on Chroma."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.outputs import Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from leo_langchain import LEOCache, LEOChatModel
from tests.servers.chroma_server import ChromaServer


@pytest.fixture(scope="module")
def server() -> Iterator[ChromaServer]:
    server = ChromaServer()
    yield server
    server.close()


class TestSyncInMemory(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> Iterator[LEOCache]:
        with LEOCache(":memory:") as cache:
            yield cache


class TestSyncOnSqlite(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Iterator[LEOCache]:
        with LEOCache(str(tmp_path / "leo.db")) as cache:
            yield cache


class TestAsyncInMemory(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self) -> LEOCache:
        return LEOCache(":memory:")


class TestAsyncOnSqlite(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, tmp_path: Path) -> LEOCache:
        return LEOCache(str(tmp_path / "leo.db"))


class TestSyncOnEmbeddedChroma(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> Iterator[LEOCache]:
        with LEOCache(f"chroma:{tmp_path}/chroma") as cache:
            yield cache


class TestAsyncOnEmbeddedChroma(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, tmp_path: Path) -> AsyncIterator[LEOCache]:
        cache = LEOCache(f"chroma:{tmp_path}/chroma")
        yield cache
        await asyncio.to_thread(cache.close)


class TestSyncOnChromaServer(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, server: ChromaServer, tmp_path: Path) -> Iterator[LEOCache]:
        with LEOCache(server.new_address(home=tmp_path)) as cache:
            yield cache


class TestAsyncOnChromaServer(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, server: ChromaServer, tmp_path: Path) -> AsyncIterator[LEOCache]:
        cache = LEOCache(server.new_address(home=tmp_path))
        yield cache
        await asyncio.to_thread(cache.close)


def test_two_caches_of_one_server_and_home_answer_for_each_other(server: ChromaServer, tmp_path: Path) -> None:
    address = server.new_address(home=tmp_path)
    with LEOCache(address) as one, LEOCache(address) as two:
        one.update("What is a fjord?", "some model", [Generation(text="An inlet.")])
        one.leo.flush()
        assert two.lookup("What is a fjord?", "some model") == [Generation(text="An inlet.")]
        assert two.lookup("What is a fjord?", "another model") is None
        one.clear()
        assert two.lookup("What is a fjord?", "some model") is None
    with LEOCache(server.new_address(home=tmp_path / "elsewhere")) as three:
        assert three.lookup("What is a fjord?", "some model") is None


def test_a_chat_model_answers_from_chroma_with_a_receipt(server: ChromaServer, tmp_path: Path) -> None:
    address = server.new_address(home=tmp_path)
    for route in ("small", "cache"):
        with LEOChatModel(small=FakeListChatModel(responses=["An inlet."]), store=address) as model:
            message = model.invoke("What is a fjord?")
            assert message.content == "An inlet."
            assert message.response_metadata["leo"]["route"] == route
            assert message.response_metadata["leo"]["receipt"]
            model.leo.flush()
            assert model.leo.log is not None
            assert model.leo.log.audit() == (1 if route == "small" else 2)
