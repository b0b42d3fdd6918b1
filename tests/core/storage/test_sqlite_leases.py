"""Leases in the store's file."""

from __future__ import annotations

import pytest

from leo_core.storage.sqlite import SqliteStore
from tests.contracts.leases import LeasesContract


class TestSqliteLeases(LeasesContract):
    @pytest.fixture
    def make_leases(self, tmp_path):
        stores = []

        def make():
            stores.append(SqliteStore(tmp_path / "leo.db"))
            return stores[-1]

        yield make
        for store in stores:
            store.close()
