"""Novelty is uniform on ordinary traffic and high on other traffic."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.kernels import sketch
from leo_core.stages.embed.hashed import HashedEmbedder
from leo_core.stages.novelty.config import NoveltyConfig
from leo_core.stages.novelty.policy import NoveltyState, learn_novelty, locate, score_novelty

DATA = Path(__file__).parents[4] / "shared" / "data"
CONFIG = NoveltyConfig()


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def mixture(rng: np.random.Generator, count: int, dimension: int = 64, topics: int = 20) -> np.ndarray:
    """Requests about some topics."""
    means = unit(rng.normal(size=(topics, dimension)))
    return unit(means[rng.integers(0, topics, count)] + 0.08 * rng.normal(size=(count, dimension)))


def follow(rows: np.ndarray, rng: np.random.Generator, config: NoveltyConfig = CONFIG) -> tuple[list, NoveltyState]:
    """Score and then learn every row; the novelties and the last state."""
    state, found = NoveltyState.empty(rows.shape[1]), []
    for row in rows:
        found.append(score_novelty(row, state, config))
        state = learn_novelty(row, state, config, rng.random())
    return found, state


def known(found: list) -> np.ndarray:
    """The values that are known."""
    return np.array([novelty.value for novelty in found if novelty.value is not None])


@pytest.mark.parametrize("seed", range(3))
def test_uniform_on_long_synthetic_streams(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, state = follow(mixture(rng, 8_000), rng)
    values = known(found)
    assert abs(np.mean(values > 0.95) - 0.05) <= 0.015
    for level in (0.2, 0.5, 0.8):
        assert abs(np.mean(values > level) - (1 - level)) < 0.05
    assert len(state.centres) == CONFIG.centres
    assert len(state.scores) == CONFIG.reservoir
    strange = [score_novelty(row, state, CONFIG).value for row in unit(rng.normal(size=(100, 64)))]
    assert np.mean(np.array(strange) > 0.95) > 0.95


def read(name: str, field: str) -> list[str]:
    """One field of a data set."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not part of the repository")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)[field] for line in lines]


def test_uniform_on_real_traffic_and_higher_on_other_texts() -> None:
    embedder, rng = HashedEmbedder(), np.random.default_rng(1)
    rows = embedder.embed(read("streams/banking77.jsonl.gz", "text"))
    found, state = follow(rows[rng.permutation(len(rows))], rng)
    values = known(found)
    assert abs(np.mean(values > 0.95) - 0.05) <= 0.015
    maths = embedder.embed(read("replay/gsm.jsonl.gz", "question")[:300])
    other = np.array([score_novelty(row, state, CONFIG).value for row in maths])
    assert np.mean(other) > 0.85
    assert np.mean(other > 0.95) > 0.25


def test_unknown_before_there_are_samples() -> None:
    rng = np.random.default_rng(0)
    found, _ = follow(mixture(rng, 120), rng)
    first = next(i for i, novelty in enumerate(found) if novelty.value is not None)
    assert found[0].region == -1
    assert found[0].samples == 0
    assert found[first].samples == 50
    assert first == 51
    assert all(novelty.value is not None for novelty in found[first:])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.floats(0.01, 2), st.floats(0, 5))
def test_figures_are_in_range_and_states_are_never_changed(
    seed: int, centres: int, temperature: float, weight: float
) -> None:
    rng = np.random.default_rng(seed)
    config = NoveltyConfig(
        centres=centres, temperature=temperature, deviation_weight=weight, growth=2, min_samples=5, reservoir=20
    )
    state = NoveltyState.empty(8)
    for row in mixture(rng, 60, 8, 3):
        before = state.to_bytes()
        novelty = score_novelty(row, state, config)
        new = learn_novelty(row, state, config, rng.random())
        assert state.to_bytes() == before
        assert novelty.value is None or 0 <= novelty.value < 1
        assert 0 <= novelty.entropy <= 1
        assert novelty.deviation >= 0
        assert -1 <= novelty.region < max(1, len(state.centres))
        assert new.seen == state.seen + 1
        assert len(new.centres) <= centres
        assert len(new.scores) <= 20
        state = new
    np.testing.assert_allclose(np.linalg.norm(state.centres, axis=1), 1, atol=1e-5)
    assert state.counts.sum() == state.seen


def small_state() -> NoveltyState:
    """Two centres at right angles, and 99 past scores."""
    return NoveltyState(
        centres=np.eye(4, dtype=np.float32)[:2],
        counts=np.array([50, 50]),
        radii=np.array([0.5, 2.0]),
        scores=np.arange(99) / 20,
        distances=np.full(99, 0.7),
        regions=np.zeros(99, dtype=np.int64),
        seen=100,
        sketches=np.zeros((0, 4), dtype=np.uint64),
    )


def test_score_is_the_formula() -> None:
    config, state = NoveltyConfig(temperature=0.5, deviation_weight=2.0, strangeness_weight=0.0), small_state()
    vector = unit(np.array([0.2, 0.9, 0.1, 0.0]))
    distances = np.linalg.norm(state.centres - vector, axis=1)
    shares = np.exp(-distances / 0.5) / np.exp(-distances / 0.5).sum()
    entropy = -(shares * np.log(shares)).sum() / math.log(2)
    raw = entropy + 2.0 * distances[1] / 2.0
    novelty = score_novelty(vector, state, config)
    assert novelty.region == 1
    assert novelty.entropy == pytest.approx(entropy)
    assert novelty.deviation == pytest.approx(distances[1] / 2.0)
    assert novelty.value == pytest.approx(1 - (1 + np.sum(state.scores >= raw)) / 100)
    assert novelty.samples == 99


def test_repetitions_are_never_novel() -> None:
    state = NoveltyState.empty(4)
    row = np.eye(4, dtype=np.float32)[0]
    for _ in range(80):
        state = learn_novelty(row, state, CONFIG, 0.0)
    assert len(state.centres) == 1
    assert score_novelty(row, state, CONFIG).value == 0


def test_draw_chooses_the_score_that_makes_room() -> None:
    config = NoveltyConfig(reservoir=99, strangeness_weight=0.0)
    vector = unit(np.array([0.9, 0.2, 0.1, 0.0]))
    for draw, slot in ((0.0, 0), (0.5, 49), (1 - 1e-17, 98)):
        new = learn_novelty(vector, small_state(), config, draw)
        changed = np.flatnonzero(new.scores != small_state().scores)
        assert changed.tolist() == [slot]


def test_radius_is_the_quantile_of_the_own_cluster() -> None:
    distances, regions = np.full(99, 1.9), np.ones(99, dtype=np.int64)
    distances[60:], regions[60:] = np.linspace(0.1, 1.0, 39), 0
    state = replace(small_state(), distances=distances, regions=regions)
    vector = unit(np.array([0.99, 0.0, 0.1, 0.0]))
    new = learn_novelty(vector, state, NoveltyConfig(reservoir=99, strangeness_weight=0.0), 0.0)
    expected = np.sort(new.distances[new.regions == 0])[29]  # 30 of 40 are at most this far
    assert new.radii.tolist() == pytest.approx([expected, 2.0])
    assert new.counts.tolist() == [51, 50]
    np.testing.assert_array_equal(new.centres[1], state.centres[1])
    assert float(new.centres[0] @ vector) > float(state.centres[0] @ vector)


def test_reservoir_holds_half_of_what_was_seen_so_first_scores_do_not_stay() -> None:
    rng = np.random.default_rng(0)
    rows = mixture(rng, 300)
    for turns, kept in ((41, 40), (90, 50), (300, 149)):
        assert len(follow(rows[:turns], rng)[1].scores) == min(kept, turns - 1)


def test_young_cluster_borrows_the_radius_of_all() -> None:
    state = small_state()
    new = learn_novelty(state.centres[1], state, NoveltyConfig(reservoir=99, strangeness_weight=0.0), 0.0)
    assert new.radii.tolist() == pytest.approx([0.5, 0.7])


def test_centre_follows_drifting_traffic() -> None:
    rng = np.random.default_rng(3)
    config = NoveltyConfig(centres=1, window=50, strangeness_weight=0.0)
    start, end = unit(rng.normal(size=(2, 32)))
    rows = unit(np.repeat([start, end], [400, 400], axis=0) + 0.05 * rng.normal(size=(800, 32)))
    found, state = follow(rows, rng, config)
    assert float(state.centres[0] @ end) > 0.98
    assert np.mean(known(found[400:410])) > 0.95
    assert np.mean(known(found[-100:])) < 0.8


@pytest.mark.parametrize(
    "wrong",
    [
        {"centres": 0},
        {"centres": 128},
        {"growth": 0},
        {"temperature": 0},
        {"deviation_weight": -1},
        {"radius_quantile": 1},
        {"min_samples": 0},
        {"reservoir": 49},
        {"reservoir": 70_000},
        {"window": 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NoveltyConfig(**wrong)


def test_strangeness_is_the_third_term_of_the_score() -> None:
    rng = np.random.default_rng(5)
    rows = mixture(rng, 120)
    plain, both = NoveltyConfig(strangeness_weight=0.0), NoveltyConfig(strangeness_weight=3.0)
    _, state = follow(rows[:119], rng, plain)
    assert state.sketches.shape == (119, 4)
    small, large = (learn_novelty(rows[119], state, config, 1 - 1e-9).scores for config in (plain, both))
    (slot,) = np.flatnonzero(small != large)
    found = sketch.measure_strangeness(state.sketches, sketch.sketch_query(rows[119]), 10, 0.3)
    assert large[slot] - small[slot] == pytest.approx(3.0 * (0.3 + found))


def test_memory_keeps_a_random_sample() -> None:
    rng = np.random.default_rng(6)
    rows = mixture(rng, 90)
    _, state = follow(rows, rng, NoveltyConfig(memory=20))
    seen = {tuple(row) for row in sketch.sketch_rows(rows).tolist()}
    assert len(state.sketches) == 20
    assert {tuple(row) for row in state.sketches.tolist()} <= seen


def test_what_nobody_asked_is_novel_although_it_lies_between_the_clusters() -> None:
    rng = np.random.default_rng(7)
    rows = mixture(rng, 300)
    _, state = follow(rows, rng, NoveltyConfig())
    strange = unit(rng.standard_normal(rows.shape[1]))
    known_value, strange_value = (score_novelty(row, state, NoveltyConfig()).value for row in (rows[-1], strange))
    assert known_value is not None
    assert strange_value is not None
    assert strange_value > 0.95 > known_value


def test_a_place_that_is_known_is_not_measured_again_and_one_of_another_state_is_not_taken() -> None:
    rng = np.random.default_rng(5)
    rows = mixture(rng, 200)
    _, state = follow(rows[:150], rng)
    _, later = follow(rows[:199], np.random.default_rng(6))
    row = rows[199]
    place = locate(row, state, CONFIG)
    assert place is not None
    assert score_novelty(row, state, CONFIG, place=place) == score_novelty(row, state, CONFIG)
    own, other = locate(row, later, CONFIG), replace(place, distance=9.0, score=9.0)
    plain = learn_novelty(row, later, CONFIG, 0.5).to_bytes()
    assert learn_novelty(row, later, CONFIG, 0.5, place=own).to_bytes() == plain
    assert learn_novelty(row, later, CONFIG, 0.5, place=other).to_bytes() == plain
    assert learn_novelty(row, later, CONFIG, 0.5, place=replace(own, distance=9.0)).to_bytes() != plain
    assert locate(row, NoveltyState.empty(64), CONFIG) is None
