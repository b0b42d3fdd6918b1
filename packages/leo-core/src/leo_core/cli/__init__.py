"""The command line ``leo``. Loads what a command needs: ``leo verify`` needs neither numba nor a store."""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from leo_core.cli.app import app  # noqa: PLC0415 - typer loads when a command is run

    for stream in (sys.stdout, sys.stderr):
        # Not every terminal and pipe takes every character: an arrow that it does not know is no reason to break off.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    app()
