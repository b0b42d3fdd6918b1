from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core import LEO, LEOConfig, Route
from leo_core.errors import ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.presumption import presume_from_prices
from leo_core.stages.consensus.trust import TrustState, estimate, find_prior

CONFIG = ConsensusConfig()
PRICES = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.none() | st.floats(allow_nan=True, allow_infinity=True),
    max_size=6,
)


def test_the_standardised_logarithm_decides() -> None:
    found = presume_from_prices(CONFIG, {"cheap": 1.0, "dear": math.e**2, "unknown": None, "free": 0.0}).presumed
    assert found["dear"] == pytest.approx(1.0 / (1.0 + math.exp(-1.0 - 1.2)))
    assert found["cheap"] == pytest.approx(1.0 / (1.0 + math.exp(-1.0 + 1.2)))
    assert found["unknown"] == found["free"] == pytest.approx(1.0 / (1.0 + math.exp(-1.0)))


@given(PRICES)
def test_the_dearer_is_presumed_better_whatever_the_prices_are(prices: dict[str, float | None]) -> None:
    found = presume_from_prices(CONFIG, prices).presumed
    known = [name for name, price in prices.items() if price is not None and 0.0 < price < math.inf]
    assert set(found) in (set(), set(prices))
    assert all(0.0 < share < 1.0 for share in found.values())
    for one in known:
        for two in known:
            if found and (prices[one] or 0.0) <= (prices[two] or 0.0):
                assert found[one] <= found[two]


def test_prices_that_say_nothing_presume_nothing() -> None:
    for prices in ({}, {"a": 1.0}, {"a": 1.0, "b": 1.0}, {"a": None, "b": None}, {"a": 1.0, "b": math.inf}):
        assert presume_from_prices(CONFIG, prices) is CONFIG
    off = replace(CONFIG, presume_by_price=False)
    assert presume_from_prices(off, {"a": 1.0, "b": 2.0}) is off


def test_what_the_user_presumes_goes_first() -> None:
    own = replace(CONFIG, presumed={"a": 0.6})
    found = presume_from_prices(own, {"a": 9.0, "b": 1.0}).presumed
    assert found["a"] == 0.6
    assert found["b"] < 0.5


def test_a_presumption_is_worth_some_outcomes_of_the_prior() -> None:
    config = replace(CONFIG, presumed={"m": 0.25}, presumed_weight=8.0)
    assert find_prior("m", config, presumed=True) == (CONFIG.prior_right + 2.0, CONFIG.prior_wrong + 6.0)
    assert find_prior("other", config, presumed=True) == (CONFIG.prior_right, CONFIG.prior_wrong)
    assert find_prior("m", config, presumed=False) == (CONFIG.prior_right, CONFIG.prior_wrong)
    found = estimate(TrustState.fresh(), "m", -1, config, presumed=True)
    assert found.mean == pytest.approx(3.0 / 9.25)
    assert estimate(TrustState.fresh(), "m", -1, config).mean == pytest.approx(0.8)


def test_what_is_presumed_of_a_cheap_model_counts_in_votes_only_and_its_answers_are_kept() -> None:
    presumed = ConsensusConfig(presumed={"cheap": 0.05, "dear": 0.95})
    cheap, dear = (ScriptedModel(name, replies=lambda _: "It is 64.") for name in ("cheap", "dear"))
    with LEO(small=cheap, large=dear, config=LEOConfig(consensus=presumed)) as leo:
        first = leo.ask("How much is eight times eight?", route=Route.SMALL)
        leo.flush()
        again = leo.ask("How much is eight times eight?")
    assert (first.members, again.route) == (("cheap",), Route.CACHE)
    assert again.cache.trust == pytest.approx(0.8)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_presumption_that_is_no_probability_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="presumed"):
        ConsensusConfig(presumed={"m": share})
    with pytest.raises(ConfigError, match="presumed_weight"):
        ConsensusConfig(presumed_weight=-1.0)


def test_leo_presumes_by_price_of_its_members_and_says_so_in_its_settings() -> None:
    def model(name: str, price: float) -> ScriptedModel:
        return ScriptedModel(name, replies=lambda _: "It is 64.", cost=price)

    with LEO(jury=[model("dear", 10.0), model("cheap", 0.1)]) as leo:
        presumed = leo.config.consensus.presumed
        assert presumed["dear"] > 0.8 > presumed["cheap"]
        verdict = leo.ask("How much is eight times eight?").verdict
        assert verdict is not None
        assert verdict.votes[0].trust > verdict.votes[1].trust
    own = LEOConfig(consensus=ConsensusConfig(presume_by_price=False))
    with LEO(jury=[model("dear", 10.0), model("cheap", 0.1)], config=own) as leo:
        assert leo.config.consensus.presumed == {}
