"""``leo bench grounding``: does each sentence stand in its sources?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors

__all__ = ["grounding"]

_NAMES = {"risk": "risk", "overlap": "lexical overlap (token precision)", "length": "length of the answer"}
_SETS = {"begin_wow": "BEGIN WoW", "halueval_qa": "HaluEval QA"}
_EDITS = {
    "kept": "sentence of the context",
    "cut": "first part of one",
    "number": "number changed",
    "name": "name changed",
    "negation": "denied",
    "opposite": "word opposed",
}


def grounding(
    data: Annotated[Path, typer.Option(help="Folder of the recorded sets; holds grounding/*.jsonl.gz.")],
    distractors: Annotated[int, typer.Option(help="Other contexts beside the true one.", min=1)] = 4,
    seed: Annotated[int, typer.Option(help="Of the edits.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Most answers of each set.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Support of answers by their contexts on held-out contexts, beside lexical overlap and length."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.grounding_bench import GroundingSettings, run_grounding  # noqa: PLC0415 - loads numba

        settings = GroundingSettings(data=data, distractors=distractors, seed=seed, limit=limit)
        result = run_grounding(settings, report=lambda what: err.print(what, style="dim"))
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("set", "score", "AUROC", "95 % interval", "risk over it", "95 % interval")
    for each in result["sets"]:
        for row in each["scores"]:
            more = ["", ""]
            if "risk_over_it" in row:
                more = [f"{row['risk_over_it']:+.3f}", _interval(row["risk_over_it_interval"], "+.3f")]
            name = _NAMES[row["name"]]
            table.add_row(_SETS[each["set"]], name, f"{row['auroc']:.3f}", _interval(row["interval"], ".3f"), *more)
    out.print(table)
    for each in result["sets"]:
        out.print(
            f"{_SETS[each['set']]}: {each['answers']:,} held-out answers, {each['unsupported']:.1%} unsupported; "
            f"calibration error {each['ece']:.3f} {_interval(each['ece_interval'], '.3f')}"
        )
    out.print(f"Best passage in the true context, beside the {result['distractors']} nearest other contexts:")
    for each in result["passages"]:
        for kind, name in (("all", "sentences of supported answers"), ("called_supported", "those called supported")):
            row = each[kind]
            out.print(
                f"  {_SETS[each['set']]}, {name}: {row['right']} of {row['sentences']}, {row['share']:.1%} "
                f"{_interval(row['interval'], '.1%')}"
            )
    table = Table("claim", "claims", "called unsupported", "95 % interval")
    for row in result["edits"]:
        share = f"{row['share']:.1%}"
        table.add_row(_EDITS[row["kind"]], str(row["claims"]), share, _interval(row["interval"], ".1%"))
    out.print(table)
    times = result["milliseconds"]
    out.print(f"one answer: p50 {times['p50']:.2f} ms, p95 {times['p95']:.2f} ms; seed {result['seed']}")
    out.print("Held out: neither question nor context in training. Intervals: bootstrap over contexts; shares: Wilson")


def _interval(ends: tuple[float, float], form: str) -> str:
    return f"{ends[0]:{form}} to {ends[1]:{form}}"
