"""The Chroma store keeps the contract, embedded and on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from leo_core.storage.chroma import ChromaStore
from tests.contracts.store import FEW, StoreContract
from tests.servers.chroma_server import ChromaServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENT = {"timeout_s": 30.0, "write_timeout_s": 60.0}


@pytest.fixture(scope="module")
def server() -> Iterator[ChromaServer]:
    server = ChromaServer()
    yield server
    server.close()


class TestChromaStoreEmbedded(StoreContract):
    """The contract, in a folder."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ChromaStore]:
        with ChromaStore(f"chroma:{tmp_path}/chroma") as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore("chroma::memory:")


class TestChromaStoreOnServer(StoreContract):
    """The contract, on a server."""

    @pytest.fixture
    def store(self, server: ChromaServer) -> Iterator[ChromaStore]:
        with ChromaStore(server.new_address(), **PATIENT) as store:
            yield store

    @pytest.fixture
    def make_store(self, server: ChromaServer) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore(server.new_address(), **PATIENT)
