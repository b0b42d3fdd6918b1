"""How commands speak: one JSON object on stdout with ``--json``, tables and words otherwise; errors on stderr.

Exit codes: 0 done (``verify``: valid); 1 refused or failed; 2 wrong use (a key that cannot be used; ``verify``: not a
receipt).

Lines are not wrapped, so that what is read by another program, or copied, is whole; the terminal wraps them. Tables fit
the terminal, and are as wide as they need where there is none.
"""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console, ConsoleOptions
from rich.progress import Progress
from rich.segment import Segments
from rich.table import Table

from leo_core.errors import (
    ConfigError,
    KekError,
    KekUnavailableError,
    LEOError,
    NotAReceiptError,
    ReceiptError,
    SigningKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn

__all__ = [
    "FAILED",
    "WRONG_USE",
    "AsJson",
    "err",
    "make_table",
    "name_command",
    "out",
    "print_json",
    "print_whole",
    "report_errors",
    "show_progress",
    "split_list",
    "write_json",
]

T = TypeVar("T")

FAILED = 1
WRONG_USE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]

_ANY_WIDTH = 10_000
"""Columns that a table has where nobody sees them, such as in a pipe."""


class _Console(Console):
    """A console without an end of the line where it is no terminal, and ``COLUMNS`` does not say how wide it is."""

    @property
    def options(self) -> ConsoleOptions:
        """As they are by default, but for the width."""
        from leo_core.privacy.keys.environment import find_variable  # noqa: PLC0415 - loads cryptography

        seen = super().options
        fits = self.is_terminal or find_variable("COLUMNS") is not None
        return seen if fits else seen.update(max_width=_ANY_WIDTH)


out = _Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout; in ASCII where stdout cannot hold a character of it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, default=str)
    typer.echo(text)


def make_table(*headings: str, title: str | None = None, framed: bool = True) -> Table:
    """A table whose cells are broken where they do not fit, and never cut off."""
    table = Table(title=title) if framed else Table(title=title, box=None)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def print_whole(table: Table) -> None:
    """Print a table as wide as it needs, so that what stands in it can be copied; the terminal wraps its lines."""
    out.print(Segments(out.render(table, out.options.update(max_width=_ANY_WIDTH))))


def show_progress(*columns: ProgressColumn, as_json: bool) -> Progress:
    """A bar on stderr, for somebody who looks at it: gone at the end, and not there without a terminal."""
    return Progress(*columns, console=err, transient=True, disable=as_json or not err.is_terminal)


def write_json(value: dict[str, Any], file: Path) -> None:
    """Write one JSON object into a file.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(value, ensure_ascii=False, default=str), encoding="utf-8")
    except OSError as error:
        message = f"cannot write {file}: {error}"
        raise ConfigError(message) from error


@contextmanager
def report_errors(*, as_json: bool) -> Iterator[None]:
    """Turn LEO's errors into a message and an exit code."""
    try:
        yield
    except LEOError as error:
        facts = {"error": type(error).__name__, "message": str(error)}
        if isinstance(error, ReceiptError):
            facts["check"] = error.check
        if as_json:
            print_json(facts)
        else:
            err.print(f"{facts['error']}: {error}", style="red")
        unusable = isinstance(error, SigningKeyError | KekError) and not isinstance(error, KekUnavailableError)
        wrong_use = unusable or isinstance(error, ConfigError | NotAReceiptError)
        raise typer.Exit(WRONG_USE if wrong_use else FAILED) from error


def name_command() -> str:
    """The command line as it was given, files by their names only."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["leo", *words])


def split_list(text: str, read: Callable[[str], T], option: str) -> list[T]:
    """The values of an option that takes several, separated by commas.

    Raises:
        ConfigError: One cannot be read, or there is none.
    """
    try:
        values = [read(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError:
        values = []
    if not values:
        message = f"{option} {text!r} is not a list of numbers separated by commas"
        raise ConfigError(message)
    return values
