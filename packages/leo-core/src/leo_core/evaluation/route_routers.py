"""The routers that ``leo bench route`` compares: each scores every question; the highest go to the large model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.records import Draft, Embedding, Message, Novelty, Request, Route
from leo_core.stages.consensus.equivalence import classify
from leo_core.stages.risk.answer import measure_form, score_answer
from leo_core.stages.risk.request import score_request
from leo_core.stages.risk.similar_answers import describe_answer, foresee_answer
from leo_core.stages.risk.state import RiskState, update_risk
from leo_core.stages.route.observations import observe_route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from leo_core.evaluation.route_data import RoutedQuestion
    from leo_core.records import EmbedderFingerprint, RequestRisk, Vector
    from leo_core.stages.risk.config import RiskConfig

    Floats = npt.NDArray[np.float64]
    Vectors = npt.NDArray[np.float32]

__all__ = ["find_gain", "learn_outcomes", "rank_by_neighbours", "score_cascade", "score_foreseen", "score_gains"]

_KNOWN = Novelty(value=0.5, region=-1)
"""Questions of a test are like those learned from: none is novel, and regions play no part."""
_TENANT = "bench"


def find_gain(rows: Sequence[RoutedQuestion]) -> Floats:
    """1 where only the large model is right, −1 where only the small one is, else 0; (n,)."""
    return np.array([float(row.large_right) - float(row.small_right) for row in rows])


def rank_by_neighbours(vectors: Vectors, gain: Floats, asked: Vectors, count: int) -> Floats:
    """Mean gain of the nearest questions learned from, by cosine; (n,)."""
    near = asked @ vectors.T
    nearest = np.argpartition(-near, min(count, near.shape[1]) - 1, axis=1)[:, :count]
    found: Floats = gain[nearest].mean(axis=1)
    return found


def learn_outcomes(rows: Sequence[RoutedQuestion], vectors: Vectors, config: RiskConfig) -> RiskState:
    """What the risk stage knows after these outcomes, one observation each, in their order.

    Args:
        rows: Questions with outcomes, and the small model's answers where they were recorded.
        vectors: Their embeddings, (n, d).
        config: Settings.
    """
    fresh = state = RiskState.fresh()
    for row, vector in zip(rows, vectors, strict=True):
        observation = observe_route(
            tenant=_TENANT,
            at=0.0,
            route=Route.CONSENSUS,
            region=_KNOWN.region,
            right=None,
            small_right=row.small_right,
            large_right=row.large_right,
            vector=vector.tolist(),
            features=_score(row, None, fresh, config).features,
            answer=_describe(row, config) if row.small_text else None,
        )
        state = update_risk(state, observation, config)
    return state


def score_gains(
    rows: Sequence[RoutedQuestion],
    vectors: Vectors,
    state: RiskState,
    config: RiskConfig,
    fingerprint: EmbedderFingerprint | None = None,
) -> Floats:
    """What the large model is expected to gain on each, before any call; (n,).

    Args:
        rows: The questions.
        vectors: Their embeddings, (n, d).
        state: What was observed.
        config: Settings.
        fingerprint: Of the embedder, where the shipped model may know it.
    """
    return np.array(
        [_score(row, vectors[at], state, config, fingerprint).features["gain"] for at, row in enumerate(rows)]
    )


def _score(
    row: RoutedQuestion,
    vector: Vector | None,
    state: RiskState,
    config: RiskConfig,
    fingerprint: EmbedderFingerprint | None = None,
) -> RequestRisk:
    embedding = None
    if vector is not None and fingerprint is not None:
        embedding = Embedding(vector=vector, fingerprint=fingerprint)
    return score_request(
        _ask(row.question),
        vector=vector,
        novelty=_KNOWN,
        state=state,
        config=config,
        embedding=embedding,
    )


def score_foreseen(rows: Sequence[RoutedQuestion], vectors: Vectors, state: RiskState, config: RiskConfig) -> Floats:
    """What the large model is expected to gain on each once the small one has answered; (n,)."""
    return np.array(
        [
            foresee_answer(_describe(row, config), vectors[at], state.answers, config.similar_strength).gain
            for at, row in enumerate(rows)
        ]
    )


def _describe(row: RoutedQuestion, config: RiskConfig) -> dict[str, float]:
    request = _ask(row.question)
    form = measure_form(score_answer(request, _draft("small", row.small_text), config=config))
    return describe_answer(request, row.small_text, form)


def score_cascade(
    rows: Sequence[RoutedQuestion], others: Mapping[str, Sequence[str]] | None, config: RiskConfig
) -> Floats:
    """P(the small model's answer is wrong) of each, (n,), beside what others answered where that is given.

    Args:
        rows: With the small model's answers.
        others: Answers of other models by question.
        config: Settings.
    """
    found = []
    for row in rows:
        request, draft = _ask(row.question), _draft("small", row.small_text)
        said = [_draft(f"other-{at}", text) for at, text in enumerate((others or {}).get(row.question, ()))]
        agreement = None
        if said:
            classes, forms = classify([each.message for each in (draft, *said)], row.question)
            agreement = sum(each == classes[0] and bool(forms[each]) for each in classes[1:]) / len(said)
        found.append(
            score_answer(request, draft, other_drafts=tuple(said), other_agreement=agreement, config=config).value
        )
    return np.array(found)


def _ask(question: str) -> Request:
    return Request(messages=(Message(role="user", content=question),))


def _draft(member: str, text: str) -> Draft:
    return Draft(member=member, model=member, message=Message(role="assistant", content=text))
