"""The bytes of a novelty state."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import StorageError, StoreCorruptError, StoreMismatchError
from leo_core.stages.novelty.config import NoveltyConfig
from leo_core.stages.novelty.policy import learn_novelty
from leo_core.stages.novelty.state import NoveltyState


def learned(seed: int, turns: int, dimension: int = 5) -> NoveltyState:
    """A state after some turns."""
    rng = np.random.default_rng(seed)
    state = NoveltyState.empty(dimension)
    for row in rng.normal(size=(turns, dimension)):
        vector = (row / np.linalg.norm(row)).astype(np.float32)
        state = learn_novelty(vector, state, NoveltyConfig(growth=2, min_samples=5, reservoir=20), rng.random())
    return state


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 9))
def test_round_trip(seed: int, turns: int, dimension: int) -> None:
    state = learned(seed, turns, dimension)
    again = NoveltyState.from_bytes(state.to_bytes())
    for field in fields(NoveltyState):
        before, after = getattr(state, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(before, after)
        if field.name != "seen":
            assert before.dtype == after.dtype
            assert after.flags.writeable
    assert again.to_bytes() == state.to_bytes()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    blob = bytearray(learned(1, 30).to_bytes())
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StorageError):
        NoveltyState.from_bytes(bytes(blob))


@given(st.integers(0, 2_000))
def test_any_truncation_or_extension_is_refused(length: int) -> None:
    blob = learned(1, 30).to_bytes()
    if length == len(blob):
        return
    with pytest.raises(StoreCorruptError):
        NoveltyState.from_bytes((blob + bytes(2_000))[:length])


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(StoreCorruptError):
        NoveltyState.from_bytes(blob)


def seal(body: bytes) -> bytes:
    """With a right checksum."""
    return body + struct.pack("<I", zlib.crc32(body))


def test_newer_version_is_named() -> None:
    body = bytearray(learned(1, 30).to_bytes()[:-4])
    body[7] = 3
    with pytest.raises(StoreMismatchError, match="version 3"):
        NoveltyState.from_bytes(seal(bytes(body)))
    body[7] = 0
    with pytest.raises(StoreCorruptError):
        NoveltyState.from_bytes(seal(bytes(body)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("centres", np.nan),
        ("centres", 2.0),
        ("counts", 0),
        ("radii", np.inf),
        ("radii", 0.0),
        ("scores", np.nan),
        ("scores", -1.0),
        ("distances", np.nan),
        ("regions", -1),
        ("regions", 99),
    ],
)
def test_impossible_values_are_refused_even_with_a_right_checksum(field: str, value: float) -> None:
    state = learned(1, 30)
    array = getattr(state, field).copy()
    array.flat[0] = value
    with pytest.raises(StoreCorruptError, match="cannot occur"):
        NoveltyState.from_bytes(replace(state, **{field: array}).to_bytes())


def test_scores_without_centres_are_refused() -> None:
    state = replace(NoveltyState.empty(3), scores=np.ones(1), distances=np.ones(1), regions=np.zeros(1, dtype=np.int64))
    with pytest.raises(StoreCorruptError):
        NoveltyState.from_bytes(state.to_bytes())


def test_a_state_of_version_1_is_read_without_sketches() -> None:
    state = learned(2, 60)
    body = bytearray(state.to_bytes()[: -4 - 4 - 32 * len(state.sketches)])
    body[7] = 1
    old = NoveltyState.from_bytes(seal(bytes(body)))
    assert len(old.sketches) == 0
    np.testing.assert_array_equal(old.scores, state.scores)


def test_sketches_survive() -> None:
    state = learned(2, 60)
    assert len(state.sketches) == 60
    np.testing.assert_array_equal(NoveltyState.from_bytes(state.to_bytes()).sketches, state.sketches)
