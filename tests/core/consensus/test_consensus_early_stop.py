"""Early stop: nobody is spared whose answer could still decide, and nobody unknown is believed early."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core import LEO, LEOConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Event, Verdict
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.consensus.early_stop import can_stop
from leo_core.stages.consensus.observations import observe_audit
from leo_core.stages.consensus.strategies import StrategyState
from leo_core.stages.consensus.trust import TrustState, count_audits, update_trust
from leo_core.stages.consensus.vote import count_votes

CONFIG = ConsensusConfig(early_stop=0.98)
ALIKE = replace(CONFIG, presume_by_price=False)
"""Members are presumed alike, whatever they cost."""
QUESTION = "How many dollars do 8 tickets of 8 dollars cost?"


def learn(outcomes: dict[str, tuple[int, int]]) -> TrustState:
    state = TrustState.fresh()
    for member, (right, wrong) in outcomes.items():
        for agreement in [1.0] * right + [0.0] * wrong:
            seen = observe_audit(member=member, region=-1, agreement=agreement, valid=True, tenant="t", at=0.0)
            state = update_trust(state, seen, CONFIG)
    return state


def count(members: list[str], classes: list[int], trust: TrustState, families: dict[str, str] | None = None) -> Verdict:
    numbers = {each: at for at, each in enumerate(dict.fromkeys(classes))}
    return count_votes(
        members, [numbers[each] for each in classes], tuple(f"answer {each}" for each in numbers),
        trust=trust, strategies=StrategyState.fresh(), region=-1, families=families or {}, required=0.0, config=CONFIG,
    )  # fmt: skip


def stops(
    members: list[str], classes: list[int], trust: TrustState, config: ConsensusConfig = CONFIG,
    families: dict[str, str] | None = None,
) -> bool:  # fmt: skip
    asked = len(classes)
    verdict = count(members[:asked], classes, trust, families)
    return can_stop(
        verdict, members[asked:], trust=trust, strategies=StrategyState.fresh(), region=-1, families=families or {},
        config=config,
    )  # fmt: skip


def test_two_unknown_members_that_agree_are_not_believed() -> None:
    members, nobody = list("abcde"), TrustState.fresh()
    assert not stops(members, [0, 0], nobody)
    assert stops(members, [0, 0, 0], nobody)
    assert not stops(members, [0, 0, 1], nobody)


def test_two_known_and_trusted_members_are_believed() -> None:
    trust = learn(dict.fromkeys("abcde", (30, 0)))
    assert stops(list("abcde"), [0, 0], trust)
    assert not stops(list("abcde"), [0, 1], trust)
    assert not stops(list("abcdefg"), [0, 0], learn({"a": (30, 0), "b": (3, 0)}))
    assert not stops(list("abcde"), [0, 0], learn(dict.fromkeys("abcde", (20, 20))))
    assert count_audits(trust, "a") == pytest.approx(sum(CONFIG.forgetting**age for age in range(30)))


def test_without_the_setting_everybody_is_asked() -> None:
    trust = learn(dict.fromkeys("abc", (30, 0)))
    assert not stops(list("abc"), [0, 0], trust, ConsensusConfig())
    assert stops(list("ab"), [0, 1], trust, ConsensusConfig())


def test_a_family_that_grows_weighs_less_each() -> None:
    """Three of one family against two others: five would be one family's 1.3 votes shared, against two whole ones."""
    kin = dict.fromkeys("abc", "one")
    assert stops(list("abcde"), [0, 0, 0], TrustState.fresh())
    assert not stops(list("abcde"), [0, 0, 0], TrustState.fresh(), families=kin)


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=5), st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=8, max_size=8),
    st.lists(st.integers(0, 3), min_size=8, max_size=8),
)  # fmt: skip
@settings(deadline=None)
def test_where_the_stop_is_certain_no_answer_changes_the_outcome(
    first: list[int], rest: list[int], records: list[tuple[int, int]], homes: list[int]
) -> None:
    """A posterior of 1 is never reached, so what stops here is that nobody can change the outcome any more."""
    members = [f"m{place}" for place in range(len(first) + len(rest))]
    families = {member: f"family {home}" for member, home in zip(members, homes, strict=False)}
    trust = learn(dict(zip(members, records, strict=False)))
    if stops(members, first, trust, ConsensusConfig(early_stop=1.0), families):
        served = first[count(members[: len(first)], first, trust, families).medoid]
        whole = count(members, first + rest, trust, families)
        assert (first + rest)[whole.medoid] == served


def jury(*replies: str) -> list[ScriptedModel]:
    costs = (0.003, 0.001, 0.002, 0.005, 0.004)
    return [
        ScriptedModel(f"m{place}", replies=reply, cost=cost)
        for place, (reply, cost) in enumerate(zip(replies, costs, strict=False))
    ]


def test_a_jury_is_asked_in_turn_the_cheapest_first_until_nothing_can_change() -> None:
    class Listener:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def notify(self, event: Event) -> None:
            self.heard.append(event.name)

    listener = Listener()
    with LEO(jury=jury(*["It is 64."] * 5), config=LEOConfig(consensus=ALIKE), listeners=[listener]) as leo:
        answer = leo.ask(QUESTION)
    assert answer.members == ("m1", "m2", "m0")
    assert answer.verdict.spared == 2
    assert answer.usage.calls == 3
    assert listener.heard.count("consensus.stopped_early") == listener.heard.count("consensus.reached") == 1


def test_a_jury_that_disagrees_is_asked_to_the_end() -> None:
    with LEO(jury=jury("64", "63", "64", "64", "62"), config=LEOConfig(consensus=CONFIG)) as leo:
        answer = leo.ask(QUESTION)
    assert len(answer.members) == 5
    assert answer.verdict.spared == 0
    assert answer.text == "64"


def test_a_member_that_fails_is_made_up_for_by_the_next() -> None:
    members = [ScriptedModel("broken", replies=RuntimeError("down"), cost=0.0), *jury("64", "64", "64")]
    with LEO(jury=members, config=LEOConfig(consensus=CONFIG)) as leo:
        answer = leo.ask(QUESTION)
    assert answer.text == "64"
    assert [failure.member for failure in answer.failures] == ["broken"]
    assert len(answer.members) >= 2


def test_the_setting_is_checked() -> None:
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(Exception, match="early_stop"):
            ConsensusConfig(early_stop=wrong)
