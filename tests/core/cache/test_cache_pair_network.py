"""The network under the pair model: what is computed, beside the slow and obvious way to compute it."""

from __future__ import annotations

import io
import math
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.cache.pair_network import MOST_PIECES, PairNetwork, load_pair_network
from leo_core.stages.embed.load import load_static

QUESTIONS = (
    "How do I reset my password?",
    "How can I change the password of my account?",
    "Is the light green?",
    "café №5, naïve 東京",
    "x",
)


@pytest.fixture(scope="module")
def network() -> PairNetwork:
    return load_pair_network(load_static().read_pieces)


def _read_weights() -> dict[str, Any]:
    data = (files("leo_core.stages.cache") / "pair_network.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: np.asarray(each, dtype=np.float64) for name, each in arrays.items()}


def _normalise(row: Any, gain: Any, shift: Any) -> Any:
    return (row - np.mean(row)) / math.sqrt(np.var(row) + 1e-5) * gain + shift


def _softmax(values: list[float]) -> Any:
    powers = np.exp(np.array(values) - max(values))
    return powers / powers.sum()


def _softplus(value: float) -> float:
    return float(np.logaddexp(value, 0.0))


def _encode(text: str, at: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """What the layers begin with, and the last states of the pieces, one row and one head after the other."""
    states = []
    for place, row in enumerate(load_static().read_pieces(text).astype(np.float64)):
        length = max(math.sqrt(row @ row), 1e-3)
        start = (row / length * 16.0) @ at["input"] + math.log(length) * at["input_length"] + at["input_bias"]
        states.append(_normalise(start + at["position"][place], at["input_gain"], at["input_shift"]))
    first = list(states)
    for layer in range(int(at["layers"])):
        own = {name.split(".")[1]: each for name, each in at.items() if name.startswith(f"layer{layer}.")}
        width, heads = len(states[0]), int(at["heads"])
        size = width // heads
        mixed = [
            _normalise(state, own["gain_attend"], own["shift_attend"]) @ own["query_key_value"]
            + own["query_key_value_bias"]
            for state in states
        ]
        seen = [np.zeros(width) for _ in states]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query = [row[:width][part] for row in mixed]
            key = [row[width : 2 * width][part] for row in mixed]
            value = [row[2 * width :][part] for row in mixed]
            for mine, asked in enumerate(query):
                shares = _softmax([float(asked @ other) / math.sqrt(size) for other in key])
                seen[mine][part] = sum(share * row for share, row in zip(shares, value, strict=True))
        states = [state + row @ own["out"] + own["out_bias"] for state, row in zip(states, seen, strict=True)]
        inner = [_normalise(state, own["gain"], own["shift"]) @ own["up"] + own["up_bias"] for state in states]
        states = [
            state + np.maximum(row, 0.0) @ own["down"] + own["down_bias"]
            for state, row in zip(states, inner, strict=True)
        ]
    return first, [_normalise(state, at["gain"], at["shift"]) for state in states]


def _read(text: str, at: dict[str, Any]) -> tuple[list[Any], Any]:
    first, states = _encode(text, at)
    strict = len(at["piece"]) > len(states[0])
    seen = [np.concatenate(each) for each in zip(states, first, strict=True)] if strict else states
    pieces = [state @ at["piece"] + at["piece_bias"] for state in seen]
    whole = sum(_softplus(state @ at["share"] + at["share_bias"]) * state for state in states) @ at["whole"]
    return [row / math.sqrt(np.mean(row * row) + 1e-3) for row in pieces], whole / np.linalg.norm(whole)


def _gather(mine: list[Any], others: list[Any], at: dict[str, Any]) -> tuple[Any, Any]:
    found, weights = [], []
    for row in mine:
        shares = _softmax([float(row @ other) * float(at["sharpness"]) for other in others])
        partner = sum(share * other for share, other in zip(shares, others, strict=True))
        both = np.concatenate([row, partner, np.abs(row - partner), row * partner])
        found.append(np.maximum(both @ at["compare"] + at["compare_bias"], 0.0))
        weights.append(_softplus(float(row @ at["weight"] + at["weight_bias"])))
    return np.average(found, axis=0, weights=weights), np.max(found, axis=0)


def _compare(a: str, b: str, at: dict[str, Any]) -> tuple[float, float, float]:
    """The usual comparison, and the strict one, which has parameters of its own over the same encoder."""
    odds, cosine = _compare_by(a, b, at)
    own = {name.removeprefix("strict."): each for name, each in at.items() if name.startswith("strict.")}
    assert own
    strict, _ = _compare_by(a, b, at | own)
    return odds, cosine, strict


def _compare_by(a: str, b: str, at: dict[str, Any]) -> tuple[float, float]:
    (one, whole_one), (two, whole_two) = _read(a, at), _read(b, at)
    (mean_one, most_one), (mean_two, most_two) = _gather(one, two, at), _gather(two, one, at)
    cosine = float(whole_one @ whole_two)
    found = [mean_one + mean_two, np.abs(mean_one - mean_two)]
    found += [np.maximum(most_one, most_two), np.minimum(most_one, most_two), [3.0 * cosine]]
    deep = np.maximum(np.concatenate(found) @ at["judge"] + at["judge_bias"], 0.0)
    return float(deep @ at["last"] + at["last_bias"]), cosine


@pytest.mark.parametrize("a", QUESTIONS)
def test_it_agrees_with_one_piece_after_the_other(network: PairNetwork, a: str) -> None:
    weights = _read_weights()
    for b in QUESTIONS:
        one, two = network.read([a, b])
        assert one is not None
        assert two is not None
        np.testing.assert_allclose(network.compare(one, two), _compare(a, b, weights), rtol=2e-3, atol=2e-3)


def test_a_reading_has_the_shapes_that_it_states(network: PairNetwork) -> None:
    (reading,) = network.read([QUESTIONS[0]])
    assert reading is not None
    count = len(load_static().cut_pieces(QUESTIONS[0]))
    assert reading.pieces.shape == (count, 48)
    assert reading.weights.shape == (count,)
    assert reading.weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert (reading.weights > 0.0).all()
    assert reading.strict_pieces.shape == (count, 64)
    assert reading.strict_weights.shape == (count,)
    assert reading.strict_weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert (reading.strict_weights > 0.0).all()
    assert np.linalg.norm(reading.whole) == pytest.approx(1.0, abs=1e-5)


def test_of_long_texts_what_both_begin_and_end_with_is_left_out(network: PairNetwork) -> None:
    start, end = "i have been wondering for a long time now " * 5, " and my neighbour would like to know it too" * 5
    a, b = f"{start}how do i reset it{end}", f"{start}how do i break it again{end}"
    assert network.read([a, b]) == [None, None]
    one, two = network.read_apart(a, b)
    assert one is not None
    assert two is not None
    assert len(two.pieces) == MOST_PIECES
    assert len(load_static().cut_pieces(b)) - MOST_PIECES == len(load_static().cut_pieces(a)) - len(one.pieces)
    cut = len(load_static().cut_pieces(start)), len(load_static().cut_pieces(b)) - MOST_PIECES
    assert 0 < cut[0] < cut[1], "the start is left out whole, and a part of the end"
    assert network.compare(one, two)[0] < network.compare(one, one)[0]
    assert network.read_apart(start, end) == (None, None)


def test_a_piece_is_read_in_its_context(network: PairNetwork) -> None:
    river, money = network.read(["the bank of the river is muddy", "the bank that lends me money"])
    assert river is not None
    assert money is not None
    here, there = river.pieces[1], money.pieces[1]
    assert load_static().pieces[load_static().cut_pieces("the bank")[1]] == "bank"
    assert here @ there / (np.linalg.norm(here) * np.linalg.norm(there)) < 0.97


def test_the_order_of_words_matters(network: PairNetwork) -> None:
    a, same, turned = network.read(
        [f"how do i convert {pair}" for pair in ("pdf to word", "pdf to word", "word to pdf")]
    )
    assert a is not None
    assert same is not None
    assert turned is not None
    assert network.compare(a, same)[0] > network.compare(a, turned)[0]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_whatever_can_be_read_is_read_alike_alone_and_together_and_compared_finitely(texts: list[str]) -> None:
    network = load_pair_network(load_static().read_pieces)
    together, alone = network.read(texts), [network.read([text])[0] for text in texts]
    for text, one, two in zip(texts, together, alone, strict=True):
        assert (one is not None) == (two is not None) == (0 < len(load_static().cut_pieces(text)) <= MOST_PIECES)
        if one is not None and two is not None:
            np.testing.assert_allclose(one.pieces, two.pieces, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(one.strict_pieces, two.strict_pieces, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(one.whole, two.whole, rtol=1e-3, atol=1e-3)
    read = [reading for reading in together if reading is not None]
    for one in read:
        for two in read:
            forth, back = network.compare(one, two), network.compare(two, one)
            assert np.isfinite(forth).all()
            np.testing.assert_allclose(forth, back, rtol=1e-3, atol=1e-3)


def test_nothing_and_too_much_are_not_read(network: PairNetwork) -> None:
    most = "word " * MOST_PIECES
    found = network.read(["", most, f"{most} word", "word"])
    assert [reading is not None for reading in found] == [False, True, False, True]
    assert network.read([]) == []


def test_the_file_is_small() -> None:
    assert len((files("leo_core.stages.cache") / "pair_network.npz").read_bytes()) <= 1_200_000
