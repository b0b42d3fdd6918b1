"""The benchmark of verdicts' risks."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation import risk_bench
from leo_core.evaluation.datasets import is_held_out
from leo_core.evaluation.ranking import bootstrap_ece
from leo_core.evaluation.risk_bench import RiskSettings, run_risk

GSM = Path(__file__).parents[4] / "shared" / "data" / "replay" / "gsm.jsonl.gz"
SKILLS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)


def write(path, count=260, seed=0):
    """Questions about sums, to which models of different skill answer a right or one of three wrong numbers."""
    random = np.random.default_rng(seed)
    with path.open("w") as lines:
        for number in range(count):
            answers = {}
            for at, skill in enumerate(SKILLS):
                right = bool(random.random() < skill)
                value = 10 if right else int(random.integers(11, 14))
                answers[f"model-{at}"] = {"text": f"The answer is {value}.", "final": str(value), "correct": right}
            row = {
                "id": str(number),
                "question": f"What is {number} + 10 - {number}?",
                "gold": "10",
                "answers": answers,
            }
            lines.write(json.dumps(row) + "\n")
    return path


def settings(path, **facts):
    return RiskSettings(data=path, **{"committees": (5,), "draws": 3, "splits": 10, "max_errors": (0.2,)} | facts)


def test_it_scores_held_out_questions_only_and_the_risk_knows_more_than_length(tmp_path):
    path = write(tmp_path / "made.jsonl")
    result = run_risk(settings(path))
    questions = [json.loads(line)["question"] for line in path.read_text().splitlines()]
    assert result["questions"] == sum(map(is_held_out, questions))
    assert result["verdicts"] == 3 * result["questions"]
    rows = {row["name"]: row for row in result["scores"]}
    assert rows["risk"]["auroc"] > rows["length"]["auroc"] + 0.1
    for row in result["scores"][1:]:
        assert row["risk_over_it"] == pytest.approx(rows["risk"]["auroc"] - row["auroc"])
        low, high = row["risk_over_it_interval"]
        assert low <= row["risk_over_it"] <= high
    assert result["attribution_gap"] < 1e-9
    assert result["milliseconds"]["p50"] <= result["milliseconds"]["p95"]
    assert sum(count for _, _, count in result["reliability"]) == result["verdicts"]
    again = run_risk(settings(path))
    assert [row["auroc"] for row in again["scores"]] == [row["auroc"] for row in result["scores"]]
    assert again["acceptance"] == result["acceptance"]


def test_a_score_that_is_turned_around_fails(tmp_path, monkeypatch):
    honest = risk_bench.score_answer

    def turned(*given, **facts):
        risk = honest(*given, **facts)
        return replace(risk, value=1.0 - risk.value)

    path = write(tmp_path / "made.jsonl")
    right = run_risk(settings(path))
    monkeypatch.setattr(risk_bench, "score_answer", turned)
    wrong = run_risk(settings(path))
    assert wrong["scores"][0]["auroc"] == pytest.approx(1.0 - right["scores"][0]["auroc"])
    assert wrong["attribution_gap"] > 0.1
    assert wrong["ece"]["risk"]["ece"] > right["ece"]["risk"]["ece"]


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"draws": 0}, "draw"),
        ({"committees": (1,)}, "committee"),
        ({"max_errors": (0.0,)}, "max_errors"),
        ({"audit": 2}, "audit"),
    ],
)
def test_settings_are_checked(tmp_path, facts, named):
    with pytest.raises(ConfigError, match=named):
        settings(tmp_path / "x.jsonl", **facts)


def test_a_recording_of_trained_questions_is_refused(tmp_path):
    path = write(tmp_path / "made.jsonl", 60)
    trained = [line for line in path.read_text().splitlines() if not is_held_out(json.loads(line)["question"])]
    path.write_text("\n".join(trained))
    with pytest.raises(ConfigError, match="not trained on"):
        run_risk(settings(path))


def test_the_interval_of_the_calibration_error_holds_it():
    random = np.random.default_rng(0)
    chances = random.random(3000)
    low, high = bootstrap_ece(chances, random.random(3000) < chances, groups=np.arange(3000) // 3, draws=100)
    assert 0.0 < low < high < 0.06


def test_the_command_prints_and_draws(tmp_path):
    path = write(tmp_path / "made.jsonl", 120)
    words = ["bench", "risk", "--data", str(path), "--committee", "5", "--draws", "2", "--splits", "5"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    printed = " ".join(said.stdout.split())
    assert "calibration error of the posterior" in printed
    assert "attributions add up to the score" in printed
    plot = tmp_path / "reliability.svg"
    said = CliRunner().invoke(app, [*words, "--json", "--plot", str(plot)])
    if find_spec("matplotlib") is None:
        assert said.exit_code != 0
        assert "bench" in said.output
    else:
        assert "<svg" in plot.read_text()
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["benchmark"] == "risk"
    wrong = CliRunner().invoke(app, [*words[:4], "--committee", "five"])
    assert wrong.exit_code != 0
    assert "--committee" in wrong.output


@pytest.mark.skipif(not GSM.exists(), reason="needs the recorded answers in ../shared/data/replay")
def test_on_real_answers_the_risk_beats_the_share_of_votes():
    result = run_risk(RiskSettings(data=GSM, committees=(5,), draws=3, splits=5))
    rows = {row["name"]: row for row in result["scores"]}
    assert rows["vote_share"]["risk_over_it"] > 0.0
    assert result["ece"]["risk"]["ece"] < 0.05
    assert result["acceptance"][0]["kept"] >= 4
