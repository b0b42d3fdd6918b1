"""``leo doctor``: what is installed, what works, and what to do about what does not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from leo_core.cli.doctor_checks import Finding, check_all
from leo_core.cli.output import FAILED, AsJson, out, print_json

__all__ = ["doctor"]

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "failed": ("FAILED", "red")}


def doctor(
    store: Annotated[Path | None, typer.Option(help="Also see whether this store opens, and can be written.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the installation, offline: versions, extras, keys (names only), tables, kernels, a store, a whole answer.

    Exits with 1 when a check failed, and says what to do about it. What is merely not installed or not set is a note.
    """
    findings = check_all(store)
    failed = [finding.name for finding in findings if finding.state == "failed"]
    if as_json:
        print_json({"ok": not failed, "failed": failed, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print(finding)
    if failed:
        raise typer.Exit(FAILED)


def _print(finding: Finding) -> None:
    word, style = _MARKS[finding.state]
    out.print(f"{word:<7}", style=style, end="")
    out.print(f"{finding.name:<22}{finding.found}", soft_wrap=True)
    if finding.fix:
        out.print(f"{'':<7}{'':<22}→ {finding.fix}", soft_wrap=True)
