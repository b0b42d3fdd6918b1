"""The private store is a store, over each of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leo_core.privacy.kek import LocalKek
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store import StoreContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from leo_core.ports import Store


@pytest.fixture(scope="module")
def rings(tmp_path_factory):
    return Keyrings.in_folder(tmp_path_factory.mktemp("keys"), kek=LocalKek.generate())


class TestPrivateInMemory(StoreContract):
    @pytest.fixture
    def store(self, rings) -> Store:
        return PrivateStore(InMemoryStore(), rings)

    @pytest.fixture
    def make_store(self, rings) -> Callable[[], Store]:
        return lambda: PrivateStore(InMemoryStore(), rings)


class TestPrivateSqlite(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, rings) -> Store:
        return PrivateStore(SqliteStore(tmp_path / "leo.db"), rings)

    @pytest.fixture
    def make_store(self, rings) -> Callable[[], Store]:
        return lambda: PrivateStore(SqliteStore(":memory:"), rings)
