"""The network under the pair model: what is computed, beside the slow and obvious way to compute it."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.cache.pair_network import MOST_PIECES, PairNetwork, load_pair_network, read_network
from leo_core.stages.embed.load import load_static
from tests.oracles import reading

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


@pytest.mark.parametrize("a", QUESTIONS)
def test_it_agrees_with_one_piece_after_the_other(network: PairNetwork, a: str) -> None:
    weights = {name: np.asarray(each, dtype=np.float64) for name, each in read_network().items()}
    for b in QUESTIONS:
        one, two = network.read([a, b])
        assert one is not None
        assert two is not None
        expected = reading.compare(*(load_static().read_pieces(text) for text in (a, b)), weights)
        np.testing.assert_allclose(network.compare(one, two), expected, rtol=1e-4, atol=1e-4)


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
