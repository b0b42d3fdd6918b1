"""Any threshold of the shares gives the secret; fewer fit every secret alike."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.privacy.secret_shares import _PRIME, SHARE_BYTES, join_shares, share_secret


@given(st.binary(min_size=32, max_size=32), st.integers(1, 7), st.data())
def test_any_threshold_of_the_shares_gives_the_secret(secret, points, data):
    threshold = data.draw(st.integers(1, points))
    shares = dict(enumerate(share_secret(secret, points, threshold), 1))
    chosen = data.draw(st.permutations(sorted(shares)))[:threshold]
    assert join_shares({point: shares[point] for point in chosen}) == secret
    assert all(len(share) == SHARE_BYTES for share in shares.values())


def test_fewer_fit_every_secret_alike():
    """For each secret there is one polynomial through one share less than the threshold."""
    shares = share_secret(b"a" * 32, 3, 3, below=random.Random(1).randrange)
    known = {1: shares[0], 2: shares[1]}
    for other in (b"a" * 32, b"b" * 32, bytes(32)):
        # the value at 3 of the polynomial through (0, other), (1, ..), (2, ..): by Lagrange, 1, -3, 3
        values = [int.from_bytes(each, "big") for each in (other, *known.values())]
        third = (values[0] - 3 * values[1] + 3 * values[2]) % _PRIME
        assert join_shares({**known, 3: third.to_bytes(SHARE_BYTES, "big")}) == other


def test_false_shares_give_another_secret_or_none():
    shares = share_secret(b"a" * 32, 4, 3)
    for chosen in combinations(range(4), 3):
        given_back = {at + 1: shares[at] for at in chosen}
        first = chosen[0] + 1
        given_back[first] = bytes([0]) + given_back[first][1:-1] + bytes([given_back[first][-1] ^ 1])
        assert join_shares(given_back) != b"a" * 32


@pytest.mark.parametrize(("length", "points", "threshold"), [(32, 3, 0), (32, 3, 4), (31, 3, 2), (33, 3, 2)])
def test_bad_figures_are_refused(length, points, threshold):
    with pytest.raises(ConfigError):
        share_secret(b"x" * length, points, threshold)


@pytest.mark.parametrize("shares", [{0: b"1"}, {1: b"\xff" * SHARE_BYTES}])
def test_bad_shares_are_refused(shares):
    with pytest.raises(ConfigError, match="points"):
        join_shares(shares)
