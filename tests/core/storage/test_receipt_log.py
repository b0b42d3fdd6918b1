"""The logs of receipts: contract, tampering, crashes, several processes."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leo_core.errors import ConfigError, ReceiptError, StoreCorruptError, StoreFullError, StoreLockedError
from leo_core.records import Receipt
from leo_core.stages.receipt.canonical import canonical_bytes, parse_canonical
from leo_core.stages.receipt.checkpoint import sign_checkpoint
from leo_core.stages.receipt.document import read_statement, receipt_id
from leo_core.stages.receipt.envelope import sign
from leo_core.stages.receipt.merkle import hash_leaf
from leo_core.stages.receipt.verify import verify_receipt
from leo_core.storage.database import Database
from leo_core.storage.receipt_log import InMemoryReceiptLog, SqliteReceiptLog
from tests.contracts.receipt_log import ReceiptLogContract, statement_of
from tests.core.receipt.examples import KEY, ORIGIN, OTHER_KEY

ROOT = Path(__file__).parents[3]


class TestInMemoryReceiptLog(ReceiptLogContract):
    @pytest.fixture
    def make_log(self):
        return lambda key=KEY, **options: InMemoryReceiptLog(key, ORIGIN, **options)


class TestSqliteReceiptLog(ReceiptLogContract):
    @pytest.fixture
    def make_log(self, tmp_path):
        with Database(tmp_path / "leo.db") as database:
            yield lambda key=KEY, **options: SqliteReceiptLog(database, key, ORIGIN, **options)


class TestSqliteReceiptLogInMemory(ReceiptLogContract):
    @pytest.fixture
    def make_log(self):
        with Database(":memory:") as database:
            yield lambda key=KEY, **options: SqliteReceiptLog(database, key, ORIGIN, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "leo.db"


@pytest.fixture
def log(path):
    """A log of seven receipts in a file."""
    with Database(path) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        for number in range(7):
            log.append(*statement_of(f"a{number}", now=1_790_000_000.0 + number))
        yield log


def tamper(path, *statements):
    """Change the file behind LEO's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement, *arguments in statements:
        connection.execute(statement, arguments)
    connection.close()


def envelope_of(path, position):
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT envelope FROM receipts WHERE position = ?", (position,)).fetchone()
    connection.close()
    return row[0]


def refused_check(log):
    with pytest.raises(ReceiptError) as refused:
        log.audit()
    return refused.value.check


def resigned(path, position, key=KEY, **changes):
    """Envelope bytes of the record at a position, its statement changed and signed again."""
    payload = parse_canonical(base64.b64decode(parse_canonical(envelope_of(path, position))["payload"]))
    return sign(canonical_bytes({**payload, **changes}), key)


def replace_record(path, position, envelope, *, id_=None, answer_id=None):
    """Put an envelope and its leaf in the place of a record, as someone with the file at hand could."""
    data = envelope.to_bytes()
    tamper(
        path,
        ("UPDATE receipts SET envelope = ? WHERE position = ?", data, position),
        ("UPDATE receipt_nodes SET hash = ? WHERE level = 0 AND position = ?", hash_leaf(data), position),
        ("UPDATE receipts SET id = ? WHERE position = ?", id_ or receipt_id(envelope.payload), position),
        *([("UPDATE receipts SET answer_id = ? WHERE position = ?", answer_id, position)] if answer_id else []),
    )


def test_an_edited_record_is_found(log, path):
    data = bytearray(envelope_of(path, 3))
    data[len(data) // 2] ^= 1
    tamper(path, ("UPDATE receipts SET envelope = ? WHERE position = 3", bytes(data)))
    assert refused_check(log) == "record"


def test_a_record_that_became_text_is_found(log, path):
    tamper(path, ("UPDATE receipts SET envelope = 'x' WHERE position = 3",))
    assert refused_check(log) == "record"


@pytest.mark.parametrize("size", [0, 100])
def test_a_record_that_is_no_envelope_is_found_even_with_its_leaf(log, path, size):
    tamper(
        path,
        ("UPDATE receipts SET envelope = ? WHERE position = 3", bytes(size)),
        ("UPDATE receipt_nodes SET hash = ? WHERE level = 0 AND position = 3", hash_leaf(bytes(size))),
    )
    assert refused_check(log) == "canonical"


@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_removed_record_is_found(log, path, place):
    tamper(
        path,
        ("DELETE FROM receipt_openings WHERE position = ?", place),
        ("DELETE FROM receipts WHERE position = ?", place),
    )
    assert refused_check(log) == "sequence"


def test_a_removed_last_record_is_found(log, path):
    tamper(path, ("DELETE FROM receipt_openings WHERE position = 6",), ("DELETE FROM receipts WHERE position = 6",))
    assert refused_check(log) == "sequence"


def test_reordered_records_are_found(log, path):
    tamper(
        path, *[("UPDATE receipts SET position = ? WHERE position = ?", *move) for move in ((99, 2), (2, 3), (3, 99))]
    )
    assert refused_check(log) == "record"
    for level_zero in ((99, 2), (2, 3), (3, 99)):
        tamper(path, ("UPDATE receipt_nodes SET position = ? WHERE level = 0 AND position = ?", *level_zero))
    assert refused_check(log) == "sequence"


def test_an_added_record_is_found(log, path):
    tamper(path, ("INSERT INTO receipts VALUES (-4, 'x', 'y', x'00')",))
    assert refused_check(log) == "sequence"


def test_records_signed_again_by_another_key_are_found(log, path):
    replace_record(path, 2, resigned(path, 2, OTHER_KEY))
    assert refused_check(log) == "key"


def test_a_forged_signature_is_found(log, path):
    envelope = resigned(path, 2, OTHER_KEY)
    object.__setattr__(envelope, "key_id", KEY.id)
    replace_record(path, 2, envelope)
    assert refused_check(log) == "signature"


def test_a_record_replaced_by_the_key_owner_is_found_in_the_tree(log, path):
    replace_record(path, 2, resigned(path, 2, sigma="0.500000000"))
    assert refused_check(log) == "node"


def test_a_record_for_another_log_or_of_another_form_is_found(log, path):
    replace_record(path, 6, resigned(path, 6, log={"origin": "example.org/other", "previous_size": 6}))
    assert refused_check(log) == "sequence"
    replace_record(path, 6, resigned(path, 6, version=2))
    assert refused_check(log) == "statement"


@pytest.mark.parametrize("column", ["id", "answer_id"])
def test_a_record_filed_under_another_id_is_found(log, path, column):
    tamper(path, (f"UPDATE receipts SET {column} = 'other' WHERE position = 2",))
    assert refused_check(log) == "id"


@pytest.mark.parametrize(("level", "position"), [(1, 0), (1, 2), (2, 0)])
def test_a_wrong_or_missing_node_is_found(log, path, level, position):
    place = "WHERE level = ? AND position = ?"
    tamper(path, (f"UPDATE receipt_nodes SET hash = ? {place}", bytes(32), level, position))
    assert refused_check(log) == "node"
    tamper(path, (f"DELETE FROM receipt_nodes {place}", level, position))
    assert refused_check(log) == "node"


def test_a_missing_leaf_stops_proofs_and_audit(log, path):
    receipt = next(log.receipts(1))
    tamper(path, ("DELETE FROM receipt_nodes WHERE level = 0 AND position = 0",))
    assert refused_check(log) == "record"
    with pytest.raises(ReceiptError) as refused:
        log.get(receipt.id)
    assert refused.value.check == "node"


def test_an_added_node_is_found(log, path):
    tamper(path, ("INSERT INTO receipt_nodes VALUES (9, 9, ?)", bytes(32)))
    assert refused_check(log) == "node"


def test_a_wrong_frontier_is_found(log, path):
    tamper(path, ("UPDATE receipt_head SET frontier = ?", bytes(96)))
    assert refused_check(log) == "head"
    tamper(path, ("UPDATE receipt_head SET frontier = ?", bytes(31)))
    with pytest.raises(StoreCorruptError):
        log.size()


@pytest.mark.parametrize(
    "note",
    [
        sign_checkpoint(ORIGIN, 7, bytes(32), KEY),
        sign_checkpoint(ORIGIN, 6, bytes(32), KEY),
        f"{ORIGIN}\n7\n",
    ],
)
def test_a_wrong_checkpoint_is_found(log, path, note):
    tamper(path, ("UPDATE receipt_head SET checkpoint = ?", note))
    assert refused_check(log) == "checkpoint"


def test_a_checkpoint_of_another_key_is_found(log, path):
    root = log.checkpoint().split("\n")[2]
    tamper(
        path, ("UPDATE receipt_head SET checkpoint = ?", sign_checkpoint(ORIGIN, 7, base64.b64decode(root), OTHER_KEY))
    )
    assert refused_check(log) == "checkpoint"


def test_a_missing_head_is_found(log, path):
    tamper(path, ("DELETE FROM receipt_head",))
    assert refused_check(log) == "sequence"


def test_a_log_keeps_its_name(log, path):
    with Database(path) as database, pytest.raises(ConfigError, match=ORIGIN):
        SqliteReceiptLog(database, KEY, "example.org/other")


def test_a_log_outlives_its_process_and_its_key(log, path):
    log.close()
    with Database(path) as database:
        renewed = SqliteReceiptLog(database, OTHER_KEY, ORIGIN, earlier_keys=KEY.public)
        receipt = renewed.append(*statement_of("new"))
        assert renewed.audit() == 8
        both = [KEY.public, OTHER_KEY.public]
        for each in renewed.receipts():
            verify_receipt(each, public_key=both)
        assert receipt.log_index == 7
        auditor = SqliteReceiptLog(database, both, ORIGIN)
        assert auditor.audit() == 8
        assert auditor.checkpoint() == renewed.checkpoint()
        forgetful = SqliteReceiptLog(database, OTHER_KEY, ORIGIN)
        assert refused_check(forgetful) == "key"


def test_long_logs_are_read_in_pieces(path):
    with Database(path) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        with database.write(durable=False):
            pass
        for number in range(260):
            log.append(*statement_of(f"a{number}"))
        seen = []
        assert log.audit(lambda *step: seen.append(step)) == 260
        assert seen == [(256, 260), (260, 260)]
        assert [receipt.log_index for receipt in log.receipts()] == list(range(260))


def test_memory_log_reports_progress_and_finds_tampering():
    log = InMemoryReceiptLog(KEY, ORIGIN)
    for number in range(257):
        log.append(*statement_of(f"a{number}"))
    seen = []
    assert log.audit(lambda *step: seen.append(step)) == 257
    assert seen == [(256, 257), (257, 257)]
    assert log.audit() == 257
    log._nodes[0, 5] = bytes(32)  # plays the attacker
    assert refused_check(log) == "record"


def test_a_receipt_that_vanishes_while_reading_ends_the_iteration(log, path):
    tamper(path, ("DELETE FROM receipt_openings",), ("DELETE FROM receipts WHERE position > 2",))
    assert [receipt.log_index for receipt in log.receipts()] == [0, 1, 2]


def append_until_full(log):
    kept = []
    for number in range(1000):
        try:
            kept.append(log.append(*statement_of(f"a{number}")).id)
        except StoreFullError:
            return kept
    pytest.fail("the store never filled")


def test_an_append_into_a_full_store_is_refused_and_the_log_stays_whole(path):
    with Database(path, max_bytes=200_000) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        kept = append_until_full(log)
        assert kept
        assert [receipt.id for receipt in log.receipts()] == kept
        assert log.audit() == len(kept)


def test_a_locked_store_is_said_to_be_locked(path):
    with Database(path, busy_timeout_s=0.05) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLockedError):
            log.append(*statement_of("a"))
        blocker.execute("ROLLBACK")
        blocker.close()
        log.append(*statement_of("a"))
        assert log.audit() == 1


WRITER = """
import os, sys
from tests.core.receipt.examples import KEY, ORIGIN, build, small_answer
from leo_core.storage.database import Database
from leo_core.storage.receipt_log import SqliteReceiptLog
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = SqliteReceiptLog(Database(path, busy_timeout_s=30), KEY, ORIGIN)
os.write(1, b"ready\\n")
for number in range(count):
    os.write(1, log.append(*build(small_answer(id=f"{name}-{number}"))).id.encode() + b"\\n")
"""


def start_writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def whole_lines(text):
    """Complete lines only: the last may have been cut by the kill."""
    return text.rpartition("\n")[0].split("\n")


@pytest.mark.timeout(900)
def test_a_killed_writer_loses_no_acknowledged_receipt(path):
    rng, acknowledged = random.Random(7), []
    for life in range(20):
        with start_writer(path, f"life{life}", 100_000) as writer:
            assert writer.stdout.readline() == "ready\n"
            acknowledged += [writer.stdout.readline().strip() for _ in range(rng.randint(0, 15))]
            time.sleep(rng.uniform(0.0, 0.02))  # somewhere within the next write or two
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged += [line for line in whole_lines(writer.stdout.read()) if line]
    with Database(path) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        assert log.audit() == log.size() >= len(acknowledged) > 20
        kept = {receipt.id for receipt in log.receipts()}
        assert set(acknowledged) <= kept


@pytest.mark.timeout(600)
def test_processes_and_threads_keep_one_linear_log(path):
    with start_writer(path, "one", 40) as one, start_writer(path, "two", 40) as two:
        acknowledged = [line for writer in (one, two) for line in writer.stdout.read().split("\n")[1:-1]]
    with Database(path) as database:
        log = SqliteReceiptLog(database, KEY, ORIGIN)
        assert log.audit() == 80
        assert {receipt.id for receipt in log.receipts()} == set(acknowledged)
        assert [read_statement(receipt)["log"]["previous_size"] for receipt in log.receipts()] == list(range(80))


@pytest.mark.timeout(600)
def test_four_threads_beside_two_processes(path):
    from concurrent.futures import ThreadPoolExecutor

    with start_writer(path, "one", 30) as one, start_writer(path, "two", 30) as two:
        assert one.stdout.readline() == two.stdout.readline() == "ready\n"
        with Database(path, busy_timeout_s=30) as database:
            log = SqliteReceiptLog(database, KEY, ORIGIN)
            with ThreadPoolExecutor(4) as pool:
                jobs = [pool.submit(log.append, *statement_of(f"t-{number}")) for number in range(60)]
                receipts = [job.result() for job in jobs]
            assert one.wait(300) == two.wait(300) == 0
            assert log.audit() == 120
            for receipt in receipts:
                assert isinstance(receipt, Receipt)
                verify_receipt(receipt, public_key=KEY.public)


def test_openings_are_kept_apart_from_receipts(log, path):
    receipt = log.append(*statement_of("b", entropy=bytes(range(1, 33)), now=1_790_000_010.0))
    nonce = receipt.openings["answer"]
    assert nonce.encode() not in envelope_of(path, 7)
    assert nonce not in json.dumps(receipt.document)
    log.erase_openings(receipt.id)
    log.close()
    log._database.close()  # brings everything into the main file
    assert nonce.encode() not in path.read_bytes()
