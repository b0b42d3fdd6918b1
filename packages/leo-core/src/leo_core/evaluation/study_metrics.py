"""Rules that answered the same questions, compared: paired differences, the Pareto front, dominance, regret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Tally", "compare_tallies", "describe", "find_dominating", "find_front", "measure_learning"]

DRAWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a rule got on each question, in the order of the file.

    Attributes:
        name: Its name.
        right: Share of its runs in which it was right, float64 (n,), in [0, 1].
        cost: Its mean cost in US dollars, float64 (n,); ``None`` where a price is unknown.
        note: What has to be known about it.
        static: Whether it needs no LEO.
        member: Whether it asks members named in the command only.
    """

    name: str
    right: Floats
    cost: Floats | None
    note: str = ""
    static: bool = True
    member: bool = True


def _draw_rows(count: int) -> npt.NDArray[np.int64]:
    """The same resampled questions for every comparison, (DRAWS, count)."""
    return np.random.default_rng(0).integers(0, count, (DRAWS, count))


def _interval(values: Floats) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def compare_tallies(one: Tally, other: Tally) -> dict[str, Any]:
    """``one`` beside ``other``, paired over the questions, with 95 % bootstrap intervals.

    Returns:
        ``quality`` (accuracy of ``one`` less that of ``other``), ``cost_ratio`` (of ``one`` to ``other``) and
        ``cost`` (difference in US dollars per question), each with its ``…_interval``; the latter two are ``None``
        where a price is unknown, the ratio also where ``other`` is free.
    """
    rows = _draw_rows(len(one.right))
    gap = one.right - other.right
    found: dict[str, Any] = {"quality": float(gap.mean()), "quality_interval": _interval(gap[rows].mean(axis=1))}
    found |= dict.fromkeys(("cost", "cost_interval", "cost_ratio", "cost_ratio_interval"))
    if one.cost is None or other.cost is None:
        return found
    spent, theirs = one.cost[rows].mean(axis=1), other.cost[rows].mean(axis=1)
    found |= {"cost": float((one.cost - other.cost).mean()), "cost_interval": _interval(spent - theirs)}
    if (theirs > 0.0).all():
        found |= {
            "cost_ratio": float(one.cost.mean() / other.cost.mean()),
            "cost_ratio_interval": _interval(spent / theirs),
        }
    return found


def describe(tally: Tally, best: Tally) -> dict[str, Any]:
    """A row of the result: the rule by itself, and beside the best single model."""
    rows = _draw_rows(len(tally.right))
    beside = compare_tallies(tally, best)
    return {
        "name": tally.name,
        "static": tally.static,
        "member": tally.member,
        "accuracy": float(tally.right.mean()),
        "accuracy_interval": _interval(tally.right[rows].mean(axis=1)),
        "cost_per_question_usd": None if tally.cost is None else float(tally.cost.mean()),
        "cost_interval": None if tally.cost is None else _interval(tally.cost[rows].mean(axis=1)),
        "over_best": beside["quality"],
        "over_best_interval": beside["quality_interval"],
        "cost_ratio": beside["cost_ratio"],
        "cost_ratio_interval": beside["cost_ratio_interval"],
        "note": tally.note,
    }


def find_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (cost, quality) points that no other point beats: none is as cheap and as good, and better in one.

    The cheapest comes first; equal points are all kept.
    """
    kept = [
        name
        for name, (cost, quality) in points.items()
        if not any(
            other_cost <= cost and other >= quality and (other_cost < cost or other > quality)
            for other_cost, other in points.values()
        )
    ]
    return sorted(kept, key=lambda name: (points[name], name))


def find_dominating(leo: Tally, rules: Sequence[Tally]) -> dict[str, list[str]]:
    """Static rules that are both cheaper and better than LEO.

    Returns:
        ``beyond``: those of which both 95 % intervals of the paired differences leave out 0; ``within``: those that
        are cheaper and better on average, but not beyond the intervals.
    """
    found: dict[str, list[str]] = {"beyond": [], "within": []}
    for rule in rules:
        if not rule.static or rule.cost is None or leo.cost is None:
            continue
        beside = compare_tallies(rule, leo)
        if beside["quality"] > 0.0 and beside["cost"] < 0.0:
            clear = beside["quality_interval"][0] > 0.0 and beside["cost_interval"][1] < 0.0
            found["beyond" if clear else "within"].append(rule.name)
    return found


def measure_learning(
    right: Floats, cost: Floats, best_right: Floats, best_cost: Floats, *, loss_usd: float, blocks: int = 10
) -> dict[str, list[Any]]:
    """Accuracy, cost and regret along a stream, with the least and the most over its orders.

    The regret of a request is what it cost more than the best fixed route on the same request: US dollars spent, and
    ``loss_usd`` for a wrong answer. It may be negative.

    Args:
        right: Whether the answer was right, float64 (seeds, n), in the order of each stream.
        cost: US dollars, (seeds, n).
        best_right: The same of the best fixed route in hindsight, in the same orders.
        best_cost: See ``best_right``.
        loss_usd: Loss of a wrong answer, US dollars.
        blocks: Into how many parts of equal length, give or take one, a stream is cut.
    """
    count = right.shape[1]
    ends = np.array([len(part) for part in np.array_split(np.arange(count), min(blocks, count))]).cumsum()
    starts = np.concatenate([[0], ends[:-1]])
    regret = np.cumsum((cost - best_cost) + loss_usd * (best_right - right), axis=1)[:, ends - 1]
    parts = {
        "accuracy": np.stack([right[:, a:b].mean(axis=1) for a, b in zip(starts, ends, strict=True)], axis=1),
        "cost": np.stack([cost[:, a:b].mean(axis=1) for a, b in zip(starts, ends, strict=True)], axis=1),
        "regret": regret,
    }
    found: dict[str, list[Any]] = {"requests": ends.tolist()}
    for name, values in parts.items():
        found[name] = values.mean(axis=0).tolist()
        found[f"{name}_band"] = [[float(v.min()), float(v.max())] for v in values.T]
    return found
