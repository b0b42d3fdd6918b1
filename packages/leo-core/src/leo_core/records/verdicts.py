"""What is judged: risks, routes, trust, votes and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records.evolution import Promotion, Trial
    from leo_core.records.requests import Route

__all__ = [
    "CategoryRisk",
    "Coherence",
    "CoherenceCertificate",
    "RequestRisk",
    "Risk",
    "RouteDecision",
    "TrustEstimate",
    "Verdict",
    "Vote",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRisk:
    """Calibrated probability that a question belongs to a high-risk category.

    Attributes:
        category: Its name.
        probability: In [0, 1].
        harm_above: Of a category of the user's own, from which probability on a request counts as high risk; ``None``
            for the shipped ones, which count together in :attr:`RequestRisk.harmful`.
    """

    category: str
    probability: float
    harm_above: float | None = None

    @property
    def reached(self) -> bool:
        """Whether this category alone makes the request one of high risk."""
        return self.harm_above is not None and self.probability >= self.harm_above


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRisk:
    """Risk known before any model is called.

    Attributes:
        small_wrong: P(the small model's answer is wrong), in [0, 1].
        small_wrong_interval: Its 95 % credible interval.
        categories: Probability per high-risk category: the shipped ones, then the user's own.
        harmful: P(a wrong answer does harm) = P(any shipped high-risk category), in [0, 1].
        features: The features that were compared, by name.
    """

    small_wrong: float
    small_wrong_interval: tuple[float, float]
    categories: tuple[CategoryRisk, ...]
    harmful: float
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> tuple[CategoryRisk, ...]:
        """Categories of the user's own whose thresholds are reached."""
        return tuple(category for category in self.categories if category.reached)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The chosen route and what it was compared with.

    Attributes:
        route: What to do.
        why: The deciding reason in words.
        expected_cost_usd: Expected cost per candidate route; ``None`` where unknown.
        expected_error: Expected P(wrong) per candidate route.
        objective: Value that was minimised, per candidate route.
        explored: Whether a worse-looking route was drawn to learn (Thompson sampling).
        promotion: The default in force in the region, whether or not it was taken; ``None`` where there is none.
        trial: The trial that the request is; ``None`` where it is none.
    """

    route: Route
    why: str
    expected_cost_usd: Mapping[str, float | None] = field(default_factory=dict)
    expected_error: Mapping[str, float] = field(default_factory=dict)
    objective: Mapping[str, float] = field(default_factory=dict)
    explored: bool = False
    promotion: Promotion | None = None
    trial: Trial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEstimate:
    """Beta posterior of P(a member's answer is right) in a region; ``mean`` = alpha / (alpha + beta)."""

    member: str
    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """E[p]."""
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one member's draft counted for.

    Attributes:
        member: Who.
        answer_class: Index of the equivalence class of its answer.
        weight: Weight of the vote: log(p / (1 − p)) of its trust, shared within its family.
        trust: Trust at the time of the vote, in (0, 1).
        outlier: Whether its embedding lies far from the robust centre.
    """

    member: str
    answer_class: int
    weight: float
    trust: float
    outlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherence:
    """Agreement of a set of answer embeddings (group-Huber optimum, normalised).

    Attributes:
        value: 1 − optimum / its value for orthogonal answers, in [0, 1].
        optimum: Value of the convex problem.
        iterations: ADMM iterations.
        primal_residual: At the stop.
        dual_residual: At the stop.
        converged: Whether both residuals met the tolerance.
        distances: Distance of each answer to the robust centre.
        certificate: Lets anyone check ``value`` without solving anything; ``None`` where it was not made.
    """

    value: float
    optimum: float
    iterations: int
    primal_residual: float
    dual_residual: float
    converged: bool
    distances: tuple[float, ...] = ()
    certificate: CoherenceCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoherenceCertificate:
    """Two points whose duality gaps bound how far a coherence is from the exact one.

    Attributes:
        kappa: κ of the problem.
        gram: Inner products of the unit vectors, those of the strict upper triangle by rows, m(m − 1)/2 of them.
        centre: Coefficients of the robust centre in the vectors, m of them.
        orthogonal_centre: The same for orthogonal vectors.
    """

    kappa: float
    gram: tuple[float, ...]
    centre: tuple[float, ...]
    orthogonal_centre: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a committee decided.

    Attributes:
        winner: Index of the winning class; −1 when abstaining.
        classes: Canonical form of each answer class.
        posterior: Posterior probability of each class.
        votes: One per draft.
        certified_margin: f*: the largest number of the heaviest supporters that could switch and leave the winner.
        medoid: Index of the draft that is served: the medoid of the winning class.
        abstained: Whether the posterior missed the confidence asked for.
        confidence: Posterior of the winner.
        required: Confidence that was asked for.
        coherence: Coherence of the drafts; ``None`` when there are fewer than two with text.
        strategy: Whose choice it is: ``trust`` (the vote weighed by trust), ``majority``, or ``member:`` and an id.
        choices: The class that each strategy would choose.
        spared: Members of the jury that were not asked, since the outcome could hardly change.
    """

    winner: int
    classes: tuple[str, ...]
    posterior: tuple[float, ...]
    votes: tuple[Vote, ...]
    certified_margin: int
    medoid: int
    abstained: bool
    confidence: float
    required: float
    coherence: Coherence | None = None
    strategy: str = "trust"
    choices: Mapping[str, int] = field(default_factory=dict)
    spared: int = 0

    def answer_classes(self) -> dict[str, int]:
        """The class of each member that gave an answer, by its id."""
        return {vote.member: vote.answer_class for vote in self.votes if self.classes[vote.answer_class]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """P(the answer is wrong or ungrounded), after the answer.

    Attributes:
        value: The probability, in [0, 1].
        interval: Its 95 % interval.
        attributions: Exact contribution of each feature to the score (linear SHAP, in log-odds).
        action: ``accept``, ``escalate`` or ``abstain`` at the error asked for.
        accepted: The largest figure that was accepted, in [0, 1]; 0 where none was, ``None`` where none was compared.
        basis: What it stands on: ``shipped`` (the error asked for, since the shipped model is calibrated), ``audited``
            (a threshold on the value, from audited answers), ``conservative`` (the error asked for, compared with the
            upper bound of the interval, since the traffic has changed).
    """

    value: float
    interval: tuple[float, float]
    attributions: Mapping[str, float] = field(default_factory=dict)
    action: Literal["accept", "escalate", "abstain"] = "accept"
    accepted: float | None = None
    basis: Literal["shipped", "audited", "conservative"] = "shipped"
