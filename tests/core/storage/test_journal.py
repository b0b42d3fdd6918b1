from __future__ import annotations

import pytest

from leo_core.storage.database import Database
from leo_core.storage.journal import InMemoryJournal, SqliteJournal
from tests.contracts.journal import JournalContract


class TestInMemoryJournal(JournalContract):
    @pytest.fixture
    def make_journal(self):
        journal = InMemoryJournal()
        return lambda: journal


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def make_journal(self, tmp_path):
        opened = []

        def make():
            opened.append(Database(tmp_path / "leo.db"))
            return SqliteJournal(opened[-1])

        yield make
        for database in opened:
            database.close()
