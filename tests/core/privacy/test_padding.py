"""Padded data says little of its length, and comes back whole."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import SealedAlteredError
from leo_core.privacy.padding import LEAST_BYTES, pad, round_up, unpad


def round_up_as_written(length: int) -> int:
    """Padmé, word by word as in the paper (Nikitin et al., algorithm 1), with real logarithms."""
    exponent = math.floor(math.log2(length))
    size_bits = math.floor(math.log2(exponent)) + 1
    last_bits = exponent - size_bits
    mask = 2**last_bits - 1
    return (length + mask) - (length + mask) % (mask + 1)


@given(st.integers(2, 1 << 40))
def test_the_steps_are_those_of_the_paper(length):
    assert round_up(length) == round_up_as_written(length)


@given(st.integers(0, 1 << 40))
def test_it_grows_by_at_most_twelve_percent(length):
    rounded = round_up(length)
    assert length <= rounded <= length * 1.12
    assert round_up(rounded) == rounded


def test_few_lengths_are_left():
    assert len({round_up(length) for length in range(1, 1 << 20)}) < 400


@given(st.binary(max_size=3000))
def test_data_comes_back_and_short_data_looks_all_the_same(data):
    padded = pad(data)
    assert unpad(padded) == data
    assert len(padded) == LEAST_BYTES if len(data) + 8 <= LEAST_BYTES else len(padded) == round_up(len(data) + 8)


def test_the_least_may_be_another():
    assert len(pad(b"abc", least=64)) == 64
    assert unpad(pad(b"abc", least=0)) == b"abc"


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, (9).to_bytes(8, "big") + b"12345678", b"\xff" * 64])
def test_what_was_not_padded_is_refused(data):
    with pytest.raises(SealedAlteredError):
        unpad(data)
