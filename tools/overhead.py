"""What LEO adds to the call of a model, beside what LangChain's own ways of adding something do, in one run.

A chat model in this process that answers at once is asked new questions: by itself, with a fall-back, behind
``InMemoryCache``, and as the one member of ``LEOChatModel``, whose cache is full. Every way is asked the same
questions in turns. The time spent in the model itself is taken off each.

Usage: ``python tools/overhead.py [--pairs FILE] [--entries N] [--questions N] [--json]``; the file holds question
pairs whose texts are asked and kept, without it there are made-up ones.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from compiled_time import CompiledTime
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from leo_core import LEOConfig
from leo_core.evaluation.core_bench import read_texts
from leo_core.evaluation.paired import describe_machine
from leo_core.evaluation.store_bench import make_entries
from leo_core.stages.cache.identity import identify
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.storage.database import _Transaction as transaction
from leo_core.telemetry.logs import JsonFormatter, LogListener
from leo_core.telemetry.otel import OpenTelemetryListener
from leo_core.telemetry.prometheus import PrometheusListener
from leo_langchain import LEOChatModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from leo_core.records import CacheEntry

BATCH = 256
WARM_UP = 30
REPLY = "An answer of ordinary length, as a model gives it to a question of one line."
USAGE: dict[str, Any] = {"input_tokens": 20, "output_tokens": 30, "total_tokens": 50}


class Instant(BaseChatModel):
    """A chat model that answers at once, and knows how long that took."""

    spent: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:  # noqa: ARG002 - LangChain's signature
        started = time.perf_counter()
        result = ChatResult(generations=[ChatGeneration(message=AIMessage(REPLY, usage_metadata=USAGE))])
        self.spent += time.perf_counter() - started
        return result

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return self._generate(messages, stop, run_manager, **kwargs)


class DiskWait:
    """How long the calling thread waited for the disk in commits that survive a power cut: wall time less CPU time.

    Attributes:
        seconds: So far, without the background's.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._commit = transaction.__exit__

    def watch(self) -> None:
        """Measure every durable commit from now on."""

        def commit(each: Any, *error: Any) -> None:
            if each._synchronous != "FULL" or threading.current_thread().name == "leo-background":  # noqa: SLF001 - measured from inside
                self._commit(each, *error)
                return
            cpu, wall = time.thread_time(), time.perf_counter()
            self._commit(each, *error)
            self.seconds += (time.perf_counter() - wall) - (time.thread_time() - cpu)

        transaction.__exit__ = commit  # type: ignore[method-assign]  # measured from inside


DISK = DiskWait()
Filled = list[tuple["CacheEntry", Any]]


def make_filling(texts: Sequence[str]) -> Filled:
    """An answer to each text with its vector, as a LEOChatModel with an instant member would have kept it."""
    embedder = load_embedder("default")
    rows = [row for first in range(0, len(texts), 4096) for row in embedder.embed(texts[first : first + 4096])]
    with LEOChatModel(small=Instant()) as model:
        plan = model.leo._plan  # noqa: SLF001 - the fingerprint of its members is part of the keys
        filling = []
        for entry, row in zip(make_entries(texts), rows, strict=True):
            request = model._request([HumanMessage(entry.text)], None, {})  # noqa: SLF001 - as the model itself asks
            keys = identify(request, models=plan.fingerprint)
            filling.append((replace(entry, exact_key=keys.exact_key, scope_key=keys.scope_key), row))
    return filling


def fill(model: LEOChatModel, filling: Sequence[Any]) -> None:
    """Keep all of them."""
    for first in range(0, len(filling), BATCH):
        model.leo.store.put_many(filling[first : first + BATCH])


class Ways:
    """Everything that is asked, and how long each took beside the model itself, in seconds; ``disk`` is in it."""

    def __init__(self) -> None:
        self.asks: dict[str, tuple[Callable[[str], Any], Instant, Callable[[], Any], Callable[[str], Any]]] = {}
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}
        self.disk: dict[str, list[float]] = {}

    def add(
        self,
        name: str,
        ask: Callable[[str], Any],
        model: Instant,
        rest: Callable[[], Any] = lambda: None,
        prepare: Callable[[str], Any] = lambda _: None,
    ) -> None:
        """Add a way; ``prepare`` is done before each question and ``rest`` after it, and neither is timed."""
        self.asks[name] = (ask, model, rest, prepare)
        self.wall[name], self.cpu[name], self.disk[name] = [], [], []

    def run(self, questions: Sequence[str], warm_up: int) -> None:
        """Ask all questions in all ways in turns, another way first each time."""
        names = list(self.asks)
        for number, question in enumerate(questions):
            at = number % len(names)
            for name in (*names[at:], *names[:at]):
                ask, model, rest, prepare = self.asks[name]
                prepare(question)
                before, waited = model.spent, DISK.seconds
                cpu, wall = time.thread_time(), time.perf_counter()
                ask(question)
                wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
                own, waited = model.spent - before, DISK.seconds - waited
                rest()
                if number >= warm_up:
                    self.wall[name].append(wall - own)
                    self.cpu[name].append(cpu - own)
                    self.disk[name].append(waited)

    def rows(self) -> list[dict[str, Any]]:
        """Each way with its percentiles in microseconds."""
        rows = []
        for name, wall in self.wall.items():
            p50, p99 = np.percentile(wall, [50, 99]) * 1e6
            cpu, disk = (float(np.median(each[name])) * 1e6 for each in (self.cpu, self.disk))
            row = {"way": name, "p50_us": float(p50), "p99_us": float(p99), "fsync_p50_us": disk, "cpu_p50_us": cpu}
            rows.append(row)
        return rows


def split(texts: list[str], entries: int, asked: int) -> tuple[list[str], list[str]]:
    """Questions that are asked, and as many others that are kept: beyond the texts, numbered copies of them."""
    order = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))]
    questions, rest = order[:asked], order[asked:]
    copies = -(-entries // len(rest))
    kept = [text if copy == 0 else f"{text} ({copy + 1})" for copy in range(copies) for text in rest]
    return questions, kept[:entries]


def time_misses(folder: Path, questions: Sequence[str], filling: Filled, stack: ExitStack) -> Ways:
    """New questions, in every way; leaves a filled store in ``disk.db``."""
    ways = Ways()
    bare, backed, cached = Instant(), Instant(), Instant(cache=InMemoryCache())
    for entry, _ in filling:
        cached.cache.update(entry.text, "model", [ChatGeneration(message=AIMessage(REPLY))])
    ways.add("model.invoke", bare.invoke, bare)
    ways.add("with_fallbacks", backed.with_fallbacks([Instant()]).invoke, backed)
    ways.add("cache=InMemoryCache(), miss", cached.invoke, cached)
    with LEOChatModel(small=Instant(), store=str(folder / "disk.db")) as model:
        fill(model, filling)
    for file in folder.glob("disk.db*"):
        for copy in ("off", "warm"):
            shutil.copy(file, folder / file.name.replace("disk", copy))
    off = LEOConfig(receipts=ReceiptConfig(enabled=False))
    add_leo(ways, "LEOChatModel, miss, store on disk", stack, store=str(folder / "disk.db"))
    add_leo(
        ways, "LEOChatModel, miss, on disk, neighbours read before", stack, store=str(folder / "warm.db"), warm=True
    )
    add_leo(ways, "LEOChatModel, miss, on disk, no receipts", stack, store=str(folder / "off.db"), config=off)
    add_leo(ways, "LEOChatModel, miss, store in memory", stack, filling=filling)
    ways.run(questions, WARM_UP)
    return ways


def add_leo(
    ways: Ways, name: str, stack: ExitStack, *, filling: Sequence[Any] = (), warm: bool = False, **settings: Any
) -> LEOChatModel:
    """Add a LEOChatModel; its background is let finish after each question."""
    member = Instant()
    model = stack.enter_context(LEOChatModel(small=member, engine_seed=0, **settings))
    fill(model, filling)
    model.leo.warm_up()
    model.invoke(f"What is warmed up by {name}?")  # nobody asked that before: the index is loaded

    def decide(question: str) -> object:
        return model.leo.cache.decide(model._request([HumanMessage(question)], None, {}))  # noqa: SLF001 - as it asks

    ways.add(name, model.invoke, member, model.leo.flush, decide if warm else lambda _: None)
    return model


async def time_async(folder: Path, questions: Sequence[str], kept: Sequence[str], stack: ExitStack) -> Ways:
    """New questions on an event loop, and kept ones either way; the store is the one that was filled before."""
    ways = Ways()
    member = Instant()
    model = stack.enter_context(LEOChatModel(small=member, store=str(folder / "disk.db"), engine_seed=0))
    await model.ainvoke("What is warmed up on an event loop?")
    bare = Instant()
    again = np.random.default_rng(1).permutation(len(kept))[: len(questions)]
    for name, ask, asked in (
        ("model.ainvoke", bare.ainvoke, questions),
        ("LEOChatModel.ainvoke, miss, store on disk", model.ainvoke, questions),
        ("LEOChatModel.ainvoke, hit, store on disk", model.ainvoke, [kept[place] for place in again]),
    ):
        ways.wall[name], ways.cpu[name], ways.disk[name] = [], [], []
        owner = bare if ask == bare.ainvoke else member
        for number, question in enumerate(asked):
            before, waited = owner.spent, DISK.seconds
            cpu, wall = time.process_time(), time.perf_counter()
            await ask(question)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            waited = DISK.seconds - waited
            model.leo.flush()
            if number >= WARM_UP:
                ways.wall[name].append(wall - (owner.spent - before))
                ways.cpu[name].append(cpu - (owner.spent - before))
                ways.disk[name].append(waited)
    hits = np.random.default_rng(2).permutation(len(kept))[: len(questions)]
    sync = Ways()
    sync.add("LEOChatModel.invoke, hit, store on disk", model.invoke, member, model.leo.flush)
    sync.run([kept[place] for place in hits], WARM_UP)
    ways.wall |= sync.wall
    ways.cpu |= sync.cpu
    ways.disk |= sync.disk
    return ways


def time_listeners(questions: Sequence[str], stack: ExitStack) -> list[dict[str, Any]]:
    """What each listener adds to a miss, with an empty cache in memory: the difference of the medians."""
    tracers, ways = TracerProvider(), Ways()
    tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    meters = MeterProvider([InMemoryMetricReader()])
    handler = logging.FileHandler(os.devnull)
    stack.callback(handler.close)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("leo.overhead")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    listeners = {
        "no listener": (),
        "OpenTelemetryListener": (OpenTelemetryListener(tracer_provider=tracers, meter_provider=meters),),
        "PrometheusListener": (PrometheusListener(registry=CollectorRegistry()),),
        "LogListener": (LogListener(logger),),
    }
    for name, heard in listeners.items():
        add_leo(ways, name, stack, listeners=heard)
    ways.run(questions, WARM_UP)
    rows = ways.rows()
    base = rows[0]["cpu_p50_us"]
    return [
        {"listener": row["way"], "cpu_p50_us": row["cpu_p50_us"], "adds_us": row["cpu_p50_us"] - base} for row in rows
    ]


def share_out(model: LEOChatModel, questions: Sequence[str]) -> list[dict[str, Any]]:
    """Where the time of a miss goes: the mean CPU time of each effect, of the decisions, and of LangChain's side."""
    world = model.leo._world  # noqa: SLF001 - measured from inside
    perform, spent, caller = world.perform, {}, threading.get_ident()
    whole = inside = 0.0

    def timed(effect: Any) -> Any:
        if threading.get_ident() != caller:  # the background's, which begins before the answer is given
            return perform(effect)
        began = time.thread_time()
        try:
            return perform(effect)
        finally:
            name = type(effect).__name__
            spent[name] = spent.get(name, 0.0) + time.thread_time() - began

    ask = model.leo.ask

    def asked(*args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        began = time.thread_time()
        try:
            return ask(*args, **kwargs)
        finally:
            inside += time.thread_time() - began

    setattr(model.leo, "ask", asked)  # noqa: B010 - measured from inside
    for question in questions:
        world.perform = timed
        began = time.thread_time()
        model.invoke(question)
        whole += time.thread_time() - began
        world.perform = perform
        model.leo.flush()
    setattr(model.leo, "ask", ask)  # noqa: B010 - as it was
    rows = [{"part": name, "us": taken} for name, taken in sorted(spent.items(), key=lambda item: -item[1])]
    told = [row for row in rows if row["us"] >= 0.005 * whole]
    rest = sum(row["us"] for row in rows if row not in told)
    parts = [
        *told,
        {"part": "other effects", "us": rest},
        {"part": "decisions of the pipeline", "us": inside - sum(spent.values())},
        {"part": "LangChain and its adapter", "us": whole - inside},
    ]
    return [{**part, "us": part["us"] / len(questions) * 1e6} for part in parts]


def add_up_compiled(
    clock: CompiledTime, model: LEOChatModel, questions: Sequence[str], langchain: float
) -> list[dict[str, Any]]:
    """What a miss takes in compiled code and in LangChain: medians, and how many calls a miss makes on the average.

    Args:
        clock: Watches the store by now.
        model: What is asked.
        questions: All are asked, the first ones to load what is compiled.
        langchain: What LangChain itself takes to call a model, in microseconds.
    """
    for question in questions[:WARM_UP]:
        model.invoke(question)
        model.leo.flush()
    clock.watch_rest()
    taken: list[dict[str, float]] = []
    for question in questions[WARM_UP:]:
        before, clock.counts = dict(clock.seconds), True
        model.invoke(question)
        clock.counts = False
        model.leo.flush()
        taken.append({part: total - before.get(part, 0.0) for part, total in clock.seconds.items()})
    rows: list[dict[str, Any]] = [
        {
            "compiled": part,
            "p50_us": float(np.median([each.get(part, 0.0) for each in taken])) * 1e6,
            "calls": clock.calls[part] / len(taken),
        }
        for part in clock.seconds
    ]
    rows.sort(key=lambda row: -row["p50_us"])
    together = float(np.median([sum(each.values()) for each in taken])) * 1e6
    rows.append({"compiled": "LangChain, model.invoke", "p50_us": langchain, "calls": 1.0})
    return [*rows, {"compiled": "together", "p50_us": together + langchain, "calls": sum(row["calls"] for row in rows)}]


BESIDE = {"with_fallbacks": "of_fallbacks", "cache=InMemoryCache(), miss": "of_cache"}
"""LangChain's own ways, and under which name others are told as multiples of their medians."""


def add_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their medians (wall clock) as multiples of those of LangChain's own ways in the same run."""
    medians = {row["way"]: row["p50_us"] for row in rows}
    return [{**row, **{name: row["p50_us"] / medians[way] for way, name in BESIDE.items()}} for row in rows]


def measure(pairs: Path | None, entries: int, questions: int) -> dict[str, Any]:
    """Everything."""
    asked, kept = split(read_texts(pairs), entries, 5 * (questions + WARM_UP))
    count = questions + WARM_UP
    slices = [asked[first : first + count] for first in range(0, 5 * count, count)]
    filling = make_filling(kept)
    gc.freeze()  # what is kept for the filling is not LEO's, and would be walked through in every full collection
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        with ExitStack() as first:
            misses = time_misses(folder, slices[0], filling, first)
        load = os.getloadavg()[0]
        others = asyncio.run(time_async(folder, slices[1], kept, stack))
        shared = Ways()
        with ExitStack() as second:
            model = add_leo(shared, "shares", second, store=str(folder / "disk.db"))
            parts = share_out(model, slices[2])
        listeners = time_listeners(slices[3], stack)
        bare = misses.rows()[0]["p50_us"]
        clock = CompiledTime()
        clock.watch_store()  # last: from here on calls take longer
        with ExitStack() as third:
            model = add_leo(Ways(), "compiled", third, store=str(folder / "disk.db"))
            compiled = add_up_compiled(clock, model, slices[4], bare)
    return {
        **describe_machine(),
        "benchmark": "overhead",
        "entries": entries,
        "questions": questions,
        "load_average": load,
        "ways": add_ratios([*misses.rows(), *others.rows()]),
        "parts": parts,
        "listeners": listeners,
        "compiled": compiled,
    }


def _decimals(name: str) -> int:
    return 0 if name.endswith("_us") or name == "us" else 1


def show(result: dict[str, Any]) -> None:
    """Print tables."""
    console = Console(width=128)
    for name in ("ways", "parts", "listeners", "compiled"):
        table = Table(*result[name][0])
        for row in result[name]:
            table.add_row(
                *(value if isinstance(value, str) else f"{value:,.{_decimals(key)}f}" for key, value in row.items())
            )
        console.print(table)
    console.print(
        f"{result['entries']:,} entries; {result['questions']} questions a way; "
        f"load average {result['load_average']:.1f} on {result['cores']} cores",
        highlight=False,
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="question pairs: a, b (JSON Lines, gzipped or not)")
    parser.add_argument("--entries", type=int, default=100_000, help="entries in the cache")
    parser.add_argument("--questions", type=int, default=200, help="questions asked in each way")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    DISK.watch()
    result = measure(options.pairs, options.entries, options.questions)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
