"""Minimal pairs as traffic: however near the misses are, the promise is kept, and by default none of them is served."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from leo_core import load_embedder
from leo_core.engine.assembly import load_pair_model
from leo_core.evaluation.cache_bench import RememberedPairs, play_leo
from leo_core.evaluation.cache_stream import Stream
from leo_core.stages.cache.config import CacheConfig
from tests.core.cache.minimal_pairs import MUST_DIFFER

FILES = Path(__file__).parents[2] / "data" / "minimal_pairs"
KINDS = {"number_digit", "number_word", "percentage", "currency", "units", "negation"}
WRITTEN_IN_SIGHT = ("numbers", "percents and currency", "units", "negation")
TIMES = 4
"""How often each question comes: repeats are what hits are made of, and what the evidence is learned from."""


def read_pairs():
    """Pairs of these kinds, with whether they have one answer: those kept out of sight, and those written in sight."""
    for name in ("dev.jsonl", "held_out.jsonl"):
        for line in (FILES / name).read_text(encoding="utf-8").splitlines():
            pair = json.loads(line)
            if pair["kind"] in KINDS:
                yield pair["a"], pair["b"], pair["same"]
    for kind in WRITTEN_IN_SIGHT:
        yield from ((a, b, False) for a, b in MUST_DIFFER[kind])


@pytest.fixture(scope="module")
def homes():
    """Every question, with the first one that has its answer."""
    found = {}
    for a, b, same in read_pairs():
        home = found.setdefault(a, a)
        found.setdefault(b, home if same else b)
    return found


@pytest.fixture(scope="module")
def play(homes):
    stream = Stream.of(list(homes) * TIMES, list(homes.values()) * TIMES, load_embedder("static").embed)
    pairs = RememberedPairs(load_pair_model())

    def once(delta, seed):
        order = np.random.default_rng([seed, 0]).permutation(len(stream.texts)).tolist()
        return play_leo(stream, order, CacheConfig(max_wrong_hits=delta), pairs, seed)

    return once


@pytest.mark.parametrize("delta", [0.01, 0.1])
def test_the_promise_is_kept_among_near_misses_and_hits_are_served(play, delta):
    for seed in range(3):
        played = play(delta, seed)
        assert played.broken == 0
        assert played.wrong_rate <= delta / 4
        assert played.hit_rate > 0.3


def test_by_default_no_near_miss_in_numbers_units_or_negation_is_served(play, homes):
    """A near miss: two questions that are written here as different, or others with the same answers as these two."""
    different = {frozenset((homes[a], homes[b])) for a, b, same in read_pairs() if not same}
    for seed in range(6):
        played = play(CacheConfig().max_wrong_hits, seed)
        assert played.hit_rate > 0.3
        assert [pair for pair in played.mistakes if frozenset((homes[pair[0]], homes[pair[1]])) in different] == []
