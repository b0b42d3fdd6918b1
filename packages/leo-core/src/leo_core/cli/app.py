"""The commands of ``leo``."""

from __future__ import annotations

from typing import Annotated

import typer

from leo_core._version import __version__
from leo_core.cli import ask, bench, cache, doctor, export, gaps, index, keys, log, stats, student, try_out, verify

__all__ = ["app"]

app = typer.Typer(
    name="leo",
    help="Verified, routed and cached LLM answers with receipts that a third party can check offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Verified, routed and cached LLM answers with receipts that a third party can check offline."""


app.command(name="try")(try_out.try_out)
app.command(name="doctor")(doctor.doctor)
app.command(name="ask")(ask.ask)
app.command(name="verify")(verify.verify)
app.command(name="stats")(stats.stats)
app.command(name="gaps")(gaps.gaps)
app.command(name="export")(export.export)
app.add_typer(cache.app, name="cache")
app.add_typer(log.app, name="log")
app.add_typer(index.app, name="index")
app.add_typer(keys.app, name="keys")
app.add_typer(student.app, name="student")
app.add_typer(bench.app, name="bench")
