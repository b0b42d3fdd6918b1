"""What happened to similar requests: kernel ridge regression over outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.risk import experience
from leo_core.stages.risk.arithmetic import find_equations
from leo_core.stages.risk.experience import Experience, Seen
from leo_core.stages.risk.likeness import feature_names, read_features, spreads, wording_features
from leo_core.stages.risk.request_features import text_features
from leo_core.stages.risk.tokens import words
from leo_core.stages.risk.working import working_features

SPREADS = np.array([0.2, 0.1, 0.2])


def draw(count: int, seed: int = 0, *, large: bool = True) -> list[Seen]:
    """Outcomes whose rates follow the first coordinate."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, 6))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    features = random.normal(size=(count, 3)) * (1.0, 10.0, 0.0)
    return [
        Seen(
            vector=vector.astype(np.float32),
            features=row,
            small_wrong=float(random.random() < 0.5 + 0.5 * vector[0]),
            large_wrong=float(random.random() < 0.2) if large or at % 2 else None,
            weight=float(random.uniform(0.5, 2.0)),
        )
        for at, (vector, row) in enumerate(zip(vectors, features, strict=True))
    ]


def learn(outcomes: list[Seen]) -> Experience:
    known = Experience.fresh()
    for seen in outcomes:
        known = known.learn(seen, SPREADS)
    return known


def solve_plainly(outcomes: list[Seen], target: str, asked: Seen) -> float:
    """The closed form, with loops: (K + λ W⁻¹) α = y − ȳ over the outcomes that are known."""
    features = np.array([seen.features for seen in outcomes])
    spread = features.std(axis=0)

    def place(seen: Seen) -> np.ndarray:
        parts = [
            float(np.clip((value - mean) / width, -4, 4)) * counts if width > 1e-6 else 0.0
            for value, mean, width, counts in zip(seen.features, features.mean(axis=0), spread, SPREADS, strict=True)
        ]
        return np.array([*seen.vector.tolist(), *parts])

    def alike(first: Seen, second: Seen) -> float:
        return float(np.exp(-np.square(place(first) - place(second)).sum()))

    known = [seen for seen in outcomes if getattr(seen, target) is not None]
    y, w = (np.array([getattr(seen, name) for seen in known]) for name in (target, "weight"))
    mean = float((w * y).sum() / w.sum())
    matrix = np.array([[alike(one, other) for other in known] for one in known]) + np.diag(experience.RIDGE / w)
    return mean + float(np.array([alike(asked, seen) for seen in known]) @ np.linalg.solve(matrix, y - mean))


@pytest.mark.parametrize("large", [True, False])
def test_rates_are_those_of_the_closed_form(large: bool) -> None:
    outcomes = draw(19, large=large)
    known = learn(outcomes)
    assert not known.pending
    for asked in draw(5, seed=9):
        rates = known.read_rates(asked.vector, asked.features)
        assert rates.small_wrong == pytest.approx(solve_plainly(outcomes, "small_wrong", asked), abs=2e-4)
        assert rates.large_wrong == pytest.approx(solve_plainly(outcomes, "large_wrong", asked), abs=2e-4)
        assert (rates.small_count, rates.large_count) == (19, 19 if large else 9)


def test_what_is_put_aside_is_taken_in_later_and_changes_nothing_but_when() -> None:
    outcomes = draw(300)
    known = learn(outcomes)
    assert known.count == 300
    assert 0 <= len(known.pending) < 15
    at_once = Experience(
        fit=experience._refit(None, tuple(outcomes[: 300 - len(known.pending)]), SPREADS, experience.RIDGE)
    )
    asked = draw(1, seed=4)[0]
    assert known.read_rates(asked.vector, asked.features).small_wrong == pytest.approx(
        at_once.read_rates(asked.vector, asked.features).small_wrong, abs=1e-3
    )


def test_it_finds_what_the_rates_follow() -> None:
    known = learn(draw(400))
    one = np.eye(6, dtype=np.float32)[0]
    wrong, right = (known.read_rates(sign * one, np.zeros(3)).small_wrong for sign in (1, -1))
    assert wrong > 0.7
    assert right < 0.3


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experience, "KEPT", 50)
    outcomes = draw(200)
    known = learn(outcomes)
    taken = outcomes[: 200 - len(known.pending)]
    assert known.count == 50 + len(known.pending)
    assert known.fit.vectors == pytest.approx(np.stack([seen.vector for seen in taken[-50:]]))


def test_another_embedder_begins_anew() -> None:
    known = learn(draw(10))
    other = Seen(vector=np.ones(2, dtype=np.float32), features=np.zeros(3), small_wrong=1.0)
    assert known.read_rates(other.vector, other.features) is None
    assert known.learn(other, SPREADS).count == 1
    assert Experience.fresh().read_rates(other.vector, other.features) is None


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_where_all_outcomes_are_alike_the_rate_is_their_share(outcomes: list[bool]) -> None:
    vector = np.array([1.0, 0.0], dtype=np.float32)
    known = Experience.fresh()
    for wrong in outcomes:
        known = known.learn(Seen(vector=vector, features=np.zeros(1), small_wrong=float(wrong)), np.ones(1))
    taken = outcomes[: len(outcomes) - len(known.pending)]
    assert known.read_rates(vector, np.zeros(1)).small_wrong == pytest.approx(sum(taken) / len(taken), abs=1e-4)


@given(st.text(max_size=300))
def test_likeness_features_are_finite_and_in_order(text: str) -> None:
    found = read_features(text_features(text, words(text)) | wording_features(text))
    assert found.shape == spreads().shape == (len(feature_names()),)
    assert np.isfinite(found).all()


def test_wording_features_say_what_they_count() -> None:
    found = wording_features("Which is NOT a prime? Two trains travel 1.5 miles per hour.\nA. 3\nB. All of the above")
    assert found["negated_stem"] == found["all_of_these"] == found["decimals"] == found["figure_options"] == 1.0
    assert found["rates"] == found["times"] == found["numerals"] == pytest.approx(np.log(2))
    assert read_features({"sentences": 3.0})[feature_names().index("sentences")] == 3.0


def test_working_features_say_what_they_count() -> None:
    question = "Tom has 8 apples, buys 20 and eats 6 of 100 pears. How many apples has he?"
    text = "8 + 20 = 28\n28 - 9 = 19\n50 / 4 = 12.5\nThe answer is 19."
    found = working_features(question, text, "19", find_equations(text))
    assert found["unused_numbers"] == pytest.approx(np.log(3))
    assert found["unused_share"] == 0.5
    assert found["sourceless"] == pytest.approx(np.log(3))
    assert found["dangling"] == pytest.approx(np.log(2))
    assert (found["divides"], found["subtracts"], found["not_last"], found["fractions"]) == (1, 1, 1, np.log(2))
    empty = working_features("", "", "", ())
    assert set(empty.values()) == {0.0}
