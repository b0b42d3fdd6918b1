"""What ``leo bench grounding`` measures, on a handful of answers whose figures are known."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.evaluation.datasets import is_held_out
from leo_core.evaluation.grounding_bench import GroundingSettings, run_grounding
from leo_core.evaluation.grounding_data import (
    GroundedRow,
    add_distractors,
    fold_context,
    make_edits,
    read_grounded,
    split_grounded,
)

CONTEXTS = (
    "The Moselle is a river of 544 kilometres that rises in the Vosges and joins the Rhine at Koblenz.",
    "The Eiffel Tower was finished in 1889 and is open to visitors on every day of the year.",
    "Penguins huddle together in the winter to keep warm, and the ones at the edge move inwards.",
    "Amber is a fossil resin of conifers, and the largest deposits lie on the shores of the Baltic Sea.",
    "The orchestra of Leipzig was founded in 1743 and has had only few chief conductors since then.",
    "Coffee with Whiskey was first served by Sheridan, who was the head chef of a restaurant in Foynes.",
)
WRONG = "It tastes of strawberries, and my uncle bought seven of them yesterday."


def held_question(stem: str) -> str:
    return next(text for text in (f"{stem} {at}?" for at in range(99)) if is_held_out(text))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "grounding").mkdir()
    for name in ("begin_wow", "halueval_qa"):
        rows = [
            {
                "context": context,
                "question": held_question(f"Tell me of {at}"),
                "answer": context.split(",")[0] if good else WRONG,
                "model": "m",
                "grounded": good,
            }
            for at, context in enumerate(CONTEXTS)
            for good in (True, False)
        ]
        with gzip.open(folder / f"grounding/{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


def test_clear_cases_are_told_apart_and_found(data: Path) -> None:
    said: list[str] = []
    result = run_grounding(GroundingSettings(data=data), report=said.append)
    for each in result["sets"]:
        assert each["answers"] == 12
        assert each["unsupported"] == 0.5
        assert {row["name"]: row["auroc"] for row in each["scores"]}["risk"] == 1.0
    for each in result["passages"]:
        assert each["all"]["right"] == each["all"]["sentences"] == 6
        assert each["called_supported"]["sentences"] <= 6
    shares = {row["kind"]: row["share"] for row in result["edits"]}
    assert shares["kept"] < 0.2
    assert min(shares["number"], shares["name"], shares["negation"]) > 0.8
    assert len(said) == 5


def test_both_forms_of_the_command(data: Path) -> None:
    printed = CliRunner().invoke(app, ["bench", "grounding", "--data", str(data), "--limit", "4", "--distractors", "2"])
    assert printed.exit_code == 0
    assert "beside the 2 nearest" in printed.stdout
    as_json = CliRunner().invoke(app, ["bench", "grounding", "--data", str(data), "--limit", "4", "--json"])
    assert json.loads(as_json.stdout)["sets"][0]["answers"] == 4
    assert CliRunner().invoke(app, ["bench", "grounding", "--data", str(data / "no")]).exit_code == 2


def test_no_context_is_on_both_sides_of_the_split(data: Path) -> None:
    rows = read_grounded(data)
    seen = next(text for text in (f"Seen {at}?" for at in range(99)) if not is_held_out(text))
    trained = GroundedRow(
        source="begin_wow", context=CONTEXTS[0].lower(), question=seen, answer="a", model="m", grounded=True
    )
    train, held = split_grounded([*rows, trained])
    assert train == [trained]
    assert CONTEXTS[0] not in {row.context for row in held}
    assert len(held) == len(rows) - 4


def test_edits_change_one_thing() -> None:
    edits = make_edits(CONTEXTS, seed=0)
    for edit in edits:
        assert edit.grounded == (edit.claim in edit.context) == (edit.kind in {"kept", "cut"})
    changed = [(edit.claim.split(), edit.context.split()) for edit in edits if edit.kind in {"number", "opposite"}]
    assert changed
    for claim, context in changed:
        assert sum(one != other for one, other in zip(claim, context, strict=True)) == 1
    assert all(" not " in edit.claim for edit in edits if edit.kind == "negation")


def test_the_nearest_other_contexts_stand_beside_the_true_one() -> None:
    contexts = sorted(CONTEXTS)
    vectors = np.eye(len(contexts), dtype=np.float32)
    vectors[0, 1] = 0.9
    row = GroundedRow(
        source="begin_wow", context=contexts[0].upper(), question="q", answer="a", model="m", grounded=True
    )
    ((same, others),) = add_distractors([row], vectors, contexts, 2)
    assert same is row
    assert others[0] == contexts[1]
    assert fold_context(row.context) not in {fold_context(other) for other in others}
