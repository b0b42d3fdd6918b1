"""What opinions in a cascade are worth, what it does next, and what is foreseen of it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.records import Constraints, Novelty, RequestRisk, Route
from leo_core.stages.route.config import RouteConfig
from leo_core.stages.route.next_step import Prospect, Stakes, choose_step, foresee_routes, mended
from leo_core.stages.route.observations import observe_route
from leo_core.stages.route.odds import log_odds, probability
from leo_core.stages.route.opinions import REPEATED, OpinionState, update_opinions
from leo_core.stages.route.policy import RouteOption, choose_route
from leo_core.stages.route.state import RouteState, update_routes
from leo_core.stages.route.trials import TrialTerms

CONFIG = RouteConfig()
STAKES = Stakes(loss=0.05, large=0.002, jurors=(0.0001, 0.0002))


def told(state: OpinionState, times: int, opinions: str, *, region: int = 0, **body) -> OpinionState:
    seen = observe_route(
        tenant="t", at=0.0, route=Route.CASCADE, region=region, right=body.pop("right", None), opinions=opinions, **body
    )
    for _ in range(times):
        state = update_opinions(state, seen, CONFIG)
    return state


def world(agreed: int, differed: int, overruled: int, *, region: int = 0) -> OpinionState:
    """So many cascades that ended on an agreement, and on a contradiction of which so many were overruled."""
    kinds = [("+", None)] * agreed + [("-", True)] * overruled + [("-", False)] * (differed - overruled)
    random.Random(0).shuffle(kinds)
    state = OpinionState.fresh()
    for opinions, over in kinds:
        state = told(state, 1, opinions, region=region, overruled=over)
    return state


def test_agreement_is_worth_what_contradictions_showed() -> None:
    """Of 400 cascades: what is wrong on an agreement is the repeated share of what was overruled on a contradiction."""
    easy, hard = world(360, 40, 10).beliefs(0), world(200, 200, 120).beliefs(0)
    assert easy.agreement("") == pytest.approx(0.9, abs=0.02)
    assert hard.agreement("") == pytest.approx(0.5, abs=0.03)
    assert easy.wrong("+") == pytest.approx(REPEATED["+"] * 10 / 360, abs=0.005)
    assert hard.wrong("+") == pytest.approx(REPEATED["+"] * 120 / 200, abs=0.02)
    assert easy.wrong("") < 0.1
    assert hard.wrong("") > 0.3


def test_a_region_is_believed_before_the_others_and_a_new_one_takes_theirs() -> None:
    state = world(300, 100, 90, region=1)
    for _ in range(150):
        state = told(state, 1, "+", region=2)
    assert state.beliefs(2).agreement("") > 0.9
    assert state.beliefs(1).agreement("") < 0.8
    assert state.beliefs(7).agreement("") == pytest.approx((300 + 150) / 550, abs=0.06), (
        "a region that was never seen takes what all others showed"
    )


def test_audits_correct_what_is_believed_of_agreements() -> None:
    state = world(360, 40, 10)
    before = state.beliefs(0).wrong("+")
    wrong = told(state, 60, "+", right=False, audited=True)
    right = told(state, 60, "+", right=True, audited=True)
    assert right.beliefs(0).wrong("+") < before < 0.5 < wrong.beliefs(0).wrong("+")
    assert wrong.beliefs(0).agreement("") == state.beliefs(0).agreement(""), "an audit is no further cascade"


def test_shares_stay_comparable_however_long_the_stream() -> None:
    """All patterns are forgotten together: one that is rare is not overrated after thousands of cascades."""
    state = OpinionState.fresh()
    for number in range(4000):
        state = told(state, 1, "+" if number % 10 else "-")
    assert state.beliefs(0).agreement("") == pytest.approx(0.9, abs=0.01)


def test_a_second_jurors_contradictions_count_for_the_first_ones_too() -> None:
    """Where the cascade always goes on after a contradiction, what comes of it says how often that was right."""
    state = told(OpinionState.fresh(), 100, "--", overruled=True)
    assert state.beliefs(0).wrong("-") > 0.8
    state = told(OpinionState.fresh(), 100, "--", overruled=False)
    assert state.beliefs(0).wrong("-") < 0.2


def test_an_answer_of_a_riskier_form_than_usual_is_likelier_wrong() -> None:
    state = told(OpinionState.fresh(), 50, "+", form=0.2, before=0.4)
    beliefs = state.beliefs(0)
    assert beliefs.shift(0.2) == pytest.approx(0.0, abs=1e-9)
    assert beliefs.shift(0.1) < 0.0 < beliefs.shift(0.4)
    assert beliefs.shift_before(0.4) == pytest.approx(0.0, abs=1e-9)
    assert OpinionState.fresh().beliefs(0).shift(0.9) == 0.0, "nothing to compare with"


def test_prices_are_those_that_calls_had() -> None:
    state = told(OpinionState.fresh(), 200, "+", spent={"juror": 0.001})
    assert state.price("juror", 0.1, CONFIG) < 0.005
    assert state.price("other", 0.1, CONFIG) == 0.1


def test_other_observations_teach_nothing_of_opinions() -> None:
    state = OpinionState.fresh()
    for route, opinions in ((Route.SMALL, "+"), (Route.CASCADE, None)):
        seen = observe_route(tenant="t", at=0.0, route=route, region=0, right=True, opinions=opinions)
        assert update_opinions(state, seen, CONFIG) is state


def test_it_asks_none_one_or_two_or_the_large_member_by_what_pays() -> None:
    easy, hard = world(380, 20, 4).beliefs(0), world(240, 160, 80).beliefs(0)
    fresh = OpinionState.fresh().beliefs(0)
    assert choose_step(fresh, "", 0.0, STAKES) == "ask", "agreement first, where nothing is known"
    assert choose_step(fresh, "-", 0.0, replace(STAKES, jurors=())) == "large"
    assert choose_step(easy, "+", 0.0, replace(STAKES, jurors=(0.0004,))) == "accept", "a second one does not pay"
    assert choose_step(hard, "+", 0.0, replace(STAKES, jurors=(0.0002,))) == "ask", "a second one does"
    assert choose_step(easy, "", 0.0, replace(STAKES, loss=0.0005)) == "accept", "nothing pays"
    assert choose_step(hard, "", 4.0, STAKES) == "large", "what is wrong as good as surely needs no opinion"


def test_what_may_not_be_served_is_not_accepted() -> None:
    cheap = replace(STAKES, loss=0.0)
    beliefs = OpinionState.fresh().beliefs(0)
    assert choose_step(beliefs, "", 0.0, cheap) == "accept"
    assert choose_step(beliefs, "", 0.0, cheap, acceptable=False) == "ask", "an opinion may spare the large call"
    assert choose_step(beliefs, "", 0.0, replace(cheap, jurors=()), acceptable=False) == "large"


def test_where_nothing_may_be_served_the_large_member_is_asked_at_once_and_foreseen() -> None:
    """Opinions that would be thrown away are neither bought nor left out of what the cascade is expected to cost."""
    beliefs, barred = world(380, 20, 4).beliefs(0), replace(STAKES, servable=False)
    for pattern in ("", "+", "-"):
        assert choose_step(beliefs, pattern, 0.0, barred) == "large"
    free, bound = (foresee_routes(beliefs, 0.0, stakes, 0.0005) for stakes in (STAKES, barred))
    assert (bound.cost_usd, bound.missed) == (pytest.approx(0.0005 + STAKES.large), 0.0)
    assert free.cost_usd < STAKES.large < bound.cost_usd
    assert bound.errors == free.errors, "what the members err does not change"


def test_jurors_that_leave_everything_open_are_not_asked_for_long() -> None:
    state = OpinionState.fresh()
    assert choose_step(state.beliefs(0), "", 0.0, STAKES) == "ask"
    assert choose_step(told(state, 200, "?").beliefs(0), "", 0.0, STAKES) != "ask"


@settings(max_examples=60, deadline=None)
@given(
    agreed=st.integers(0, 300),
    differed=st.integers(0, 300),
    share=st.floats(0, 1),
    loss=st.floats(0, 1),
    shift=st.floats(-3, 3),
)
def test_what_is_foreseen_lies_within_bounds(agreed, differed, share, loss, shift) -> None:
    beliefs = world(agreed, differed, int(share * differed)).beliefs(0)
    stakes = replace(STAKES, loss=loss)
    found = foresee_routes(beliefs, shift, stakes, small=0.0001)
    most = 0.0001 + stakes.large + sum(stakes.jurors)
    assert 0.0001 <= found.cost_usd <= most
    patterns = ("", "+", "-", "++", "+-", "-+", "--")  # each is estimated by itself: they need not add up
    worst = max(probability(log_odds(beliefs.wrong(pattern)) + shift) for pattern in patterns)
    assert 0.0 <= found.missed <= mended(worst) + 1e-9
    assert 0.0 < found.errors[Route.LARGE] <= found.errors[Route.SMALL] <= 1.0
    assert 0.0 < found.errors[Route.CONSENSUS] <= found.errors[Route.SMALL]


# --------------------------------------------------------------------------------------- choosing a route by it

FAMILIAR = Novelty(value=0.4, region=0, samples=200)
OPTIONS = (
    RouteOption(route=Route.SMALL, cost_usd=0.0001, latency_s=1.0),
    RouteOption(route=Route.CASCADE, cost_usd=0.0024, latency_s=1.0),
    RouteOption(route=Route.LARGE, cost_usd=0.002, latency_s=1.0),
    RouteOption(route=Route.CONSENSUS, cost_usd=0.004, latency_s=1.0),
)


def decide(prospect: Prospect | None, *, state: RouteState | None = None, draws=(), trials=None):
    risk = RequestRisk(small_wrong=0.3, small_wrong_interval=(0.1, 0.5), categories=(), harmful=0.0)
    return choose_route(
        OPTIONS,
        risk,
        FAMILIAR,
        Constraints(),
        state or RouteState.fresh(),
        CONFIG,
        draws,
        cascade=prospect,
        trials=trials,
    )


def test_the_cascade_is_chosen_first_and_the_large_member_where_opinions_settle_nothing() -> None:
    def foresee(state: OpinionState) -> Prospect:
        return foresee_routes(state.beliefs(0), 0.0, STAKES, small=0.0001)

    assert decide(foresee(OpinionState.fresh())).route is Route.CASCADE
    assert decide(foresee(world(360, 40, 10))).route is Route.CASCADE
    assert decide(foresee(world(60, 340, 330))).route is Route.LARGE


def test_the_cascade_errs_as_the_large_member_does_and_in_what_it_misses() -> None:
    prospect = foresee_routes(OpinionState.fresh().beliefs(0), 0.0, STAKES, small=0.0001)
    found = decide(prospect).expected_error
    assert found["cascade"] == pytest.approx(found["large"] + prospect.missed)
    state = RouteState.fresh()
    for _ in range(100):
        seen = observe_route(tenant="t", at=0.0, route=Route.CASCADE, region=0, right=False)
        state = update_routes(state, seen, CONFIG)
    assert decide(prospect, state=state).expected_error["large"] > 0.5, "its outcomes are those of the large member"


def test_where_trials_are_drawn_routes_are_not_drawn_besides() -> None:
    """A draw teaches only where its outcome is seen: of trials it always is, of other requests hardly ever."""
    state = RouteState.fresh()
    for right in (True, False):
        seen = observe_route(tenant="t", at=0.0, route=Route.CONSENSUS, region=0, right=right)
        state = update_routes(state, seen, CONFIG)
    lucky = (0.01, 0.01, 0.01, 0.999)
    terms = TrialTerms(rate=0.0, reference=Route.LARGE, draws=(0.5, 0.5, 0.5))
    assert decide(None, state=state, draws=lucky).explored
    assert not decide(None, state=state, draws=lucky, trials=terms).explored


def test_the_number_of_opinions_is_checked() -> None:
    with pytest.raises(ConfigError, match="opinions is 3"):
        RouteConfig(opinions=3)
