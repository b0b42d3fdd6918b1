"""What a student learns, what it does not, and what it says of its own chances."""

from __future__ import annotations

import numpy as np
import pytest

from leo_core.engine.teaching import group_answers, make_examples
from leo_core.errors import ConfigError
from leo_core.evaluation.student_figures import Teacher, match_answers, measure_student
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.student.config import StudentConfig
from leo_core.stages.student.fit import find_fold, fit_student
from leo_core.stages.student.linear import fit_logistic, fit_ridge, softmax
from leo_core.stages.student.student import share_neighbours
from tests.core.student.lessons import INTENTS, list_questions, make_pairs, shuffle_answers, train

EMBEDDER = load_embedder()


def measure(taught, rows, cost_usd=0.01):
    student = taught.students["default"]
    held = [row for row in rows if find_fold(row[0]) == 0]
    teacher = Teacher(cost_usd=cost_usd, right=np.ones(len(held), dtype=np.bool_), route=RouteConfig())
    vectors = EMBEDDER.embed([question for question, _ in held])
    return measure_student(student, vectors, match_answers(student, held), teacher)


def test_it_learns_what_was_taught_and_beats_the_most_frequent_answer() -> None:
    rows = list_questions()
    figures = measure(train(rows[:300]), rows[300:])
    assert figures["accuracy"]["both"]["share"] > 0.95
    assert figures["accuracy"]["majority"]["share"] < 0.5
    assert figures["coverage"]["share"] > 0.8
    assert figures["answered_accuracy"]["share"] > 0.95
    assert figures["utility"]["gain"] > 0.0
    assert figures["calibration_error"] < 0.1


def test_of_shuffled_answers_it_learns_that_it_knows_nothing() -> None:
    rows = shuffle_answers(list_questions())
    figures = measure(train(rows[:300]), rows[300:])
    assert figures["accuracy"]["both"]["share"] < 0.45
    assert figures["coverage"]["share"] < 0.02
    forced = measure(train(rows[:300], least_probability=0.0), rows[300:])
    assert forced["coverage"]["share"] > 0.5
    assert forced["utility"]["gain"] < 0.0
    assert forced["calibration_error"] < 0.15, "its chances are those of a guess"


def test_it_abstains_far_away_and_where_answers_were_too_rare_to_teach() -> None:
    rows = list_questions()[:300]
    free = [(f"What did chapter {number} of the novel tell of the old castle?", f"Of the {number}th ghost.")
            for number in range(60)]  # fmt: skip
    student = train(rows + free).students["default"]
    assert set(student.answers) == set(INTENTS)

    def judge(question):
        return student.judge(EMBEDDER.embed([question])[0])

    assert judge("What did chapter 77 of the novel tell of the old castle?").abstains == "elsewhere"
    strange = judge("Photosynthesis in deep sea volcanoes")
    assert strange.abstains in ("elsewhere", "novel")
    known = judge("Hi there, my card was stolen now?")
    assert (known.abstains, student.answers[known.answer]) == ("", "Open the app and choose Replace card.")
    assert known.probability >= 0.8
    cosines = [cosine for _, cosine in known.nearest]
    assert cosines == sorted(cosines, reverse=True)
    assert {int(student.labels[row]) for row, _ in known.nearest} == {known.answer}


def test_training_never_sees_the_held_out_fifth_and_repeats_itself() -> None:
    rows = list_questions()[:200]
    taught = train(rows)
    kept = {int(entry.removeprefix("entry-")) for entry in taught.students["default"].entries}
    assert kept == {number for number, (question, _) in enumerate(rows) if find_fold(question) != 0}
    assert train(rows).to_bytes() == taught.to_bytes()
    wrong_there = [(q, a if find_fold(q) else "Something else entirely.") for q, a in rows]
    other = train(wrong_there).students["default"]
    assert np.array_equal(other.weights, taught.students["default"].weights)


def test_too_few_answers_make_no_student() -> None:
    one = [row for row in list_questions() if row[1].startswith("Open")][:60]
    with pytest.raises(ConfigError, match="1 answers have at least 3 examples"):
        fit_student(make_examples(make_pairs(one), EMBEDDER), StudentConfig())
    with pytest.raises(ConfigError, match="0 answers"):
        fit_student(make_examples([], EMBEDDER), StudentConfig())


@pytest.mark.parametrize("field", ["least_examples", "most_answers", "neighbours", "least_probability", "novel_share"])
def test_settings_out_of_range_are_refused(field) -> None:
    with pytest.raises(ConfigError, match=field):
        StudentConfig(**{field: -1})


def test_answers_that_say_the_same_are_one_and_those_that_depend_on_the_question_are_none() -> None:
    groups = group_answers(
        [
            ("How high is it?", "The answer is 12 m."),
            ("What is its height?", "12 m"),
            ("How wide is it?", "15 m"),
            ("Which?\nA) red\nB) blue", "A"),
            ("Which?\nA) green\nB) grey", "A"),
            ("Who was it?", "I cannot answer from the given context."),
            ("Who is it?", "I cannot answer from the given context."),
        ]
    ).tolist()
    assert groups[0] == groups[1] != groups[2]
    assert len(set(groups[2:])) == 5


def test_the_most_frequent_text_is_given() -> None:
    rows = list_questions()[:200]
    spelled = [(q, a.upper() if at % 3 == 0 else a) for at, (q, a) in enumerate(rows)]
    assert set(train(spelled).students["default"].answers) == set(INTENTS)


def test_ridge_is_the_solution_of_its_normal_equations() -> None:
    source = np.random.default_rng(5)
    rows = source.normal(size=(40, 6)).astype(np.float32)
    labels = source.integers(0, 3, 40).astype(np.int32)
    targets = np.eye(3)[labels]
    for penalty, (weights, intercepts) in zip((0.1, 2.0), fit_ridge(rows, labels, 3, (0.1, 2.0)), strict=True):
        rest = targets - rows @ weights - intercepts
        assert np.allclose(rows.T @ rest, penalty * weights, atol=1e-4)
        assert np.allclose(rest.sum(axis=0), 0.0, atol=1e-5)


def test_the_calibration_finds_the_chances_that_data_were_drawn_with() -> None:
    source = np.random.default_rng(6)
    scores = source.normal(size=(4000, 1)) * 2.0
    right = source.random(4000) < 1.0 / (1.0 + np.exp(-(0.5 + 1.5 * scores[:, 0])))
    intercept, slope = fit_logistic(scores, right)
    assert intercept == pytest.approx(0.5, abs=0.15)
    assert slope == pytest.approx(1.5, abs=0.15)
    assert fit_logistic(np.zeros((0, 2)), np.zeros(0, dtype=np.bool_)) == (0.0, 0.0, 0.0)


def test_neighbours_and_softmax_are_shares() -> None:
    cosines = np.array([[0.9, 0.8, -np.inf], [0.1, 0.2, 0.95]], dtype=np.float32)
    shares, nearest = share_neighbours(cosines, np.array([0, 1, 1], dtype=np.int32), 2, 2)
    assert np.allclose(shares.sum(axis=1), 1.0)
    assert shares[0, 0] == pytest.approx(1.0 / (1.0 + np.exp(-2.0)), abs=1e-6)
    assert nearest.tolist() == pytest.approx([0.9, 0.95])
    assert np.allclose(softmax(np.array([[1000.0, 0.0], [0.0, 0.0]])), [[1.0, 0.0], [0.5, 0.5]])
