"""What the tests of encrypted search share: parameters, secrets that are drawn once, and rows."""

from __future__ import annotations

from functools import cache

import numpy as np

from leo_core.privacy.ckks.block_scoring import BlockScorer
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.ckks.params import FheParams

PARAMS = FheParams.preset("score128")
DIM = 32
"""Small, so that blocks are encrypted in a moment."""


def secret_of(preset="score128", number=0):
    return _secret_of(preset, number)


@cache
def _secret_of(preset, number):
    return FheSecret.generate(FheParams.preset(preset))


def keys_of(dim=DIM, preset="score128", expected=10_000):
    return _keys_of(dim, preset, expected)


@cache
def _keys_of(dim, preset, expected):
    return secret_of(preset).evaluation_keys(dim=dim, expected=expected)


def scorer_of(dim=DIM, preset="score128", engine="seal", expected=10_000):
    return _scorer_of(dim, preset, engine, expected)


@cache
def _scorer_of(dim, preset, engine, expected):
    return BlockScorer(keys_of(dim, preset, expected), engine=engine)


@cache
def block_of(count=1):
    """A block of unit rows, encrypted once."""
    return secret_of().encrypt_block(unit_rows(count))


def unit_rows(count, dim=DIM, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def changed(data, place, value):
    """The bytes with one of them replaced."""
    return data[:place] + bytes([value]) + data[place + 1 :]
