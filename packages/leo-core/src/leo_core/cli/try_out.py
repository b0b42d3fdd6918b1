"""``leo try``: the sample traffic, answered offline, with what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leo_core.cli.output import AsJson, out, print_json, report_errors, show_progress
from leo_core.sample import HANDBOOK, QUESTIONS, SampleQuestion

if TYPE_CHECKING:
    from leo_core.config import LEOConfig
    from leo_core.engine.leo import LEO
    from leo_core.records import Answer

__all__ = ["try_out"]

MAX_WRONG_HITS = 0.1
TENANT = "leo-try"


def try_out(
    store: Annotated[str, typer.Option(help="Store: a path, or ':memory:'.")] = ":memory:",
    seed: Annotated[int, typer.Option(help="Which would-be hits are explored all the same.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Answer a sample of questions offline, without a key: verdicts, cache hits on other wordings, audited receipts.

    Three local readers answer from a handbook of twelve facts. They are no language models. Wrong hits are allowed for
    10 % of the requests, so that few requests are enough to see hits; LEO's own default is 1 %.
    """
    with report_errors(as_json=as_json):
        from leo_core.engine.leo import LEO  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.providers.extractive import OFFLINE_JURY  # noqa: PLC0415 - a command loads what it needs

        with LEO(jury=OFFLINE_JURY, store=store, config=_settings(), seed=seed) as leo:
            with show_progress(as_json=as_json) as progress:
                task = progress.add_task("loading; a first run compiles for some ten seconds", total=None)
                leo.warm_up()
                progress.update(task, description="asking", total=len(QUESTIONS))
                answered = []
                for question in QUESTIONS:
                    answered.append((question, _ask(leo, question)))
                    progress.advance(task)
            facts = _sum_up(answered) | {"audited": leo.log.audit() if leo.log is not None else 0, "store": store}
        if as_json:
            print_json(facts)
        else:
            _print(facts)


def _settings() -> LEOConfig:
    from leo_core.config import LEOConfig  # noqa: PLC0415 - a command loads what it needs

    economy = LEOConfig.preset("economy")
    return replace(economy, cache=replace(economy.cache, max_wrong_hits=MAX_WRONG_HITS))


def _ask(leo: LEO, question: SampleQuestion) -> Answer:
    """One answer; what was learned from it is written before the next, so that equal seeds give equal hits."""
    from leo_core.records import Message  # noqa: PLC0415 - a command loads what it needs

    turns = [Message(role="system", content=HANDBOOK), Message(role="user", content=question.text)]
    answer = leo.ask(turns, tenant=TENANT)
    leo.flush()
    return answer


def _sum_up(answered: list[tuple[SampleQuestion, Answer]]) -> dict[str, Any]:
    """What is shown: figures, the first verdict, and the first hit on another wording."""
    kinds = [(answer.cache.action, answer.cache.kind) for _, answer in answered]
    wrong = [question.fact not in answer.text for question, answer in answered]
    verified = next((pair for pair in answered if pair[1].verdict and not pair[1].verdict.abstained), None)
    first = kinds.index(("serve", "semantic")) if ("serve", "semantic") in kinds else None
    hits = [missed for missed, kind in zip(wrong, kinds, strict=True) if kind == ("serve", "semantic")]
    return {
        "questions": len(answered),
        "wrong": sum(wrong),
        "verified": None if verified is None else _show(*verified),
        "hit": None if first is None else _show(*answered[first]) | {"request": first + 1},
        "explored": kinds.count(("explore", "semantic")),
        "semantic_hits": len(hits),
        "wrong_hits": sum(hits),
        "exact_hits": kinds.count(("serve", "exact")),
        "max_wrong_hits": MAX_WRONG_HITS,
        "receipts": sum(answer.receipt is not None for _, answer in answered),
    }


def _show(question: SampleQuestion, answer: Answer) -> dict[str, Any]:
    votes = answer.verdict.votes if answer.verdict else ()
    agree = sum(answer.verdict is not None and vote.answer_class == answer.verdict.winner for vote in votes)
    return {
        "question": question.text,
        "answer": answer.text,
        "votes": len(votes),
        "agree": agree,
        "confidence": None if answer.verdict is None else round(answer.verdict.confidence, 3),
        "why": answer.cache.why,
        "receipt": None if answer.receipt is None else answer.receipt.id,
    }


def _print(facts: dict[str, Any]) -> None:
    def say(line: str) -> None:
        out.print(line, soft_wrap=True)

    say(f"Three local readers (no language models) were asked {facts['questions']} questions about twelve facts.")
    if (one := facts["verified"]) is not None:
        say(f"verified   {one['question']} {one['answer']}")
        say(f"           {one['agree']} of {one['votes']} readers agree, confidence {one['confidence']:.3f}")
    if (one := facts["hit"]) is not None:
        say(f"cache hit  {one['question']} {one['answer']}")
        say(f"           request {one['request']}, the first that was served to another wording")
    say(
        f"cache      {facts['semantic_hits']} hits on other wordings, {facts['wrong_hits']} of them wrong; "
        f"{facts['explored']} explored, {facts['exact_hits']} equal requests"
    )
    say(f"answers    {facts['wrong']} of {facts['questions']} wrong")
    say(f"receipts   {facts['receipts']} signed; the log of {facts['audited']} is valid")
    if facts["store"] != ":memory:":
        say(f"Now audit them yourself: leo log audit {facts['store']}")
