"""``leo export``: verified questions and answers, for fine-tuning."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from leo_core.cli.gaps import open_readable
from leo_core.cli.output import AsJson, out, print_json, report_errors, show_progress
from leo_core.errors import ConfigError

__all__ = ["export"]

_PROVENANCE = ".provenance.jsonl"


class Format(StrEnum):
    """Formats of chat data."""

    OPENAI = "openai"
    HF = "hf"


class Personal(StrEnum):
    """What becomes of personal data."""

    DROP = "drop"
    REDACT = "redact"
    KEEP = "keep"


def export(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file).")],
    file: Annotated[Path, typer.Argument(metavar="OUT", help="File to write (JSON lines, mode 0600).")],
    form: Annotated[Format, typer.Option("--format", help="OpenAI's chat format, or Hugging Face's.")] = Format.OPENAI,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    min_trust: Annotated[
        float | None,
        typer.Option(help="Also answers that nobody judged, of members trusted at least so much.", min=0.0, max=1.0),
    ] = None,
    personal: Annotated[Personal, typer.Option(help="What becomes of personal data and secrets.")] = Personal.DROP,
    near: Annotated[
        float, typer.Option(help="Cosine from which questions with one answer are the same.", min=0.0, max=1.0)
    ] = 0.95,
    seal_key: Annotated[
        Path | None, typer.Option(help="File of the key that entries are sealed with; by default beside the store.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write questions with answers that were audited right, or confirmed; says what was left out, and why."""
    with report_errors(as_json=as_json), open_readable(store, seal_key, required=True) as kept:
        from leo_core.config import LEOConfig  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.engine.verified_pairs import (  # noqa: PLC0415 - as above
            ExportTerms,
            export_pairs,
            write_hugging_face,
            write_openai,
        )

        terms = ExportTerms(min_trust=min_trust, personal=personal.value, near=near)
        tenants = kept.tenants() if tenant is None else (tenant,)
        with show_progress(as_json=as_json) as progress:
            task = progress.add_task("exporting", total=sum(kept.count_entries(name) for name in tenants))
            found = export_pairs(
                kept, tenants, terms, LEOConfig(), progress=lambda seen: progress.update(task, completed=seen)
            )
        files = [file]
        if form is Format.OPENAI:
            lines, sources = write_openai(found.pairs)
            files.append(file.with_name(file.name + _PROVENANCE))
            _write(files[1], sources)
        else:
            lines = write_hugging_face(found.pairs)
        _write(file, lines)
        summary = {"pairs": len(found.pairs), "redacted": found.redacted, "dropped": dict(found.dropped)}
        if as_json:
            print_json(summary | {"files": [str(each) for each in files]})
            return
        out.print(f"{len(found.pairs)} pairs in {file}")
        if found.redacted:
            out.print(f"{found.redacted} of them blacked out in part")
        for why, count in found.dropped.most_common():
            out.print(f"left out: {count} ({why})")


def _write(file: Path, lines: bytes) -> None:
    from leo_core.storage.whole_file import replace_file  # noqa: PLC0415 - a command loads what it needs

    try:
        with replace_file(file) as stream:
            stream.write(lines)
    except OSError as error:
        message = f"cannot write {file}: {error.strerror}"
        raise ConfigError(message) from error
