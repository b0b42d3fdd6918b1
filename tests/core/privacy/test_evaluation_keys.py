from __future__ import annotations

import pytest

from leo_core.errors import CiphertextError, ConfigError, ParametersMismatchError
from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys, find_galois_element
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.ckks.params import FheParams
from tests.core.privacy.fhe import DIM, PARAMS, changed, keys_of, secret_of

DIGIT = 64 + 4096 * 85 // 8


def test_keys_come_back_from_their_bytes():
    keys = keys_of()
    again = EvaluationKeys.from_bytes(keys.to_bytes())
    assert again == keys
    assert (again.dim, again.params, again.secret_id) == (DIM, PARAMS, secret_of().secret_id)
    assert again.key_id == keys.key_id
    assert len(keys.key_id) == 32
    assert len(keys.to_bytes()) == 40 + 2 * DIGIT * (len(keys.steps) + 1)
    assert again.to_bytes() == keys.to_bytes()
    assert f"key_id={keys.key_id!r}" in repr(keys)
    assert len(repr(keys)) < 100


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-1], "truncated"),
        (lambda data: data + b"\0", "oversized"),
        (lambda data: data[:39], "at least 40"),
        (lambda data: changed(data, 36, data[36] + 1), "hold"),
        (lambda data: changed(data, 39, 255), "hold"),
        (lambda data: changed(data, 34, 3), "damaged: 32 coordinates cannot be laid out with 3"),
        (lambda data: changed(data, 32, 0), "damaged: dim is a whole number"),
        (lambda data: data[:200] + b"\xff" * 8 + data[208:], "a residue is not below its prime"),
        (lambda data: data[: -DIGIT // 2] + b"\xff" * 8 + data[8 - DIGIT // 2 :], "a residue is not below its prime"),
    ],
)
def test_bytes_that_are_no_keys_are_refused(change, says):
    with pytest.raises(CiphertextError, match=says):
        EvaluationKeys.from_bytes(change(keys_of().to_bytes()))


def test_keys_of_other_parameters_are_refused():
    data = keys_of().to_bytes()
    with pytest.raises(ParametersMismatchError, match="one preset"):
        EvaluationKeys.from_bytes(data, params=FheParams.preset("score192"))
    with pytest.raises(ParametersMismatchError, match="which are no preset"):
        EvaluationKeys.from_bytes(changed(data, 8, data[8] ^ 1))


def test_keys_of_own_parameters_come_back_with_these():
    params = FheParams(degree=4096, prime_bits=(28, 28, 30), query_scale_bits=30, row_scale_bits=24)
    keys = FheSecret.generate_untested(params).evaluation_keys(dim=16)
    assert EvaluationKeys.from_bytes(keys.to_bytes(), params=params) == keys
    with pytest.raises(ParametersMismatchError, match="hand in the parameters"):
        EvaluationKeys.from_bytes(keys.to_bytes())


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"dim": 5000}, {"expected": 0}, {"expected": -4}])
def test_keys_for_impossible_sizes_are_refused(arguments):
    with pytest.raises(ConfigError, match="whole number"):
        secret_of().evaluation_keys(**arguments)


def test_a_galois_element_is_a_power_of_three():
    assert [find_galois_element(step, 4096) for step in (0, 1, 2, 8, 2048)] == [1, 3, 9, 6561, 1]
