"""Which answers are accepted, once audits have shown what their risk scores are worth.

A score is calibrated on recordings; the traffic may differ. From the latest audited answers, a threshold is chosen such
that, with the confidence asked for, at most a share ``max_error`` of the answers accepted is wrong (selection with
guaranteed risk, Geifman & El-Yaniv 2017; fixed-sequence tests as in *Learn then test*, Angelopoulos et al. 2021). For a
threshold that leaves n answers, k of them wrong, the test is exact: P(Bin(n, max_error) ≤ k) must be at most 1 −
confidence. Thresholds are tried from the careful to the bold, from four places on, each with a quarter of what may go
wrong, until the first that fails. Audits that were drawn with different probabilities weigh accordingly; n is then
their effective number (Σw)² / Σw² (Kish 1965), both rounded to the careful side, and the test is an approximation. The
confidence is that of one threshold: it holds whenever one is read, not for all that are ever read together.

The guarantee is for answers that come like the audited ones did. A two-sample Kolmogorov-Smirnov test compares the form
of the latest answers of the small member (their risk alone, without other answers and what was learned about members,
which change with the routes) with that of the first ones; where it sounds, the audits so far are dropped, and until
there are enough again an answer is accepted on the upper bound of its interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from leo_core.records import Json
    from leo_core.stages.risk.config import RiskConfig

__all__ = ["AcceptanceState", "Outcome", "find_accepted", "measure_ks", "update_acceptance"]

_STARTS = 4
_STEPS = 100
"""Thresholds tried, at most, from each start."""
_ROUNDING = 1e-9
_ROOM = 100
"""Critical numbers are worked out for so many more answers at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An audited answer.

    Attributes:
        value: Its risk when it was served, in [0, 1].
        wrong: What the audit found.
        weight: Importance: the inverse of how likely the audit was, relative to the rate.
    """

    value: float
    wrong: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceState:
    """Audited answers and the form of all, latest last.

    Attributes:
        outcomes: The latest audited answers since the last alarm.
        reference: Forms that later ones are compared with.
        forms: Forms since the last comparison.
        alarms: How often they were found to have drifted.
    """

    outcomes: tuple[Outcome, ...] = ()
    reference: tuple[float, ...] = ()
    forms: tuple[float, ...] = ()
    alarms: int = 0
    _found: dict[tuple[float, float], float | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def fresh(cls) -> AcceptanceState:
        """Nothing observed."""
        return cls()

    def find_threshold(self, max_error: float, confidence: float) -> float | None:
        """The boldest threshold on the value that passes; -1 where none does; ``None`` before there are enough audits.

        Args:
            max_error: Share of the accepted answers that may be wrong, in [0, 1].
            confidence: With which it is kept, in (0, 1).
        """
        asked = max_error, confidence
        if asked not in self._found:  # one request asks for the same one many times
            self._found[asked] = _test_thresholds(self.outcomes, max_error, confidence)
        return self._found[asked]


def find_accepted(
    state: AcceptanceState, max_error: float, config: RiskConfig
) -> tuple[float, Literal["shipped", "audited", "conservative"]]:
    """The largest figure that is accepted, and what it stands on.

    Args:
        state: What was audited.
        max_error: Share of the accepted answers that may be wrong, in [0, 1].
        config: Settings.

    Returns:
        ``audited``: the threshold on the value; -1 where no answer can be accepted. Before there are enough audits,
        ``max_error`` itself: ``shipped`` to compare with what ``config.accept_on`` says, ``conservative`` (after an
        alarm) with the upper bound.
    """
    audited = state.find_threshold(max_error, config.accept_confidence)
    if audited is not None:
        return audited, "audited"
    return max_error, "conservative" if state.alarms else "shipped"


def _test_thresholds(outcomes: Sequence[Outcome], max_error: float, confidence: float) -> float | None:
    """The boldest threshold that passes; -1 where none does; ``None`` where not even flawless answers would pass."""
    if not outcomes or max_error <= 0.0 or max_error >= 1.0:
        return None
    ordered = sorted(outcomes, key=lambda each: each.value)
    values = np.array([each.value for each in ordered])
    weights = np.array([each.weight for each in ordered])
    sums = np.cumsum(weights)
    known = sums * sums / np.cumsum(weights * weights)
    wrong = np.cumsum(weights * np.array([each.wrong for each in ordered])) / sums * known
    level = (1.0 - confidence) / _STARTS
    room = -(-len(ordered) // _ROOM) * _ROOM
    allowed = _count_allowed(max_error, level, room)[np.floor(known + _ROUNDING).astype(np.int64)]
    if not (allowed >= 0).any():
        return None
    passes = np.ceil(wrong - _ROUNDING) <= allowed
    first, last = int(np.argmax(allowed >= 0)), len(ordered) - 1
    best = -1.0
    for start in sorted({first + (last - first) * each // _STARTS for each in range(_STARTS)}):
        for place in _places(values, start, last):
            if not passes[place]:
                break
            best = max(best, float(values[place]))
    return best


def _places(values: npt.NDArray[np.float64], start: int, last: int) -> list[int]:
    """Where thresholds are tried: evenly spaced from ``start`` to ``last``, each moved to the last of its equals."""
    evenly = np.unique(np.linspace(start, last, min(_STEPS, last - start + 1)).astype(np.int64))
    return sorted(set((np.searchsorted(values, values[evenly], side="right") - 1).tolist()))


@lru_cache(maxsize=64)
def _count_allowed(max_error: float, level: float, most: int) -> npt.NDArray[np.int64]:
    """How many of n answers may be wrong, for n = 0 ... ``most``: the largest k with P(Bin(n, max_error) ≤ k) ≤ level.

    -1 where not even none may be.
    """
    found = np.full(most + 1, -1, dtype=np.int64)
    for count in range(1, most + 1):
        allowed = int(found[count - 1])
        if _sum_binomial(count, allowed + 1, max_error) <= level:
            allowed += 1
        found[count] = allowed
    return found


def _sum_binomial(count: int, most: int, share: float) -> float:
    """P(Bin(count, share) ≤ most)."""
    odds = math.log(share) - math.log1p(-share)
    term = count * math.log1p(-share)
    total = math.exp(term)
    for k in range(1, most + 1):
        term += math.log(count - k + 1) - math.log(k) + odds
        total += math.exp(term)
    return total


def measure_ks(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Statistic of the two-sample Kolmogorov-Smirnov test, and its asymptotic p-value.

    The largest distance D of the two empirical distributions, and P(√(nm / (n + m)) D is exceeded) by Kolmogorov's
    series 2 Σ (−1)^(j−1) e^(−2 j² t²) (Smirnov 1948). Both samples hold at least one number.
    """
    one, two = np.sort(np.asarray(first, dtype=np.float64)), np.sort(np.asarray(second, dtype=np.float64))
    both = np.concatenate([one, two])
    shares = np.searchsorted(one, both, side="right") / len(one) - np.searchsorted(two, both, side="right") / len(two)
    distance = float(np.abs(shares).max())
    square = distance * distance * len(one) * len(two) / (len(one) + len(two))
    steps = np.arange(1, 101)
    series = float((2.0 * np.where(steps % 2, 1.0, -1.0) * np.exp(-2.0 * steps * steps * square)).sum())
    return distance, min(max(series, 0.0), 1.0) if square > 1e-3 else 1.0  # noqa: PLR2004 - where the series is 1


def update_acceptance(state: AcceptanceState, body: Mapping[str, Json], config: RiskConfig) -> AcceptanceState:
    """Fold the body of a ``"route"`` observation.

    It holds ``form`` (:func:`~leo_core.stages.risk.answer.measure_form`) when the answer was served, or, when it was
    audited, ``audited``, ``right``, ``weight`` and ``risk``, the value when it was served.
    """
    if body.get("form") is not None:
        state = _compare_form(state, float(body["form"]), config)
    if not body.get("audited") or body.get("right") is None or body.get("risk") is None:
        return state
    weight = float(body.get("weight", 1.0))
    if not weight > 0.0:
        return state
    outcome = Outcome(float(body["risk"]), wrong=not body["right"], weight=weight)
    return replace(state, outcomes=(*state.outcomes, outcome)[-config.outcomes_kept :])


def _compare_form(state: AcceptanceState, form: float, config: RiskConfig) -> AcceptanceState:
    """One more form; whenever there are enough of them, they are compared with the first ones."""
    if len(state.reference) < config.drift_window:
        return replace(state, reference=(*state.reference, form))
    forms = (*state.forms, form)
    if len(forms) < config.drift_window:
        return replace(state, forms=forms)
    if measure_ks(state.reference, forms)[1] >= config.drift_level:
        return replace(state, forms=())
    return AcceptanceState(reference=forms, alarms=state.alarms + 1)
