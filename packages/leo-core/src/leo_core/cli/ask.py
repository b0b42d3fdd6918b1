"""``leo ask``: one question, streamed, with its route, cost and receipt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.adapting.corrections import WITHDRAWN
from leo_core.cli.output import AsJson, err, out, print_json, report_errors
from leo_core.cli.stores import find_keyrings, write_text
from leo_core.errors import RequestError

if TYPE_CHECKING:
    from leo_core.engine.leo import LEO
    from leo_core.records import Answer

__all__ = ["ask"]


def ask(
    question: Annotated[str, typer.Argument(help="The question; '-' reads it from stdin.")],
    small: Annotated[
        str | None, typer.Option(help="Member asked where that is enough, like openai:gpt-5-mini.")
    ] = None,
    large: Annotated[str | None, typer.Option(help="Member asked where the small one is not enough.")] = None,
    jury: Annotated[str | None, typer.Option(help="Members asked for a verdict, separated by commas.")] = None,
    store: Annotated[str, typer.Option(help="Store: a path, or ':memory:'.")] = ":memory:",
    privacy: Annotated[
        str | None, typer.Option(help="sealed_local: whoever has the store learns nothing. Kept up where its keys are.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose request it is.")] = "default",
    route: Annotated[str | None, typer.Option(help="Force a route: small, large, cascade, consensus.")] = None,
    max_error: Annotated[float | None, typer.Option(help="Largest acceptable P(wrong), 0 to 1.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="Most that may be spent.")] = None,
    stream_policy: Annotated[
        str | None, typer.Option(help="What is shown before the verdict: verified, optimistic or cascade.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show every compared figure.")] = False,
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a question by the cheapest route that can be trusted. Without a member, the local reader answers."""
    with report_errors(as_json=as_json):
        text = _read_stdin() if question == "-" else question
        from leo_core.config import LEOConfig  # noqa: PLC0415 - a command loads what it needs
        from leo_core.engine.leo import LEO  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.engine.requests import parse_route  # noqa: PLC0415 - a command loads what it needs
        from leo_core.privacy.config import pick_privacy  # noqa: PLC0415 - a command loads what it needs

        panel = [name.strip() for name in (jury or "").split(",") if name.strip()]
        if not (small or large or panel):
            small = "extractive"
        mode = privacy or ("sealed_local" if find_keyrings(Path(store)) is not None else None)
        config = LEOConfig(privacy=pick_privacy(mode))
        with LEO(small, large, panel, config=config, store=store) as leo:
            answer = _stream(
                leo,
                text,
                quiet=as_json,
                tenant=tenant,
                route=parse_route(route),
                max_error=max_error,
                max_cost_usd=max_cost_usd,
                stream_policy=stream_policy,
            )
            _report(leo, answer, explain=explain, receipt=receipt, as_json=as_json)


def _read_stdin() -> str:
    if sys.stdin is None:
        message = "stdin is closed; give the question as an argument, or something to read it from"
        raise RequestError(message)
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        message = f"stdin is not {error.encoding} text (byte {error.start}); convert it first"
        raise RequestError(message) from error


def _stream(leo: LEO, text: str, *, quiet: bool, **settings: object) -> Answer:
    answer: Answer | None = None
    for chunk in leo.stream(text, **settings):
        if chunk.correction is not None and not quiet:
            typer.echo(WITHDRAWN, nl=False)
        if chunk.text and not quiet:
            typer.echo(chunk.text, nl=False)
        answer = chunk.answer or answer
    if not quiet:
        typer.echo()
    assert answer is not None  # noqa: S101 - the last chunk of every stream carries it
    return answer


def _report(leo: LEO, answer: Answer, *, explain: bool, receipt: Path | None, as_json: bool) -> None:
    from leo_core.engine.explain import explain_answer, summarise_answer  # noqa: PLC0415 - a command loads what it needs

    if receipt is not None and answer.receipt is not None:
        write_text(receipt, json.dumps(dict(answer.receipt.document), indent=2) + "\n")
    facts = summarise_answer(answer)
    if as_json:
        figures = explain_answer(answer) if explain else None
        print_json({"answer": answer.text, **facts, "explain": figures, "public_key": leo.public_key})
        return
    cost = "unknown price" if answer.usage.cost_usd is None else f"${answer.usage.cost_usd:.6f}"
    err.print(f"{facts['route']} · {answer.model} · risk {answer.risk.value:.3f} · {cost}", style="dim")
    err.print(f"receipt {facts['receipt']}", style="dim")
    if explain:
        for line in explain_answer(answer)["words"]:
            out.print(f"· {line}")
