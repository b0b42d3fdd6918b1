from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import CiphertextError, KeyMismatchError, ParametersMismatchError
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.ckks.wire import HEADER_BYTES, Header, Kind, check_length, count_bytes, pack, read_header, unpack
from tests.core.privacy.fhe import PARAMS, changed

HEADER = Header(kind=Kind.QUERY, params_id=PARAMS.params_id, secret_id=bytes(range(16)), dim=256, baby=32, count=70_000)


def pack_slowly(residues, primes):
    """One long number, the first residue lowest, row by row."""
    packed = b""
    for row, prime in zip(residues, primes, strict=True):
        bits = prime.bit_length()
        number = sum(int(value) << (bits * place) for place, value in enumerate(row))
        packed += number.to_bytes(bits * len(row) // 8, "little")
    return packed


@given(
    primes=st.lists(st.sampled_from([97, 33292289, 268361729, 268369921, 536813569]), min_size=1, max_size=3),
    groups=st.integers(1, 4),
    data=st.data(),
)
def test_residues_are_packed_bit_by_bit_and_come_back(primes, groups, data):
    rows = [data.draw(st.lists(st.integers(0, p - 1), min_size=8 * groups, max_size=8 * groups)) for p in primes]
    residues = np.array(rows, dtype=np.uint64)
    packed = pack(residues, primes)
    assert packed == pack_slowly(residues, primes)
    assert len(packed) == count_bytes(primes, 8 * groups)
    np.testing.assert_array_equal(unpack(packed, primes, 8 * groups, what="it"), residues)


def test_a_residue_that_is_not_below_its_prime_is_refused():
    assert unpack(pack(np.full((1, 8), 96), [97]), [97], 8, what="it").max() == 96
    with pytest.raises(CiphertextError, match="it is damaged: a residue is not below its prime"):
        unpack(pack(np.full((1, 8), 97), [97]), [97], 8, what="it")


def test_the_bytes_of_a_header():
    assert HEADER.to_bytes() == (
        b"LEOF\x01\x01\x00\x00"
        + PARAMS.params_id
        + bytes(range(16))
        + (256).to_bytes(2, "little")
        + (32).to_bytes(2, "little")
        + (70_000).to_bytes(4, "little")
    )
    assert len(HEADER.to_bytes()) == HEADER_BYTES == 40
    assert read_header(HEADER.to_bytes() + b"rest", Kind.QUERY) == HEADER


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "at least 40 bytes; these are 0"),
        (HEADER.to_bytes()[:-1], "these are 39"),
        (changed(HEADER.to_bytes(), 0, 0), "do not start as one"),
        (changed(HEADER.to_bytes(), 6, 1), "do not start as one"),
        (changed(HEADER.to_bytes(), 4, 2), "version 2 cannot be read"),
        (changed(HEADER.to_bytes(), 5, 3), "these bytes are a reply, not a query"),
        (changed(HEADER.to_bytes(), 5, 99), "these bytes are of kind 99, not a query"),
        ("text", "as bytes, not as str"),
        (None, "as bytes, not as NoneType"),
    ],
)
def test_a_header_that_is_none_is_refused(data, says):
    with pytest.raises(CiphertextError, match=says):
        read_header(data, Kind.QUERY)


def test_other_parameters_and_other_keys_have_their_own_errors():
    HEADER.check(PARAMS, bytes(range(16)))
    with pytest.raises(ParametersMismatchError, match="use one preset on both sides"):
        HEADER.check(FheParams.preset("score192"), bytes(range(16)))
    with pytest.raises(KeyMismatchError, match=f"was made with key {bytes(range(16)).hex()}, not with {'00' * 16}"):
        HEADER.check(PARAMS, bytes(16))


@pytest.mark.parametrize(("length", "says"), [(9, "truncated: 9 bytes instead of 10"), (11, "oversized: 11 bytes")])
def test_only_the_exact_length_passes(length, says):
    check_length(bytes(10), Kind.BLOCK, 10)
    with pytest.raises(CiphertextError, match=says):
        check_length(bytes(length), Kind.BLOCK, 10)
