"""The replay benchmark on a small recording whose outcome can be counted by hand."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace

import pytest

from leo_core.config import LEOConfig
from leo_core.engine.leo import LEO
from leo_core.errors import ConfigError, MissingExtraError
from leo_core.evaluation.datasets import is_held_out, read_questions
from leo_core.evaluation.figures import check_figure, draw_cost_against_accuracy
from leo_core.evaluation.replay import ReplaySettings, make_defaults, run_replay
from leo_core.records import Route

MODELS = ("gpt-4o-mini-2024-07-18", "gpt-4o-2024-08-06", "claude-3-haiku-20240307")


def row(number, right):
    """A question that the models named in ``right`` answer with 4, the others with 5."""
    answers = {
        model: {
            "text": json.dumps({"reasoning": "2 + 2", "answer": "4" if model in right else "5"}),
            "final": "4" if model in right else "5",
            "correct": model in right,
        }
        for model in MODELS
    }
    return {"id": f"q{number}", "question": f"Question {number}: what is 2 + 2?", "gold": "4", "answers": answers}


@pytest.fixture
def recording(tmp_path):
    rows = [row(number, MODELS[: 1 + number % 3]) for number in range(30)]
    path = tmp_path / "tiny.jsonl.gz"
    with gzip.open(path, "wt") as lines:
        lines.writelines(json.dumps(item) + "\n" for item in rows)
    return path


def replay(path, **settings):
    return run_replay(
        ReplaySettings(data=path, **{"small": MODELS[0], "large": MODELS[1], "everything": True, **settings})
    )


def test_the_baselines_are_what_counting_gives(recording):
    result = replay(recording, jury=MODELS)
    accuracy = {rule["name"]: rule["accuracy"] for rule in result["baselines"]}
    assert accuracy == {
        "always small": 1.0,
        "always large": pytest.approx(20 / 30),
        "best single": 1.0,
        "plain majority": pytest.approx(20 / 30),
    }
    assert result["questions"] == 30


def test_a_forced_route_reproduces_the_baseline_and_every_receipt_verifies(recording):
    result = replay(recording, route=Route.LARGE)
    assert result["accuracy"] == pytest.approx(20 / 30)
    assert result["route_shares"] == {"large": 1.0}
    assert result["calls_per_model"] == {"replay:gpt-4o-2024-08-06": 30}
    assert result["receipts_verified"] == 30
    large = next(rule for rule in result["baselines"] if rule["name"] == "always large")
    assert result["cost_per_question_usd"] == pytest.approx(large["cost_per_question_usd"])


def test_a_majority_by_leo_agrees_with_the_plain_one_where_all_are_equally_trusted(recording):
    result = replay(recording, small=None, large=None, jury=MODELS, route=Route.CONSENSUS)
    assert result["calls_per_question"] == 3
    assert result["accuracy"] >= 20 / 30


def test_the_seed_repeats_a_run_and_another_one_changes_the_order(recording):
    def timeless(result):
        return {key: value for key, value in result.items() if not key.startswith("own_ms")}

    assert timeless(replay(recording, seed=7)) == timeless(replay(recording, seed=7))
    audited = replace(make_defaults(), audit_rate=0.5)
    settings = ReplaySettings(data=recording, small=MODELS[0], large=MODELS[1], jury=MODELS, everything=True, seed=9)
    runs = [timeless(run_replay(settings, config=audited)) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2], "which answers are audited is part of what the seed repeats"
    few = {seed: replay(recording, seed=seed, limit=10, route=Route.LARGE)["accuracy"] for seed in range(8)}
    assert len(set(few.values())) > 1, "the first ten questions are others in another order"


def test_turning_every_grade_round_changes_the_grades_and_nothing_else(recording, tmp_path):
    with gzip.open(recording, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    for item in rows:
        item["gold"] = "5"
        for answer in item["answers"].values():
            answer["correct"] = not answer["correct"]
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(json.dumps(item) + "\n" for item in rows))
    engine = replace(make_defaults(), audit_rate=0.5)  # waiting is free: it would steer routes
    settings = {"small": MODELS[0], "large": MODELS[1], "jury": MODELS, "everything": True, "seed": 9}
    plain, other = (run_replay(ReplaySettings(data=path, **settings), config=engine) for path in (recording, turned))
    for figure in ("calls_per_model", "route_shares", "cost_per_question_usd", "receipts_verified", "failures"):
        assert plain[figure] == other[figure]
    assert plain["accuracy"] == pytest.approx(1.0 - other["accuracy"])


def test_gold_and_correct_never_reach_the_engine(recording, monkeypatch):
    seen = []
    ask = LEO.ask

    def spy(self, prompt, **settings):
        seen.append((prompt, settings))
        return ask(self, prompt, **settings)

    monkeypatch.setattr(LEO, "ask", spy)
    replay(recording, limit=5)
    assert len(seen) == 5
    assert all(set(settings) == {"route"} and isinstance(prompt, str) for prompt, settings in seen)


def test_questions_that_trained_the_priors_are_left_out_by_default(recording):
    held_out = [question for question in read_questions(recording) if is_held_out(question.question)]
    result = replay(recording, everything=False)
    assert result["questions"] == len(held_out) < 30
    assert result["held_out_only"]


def test_progress_is_reported(recording):
    seen = []
    run_replay(
        ReplaySettings(data=recording, small=MODELS[0], large=None, everything=True, limit=3),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no questions"),
        ("not json\n", "line 1"),
        ("[" * 100_000 + "\n", "line 1"),
        ("[]\n", "not a JSON object"),
        ('{"id": 1}\n', "lacks id, question or answers"),
        (b"\xfc\xff", "cannot be read as text"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(tmp_path, content, said):
    path = tmp_path / "other.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=said):
        replay(path)


@pytest.mark.parametrize("content", [b"plain", gzip.compress(b"{}\n" * 999, mtime=0)[:-9], b"\x1f\x8b\x08" + bytes(40)])
def test_a_file_that_is_not_gzipped_or_was_cut_is_refused(tmp_path, content):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read as gzipped text|lacks id"):
        replay(path)


def test_missing_files_and_models_are_refused(tmp_path, recording):
    with pytest.raises(ConfigError, match="there is no file"):
        replay(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="no recorded answers of gpt-9; there are"):
        replay(recording, large="gpt-9")
    with pytest.raises(ConfigError, match="name at least one model"):
        replay(recording, small=None, large=None)
    for limit in (0, -1):
        with pytest.raises(ConfigError, match="at least 1"):
            replay(recording, limit=limit)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_figure_is_drawn_from_the_result(recording, tmp_path, suffix):
    result = replay(recording, jury=MODELS)
    result["baselines"][0]["cost_per_question_usd"] = None
    path = tmp_path / f"plot.{suffix}"
    draw_cost_against_accuracy(result, path)
    content = path.read_bytes()
    assert len(content) > 5000
    if suffix == "svg":
        assert b"plain majority" in content or b"<path" in content


def test_a_figure_that_cannot_be_written_is_refused_beforehand(tmp_path):
    check_figure(tmp_path / "plot.SVG")
    with pytest.raises(ConfigError, match=r"its ending must be one of .*png"):
        check_figure(tmp_path / "plot.xyz")
    with pytest.raises(ConfigError, match="there is no folder"):
        check_figure(tmp_path / "nowhere" / "plot.png")


def test_what_goes_wrong_in_a_replay_is_counted_or_said(recording, monkeypatch):
    from leo_core.errors import ProviderUnavailableError
    from leo_core.stages.receipt.config import ReceiptConfig

    def fail(self, prompt, **settings):
        raise ProviderUnavailableError("out", provider="replay", model="m")

    with pytest.raises(ConfigError, match="there are"):
        replay(recording, small="nobody")
    config = LEOConfig(receipts=ReceiptConfig(enabled=False))
    settings = ReplaySettings(data=recording, small=MODELS[0], large=None, everything=True, limit=3)
    assert run_replay(settings, config=config)["receipts_verified"] == 0
    monkeypatch.setattr(LEO, "ask", fail)
    failed = replay(recording, limit=3)
    assert (failed["failures"], failed["accuracy"], failed["receipts_verified"]) == (3, 0.0, 0)


def test_drawing_without_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"leo-core\[bench\]"):
        draw_cost_against_accuracy({}, tmp_path / "plot.svg")
