"""Splitting a key: enough shares make it, and nothing else passes for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError, ShareError
from leo_core.privacy.keys import shamir
from leo_core.privacy.keys.shamir import Share, combine_shares, split_key
from tests.oracles import shamir as oracle

KEY = bytes(range(32))
KEYS = st.binary(min_size=16, max_size=40)


@st.composite
def splits(draw):
    needed = draw(st.integers(2, 6))
    return draw(KEYS), needed, draw(st.integers(needed, 9))


@settings(max_examples=50, deadline=None)
@given(split=splits(), data=st.data())
def test_any_shares_that_are_enough_make_the_key_in_any_order(split, data):
    key, needed, count = split
    shares = split_key(key, needed=needed, shares=count)
    assert [each.point for each in shares] == list(range(1, count + 1))
    chosen = data.draw(st.permutations(shares))[: data.draw(st.integers(needed, count))]
    assert combine_shares(chosen) == key
    assert oracle.combine({each.point: each.values for each in chosen[:needed]}) == key


@settings(max_examples=50, deadline=None)
@given(split=splits(), data=st.data())
def test_shares_that_are_too_few_are_refused(split, data):
    key, needed, count = split
    shares = split_key(key, needed=needed, shares=count)
    chosen = data.draw(st.permutations(shares))[: needed - 1]
    with pytest.raises(ShareError, match=f"{needed - 1} shares .* {needed} are needed"):
        combine_shares(chosen)


def test_every_pair_of_two_of_255_makes_the_key():
    shares = split_key(KEY[:16], needed=2, shares=255)
    for left, right in list(combinations(shares, 2))[::331]:
        assert combine_shares([left, right]) == KEY[:16]
    assert combine_shares([shares[0], shares[254]]) == KEY[:16]


def test_all_of_255_are_needed_when_all_are():
    shares = split_key(KEY[:16], needed=40, shares=41)
    assert combine_shares(shares[1:]) == KEY[:16]


def test_fewer_shares_fit_every_key_equally():
    """Perfect secrecy: to one share of two, each value of a byte belongs to just one polynomial."""
    for point in (1, 2, 255):
        seen = Counter(
            oracle.share([bytes([secret]), bytes([slope])], point) for secret in (0, 77) for slope in range(256)
        )
        assert set(seen.values()) == {2}


def test_the_shares_of_a_constant_key_look_like_chance():
    bits = [sum(each.values[0].bit_count() for each in split_key(bytes(16), needed=2, shares=4)) for _ in range(400)]
    assert 14 < sum(bits) / len(bits) < 18, "16 of 32 bits on average; the bounds are 4 standard errors away or more"


@pytest.mark.parametrize("left", range(0, 256, 5))
def test_products_and_inverses_are_those_of_the_field(left):
    for right in range(256):
        assert shamir._multiply(left, right) == oracle.multiply(left, right)
    if left:
        assert oracle.multiply(left, shamir._invert(left)) == 1


def test_shares_of_different_splittings_are_refused_by_name():
    first, second = (split_key(KEY, needed=2, shares=3) for _ in range(2))
    with pytest.raises(ShareError, match=first[0].set_id):
        combine_shares([first[0], second[1]])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_altered_share_is_refused_even_with_its_check_value_made_good(data):
    shares = split_key(KEY, needed=3, shares=5)
    which, at = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 31))
    flip = data.draw(st.integers(1, 255))
    values = bytearray(shares[which].values)
    values[at] ^= flip
    altered = Share.from_text(replace(shares[which], values=bytes(values)).to_text())
    chosen = [altered if number == which else each for number, each in enumerate(shares)]
    for given_ in (chosen, [altered, *(each for each in chosen if each is not altered)][:3]):
        with pytest.raises(ShareError, match="do not make its key"):
            combine_shares(given_)


def test_a_share_under_another_points_number_is_refused():
    shares = split_key(KEY, needed=2, shares=3)
    with pytest.raises(ShareError, match="do not make its key"):
        combine_shares([replace(shares[0], point=3), shares[1]])


def test_a_share_that_claims_that_fewer_are_needed_is_refused():
    shares = [replace(each, needed=2) for each in split_key(KEY, needed=3, shares=3)]
    for chosen in (shares[:2], shares):
        with pytest.raises(ShareError, match="do not make its key"):
            combine_shares(chosen)


def test_a_share_twice_and_no_share_are_refused():
    shares = split_key(KEY, needed=2, shares=3)
    with pytest.raises(ShareError, match=r"twice.*\[1\]"):
        combine_shares([shares[0], shares[0]])
    with pytest.raises(ShareError, match="no share"):
        combine_shares([])


def test_a_slip_in_any_character_is_noticed():
    text = split_key(KEY, needed=2, shares=2)[0].to_text()
    assert Share.from_text(f"  {text}\n").to_text() == text
    for at, was in enumerate(text):
        slipped = text[:at] + ("1" if was != "1" else "2") + text[at + 1 :]
        with pytest.raises(ShareError) as refused:
            Share.from_text(slipped)
        assert text.split(":")[5] not in str(refused.value)


@pytest.mark.parametrize("text", ["", "leo-share:2:00", "leo-kek:1:" + "00" * 32])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ShareError, match="no share"):
        Share.from_text(text)


@pytest.mark.parametrize(("needed", "shares"), [(1, 2), (0, 0), (3, 2), (2, 256), (256, 256)])
def test_numbers_out_of_range_are_refused(needed, shares):
    with pytest.raises(ConfigError, match=f"{needed} of {shares} shares"):
        split_key(KEY, needed=needed, shares=shares)


@pytest.mark.parametrize("size", [0, 15, 1025])
def test_a_key_that_could_be_guessed_or_is_none_is_not_split(size):
    with pytest.raises(ConfigError, match=f"{size} bytes"):
        split_key(bytes(size), needed=2, shares=3)


@pytest.mark.parametrize("field", [{"needed": 1}, {"point": 0}, {"point": 256}, {"values": b""}])
def test_a_share_out_of_range_is_refused(field):
    with pytest.raises(ShareError, match="out of range"):
        Share(**{"set_id": "00" * 16, "needed": 2, "point": 1, "values": b"x", **field})


def test_a_share_does_not_show_its_values():
    share = split_key(KEY, needed=2, shares=2)[0]
    assert share.values.hex() not in repr(share)
    assert repr(share.values) not in repr(share)
