"""The benchmark of committees: its adversaries are what they are said to be, and its figures count what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation.committees import KINDS, Kind, Recording, draw_committee, read_recording
from leo_core.evaluation.consensus_bench import (
    ConsensusSettings,
    count_majority,
    fit_one_coin,
    play_committee,
    run_consensus,
)
from leo_core.stages.consensus.config import ConsensusConfig

GSM = Path(__file__).parents[4] / "shared" / "data" / "replay" / "gsm.jsonl.gz"


def make_recording(
    count: int = 300, skills: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4), seed: int = 0
) -> Recording:
    """Right answers are class 0; wrong ones are one of three others."""
    random = np.random.default_rng(seed)
    right = random.random((count, len(skills))) < np.array(skills)
    classes = np.where(right, 0, random.integers(1, 4, size=right.shape))
    return Recording(
        name="made.jsonl", models=tuple(f"model-{each}" for each in range(len(skills))), classes=classes, right=right
    )


def draw(kind: Kind, adversaries: int = 2, seed: int = 1):
    return draw_committee(make_recording(), 5, adversaries, kind, np.random.default_rng(seed))


def test_adversaries_do_what_their_kind_says() -> None:
    alone = draw("random")
    assert not alone.right[:, :2].any()
    assert len({*alone.classes[:, 0].tolist(), *alone.classes[:, 1].tolist()}) == 2
    assert not set(alone.classes[:, :2].ravel()) & set(alone.classes[:, 2:].ravel())
    together = draw("collude")
    assert not together.right[:, :2].any()
    assert (together.classes[:, 0] == together.classes[:, 1]).all()
    for classes, right in zip(together.classes, together.right, strict=True):
        wrong = classes[2:][~right[2:]].tolist()
        assert wrong.count(classes[0]) == max((wrong.count(each) for each in wrong), default=0)
    mimic = draw("mimic")
    best = 2 + int(np.argmax(mimic.right[:, 2:].mean(axis=0)))
    assert 0.6 < (mimic.classes[:, 0] == mimic.classes[:, best]).mean() < 0.9
    sleeper = draw("sleeper")
    assert sleeper.right[:150, :2].any()
    assert not sleeper.right[150:, :2].any()


@pytest.mark.parametrize("kind", KINDS)
def test_honest_members_are_left_alone(kind: Kind) -> None:
    committee, recording = draw(kind), make_recording()
    columns = [recording.models.index(each) for each in committee.members[2:]]
    shares = recording.right[:, columns].mean(axis=0)
    np.testing.assert_allclose(committee.right[:, 2:].mean(axis=0), shares)
    assert committee.without_adversaries().members == committee.members[2:]
    np.testing.assert_array_equal(committee.without_adversaries().classes, committee.classes[:, 2:])


def test_audits_find_colluders_that_a_majority_and_the_one_coin_model_believe() -> None:
    recording = make_recording(count=1_200, skills=(0.9, 0.8, 0.7, 0.6, 0.5))
    committee = draw_committee(recording, 5, 3, "collude", np.random.default_rng(3))
    played = play_committee(committee, 0.05, np.random.default_rng(4), ConsensusConfig())
    best = committee.right.mean(axis=0).max()
    assert count_majority(committee) < best / 2
    assert fit_one_coin(committee) < best / 2
    assert played.accuracy > best - 0.05
    assert played.audited == pytest.approx(0.05 * 1_200, abs=15)


def test_without_audits_nothing_is_learned() -> None:
    committee = draw("collude", adversaries=0)
    played = play_committee(committee, 0.0, np.random.default_rng(4), ConsensusConfig())
    assert played.audited == 0
    assert played.followed == {"trust": 300}
    assert played.accuracy == pytest.approx(count_majority(committee), abs=0.05)


def write(path: Path, rows: int = 12) -> Path:
    def answer(text: str, correct: bool) -> dict[str, object]:
        return {"text": text, "final": text, "correct": correct}

    lines = [
        {"id": str(at), "question": f"What is {at} + 1?", "gold": str(at + 1), "answers": {
            "a": answer(f"The answer is {at + 1}.", True), "b": answer(f"{at + 1}", True),
            "c": answer(f"{at + 2}", False), "d": answer("", False),
        }} for at in range(rows)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def test_a_recording_is_sorted_into_classes_once(tmp_path: Path) -> None:
    found = read_recording(write(tmp_path / "r.jsonl"), limit=5)
    assert found.models == ("a", "b", "c", "d")
    assert found.classes.shape == (5, 4)
    assert (found.classes[:, 0] == found.classes[:, 1]).all()
    assert (found.classes[:, 3] == -1).all()
    assert found.right.tolist() == [[True, True, False, False]] * 5


def test_every_cell_is_played(tmp_path: Path) -> None:
    settings = ConsensusSettings(
        data=write(tmp_path / "r.jsonl"), committees=(3,), adversaries=(0, 1), kinds=("random", "collude"), draws=3
    )
    heard: list[str] = []
    result = run_consensus(settings, report=heard.append)
    assert [(cell["adversaries"], cell["kind"]) for cell in result["cells"]] == [
        (0, "none"),
        (1, "random"),
        (1, "collude"),
    ]
    for cell in result["cells"]:
        low, high = cell["leo_interval"]
        assert low <= cell["leo"] <= high
        assert cell["over_best"] == pytest.approx(cell["leo"] - cell["best_single"])
        assert ("over_clean" in cell) == bool(cell["adversaries"])
    assert len(heard) == 4


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"audit": 1.5}, "audit"),
        ({"draws": 0}, "draw"),
        ({"kinds": ("liar",)}, "liar"),
        ({"committees": (9,)}, "cannot be drawn"),
        ({"committees": (3,), "adversaries": (3,)}, "cannot be drawn"),
    ],
)
def test_what_cannot_be_played_is_refused(tmp_path: Path, settings: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        run_consensus(ConsensusSettings(data=write(tmp_path / "r.jsonl"), **settings))


def test_broken_recordings_are_refused(tmp_path: Path) -> None:
    broken = tmp_path / "b.jsonl"
    broken.write_text(json.dumps({"question": "?"}) + "\n")
    with pytest.raises(ConfigError, match="line 1"):
        read_recording(broken)
    broken.write_text("")
    with pytest.raises(ConfigError, match="no questions"):
        read_recording(broken)
    one = {"text": "1", "correct": True}
    broken.write_text(
        "".join(json.dumps({"question": "?", "answers": each}) + "\n" for each in ({"a": one}, {"b": one}))
    )
    with pytest.raises(ConfigError, match="line 2"):
        read_recording(broken)


@pytest.mark.skipif(not GSM.is_file(), reason="the recorded answers are not on this machine")
def test_two_colluders_among_seven_do_not_matter_on_real_answers() -> None:
    recording = read_recording(GSM, limit=500)
    committee = draw_committee(recording, 7, 2, "collude", np.random.default_rng(2))
    played = play_committee(committee, 0.05, np.random.default_rng(3), ConsensusConfig())
    assert played.accuracy > count_majority(committee)
    assert played.accuracy > committee.right.mean(axis=0).max() - 0.03


def test_the_figure_shows_every_cell_and_rule(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need the extra leo-core[bench]")
    plot, data = tmp_path / "cells.svg", write(tmp_path / "r.jsonl")
    words = ["bench", "consensus", "--data", str(data), "--committee", "3", "--draws", "2", "--adversaries", "0,1"]
    said = CliRunner().invoke(app, [*words, "--kind", "collude", "--plot", str(plot)])
    assert said.exit_code == 0, said.output
    drawn = plot.read_text()
    assert "<svg" in drawn
    wrong = CliRunner().invoke(app, [*words, "--plot", str(tmp_path / "cells.txt")])
    assert wrong.exit_code == 2
    assert "ending" in wrong.output
