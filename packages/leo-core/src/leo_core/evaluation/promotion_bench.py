"""How often the promotion test promotes in vain, and how soon it finds what is there: on simulated streams.

Nothing is measured on real traffic here: right and wrong are drawn. The code that is run is the router's own
(:mod:`leo_core.stages.route.promotion`), trial by trial.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation.metrics import clopper_pearson, percentile
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.promotion import (
    Contest,
    find_level,
    has_won,
    measure_utility,
    settle_paired,
    settle_single,
    start_decline,
    watch_default,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["PromotionSettings", "Stream", "run_promotion"]

SHARED = 0.5
"""Share of the questions on which one draw decides for both, so that they are right and wrong together."""
SWING = 0.1
"""How far the accuracy of both moves over a stream with drift."""
FIRST_LOOK = 30
"""Trials from which the naive test is looked at."""
SHARES = tuple(step / 20.0 for step in range(1, 21))
"""Shares of the streams whose promotions make the timeline."""
KNOWN = 500
"""Answers of the default on which its baseline stands."""
ERROR, WORSE = 0.10, 0.20
"""Error of a default before and after it got worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionSettings:
    """How much is simulated.

    Attributes:
        streams: Streams of each kind.
        trials: Most trials of a stream.
        gain: True difference in accuracy that is to be found, in (0, 1).
        alpha: Level at which false promotions are counted.
        seed: Of all draws.
    """

    streams: int = 1000
    trials: int = 2000
    gain: float = 0.05
    alpha: float = 0.05
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A kind of stream.

    Attributes:
        base: Accuracy of the incumbent.
        gain: How much more often the challenger is right.
        paired: Whether each trial shows both, or a coin chooses one.
        drift: Whether the accuracy of both rises by twice :data:`SWING` from first to last.
    """

    base: float
    gain: float = 0.0
    paired: bool = True
    drift: bool = False


_NULLS = tuple(
    Stream(base=base, paired=paired, drift=drift)
    for paired in (True, False)
    for base, drift in ((0.5, False), (0.8, False), (0.95, False), (0.7, True))
)


def run_promotion(settings: PromotionSettings, report: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Simulate streams without a difference, with one, and defaults that get worse or do not.

    Args:
        settings: How much.
        report: Told what is simulated next.

    Returns:
        ``nulls``, ``gains`` and ``declines``; the fields are documented with the benchmarks.
    """
    source, config = np.random.default_rng(settings.seed), RouteConfig()
    tell = report or (lambda _: None)
    nulls = []
    for stream in _NULLS:
        tell(f"no difference: {stream}")
        nulls.append(_measure_null(stream, settings, config, source))
    gains = []
    for paired in (True, False):
        stream = Stream(base=0.8, gain=settings.gain, paired=paired)
        tell(f"a difference: {stream}")
        gains.append(_measure_gain(stream, replace(settings, trials=10 * settings.trials), config, source))
    tell("declines")
    return {
        "benchmark": "promotion",
        "simulated": True,
        "seed": settings.seed,
        "streams": settings.streams,
        "trials": settings.trials,
        "alpha": settings.alpha,
        "shipped_alpha": find_level(config),
        "nulls": nulls,
        "gains": gains,
        "declines": _measure_declines(settings, config, source),
    }


# ------------------------------------------------------------------------------------------------- streams


def _draw(stream: Stream, trials: int, source: np.random.Generator) -> tuple[Any, Any, Any]:
    """Whether incumbent and challenger are right, and which of them is asked where only one is; each bool, (n,)."""
    slope = np.linspace(-SWING, SWING, trials) if stream.drift else 0.0
    one, other = source.random(trials), source.random(trials)
    other = np.where(source.random(trials) < SHARED, one, other)
    return one < stream.base + slope, other < stream.base + stream.gain + slope, source.random(trials) < 0.5  # noqa: PLR2004 - a coin


def _count_trials(stream: Stream, drawn: tuple[Any, Any, Any], alpha: float, config: RouteConfig) -> int | None:
    """Trials until the challenger is promoted; ``None`` if it never is."""
    value = (measure_utility(0.0, config, right=False), measure_utility(0.0, config, right=True))
    contest = Contest()
    for number, (incumbent, challenger, heads) in enumerate(zip(*(each.tolist() for each in drawn), strict=True), 1):
        if stream.paired:
            contest = settle_paired(contest, value[challenger], value[incumbent], right=challenger)
        else:
            right = challenger if heads else incumbent
            contest = settle_single(contest, value[right], challenger=heads, right=right)
        if has_won(contest, alpha):
            return number
    return None


def _count_naive(stream: Stream, drawn: tuple[Any, Any, Any], alpha: float) -> bool:
    """Whether a one-sided z-test that is looked at after every trial promotes at some time."""
    incumbent, challenger, heads = drawn
    if stream.paired:
        z = _z_paired(challenger.astype(float) - incumbent.astype(float))
    else:
        z = _z_two(np.where(heads, challenger, incumbent).astype(float), heads)
    return bool(np.any(z[FIRST_LOOK - 1 :] > NormalDist().inv_cdf(1.0 - alpha)))


def _z_paired(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    count = np.arange(1, len(x) + 1)
    mean = np.cumsum(x) / count
    variance = np.cumsum(x * x) / count - mean * mean
    return np.where(variance > 0.0, mean / np.sqrt(np.maximum(variance, 1e-12) / count), 0.0)


def _z_two(right: npt.NDArray[np.float64], heads: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    counts = [np.cumsum(side) for side in (heads, ~heads)]
    means = [
        np.cumsum(right * side) / np.maximum(count, 1) for side, count in zip((heads, ~heads), counts, strict=True)
    ]
    pooled = np.cumsum(right) / np.arange(1, len(right) + 1)
    variance = pooled * (1.0 - pooled) * (1.0 / np.maximum(counts[0], 1) + 1.0 / np.maximum(counts[1], 1))
    return np.where(variance > 0.0, (means[0] - means[1]) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)


# ------------------------------------------------------------------------------------------------- figures


def _measure_null(
    stream: Stream, settings: PromotionSettings, config: RouteConfig, source: np.random.Generator
) -> dict[str, Any]:
    false = naive = 0
    for _ in range(settings.streams):
        drawn = _draw(stream, settings.trials, source)
        false += _count_trials(stream, drawn, settings.alpha, config) is not None
        naive += _count_naive(stream, drawn, settings.alpha)
    return {
        "base": stream.base,
        "paired": stream.paired,
        "drift": stream.drift,
        "false": false,
        "share": false / settings.streams,
        "share_interval": clopper_pearson(false, settings.streams),
        "naive_share": naive / settings.streams,
        "naive_interval": clopper_pearson(naive, settings.streams),
    }


def _measure_gain(
    stream: Stream, settings: PromotionSettings, config: RouteConfig, source: np.random.Generator
) -> dict[str, Any]:
    alpha = find_level(config)
    found = [
        _count_trials(stream, _draw(stream, settings.trials, source), alpha, config) for _ in range(settings.streams)
    ]
    waits = [float("inf") if each is None else float(each) for each in found]
    return {
        "base": stream.base,
        "gain": stream.gain,
        "paired": stream.paired,
        "found": sum(each is not None for each in found),
        "within": settings.trials,
        "median": _finite(sorted(waits)[len(waits) // 2]),
        "p90": _finite(sorted(waits)[math.ceil(0.9 * len(waits)) - 1]),
        "timeline": [_finite(sorted(waits)[math.ceil(share * len(waits)) - 1]) for share in SHARES],
        "fixed_sample": _find_fixed(stream, alpha, power=0.9),
    }


def _finite(wait: float) -> int | None:
    return int(wait) if math.isfinite(wait) else None


def _find_fixed(stream: Stream, alpha: float, power: float) -> int:
    """Trials that a z-test needs which is looked at once, at the end, and knows the variance."""
    incumbent, challenger = stream.base, stream.base + stream.gain
    own = challenger * (1.0 - challenger) + incumbent * (1.0 - incumbent)
    together = SHARED * (min(incumbent, challenger) - incumbent * challenger)
    variance = own - 2.0 * together if stream.paired else 2.0 * own
    score = NormalDist().inv_cdf(1.0 - alpha) + NormalDist().inv_cdf(power)
    return math.ceil(score * score * variance / stream.gain**2)


def _measure_declines(settings: PromotionSettings, config: RouteConfig, source: np.random.Generator) -> dict[str, Any]:
    """Outcomes until a default that got worse is demoted, and how many that did not were."""
    wrong = round(ERROR * KNOWN)
    decline = start_decline(Contest(right=KNOWN - wrong, wrong=wrong))

    def wait(error: float) -> int | None:
        state = decline
        for number, bad in enumerate((source.random(settings.trials) < error).tolist(), 1):
            state = watch_default(state, config, wrong=bad)
            if state.evidence >= config.false_alarm_after:
                return number
        return None

    worse = [wait(WORSE) for _ in range(settings.streams)]
    steady = [wait(ERROR) for _ in range(settings.streams)]
    edge = [wait(decline.baseline) for _ in range(settings.streams)]
    found = [float(each) for each in worse if each is not None]
    alarms, at_edge = (sum(each is not None for each in waits) for waits in (steady, edge))
    return {
        "error": ERROR,
        "worse": WORSE,
        "baseline": decline.baseline,
        "false_alarm_after": config.false_alarm_after,
        "within": settings.trials,
        "found": len(found),
        "median": percentile(found, 0.5) if found else None,
        "p90": percentile(found, 0.9) if found else None,
        "false": alarms,
        "false_interval": clopper_pearson(alarms, settings.streams),
        "false_at_baseline": at_edge,
        "false_at_baseline_interval": clopper_pearson(at_edge, settings.streams),
    }
