from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from leo_core.errors import CiphertextError, ConfigError, KeyMismatchError, ParametersMismatchError
from leo_core.privacy.ckks.block_scoring import BlockScorer
from tests.core.privacy.fhe import DIM, block_of, changed, keys_of, scorer_of, secret_of, unit_rows

ENGINES = ("seal", "kernel")


def score(rows, query, *, engine="seal", encrypted=False, preset="score128", expected=10_000):
    secret, scorer = secret_of(preset), scorer_of(len(query), preset, engine, expected)
    if encrypted:
        block = scorer.load_encrypted(secret.encrypt_block(rows, expected=expected))
    else:
        block = scorer.load_plain(rows)
    assert block.count == len(rows)
    assert block.encrypted is encrypted
    return secret.decrypt_scores(scorer.score(secret.encrypt_query(query), [block]), [len(rows)])[0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("dim", [1, 16, 24, 33, 48])
def test_scores_are_those_of_the_clear(engine, encrypted, dim):
    rows = unit_rows(300, dim)
    scores = score(rows, rows[5], engine=engine, encrypted=encrypted)
    np.testing.assert_allclose(scores, rows @ rows[5], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("expected", [1, 100_000_000])
def test_scores_do_not_depend_on_the_split_of_the_rotations(engine, expected):
    rows = unit_rows(50)
    for encrypted in (False, True):
        scores = score(rows, rows[7], engine=engine, encrypted=encrypted, expected=expected)
        np.testing.assert_allclose(scores, rows @ rows[7], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_worst_shapes_stay_within_the_error(engine, encrypted):
    """All rows the query, all rows its opposite, all one basis vector, all zero but one: largest and smallest sums."""
    query = np.full(DIM, DIM**-0.5)
    basis = np.eye(DIM)
    one = np.zeros((4096, DIM))
    one[4095] = query
    for rows in (np.tile(query, (4096, 1)), np.tile(-query, (4096, 1)), np.tile(basis[0], (4096, 1)), one):
        for asked in (query, basis[0]):
            scores = score(rows, asked, engine=engine, encrypted=encrypted)
            assert np.abs(scores - rows @ asked).max() <= 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_block_of_zeros_scores_zero(engine):
    """SEAL by itself refuses a product with a plaintext that is zero."""
    assert np.abs(score(np.zeros((10, DIM)), unit_rows(1)[0], engine=engine)).max() <= 1e-3
    assert np.abs(score(np.zeros((10, DIM)), unit_rows(1)[0], engine=engine, encrypted=True)).max() <= 1e-3


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_the_server_are_a_block_like_any_other(engine):
    weights = unit_rows(7) * np.linspace(0.1, 1, 7)[:, None]
    np.testing.assert_allclose(score(weights, unit_rows(1)[0], engine=engine), weights @ unit_rows(1)[0], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_several_blocks_of_both_kinds_are_scored_in_order(engine):
    secret, scorer = secret_of(), scorer_of(engine=engine)
    rows = unit_rows(4200)
    blocks = [
        scorer.load_plain(rows[:4096]),
        scorer.load_encrypted(secret.encrypt_block(rows[4096:])),
        scorer.load_plain(rows[:1]),
    ]
    scores = secret.decrypt_scores(scorer.score(secret.encrypt_query(rows[4100]), blocks), [4096, 104, 1])
    np.testing.assert_allclose(np.concatenate(scores), [*rows @ rows[4100], rows[0] @ rows[4100]], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda data: data[:-1], CiphertextError, "a query is truncated"),
        (lambda data: data + b"\0", CiphertextError, "a query is oversized"),
        (lambda data: b"", CiphertextError, "at least 40"),
        (lambda data: changed(data, 36, 2), ParametersMismatchError, "has 1 ciphertexts, not 2"),
        (lambda data: changed(data, 34, 1), ParametersMismatchError, "has 1 ciphertexts"),
        (lambda data: changed(data, 32, 9), ParametersMismatchError, "has 9 coordinates, and the evaluation keys"),
        (lambda data: changed(data, 8, data[8] ^ 1), ParametersMismatchError, "one preset"),
        (lambda data: changed(data, 31, data[31] ^ 1), KeyMismatchError, "made with key"),
        (lambda data: data[:200] + b"\xff" * 8 + data[208:], CiphertextError, "a residue is not below its prime"),
        (lambda data: changed(data, 5, 2), CiphertextError, "these bytes are a block, not a query"),
    ],
)
def test_a_query_that_is_none_is_refused(change, error, says):
    scorer = scorer_of()
    query = change(secret_of().encrypt_query(unit_rows(1)[0]))
    with pytest.raises(error, match=says):
        scorer.score(query, [])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda data: data[:-1], CiphertextError, "a block is truncated"),
        (lambda data: data + b"\0", CiphertextError, "a block is oversized"),
        (lambda data: changed(data, 34, 32), ParametersMismatchError, "laid out for 32 rotations"),
        (lambda data: changed(data, 32, 33), ParametersMismatchError, "has 33 coordinates"),
        (lambda data: changed(data, 36, 0), ParametersMismatchError, "1 to 4096 rows, not 0"),
        (lambda data: changed(data, 39, 255), ParametersMismatchError, "1 to 4096 rows"),
        (lambda data: changed(data, 8, data[8] ^ 1), ParametersMismatchError, "one preset"),
        (lambda data: changed(data, 31, data[31] ^ 1), KeyMismatchError, "made with key"),
        (lambda data: data[:-8] + b"\xff" * 8, CiphertextError, "a residue is not below its prime"),
        (lambda data: changed(data, 5, 1), CiphertextError, "these bytes are a query, not a block"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_block_that_is_none_is_refused(change, error, says, engine):
    with pytest.raises(error, match=says):
        scorer_of(engine=engine).load_encrypted(change(block_of()))


def test_a_block_and_a_query_of_another_secret_are_refused():
    other = secret_of(number=1)
    scorer = scorer_of()
    with pytest.raises(KeyMismatchError):
        scorer.load_encrypted(other.encrypt_block(unit_rows(1)))
    with pytest.raises(KeyMismatchError):
        scorer.score(other.encrypt_query(unit_rows(1)[0]), [])
    foreign = BlockScorer(other.evaluation_keys(dim=DIM)).load_plain(unit_rows(1))
    with pytest.raises(KeyMismatchError, match="load it again"):
        scorer.score(secret_of().encrypt_query(unit_rows(1)[0]), [foreign])


def test_a_block_of_another_layout_or_engine_is_refused_and_not_misread():
    query = secret_of().encrypt_query(unit_rows(1)[0])
    for other in (scorer_of(expected=100_000_000), scorer_of(engine="kernel")):
        with pytest.raises(KeyMismatchError, match="load it again"):
            scorer_of(engine="seal", expected=10_000).score(query, [other.load_plain(unit_rows(1))])
    assert scorer_of(expected=100_000_000).keys.layout != scorer_of().keys.layout


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.ones((1, DIM)), "must not be above 1"),
        (np.zeros((0, DIM)), "1 to 4096 rows, not 0"),
        (np.zeros((4097, DIM)), "1 to 4096 rows, not 4097"),
        (np.zeros((1, DIM + 1)), f"must have {DIM} coordinates"),
    ],
)
def test_rows_that_are_no_block_are_refused(rows, says):
    with pytest.raises(ConfigError, match=says):
        scorer_of().load_plain(rows)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("dim", [16, 48])
def test_scores_of_the_higher_level_are_those_of_the_clear(encrypted, dim):
    rows = unit_rows(4096, dim)
    scores = score(rows, rows[5], engine="kernel", preset="score192", encrypted=encrypted)
    assert np.abs(scores - rows @ rows[5]).max() <= 1e-3


def test_seal_alone_is_refused_where_it_is_not_exact_enough():
    with pytest.raises(ConfigError, match="SEAL alone misses scores by more than 1e-3"):
        BlockScorer(keys_of(preset="score192"), engine="seal")


def test_both_engines_give_the_same_scores_up_to_noise():
    rows = unit_rows(4096)
    found = [
        score(rows, rows[9], engine=engine, encrypted=encrypted) for engine in ENGINES for encrypted in (False, True)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, atol=4e-4)


def test_without_numba_seal_alone_scores(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else real(name))
    assert type(BlockScorer(keys_of())._engine).__name__ == "SealScoring"
    monkeypatch.undo()
    assert type(BlockScorer(keys_of())._engine).__name__ == "KernelScoring"


def test_one_scorer_serves_several_threads():
    scorer = scorer_of(engine="kernel")
    rows = unit_rows(300)
    block = scorer.load_plain(rows)
    queries = [secret_of().encrypt_query(rows[number]) for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda query: scorer.score(query, [block]), queries))
    for number, reply in enumerate(replies):
        (scores,) = secret_of().decrypt_scores(reply, [300])
        np.testing.assert_allclose(scores, rows @ rows[number], atol=1e-3)


def test_an_engine_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="no engine 'gpu'; engines are 'kernel' and 'seal'"):
        BlockScorer(keys_of(), engine="gpu")


def test_a_block_says_what_it_takes_and_shows_no_rows():
    block = scorer_of().load_plain(unit_rows(3))
    assert repr(block) == f"Block(count=3, encrypted=False, size_bytes={block.size_bytes})"
    assert block.size_bytes >= DIM * 2 * 4096 * 4
