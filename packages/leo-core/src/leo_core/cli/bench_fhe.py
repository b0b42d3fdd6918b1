"""``leo bench fhe``: what search under encryption costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, err, out, print_json, report_errors, split_list

__all__ = ["fhe"]

PAIRS = Path("paraphrase/qqp_pairs.jsonl.gz")


def fhe(
    n: Annotated[str, typer.Option("--n", help="Entries in the index, separated by commas.")] = "1000,10000,100000",
    dim: Annotated[int, typer.Option(help="Coordinates of a vector.", min=1, max=4096)] = 256,
    mode: Annotated[str, typer.Option(help="query_private, fully_encrypted or both.")] = "both",
    queries: Annotated[int, typer.Option(help="Paraphrases asked at every size.", min=1)] = 1_000,
    data: Annotated[Path, typer.Option(help="Folder with paraphrase/qqp_pairs.jsonl.gz, or a file of pairs.")] = Path(
        "../shared/data"
    ),
    preset: Annotated[str, typer.Option(help="Parameters: score128 or score192.")] = "score128",
    seed: Annotated[int, typer.Option(help="Of everything drawn but keys and noise.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search under encryption beside a plain scan, TenSEAL's own products, and a sealed index that the client holds."""
    with report_errors(as_json=as_json):
        from leo_core.evaluation.fhe_bench import MODES, run_fhe  # noqa: PLC0415 - loads numpy

        result = run_fhe(
            pairs=data / PAIRS if data.is_dir() else data,
            sizes=split_list(n, int, "--n"),
            dim=dim,
            modes=MODES if mode == "both" else (mode,),
            queries=queries,
            preset=preset,
            seed=seed,
            report=lambda what: err.print(what, style="dim"),
        )
        if as_json:
            print_json(result)
        else:
            _print(result)


def _print(result: dict[str, Any]) -> None:
    served = Table("entries", "mode", "server, ms", "scan, ms", "ratio", "naive, s", "naive by server")
    moved = Table("entries", "mode", "encrypt, ms", "up, KB", "down, KB", "decrypt, ms", "keys, MB", "RAM, MB")
    found = Table("entries", "mode", "max error", "top-1", "blocks up, MB", "encrypt, s", "load, s")
    local = Table("entries", "sealed index, sync, MB", "open, ms", "search, ms", "max error", "top-1")
    asked = result["queries"]
    for size in result["sizes"]:
        entries = f"{size['entries']:,}"
        for row in size["modes"]:
            name = (entries, row["mode"])
            speed = (f"{row['server_ms']:.1f}", f"{size['scan_ms']:.3f}", f"{row['by_scan']:.1f}")
            served.add_row(*name, *speed, f"{size['naive_s']:,.0f}", f"{row['naive_by_server']:,.0f}")
            bytes_up, bytes_down = size["up_bytes"] / 1e3, row["down_bytes"] / 1e3
            travel = (f"{size['encrypt_ms']:.1f}", f"{bytes_up:.1f}", f"{bytes_down:.1f}", f"{row['decrypt_ms']:.1f}")
            moved.add_row(*name, *travel, f"{size['keys_bytes'] / 1e6:.1f}", f"{row['memory_bytes'] / 1e6:.0f}")
            blocks = (f"{row['block_upload_bytes'] / 1e6:.1f}", f"{row['block_encrypt_s']:.1f}")
            agreed = (f"{row['max_error']:.1e}", f"{row['top1']:,} of {asked:,}")
            found.add_row(*name, *agreed, *blocks, f"{row['block_load_s']:.1f}")
        sealed = size["sealed_local"]
        times = (f"{sealed['sync_bytes'] / 1e6:.2f}", f"{sealed['open_ms']:.1f}", f"{sealed['search_ms']:.2f}")
        local.add_row(entries, *times, f"{sealed['max_error']:.1e}", f"{sealed['top1']:,} of {asked:,}")
    for table in (served, moved, found, local):
        out.print(table)
    dots = result["sizes"][0]["naive_dots"]
    out.print(f"naive: TenSEAL's dot per entry, extrapolated from {dots} products in the same run; {result['clock']}")
    out.print(
        f"{result['preset']}: primes of {result['prime_bits']} bits, {result['classical_bits']}-bit security "
        f"({result['quantum_bits']} quantum); {result['data']}: {result['real_entries']:,} real entries, "
        f"dim {result['dim']}; {result['machine']}, {result['cores']} cores; seed {result['seed']}",
    )
