"""The test by which a route becomes the default of a region, and the one by which it ceases to be.

**Utility.** A right answer is worth ``loss_usd``, and an answer costs what it cost. The difference is rescaled to
[0, 1] with the bounds −``loss_usd`` and ``loss_usd``, so a cost beyond ``loss_usd`` counts as ``loss_usd``:

    u = (1 + right − min(cost / loss, 1)) / 2.

**Advantage.** A trial compares a challenger with the incumbent. Where one answer shows both, the advantage is
x = u_challenger − u_incumbent. Otherwise a fair coin chose one of the two, and x = ±2 (u − b): + for the challenger,
− for the incumbent, 2 the inverse of the coin's chance, and b the mean utility of earlier trials, which lowers the
variance and is known before. Either way the expectation of x is the difference of the two utilities, and x ≥ −2.

**Test** (testing by betting: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting";
Howard et al. 2021). Capital of 1 is spread evenly over bets λ of 0.025 to 0.4, each of which grows by the factor
1 + λx > 0. If the challenger is on average no better at any time, given the past, the wealth is a nonnegative
supermartingale, and reaches 1/α with probability at most α *ever* (Ville 1939): one may look after every trial. There
are at most four challengers of a default, and each has α/4.

**Decline.** An answer of the default that is wrong is x = 1, else 0; b is the upper end of its error's interval in the
trials that promoted it. M ← max(M, 1) · (1 + λw(x − b)), with w the importance of the audit, is a CUSUM made of
e-values (e-detector: Shin, Ramdas and Rinaldo 2024): while the error stays at or below b, the mean number of outcomes
until M reaches A is at least A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.stages.route.config import RouteConfig

__all__ = [
    "BETS",
    "CHALLENGERS",
    "Contest",
    "Decline",
    "find_level",
    "has_won",
    "measure_utility",
    "settle_paired",
    "settle_single",
    "start_decline",
    "watch_default",
]

BETS = (0.025, 0.05, 0.1, 0.2, 0.4)
"""Shares of the capital that are bet; below 1/2, so that no trial can ruin one."""
CHALLENGERS = 4
"""A default can be challenged by the three other routes and by the router's own choice."""
MOST_IMPORTANCE = 10.0
"""Largest weight of an audit in :func:`watch_default`."""
_ONE_SIDED = 1.6448536269514722
"""Standard normal quantile of 95 %."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Contest:
    """A comparison of a challenger with the incumbent, so far.

    Attributes:
        capital: Logarithm of what each bet has grown to, in the order of :data:`BETS`.
        trials: How many there were.
        utility: Sum of the utilities seen, and ``seen`` how many.
        seen: See ``utility``.
        right: Right answers of the challenger.
        wrong: Its wrong ones.
    """

    capital: tuple[float, ...] = (0.0,) * len(BETS)
    trials: int = 0
    utility: float = 0.0
    seen: int = 0
    right: int = 0
    wrong: int = 0

    @property
    def wealth(self) -> float:
        """What the capital of 1 has become."""
        return sum(math.exp(min(each, 300.0)) for each in self.capital) / len(self.capital)

    @property
    def usual(self) -> float:
        """Mean utility of the trials so far; 1/2 before the first."""
        return (0.5 + self.utility) / (1.0 + self.seen)


@dataclass(frozen=True, slots=True)
class Decline:
    """Whether a default got worse.

    Attributes:
        baseline: Error up to which it is as good as it was, in (0, 1).
        evidence: M; 1 and below say nothing.
        outcomes: Outcomes seen.
    """

    baseline: float
    evidence: float = 1.0
    outcomes: int = 0


def measure_utility(cost_usd: float, config: RouteConfig, *, right: bool) -> float:
    """Utility of an answer, in [0, 1]. Where an error costs nothing, the price decides alone."""
    dear = min(cost_usd / config.loss_usd, 1.0) if config.loss_usd > 0.0 else float(cost_usd > 0.0)
    return (1.0 + float(right and config.loss_usd > 0.0) - dear) / 2.0


def settle_paired(contest: Contest, challenger: float, incumbent: float, *, right: bool) -> Contest:
    """The contest after a trial that showed both.

    Args:
        contest: So far.
        challenger: Utility of the challenger's answer, in [0, 1].
        incumbent: That of the incumbent's.
        right: Whether the challenger's answer was right.
    """
    return _settle(contest, challenger - incumbent, (challenger, incumbent), right=right)


def settle_single(contest: Contest, utility: float, *, challenger: bool, right: bool) -> Contest:
    """The contest after a trial in which a fair coin chose one of the two.

    Args:
        contest: So far.
        utility: Utility of the answer that was given, in [0, 1].
        challenger: Whether the challenger gave it.
        right: Whether it was right.
    """
    advantage = 2.0 * (utility - contest.usual)
    return _settle(contest, advantage if challenger else -advantage, (utility,), right=right if challenger else None)


def _settle(contest: Contest, advantage: float, utilities: tuple[float, ...], *, right: bool | None) -> Contest:
    return Contest(
        tuple([kept + math.log1p(bet * advantage) for kept, bet in zip(contest.capital, BETS, strict=True)]),
        contest.trials + 1,
        contest.utility + sum(utilities),
        contest.seen + len(utilities),
        contest.right + (right is True),
        contest.wrong + (right is False),
    )


def find_level(config: RouteConfig) -> float:
    """α of one contest: that of the region, shared by its challengers; nine decimals, as receipts state it."""
    return max(round(config.promotion_alpha / CHALLENGERS, 9), 1e-9)


def has_won(contest: Contest, alpha: float) -> bool:
    """Whether the challenger takes the incumbent's place."""
    return contest.wealth >= 1.0 / alpha + _ROUNDING


def start_decline(contest: Contest) -> Decline:
    """Begin to watch a default; the upper 95 % bound of its error in the contest (Wilson 1927) is its baseline."""
    count, square = contest.right + contest.wrong, _ONE_SIDED**2
    share = contest.wrong / count if count else 0.5
    spread = math.sqrt(share * (1.0 - share) / max(count, 1) + square / (4.0 * max(count, 1) ** 2))
    upper = (share + square / (2.0 * max(count, 1)) + _ONE_SIDED * spread) / (1.0 + square / max(count, 1))
    return Decline(baseline=min(max(upper, 0.01), 0.95))


def watch_default(decline: Decline, config: RouteConfig, *, wrong: bool, weight: float = 1.0) -> Decline:
    """Count an outcome of the default.

    Args:
        decline: So far.
        config: ``decline`` is the rise of the error that is found soonest.
        wrong: Whether the answer was wrong.
        weight: Importance of the audit: the inverse of how likely it was, relative to the rate; at most 10 count.
    """
    base, weight = decline.baseline, min(max(weight, 0.0), MOST_IMPORTANCE)
    bet = min(config.decline / (base * (1.0 - base)), 0.9 / (MOST_IMPORTANCE * base))
    factor = 1.0 + bet * weight * (float(wrong) - base)
    return replace(decline, evidence=max(decline.evidence, 1.0) * factor, outcomes=decline.outcomes + 1)
