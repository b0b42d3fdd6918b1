"""How long a caller who is streaming waits for the first and for the last token, under each streaming policy."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final, get_args

from leo_core.config import LEOConfig
from leo_core.engine.leo import LEO
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, Request, Route, StreamPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leo_core.records import Chunk

__all__ = ["measure_streams"]

_RIGHT: Final = "Canberra is the capital of Australia, and it has been the seat of its parliament since 1927."
_WRONG: Final = "Sydney is the capital of Australia, and it has been the largest of its cities for a long time."
_TIMES: Final[Mapping[str, tuple[float, float]]] = {
    "small": (0.1, 0.02),
    "other": (0.15, 0.02),
    "large": (0.2, 0.03),
}
"""Seconds until the first piece of a reply, and until each further one."""
_WAYS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "one member": (_RIGHT, _RIGHT, {"route": Route.SMALL}),
    "cascade accepted": (_RIGHT, _RIGHT, {"route": Route.CASCADE, "max_error": 1.0}),
    "cascade confirmed": (_RIGHT, _RIGHT, {"route": Route.CASCADE, "max_error": 0.0}),
    "cascade overruled": (_WRONG, _RIGHT, {"route": Route.CASCADE, "max_error": 0.0}),
    "jury agrees": (_RIGHT, _RIGHT, {"route": Route.CONSENSUS}),
    "jury overrules": (_WRONG, _RIGHT, {"route": Route.CONSENSUS}),
}
"""What the small member says, what the others say, and what is asked for."""


def measure_streams(rounds: int = 5, *, scale: float = 1.0) -> dict[str, Any]:
    """Ask scripted members of fixed delays on each way, under each policy in turn, ``rounds`` times.

    Args:
        rounds: How often.
        scale: Factor of the members' delays.

    Returns:
        ``members`` (the small and the large one streamed without LEO: ``first_s``, ``last_s``) and ``rows``, one per
        way and policy: medians ``first_s`` and ``last_s`` of the text and ``verdict_s`` of the answer with its receipt,
        the ratios ``first_ratio`` and ``last_ratio`` to the policy ``verified`` on the same way in the same run, and
        how many streams were ``corrected``.
    """
    rows: list[dict[str, Any]] = []
    alone: dict[str, dict[str, float]] = {}
    for way, (small, others, settings) in _WAYS.items():
        panel = {name: _member(name, small if name == "small" else others, scale) for name in _TIMES}
        jury = tuple(panel.values()) if settings["route"] is Route.CONSENSUS else ()
        with LEO(panel["small"], panel["large"], jury, config=LEOConfig(), seed=0) as leo:
            leo.warm_up()
            rows += _measure_way(leo, way, settings, rounds)
        alone = alone or {name: _measure_alone(panel[name], rounds) for name in ("small", "large")}
    return {"rounds": rounds, "scale": scale, "members": alone, "rows": rows}


def _member(name: str, text: str, scale: float) -> ScriptedModel:
    first_s, pace_s = _TIMES[name]
    return ScriptedModel(name, replies=text, delay_s=scale * first_s, pace_s=scale * pace_s)


def _measure_way(leo: LEO, way: str, settings: Mapping[str, Any], rounds: int) -> list[dict[str, Any]]:
    policies = get_args(StreamPolicy)
    times: dict[str, list[list[float]]] = {policy: [] for policy in policies}
    corrected = dict.fromkeys(policies, 0)
    for _ in range(rounds):
        for policy in policies:
            asked = dict(settings, cache=False, stream_policy=policy)
            *found, was_corrected = _time(leo.stream("What is the capital of Australia?", **asked))
            times[policy].append(found)
            corrected[policy] += was_corrected
    medians = {policy: [median(column) for column in zip(*each, strict=True)] for policy, each in times.items()}
    return [
        {
            "way": way,
            "policy": policy,
            "first_s": first_s,
            "last_s": last_s,
            "verdict_s": verdict_s,
            "first_ratio": first_s / medians["verified"][0],
            "last_ratio": last_s / medians["verified"][1],
            "corrected": corrected[policy],
        }
        for policy, (first_s, last_s, verdict_s) in medians.items()
    ]


def _measure_alone(member: ScriptedModel, rounds: int) -> dict[str, float]:
    request = Request(messages=(Message(role="user", content="What is the capital of Australia?"),))
    times = [_time(member.stream(request))[:2] for _ in range(rounds)]
    first_s, last_s = (median(column) for column in zip(*times, strict=True))
    return {"first_s": first_s, "last_s": last_s}


def _time(chunks: Iterable[Chunk]) -> tuple[float, float, float, bool]:
    """Seconds until the first text, the last text and the end, and whether something was corrected."""
    started = time.perf_counter()
    first_s = last_s = 0.0
    corrected = False
    for chunk in chunks:
        corrected = corrected or chunk.correction is not None
        if chunk.text:
            last_s = time.perf_counter() - started
            first_s = first_s or last_s
    return first_s, last_s, time.perf_counter() - started, corrected
