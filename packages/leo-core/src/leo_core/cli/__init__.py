"""The command line ``leo``. Loads what a command needs: ``leo verify`` needs neither numba nor a store."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from leo_core.cli.app import app  # noqa: PLC0415 - typer loads when a command is run

    app()
