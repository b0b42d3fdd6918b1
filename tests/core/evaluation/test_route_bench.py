"""The benchmark of routers and of the agreement cascade."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation.agreement_bench import run_agreement
from leo_core.evaluation.datasets import is_held_out
from leo_core.evaluation.route_bench import RouteSettings, run_route
from leo_core.evaluation.route_data import read_routed, split_questions
from leo_core.evaluation.route_metrics import find_cpt, find_pgr, measure_apgr, trace_pgr

DATA = Path(__file__).parents[4] / "shared" / "data"
GSM8K = DATA / "routing" / "gsm8k_mixtral_gpt4.jsonl.gz"
GSM = DATA / "replay" / "gsm.jsonl.gz"

GAINS = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30).filter(lambda gains: sum(gains) > 0)


def write(path: Path, count: int = 240) -> Path:
    """Hard questions are about trains, and only the large model is right on most of them; easy ones are about fruit."""
    random = np.random.default_rng(0)
    with path.open("w") as lines:
        for number in range(count):
            hard = number % 2 == 0
            thing = "trains meet on a long journey" if hard else "apples are in the basket"
            small = bool(random.random() < (0.2 if hard else 0.95))
            row = {
                "question": f"How many {thing}, if there are {number} and {number % 7} more?",
                "small_correct": small,
                "large_correct": bool(random.random() < 0.95),
                "small_text": f"{number} + {number % 7} = {number + number % 7 + (0 if small else 3)}",
            }
            lines.write(json.dumps(row) + "\n")
    return path


def write_recording(path: Path, questions: list[str]) -> Path:
    """Two cheap models that agree on a right answer, or disagree; the strong one errs on every eighth question."""
    with path.open("w") as lines:
        for number, question in enumerate(questions):
            said = {"cheap-a": 10, "cheap-b": 10 if number % 4 else 11, "strong": 12 if number % 8 == 1 else 10}
            answers = {
                name: {"text": f"The answer is {value}.", "final": str(value), "correct": value == 10}
                for name, value in said.items()
            }
            lines.write(json.dumps({"id": str(number), "question": question, "gold": "10", "answers": answers}) + "\n")
    return path


# ------------------------------------------------------------------------------------------------- metrics


def test_the_curve_of_a_worked_example() -> None:
    gain = np.array([1.0, 1.0, -1.0, 1.0])
    scores = np.array([4.0, 3.0, 2.0, 1.0])
    calls, recovered = trace_pgr(scores, gain)
    assert calls.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert recovered.tolist() == [0.0, 0.5, 1.0, 0.5, 1.0]
    # trapezoids of width 1/4: (0 + .5)/2, (.5 + 1)/2, (1 + .5)/2, (.5 + 1)/2 = .25 + .75 + .75 + .75
    assert measure_apgr(scores, gain) == pytest.approx(0.625)
    assert find_cpt(scores, gain, 0.5) == 0.25
    assert find_cpt(scores, gain, 0.8) == pytest.approx(0.4)
    assert find_pgr(scores, gain, 0.375) == pytest.approx(0.75)


def test_equal_scores_are_the_mean_over_their_orders() -> None:
    gain = np.array([1.0, 0.0, 0.0, 0.0])
    assert measure_apgr(np.zeros(4), gain) == pytest.approx(0.5)
    assert find_cpt(np.zeros(4), gain, 0.5) == pytest.approx(0.5)
    orders = [measure_apgr(-np.roll(np.arange(4.0), at), gain) for at in range(4)]
    assert np.mean(orders) == pytest.approx(0.5)


def test_a_weight_of_two_is_the_question_twice() -> None:
    gain, scores = np.array([1.0, 0.0, -1.0, 1.0]), np.array([0.3, 0.9, 0.1, 0.7])
    twice = np.array([1, 2, 1, 3])
    expected = measure_apgr(np.repeat(scores, twice), np.repeat(gain, twice))
    assert measure_apgr(scores, gain, twice.astype(float)) == pytest.approx(expected)


@given(GAINS, st.integers(0, 1000))
def test_no_router_beats_the_oracle_and_only_the_order_counts(gains: list[float], seed: int) -> None:
    gain = np.array(gains)
    scores = np.random.default_rng(seed).normal(size=len(gain)).round(1)
    found = measure_apgr(scores, gain)
    assert found <= measure_apgr(gain, gain) + 1e-9
    assert measure_apgr(np.exp(scores), gain) == pytest.approx(found)
    assert measure_apgr(-scores, gain) == pytest.approx(1.0 - found)
    assert find_cpt(gain, gain, 0.5) <= find_cpt(scores, gain, 0.5) + 1e-9


@given(GAINS)
def test_random_orders_lie_about_the_diagonal(gains: list[float]) -> None:
    gain = np.array(gains)
    orders = [np.random.default_rng(seed).permutation(len(gain)).astype(float) for seed in range(40)]
    both = [measure_apgr(sign * order, gain) for order in orders for sign in (1, -1)]
    assert np.mean(both) == pytest.approx(0.5)


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    with pytest.raises(ConfigError, match="no gap"):
        measure_apgr(np.arange(2.0), np.array([1.0, -1.0]))


# --------------------------------------------------------------------------------------------------- split


def test_judged_are_held_out_questions_only_and_none_is_learned_from(tmp_path: Path) -> None:
    rows = read_routed(write(tmp_path / "made.jsonl"))
    rows = (*rows, rows[0])
    for seed in range(3):
        learned, judged = split_questions(rows, rows, seed, same=True)
        asked = {rows[at].question for at in judged}
        assert all(map(is_held_out, asked))
        assert not asked & {rows[at].question for at in learned}
        assert len(learned) + len(judged) == len(rows)
        assert len(asked) == 120
    _, other = split_questions(rows, rows, 7, same=True)
    assert other.tolist() != judged.tolist()


def test_another_file_is_learned_from_but_for_what_is_judged(tmp_path: Path) -> None:
    rows = read_routed(write(tmp_path / "made.jsonl"))
    learned, judged = split_questions(rows, rows[:50], 0, same=False)
    assert {rows[at].question for at in judged} == {row.question for row in rows[:50] if is_held_out(row.question)}
    assert len(learned) == len(rows) - len(judged)
    with pytest.raises(ConfigError, match="left to learn"):
        split_questions(rows[:0], rows, 0, same=False)


@pytest.mark.parametrize(("text", "named"), [('{"question": "x"}\n', "line 1"), ("", "no questions")])
def test_other_files_are_refused(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        read_routed(path)


# ------------------------------------------------------------------------------------------------- command


def test_routers_that_learn_find_the_hard_questions(tmp_path: Path) -> None:
    path = write(tmp_path / "made.jsonl")
    result = run_route(RouteSettings(train=path, test=path, seeds=2))
    rows = {row["name"]: row for row in result["routers"]}
    assert result["routers"][-1]["name"] == "oracle"
    assert rows["leo_learned"]["apgr"] > 0.65
    assert rows["neighbours"]["apgr"] > 0.65
    assert rows["leo_learned"]["apgr"] > rows["leo_prior"]["apgr"]
    assert rows["leo_cascade"]["apgr"] <= rows["oracle"]["apgr"]
    assert rows["leo_foreseen"]["apgr"] > 0.65
    assert result["shares"][0] == 0.0
    assert result["shares"][-1] == 1.0
    assert rows["length"]["over_length"] == 0.0
    for row in rows.values():
        assert row["apgr"] == pytest.approx(np.mean(row["apgr_by_seed"]))
        assert row["apgr_interval"][0] <= row["apgr"] <= row["apgr_interval"][1]
        assert (row["pgr"][0], row["pgr"][-1]) == (0.0, pytest.approx(1.0))
        assert np.trapezoid(row["pgr"], result["shares"]) == pytest.approx(row["apgr"], abs=0.02)
        assert result["always"]["small"] <= row["accuracy"] <= row["best_accuracy"]
    again = run_route(RouteSettings(train=path, test=path, seeds=2))
    assert again == result


def test_the_command_prints_one_object(tmp_path: Path) -> None:
    path = write(tmp_path / "gsm8k.jsonl", 80)
    words = ["bench", "route", "--train", str(path), "--test", str(path), "--seeds", "1"]
    said = CliRunner().invoke(app, [*words, "--json", "--save", str(tmp_path / "kept.json")])
    assert said.exit_code == 0, said.output
    result = json.loads(said.stdout)
    assert json.loads((tmp_path / "kept.json").read_text()) == result
    assert result["benchmark"] == "route"
    assert result["published"]["note"] == "published, other training data"
    printed = CliRunner().invoke(app, words).stdout
    assert "oracle" in printed
    assert "always large" in printed


def test_without_answers_of_the_small_model_there_is_no_cascade(tmp_path: Path) -> None:
    path = write(tmp_path / "made.jsonl", 80)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"small_text": ""}) + "\n" for row in rows))
    names = {row["name"] for row in run_route(RouteSettings(train=path, test=path, seeds=1))["routers"]}
    assert not names & {"leo_cascade", "leo_foreseen"}


@pytest.mark.parametrize("words", [["--weak", "a"], ["--embedder", "none"], ["--test", "nowhere.jsonl"]])
def test_wrong_use_is_said(tmp_path: Path, words: list[str]) -> None:
    path = str(write(tmp_path / "made.jsonl", 60))
    said = CliRunner().invoke(app, ["bench", "route", "--train", path, "--test", path, *words, "--json"])
    assert said.exit_code == 2
    assert json.loads(said.stdout)["error"] == "ConfigError"


def test_others_beside_the_cascade_are_read_from_the_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "made.jsonl", 80)
    questions = [row.question for row in read_routed(path)]
    recording = write_recording(tmp_path / "recorded.jsonl", questions)
    settings = RouteSettings(train=path, test=path, seeds=1, replay=recording, weak=("cheap-a", "cheap-b"))
    assert "leo_agreement" in {row["name"] for row in run_route(settings)["routers"]}
    with pytest.raises(ConfigError, match="cheap-c"):
        run_route(RouteSettings(train=path, test=path, seeds=1, replay=recording, weak=("cheap-c",)))


def test_the_agreement_cascade_of_a_worked_example(tmp_path: Path) -> None:
    questions = [f"What is {number} + 10 - {number}?" for number in range(160)]
    path = write_recording(tmp_path / "recorded.jsonl", questions)
    held = [number for number, question in enumerate(questions) if is_held_out(question)]
    result = run_agreement(path, ("cheap-a", "cheap-b"), "strong")
    rules = {row["name"]: row for row in result["rules"]}
    assert result["questions"] == len(held)
    assert result["agreed"] == pytest.approx(np.mean([number % 4 > 0 for number in held]))
    assert result["agreed_right"] == 1.0
    assert rules["agreement cascade"]["accuracy"] == 1.0
    assert rules["strong"]["accuracy"] == pytest.approx(np.mean([number % 8 != 1 for number in held]))
    assert rules["agreement cascade"]["over_strong"] == pytest.approx(1.0 - rules["strong"]["accuracy"])
    assert rules["agreement cascade"]["cost_per_question_usd"] is None
    said = CliRunner().invoke(
        app, ["bench", "agreement", "--data", str(path), "--weak", "cheap-a,cheap-b", "--strong", "strong"]
    )
    assert "unknown" in said.stdout
    with pytest.raises(ConfigError, match="two or more"):
        run_agreement(path, ("cheap-a",), "strong")


@pytest.mark.skipif(not GSM8K.exists(), reason="needs RouteLLM's answers in ../shared/data/routing")
def test_on_real_answers_the_cascade_beats_every_router_before_the_call() -> None:
    result = run_route(RouteSettings(train=GSM8K, test=GSM8K, seeds=1))
    rows = {row["name"]: row["apgr"] for row in result["routers"]}
    assert rows["leo_cascade"] > rows["leo_learned"] > rows["random"]
    assert rows["leo_foreseen"] > rows["leo_cascade"]


@pytest.mark.skipif(not GSM.exists(), reason="needs the recorded answers in ../shared/data/replay")
def test_on_real_answers_agreement_costs_less_than_the_strong_model() -> None:
    weak = ("gemma-2-9b-it", "Meta-Llama-3.1-8B-Instruct", "gpt-4o-mini-2024-07-18")
    rules = {row["name"]: row for row in run_agreement(GSM, weak, "claude-3-5-sonnet-20241022")["rules"]}
    cascade, strong = rules["agreement cascade"], rules["claude-3-5-sonnet-20241022"]
    assert cascade["accuracy"] >= strong["accuracy"]
    assert cascade["cost_per_question_usd"] < strong["cost_per_question_usd"] / 2
