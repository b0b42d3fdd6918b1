"""What every witness does. Subclass :class:`WitnessContract` and give it a fixture ``make_witness``."""

from __future__ import annotations

import pytest

from leo_core.errors import ReceiptError
from leo_core.ports import Witness
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.cosignature import add_cosignature, verify_cosignature
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage.receipt_log import InMemoryReceiptLog
from leo_core.storage.witness import witness_log
from tests.core.receipt.examples import KEY, ORIGIN, build, small_answer

NAME = "witness.example/w1"
WITNESS_KEY = SigningKey.from_seed(b"w" * 32)


def make_log(count, prefix="a", key=KEY):
    log = InMemoryReceiptLog(key, ORIGIN)
    grow(log, count, prefix)
    return log


def grow(log, count, prefix="a"):
    for number in range(log.size(), log.size() + count):
        log.append(*build(small_answer(id=f"{prefix}{number}")))


class WitnessContract:
    """``make_witness()`` gives a witness of the log of ``KEY``, called ``NAME``, with the key ``WITNESS_KEY``."""

    @pytest.fixture
    def witness(self, make_witness):
        return make_witness()

    def test_is_a_witness(self, witness):
        assert isinstance(witness, Witness)

    def test_it_signs_a_log_that_grows(self, witness, tmp_path):
        log, file = make_log(0), tmp_path / "seen.txt"
        for count in (1, 4, 0, 3):
            grow(log, count)
            note = witness_log(log, witness, file)
            assert verify_cosignature(note, NAME, WITNESS_KEY) > 1_700_000_000
            checkpoint = read_checkpoint(note)
            assert checkpoint.size == log.size()
            assert file.read_text() == note
            assert {name for name, _, _ in checkpoint.signatures} == {ORIGIN, NAME}

    def test_it_never_signs_a_second_log(self, witness):
        witness_log(make_log(5), witness)
        for other in (make_log(5, "b"), make_log(9, "b"), make_log(4), make_log(3, "b")):
            with pytest.raises(ReceiptError) as caught:
                witness_log(other, witness)
            assert caught.value.check == "consistency"
        assert verify_cosignature(witness_log(make_log(6), witness), NAME, WITNESS_KEY)

    def test_it_does_not_sign_for_a_key_that_it_does_not_know(self, witness):
        with pytest.raises(ReceiptError):
            witness_log(make_log(2, key=SigningKey.generate()), witness)

    def test_its_line_stands_under_no_other_checkpoint(self, witness):
        log = make_log(2)
        line = witness.add_checkpoint(log.checkpoint(), lambda old: log.consistency_proof(old, 2))
        grow(log, 1)
        with pytest.raises(ReceiptError) as caught:
            verify_cosignature(add_cosignature(log.checkpoint(), line), NAME, WITNESS_KEY)
        assert caught.value.check == "witness"
