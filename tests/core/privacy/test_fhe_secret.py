from __future__ import annotations

import copy
import os
import pickle
import sys

import numpy as np
import pytest

from leo_core.errors import (
    CiphertextError,
    ConfigError,
    KeyMismatchError,
    MissingExtraError,
    ParametersMismatchError,
    ScoreRangeError,
)
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.ckks.seal import load_seal
from leo_core.privacy.ckks.wire import HEADER_BYTES
from tests.core.privacy.fhe import DIM, PARAMS, changed, scorer_of, secret_of, unit_rows

ROWS = unit_rows(20)


def reply_to(query, *, blocks=1):
    scorer = scorer_of()
    return scorer.score(query, [scorer.load_plain(ROWS)] * blocks)


def test_a_secret_comes_back_from_its_bytes_and_decrypts():
    secret = secret_of()
    again = FheSecret.from_bytes(PARAMS, secret.to_bytes())
    assert again.to_bytes() == secret.to_bytes()
    assert again.secret_id == secret.secret_id
    (scores,) = again.decrypt_scores(reply_to(secret.encrypt_query(ROWS[3])), [20])
    np.testing.assert_allclose(scores, ROWS @ ROWS[3], atol=1e-3)


def test_two_secrets_differ_and_so_do_two_encryptions():
    assert secret_of(number=1).to_bytes() != secret_of().to_bytes()
    assert secret_of(number=1).secret_id != secret_of().secret_id
    first, second = (secret_of().encrypt_query(ROWS[0]) for _ in range(2))
    assert first[:HEADER_BYTES] == second[:HEADER_BYTES]
    assert first[HEADER_BYTES : HEADER_BYTES + 64] != second[HEADER_BYTES : HEADER_BYTES + 64]


def test_a_secret_shows_nothing_of_itself_and_is_not_pickled_or_copied():
    secret = secret_of()
    assert repr(secret) == f"FheSecret(secret_id={secret.secret_id.hex()!r})"
    for move in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            move(secret)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data + b"\0", "oversized"),
        (lambda data: data[:10], "at least 40 bytes"),
        (lambda data: changed(data, 500, data[500] ^ 1), "does not match its own id"),
        (lambda data: changed(data, 20, data[20] ^ 1), "does not match its own id"),
    ],
)
def test_bytes_that_are_no_secret_are_refused(change, says):
    with pytest.raises(CiphertextError, match=says) as caught:
        FheSecret.from_bytes(PARAMS, change(secret_of().to_bytes()))
    assert secret_of().to_bytes()[100:110].hex() not in str(caught.value)


def test_a_secret_of_other_parameters_is_refused():
    with pytest.raises(ParametersMismatchError):
        FheSecret.from_bytes(FheParams.preset("score192"), secret_of().to_bytes())


def test_sizes_of_what_travels():
    assert len(secret_of().encrypt_query(unit_rows(1, 256)[0])) == 40 + 64 + 2 * 4096 * 28 // 8 <= 40_000
    assert len(secret_of().encrypt_query(unit_rows(1, 384)[0])) == 40 + 2 * (64 + 2 * 4096 * 28 // 8)
    assert len(reply_to(secret_of().encrypt_query(ROWS[0]), blocks=3)) == 40 + 3 * 2 * 4096 * 28 // 8
    assert len(secret_of().to_bytes()) == 40 + 4096 * 85 // 8


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        (np.ones(4), "length of a query must be 1, and is 2"),
        (np.zeros(4), "length of a query must be 1, and is 0"),
        (np.full(4, np.nan), "and is nan"),
        (np.eye(4), r"one vector of 1 to 4096 coordinates; the shape is \(4, 4\)"),
        (np.ones(0), r"the shape is \(0,\)"),
        (np.eye(1, 4097)[0], r"the shape is \(4097,\)"),
        ("query", r"the shape is \(\)"),
        (["a", "b"], "not made of numbers"),
    ],
)
def test_what_is_no_query_is_refused(vector, says):
    with pytest.raises(ConfigError, match=says):
        secret_of().encrypt_query(vector)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.ones((2, 4)), "must not be above 1, and is 2"),
        (np.zeros((0, 4)), "1 to 4096 rows"),
        (np.zeros((4097, 4)), "1 to 4096 rows"),
        (np.zeros(4), "1 to 4096 rows"),
        (np.zeros((2, 0)), "dim is a whole number from 1 to 4096, not 0"),
    ],
)
def test_what_is_no_block_is_refused(rows, says):
    with pytest.raises(ConfigError, match=says):
        secret_of().encrypt_block(rows)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda data: data[:-1], CiphertextError, "truncated"),
        (lambda data: data + data, CiphertextError, "oversized"),
        (lambda data: b"", CiphertextError, "at least 40"),
        (lambda data: changed(data, 36, 2), CiphertextError, "truncated"),
        (lambda data: changed(data, 39, 255), CiphertextError, "truncated"),
        (lambda data: changed(data, 9, data[9] ^ 1), ParametersMismatchError, "one preset"),
        (lambda data: changed(data, 16, data[16] ^ 1), KeyMismatchError, "made with key"),
        (lambda data: data[:60] + b"\xff" * 8 + data[68:], CiphertextError, "a residue is not below its prime"),
        (lambda data: changed(data, 100, data[100] ^ 64), ScoreRangeError, "what no score can be"),
    ],
)
def test_a_reply_that_is_none_is_refused(change, error, says):
    reply = reply_to(secret_of().encrypt_query(ROWS[0]))
    with pytest.raises(error, match=says):
        secret_of().decrypt_scores(change(reply), [20])


def test_a_reply_of_another_key_that_lies_about_it_is_found_by_its_scores():
    """SEAL decrypts it without a word, to numbers of 10⁸ and more."""
    other = secret_of(number=1)
    reply = reply_to(secret_of().encrypt_query(ROWS[0]))
    forged = reply[:16] + other.secret_id + reply[32:]
    with pytest.raises(ScoreRangeError):
        other.decrypt_scores(forged, [20])
    with pytest.raises(KeyMismatchError):
        other.decrypt_scores(reply, [20])


def test_the_counts_must_be_those_of_the_blocks():
    reply = reply_to(secret_of().encrypt_query(ROWS[0]), blocks=2)
    first, second = secret_of().decrypt_scores(reply, [0, 20])
    assert (len(first), len(second)) == (0, 20)
    with pytest.raises(CiphertextError, match="scores of 2 blocks instead of 1"):
        secret_of().decrypt_scores(reply, [20])
    with pytest.raises(ConfigError, match="not 4097"):
        secret_of().decrypt_scores(reply, [20, 4097])
    assert secret_of().decrypt_scores(reply_to(secret_of().encrypt_query(ROWS[0]), blocks=0), []) == []


def test_without_the_extra_the_message_says_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'leo-core\[fhe\]'"):
        load_seal()


def test_a_system_without_files_in_memory_is_refused_before_a_key_touches_the_disk(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(ConfigError, match="memfd_create"):
        load_seal()


def test_keys_are_drawn_anew_each_time():
    first, second = (secret_of().evaluation_keys(dim=DIM) for _ in range(2))
    assert first.key_id != second.key_id
    assert first.secret_id == second.secret_id == secret_of().secret_id
