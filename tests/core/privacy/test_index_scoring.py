"""The real scorer and the fake of the tests do the same, as far as the index server and its client can see."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.errors import EnvelopeError, ParametersError, UnknownEvaluationKeyError
from leo_core.privacy.index.scoring import LoadedBlocks, blame_client, read_plain_rows
from leo_core.privacy.index.server import open_block_scorer
from tests.contracts.block_scorer import BlockScorerContract
from tests.core.privacy.fhe import PARAMS, scorer_of, secret_of
from tests.core.privacy.index_parts import FakeBlock, FakeSecret, open_fake_scorer


class Secret:
    """The secret side, as the contract calls it."""

    def __init__(self, inner):
        self._inner = inner
        self.secret_id = inner.secret_id.hex()
        self.encrypt_query, self.encrypt_block = inner.encrypt_query, inner.encrypt_block
        self.decrypt_scores = inner.decrypt_scores

    def make_keys(self, dim):
        return self._inner.evaluation_keys(dim=dim, expected=10_000).to_bytes()


class TestFakeScorer(BlockScorerContract):
    @pytest.fixture
    def side(self):
        class Side:
            open_scorer = staticmethod(open_fake_scorer)

            @staticmethod
            def make_secret():
                return Secret(FakeSecret.generate(PARAMS))

        return Side


class TestBlockScorer(BlockScorerContract):
    @pytest.fixture
    def side(self):
        drawn = iter(range(2))

        class Side:
            open_scorer = staticmethod(open_block_scorer)

            @staticmethod
            def make_secret():
                return Secret(secret_of(number=next(drawn)))

        return Side


def test_faults_of_a_client_are_told_as_its_own():
    opened = open_fake_scorer(FakeSecret(b"a").evaluation_keys(dim=16).to_bytes())
    other = FakeSecret(b"b")
    with pytest.raises(UnknownEvaluationKeyError, match="another key"):
        blame_client(lambda: opened.scorer.load_encrypted(other.encrypt_block(np.ones((1, 16)))), "a block")
    with pytest.raises(ParametersError, match="another dimension"):
        blame_client(lambda: opened.scorer.load_encrypted(FakeSecret(b"a").encrypt_block(np.ones((1, 8)))), "a block")
    with pytest.raises(EnvelopeError, match="cut off"):
        blame_client(lambda: opened.scorer.load_encrypted(b""), "a block")
    with pytest.raises(EnvelopeError, match="a block cannot be read \\(ZeroDivisionError\\)"):
        blame_client(lambda: 1 // 0, "a block")


def test_rows_longer_than_one_are_refused_by_the_real_scorer_as_the_clients_fault():
    with pytest.raises(EnvelopeError):
        blame_client(lambda: scorer_of().load_plain(np.full((1, 32), 9.0)), "a plain block")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_plain_rows_are_finite(value):
    with pytest.raises(EnvelopeError, match="not finite"):
        read_plain_rows(np.array([[value, 0]], dtype="<f4").tobytes(), 1, 2)


def test_plain_rows_have_the_length_that_they_say():
    rows = np.arange(6, dtype="<f4").reshape(2, 3)
    np.testing.assert_array_equal(read_plain_rows(rows.tobytes(), 2, 3), rows)
    with pytest.raises(EnvelopeError, match="24 bytes, got 20"):
        read_plain_rows(rows.tobytes()[:20], 2, 3)


def test_blocks_give_way_when_the_memory_is_full_and_the_last_one_stays():
    kept = LoadedBlocks(open_fake_scorer, 100)
    blocks = {bytes([number]): FakeBlock(np.zeros((1, 6))) for number in range(4)}  # 48 bytes each
    for name, block in blocks.items():
        kept.keep(1, name, "k", block)
    assert [kept.find(1, name, "k") is block for name, block in blocks.items()] == [False, False, True, True]
    huge = FakeBlock(np.zeros((10, 100)))
    kept.keep(2, b"huge", "k", huge)
    assert kept.find(2, b"huge", "k") is huge
    assert kept.find(1, b"\x03", "k") is None
    kept.forget(2)
    assert kept.find(2, b"huge", "k") is None


def test_a_block_that_was_used_last_stays_longer():
    kept = LoadedBlocks(open_fake_scorer, 100)
    for name in (b"a", b"b"):
        kept.keep(1, name, "k", FakeBlock(np.zeros((1, 6))))
    assert kept.find(1, b"a", "k") is not None
    kept.keep(1, b"c", "k", FakeBlock(np.zeros((1, 6))))
    assert kept.find(1, b"b", "k") is None
    assert kept.find(1, b"a", "k") is not None
