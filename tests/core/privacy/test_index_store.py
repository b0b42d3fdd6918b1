"""The private store with an encrypted index is a store, as exact as what it fetches is enough."""

from __future__ import annotations

import pytest

from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.transport import InProcessTransport
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from tests.contracts.store import StoreContract
from tests.core.privacy.index_parts import FakeTenantSecrets, make_server


@pytest.fixture(scope="module")
def rings():
    return Keyrings.in_memory()


def make_private(rings, mode):
    server = make_server()
    token = server.add_account("acme")
    config = PrivateIndexConfig(mode=mode, tail_rows=64, fetch_rows=256, grace_s=0.0)
    index = EncryptedIndex(
        InProcessTransport(server, token), token, rings, config=config, open_secrets=FakeTenantSecrets
    )
    return PrivateStore(InMemoryStore(), rings, index=index)


class TestFullyEncrypted(StoreContract):
    @pytest.fixture
    def store(self, rings):
        return make_private(rings, "fully_encrypted")

    @pytest.fixture
    def make_store(self, rings):
        return lambda: make_private(rings, "fully_encrypted")

    def check_search(self, store, seed, count, aliases, k, expired, removed):
        """What the store removed by itself, the index hears of from searches that miss it: here nothing is removed."""
        super().check_search(store, seed, count, aliases, k, expired, 0.0)
