"""``leo bench cache``: the semantic cache on a stream of requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors, split_list

__all__ = ["cache"]


def cache(
    stream: Annotated[Path | None, typer.Option(help="Requests: text, intent (JSON Lines, gzipped or not).")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Question pairs: a, b, same; their components are intents.")
    ] = None,
    max_wrong_hits: Annotated[str, typer.Option(help="The promise; several are separated by commas.")] = "0.01",
    embedder: Annotated[str, typer.Option(help="Name of the embedder; minilm where it is installed.")] = "default",
    seeds: Annotated[int, typer.Option(help="Orders of the stream.")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    requests: Annotated[int, typer.Option(help="Most requests of an order.")] = 12_000,
    baselines: Annotated[bool, typer.Option(help="Thresholds and a per-entry policy beside LEO.")] = True,
    drift: Annotated[
        bool, typer.Option("--drift", help="Change the right answer to everything after half of the requests.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the learning curves into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hits and wrong hits on a stream in random order, beside thresholds and a policy that learns each entry alone."""
    with report_errors(as_json=as_json):
        from leo_core.errors import ConfigError  # noqa: PLC0415 - beside the import that is heavy
        from leo_core.evaluation.cache_bench import CacheSettings, run_cache  # noqa: PLC0415 - loads numpy
        from leo_core.evaluation.figures import draw_learning_curves  # noqa: PLC0415 - beside the import that is heavy

        data = stream or pairs
        if data is None or (stream and pairs):
            message = "give either --stream or --pairs"
            raise ConfigError(message)
        settings = CacheSettings(
            data=data,
            pairs=pairs is not None,
            deltas=tuple(split_list(max_wrong_hits, float, "--max-wrong-hits")),
            embedder=embedder,
            seeds=seeds,
            first_seed=first_seed,
            requests=requests,
            baselines=baselines,
            drift=drift,
        )
        result = run_cache(settings, report=lambda what: err.print(what, style="dim"))
        if plot is not None:
            draw_learning_curves(result, plot)
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    for promise in result["promises"]:
        delta = promise["max_wrong_hits"]
        table = Table("policy", "hits", "95 % interval", "wrong hits", "most", "seeds kept", "right per hit")
        for row in promise["policies"]:
            low, high = row["hit_rate_interval"]
            precision = row["precision"]
            table.add_row(
                row["policy"],
                f"{row['hit_rate']:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{row['wrong_rate']:.4f}",
                f"{row['wrong_rate_most']:.4f}",
                f"{row['kept']:.0%}",
                "" if precision is None else f"{precision:.4f}",
            )
        out.print(f"max_wrong_hits = {delta:g}")
        out.print(table)
        out.print(
            f"explored {promise['explored_rate']:.3f}; wrong hits not ruled out {promise['bound_rate']:.4f}; "
            f"broken at any time in {promise['broken_at_any_time']:.0%} of the seeds; one decision, CPU time: "
            f"p50 {promise['decision_ms_p50']:.2f} ms, p99 {promise['decision_ms_p99']:.2f} ms"
        )
    out.print(
        f"{result['data']}: {result['requests']} requests, {result['intents']} intents, {result['seeds']} seeds, "
        f"{result['embedder']}; the most that any cache could serve: {result['most_hits']:.3f}"
    )
