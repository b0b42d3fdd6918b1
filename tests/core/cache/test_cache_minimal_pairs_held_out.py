"""Pairs of kinds and lists that were kept out of sight while the guards were written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leo_core import load_pair_model
from leo_core.stages.cache.guards import find_conflict

FILE = Path(__file__).parents[2] / "data" / "minimal_pairs" / "held_out.jsonl"
LEAST_PROBABILITY = 0.5


@pytest.fixture(scope="module")
def pairs():
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def test_guards_and_pair_model_reject_what_has_another_answer(pairs):
    different = [pair for pair in pairs if not pair["same"]]
    likely = load_pair_model().probability([pair["a"] for pair in different], [pair["b"] for pair in different])
    let_through = [
        (pair["kind"], pair["a"], pair["b"])
        for pair, probability in zip(different, likely, strict=True)
        if probability >= LEAST_PROBABILITY and find_conflict(pair["a"], pair["b"]) is None
    ]
    assert len(different) >= 500
    assert len(let_through) <= 0.02 * len(different), let_through


def test_true_paraphrases_survive_the_guards(pairs):
    same = [pair for pair in pairs if pair["same"]]
    stopped = [(pair["kind"], pair["a"], pair["b"]) for pair in same if find_conflict(pair["a"], pair["b"]) is not None]
    assert len(same) >= 500
    assert len(stopped) <= 0.07 * len(same), stopped
