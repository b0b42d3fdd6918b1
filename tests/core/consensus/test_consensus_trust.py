from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError, RequestError
from leo_core.records import Observation
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit, observe_feedback, observe_strategies
from leo_core.stages.consensus.tally import weigh_vote
from leo_core.stages.consensus.trust import TrustState, estimate, estimate_in_dispute, update_trust
from leo_core.stages.consensus.watch import Watch

CONFIG = ConsensusConfig()
SHARES = st.floats(0, 1)
COUNTS = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))
TRIALS = st.none() | st.fixed_dictionaries(
    {"m": st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 20), st.floats(0, 20))}
)
STATES = st.builds(
    lambda counts, trial: TrustState(MappingProxyType(counts), Watch(trial=trial)),
    st.fixed_dictionaries({("m", -1): COUNTS, ("m", -2): COUNTS, ("m", 3): COUNTS, ("other", 3): COUNTS}),
    TRIALS,
)
CONFIGS = st.builds(
    ConsensusConfig,
    forgetting=st.floats(0.5, 1),
    prior_right=st.floats(0.1, 20),
    prior_wrong=st.floats(0.1, 20),
    region_strength=st.floats(0.1, 100),
)


def audit(agreement: float, *, valid: bool = True, region: int = 3, weight: float = 1.0) -> Observation:
    return observe_audit(member="m", region=region, agreement=agreement, valid=valid, weight=weight, tenant="t", at=0.0)


def means(state: TrustState, config: ConsensusConfig) -> tuple[float, ...]:
    return tuple(
        read(state, "m", region, config).mean for read in (estimate, estimate_in_dispute) for region in (-1, 3, 4)
    )


def at_most(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y + 1e-12 for x, y in zip(a, b, strict=True))


@given(STATES, CONFIGS, SHARES, SHARES, SHARES, st.sampled_from([-1, 3]))
def test_monotone_in_agreement(
    state: TrustState, config: ConsensusConfig, one: float, two: float, weight: float, region: int
) -> None:
    low, high = sorted((one, two))
    after = [means(update_trust(state, audit(s, weight=weight, region=region), config), config) for s in (low, high)]
    assert at_most(after[0], after[1])


@given(STATES, CONFIGS, SHARES, SHARES, st.sampled_from([-1, 3]))
def test_monotone_in_validity(
    state: TrustState, config: ConsensusConfig, sigma: float, weight: float, region: int
) -> None:
    after = [
        means(update_trust(state, audit(sigma, valid=valid, weight=weight, region=region), config), config)
        for valid in (False, True)
    ]
    assert at_most(after[0], after[1])


@given(STATES, CONFIGS, SHARES, SHARES, st.sampled_from([-1, 3]))
def test_invalid_receipt_never_raises_trust(
    state: TrustState, config: ConsensusConfig, sigma: float, weight: float, region: int
) -> None:
    after = update_trust(state, audit(sigma, valid=False, weight=weight, region=region), config)
    assert at_most(means(after, config), means(state, config))


@given(STATES, SHARES)
def test_touches_nobody_else_and_never_mutates(state: TrustState, sigma: float) -> None:
    before = dict(state.counts)
    after = update_trust(state, audit(sigma), CONFIG)
    assert dict(state.counts) == before
    assert after.counts["other", 3] == before["other", 3]
    with pytest.raises(TypeError):
        after.counts["m", 3] = (0.0, 0.0)


def test_prior_mean() -> None:
    fresh = TrustState.fresh()
    assert estimate(fresh, "m", -1, CONFIG).mean == pytest.approx(0.8)
    assert estimate(fresh, "m", 7, CONFIG).mean == pytest.approx(0.8)
    assert TrustState() == fresh


def test_counts_and_forgetting() -> None:
    config = ConsensusConfig(forgetting=0.5)
    state = TrustState.fresh()
    for sigma in (1.0, 1.0, 0.25):
        state = update_trust(state, audit(sigma), config)
    assert state.counts["m", -1] == state.counts["m", 3] == (pytest.approx(1.0), pytest.approx(0.75))
    assert update_trust(state, audit(1.0, valid=False), config).counts["m", 3] == (
        pytest.approx(0.5),
        pytest.approx(1.375),
    )
    assert estimate(state, "m", -1, config).alpha == pytest.approx(config.prior_right + 1)


def test_sleeper_is_found_out_with_forgetting() -> None:
    config, never = ConsensusConfig(forgetting=0.98), ConsensusConfig(forgetting=1.0)
    state = lasting = TrustState.fresh()
    for sigma in [1.0] * 300 + [0.0] * 60:
        state, lasting = update_trust(state, audit(sigma), config), update_trust(lasting, audit(sigma), never)
    assert estimate(state, "m", 3, config).mean < 0.4
    assert estimate(lasting, "m", 3, never).mean > 0.7


@given(st.floats(0, 200), st.floats(0, 200), st.sampled_from([-1, 3]))
def test_a_member_that_turns_bad_weighs_nothing_after_140_audits_whatever_its_record(
    right: float, wrong: float, region: int
) -> None:
    """200 = 1 / (1 - 0.995) is the most that discounted counts can come to."""
    places = {("m", place): (right, wrong * (1 - right / 200)) for place in (-1, -2, 3)}
    state = TrustState(MappingProxyType(places))
    for _ in range(140):
        state = update_trust(state, audit(0.0, region=region), CONFIG)
    assert weigh_vote(estimate_in_dispute(state, "m", region, CONFIG).mean, CONFIG.alternatives) <= 0.0
    assert estimate(state, "m", region, CONFIG).mean <= 0.5


def test_140_is_what_the_longest_record_takes() -> None:
    state = TrustState(MappingProxyType({("m", place): (200.0, 0.0) for place in (-1, -2)}))
    for _ in range(139):
        state = update_trust(state, audit(0.0, region=-1), CONFIG)
    assert estimate_in_dispute(state, "m", -1, CONFIG).mean > 0.5
    young = TrustState.fresh()
    for _ in range(20):
        young = update_trust(young, audit(1.0, region=-1), CONFIG)
    for _ in range(22):
        young = update_trust(young, audit(0.0, region=-1), CONFIG)
    assert estimate_in_dispute(young, "m", -1, CONFIG).mean < 0.5, "a short record goes about as fast as it came"


def test_lost_trust_comes_back_by_audited_good_answers_and_by_nothing_else() -> None:
    state = TrustState.fresh()
    for _ in range(50):
        state = update_trust(state, audit(0.0), CONFIG)
    low = estimate(state, "m", 3, CONFIG).mean
    route = {"route": "consensus", "region": 3, "right": True, "small_right": True, "weight": 1.0}
    others = [
        Observation(kind="route", tenant="t", body=route, at=0.0),
        Observation(kind="served", tenant="t", body={"kind": "semantic"}, at=0.0),
        Observation(kind="cache", tenant="t", body={"same": True}, at=0.0),
        observe_strategies({"member:m": True}, tenant="t", at=0.0),
        audit(1.0, valid=False),
        audit(1.0, weight=0.0),
    ]
    for _ in range(200):
        for observation in others:
            state = update_trust(state, observation, CONFIG)
    assert estimate(state, "m", 3, CONFIG).mean <= low
    for _ in range(200):
        state = update_trust(state, audit(1.0), CONFIG)
    assert estimate(state, "m", 3, CONFIG).mean > 0.5


def test_region_shrinks_to_the_whole() -> None:
    state = TrustState.fresh()
    for _ in range(100):
        state = update_trust(state, audit(1.0, region=1), CONFIG)
    for _ in range(100):
        state = update_trust(state, audit(0.0, region=2), CONFIG)
    good, bad, unknown = (estimate(state, "m", region, CONFIG).mean for region in (1, 2, 9))
    assert good > 0.85
    assert bad < 0.15
    assert unknown == pytest.approx(estimate(state, "m", -1, CONFIG).mean)


def test_feedback() -> None:
    fresh = TrustState.fresh()
    wrong = observe_feedback(members=["m", "n", "m"], region=2, wrong=True, tenant="t", at=0.0)
    state = update_trust(fresh, wrong, CONFIG)
    assert state.counts["m", 2] == state.counts["n", -1] == (0.0, CONFIG.feedback_weight)
    right = observe_feedback(members=("m",), region=-1, wrong=False, tenant="t", at=0.0)
    assert update_trust(state, right, CONFIG).counts["m", -1][0] == CONFIG.feedback_weight
    assert update_trust(fresh, Observation(kind="feedback", tenant="t", body={"wrong": True}, at=0.0), CONFIG) is fresh
    assert update_trust(fresh, Observation(kind="cache", tenant="t", body={}, at=0.0), CONFIG) is fresh


def test_weight_and_region_may_be_missing() -> None:
    body = {"member": "m", "agreement": 1, "valid": True}
    state = update_trust(TrustState.fresh(), Observation(kind="trust", tenant="t", body=body, at=0.0), CONFIG)
    assert state.counts == {("m", -1): (1.0, 0.0), ("m", -2): (1.0, 0.0)}


def test_importance_counts_for_the_share_of_right_answers_and_not_in_dispute() -> None:
    state = TrustState.fresh()
    for right, weight in ((0.0, 0.1), (0.0, 0.1), (1.0, 9.0)):  # two that were likely to be audited, one that was not
        state = update_trust(state, audit(right, weight=weight), CONFIG)
    everywhere, disputed = estimate(state, "m", -1, CONFIG), estimate_in_dispute(state, "m", -1, CONFIG)
    fade = CONFIG.forgetting
    assert everywhere.beta == pytest.approx(CONFIG.prior_wrong + 0.1 * fade**2 + 0.1 * fade)
    assert everywhere.alpha == pytest.approx(CONFIG.prior_right + 9.0)
    assert disputed.beta == pytest.approx(CONFIG.prior_wrong + fade**2 + fade)
    assert disputed.alpha == pytest.approx(CONFIG.prior_right + 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"member": 3},
        {"agreement": 1.5},
        {"agreement": float("nan")},
        {"agreement": "1"},
        {"weight": -1},
        {"region": "x"},
        {"valid": None},
    ],
)
def test_bad_bodies(change: dict[str, object]) -> None:
    body = {**audit(1.0).body, **change}
    with pytest.raises(RequestError, match=next(iter(change))):
        update_trust(TrustState.fresh(), Observation(kind="trust", tenant="t", body=body, at=0.0), CONFIG)


@pytest.mark.parametrize("name", ["agreement", "weight"])
@pytest.mark.parametrize("value", [-0.1, 10.1, float("nan")])
def test_builder_checks(name: str, value: float) -> None:
    figures = {"agreement": 1.0, "weight": 1.0, name: value}
    with pytest.raises(RequestError, match=name):
        observe_audit(member="m", region=1, valid=True, tenant="t", at=0.0, **figures)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", 1.1),
        ("alternatives", 0),
        ("family_share", 1.0),
        ("trust_floor", 0.0),
        ("trust_floor", 0.99),
        ("trust_ceiling", 1.0),
        ("prior_right", 0.0),
        ("prior_wrong", float("inf")),
        ("forgetting", 0.0),
        ("region_strength", -1.0),
        ("feedback_weight", 2.0),
        ("kappa", 0.0),
        ("kappa", float("nan")),
        ("outlier_cutoff", 0.0),
        ("on_abstain", "hide"),
    ],
)
def test_config_refuses(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"consensus.{name} is"):
        ConsensusConfig(**{name: value})
