"""Journal, ledger, leases and receipts of a private store keep their contracts, and its file names nobody."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from leo_core.errors import StoreCorruptError
from leo_core.storage.database import Database
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.journal import InMemoryJournal, SqliteJournal
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.ledger import InMemoryLedger, SqliteLedger
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.receipt_log import SqliteReceiptLog
from leo_core.storage.sealed_journal import SealedJournal
from leo_core.storage.sealed_ledger import SealedLedger
from leo_core.storage.sealed_rows import SealedRows
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.journal import INTENT, JournalContract
from tests.contracts.leases import LeasesContract
from tests.contracts.ledger import MONTH, NOW, USER, LedgerContract, hold
from tests.contracts.receipt_log import ReceiptLogContract, statement_of
from tests.core.receipt.examples import KEY, ORIGIN

RINGS = Keyrings.in_memory()
ROWS = SealedRows(RINGS)


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "leo.db") as opened:
        yield opened


def write(database, statement, *values):
    """Change the file behind LEO's back."""
    with closing(sqlite3.connect(database.path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def read_all(database):
    """Every byte of the store's file, its log included."""
    with closing(sqlite3.connect(database.path)) as connection:
        return "\n".join(connection.iterdump()).encode("utf-8", "surrogatepass")


class TestSealedJournal(JournalContract):
    @pytest.fixture
    def make_journal(self):
        inner = InMemoryJournal()
        return lambda: SealedJournal(inner, ROWS)


class TestSealedLedger(LedgerContract):
    @pytest.fixture
    def make_ledger(self):
        inner, names = InMemoryLedger(), InMemoryStore()
        return lambda: SealedLedger(inner, names, ROWS)


class TestSealedLeases(LeasesContract):
    @pytest.fixture
    def make_leases(self, tmp_path):
        stores = []

        def make():
            stores.append(PrivateStore(SqliteStore(tmp_path / "leo.db"), RINGS))
            return stores[-1].leases

        yield make
        for store in stores:
            store.close()


class TestSealedReceiptLog(ReceiptLogContract):
    @pytest.fixture
    def make_log(self, database):
        return lambda key=KEY, **options: SqliteReceiptLog(database, key, ORIGIN, rows=ROWS, **options)


def test_a_store_without_leases_has_none():
    assert PrivateStore(InMemoryStore(), RINGS).leases is None


def test_the_file_holds_no_name_and_no_plain_hash(database):
    journal, ledger = (
        SealedJournal(SqliteJournal(database), ROWS),
        SealedLedger(SqliteLedger(database), SqliteStore(database), ROWS),
    )
    journal.begin(INTENT)
    journal.keep(INTENT.tenant, INTENT.key, '{"text": "an answer"}')
    journal.settle(INTENT.tenant, INTENT.key, "leo:rcpt:17")
    ledger.reserve(hold("a", 10, MONTH, USER), now=NOW)
    log = SqliteReceiptLog(database, KEY, ORIGIN, rows=ROWS)
    receipt = log.append(*statement_of("answer-1"))
    PrivateStore(SqliteStore(database), RINGS).leases.acquire_lease("f" * 64, "owner", now=1.0, life_s=9.0)
    found = read_all(database)
    assert b"journal" in found
    secrets = [
        "acme", "order-17", "d" * 64, "an answer", "leo:rcpt:17", "team/month", "user/day", "user:0f", "f" * 64,
        *receipt.openings.values(), "in-toto", "payload",
    ]  # fmt: skip
    assert [text for text in secrets if text.encode() in found or text.encode().hex().encode() in found.lower()] == []


def test_an_intent_that_was_altered_is_not_taken(database):
    journal = SealedJournal(SqliteJournal(database), ROWS)
    for began_at, key in enumerate(("order-17", "order-18")):
        journal.begin(replace(INTENT, key=key, began_at=float(began_at)))
        journal.keep("acme", key, f'{{"text": "{key}"}}')
    assert [intent.key for intent in journal.unsettled()] == ["order-17", "order-18"]
    first, second = (ROWS.name("acme", "intent", key) for key in ("order-17", "order-18"))
    write(
        database, "UPDATE journal SET result = (SELECT result FROM journal WHERE key = ?) WHERE key = ?", second, first
    )
    with pytest.raises(StoreCorruptError, match="journal does not open"):
        journal.find("acme", "order-17")
    assert [intent.key for intent in journal.unsettled()] == ["order-18"]
    write(database, "UPDATE journal SET digest = 'plain' WHERE key = ?", second)
    with pytest.raises(StoreCorruptError):
        journal.find("acme", "order-18")


def test_accounts_whose_names_do_not_open_are_not_listed(database):
    ledger = SealedLedger(SqliteLedger(database), SqliteStore(database), ROWS)
    ledger.reserve(hold("a", 10, MONTH, USER), now=NOW)
    assert [balance.account for balance in ledger.balances(now=NOW)] == [MONTH, USER]
    others = SealedLedger(SqliteLedger(database), SqliteStore(database), SealedRows(Keyrings.in_memory()))
    assert others.balances(now=NOW) == ()
    assert others.spent((MONTH,), now=NOW)[0].reserved == 0


def test_receipts_that_were_exchanged_or_are_not_sealed_are_refused(database):
    log = SqliteReceiptLog(database, KEY, ORIGIN, rows=ROWS)
    first, second = (log.append(*statement_of(name)) for name in ("one", "two"))
    write(database, "UPDATE receipts SET envelope = (SELECT envelope FROM receipts WHERE id = ?)", second.id)
    assert log.get(second.id).openings == second.openings
    with pytest.raises(StoreCorruptError, match="receipt log does not open"):
        log.get(first.id)
    with pytest.raises(StoreCorruptError):
        log.audit()
    with Database(":memory:") as plain:
        kept = SqliteReceiptLog(plain, KEY, ORIGIN).append(*statement_of("plain"))
        with pytest.raises(StoreCorruptError):
            SqliteReceiptLog(plain, KEY, ORIGIN, rows=ROWS).get(kept.id)
