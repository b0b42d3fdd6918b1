"""Products by tiles, and texts read and aligned, against their slow twins; compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.kernels import _tiles, reading
from leo_core.stages.cache.pair_network import MOST_PIECES, PairNetwork
from tests.oracles import reading as oracle

KINDS = ["compiled", "interpreted"]
DIMENSION = 40
FEW = st.integers(1, 7)


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    if request.param == "interpreted":
        for name, value in list(vars(reading).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(reading, name, value.py_func)
    return request.param


def draw_rows(draw, *shape):
    return draw.normal(size=shape).astype(np.float32)


def draw_weights(draw, *, width, layers, inner, piece, compare, judge):
    """Weights of a small network as the training script names them, of the sizes that training gives them."""

    def matrix(rows, columns):
        return draw_rows(draw, rows, columns) / np.sqrt(rows)

    def near(value, *shape):
        return (value + 0.2 * draw_rows(draw, *shape)).astype(np.float32)

    at = {"heads": np.array(width // 32), "layers": np.array(layers), "input": matrix(DIMENSION, width) / 4}
    at |= {"input_length": near(0, width), "input_bias": near(0, width), "position": near(0, MOST_PIECES, width)}
    at |= {name: near(name.endswith("gain"), width) for name in ("input_gain", "input_shift", "gain", "shift")}
    for layer in range(layers):
        own = {"query_key_value": matrix(width, 3 * width), "query_key_value_bias": near(0, 3 * width)}
        own |= {"out": matrix(width, width), "out_bias": near(0, width), "up": matrix(width, inner)}
        own |= {"up_bias": near(0, inner), "down": matrix(inner, width), "down_bias": near(0, width)}
        own |= {"gain": near(1, width), "shift": near(0, width), "gain_attend": near(1, width)}
        own |= {"shift_attend": near(0, width)}
        at |= {f"layer{layer}.{name}": each for name, each in own.items()}
    at |= {"share": matrix(width, 1)[:, 0], "share_bias": near(0), "whole": matrix(width, width)}
    for name, seen in (("", width), ("strict.", 2 * width)):
        own = {"piece": matrix(seen, piece), "piece_bias": near(0, piece), "weight": matrix(piece, 1)[:, 0]}
        own |= {"weight_bias": near(0), "sharpness": near(1), "compare": matrix(4 * piece, compare)}
        own |= {"compare_bias": near(0, compare), "judge": matrix(4 * compare + 1, judge)}
        own |= {"judge_bias": near(0, judge), "last": matrix(judge, 1)[:, 0], "last_bias": near(0)}
        at |= {name + each: value for each, value in own.items()}
    return at


def read(at, rows):
    network = PairNetwork(at, lambda _: pytest.fail("rows are given"))
    return network, network.read_rows(rows)


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 3), st.integers(0, 5), st.booleans(), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_product_by_tiles_is_the_product(threes, depth, panels, spare, one_start, seed):
    draw = np.random.default_rng(seed)
    height, width = threes * _tiles.ROWS, panels * _tiles.COLUMNS
    rows, weights = draw_rows(draw, height, depth + spare), draw_rows(draw, depth, width)
    start = draw_rows(draw, 1 if one_start else height, width)
    expected = start.astype(float) + rows[:, :depth].astype(float) @ weights.astype(float)
    for multiply in (_tiles._multiply, _tiles.multiply):
        found = np.full((height + 1, width), 7.0, dtype=np.float32)
        multiply(rows, weights, start, found[:height])
        np.testing.assert_allclose(found[:height], expected, rtol=1e-5, atol=1e-4)
        assert (found[height] == 7.0).all()
        added = np.repeat(start, height, axis=0) if one_start else start.copy()
        multiply(rows, weights, added, added)
        np.testing.assert_allclose(added, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "sizes",
    [
        {"width": 32, "layers": 1, "inner": 32, "piece": 4, "compare": 32, "judge": 3},
        {"width": 64, "layers": 2, "inner": 96, "piece": 36, "compare": 64, "judge": 5},
    ],
)
@pytest.mark.parametrize("lengths", [(1, 1), (2, 32), (7, 4), (32, 31)])
def test_readings_and_comparisons_agree_with_the_slow_twin(kind, sizes, lengths):
    if kind == "interpreted":  # which takes seconds for long texts
        lengths = [min(length, 7) for length in lengths]
    draw = np.random.default_rng(sum(lengths))
    at = draw_weights(draw, **sizes)
    texts = [draw_rows(draw, length, DIMENSION) * draw.uniform(0.1, 9.0) for length in lengths]
    network, (one, two) = read(at, texts)
    for found, rows in ((one, texts[0]), (two, texts[1])):
        pieces, whole = oracle.read(rows, at)
        np.testing.assert_allclose(found.pieces, pieces, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found.whole, whole, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(network.compare(one, two), oracle.compare(*texts, at), rtol=1e-3, atol=1e-4)


@given(st.lists(st.integers(1, MOST_PIECES), min_size=1, max_size=4), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_no_text_is_read_into_another(lengths, seed):
    draw = np.random.default_rng(seed)
    at = draw_weights(draw, width=32, layers=2, inner=32, piece=8, compare=32, judge=3)
    texts = [draw_rows(draw, length, DIMENSION) for length in lengths]
    for text, together in zip(texts, read(at, texts)[1], strict=True):
        ((alone,)) = read(at, [text])[1]
        for name in ("pieces", "weights", "strict_pieces", "strict_weights", "whole"):
            np.testing.assert_allclose(getattr(together, name), getattr(alone, name), rtol=1e-4, atol=1e-5)


def test_rows_that_cannot_be_read_are_left_out():
    draw = np.random.default_rng(0)
    at = draw_weights(draw, width=32, layers=1, inner=32, piece=4, compare=32, judge=3)
    texts = [draw_rows(draw, length, DIMENSION) for length in (0, 3, MOST_PIECES + 1)]
    assert [reading is not None for reading in read(at, texts)[1]] == [False, True, False]
    assert _tiles.COLUMNS == MOST_PIECES


def test_rows_of_zeros_give_finite_readings():
    at = draw_weights(np.random.default_rng(0), width=32, layers=1, inner=32, piece=4, compare=32, judge=3)
    network, (one,) = read(at, [np.zeros((2, DIMENSION), dtype=np.float32)])
    assert np.isfinite(network.compare(one, one)).all()


def test_weights_of_other_heads_are_refused():
    at = draw_weights(np.random.default_rng(0), width=64, layers=1, inner=32, piece=4, compare=32, judge=3)
    with pytest.raises(ConfigError, match="heads of 32"):
        read(at | {"heads": np.array(4)}, [np.ones((2, DIMENSION), dtype=np.float32)])
