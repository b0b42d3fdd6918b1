"""``leo bench student``: the learning curve of a student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors, split_list

__all__ = ["student"]


def student(
    data: Annotated[Path, typer.Option(help="Requests: text, intent (JSON Lines, gzipped or not).")],
    sizes: Annotated[str, typer.Option(help="Numbers of verified pairs, separated by commas.")] = (
        "100,300,1000,3000,6000"
    ),
    seeds: Annotated[int, typer.Option(help="Orders in which the requests are taught.", min=1)] = 3,
    first_seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    teacher_accuracy: Annotated[
        float, typer.Option(help="Share of the teacher's labels that are right.", max=1.0)
    ] = 1.0,
    teacher_cost_usd: Annotated[float, typer.Option(help="Cost of the teacher's answer.", min=0.0)] = 0.01,
    loss_usd: Annotated[float, typer.Option(help="Loss of a wrong answer.", min=0.0)] = 0.05,
    least_examples: Annotated[int, typer.Option(help="Examples that an answer needs.", min=2)] = 3,
    least_probability: Annotated[float, typer.Option(help="P(right) below which it abstains.", min=0.0, max=1.0)] = 0.8,
    embedder: Annotated[str, typer.Option(help="Name of the embedder.")] = "default",
    as_json: AsJson = False,
) -> None:
    """A student by number of verified pairs, on held-out requests, beside simple rules. The teacher is the label."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.student_bench import StudentSettings, run_student  # noqa: PLC0415 - loads numpy
        from leo_core.stages.student.config import StudentConfig  # noqa: PLC0415 - beside the import that is heavy

        settings = StudentSettings(
            data=data,
            sizes=tuple(split_list(sizes, int, "--sizes")),
            seeds=seeds,
            first_seed=first_seed,
            teacher_accuracy=teacher_accuracy,
            teacher_cost_usd=teacher_cost_usd,
            loss_usd=loss_usd,
            embedder=embedder,
            student=StudentConfig(least_examples=least_examples, least_probability=least_probability),
        )
        result = run_student(settings, report=lambda what: err.print(what, style="dim"))
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    table = Table("pairs", "majority", "nearest", "linear", "both", "95 % interval", title="always answering")
    for row in result["curve"]:
        rules = row["accuracy"]
        shares = (_percent(rules[name]["share"]) for name in ("majority", "neighbours", "linear", "both"))
        table.add_row(f"{row['pairs']:,}", *shares, _span(rules["both"]["interval"]))
    out.print(table)
    table = Table("pairs", "answered", "right", "95 % interval", "gain", "95 % interval")
    table.title = "the student, which abstains"
    for row in result["curve"]:
        low, high = row["gain_interval"]
        table.add_row(
            f"{row['pairs']:,}",
            _percent(row["coverage"]["share"]),
            _percent(row["answered_accuracy"]["share"]),
            _span(row["answered_accuracy"]["interval"]),
            f"{row['gain']:+.3f}",
            f"{low:+.3f} to {high:+.3f}",
        )
    out.print(table)
    last = result["curve"][-1]
    out.print(
        f"{result['data']}: {result['intents']} intents, {result['held_out']:,} requests held out, "
        f"{result['seeds']} seeds; the teacher is the label, right {result['teacher_accuracy']:.0%}, "
        f"${result['teacher_cost_usd']:g} an answer; loss ${result['loss_usd']:g}; abstains below P(right) "
        f"{result['least_probability']:g}"
    )
    out.print(
        f"at {last['pairs']:,} pairs P(right) of what is answered is {_percent(last['mean_probability'])} on average, "
        f"its calibration error over all requests {last['calibration_error']:.3f}; utility {last['utility']:.4f}, the "
        f"teacher's {last['teacher_utility']:.4f}"
    )


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _span(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.1%} to {ends[1]:.1%}"
