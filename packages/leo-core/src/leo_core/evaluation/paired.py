"""Two ways of doing the same work, timed in turns in one run."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Comparison", "compare", "describe_machine"]

ROUND_S = 0.5e-3
ROUNDS = 41
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much faster LEO is than a peer.

    Attributes:
        work: What is done.
        peer: The other way of doing it.
        own_us: Median wall time of LEO, µs.
        peer_us: Median wall time of the peer, µs.
        ratio: Median over the rounds of the peer's time by LEO's in the same round; above 1 LEO is faster.
        low: Lower end of its 95 % bootstrap interval over the rounds.
        high: Upper end.
    """

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
    work: str, peer: str, own: Callable[[], object], other: Callable[[], object], *, rounds: int = ROUNDS
) -> Comparison:
    """Time ``own`` and ``other`` in turns, the first one changing every round, after one call of each."""
    own()
    other()
    repeats = [_find_repeats(own), _find_repeats(other)]
    times = np.empty((rounds, 2))
    for index in range(rounds):
        for which in (0, 1) if index % 2 else (1, 0):
            times[index, which] = _time((own, other)[which], repeats[which])
    ratios = times[:, 1] / times[:, 0]
    draws = np.random.default_rng(0).integers(0, rounds, (RESAMPLES, rounds))
    low, high = np.quantile(np.median(ratios[draws], axis=1), [0.025, 0.975])
    own_us, peer_us = np.median(times, axis=0) * 1e6
    return Comparison(
        work=work,
        peer=peer,
        own_us=float(own_us),
        peer_us=float(peer_us),
        ratio=float(np.median(ratios)),
        low=float(low),
        high=float(high),
    )


def describe_machine() -> dict[str, Any]:
    """The machine by its kind and core count only."""
    return {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()}


def _find_repeats(call: Callable[[], object]) -> int:
    """How often to call in one round, so that the clock's own cost does not show."""
    return max(1, int(ROUND_S / max(_time(call, 1), 1e-9)))


def _time(call: Callable[[], object], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats
