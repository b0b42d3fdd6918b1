"""The shipped pair model: calibrated numbers, one seam, no embedder of its own."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leo_core
from leo_core.errors import ConfigError
from leo_core.stages.cache.guards import find_doubt
from leo_core.stages.cache.pair import PairModel, load_pair_model, set_bar
from leo_core.stages.cache.pair_features import (
    FEATURES,
    WordTable,
    compare_pair,
    embed_by_chance,
    read_traits,
    score_words,
)
from leo_core.stages.cache.pair_network import MOST_PIECES, PairNetwork, load_pair_network
from leo_core.stages.embed.load import load_embedder, load_static

MODEL = load_pair_model(load_static())
TABLE = WordTable(idf={"rain": 3.0}, default_idf=5.0, shared={"rain": 0.5}, missing={"london": -2.0})


@pytest.fixture(scope="module")
def model() -> PairModel:
    return load_pair_model(load_static())


def weights() -> dict[str, Any]:
    text = (files("leo_core.stages.cache") / "pair_model.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _walk(shipped: dict[str, Any], row: list[float]) -> float:
    """The slow, obvious evaluation: one tree after the other."""
    total = 0.0
    for at in shipped["roots"]:
        while shipped["skip"][at]:
            at += 1 if row[shipped["feature"][at]] <= shipped["number"][at] else shipped["skip"][at]  # noqa: PLW2901 - a walk through the tree
        total += shipped["number"][at]
    slope, lead, intercept = shipped["calibration"]
    return float(1.0 / (1.0 + np.exp(-(slope * total + lead * row[0] + intercept))))


def test_trees_and_calibration_agree_with_walking_each_tree(model: PairModel) -> None:
    rows = np.random.default_rng(0).uniform(-1.0, 6.0, (50, len(FEATURES)))
    shipped = weights()
    expected = [_walk(shipped, list(row)) for row in rows]
    np.testing.assert_allclose(model.calibrate(model.sum_trees(rows), rows[:, 0]), expected, rtol=1e-12)


def test_paraphrases_are_likelier_than_other_questions(model: PairModel) -> None:
    a = ["How do I lose weight fast?"] * 3
    b = ["How can I lose weight quickly?", "How do I gain muscle fast?", "What is the capital of France?"]
    same, related, other = model.probability_at([0.7, 0.5, 0.0], a, b)
    assert same > related > other
    assert same > 0.6
    assert other < 0.05


def test_probability_takes_cosines_from_the_embedder_given() -> None:
    def embed(texts: Any) -> Any:
        return np.array([[1.0, 0.0] if "a" in text else [0.6, 0.8] for text in texts], dtype=np.float32).reshape(-1, 2)

    model = PairModel(weights(), embed=embed)
    found = model.probability(["a b", "x"], ["c", "y"])
    np.testing.assert_allclose(found, model.probability_at([0.6, 1.0], ["a b", "x"], ["c", "y"]), atol=1e-6)
    assert found.dtype == np.float64
    assert model.probability([], []).shape == (0,)


class Watched(PairNetwork):
    """The shipped network, which notes what it is asked to read."""

    def __init__(self) -> None:
        shipped = load_pair_network(load_static().read_pieces)
        self.__dict__.update(shipped.__dict__)
        self.read_texts: list[str] = []

    def read(self, texts: Any) -> Any:
        self.read_texts += texts
        return super().read(texts)


def test_the_network_is_asked_where_the_trees_leave_it_open_and_read_once_a_text() -> None:
    watched = Watched()
    model = PairModel(weights(), embed=load_static().embed, network=watched)
    alone = PairModel(weights(), embed=load_static().embed)
    one, two, other = "How do I lose weight fast?", "How can I lose weight quickly?", "Who was the first man on Mars?"
    assert model.probability([one], [other])[0] == alone.probability([one], [other])[0]
    assert watched.read_texts == []
    assert model.probability([one], [two])[0] != alone.probability([one], [two])[0]
    model.probability([two, one], [one, two])
    assert watched.read_texts == [one, two]


def test_readings_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leo_core.stages.cache.pair._READINGS_KEPT", 4)
    watched = Watched()
    model = PairModel(weights(), network=watched)
    texts = [f"question {number}" for number in range(6)]
    found = [model.ask_network(one, two) for one in texts for two in texts]
    fresh = [PairModel(weights(), network=Watched()).ask_network(one, two) for one in texts for two in texts]
    np.testing.assert_allclose(found, fresh, rtol=1e-3, atol=1e-3)  # type: ignore[arg-type]  # none is None
    assert len(watched.read_texts) > len(texts)


def test_together_it_is_the_logistic_of_trees_cosine_and_network(model: PairModel) -> None:
    a, b = "How do I lose weight fast?", "How can I lose weight fast?"
    rows = model.compare_texts([0.7], [a], [b])
    odds, likeness, strict = model.ask_network(a, b) or (np.nan, np.nan, np.nan)
    slope, lead, network, whole, intercept = weights()["calibration_with_network"]
    logit = slope * model.sum_trees(rows)[0] + lead * 0.7 + network * odds + whole * likeness + intercept
    assert model.share_words(a, b) == pytest.approx(5 / 7)
    assert strict > set_bar(5 / 7, *weights()["strictness"], doubt=False)
    assert model.probability_at([0.7], [a], [b])[0] == pytest.approx(1.0 / (1.0 + np.exp(-logit)), rel=1e-9)
    assert network > 0.0
    assert slope > 0.0


@pytest.mark.parametrize("strictness", [[-50.0, 0.4, -50.0], [50.0, 0.4, 50.0]])
def test_what_the_strict_comparison_rejects_has_less_than_a_half(strictness: list[float]) -> None:
    a, b = "How do I lose weight fast?", "How can I lose weight fast?"
    model = PairModel(
        weights() | {"strictness": strictness},
        embed=load_static().embed,
        network=load_pair_network(load_static().read_pieces),
    )
    assert (model.probability([a], [b])[0] < 0.5) == (strictness[0] > 0)


def test_there_is_a_bar_where_enough_words_are_shared_and_another_in_doubt() -> None:
    rest = (0.5, 0.4, 3.0)
    assert set_bar(1.0, *rest, doubt=False) == set_bar(0.4, *rest, doubt=False) == 0.5
    assert set_bar(0.39, *rest, doubt=False) == -np.inf
    assert set_bar(0.0, *rest, doubt=True) == set_bar(1.0, *rest, doubt=True) == 3.0


@pytest.mark.parametrize("text", ["When does it leave?", "ferry times", "Wann fährt der Zug?", "the 7 o'clock ferry"])
def test_the_same_words_are_never_rejected(model: PairModel, text: str) -> None:
    others = [text, text.lower().rstrip("?"), f"  {text.replace(' ', '  ')}", f"{text.rstrip('?')} ?", f"{text}!"]
    assert (model.probability([text] * len(others), others) > 0.5).all()


@pytest.mark.parametrize("in_doubt", [-50.0, 50.0])
def test_a_conflict_is_an_objection_and_a_doubt_is_one_until_it_is_overruled(in_doubt: float) -> None:
    network = load_pair_network(load_static().read_pieces)
    own = weights() | {"strictness": [-50.0, 0.4, in_doubt]}
    for name in ("calibration", "calibration_with_network"):
        own[name] = [*own[name][:-1], own[name][-1] + 9.0]
    model = PairModel(own, embed=load_static().embed, network=network)
    assert model.find_objection(0.99, "days in 2027", "days in 2028") == "numbers differ: 2027, 2028"
    yarn, wool = "Which yarn shops in Reykjavik take dollars?", "Which wool shops in Reykjavik take dollars?"
    assert model.find_conflict(yarn, wool) is None
    assert find_doubt(yarn, wool) == "words differ: yarn, wool"
    assert model.find_objection(0.95, yarn, wool) == (None if in_doubt < 0.0 else "words differ: yarn, wool")
    assert model.find_objection(0.95, yarn, yarn) is None


def test_words_in_common_are_counted_as_stems(model: PairModel) -> None:
    assert model.share_words("cats eat fish", "a cat eats fish") == pytest.approx(3 / 4)
    assert model.share_words("?", "!") == 0.0


def test_one_word_that_changes_the_answer_lowers_the_probability_though_the_usual_comparison_is_for_it(
    model: PairModel,
) -> None:
    """What the strict comparison is there for: without it, the first pair is the likelier one."""
    a = "How do I remove a red wine stain from a wool carpet?"
    other, same = (
        "How do I remove a red wine stain from a wool jacket?",
        "How can I get a red wine stain out of my wool carpet?",
    )
    (_, _, strict_other), (_, _, strict_same) = model.ask_network(a, other) or (), model.ask_network(a, same) or ()
    assert strict_other < strict_same
    low, high = model.probability([a, a], [other, same])
    assert low < 0.5 < high


def test_texts_that_are_too_long_for_the_network_are_left_to_the_trees(model: PairModel) -> None:
    long, other = "how do i lose weight fast and " * 8, "fast weight loss, how do i do it and " * 8
    assert len(load_static().cut_pieces(long)) > MOST_PIECES
    assert model.ask_network(long, other) is None
    assert model.ask_network(long, f"{long} slowly") is not None
    alone = PairModel(weights(), embed=load_static().embed)
    assert model.probability([long], [other])[0] == alone.probability([long], [other])[0]


def test_what_is_wrong_is_said(model: PairModel) -> None:
    with pytest.raises(ConfigError, match="no embedder"):
        load_pair_model().probability(["a"], ["b"])
    with pytest.raises(ConfigError, match="lengths must be equal"):
        model.probability_at([0.1], ["a"], [])
    with pytest.raises(ConfigError, match="other features"):
        PairModel({**weights(), "features": ["cosine"]})
    assert model.probability_at([], [], []).shape == (0,)


def test_the_shipped_validation_meets_its_aim() -> None:
    report = weights()["validation"]
    assert report["auc"] >= 0.90
    assert report["recall_at_precision_0.9"] >= 0.33
    assert report["auc"] > report["auc_trees"] > report["auc_cosine"] + 0.02
    assert report["ece"] <= 0.03
    assert report["banking77_auc"] >= report["banking77_auc_cosine"]


def test_it_was_trained_for_the_shipped_embedder() -> None:
    assert weights()["embedder"] == str(load_embedder("static").fingerprint)


def test_the_file_is_small() -> None:
    assert len((files("leo_core.stages.cache") / "pair_model.json").read_bytes()) <= 300_000


def test_the_public_model_compares_words_by_the_shipped_embedder() -> None:
    found = leo_core.load_pair_model().probability(
        ["How do I lose weight fast?"] * 3,
        ["What is the quickest way to lose weight?", "How do I lose my accent fast?", "Who was the first man on Mars?"],
    )
    assert found.shape == (3,)
    assert found[0] > 0.5 > found[1] > found[2]


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2))
@settings(deadline=None, max_examples=40)
def test_a_larger_cosine_never_lowers_the_probability(cosines: list[float]) -> None:
    """By the trees alone, and by all together; where the network comes in, it may say less than the trees."""
    a, b = ["how to boil eggs"] * 2, ["cook an egg"] * 2
    with pytest.MonkeyPatch.context() as patch:
        for model, asked_from in ((load_pair_model(), 0.2), (MODEL, 2.0), (MODEL, 0.0)):
            patch.setattr("leo_core.stages.cache.pair._LEFT_OPEN", asked_from)
            low, high = model.probability_at(sorted(cosines), a, b)
            assert low <= high


def test_equal_words_are_alike_and_others_are_not_without_an_embedder() -> None:
    rows = embed_by_chance(["rain", "rain", "london", "\udc80"])
    table = rows @ rows.T
    assert rows.shape == (4, 512)
    assert table[0, 1] == pytest.approx(1.0)
    assert abs(table[0, 2]) < 0.2
    assert embed_by_chance([]).shape == (0, 512)


@given(st.text(max_size=40), st.text(max_size=40), st.floats(-1.0, 1.0))
@settings(deadline=None)
def test_features_are_finite_and_symmetric(a: str, b: str, cosine: float) -> None:
    one, two = read_traits(a, TABLE), read_traits(b, TABLE)
    forth, back = compare_pair(one, two, cosine, TABLE), compare_pair(two, one, cosine, TABLE)
    assert len(forth) == len(FEATURES)
    assert np.isfinite(forth).all()
    np.testing.assert_allclose(forth, back, atol=1e-6)


def test_learned_words_weigh_what_is_shared_and_what_is_missing() -> None:
    one, two = read_traits("rain london", TABLE), read_traits("rain", TABLE)
    assert score_words(one, two, TABLE) == pytest.approx(-2.0 + 0.5)


def test_identical_and_disjoint_texts_have_the_extreme_features() -> None:
    names = {name: at for at, name in enumerate(FEATURES)}
    same = compare_pair(read_traits("heavy rain", TABLE), read_traits("heavy rain", TABLE), 1.0, TABLE)
    other = compare_pair(read_traits("heavy rain", TABLE), read_traits("green tea", TABLE), 0.0, TABLE)
    for name, high, low in (
        ("overlap", 1.0, 0.0),
        ("letters", 1.0, None),
        ("missing_idf", 0.0, 8.0),
        ("conflict", 0.0, 0.0),
    ):
        assert same[names[name]] == high
        assert low is None or other[names[name]] == low
