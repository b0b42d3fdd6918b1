from __future__ import annotations

import dataclasses

import pytest
from tenseal import sealapi

from leo_core.errors import ConfigError
from leo_core.privacy.ckks import self_test
from leo_core.privacy.ckks.params import _CLASSICAL, _QUANTUM, PRESETS, FheParams


def make(**changes):
    return dataclasses.replace(FheParams.preset("score128"), **changes)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_primes_are_those_that_seal_chooses(name):
    params = FheParams.preset(name)
    chosen = sealapi.CoeffModulus.Create(params.degree, list(params.prime_bits))
    assert params.primes == tuple(prime.value() for prime in chosen)
    assert all(prime % (2 * params.degree) == 1 for prime in params.primes)


def test_the_primes_are_those_that_seal_chooses_in_a_larger_ring():
    params = make(degree=8192, prime_bits=(27, 27, 29), query_scale_bits=28)
    chosen = sealapi.CoeffModulus.Create(8192, [27, 27, 29])
    assert params.primes == tuple(prime.value() for prime in chosen)


def test_the_table_of_the_standard_is_that_of_seal():
    table = sealapi._sealapi_cpp.util
    for degree, levels in _CLASSICAL.items():
        assert dict(levels) == {
            bits: getattr(table, f"seal_he_std_parms_{bits}_tc")(degree) for bits in (256, 192, 128)
        }
    for degree, levels in _QUANTUM.items():
        assert dict(levels) == {bits: getattr(table, f"seal_he_std_parms_{bits}_tq")(degree) for bits in (192, 128)}


def test_what_the_presets_promise():
    low, high = FheParams.preset("score128"), FheParams.preset("score192")
    assert (low.degree, low.prime_bits, low.classical_bits, low.quantum_bits) == (4096, (28, 28, 29), 128, 128)
    assert (high.degree, high.prime_bits, high.classical_bits, high.quantum_bits) == (4096, (25, 25, 25), 192, 128)
    assert low.params_id != high.params_id
    assert low.block_size == 2 * low.slots == 4096


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"degree": 2048, "prime_bits": (20, 20, 20)}, "2048"),
        ({"degree": 4097}, "4097"),
        ({"prime_bits": (28, 28, 29, 20)}, "three primes"),
        ({"prime_bits": (28, 28)}, "three primes"),
        ({"prime_bits": (28, 28, 29.0)}, "three primes"),
        ({"prime_bits": (36, 36, 38)}, "110 bits"),
        ({"prime_bits": (36, 36, 37)}, "the same 20 to 28"),
        ({"prime_bits": (27, 27, 30)}, "up to 2 more"),
        ({"prime_bits": (28, 28, 27)}, "as many or up to"),
        ({"prime_bits": (27, 28, 29)}, "the same 20 to 28"),
        ({"query_scale_bits": 31}, "wrap around"),
        ({"row_scale_bits": 0}, "wrap around"),
    ],
)
def test_what_the_table_or_the_arithmetic_does_not_allow_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        make(**changes)


def test_the_limit_of_the_table_is_allowed_and_one_bit_more_is_not():
    assert make(degree=8192, prime_bits=(28, 28, 30)).classical_bits == 256
    make(prime_bits=(28, 28, 30))
    with pytest.raises(ConfigError, match=r"'score999'; there are score128, score192"):
        FheParams.preset("score999")


def test_other_scales_are_other_parameters():
    assert make(query_scale_bits=29, row_scale_bits=24).params_id != make().params_id


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_pass_their_self_test(name):
    assert self_test.run_self_test(FheParams.preset(name)) is None


def test_the_self_test_refuses_scales_that_lose_the_scores():
    with pytest.raises(ConfigError, match="self-test: a score is off by"):
        make(query_scale_bits=26, row_scale_bits=22).self_test()


def test_the_self_test_refuses_scales_with_which_there_are_no_scores():
    with pytest.raises(ConfigError, match=r"self-test: .* no score"):
        make(query_scale_bits=14, row_scale_bits=10).self_test()


def test_the_self_test_runs_once_in_a_process(monkeypatch):
    params = make(query_scale_bits=29, row_scale_bits=25)
    runs = []
    monkeypatch.setattr(self_test, "run_self_test", runs.append)
    params.self_test()
    make(query_scale_bits=29, row_scale_bits=25).self_test()
    assert runs == [params]
