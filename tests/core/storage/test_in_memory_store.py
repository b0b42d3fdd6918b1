"""The in-memory store keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leo_core.storage.in_memory import InMemoryStore
from tests.contracts.store import StoreContract
from tests.contracts.store_samples import axis, make_entry

if TYPE_CHECKING:
    from collections.abc import Callable


class TestInMemoryStore(StoreContract):
    """The contract."""

    @pytest.fixture
    def store(self) -> InMemoryStore:
        return InMemoryStore()

    @pytest.fixture
    def make_store(self) -> Callable[[], InMemoryStore]:
        return InMemoryStore

    def test_shows_its_size_and_closes_itself(self, ready: InMemoryStore) -> None:
        with ready:
            ready.put(make_entry("a"), axis(0))
            assert repr(ready) == "InMemoryStore(1 entries)"
