"""Exact bytes and commitments."""

from __future__ import annotations

import json
import math
from decimal import Decimal, localcontext
from types import MappingProxyType

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError, ReceiptError
from leo_core.stages.receipt.canonical import (
    canonical_bytes,
    checked_bytes,
    content_bytes,
    fixed,
    fixed_or_none,
    parse_canonical,
    rfc3339,
)
from leo_core.stages.receipt.commitment import commit, derive_nonce, opens, policy_digest
from leo_core.stages.receipt.config import ReceiptConfig

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.000000000"),
        (-0.0, "0.000000000"),
        (-1e-12, "0.000000000"),
        (1, "1.000000000"),
        (0.1, "0.100000000"),
        (2**-10, "0.000976562"),
        (3 * 2**-10, "0.002929688"),
        (-2.5, "-2.500000000"),
        (1.0000000000000002, "1.000000000"),
        (999_999_999_999_999, "999999999999999.000000000"),
        (Decimal("0.0000000005"), "0.000000000"),
        (Decimal("0.0000000015"), "0.000000002"),
    ],
)
def test_fixed_rounds_half_to_even(value, text):
    assert fixed(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e15, -1e15, True, Decimal("NaN")])
def test_fixed_refuses_what_is_no_figure(value):
    with pytest.raises(ReceiptError) as refused:
        fixed(value)
    assert refused.value.check == "figure"


@given(st.floats(-1e14, 1e14))
def test_fixed_is_within_half_a_unit_and_independent_of_the_callers_context(value):
    with localcontext() as context:
        context.prec = 3
        text = fixed(value)
    assert abs(Decimal(text) - Decimal(value)) <= Decimal("0.0000000005")
    assert len(text.partition(".")[2]) == 9


def test_unknown_and_unbounded_figures_are_none():
    assert fixed_or_none(None) is None
    assert fixed_or_none(math.inf) is None
    assert fixed_or_none(0.0) == "0.000000000"
    with pytest.raises(ReceiptError):
        fixed_or_none(math.nan)


def test_rfc3339_is_utc_with_microseconds():
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(1_790_000_000.25) == "2026-09-21T14:13:20.250000Z"
    with pytest.raises(ReceiptError):
        rfc3339(1e30)
    with pytest.raises(ReceiptError):
        rfc3339(math.nan)


def test_canonical_bytes_are_those_of_rfc_8785():
    value = {"\u20ac": "Euro Sign", "\r": "Carriage Return", "1": "One", "\u00f6": "ö", "a": [1, None, True]}
    expected = '{"\\r":"Carriage Return","1":"One","a":[1,null,true],"ö":"ö","€":"Euro Sign"}'
    assert canonical_bytes(value) == expected.encode()
    assert parse_canonical(expected.encode()) == value


FLOATLESS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(FLOATLESS)
def test_canonical_bytes_are_those_of_the_reference_library(value):
    assert canonical_bytes(value) == content_bytes(value) == rfc8785.dumps(value)


def test_names_beyond_the_basic_plane_sort_by_utf_16():
    assert canonical_bytes({"\ue000": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ue000":1}'.encode()


@pytest.mark.parametrize(
    "value", [0.5, {"a": [1.0]}, math.nan, 2**53, "\ud800", {"\ud800": 1}, {1: 2}, b"x", ({"a": (0.5,)},)]
)
def test_a_statement_holds_no_floats_and_nothing_but_json(value):
    with pytest.raises(ReceiptError) as refused:
        canonical_bytes(value)
    assert refused.value.check == "canonical"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a":1,"a":1}', b'{"b":1,"a":1}', b'{"a": 1}', b"1.0", b"NaN", b"\xff", b"[" * 100_000, b'"\\u0061"'],
)
def test_only_the_canonical_spelling_is_parsed(data):
    with pytest.raises(ReceiptError) as refused:
        parse_canonical(data)
    assert refused.value.check == "canonical"


@given(JSON)
def test_any_json_can_be_committed_to(value):
    data = content_bytes(value)
    json.loads(data)
    assert content_bytes(json.loads(json.dumps(value))) == data


def test_what_rfc_8785_cannot_carry_becomes_a_string():
    assert content_bytes(["\ud800", 2**60, -math.inf, {"\udfff": (1,)}]) == (
        b'["\\\\ud800","1152921504606846976","-inf",{"\\\\udfff":[1]}]'
    )
    assert content_bytes(2**53 - 1) == b"9007199254740991"


@pytest.mark.parametrize("value", [b"x", {1: 2}, object(), {"a": {3}}])
def test_what_is_not_json_cannot_be_committed_to(value):
    with pytest.raises(ReceiptError) as refused:
        content_bytes(value)
    assert refused.value.check == "content"


def test_nonces_differ_by_name_and_entropy():
    entropy = bytes(32)
    nonces = {derive_nonce(entropy, "a"), derive_nonce(entropy, "b"), derive_nonce(bytes([1] * 32), "a")}
    assert len(nonces) == 3
    assert {len(nonce) for nonce in nonces} == {32}
    with pytest.raises(ReceiptError) as refused:
        derive_nonce(bytes(31), "a")
    assert refused.value.check == "entropy"


def test_commitment_is_sha256_of_domain_nonce_and_bytes():
    import hashlib

    nonce = bytes(range(32))
    expected = hashlib.sha256(b"leo/commitment/1\x00question\x00" + nonce + b'"why?"').hexdigest()
    assert commit("question", nonce, "why?") == expected
    assert policy_digest({"a": 0.5}) == hashlib.sha256(b'leo/policy/1\x00{"a":0.5}').hexdigest()


@given(st.text(), st.text(), st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_a_commitment_opens_with_its_own_name_nonce_and_content_only(content, other, nonce, bit):
    made = commit("answer", nonce, content)
    assert opens(made, "answer", nonce, content)
    assert opens(made, "answer", nonce, other) == (other == content)
    assert not opens(made, "question", nonce, content)
    wrong = bytearray(nonce)
    wrong[bit // 8] ^= 1 << bit % 8
    assert not opens(made, "answer", bytes(wrong), content)


def test_a_nonce_of_another_length_is_refused():
    with pytest.raises(ReceiptError) as refused:
        commit("answer", bytes(31), "x")
    assert refused.value.check == "commitment.answer"


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb"])
def test_config_refuses_names_that_a_checkpoint_cannot_bear(origin):
    with pytest.raises(ConfigError, match="origin"):
        ReceiptConfig(origin=origin)


def test_config_refuses_impossible_limits():
    assert ReceiptConfig(origin="example.org/leo", quorum=3, clock_tolerance_s=0.0).enabled
    with pytest.raises(ConfigError, match="quorum"):
        ReceiptConfig(quorum=0)
    for tolerance in (-1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="clock_tolerance_s"):
            ReceiptConfig(clock_tolerance_s=tolerance)


@given(st.dictionaries(st.text("abcXYZ", max_size=4), st.none() | st.booleans() | st.integers(-9, 9) | st.text()))
def test_a_checked_value_has_the_same_bytes_or_the_same_error(value: dict) -> None:
    assert outcome(checked_bytes, value) == outcome(canonical_bytes, value)


@pytest.mark.parametrize(
    "value", ["\ud800", {"a": "\udfff"}, MappingProxyType({"a": "b"}), {"a": MappingProxyType({})}]
)
def test_what_the_quick_encoder_cannot_write_is_left_to_the_other(value: object) -> None:
    assert outcome(checked_bytes, value) == outcome(canonical_bytes, value)


def outcome(write, value: object) -> object:
    try:
        return write(value)
    except ReceiptError as error:
        return error.check
