"""Answers, statements and receipts for the tests of this room."""

from __future__ import annotations

import json
from pathlib import Path

from leo_core.errors import CallAbandonedError, CircuitOpenError, RateLimitError
from leo_core.records import (
    Answer,
    CacheDecision,
    CategoryRisk,
    Coherence,
    CoherenceCertificate,
    Constraints,
    Draft,
    Failure,
    Identity,
    Message,
    Novelty,
    Promotion,
    Request,
    RequestRisk,
    Risk,
    Route,
    RouteDecision,
    ToolCall,
    Trial,
    TrustEstimate,
    Usage,
    Verdict,
    Vote,
)
from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.checkpoint import sign_checkpoint
from leo_core.stages.receipt.document import receipt_id, write_document
from leo_core.stages.receipt.envelope import sign
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.merkle import CompactRange, hash_leaf, inclusion_proof
from leo_core.stages.receipt.statement import AuditTerms, build_statement

VECTORS = Path(__file__).parents[2] / "vectors" / "receipt"
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER_KEY = SigningKey.from_seed(bytes(range(1, 33)))
ORIGIN = "leo.local/log"
ENTROPY = bytes(range(100, 132))
NOW = 1_790_000_000.25
QUESTION = "What is the boiling point of cobalt oleander tea?"
ANSWER = "It boils at 97.5 degrees on the Zugspitze."
PROMOTION = Promotion(route=Route.SMALL, since=NOW - 86_400.0, wealth=93.25, alpha=0.0125)
IDENTITY = Identity(exact_key="e" * 64, scope_key="5" * 64, text=QUESTION, semantic=True)


def draft(member, text, model="model-x"):
    return Draft(member=member, model=model, message=Message(role="assistant", content=text))


def request(**constraints):
    return Request(
        messages=(Message(role="system", content="Be terse."), Message(role="user", content=QUESTION)),
        tenant="acme",
        constraints=Constraints(**constraints),
    )


def small_answer(**changes):
    fields = {
        "id": "answer-1",
        "message": Message(role="assistant", content=ANSWER),
        "route": Route.SMALL,
        "model": "model-x",
        "members": ("small",),
        "usage": Usage(input_tokens=20, output_tokens=9, calls=1, cost_usd=0.00031),
        "saved": Usage(cost_usd=0.0042),
        "risk": Risk(value=0.04, interval=(0.01, 0.09), accepted=0.1),
        "novelty": Novelty(value=0.62, entropy=0.5, deviation=1.25, region=3, samples=120),
        "cache": CacheDecision(action="miss", why="numbers differ: 2027, 2028", cosine=0.5),
        "decision": RouteDecision(
            route=Route.SMALL,
            why="cheapest",
            expected_cost_usd={Route.SMALL: 0.0003, Route.LARGE: None},
            expected_error={Route.SMALL: 0.05, Route.LARGE: 0.01},
            objective={Route.SMALL: 0.1, Route.LARGE: float("inf")},
            promotion=PROMOTION,
            trial=Trial(
                challenger="large",
                incumbent="small",
                challenger_route=Route.LARGE,
                incumbent_route=Route.SMALL,
                paired=False,
                chance=0.5,
            ),
        ),
        "latency_s": 1.5,
        "waited_s": 1.498,
        "request_risk": RISK,
        "draft": draft("small", ANSWER),
    }
    return Answer(**{**fields, **changes})


def coherence(**changes):
    """Of three equal vectors and one at a right angle, under weights 2, 1.5, 0.5 and 1, all distances below kappa.

    Then the centre is the mean, c = (0.4, 0.3, 0.1, 0.2), and the optimum for weights that sum to 1 is half the mean
    squared distance: (0.8 · 0.08 + 0.2 · 1.28)/2 = 0.16, and (1 - 0.3)/2 = 0.35 for orthogonal vectors.
    """
    shares = (0.4, 0.3, 0.1, 0.2)
    certificate = CoherenceCertificate(
        kappa=2.0, gram=(1.0, 1.0, 0.0, 1.0, 0.0, 0.0), centre=shares, orthogonal_centre=shares
    )
    fields = {
        "value": 1 - 0.16 / 0.35,
        "optimum": 5 * 0.16,
        "iterations": 20,
        "primal_residual": 1e-9,
        "dual_residual": 1e-9,
        "converged": True,
        "certificate": certificate,
    }
    return Coherence(**{**fields, **changes})


def verdict(**changes):
    """Weights 2, 1.5, 0.5 against 1: totals 4 and 1; f* = 0 as 4 - 4 < 1 + …: the first switcher decides it."""
    fields = {
        "winner": 0,
        "classes": ("97.5", "100"),
        "posterior": (0.9525741268224334, 0.04742587317756678),
        "votes": (
            Vote(member="a", answer_class=0, weight=2.0, trust=0.88),
            Vote(member="b", answer_class=0, weight=1.5, trust=0.82),
            Vote(member="c", answer_class=0, weight=0.5, trust=0.62),
            Vote(member="d", answer_class=1, weight=1.0, trust=0.73, outlier=True),
        ),
        "certified_margin": 0,
        "medoid": 1,
        "abstained": False,
        "confidence": 0.9525741268224334,
        "required": 0.8,
        "coherence": coherence(),
    }
    return Verdict(**{**fields, **changes})


def consensus_answer(**changes):
    fields = {
        "route": Route.CONSENSUS,
        "members": ("a", "b", "c", "d", "e"),
        "failures": failures(),
        "verdict": verdict(),
        "draft": draft("b", ANSWER),
    }
    return small_answer(**{**fields, **changes})


def failures():
    """One call of each kind: failed and asked again, not asked at all, and lost against its other copy."""
    spent = Usage(input_tokens=10, output_tokens=4, calls=1, cost_usd=0.00011)
    return (
        Failure(member="b", error=RateLimitError("429", provider="p", model="b"), latency_s=0.25),
        Failure(member="f", error=CircuitOpenError("open", provider="p", model="f", retry_after_s=7.5)),
        Failure(
            member="c",
            error=CallAbandonedError("late", provider="p", model="c"),
            attempt=2,
            hedge=True,
            latency_s=0.75,
            usage=spent,
        ),
    )


def consensus_drafts():
    return (draft("a", "97.5"), draft("b", ANSWER), draft("c", "97.5"), draft("d", "100"))


def hit_answer(**changes):
    fields = {
        "route": Route.CACHE,
        "usage": Usage(),
        "cache": CacheDecision(
            action="serve",
            kind="semantic",
            why="pair",
            entry_id="answer-0",
            cosine=0.97,
            probability=0.995,
            error_bound=0.008,
            allowance=0.01,
            trust=0.9,
            margin=0.4,
        ),
        "draft": None,
    }
    return small_answer(**{**fields, **changes})


def tool_message():
    call = ToolCall(id="call-1", name="look_up", arguments={"city": "Garmisch", "limit": 3.5})
    return Message(role="assistant", tool_calls=(call,))


RISK = RequestRisk(
    small_wrong=0.1,
    small_wrong_interval=(0.05, 0.2),
    categories=(CategoryRisk(category="medical", probability=0.01),),
    harmful=0.012,
)
TRUST = (TrustEstimate(member="a", alpha=8.0, beta=2.0), TrustEstimate(member="b", alpha=9.0, beta=3.0))


def build(answer=None, asked=None, **changes):
    """Statement and openings of an answer; a plain one by default."""
    arguments = {
        "identity": IDENTITY,
        "trust": TRUST,
        "policy": {"max_wrong_hits": 0.01, "models": ["model-x"]},
        "audit": AuditTerms(rate=0.02, chance=0.05, seed=b"s" * 32),
        "source_receipt": None,
        "entropy": ENTROPY,
        "now": NOW,
    }
    return build_statement(asked or request(), answer or small_answer(), **{**arguments, **changes})


def build_consensus(asked=None, **changes):
    return build(consensus_answer(**changes), asked, drafts=consensus_drafts())


def tree_of(leaves):
    """Compact range and reader of a tree over leaf hashes."""
    nodes, leaves_range = {}, CompactRange()
    for leaf in leaves:
        leaves_range, completed = leaves_range.append(leaf)
        nodes.update({(level, position): node for level, position, node in completed})
    return leaves_range, lambda level, position: nodes[level, position]


def certify(statement, *, before=2, after=2, key=KEY, origin=ORIGIN, claimed=None):
    """Sign any statement, however wrong, and put it into a log with receipts before and after it."""
    complete = {**statement, "log": {"origin": origin, "previous_size": before if claimed is None else claimed}}
    envelope = sign(canonical_bytes(complete), key)
    others = [hash_leaf(bytes([number])) for number in range(before + after)]
    leaves = [*others[:before], hash_leaf(envelope.to_bytes()), *others[before:]]
    leaves_range, read = tree_of(leaves)
    return write_document(
        envelope.to_json(),
        index=before,
        size=leaves_range.size,
        inclusion=inclusion_proof(before, leaves_range.size, read),
        checkpoint=sign_checkpoint(origin, leaves_range.size, leaves_range.root, key),
    ), receipt_id(envelope.payload)


def golden():
    """The frozen receipt, its openings included."""
    return json.loads((VECTORS / "valid.json").read_text(encoding="utf-8"))
