"""``leo student train``, ``leo student eval`` and ``leo bench student``."""

from __future__ import annotations

import gzip
import json
import stat

import pytest
from typer.testing import CliRunner

from leo_core import LEO, LEOConfig
from leo_core.cli.app import app
from leo_core.providers.scripted import ScriptedModel
from tests.core.student.lessons import INTENTS, list_questions

ROWS = list_questions(11)
TRUTH = dict(ROWS)


def leo(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments):
    result = leo(*arguments, "--json")
    return json.loads(result.stdout), result.exit_code


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "leo.db"
    teacher = ScriptedModel("teacher", replies=lambda request: TRUTH[request.question], cost=0.02)
    with LEO(large=teacher, store=path, config=LEOConfig(audit_rate=1.0), checker=lambda *_: True, seed=2) as engine:
        for question, _ in ROWS[:220]:
            engine.ask(question, cache="renew")
        engine.ask(ROWS[0][0], tenant="empty")
    return path


@pytest.fixture(scope="module")
def trained(store):
    file = store.with_name("leo.student")
    return file, *as_json("student", "train", store, file, "--near", "1.0")


def test_train_writes_a_private_file_and_measures_what_was_held_out(trained) -> None:
    file, facts, code = trained
    assert code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(facts["tenants"]) == ["default"]
    assert "a student needs two" in facts["untaught"]["empty"]
    figures = facts["tenants"]["default"]
    assert figures["answers"] == len(INTENTS)
    assert figures["questions"] > 10
    assert figures["teacher_cost_usd"] == pytest.approx(0.02)
    assert figures["accuracy"]["both"]["share"] > figures["accuracy"]["majority"]["share"]
    assert figures["utility"]["teacher"] == pytest.approx((2.0 - 0.02 / 0.05) / 2.0)
    low, high = figures["utility"]["gain_interval"]
    assert low <= figures["utility"]["gain"] <= high


def test_eval_repeats_the_figures_of_the_training(trained, store) -> None:
    file, facts, _ = trained
    again, code = as_json("student", "eval", file, store, "--near", "1.0")
    assert code == 0
    assert again["tenants"] == facts["tenants"]
    shown = leo("student", "eval", file, store, "--near", "1.0", "--teacher-cost-usd", "0.05").stdout
    assert "teacher 0.5000" in shown
    assert "student: answered" in shown


def test_ask_takes_it_by_its_name(trained) -> None:
    file, _, _ = trained
    facts, code = as_json("ask", "Hello, my card was stolen?", "--small", f"student:{file}")
    assert (code, facts["answer"]) == (0, "Open the app and choose Replace card.")
    refused, code = as_json("ask", "Photosynthesis in deep sea volcanoes", "--small", f"student:{file}")
    assert (code, refused["error"]) == (1, "MemberAbstainedError")


def test_wrong_use_is_refused(store, trained, tmp_path) -> None:
    file, _, _ = trained
    assert as_json("student", "train", tmp_path / "none.db", tmp_path / "out")[1] == 2
    assert as_json("student", "train", store, tmp_path / "no" / "folder")[1] == 2
    assert as_json("student", "train", store, tmp_path / "out", "--tenant", "empty")[1] == 2
    assert as_json("student", "eval", file, store, "--tenant", "empty")[1] == 2
    assert as_json("student", "eval", store, store)[0]["error"] == "StoreCorruptError"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "requests.jsonl.gz"
    names = {answer: f"intent-{number}" for number, answer in enumerate(INTENTS)}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": q, "intent": names[a]}) + "\n" for q, a in ROWS)
    return path


def test_bench_student_shows_the_curve_and_repeats_itself(data) -> None:
    arguments = ("bench", "student", "--data", data, "--sizes", "40,200", "--seeds", "2")
    facts, code = as_json(*arguments)
    assert code == 0
    assert as_json(*arguments)[0] == facts
    few, many = facts["curve"]
    assert few["pairs"] < many["pairs"]
    assert many["accuracy"]["both"]["share"] > 0.9
    assert many["accuracy"]["majority"]["share"] < 0.5
    assert many["coverage"]["share"] >= few["coverage"]["share"]
    assert facts["teacher"] == "the label of the data, not a model"
    assert many["teacher_utility"] == pytest.approx((2.0 - 0.01 / 0.05) / 2.0)
    noisy, _ = as_json(*arguments, "--teacher-accuracy", "0.7")
    assert noisy["curve"][1]["teacher_utility"] < many["teacher_utility"]
    assert noisy["curve"][1]["mean_probability"] < many["mean_probability"]
    assert "always answering" in leo(*arguments).stdout


def test_bench_student_refuses_what_cannot_be_measured(data) -> None:
    assert as_json("bench", "student", "--data", data, "--sizes", "5000")[1] == 2
    assert as_json("bench", "student", "--data", data, "--sizes", "50", "--teacher-accuracy", "0")[1] == 2
