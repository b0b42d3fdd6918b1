"""The whole replay on a small recording."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from leo_core.config import LEOConfig
from leo_core.evaluation.replay import ReplaySettings
from leo_core.evaluation.replay_prices import price_as_recorded, price_as_today
from leo_core.evaluation.replay_study import StudySettings, run_study
from leo_core.evaluation.replay_variants import list_ablations, make_cold, make_frozen

SMALL, WITNESS, LARGE = "gpt-4o-mini-2024-07-18", "gemma-2-9b-it", "claude-3-5-sonnet-20241022"
DATA = Path(__file__).resolve().parents[3].parent / "shared/data/replay"


def write_recording(path, count=12):
    """The small model is wrong on every third question, the witness on every fourth, the large one never."""
    rows = []
    for number in range(count):
        said = {SMALL: number % 3 != 0, WITNESS: number % 4 != 0, LARGE: True}
        answers = {
            model: {"text": f"The answer is {4 if right else 5}.", "final": "4" if right else "5", "correct": right}
            for model, right in said.items()
        }
        rows.append({"id": f"q{number:02}", "question": f"Case {number}: 2 + 2?", "gold": "4", "answers": answers})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    data = write_recording(tmp_path_factory.mktemp("study") / "tiny.jsonl")
    replay = ReplaySettings(data=data, small=SMALL, large=LARGE, jury=(SMALL, WITNESS, LARGE), everything=True)
    return run_study(StudySettings(replay=replay, seeds=2, audit=0.5))


def test_every_rule_has_its_row_in_each_cell(result):
    assert [cell["prices"] for cell in result["cells"]] == ["recorded", "today"]
    rows = {row["name"]: row for row in result["cells"][0]["rows"]}
    assert set(rows) == {
        "LEO",
        "LEO, audited",
        "LEO, cold start",
        "LEO, frozen",
        f"always {SMALL}",
        f"always {WITNESS}",
        f"always {LARGE}",
        *(f"{kind} {share} large" for kind in ("random", "longest") for share in ("25%", "50%", "75%")),
        f"small and {WITNESS}, large if they differ",
        "plain majority",
    }
    assert rows[f"always {SMALL}"]["accuracy"] == pytest.approx(8 / 12)
    assert rows[f"always {LARGE}"]["over_best"] == 0.0
    assert rows[f"always {LARGE}"]["cost_ratio"] == pytest.approx(1.0)
    assert rows[f"always {SMALL}"]["over_best"] == pytest.approx(-4 / 12)
    assert result["cells"][0]["best_single"] == LARGE


def test_learning_names_the_best_fixed_route_and_its_regret(result):
    cell = result["cells"][0]
    priced = {name: route["cost_and_loss_usd"] for name, route in cell["fixed_routes"].items()}
    assert set(priced) == {"small", "large", "cascade", "consensus"}
    assert cell["best_fixed"] == min(priced, key=priced.get)
    for name, run in cell["learning"].items():
        assert run["requests"][-1] == 12
        row = next(row for row in cell["rows"] if row["name"] == name)
        leo = row["cost_per_question_usd"] + result["loss_usd"] * (1 - row["accuracy"])
        assert run["regret"][-1] == pytest.approx(12 * (leo - priced[cell["best_fixed"]]))
        assert all(low <= mean <= high for mean, (low, high) in zip(run["regret"], run["regret_band"], strict=True))


def test_every_stage_with_a_switch_is_off_in_turn(result):
    names = [row["name"] for row in result["cells"][0]["ablation"]]
    assert names == ["all stages", *list_ablations(LEOConfig()), "no jury"]
    assert "ablation" not in result["cells"][1], "once is enough"


def test_each_variant_changes_the_settings():
    plain = LEOConfig()
    variants = [make_cold(plain), make_frozen(plain), *(config for config, _ in list_ablations(plain).values())]
    assert all(config != plain for config in variants)
    cold = make_cold(replace(plain, audit_rate=0.1)).route
    assert len({cold.prior_small, cold.prior_cascade, cold.prior_large, cold.prior_consensus}) == 1


def test_a_model_without_a_price_of_today_is_priced_as_its_successor_or_keeps_its_own():
    table, notes = price_as_today([SMALL, WITNESS, "gpt-5.5", "nobody"])
    found = {note["model"]: note for note in notes}
    assert found[SMALL]["note"] == "no price of today: priced as gpt-5.4-nano"
    assert table.find(SMALL) == table.find("gpt-5.4-nano")
    assert found[WITNESS]["note"] == "no price of today: the last list price"
    assert found["gpt-5.5"]["note"] == ""
    assert (found["nobody"]["input"], table.find("nobody")) == (None, None)
    recorded, _ = price_as_recorded([SMALL])
    assert recorded.find(SMALL) != table.find(SMALL)


@pytest.mark.skipif(not (DATA / "gsm.jsonl.gz").exists(), reason="the recorded answers are not here")
def test_on_recorded_answers_the_second_opinion_saves_calls_of_the_large_model():
    replay = ReplaySettings(
        data=DATA / "gsm.jsonl.gz", small=SMALL, large=LARGE, jury=(SMALL, WITNESS, LARGE), limit=60
    )
    cell = run_study(StudySettings(replay=replay, seeds=1, prices="recorded", ablation=False))["cells"][0]
    rows = {row["name"]: row for row in cell["rows"]}
    assert cell["fixed_routes"]["cascade"]["cost_per_question_usd"] < rows[f"always {LARGE}"]["cost_per_question_usd"]
    assert rows["LEO"]["accuracy"] > rows["always gemma-2-2b-it"]["accuracy"]
