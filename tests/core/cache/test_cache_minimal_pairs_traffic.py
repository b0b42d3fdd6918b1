"""Minimal pairs as traffic: however near the misses in numbers, units and negation are, the promise is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leo_core.evaluation.cache_bench import CacheSettings, run_cache
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
def stream(tmp_path_factory):
    intents = {}
    for a, b, same in read_pairs():
        home = intents.setdefault(a, a)
        intents.setdefault(b, home if same else b)
    path = tmp_path_factory.mktemp("stream") / "pairs.jsonl"
    rows = [json.dumps({"text": text, "intent": intent}) for text, intent in intents.items()] * TIMES
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("delta", [0.01, 0.1])
def test_the_promise_is_kept_among_near_misses_and_hits_are_served(stream, delta):
    (promise,) = run_cache(CacheSettings(data=stream, deltas=(delta,), seeds=3, baselines=False))["promises"]
    (leo,) = promise["policies"]
    assert promise["broken_at_any_time"] == 0.0
    assert leo["wrong_rate_most"] <= delta / 4
    assert leo["hit_rate"] > delta
