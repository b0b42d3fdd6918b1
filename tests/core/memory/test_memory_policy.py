"""The micro-memory leans, but never takes over."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.stages.memory.config import MemoryConfig
from leo_core.stages.memory.policy import MemoryState, blend_memory, remember

SEEDS = st.integers(0, 2**32)
CONFIGS = st.builds(
    MemoryConfig,
    slots=st.integers(1, 32),
    influence=st.floats(0, 0.25),
    temperature=st.floats(0.001, 10),
    decay=st.floats(0, 0.99),
)


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random unit vectors."""
    rows = rng.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(0, 32), st.integers(2, 40), CONFIGS)
def test_influence_is_bounded(seed: int, slots: int, dimension: int, config: MemoryConfig) -> None:
    rng = np.random.default_rng(seed)
    vector, state = unit(rng, dimension), MemoryState(vectors=unit(rng, slots, dimension))
    blended = blend_memory(vector, state, config)
    share = config.influence / (1 - config.influence)
    assert blended.dtype == np.float32
    assert abs(np.linalg.norm(blended) - 1) < 1e-5
    assert float(blended @ vector) >= math.sqrt(1 - share**2) - 1e-5 >= 0.94


def test_blend_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    vector, rows = unit(rng, 5), unit(rng, 3, 5)
    config = MemoryConfig(influence=0.2, temperature=0.5)
    weights = np.array([math.exp(float(row @ vector) / 0.5) for row in rows])
    expected = 0.8 * vector + 0.2 * (weights / weights.sum()) @ rows
    found = blend_memory(vector, MemoryState(vectors=rows), config)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_memory_worst_case_opposite_direction_is_harmless() -> None:
    vector = np.eye(4, dtype=np.float32)[0]
    state = MemoryState(vectors=-vector[None])
    np.testing.assert_allclose(blend_memory(vector, state, MemoryConfig()), vector, atol=1e-7)


def test_without_memory_or_influence_nothing_changes() -> None:
    vector = unit(np.random.default_rng(1), 8)
    assert blend_memory(vector, MemoryState.empty(8), MemoryConfig()) is vector
    state = MemoryState(vectors=np.eye(8, dtype=np.float32))
    assert blend_memory(vector, state, MemoryConfig(influence=0)) is vector


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 70), CONFIGS)
def test_slots_are_bounded_and_unit_and_the_old_state_stays(seed: int, turns: int, config: MemoryConfig) -> None:
    rng = np.random.default_rng(seed)
    state = MemoryState.empty(6)
    for vector in unit(rng, turns, 6):
        before = state.vectors.copy()
        new = remember(vector, state, config)
        np.testing.assert_array_equal(state.vectors, before)
        state = new
    assert state.vectors.dtype == np.float32
    assert len(state.vectors) == min(turns, config.slots)
    np.testing.assert_allclose(np.linalg.norm(state.vectors, axis=1), 1, atol=1e-5)


def test_full_memory_moves_the_nearest_slot_only() -> None:
    rng = np.random.default_rng(4)
    state, vector = MemoryState(vectors=unit(rng, 5, 16)), unit(rng, 16)
    config = MemoryConfig(slots=5, decay=0.7)
    nearest = int(np.argmax(state.vectors @ vector))
    new = remember(vector, state, config)
    changed = np.flatnonzero((new.vectors != state.vectors).any(axis=1))
    assert changed.tolist() == [nearest]
    expected = 0.7 * state.vectors[nearest] + 0.3 * vector
    np.testing.assert_allclose(new.vectors[nearest], expected / np.linalg.norm(expected), atol=1e-6)


def test_slot_that_would_vanish_stays() -> None:
    vector = np.eye(4, dtype=np.float32)[0]
    state = MemoryState(vectors=-vector[None])
    np.testing.assert_array_equal(remember(vector, state, MemoryConfig(slots=1, decay=0.5)).vectors, state.vectors)


@pytest.mark.parametrize("temperature", [0.02, 0.1, 10.0])
def test_unrelated_queries_do_not_collapse(temperature: float) -> None:
    rng = np.random.default_rng(2)
    config, state, blended = MemoryConfig(temperature=temperature), MemoryState.empty(256), []
    for vector in unit(rng, 120, 256):
        leaned = blend_memory(vector, state, config)
        blended.append(leaned)
        state = remember(leaned, state, config)
    late = np.array(blended[-40:])
    cosines = (late @ late.T)[np.triu_indices(40, 1)]
    assert abs(cosines.mean()) < 0.15
    assert cosines.max() < 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 0},
        {"slots": 33},
        {"influence": 0.3},
        {"influence": -0.1},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"decay": 1},
        {"decay": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MemoryConfig(**wrong)
