"""Paired differences, the Pareto front, dominance and regret, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.evaluation.datasets import RecordedQuestion
from leo_core.evaluation.static_rules import find_best_single, list_static_rules
from leo_core.evaluation.study_metrics import (
    Tally,
    compare_tallies,
    describe,
    find_dominating,
    find_front,
    measure_learning,
)


def tally(name, right, cost, **more):
    known = None if cost is None else np.full(len(right), cost, dtype=np.float64)
    return Tally(name=name, right=np.array(right, dtype=np.float64), cost=known, **more)


def test_a_rule_beside_another_is_compared_question_by_question():
    one, other = tally("one", [1, 1, 0, 1], 0.02), tally("other", [1, 0, 0, 1], 0.04)
    found = compare_tallies(one, other)
    assert found["quality"] == pytest.approx(0.25)
    assert found["quality_interval"] == [0.0, 0.75], "at worst no resampled question differs, at best three of four"
    assert found["cost"] == pytest.approx(-0.02)
    assert found["cost_ratio"] == pytest.approx(0.5)
    assert found["cost_ratio_interval"] == pytest.approx([0.5, 0.5])


def test_an_unknown_price_leaves_cost_unknown_and_a_free_rule_has_no_ratio():
    one, other = tally("one", [1, 0], None), tally("other", [1, 0], 0.0)
    assert compare_tallies(one, other)["cost"] is None
    assert compare_tallies(other, other)["cost_ratio"] is None
    assert compare_tallies(other, other)["cost"] == 0.0
    assert describe(one, other)["cost_per_question_usd"] is None


def test_the_front_holds_what_nothing_beats():
    points = {"cheap": (1.0, 0.5), "good": (3.0, 0.9), "bad": (3.0, 0.4), "middle": (2.0, 0.7), "twin": (2.0, 0.7)}
    assert find_front(points) == ["cheap", "middle", "twin", "good"]
    assert find_front({**points, "better": (1.0, 0.95)}) == ["better"]


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3), st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1
    )
)
def test_every_point_off_the_front_is_beaten_by_one_on_it(points):
    front = find_front(points)
    assert front
    for name, (cost, quality) in points.items():
        beaten = any(
            points[each][0] <= cost and points[each][1] >= quality and points[each] != (cost, quality) for each in front
        )
        assert beaten is (name not in front)


def test_only_static_rules_that_are_cheaper_and_better_dominate():
    half = [1, 0] * 100
    leo = tally("LEO", half, 0.02, static=False)
    nearly = [1, 0] * 99 + [1, 1]
    rules = [
        tally("clearly", [1] * 200, 0.01),
        tally("barely", nearly, 0.01),
        tally("better but dearer", [1] * 200, 0.03),
        tally("cheaper but worse", [0] * 200, 0.001),
        tally("as good", half, 0.01),
        tally("of unknown price", [1] * 200, None),
        tally("LEO, audited", [1] * 200, 0.01, static=False),
    ]
    assert find_dominating(leo, rules) == {"beyond": ["clearly"], "within": ["barely"]}


def test_regret_is_what_was_paid_and_lost_more_than_by_the_best_fixed_route():
    right = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    cost = np.array([[0.1, 0.1, 0.3, 0.3], [0.1, 0.1, 0.3, 0.3]])
    best_right, best_cost = np.array([[1.0, 1.0, 0.0, 1.0]] * 2), np.full((2, 4), 0.2)
    found = measure_learning(right, cost, best_right, best_cost, loss_usd=1.0, blocks=2)
    assert found["requests"] == [2, 4]
    assert found["accuracy"] == pytest.approx([0.25, 1.0])
    assert found["accuracy_band"] == [[0.0, 0.5], [1.0, 1.0]]
    assert found["cost"] == pytest.approx([0.1, 0.3])
    # first order: -0.1, +0.9, then -0.9, +0.1; second one: +0.9, +0.9, -0.9, +0.1
    assert found["regret_band"] == [pytest.approx([0.8, 1.8]), pytest.approx([0.0, 1.0])]
    assert found["regret"] == pytest.approx([1.3, 0.5])


def question(number, text, **answers):
    """Answers by model; ``4`` is right."""
    return RecordedQuestion(
        id=str(number), question=text, correct={m: a == "4" for m, a in answers.items()}, final=answers
    )


def test_static_rules_are_what_counting_gives():
    questions = [
        question(0, "long long long", s="4", w="4", l="4", x="5"),
        question(1, "long long", s="5", w="4", l="4", x="5"),
        question(2, "long", s="5", w="5", l="4", x="4"),
        question(3, "l", s="4", w="5", l="5", x="4"),
    ]
    costs = {"s": np.full(4, 1.0), "w": np.full(4, 2.0), "l": np.full(4, 10.0), "x": None}
    found = {
        rule.name: rule for rule in list_static_rules(questions, costs, small="s", large="l", jury=("s", "w", "l"))
    }
    means = {name: (rule.right.mean(), None if rule.cost is None else rule.cost.mean()) for name, rule in found.items()}
    assert means["always s"] == (0.5, 1.0)
    assert means["always l"] == (0.75, 10.0)
    assert means["always x"] == (0.5, None)
    assert not found["always x"].member
    assert found["always w"].member
    assert means["random 50% large"] == (0.625, 5.5)
    assert means["longest 50% large"] == (0.75, 5.5), "the first two to l, the others to s"
    assert means["small and w, large if they differ"] == (0.5, 8.0), "0 and 2 agree, 1 and 3 go to l"
    assert means["plain majority"] == (0.5, 13.0)
    assert find_best_single(("s", "w", "l"), list(found.values())).note == "l"
