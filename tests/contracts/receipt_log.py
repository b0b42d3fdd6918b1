"""What every log of receipts does. Subclass :class:`ReceiptLogContract` and give it a fixture ``make_log``."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from leo_core.errors import LEOError, ReceiptError, SigningKeyError, StorageError
from leo_core.ports import ReceiptLog
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.verify import verify_extension, verify_receipt
from tests.core.receipt.examples import ANSWER, KEY, build, small_answer


def statement_of(name, **changes):
    """Statement and openings of an answer with this id."""
    return build(small_answer(id=name), **changes)


class ReceiptLogContract:
    """``make_log(key=KEY, **options)`` gives a log; called again in one test, a view of the same receipts or none."""

    @pytest.fixture
    def log(self, make_log):
        return make_log()

    def test_is_a_receipt_log(self, log):
        assert isinstance(log, ReceiptLog)
        assert "PRIVATE" not in repr(log)

    def test_an_empty_log_has_a_checkpoint(self, log):
        assert log.size() == 0
        assert list(log.receipts()) == []
        assert log.get("leo:rcpt:" + "0" * 64) is None
        assert log.audit() == 0
        assert log.checkpoint().split("\n")[1] == "0"
        assert log.consistency_proof(0, 0) == ()

    def test_receipts_verify_when_appended_and_for_ever(self, log):
        appended = [log.append(*statement_of(f"a{number}")) for number in range(9)]
        for number, receipt in enumerate(appended):
            assert receipt.log_index == number
            verify_receipt(receipt, public_key=KEY.public, contents={"answer": ANSWER})
            later = log.get(receipt.id)
            assert later.document["log"]["size"] == 9
            assert later.openings == receipt.openings
            verify_receipt(later, public_key=KEY.public, contents={"answer": ANSWER})
            assert read_statement(later)["log"]["previous_size"] == number
        assert log.size() == log.audit() == 9

    def test_what_is_appended_is_what_is_read(self, log):
        for number in range(20):
            receipt = log.append(*statement_of(f"a{number}"))
            assert log.get(receipt.id) == receipt

    def test_the_first_write_of_an_answer_wins(self, log):
        first = log.append(*statement_of("a"))
        log.append(*statement_of("b"))
        again = log.append(*statement_of("a", now=1_800_000_000.0, entropy=bytes(32)))
        assert (again.id, again.log_index, again.openings) == (first.id, 0, first.openings)
        verify_receipt(again, public_key=KEY.public, contents={"answer": ANSWER})
        assert log.size() == log.audit() == 2

    def test_receipts_are_iterated_by_position(self, log):
        ids = [log.append(*statement_of(f"a{number}")).id for number in range(6)]
        assert [receipt.id for receipt in log.receipts()] == ids
        assert [receipt.log_index for receipt in log.receipts(2, 4)] == [2, 3]
        assert [receipt.id for receipt in log.receipts(-3, 99)] == ids
        assert [receipt.id for receipt in log.receipts(4)] == ids[4:]
        assert list(log.receipts(7)) == list(log.receipts(3, 2)) == []
        for receipt in log.receipts():
            verify_receipt(receipt, public_key=KEY.public)

    def test_every_checkpoint_continues_every_earlier_one(self, log):
        notes = [log.checkpoint()]
        for number in range(7):
            log.append(*statement_of(f"a{number}"))
            notes.append(log.checkpoint())
        for old in range(8):
            for new in range(old, 8):
                proof = log.consistency_proof(old, new)
                verify_extension(notes[old], notes[new], proof, public_key=KEY.public)

    @pytest.mark.parametrize(("old", "new"), [(0, 2), (2, 1), (-1, 1)])
    def test_sizes_that_never_were_have_no_proof(self, log, old, new):
        log.append(*statement_of("a"))
        with pytest.raises(ReceiptError) as refused:
            log.consistency_proof(old, new)
        assert refused.value.check == "consistency"

    def test_a_malformed_statement_leaves_no_trace(self, log):
        statement, openings = statement_of("a")
        for wrong in ({**statement, "sigma": "2.000000000"}, {**statement, "x": 1}, {**statement, "log": {}}, {}):
            with pytest.raises(ReceiptError) as refused:
                log.append(wrong, openings)
            assert refused.value.check == "statement"
        assert log.size() == log.audit() == 0
        log.append(statement, openings)
        assert log.size() == log.audit() == 1

    def test_openings_can_be_erased_and_the_log_stays_whole(self, log):
        receipt = log.append(*statement_of("a"))
        kept = log.append(*statement_of("b"))
        assert log.erase_openings(receipt.id, "leo:rcpt:none") == 1
        assert log.erase_openings(receipt.id) == log.erase_openings("leo:rcpt:none") == log.erase_openings() == 0
        after = log.get(receipt.id)
        assert after.openings == {}
        assert log.get(kept.id).openings == kept.openings
        verify_receipt(after, public_key=KEY.public)
        with pytest.raises(ReceiptError, match="erased"):
            verify_receipt(after, public_key=KEY.public, contents={"answer": ANSWER})
        assert log.audit() == 2

    def test_audit_reports_progress(self, log):
        for number in range(3):
            log.append(*statement_of(f"a{number}"))
        seen = []
        assert log.audit(lambda done, size: seen.append((done, size))) == 3
        assert seen[-1] == (3, 3)

    def test_audit_refuses_time_that_goes_back_too_far(self, make_log):
        log = make_log(clock_tolerance_s=10.0)
        log.append(*statement_of("a", now=1_000_000.0))
        log.append(*statement_of("b", now=999_990.0))
        assert log.audit() == 2
        log.append(*statement_of("c", now=999_989.0))
        with pytest.raises(ReceiptError) as refused:
            log.audit()
        assert refused.value.check == "time"

    def test_threads_keep_one_linear_log(self, log):
        start = threading.Barrier(4)

        def work(worker):
            start.wait()
            return [log.append(*statement_of(f"{worker}-{number}")) for number in range(12)]

        with ThreadPoolExecutor(4) as pool:
            receipts = [receipt for batch in pool.map(work, range(4)) for receipt in batch]
        assert sorted(receipt.log_index for receipt in receipts) == list(range(48))
        assert log.size() == log.audit() == 48
        for receipt in receipts:
            verify_receipt(receipt, public_key=KEY.public)

    def test_threads_that_append_one_answer_get_one_receipt(self, log):
        start = threading.Barrier(4)

        def work(_):
            start.wait()
            return log.append(*statement_of("same")).id

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(work, range(4)))) == 1
        assert log.size() == 1

    def test_public_keys_alone_cannot_append(self, make_log):
        log = make_log(key=KEY.public.to_pem())
        with pytest.raises(SigningKeyError):
            log.append(*statement_of("a"))
        with pytest.raises(SigningKeyError):
            log.checkpoint()
        assert log.size() == log.audit() == 0

    def test_a_receipt_of_a_foreign_key_is_refused_by_the_verifier(self, make_log):
        receipt = make_log(key=SigningKey.generate()).append(*statement_of("a"))
        with pytest.raises(ReceiptError) as refused:
            verify_receipt(receipt, public_key=KEY.public)
        assert refused.value.check == "key"

    def test_a_closed_log_says_so(self, log):
        receipt = log.append(*statement_of("a"))
        log.close()
        log.close()
        for call in (
            lambda: log.append(*statement_of("b")),
            lambda: log.get(receipt.id),
            lambda: list(log.receipts()),
            log.size,
            log.checkpoint,
            log.audit,
            lambda: log.consistency_proof(0, 1),
            lambda: log.erase_openings(receipt.id),
        ):
            with pytest.raises(StorageError) as refused:
                call()
            assert isinstance(refused.value, LEOError)
