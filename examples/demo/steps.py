"""The steps of the demo around the LangChain chain: each does something, checks it, and returns what it saw."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from report import Section, check, dollars, milliseconds, number
from shop import AUDIT_RATE, MAX_WRONG_HITS, PAUSE_S, SEED, Recorder, rental_price
from traffic import HELD_BACK, NEAR_MISSES, draw_questions, has_fact

if TYPE_CHECKING:
    from rich.console import Console
    from shop import Shop

__all__ = ["call_tool", "let_traffic_through", "refuse_near_misses", "serve_paraphrase", "show_costs", "show_routes"]
__all__ += ["show_own_time", "stream_answers", "undo_wrong_hits", "vote"]

REQUESTS = 400
STRETCH = 20
Figures = dict[str, Any]


def let_traffic_through(shop: Shop) -> tuple[Section, list[Figures], list[Figures]]:
    """A stream of customers' questions; returns also what was seen of each, and the wrong hits among them."""
    seen: list[Figures] = []
    wrong: list[Figures] = []
    for topic, question in draw_questions(REQUESTS, SEED):
        shop.facts[question] = topic.fact
        figures = {"question": question, **shop.ask(question)}
        seen.append(figures)
        if _kind(figures) == "serve semantic" and not has_fact(topic, figures["text"]):
            wrong.append(figures)
    counts = Counter(_kind(figures) for figures in seen)
    check(counts["explore semantic"] > 0, "LEO explored before it served")
    check(counts["serve semantic"] > 0, "LEO served paraphrases after it had explored")
    first = next(place for place, figures in enumerate(seen) if _kind(figures) == "serve semantic")
    explored = sum(_kind(figures) == "explore semantic" for figures in seen[:first])
    check(explored >= shop.model.leo.config.cache.min_explored, "evidence came before the first semantic hit")
    check(len(wrong) <= MAX_WRONG_HITS * len(seen), f"wrong hits stayed within {MAX_WRONG_HITS:.0%} of the requests")
    rows = [
        (
            "explored: the models were asked, and their answer compared with the kept one",
            str(counts["explore semantic"]),
        ),
        ("served: paraphrases answered from the cache", str(counts["serve semantic"])),
        ("served: the very same request again", str(counts["serve exact"])),
        (
            "nothing comparable was kept",
            str(len(seen) - sum(counts[k] for k in ("explore semantic", "serve semantic", "serve exact"))),
        ),
        (
            "wrong paraphrase hits, by the facts of the handbook",
            f"{len(wrong)} of {len(seen)} requests ({len(wrong) / len(seen):.1%})",
        ),
    ]
    section = Section(
        title="Explore before serving",
        claim=(
            f"{len(seen)} questions go through the chain prompt | LEOChatModel | parser: explored "
            f"{counts['explore semantic']}, served {counts['serve semantic']}. The demo allows wrong hits for "
            f"{MAX_WRONG_HITS:.0%} of the requests (max_wrong_hits={MAX_WRONG_HITS}; LEO's own default is 0.01)."
        ),
        columns=("what happened", "how often"),
        rows=rows,
        notes=(f"The first paraphrase was served at request {first + 1}, after {explored} explored ones.",),
        bars=[_count_stretch(seen[at : at + STRETCH]) for at in range(0, len(seen), STRETCH)],
    )
    return section, seen, wrong


def _kind(figures: Figures) -> str:
    return f"{figures['cache']['action']} {figures['cache']['kind']}".strip()


def _count_stretch(stretch: list[Figures]) -> tuple[int, int, int]:
    served = sum(figures["cache"]["action"] == "serve" for figures in stretch)
    explored = sum(figures["cache"]["action"] == "explore" for figures in stretch)
    return served, explored, len(stretch) - served - explored


def undo_wrong_hits(shop: Shop, wrong: list[Figures]) -> Section:
    """Tell LEO about its wrong hits, as a customer would: the kept answer goes, and the question is asked anew."""
    rows = []
    for figures in wrong:
        question = figures["question"]
        shop.model.leo.feedback(figures["answer_id"], wrong=True)
        again = shop.ask(question)
        check(again["cache"]["action"] != "serve", f"after feedback, {question!r} is not served from the cache")
        check(shop.facts[question] in again["text"], f"after feedback, {question!r} is answered rightly")
        rows.append((question, figures["text"], again["text"], again["cache"]["why"]))
    return Section(
        title="A wrong hit, and what feedback does",
        claim="The promise bounds wrong hits, it does not rule them out. leo.feedback(answer, wrong=True) undoes one.",
        columns=("question", "served wrongly", "asked again", "the cache now"),
        rows=rows,
        notes=("The kept answer is removed, and the estimate of errors learns from it.",),
    )


def serve_paraphrase(shop: Shop) -> Section:
    """Questions in words that were never used before."""
    seen = [(question, shop.ask(question)) for question in HELD_BACK]
    check(any(_kind(figures) == "serve semantic" for _, figures in seen), "a new paraphrase was served from the cache")
    rows = [
        (
            question,
            _kind(figures),
            number(figures["cache"]["probability"]),
            number(figures["cache"]["error_bound"]),
            number(figures["cache"]["allowance"]),
            figures["text"],
        )
        for question, figures in seen
    ]
    return Section(
        title="Paraphrases served from the cache",
        claim="New wordings of known questions. A hit is served only when its estimated error fits the promise.",
        columns=("question", "cache", "P(same answer)", "estimated error", "allowance", "answer"),
        rows=rows,
        notes=("The allowance is the largest estimated error that the promise can pay for at this request.",),
    )


def refuse_near_misses(shop: Shop) -> Section:
    """Questions that look almost the same and mean something else."""
    rows = []
    for difference, question, fact in NEAR_MISSES:
        figures = shop.ask(question)
        check(figures["cache"]["action"] != "serve", f"{question!r} is not served from the cache")
        check("differ" in figures["cache"]["why"], f"a guard says why {question!r} is not served")
        check(fact in figures["text"], f"{question!r} gets an answer of its own with {fact!r}")
        rows.append((difference, question, figures["cache"]["why"], figures["text"]))
    return Section(
        title="Near-misses are not served",
        claim='One number, one "not", one day apart from a kept question. The guards refuse, and say why.',
        columns=("apart by", "question", "the guard's reason", "own answer"),
        rows=rows,
    )


def show_routes(seen: list[Figures]) -> Section:
    """One answer of the stream for each route that the router chose by itself."""
    rows = []
    taken = Counter(figures["route"]["taken"] for figures in seen)
    for route in ("small", "cascade", "large", "consensus"):
        chosen = [figures for figures in seen if figures["route"]["taken"] == route]
        if chosen:
            last = chosen[-1]
            names = ", ".join(member["member"] for member in last["members"])
            rows.append(
                (
                    route,
                    str(taken[route]),
                    last["question"],
                    names,
                    last["route"]["why"],
                    dollars(last["usage"]["cost_usd"]),
                )
            )
    check(taken["small"] and taken["consensus"] and taken["cascade"], "the router took small, cascade and consensus")
    return Section(
        title="Routes",
        claim="What the cache may not serve goes the way with the least expected cost, waiting and loss.",
        columns=("route", "times", "for example", "members asked", "because", "cost"),
        rows=rows,
        notes=("A cascade asks the small member first, and the large one only when that answer looks wrong.",),
    )


def vote(shop: Shop) -> Section:
    """A question with a high risk, on which the committee votes, and one member misreports."""
    question = "How old must renters be?"
    figures = shop.ask(question)
    verdict = figures["verdict"]
    check(verdict, f"{question!r} was put to the vote")
    votes = {vote["member"]: vote for vote in verdict["votes"]}
    check(len(votes) == 3, "all three members voted")  # noqa: PLR2004 - small, large, faulty
    check(votes["faulty-reader"]["answer_class"] != verdict["winner"], "the faulty member was outvoted")
    check("16" in figures["text"], "the elected answer is right")
    check(votes["faulty-reader"]["trust"] < votes["embedding-reader"]["trust"], "audits told the faulty member apart")
    rows = [
        (
            name,
            verdict["classes"][vote["answer_class"]],
            number(vote["trust"]),
            number(vote["weight"], 2),
            "elected" if vote["answer_class"] == verdict["winner"] else "outvoted",
        )
        for name, vote in votes.items()
    ]
    return Section(
        title="A faulty member is outvoted",
        claim=f"{question} {figures['text']} Posterior {verdict['confidence']:.3f}.",
        columns=("member", "said", "trust", "weight", "verdict"),
        rows=rows,
        notes=(
            f"Why a vote: {figures['route']['why']}. The posterior that is required: {verdict['required']:.2f}.",
            f"Certified margin: {verdict['certified_margin']} of the heaviest could switch without changing it.",
            f"Trust was learned from audits: a checker that knows the facts looked at {AUDIT_RATE:.0%} of the answers.",
        ),
    )


def stream_answers(shop: Shop, console: Console) -> Section:
    """The same question streamed twice: from a member, then from the cache."""
    question = "Who must be called in case of an accident?"
    rows = [_stream(shop, console, question) for _ in range(2)]
    check(rows[0][1] == "large" and rows[1][1] == "cache", "the second stream came from the cache")
    check(all(int(row[2]) > 4 for row in rows), "both answers came in pieces")  # noqa: PLR2004 - several words
    check(rows[0][5] == rows[1][5], "both streams say the same")
    return Section(
        title="Streaming",
        claim="prompt | model | parser, streamed: first from a member, word by word; then from the cache.",
        columns=("question", "route", "pieces", "first piece", "whole answer", "text"),
        rows=rows,
        notes=(
            f"The large reader really waits {milliseconds(PAUSE_S)} after each word, so that the stream can be seen.",
        ),
    )


def _stream(shop: Shop, console: Console, question: str) -> tuple[str, ...]:
    recorder = Recorder()
    started = time.perf_counter()
    first, pieces = 0.0, []
    console.print("streaming: ", end="")
    for piece in shop.chain(route="large").stream({"question": question}, {"callbacks": [shop.handler, recorder]}):
        if piece:
            first = first or time.perf_counter() - started
            pieces.append(piece)
            console.print(piece, end="", style="italic", highlight=False)
            console.file.flush()
    total = time.perf_counter() - started
    figures = shop.explain(recorder.facts[-1]["answer_id"])
    console.print(f"  [{figures['route']['taken']}]", style="dim", markup=False, highlight=False)
    return (
        question,
        figures["route"]["taken"],
        str(len(pieces)),
        milliseconds(first),
        milliseconds(total),
        "".join(pieces),
    )


def call_tool(shop: Shop) -> Section:
    """An agent with a tool, made by LangChain."""
    agent = create_agent(shop.model, [rental_price])
    question = "What is the rental price of a cargo bike for 3 days?"
    messages = agent.invoke({"messages": [("user", question)]}, {"callbacks": [shop.handler]})["messages"]
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    check(calls and calls[0]["name"] == "rental_price", "the agent called its tool")
    check("96 euros" in messages[-1].text, "the agent's answer holds the tool's result")
    return Section(
        title="An agent calls its tool",
        claim=f"create_agent(model, [rental_price]): {question}",
        columns=("turn", "content", "route", "receipt"),
        rows=[_describe_turn(message) for message in messages],
        notes=("Only members that can call tools are asked: here the lexical reader.",),
    )


def _describe_turn(message: Any) -> tuple[str, str, str, str]:
    facts = message.response_metadata.get("leo", {})
    content = message.text
    if isinstance(message, AIMessage) and message.tool_calls:
        content = ", ".join(f"{call['name']}({call['args']})" for call in message.tool_calls)
    turn = f"tool {message.name}" if isinstance(message, ToolMessage) else message.type
    return turn, content, facts.get("route", "–"), _shorten(facts.get("receipt"))


def _shorten(receipt: str | None) -> str:
    return "–" if receipt is None else receipt[:21] + "…"


def show_costs(shop: Shop) -> Section:
    """What LangChain's callbacks saw of money."""
    summary = shop.handler.summary()
    check(summary.spent_usd > 0 and summary.saved_usd > 0, "something was spent and something was saved")
    check(summary.unpriced == 0, "every price is known")
    return Section(
        title="Spent and saved",
        claim=(
            f"At the demo's price tags: spent {dollars(summary.spent_usd)}, saved {dollars(summary.saved_usd)} "
            f"in {summary.calls} answers (LEOCallbackHandler.summary())."
        ),
        columns=("figure", "value"),
        rows=[
            ("answers", f"{summary.calls}, {summary.errors} failed"),
            ("from the cache", f"{summary.hits} ({summary.hits / summary.calls:.0%})"),
            ("routes", ", ".join(f"{name} {count}" for name, count in sorted(summary.routes.items()))),
            (
                "tokens",
                f"{summary.input_tokens} in, {summary.output_tokens} out (estimated: the readers have no tokenizer)",
            ),
            ("spent", dollars(summary.spent_usd)),
            ("saved", dollars(summary.saved_usd)),
        ],
        notes=("Saved: what a hit's answer had cost, and what a cheaper route left of the large member's price.",),
    )


def show_own_time(seen: list[Figures]) -> Section:
    """LEO's own time: the whole request without the waiting for members."""
    rows = []
    kinds = {
        "served, same request": "serve exact",
        "served, paraphrase": "serve semantic",
        "explored": "explore semantic",
    }
    for name, kind in kinds.items():
        times = [figures["own_s"] for figures in seen if _kind(figures) == kind]
        check(times, f"there are answers of the kind {name!r}")
        rows.append((name, str(len(times)), milliseconds(statistics.median(times)), milliseconds(_high(times))))
    return Section(
        title="LEO's own time per request",
        claim="Everything but waiting for members: embedding, look-up, decision, and a signed receipt on disk.",
        columns=("answer", "requests", "median", "95 % are faster than"),
        rows=rows,
        notes=("Measured in this run, on this machine.",),
    )


def _high(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))]
