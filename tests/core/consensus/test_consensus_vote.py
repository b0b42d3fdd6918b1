from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import RequestError
from leo_core.records import Draft, Message, Verdict
from leo_core.stages.consensus.coherence import find_outliers, measure_agreement
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit
from leo_core.stages.consensus.strategies import MAJORITY, TRUST
from leo_core.stages.consensus.tally import recompute
from leo_core.stages.consensus.trust import TrustState, update_trust
from leo_core.stages.consensus.vote import UNSEEN, reach_consensus

CONFIG = ConsensusConfig(alternatives=2)


def draft(member: str, text: str) -> Draft:
    return Draft(member=member, model=member, message=Message(role="assistant", content=text))


def decide(
    *texts: str,
    trust: TrustState | None = None,
    families: dict[str, str] | None = None,
    vectors: np.ndarray | None = None,
    answers: np.ndarray | None = None,
    required: float = 0.8,
    config: ConsensusConfig = CONFIG,
) -> Verdict:
    return reach_consensus(
        tuple(draft(f"m{place}", text) for place, text in enumerate(texts)),
        question="How many?",
        trust=trust or TrustState.fresh(),
        region=-1,
        families=families or {},
        vectors=vectors,
        answers=answers,
        required=required,
        config=config,
    )


def learned(**sigmas: float) -> TrustState:
    state = TrustState.fresh()
    for member, sigma in sigmas.items():
        for _ in range(50):
            seen = observe_audit(member=member, region=-1, agreement=sigma, valid=True, tenant="t", at=0.0)
            state = update_trust(state, seen, CONFIG)
    return state


def test_majority_with_equal_trust() -> None:
    verdict = decide("7", "#### 7", "8", "The answer is 7.")
    assert verdict.winner == 0
    assert verdict.classes == ("number: 7", "number: 8", UNSEEN)
    assert [vote.answer_class for vote in verdict.votes] == [0, 0, 1, 0]
    assert verdict.votes[0].weight == round(math.log(8), 6)
    assert verdict.votes[0].trust == 0.8
    assert verdict.certified_margin == 0
    assert not verdict.abstained
    assert verdict.confidence == verdict.posterior[0] > 0.9
    assert verdict.coherence is None
    assert verdict.medoid == 0


def test_unanimous_five_survive_two_switches() -> None:
    verdict = decide(*["7"] * 5)
    assert verdict.certified_margin == 2
    assert verdict.classes == ("number: 7", UNSEEN, UNSEEN)


def test_tie_abstains_whatever_is_required() -> None:
    verdict = decide("7", "8", required=0.0)
    assert verdict.abstained
    assert verdict.winner == -1
    assert verdict.certified_margin == 0
    assert verdict.medoid == 0


def test_of_answers_that_tie_the_most_trusted_members_is_served() -> None:
    plain = ConsensusConfig()
    trust = learned(m0=0.3, m1=0.3, m2=0.4, m3=0.2)
    verdict = decide("8", "8", "7", "9", trust=trust, config=plain)
    assert [vote.weight for vote in verdict.votes] == [0, 0, 0, 0]
    assert (verdict.abstained, verdict.winner, verdict.medoid) == (True, -1, 2)
    assert verdict.choices[TRUST] == verdict.votes[2].answer_class
    assert verdict.choices[MAJORITY] == verdict.votes[0].answer_class
    assert decide("8", "8", "7", "7", trust=trust, config=plain).choices[MAJORITY] == 0
    assert decide("", "9", trust=learned(m0=0.4, m1=0.1), config=plain).medoid == 1


def test_lone_answer_is_as_sure_as_its_member() -> None:
    assert decide("7").confidence == pytest.approx(0.8, abs=1e-6)
    assert decide("7", required=0.9).abstained
    assert not decide("7", required=0.79).abstained


def test_trust_outvotes_numbers() -> None:
    trust = learned(m0=1.0, m1=0.1, m2=0.1)
    verdict = decide("7", "8", "8", trust=trust)
    assert verdict.winner == 0
    assert verdict.votes[1].weight == 0
    assert 0.02 <= verdict.votes[1].trust < verdict.votes[0].trust <= 0.98


def test_family_shares_its_weight() -> None:
    families = {"m0": "x", "m1": "x", "m2": "x"}
    assert decide("7", "7", "7", "8", "8", required=0.0).winner == 0
    verdict = decide("7", "7", "7", "8", "8", families=families, required=0.0)
    assert verdict.winner == 1
    whole = sum(vote.weight for vote in verdict.votes[:3])
    assert whole == pytest.approx(math.log(8) * (1 + 0.25 + 0.25**2), abs=1e-5)
    named_alike = decide("7", "8", "8", families={"m1": "m0"}, required=0.0)
    assert named_alike.votes[0].weight == named_alike.votes[1].weight == round(math.log(8), 6)


def test_empty_drafts_weigh_nothing() -> None:
    verdict = decide("", "", "7", required=0.7)
    assert verdict.winner == 1
    assert verdict.medoid == 2
    assert [vote.weight for vote in verdict.votes[:2]] == [0, 0]
    assert verdict.confidence == pytest.approx(0.8, abs=1e-6)
    assert decide("", "", required=0.0).abstained


def test_medoid_is_closest_to_its_class() -> None:
    angles = [0.0, 0.3, 0.4, 2.0]
    vectors = np.array([[math.cos(a), math.sin(a)] for a in angles], dtype=np.float32)
    assert decide("7", "7", "7", "8", vectors=vectors).medoid == 1
    assert decide("7", "7", "7", "8", trust=learned(m2=1.0)).medoid == 2
    assert decide("7", "7", "8", vectors=vectors[:3], trust=learned(m1=1.0, m0=0.9)).medoid == 1


def test_coherence_and_outliers() -> None:
    vectors = np.eye(8, dtype=np.float32)[:6] * 0.02
    vectors[:5, 7] = 1
    vectors[5, 6] = 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    verdict = decide(*["7"] * 5, "8", answers=vectors)
    assert [vote.outlier for vote in verdict.votes] == [False] * 5 + [True]
    assert verdict.coherence is not None
    assert verdict.coherence.converged
    assert 0.5 < verdict.coherence.value < 1
    assert len(verdict.coherence.distances) == 6
    assert decide("7", answers=vectors[:1]).coherence is None
    assert decide("7", "8", vectors=vectors[:2]).coherence is None
    with pytest.raises(RequestError, match="2 vectors for 1"):
        decide("7", answers=vectors[:2])


def test_coherence_ends() -> None:
    same = np.tile(np.eye(4, dtype=np.float32)[:1], (3, 1))
    apart = np.eye(4, dtype=np.float32)
    assert measure_agreement(same, [1.0, 1.0, 2.0], 0.5).value == pytest.approx(1, abs=1e-6)
    assert measure_agreement(apart, [1.0, 2.0, 1.0, 1.0], 0.5).value == pytest.approx(0, abs=1e-6)
    assert math.isfinite(measure_agreement(apart, [0.0] * 4, 0.5).value)
    weighed = measure_agreement(np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32), [1.0, 1.0, 0.0], 0.5)
    assert weighed.value > 0.99 or weighed.distances[2] > weighed.distances[0]
    with pytest.raises(RequestError):
        measure_agreement(apart, [1.0], 0.5)
    with pytest.raises(RequestError):
        measure_agreement(apart * np.float32("nan"), [1.0] * 4, 0.5)


def test_outlier_rule() -> None:
    assert find_outliers([0.1, 0.1, 9.0], 3.5) == (False,) * 3
    assert find_outliers([0.1, 0.1, 0.1, 9.0], 3.5) == (False, False, False, True)
    assert find_outliers([0.1, 0.1, 0.1, 0.12], 3.5) == (False,) * 4
    assert find_outliers([0.1] * 11 + [2.0], 3.5) == (False,) * 11 + (True,)


def test_outlier_rule_rarely_fires_on_one_population() -> None:
    random = np.random.default_rng(5)
    for count in (4, 5, 7, 12):
        drawn = np.abs(random.normal(1.0, 0.3, size=(2_000, count)))
        fired = sum(any(find_outliers(row.tolist(), 3.5)) for row in drawn)
        assert fired / 2_000 < 0.16


@pytest.mark.parametrize(
    ("drafts", "vectors", "required", "words"),
    [
        ((), None, 0.8, "no draft"),
        ((draft("a", "1"), draft("a", "2")), None, 0.8, "'a' has more than one"),
        ((draft("a", "1"),), None, 1.5, "required is 1.5"),
        ((draft("a", "1"),), None, float("nan"), "required is nan"),
        ((draft("a", "1"),), np.eye(2, dtype=np.float32), 0.8, "2 vectors for 1"),
    ],
)
def test_refuses(drafts: tuple[Draft, ...], vectors: np.ndarray | None, required: float, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        reach_consensus(
            drafts,
            question="",
            trust=TrustState.fresh(),
            region=0,
            families={},
            vectors=vectors,
            required=required,
            config=CONFIG,
        )


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["7", "8", "9", "", "seven", "7 km"]), min_size=1, max_size=7),
    st.lists(st.sampled_from("xyz"), min_size=7, max_size=7),
    st.floats(0, 1),
)
def test_verdict_follows_from_its_votes(texts: list[str], names: list[str], required: float) -> None:
    families = {f"m{place}": name for place, name in enumerate(names)}
    verdict = decide(*texts, families=families, required=required, trust=learned(m0=1.0, m3=0.2))
    again = recompute(
        [(vote.answer_class, vote.weight) for vote in verdict.votes], classes=len(verdict.classes), required=required
    )
    assert again.winner == verdict.winner
    assert again.posterior == verdict.posterior
    assert again.certified_margin == verdict.certified_margin
    assert verdict.abstained == (verdict.winner < 0)
    assert 0 <= verdict.medoid < len(texts)
    assert again.posterior[verdict.votes[verdict.medoid].answer_class] == again.confidence
    assert verdict.classes[-1] == UNSEEN
