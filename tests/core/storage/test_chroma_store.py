"""The Chroma store keeps the contract, embedded and on a server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from leo_core.storage.chroma import ChromaStore
from tests.contracts.store import StoreContract
from tests.servers.chroma_server import ChromaServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.ports import Store

ACTIONS = ["put", "alias", "remove", "tag", "source", "model", "clear", "state", "observe", "hit"]
PATIENT = {"timeout_s": 60.0, "write_timeout_s": 120.0}


@pytest.fixture(scope="module")
def server() -> Iterator[ChromaServer]:
    server = ChromaServer()
    yield server
    server.close()


class ChromaContract(StoreContract):
    """The contract at the speed of Chroma: fewer entries, and a few drawn cases in the place of many."""

    many = 120
    cases = 3

    def test_search_is_exact(self, make_ready: Callable[[], Store]) -> None:
        draw = random.Random(self.cases)
        for seed in range(self.cases):
            count, aliases, k = draw.randint(1, 40), draw.randint(0, 20), draw.randint(1, 70)
            self.check_search(make_ready(), seed, count, aliases, k, draw.random() / 2, draw.random() / 2)

    def test_a_tenant_sees_what_it_would_see_alone(self, make_ready: Callable[[], Store]) -> None:
        draw = random.Random(self.cases)
        for _ in range(self.cases):
            steps = [(draw.choice(ACTIONS), draw.choice(["acme", "other"]), draw.randint(0, 4)) for _ in range(25)]
            self.check_isolation(make_ready, steps)


class TestChromaStoreEmbedded(ChromaContract):
    """The contract, in this process."""

    cases = 5

    @pytest.fixture
    def store(self) -> Iterator[ChromaStore]:
        with ChromaStore("chroma::memory:") as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore("chroma::memory:")


class TestChromaStoreOnServer(ChromaContract):
    """The contract, on a server."""

    @pytest.fixture
    def store(self, server: ChromaServer) -> Iterator[ChromaStore]:
        with ChromaStore(server.new_address(), **PATIENT) as store:
            yield store

    @pytest.fixture
    def make_store(self, server: ChromaServer) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore(server.new_address(), **PATIENT)
