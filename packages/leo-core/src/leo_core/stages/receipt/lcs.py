"""Local constraint satisfaction: what a statement promises, checkable from its own figures.

The constraints are *derived*: :func:`derive_constraints` is a function of the statement's figures, the builder
writes its result down, and the verifier derives it again. A list that differs is refused, and so is a constraint
that does not hold. Figures are compared as exact decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.records import Route
from leo_core.stages.receipt.agreement import recompute_coherence
from leo_core.stages.receipt.canonical import fixed
from leo_core.stages.receipt.votes import recount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from leo_core.records import Json

__all__ = [
    "Constraint",
    "check_constraints",
    "derive_agreement",
    "derive_constraints",
    "expected_sigma",
    "trust_mean",
]

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
_TOLERANCE = "0.000001000"
"""Most that a stated posterior or mean may differ from the recomputed one: it covers rounding."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """``value relation bound``.

    Attributes:
        name: Stable name; a failure raises ``check="lcs.<name>"``.
        value: The figure, as in the statement or recomputed from it; ``None`` when it is unknown.
        relation: ``"<="``, ``">="``, ``">"`` or ``"="``.
        bound: What it is held against; ``None`` when it is unknown.
    """

    name: str
    value: str | None
    relation: str
    bound: str | None

    def to_json(self) -> dict[str, Json]:
        """The constraint as it stands in a statement."""
        return {"name": self.name, "value": self.value, "relation": self.relation, "bound": self.bound}

    @property
    def holds(self) -> bool:
        """Whether it is satisfied; never when a side is unknown."""
        if self.value is None or self.bound is None:
            return False
        value, bound = Decimal(self.value), Decimal(self.bound)
        return {"<=": value <= bound, ">=": value >= bound, ">": value > bound, "=": value == bound}[self.relation]


def check_constraints(statement: Mapping[str, Json]) -> None:
    """Derive the constraints again and check each.

    Args:
        statement: A statement that has passed ``schema.check_statement``.

    Raises:
        ReceiptError: ``check="lcs.<name>"`` for the first that the statement lists otherwise, omits, or breaks;
            ``check="lcs"`` when it lists one too many.
    """
    listed = list(statement["lcs"])
    for position, constraint in enumerate(derive_constraints(statement)):
        check = f"lcs.{constraint.name}"
        if position >= len(listed) or listed[position] != constraint.to_json():
            message = f"constraint {constraint.name!r} does not follow from the statement's own figures"
            raise ReceiptError(message, check=check)
        if not constraint.holds:
            message = f"{constraint.name} is {constraint.value}, promised {constraint.relation} {constraint.bound}"
            raise ReceiptError(message, check=check)
        listed[position] = None
    if any(item is not None for item in listed):
        message = "the statement lists a constraint that does not follow from its figures"
        raise ReceiptError(message, check="lcs")


def derive_constraints(statement: Mapping[str, Json]) -> tuple[Constraint, ...]:
    """The constraints of a statement, in their order.

    The caller's, the cache's, the default route's, trust, verdict, coherence, sigma.
    """
    return (
        *_asked(statement),
        *_cached(statement),
        *_promoted(statement["route"]["promotion"]),
        *_trusted(statement),
        *(_decided(statement["verdict"]) if statement["verdict"] is not None else ()),
        *_agreed(statement),
        Constraint("sigma", statement["sigma"], "=", expected_sigma(statement)),
    )


def expected_sigma(statement: Mapping[str, Json]) -> str:
    """Sigma: on the consensus route the posterior of the winning class, otherwise 1 - risk."""
    verdict = statement["verdict"]
    if statement["served"]["route"] == Route.CONSENSUS and verdict is not None and not verdict["abstained"]:
        return str(verdict["confidence"])
    return fixed(_CONTEXT.subtract(Decimal(1), Decimal(statement["risk"]["value"])))


def trust_mean(alpha: str, beta: str) -> str:
    """E[p] = alpha / (alpha + beta) of a Beta posterior, from its figures.

    Raises:
        ReceiptError: A parameter is not positive (``check="figure"``).
    """
    first, second = Decimal(alpha), Decimal(beta)
    if first <= 0 or second <= 0:
        message = f"a Beta posterior has positive parameters, got {alpha} and {beta}"
        raise ReceiptError(message, check="figure")
    return fixed(_CONTEXT.divide(first, _CONTEXT.add(first, second)))


def derive_agreement(coherence: Mapping[str, Json], weights: Sequence[str]) -> tuple[Constraint, ...]:
    """The constraints of a coherence with a certificate, under the weights of the votes; none without one.

    Args:
        coherence: As it stands in a statement.
        weights: Weight of each vote.
    """
    certificate = coherence["certificate"]
    if certificate is None:
        return ()
    again = recompute_coherence([Decimal(weight) for weight in weights], certificate)
    deviation = _distance(Decimal(coherence["value"]), again.coherence)
    return (
        Constraint("coherence_vectors", fixed(again.least_pivot), ">", fixed(0)),
        Constraint("coherence_gap", fixed(again.gap), "<=", _TOLERANCE),
        Constraint("coherence_scale", fixed(again.orthogonal_gap), "<=", _TOLERANCE),
        Constraint("coherence", fixed(deviation), "<=", _TOLERANCE),
    )


def _distance(one: Decimal, other: Decimal) -> Decimal:
    return _CONTEXT.subtract(one, other).copy_abs()


def _asked(statement: Mapping[str, Json]) -> Iterator[Constraint]:
    asked = statement["constraints"]
    risk, accepted = statement["risk"], asked["max_error"]
    if accepted is not None and risk["basis"] == "audited" and risk["accepted"] is not None:
        accepted = risk["accepted"]
    figures = (
        ("cost", statement["usage"]["cost_usd"], asked["max_cost_usd"]),
        ("latency", statement["latency_s"], asked["max_latency_s"]),
        ("risk", risk["value"], accepted),
    )
    for name, value, bound in figures:
        if bound is not None:
            yield Constraint(name, value, "<=", bound)


def _cached(statement: Mapping[str, Json]) -> Iterator[Constraint]:
    cache = statement["cache"]
    if cache["action"] == "serve" and cache["kind"] == "semantic":
        yield Constraint("cache_error", cache["error_bound"], "<=", cache["allowance"])


def _promoted(promotion: Mapping[str, Json] | None) -> Iterator[Constraint]:
    """The test that made a route the default had reached 1 / alpha (Ville's inequality)."""
    if promotion is not None:
        yield Constraint(
            "promotion", promotion["wealth"], ">=", fixed(_CONTEXT.divide(Decimal(1), Decimal(promotion["alpha"])))
        )


def _trusted(statement: Mapping[str, Json]) -> Iterator[Constraint]:
    """Each mean is alpha / (alpha + beta); the largest deviation is the figure."""
    deviations = []
    for trust in statement["trust"]:
        expected = trust_mean(trust["alpha"], trust["beta"])
        deviations.append(_distance(Decimal(trust["mean"]), Decimal(expected)))
    if deviations:
        yield Constraint("trust", fixed(max(deviations)), "<=", _TOLERANCE)


def _agreed(statement: Mapping[str, Json]) -> tuple[Constraint, ...]:
    coherence, verdict = statement["coherence"], statement["verdict"]
    if coherence is None or verdict is None:
        return ()
    return derive_agreement(coherence, [vote["weight"] for vote in verdict["votes"]])


def _decided(verdict: Mapping[str, Json]) -> Iterator[Constraint]:
    """The verdict follows from its votes; it names a winner that is one, or abstained with reason."""
    votes = [(vote["class"], Decimal(vote["weight"])) for vote in verdict["votes"]]
    posterior = [Decimal(share) for share in verdict["posterior"]]
    leader = verdict["winner"] if not verdict["abstained"] else posterior.index(max(posterior))
    again = recount(votes, len(posterior), leader)
    deviation = max(_distance(mine, theirs) for mine, theirs in zip(again.posterior, posterior, strict=True))
    yield Constraint("posterior", fixed(deviation), "<=", _TOLERANCE)
    yield Constraint("confidence", verdict["confidence"], "=", verdict["posterior"][leader])
    if not verdict["abstained"]:
        yield Constraint("quorum", str(len(votes)), ">=", str(verdict["quorum"]))
        yield Constraint("winner", fixed(again.lead), ">", fixed(0))
        yield Constraint("served", str(votes[verdict["medoid"]][0]), "=", str(leader))
        yield Constraint("required", verdict["confidence"], ">=", verdict["required"])
        yield Constraint("margin", str(verdict["certified_margin"]), "=", str(again.margin))
        return
    yield Constraint("margin", str(verdict["certified_margin"]), "=", "0")
    if again.lead > 0:
        yield Constraint("abstention", verdict["confidence"], "<=", verdict["required"])
