"""Through the whole engine: a teacher's verified answers train a student, which becomes the default, or does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, verify_receipt
from leo_core.errors import ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_core.providers.student import StudentModel
from leo_core.records import Route
from leo_core.stages.receipt.document import read_statement
from tests.core.student.lessons import INTENTS, list_questions, shuffle_answers, train

ROWS = list_questions(7)
TRUTH = dict(ROWS)
MOST = 400


def say(request) -> str:
    """The teacher: it knows, and is asked about other things too."""
    return TRUTH.get(request.question, "Ask at the desk.")


def check(request, answer) -> bool:
    return answer.text == TRUTH.get(request.question, "Ask at the desk.")


def configure(*, trials: bool) -> LEOConfig:
    config = LEOConfig(audit_rate=1.0)
    route = replace(config.route, promote=trials, trial_rate=0.5, small_when_novel=True, loss_usd=0.02)
    return replace(config, route=route, novelty=replace(config.novelty, centres=1))


def teacher() -> ScriptedModel:
    return ScriptedModel("teacher", replies=say, cost=0.015)


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A student that was trained on what a store holds of a teacher's answers, and the lesson."""
    folder = tmp_path_factory.mktemp("school")
    with LEO(large=teacher(), config=configure(trials=False), checker=check, store=folder / "leo.db", seed=3) as leo:
        for question, _ in ROWS[:240]:
            leo.ask(question, tenant="acme")
        for question, _ in ROWS[240:246]:
            leo.ask(question, tenant="small-shop")
        lesson = leo.train_student(folder / "leo.student")
        receipts = {receipt.id for receipt in leo.log.receipts()}
    return folder, lesson, receipts


def run(student, listener=None):
    """Ask with the student beside the teacher, until a default is found or the questions are over."""
    with LEO(student, teacher(), config=configure(trials=True), checker=check, listeners=listener or [], seed=5) as leo:
        answers = []
        for question, _ in ROWS[300 : 300 + MOST]:
            answers.append(leo.ask(question, cache=False, tenant="acme"))
            leo.flush()
            if leo.route_changes(tenant="acme"):
                answers.append(leo.ask(ROWS[800][0], cache=False, tenant="acme"))
                break
        trials = [each.body for _, each in leo.store.observations(tenant="acme") if each.kind == "promotion"]
        return answers, leo.route_changes(tenant="acme"), trials, leo.public_key


def test_it_is_trained_on_verified_answers_of_its_own_tenant(school) -> None:
    folder, lesson, receipts = school
    assert set(lesson.taught.students) == {"acme"}
    assert "0 answers" in lesson.untaught["small-shop"] or "answers have" in lesson.untaught["small-shop"]
    student = lesson.taught.students["acme"]
    assert set(student.answers) == set(INTENTS)
    assert set(student.receipts) <= receipts
    assert len(student.labels) < 240
    data = (folder / "leo.student").read_bytes()
    assert not any(question.encode() in data for question, _ in ROWS[:240])


def test_a_student_that_wins_on_utility_is_promoted(school) -> None:
    folder, _, receipts = school
    answers, changes, _, key = run(StudentModel.load(folder / "leo.student"))
    assert [(each.change, each.route, each.why) for each in changes[:1]] == [("promoted", Route.SMALL, "test")]
    after = answers[-1]
    assert after.decision.promotion.route is Route.SMALL
    for answer in answers:
        verify_receipt(answer.receipt, public_key=key)
    shown = next(each for each in answers if each.route is Route.SMALL)
    assert shown.usage.cost_usd == 0.0
    assert {example["receipt"] for example in shown.draft.metadata["examples"]} <= receipts
    assert read_statement(shown.receipt)["served"]["model"] == "student"


@pytest.mark.parametrize("settings", [{}, {"least_probability": 0.0, "novel_share": 0.0}], ids=["abstains", "answers"])
def test_a_student_of_shuffled_answers_is_not(settings) -> None:
    taught = train(shuffle_answers(ROWS[:240]), **settings)
    bad = StudentModel(replace(taught, students={"acme": taught.students["default"]}))
    answers, changes, trials, _ = run(bad)
    assert changes == ()
    assert len(answers) == MOST
    tried = [body for body in trials if body["challenger"] == "small"]
    assert len(tried) > 20


def test_where_it_abstains_a_trial_counts_what_stood_in_for_it(school) -> None:
    """Otherwise the student would be compared on the requests that it likes, and the teacher on all."""
    folder, _, _ = school
    timid = StudentModel.load(folder / "leo.student")
    nothing = replace(timid.taught.students["acme"], least_probability=1.0)
    never = StudentModel(replace(timid.taught, students={"acme": nothing}))
    answers, changes, trials, _ = run(never)
    assert changes == (), "a way that is the same as the teacher's is no better than it"
    tried = [body["outcomes"] for body in trials if body["challenger"] == "small"]
    assert len(tried) > 20
    shown = [each["challenger"] for each in tried if "challenger" in each]
    assert {(each["cost_usd"], each["right"], each["weight"]) for each in shown} == {(0.015, True, 0.0)}
    assert all(answer.text == TRUTH[question] for answer, (question, _) in zip(answers, ROWS[300:], strict=False))


def test_a_student_needs_verified_pairs(tmp_path) -> None:
    with LEO(large=teacher(), seed=1) as leo:
        leo.ask(ROWS[0][0])
        with pytest.raises(ConfigError, match="0 answers have at least 3 examples among 0 verified pairs"):
            leo.train_student(tmp_path / "none.student")
    assert not (tmp_path / "none.student").exists()
