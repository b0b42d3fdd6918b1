"""Two ways of doing the same work, timed in turns in one run."""

from __future__ import annotations

import importlib
import os
import platform
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["Comparison", "compare", "describe_machine", "find_module", "hold_one_thread"]

ROUND_S = 2e-3
ROUNDS = 41
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much faster LEO is than a peer.

    Attributes:
        kernel: Name of the kernel that LEO's way stands on; empty for none.
        work: What is done.
        peer: The other way of doing it.
        own_us: Median CPU time of LEO, µs.
        peer_us: Median CPU time of the peer, µs.
        ratio: Median over the rounds of the peer's time by LEO's in the same round; above 1 LEO is faster.
        low: Lower end of its 95 % bootstrap interval over the rounds.
        high: Upper end.
    """

    kernel: str
    work: str
    peer: str
    own_us: float
    peer_us: float
    ratio: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def compare(
    work: str,
    peer: str,
    own: Callable[[], object],
    other: Callable[[], object],
    *,
    rounds: int = ROUNDS,
    kernel: str = "",
    clock: Callable[[], float] = time.process_time,
) -> Comparison:
    """Time ``own`` and ``other`` in turns, the first one changing every round, after one call of each.

    Args:
        work: What is done.
        peer: The other way of doing it.
        own: LEO's way.
        other: The peer's way.
        rounds: How often each is timed.
        kernel: Name of the kernel that LEO's way stands on, such as ``"kmeans.move_centre"``.
        clock: Seconds; CPU time, so that neither other work on the machine nor threads of a library help or harm.
    """
    own()
    other()
    repeats = [_find_repeats(own, clock), _find_repeats(other, clock)]
    times = np.empty((rounds, 2))
    for index in range(rounds):
        for which in (0, 1) if index % 2 else (1, 0):
            times[index, which] = _time((own, other)[which], repeats[which], clock)
    ratios = times[:, 1] / times[:, 0]
    draws = np.random.default_rng(0).integers(0, rounds, (RESAMPLES, rounds))
    low, high = np.quantile(np.median(ratios[draws], axis=1), [0.025, 0.975])
    own_us, peer_us = np.median(times, axis=0) * 1e6
    return Comparison(
        kernel=kernel,
        work=work,
        peer=peer,
        own_us=float(own_us),
        peer_us=float(peer_us),
        ratio=float(np.median(ratios)),
        low=float(low),
        high=float(high),
    )


def find_module(name: str) -> Any | None:
    """A module if it is installed; peers are no dependencies."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def hold_one_thread() -> AbstractContextManager[object]:
    """Every library on one thread, where the means to say so are installed."""
    threads = find_module("threadpoolctl")
    return nullcontext() if threads is None else cast("AbstractContextManager[object]", threads.threadpool_limits(1))


def describe_machine() -> dict[str, Any]:
    """The machine by its kind and core count only."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def _find_repeats(call: Callable[[], object], clock: Callable[[], float]) -> int:
    """How often to call in one round, so that the clock's own cost does not show."""
    return max(1, int(ROUND_S / max(_time(call, 1, clock), 1e-9)))


def _time(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    if repeats > 1:
        call()  # the other one has filled the processor's caches with its own
    started = clock()
    for _ in range(repeats):
        call()
    return (clock() - started) / repeats
