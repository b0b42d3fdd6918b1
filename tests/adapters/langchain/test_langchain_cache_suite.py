"""LangChain's own suites for caches, in memory and on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from leo_langchain import LEOCache


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
