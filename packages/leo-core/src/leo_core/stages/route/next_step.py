"""What a cascade does next: serve the small member's answer, ask another opinion, or ask the large member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from leo_core.records import Route
from leo_core.stages.route.odds import log_odds, probability
from leo_core.stages.route.opinions import AGREES, DIFFERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.stages.route.opinions import Beliefs

__all__ = ["Prospect", "Stakes", "choose_step", "foresee_routes", "mended"]

_Step = Literal["accept", "ask", "large"]

_MENDED = (0.52, 0.18)
"""Of small answers that are wrong with probability w, the large member mends w · (0.52 + 0.18 · w), less those that it
spoils, whatever jurors had said before: between the two lines that ``train/opinions.py`` fits. It prints the next
figure too."""
_JURY = 0.8
"""P(a vote of the jury is wrong) beside P(the small answer is wrong), where the first juror contradicts that."""
ELSEWHERE = 20.0
"""Cascades of other regions that count in one, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What is at stake in a cascade, in US dollars.

    Attributes:
        loss: Loss of a wrong answer, ≥ 0.
        large: Price of the large member's call.
        jurors: Prices of the jurors that can still be asked, in the order in which they would be.
        servable: Whether any answer of the small member may be served at all. Where audits leave none, every cascade
            ends with the large member, whatever is asked and said before.
    """

    loss: float
    large: float
    jurors: Sequence[float] = ()
    servable: bool = True


def choose_step(beliefs: Beliefs, pattern: str, shift: float, stakes: Stakes, *, acceptable: bool = True) -> _Step:
    """The step with the least expected cost and loss, looking one opinion ahead.

    The large member is worth what it mends, less its price. An opinion is worth what would be decided better with it,
    less its price: the chance of each thing it may say times what the large member would then be worth, where that is
    more than nothing. Where nothing may be served without the large member, nothing is decided better by an opinion.
    Ties go to the cheaper step.

    Args:
        beliefs: What opinions are worth in the region.
        pattern: What was said so far; without a juror who left it open.
        shift: How much likelier than a typical one this answer is wrong, in log-odds.
        stakes: What is at stake.
        acceptable: Whether the small answer may be served as it is.
    """
    if not stakes.servable:
        return "large"
    now = _worth_large(beliefs, pattern, shift, stakes)
    if not stakes.jurors:
        return "accept" if acceptable and now <= 0.0 else "large"
    agreed = beliefs.agreement(pattern)
    after = [(agreed, _worth_large(beliefs, pattern + AGREES, shift, stakes))]
    after.append((1.0 - agreed, _worth_large(beliefs, pattern + DIFFERS, shift, stakes)))
    rest = now - sum(chance * worth for chance, worth in after)  # an opinion alone changes nothing on average
    later = sum(chance * max(worth + rest, 0.0) for chance, worth in after)
    clear = 1.0 - beliefs.openness(pattern)
    ask = clear * later + (1.0 - clear) * (max(now, 0.0) if acceptable else now) - stakes.jurors[0]
    if acceptable and max(now, ask) <= 0.0:
        return "accept"
    return "ask" if ask >= now else "large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What is expected of the routes where a cascade may ask for opinions, by what earlier cascades showed.

    Attributes:
        cost_usd: Of all calls of the cascade, in US dollars.
        missed: P(it serves a wrong answer that the large member would have mended), less the right ones that that
            member would have spoilt, in [0, 1].
        errors: P(wrong) of this request by route: small, large and consensus.
        usual: The same of a typical request of the region.
        known: Cascades in the region so far, and at most :data:`ELSEWHERE` of other regions.
    """

    cost_usd: float
    missed: float
    errors: Mapping[Route, float]
    usual: Mapping[Route, float]
    known: float = 0.0


def foresee_routes(beliefs: Beliefs, shift: float, stakes: Stakes, small: float) -> Prospect:
    """What a cascade will cost and miss, if it takes at each place the step that looks best there; and what routes err.

    Args:
        beliefs: What opinions are worth in the region.
        shift: How much likelier than in a typical request the small answer is wrong, in log-odds.
        stakes: What is at stake.
        small: Price of the small member's call.
    """
    cost, missed = _foresee(beliefs, "", shift, stakes)
    known = beliefs.here.tally("").seen + min(beliefs.everywhere.tally("").seen, ELSEWHERE)
    errors, usual = _list_errors(beliefs, shift), _list_errors(beliefs, 0.0)
    return Prospect(cost_usd=small + cost, missed=missed, errors=errors, usual=usual, known=known)


def _list_errors(beliefs: Beliefs, shift: float) -> dict[Route, float]:
    """P(wrong) of small, of large, which mends some of that, and of a jury, which errs where jurors differ."""
    agreed = beliefs.agreement("")
    held, denied = _wrong(beliefs, AGREES, shift), _wrong(beliefs, DIFFERS, shift)
    saved = agreed * mended(held) + (1.0 - agreed) * mended(denied)
    small = agreed * held + (1.0 - agreed) * denied
    jury = agreed * held + (1.0 - agreed) * _JURY * denied
    return {Route.SMALL: small, Route.LARGE: small - saved, Route.CONSENSUS: jury}


def _foresee(beliefs: Beliefs, pattern: str, shift: float, stakes: Stakes) -> tuple[float, float]:
    """What is still spent after the pattern, and what is missed."""
    step = choose_step(beliefs, pattern, shift, stakes)
    if step == "large":
        return stakes.large, 0.0
    served = 0.0, mended(_wrong(beliefs, pattern, shift))
    if step == "accept":
        return served
    left = replace(stakes, jurors=stakes.jurors[1:])
    agreed, clear = beliefs.agreement(pattern), 1.0 - beliefs.openness(pattern)
    branches = (
        (clear * agreed, _foresee(beliefs, pattern + AGREES, shift, left)),
        (clear * (1.0 - agreed), _foresee(beliefs, pattern + DIFFERS, shift, left)),
        (1.0 - clear, served),
    )
    cost, missed = (sum(chance * branch[which] for chance, branch in branches) for which in (0, 1))
    return stakes.jurors[0] + cost, missed


def _worth_large(beliefs: Beliefs, pattern: str, shift: float, stakes: Stakes) -> float:
    return stakes.loss * mended(_wrong(beliefs, pattern, shift)) - stakes.large


def _wrong(beliefs: Beliefs, pattern: str, shift: float) -> float:
    return probability(log_odds(beliefs.wrong(pattern)) + shift)


def mended(wrong: float) -> float:
    """By how much the large member is likelier right than an answer that is wrong with this probability."""
    base, slope = _MENDED
    return wrong * (base + slope * wrong)
