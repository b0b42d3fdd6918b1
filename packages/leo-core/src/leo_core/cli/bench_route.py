"""``leo bench route``: routers before the call, and cascades."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, name_command, out, print_json, report_errors, write_json

__all__ = ["agreement", "route"]


def route(
    train: Annotated[Path, typer.Option(help="Questions to learn from (JSON Lines, gzipped or not).")],
    test: Annotated[Path, typer.Option(help="Questions to judge; the same file is split by question.")],
    seeds: Annotated[int, typer.Option(help="Random splits.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="The first split.")] = 0,
    embedder: Annotated[str, typer.Option(help="static, hashed or minilm.")] = "static",
    replay: Annotated[Path | None, typer.Option(help="Recorded answers of other models to such questions.")] = None,
    weak: Annotated[str, typer.Option(help="Cheap models of these, separated by commas.")] = "",
    save: Annotated[Path | None, typer.Option(help="Also write the result into this file, as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Which questions need the large model? Routers before the call and cascades, beside simple rules."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.route_bench import RouteSettings, run_route  # noqa: PLC0415 - loads numpy

        settings = RouteSettings(
            train=train,
            test=test,
            seeds=seeds,
            first_seed=seed,
            embedder=embedder,
            replay=replay,
            weak=_split_names(weak),
        )
        result = run_route(settings, report=lambda what: err.print(what, style="dim")) | {"command": name_command()}
        if save is not None:
            write_json(result, save)
        if as_json:
            print_json(result)
        else:
            _print(result)


def agreement(
    data: Annotated[Path, typer.Option(help="Recorded answers (JSON Lines, gzipped or not).")],
    weak: Annotated[str, typer.Option(help="Cheap models, separated by commas; all are asked.")],
    strong: Annotated[str, typer.Option(help="The model that is asked where they disagree.")],
    limit: Annotated[int | None, typer.Option(help="Most questions.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Cheap models first, the strong one where they disagree: accuracy and cost on recorded answers."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.agreement_bench import run_agreement  # noqa: PLC0415 - loads numpy

        result = run_agreement(data, _split_names(weak), strong, limit=limit)
        if as_json:
            print_json(result)
        else:
            _print_agreement(result)


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _print(result: dict[str, Any]) -> None:
    from leo_core.evaluation.router_names import ROUTER_NAMES  # noqa: PLC0415 - as above

    table = Table("router", "APGR", "95 % interval", "CPT(50%)", "95 % interval", "CPT(80%)", "accuracy", "best")
    for row in result["routers"]:
        table.add_row(
            ROUTER_NAMES[row["name"]],
            f"{row['apgr']:.3f}",
            _interval(row["apgr_interval"], ".3f"),
            f"{row['cpt50']:.1%}",
            _interval(row["cpt50_interval"], ".1%"),
            f"{row['cpt80']:.1%}",
            f"{row['accuracy']:.3f}",
            f"{row['best_accuracy']:.3f}",
        )
    published = result["published"]
    if published is not None:
        figures = (f"{published['apgr']:.3f}", "", f"{published['cpt50']:.1%}")
        table.add_row(f"{published['name']} ({published['note']})", *figures, "", "", "", "")
    out.print(table)
    by_name = {row["name"]: row for row in result["routers"]}
    learned = by_name["leo_learned"]
    out.print(
        f"LEO with outcomes over length: APGR {learned['over_length']:+.3f} "
        f"({_interval(learned['over_length_interval'], '+.3f')}, paired)"
    )
    always = result["always"]
    out.print(
        f"always small {always['small']:.3f}, always large {always['large']:.3f}; accuracy: with half of the questions "
        f"sent to the large model, best: with any share"
    )
    out.print(
        f"{result['test']}: {result['learned_from']:,} rows to learn from, {result['judged']:,} judged, "
        f"{result['seeds']} splits by question from seed {result['first_seed']}, embedder {result['embedder']}. "
        "Intervals: bootstrap over questions"
    )
    if result["weak"]:
        out.print(f"others beside the cascade: {', '.join(result['weak'])}")


def _print_agreement(result: dict[str, Any]) -> None:
    table = Table("rule", "accuracy", "95 % interval", "over the strong model", "US$ per question")
    for row in result["rules"]:
        cost = row["cost_per_question_usd"]
        table.add_row(
            row["name"],
            f"{row['accuracy']:.4f}",
            _interval(row["accuracy_interval"], ".4f"),
            f"{row['over_strong']:+.4f} ({_interval(row['over_strong_interval'], '+.4f')})",
            "unknown" if cost is None else f"{cost:.6f}",
        )
    out.print(table)
    prices = "; ".join(
        f"{row['model']} {row['input']:g}/{row['output']:g} ({row['as_of']})" for row in result["prices"]
    )
    share = f"{result['agreed']:.1%} of the questions are answered by agreement"
    if result["agreed_right"] is not None:
        share += (
            f", {result['agreed_right']:.1%} of these rightly; the strong model: {result['agreed_strong_right']:.1%}"
        )
    out.print(share)
    out.print(f"prices per million tokens, input/output: {prices}")
    out.print(
        f"{result['data']}: {result['questions']:,} held-out questions. Intervals: paired bootstrap over questions"
    )


def _interval(ends: list[float], form: str) -> str:
    return f"{ends[0]:{form}} to {ends[1]:{form}}"
