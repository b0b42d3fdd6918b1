"""The semantic cache on a stream of requests, beside thresholds and a cache that learns each entry alone.

The decision, its record and the pair model are the shipped ones. What is replaced is the world: embeddings and exact
neighbours are computed beforehand, and a model's answer is the request's intent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.cache_baselines import THRESHOLDS, Outcome, play_static, play_vcache
from leo_core.evaluation.cache_stream import Stream, read_pair_stream, read_stream, resample_pairs
from leo_core.evaluation.metrics import percentile, wilson_interval
from leo_core.records import CacheEntry, Identity, Message, Neighbour, Route, Usage
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.cache.observations import observe_explored, observe_served
from leo_core.stages.cache.policy import choose_hit
from leo_core.stages.cache.promise import PromiseState, bound_wrong_hits, update_promise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.records import CacheDecision
    from leo_core.stages.cache.pair import PairModel

__all__ = ["CacheSettings", "Played", "RememberedPairs", "play_leo", "run_cache"]

_NEAR = 96
_KIN = 31
_TIMED_EVERY = 25
_CURVE_POINTS = 24
GPTCACHE, REDISVL = 0.6, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """What is measured.

    Attributes:
        data: ``{"text", "intent"}`` lines, or ``{"a", "b", "same"}`` lines with ``pairs``.
        pairs: Whether intents are to be made from pairs.
        deltas: The promises.
        embedder: Name of the embedder, ``minilm`` included.
        seeds: How many orders.
        first_seed: The first of them.
        requests: Most requests of an order.
        repeats: Share of the requests that repeats an intent, with ``pairs``.
        baselines: Whether other policies are played too.
        drift: Whether the right answer to every intent changes after half of the requests; without other policies.
    """

    data: Path
    pairs: bool = False
    deltas: tuple[float, ...] = (0.01,)
    embedder: str = "default"
    seeds: int = 5
    first_seed: int = 0
    requests: int = 12_000
    repeats: float = 0.1
    baselines: bool = True
    drift: bool = False


@dataclass(slots=True, kw_only=True)
class Played(Outcome):
    """What LEO did with a stream.

    Attributes:
        explored: Candidates that were compared.
        broken: Requests at which more than δ·t wrong hits had been served.
        bound: The most wrong hits that the evidence had not ruled out at the end.
        curve: (requests, hits, wrong hits) along the stream.
        decision_ms: Times of single decisions, with nothing remembered of the pair.
        mistakes: (request, first question of the entry whose answer it got) of every wrong hit.
    """

    explored: int = 0
    broken: int = 0
    bound: float = 0.0
    curve: list[tuple[int, int, int]] = field(default_factory=list)
    decision_ms: list[float] = field(default_factory=list)
    mistakes: list[tuple[str, str]] = field(default_factory=list)


class RememberedPairs:
    """A pair model that remembers what it has computed, for streams that are played many times.

    Args:
        model: The model.
    """

    def __init__(self, model: PairModel) -> None:
        self.model = model
        self._objections: dict[tuple[float, str, str], str | None] = {}
        self._likely: dict[tuple[float, str, str], float] = {}

    def find_objection(self, cosine: float, a: str, b: str) -> str | None:
        """As :meth:`PairModel.find_objection`."""
        key = round(float(cosine), 6), a, b
        if key not in self._objections:
            self._objections[key] = self.model.find_objection(*key)
        return self._objections[key]

    def probability_at(
        self, cosines: Sequence[float] | npt.NDArray[np.float64], a: Sequence[str], b: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """As :meth:`PairModel.probability_at`."""
        keys = [(round(float(cosine), 6), one, two) for cosine, one, two in zip(cosines, a, b, strict=True)]
        for key in keys:
            if key not in self._likely:
                self._likely[key] = float(self.model.probability_at([key[0]], [key[1]], [key[2]])[0])
        return np.array([self._likely[key] for key in keys])


def play_leo(
    stream: Stream,
    order: Sequence[int],
    config: CacheConfig,
    pairs: RememberedPairs,
    seed: int,
    *,
    timed: bool = False,
    drifts_at: int | None = None,
) -> Played:
    """Play a stream through the shipped decision and its record.

    Args:
        stream: The requests.
        order: Rows in the order in which they come.
        config: Settings of the cache.
        pairs: The pair model.
        seed: Of the draws.
        timed: Whether to time some of the decisions.
        drifts_at: Request from which on every intent has another right answer; ``None`` for never.
    """
    state, played = PromiseState.fresh(), Played()
    kept, entry_of, entries = stream.open(), dict[int, int](), list[CacheEntry]()
    draws = np.random.default_rng([seed, 1]).random(len(order))
    every = max(len(order) // _CURVE_POINTS, 1)
    for at, row in enumerate(order):
        neighbours = _find_neighbours(stream, kept.near(row, _NEAR), entry_of, entries, config.candidates)
        ask = _asker(stream.texts[row], neighbours, state, config, float(draws[at]))
        if timed and at % _TIMED_EVERY == 0 and neighbours:
            started = time.thread_time()
            ask(pairs.model)
            played.decision_ms.append(1e3 * (time.thread_time() - started))
        decision, entry = ask(pairs)
        played.requests += 1
        state = update_promise(state, observe_served(decision, tenant="", at=0.0), config)
        intent = stream.intents[row]
        if drifts_at is not None and at >= drifts_at:
            intent += " (changed)"
        if decision.hit and entry is not None:
            played.hits += 1
            if entry.message.content != intent:
                played.wrong += 1
                played.mistakes.append((stream.texts[row], entry.text))
            played.broken += played.wrong > config.max_wrong_hits * played.requests + 1e-9
        else:
            home = len(entries)
            if entry is not None:
                same = entry.message.content == intent
                played.explored += 1
                state = update_promise(state, observe_explored(decision, same=same, tenant="", at=0.0), config)
                home = int(entry.id) if same else home
            if home == len(entries):
                entries.append(_make_entry(home, stream.texts[row], intent))
            entry_of[row] = home
            kept.add(row)
        if (at + 1) % every == 0:
            played.curve.append((played.requests, played.hits, played.wrong))
    played.bound = bound_wrong_hits(state, config)
    return played


def _asker(
    text: str, neighbours: tuple[Neighbour, ...], state: PromiseState, config: CacheConfig, draw: float
) -> Callable[[PairModel | RememberedPairs], tuple[CacheDecision, CacheEntry | None]]:
    identity = Identity(exact_key="", scope_key="", text=text, semantic=True)

    def ask(pairs: PairModel | RememberedPairs) -> tuple[CacheDecision, CacheEntry | None]:
        return choose_hit(
            identity,
            exact=None,
            neighbours=neighbours,
            sort_answers=_sort_intents,
            trust=_trusted,
            promise=state,
            config=config,
            pair_model=pairs,  # type: ignore[arg-type]  # has the two methods that the decision uses
            draw=draw,
        )

    return ask


def _sort_intents(messages: Sequence[Message]) -> list[int]:
    numbers: dict[object, int] = {}
    return [numbers.setdefault(message.content, len(numbers)) for message in messages]


def _trusted(_: tuple[str, ...]) -> float:
    return 1.0


def _make_entry(number: int, text: str, intent: str) -> CacheEntry:
    return CacheEntry(
        id=str(number),
        tenant="",
        exact_key=text,
        scope_key="",
        text=text,
        message=Message(role="assistant", content=intent),
        members=(),
        model="",
        route=Route.LARGE,
        usage=Usage(),
        receipt_id="",
        created_at=0.0,
    )


def _find_neighbours(
    stream: Stream,
    near: tuple[list[int], list[float]],
    entry_of: dict[int, int],
    entries: list[CacheEntry],
    count: int,
) -> tuple[Neighbour, ...]:
    """One neighbour per entry with its kin, as a store gives them."""
    found: dict[int, tuple[int, list[float]]] = {}
    for row, cosine in zip(*near, strict=True):
        home = entry_of[row]
        if home in found:
            if len(found[home][1]) <= _KIN:
                found[home][1].append(cosine)
            continue
        found[home] = (row, [cosine])
        if len(found) == count:
            break
    return tuple(
        Neighbour(entry=entries[home], cosine=cosines[0], text=stream.texts[row], kin=tuple(cosines[1:]))
        for home, (row, cosines) in found.items()
    )


def run_cache(settings: CacheSettings, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Play a stream for every promise and every seed.

    Args:
        settings: What is measured.
        report: Hears what is being done.

    Raises:
        ConfigError: The file is not of the format, or a number makes no sense.
    """
    from leo_core.engine.assembly import load_pair_model  # noqa: PLC0415 - loads numba

    if settings.seeds < 1 or settings.requests < 1:
        message = "a benchmark needs at least one seed and one request"
        raise ConfigError(message)
    baselines = settings.baselines and not settings.drift
    texts, intents = (read_pair_stream if settings.pairs else read_stream)(settings.data)
    embed, name = _pick_embedder(settings.embedder)
    if settings.pairs:
        pool = resample_pairs(intents, settings.requests, settings.repeats, np.random.default_rng(settings.first_seed))
        texts, intents = [texts[row] for row in pool], [intents[row] for row in pool]
    report(f"embedding {len(texts)} requests with {name}")
    stream = Stream.of(texts, intents, embed)
    pairs = RememberedPairs(load_pair_model())
    orders = [
        np.random.default_rng([seed, 0]).permutation(len(texts))[: settings.requests].tolist()
        for seed in range(settings.first_seed, settings.first_seed + settings.seeds)
    ]
    most = float(np.mean([1.0 - len({intents[row] for row in order}) / len(order) for order in orders]))
    statics = _play_statics(stream, orders, report) if baselines else {}
    promises = []
    for delta in settings.deltas:
        config = CacheConfig(max_wrong_hits=delta)
        played = []
        for number, order in enumerate(orders):
            report(f"max_wrong_hits {delta:g}, seed {number + 1} of {len(orders)}")
            played.append(
                play_leo(
                    stream,
                    order,
                    config,
                    pairs,
                    settings.first_seed + number,
                    timed=number == 0,
                    drifts_at=len(order) // 2 if settings.drift else None,
                )
            )
        rows = [_describe("LEO", played, delta)]
        if baselines:
            rows += _list_statics(statics, delta)
            vcache = [play_vcache(stream, order, delta, number) for number, order in enumerate(orders)]
            rows.append(_describe("vCache (an entry at a time)", vcache, delta))
        times = played[0].decision_ms
        promises.append(
            {
                "max_wrong_hits": delta,
                "policies": rows,
                "broken_at_any_time": sum(one.broken > 0 for one in played) / len(played),
                "explored_rate": float(np.mean([one.explored / one.requests for one in played])),
                "bound_rate": float(np.mean([one.bound / one.requests for one in played])),
                "decision_ms_p50": percentile(times, 0.5) if times else None,
                "decision_ms_p99": percentile(times, 0.99) if times else None,
                "curves": [one.curve for one in played],
                "mistakes": played[0].mistakes,
            }
        )
    return {
        "data": settings.data.name,
        "requests": len(orders[0]),
        "intents": len(set(intents)),
        "embedder": name,
        "seeds": settings.seeds,
        "first_seed": settings.first_seed,
        "most_hits": most,
        "drifts_at": len(orders[0]) // 2 if settings.drift else None,
        "promises": promises,
    }


def _pick_embedder(name: str) -> tuple[Callable[[Sequence[str]], npt.NDArray[np.float32]], str]:
    if name == "minilm":
        from leo_core.evaluation.minilm import MiniLM  # noqa: PLC0415 - needs packages that LEO does not

        return MiniLM().embed, "all-MiniLM-L6-v2"
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    embedder = load_embedder(name)
    return embedder.embed, str(embedder.fingerprint.name)


def _play_statics(
    stream: Stream, orders: Sequence[Sequence[int]], report: Callable[[str], None]
) -> dict[float, list[Outcome]]:
    outcomes = {}
    for threshold in sorted({*THRESHOLDS, GPTCACHE, REDISVL}):
        report(f"cosine at least {threshold:g}")
        outcomes[threshold] = [play_static(stream, order, threshold) for order in orders]
    return outcomes


def _list_statics(statics: dict[float, list[Outcome]], delta: float) -> list[dict[str, Any]]:
    within = [
        threshold
        for threshold, outcomes in statics.items()
        if float(np.mean([one.wrong_rate for one in outcomes])) <= delta
    ]
    best = max(within, key=lambda threshold: np.mean([one.hit_rate for one in statics[threshold]]), default=None)
    rows = [
        _describe(f"GPTCache's default (cosine ≥ {GPTCACHE:g})", statics[GPTCACHE], delta),
        _describe(f"RedisVL's default (cosine ≥ {REDISVL:g})", statics[REDISVL], delta),
    ]
    if best is not None:
        rows.append(_describe(f"best threshold, with hindsight (cosine ≥ {best:g})", statics[best], delta))
    return rows


def _describe(name: str, outcomes: Sequence[Outcome], delta: float) -> dict[str, Any]:
    hits, wrong = sum(one.hits for one in outcomes), sum(one.wrong for one in outcomes)
    rates = [one.wrong_rate for one in outcomes]
    hit_rates = np.array([one.hit_rate for one in outcomes])
    half = 1.96 * float(hit_rates.std(ddof=1)) / len(outcomes) ** 0.5 if len(outcomes) > 1 else 0.0
    return {
        "policy": name,
        "hit_rate": float(hit_rates.mean()),
        "hit_rate_interval": [float(hit_rates.mean()) - half, float(hit_rates.mean()) + half],
        "wrong_rate": float(np.mean(rates)),
        "wrong_rate_most": max(rates),
        "kept": sum(rate <= delta for rate in rates) / len(rates),
        "precision": 1.0 - wrong / hits if hits else None,
        "precision_interval": list(wilson_interval(hits - wrong, hits)),
    }
