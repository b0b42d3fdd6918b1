"""What a step of the demo shows: a table with figures, printed in the terminal and kept for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

__all__ = ["DemoError", "Section", "check", "dollars", "fail", "milliseconds", "number", "print_section"]


class DemoError(Exception):
    """What the demo claims did not happen."""


def fail(claim: str) -> NoReturn:
    """Stop the demo, because what it claims did not happen.

    Raises:
        DemoError: Always.
    """
    raise DemoError(claim)


def check(holds: object, claim: str) -> None:
    """Stop the demo unless a claim holds.

    Raises:
        DemoError: It does not.
    """
    if not holds:
        fail(claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One step.

    Attributes:
        title: What it shows.
        claim: The same in one or two sentences; checked before the section is made.
        columns: Headings.
        rows: Cells, one row after the other.
        notes: What else is worth knowing.
        bars: Parts of a whole per stretch of the stream, for the page's chart: (served, explored, other) each.
    """

    title: str
    claim: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    bars: Sequence[tuple[int, int, int]] = ()


def print_section(console: Console, place: int, section: Section) -> None:
    """Print a section as a table."""
    console.rule(Text(f"{place}  {section.title}", style="bold"), align="left", style="dim")
    console.print(Text(section.claim))
    table = Table(show_edge=False, pad_edge=False, header_style="bold cyan")
    for column in section.columns:
        table.add_column(column, overflow="fold")
    for row in section.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for note in section.notes:
        console.print(Text(note, style="dim"))
    console.print()


def number(value: float | None, digits: int = 3) -> str:
    """A figure; a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def dollars(value: float | None) -> str:
    """An amount of money."""
    return "unknown" if value is None else f"${value:.6f}"


def milliseconds(seconds: float) -> str:
    """A time."""
    return f"{seconds * 1e3:.1f} ms"
