"""How commands speak: one JSON object on stdout with ``--json``, tables and words otherwise; errors on stderr.

Exit codes: 0 done (``verify``: valid); 1 refused or failed; 2 wrong use (a key that cannot be used; ``verify``: not a
receipt).
"""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

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

__all__ = [
    "FAILED",
    "WRONG_USE",
    "AsJson",
    "err",
    "name_command",
    "out",
    "print_json",
    "report_errors",
    "split_list",
    "write_json",
]

T = TypeVar("T")

FAILED = 1
WRONG_USE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


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
