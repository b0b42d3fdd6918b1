"""Counts of deployments add up to the counts of all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import RequestError
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.observations import observe_audit
from leo_core.stages.consensus.trust import EVERYWHERE, IN_DISPUTE, TrustState, estimate
from leo_core.stages.consensus.trust_merging import FIGURES_PER_MEMBER, fold_trust, list_counts, merge_counts

MEMBERS = ("anna", "bela")
NEVER_FORGETS = ConsensusConfig(forgetting=1.0)


def audits(outcomes):
    return [
        observe_audit(member=member, region=2, agreement=float(right), valid=True, tenant="t", at=0.0)
        for member, right in outcomes
    ]


OUTCOMES = st.lists(st.tuples(st.sampled_from(MEMBERS), st.booleans()), max_size=12)


@given(OUTCOMES, OUTCOMES)
def test_the_merged_state_is_that_of_all_audits(here, there):
    one, two = (list_counts(fold_trust(audits(each), NEVER_FORGETS), MEMBERS) for each in (here, there))
    merged = merge_counts([a + b for a, b in zip(one, two, strict=True)], MEMBERS)
    for member in MEMBERS:
        found = estimate(merged, member, EVERYWHERE, NEVER_FORGETS)
        right = sum(who == member and ok for who, ok in here + there)
        wrong = sum(who == member and not ok for who, ok in here + there)
        assert found.alpha == pytest.approx(NEVER_FORGETS.prior_right + right)
        assert found.beta == pytest.approx(NEVER_FORGETS.prior_wrong + wrong)
        assert merged.counts.get((member, IN_DISPUTE), (0.0, 0.0)) == pytest.approx((right, wrong))


def test_unknown_members_have_zeros_and_noise_below_zero_counts_as_zero():
    assert list_counts(TrustState.fresh(), MEMBERS) == [0.0] * (FIGURES_PER_MEMBER * 2)
    merged = merge_counts([3.0, -1.0, 2.0, 1.0, -5.0, 0.0, 0.0, -0.1], MEMBERS)
    assert merged.counts == {("anna", EVERYWHERE): (3.0, 0.0), ("anna", IN_DISPUTE): (2.0, 1.0)}


def test_bad_lists_are_refused():
    with pytest.raises(RequestError, match="named twice"):
        list_counts(TrustState.fresh(), ("anna", "anna"))
    with pytest.raises(RequestError, match="7 figures; 2 members have 8"):
        merge_counts([0.0] * 7, MEMBERS)
