"""Serve, explore, miss: every outcome with its reason and figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from leo_core.records import CacheDecision, CacheEntry, Identity, Message, Neighbour, Route, Usage
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.cache.correctness import FEATURES, Correctness
from leo_core.stages.cache.guards import find_conflict, find_doubt
from leo_core.stages.cache.policy import choose_hit
from leo_core.stages.cache.promise import PromiseState

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

LEARNED = Correctness(
    mean=(-6.0, 3.0, 8.0, 0.4, 0.4, 0.2, 0.4, -3.0),
    covariance=tuple(tuple(1e-4 if row == column else 0.0 for column in range(8)) for row in range(8)),
    outcomes=200,
)
READY = PromiseState(requests=5000, explored=200, model=LEARNED)
QUESTION = Identity(exact_key="x", scope_key="s", text="how do I open an account", semantic=True)


class CosinePairs:
    """A fake pair model: the probability is the cosine."""

    def probability_at(self, cosines: Any, a: Sequence[str], b: Sequence[str]) -> npt.NDArray[np.float64]:
        assert len(cosines) == len(a) == len(b)
        return np.asarray(cosines, dtype=np.float64)

    def find_objection(self, cosine: float, a: str, b: str) -> str | None:
        doubt = find_doubt(a, b) if cosine < 0.5 else None
        return find_conflict(a, b) or doubt


def entry(name: str, answer: str = "yes", text: str = "how can I open an account") -> CacheEntry:
    return CacheEntry(
        id=name, tenant="t", exact_key=name, scope_key="s", text=text,
        message=Message(role="assistant", content=answer), members=(f"member-{name}",), model="m",
        route=Route.SMALL, usage=Usage(), receipt_id="", created_at=0.0,
    )  # fmt: skip


def near(name: str, cosine: float, answer: str = "yes", text: str = "how can I open an account") -> Neighbour:
    return Neighbour(entry=entry(name, answer, text), cosine=cosine, text=text)


def sort_by_content(messages: Sequence[Message]) -> list[int]:
    contents = [message.content for message in messages]
    return [contents.index(content) for content in contents]


def choose(*neighbours: Neighbour, **changes: Any) -> tuple[CacheDecision, CacheEntry | None]:
    arguments: dict[str, Any] = {
        "exact": None, "neighbours": neighbours, "sort_answers": sort_by_content,
        "trust": lambda _: 0.9, "promise": READY, "config": CacheConfig(), "pair_model": CosinePairs(), "draw": 0.5,
    }  # fmt: skip
    identity = changes.pop("identity", QUESTION)
    return choose_hit(identity, **{**arguments, **changes})


def test_exact_entries_are_served_first() -> None:
    decision, found = choose(near("b", 0.99), exact=entry("a"))
    assert (decision.action, decision.kind, decision.entry_id, decision.trust) == ("serve", "exact", "a", 0.9)
    assert found is not None
    assert found.id == "a"
    assert decision.hit
    assert decision.why == "same request"


def test_an_exact_entry_without_trust_is_quarantined() -> None:
    decision, found = choose(exact=entry("a"), trust=lambda _: 0.2)
    assert (decision.action, decision.kind, found) == ("miss", "exact", None)
    assert decision.why == "trust 0.200 is below min_trust 0.5"
    again, _ = choose(near("a", 0.99), exact=entry("a"), trust=lambda _: 0.2)
    assert again.why == decision.why


def test_a_trusted_neighbour_may_stand_in_for_a_quarantined_exact_entry() -> None:
    decision, found = choose(near("b", 0.99), exact=entry("a"), trust=lambda ids: 0.1 if "member-a" in ids else 0.9)
    assert decision.action == "serve"
    assert found is not None
    assert found.id == "b"
    dropped, _ = choose(near("b", 0.99), exact=entry("a"), trust=lambda _: 0.1)
    assert dropped.kind == "exact"


def test_a_good_neighbour_is_served_with_every_figure() -> None:
    decision, found = choose(near("a", 0.985))
    assert decision.action == "serve"
    assert found is not None
    assert decision.kind == "semantic"
    assert decision.cosine == decision.probability == decision.margin == 0.985
    assert decision.error_bound is not None
    assert decision.allowance is not None
    assert decision.error_bound < decision.allowance
    assert decision.score == 1.0 - decision.error_bound
    assert decision.explore_rate is not None
    assert 0.0 < decision.explore_rate < 0.5
    assert decision.wrong_hits is not None
    assert decision.allowed_wrong_hits == pytest.approx(50.01)
    assert decision.wrong_hits <= decision.allowed_wrong_hits
    assert len(decision.features) == len(FEATURES)
    assert "within the allowance" in decision.why


def test_the_coin_decides_between_exploring_and_serving() -> None:
    served, _ = choose(near("a", 0.985))
    assert served.explore_rate is not None
    just_below, found = choose(near("a", 0.985), draw=served.explore_rate - 1e-9)
    assert just_below.action == "explore"
    assert found is not None
    assert just_below.why.startswith("drawn to be explored")
    assert just_below.explore_rate == served.explore_rate
    assert choose(near("a", 0.985), draw=served.explore_rate)[0].action == "serve"


def test_a_cold_promise_explores() -> None:
    decision, found = choose(near("a", 0.985), promise=PromiseState())
    assert (decision.action, decision.explore_rate) == ("explore", 1.0)
    assert found is not None
    assert decision.why == "only 0 of 10 outcomes explored"


def test_a_spent_allowance_explores_everything() -> None:
    spent = replace(READY, charges=tuple([10_000_000] * len(READY.charges)), least_rate=0.1)
    decision, _ = choose(near("a", 0.985), promise=spent)
    assert (decision.action, decision.explore_rate) == ("explore", 1.0)
    assert "are not ruled out" in decision.why


def test_guards_drop_the_winner_and_the_rest_compete_again() -> None:
    text = "how can I close an account"
    decision, found = choose(near("a", 0.999, text=text))
    assert (decision.action, found) == ("miss", None)
    assert decision.why == "opposites: close, open"
    assert decision.cosine == 0.999
    assert decision.probability is None
    second, kept = choose(near("a", 0.999, text=text), near("b", 0.985, answer="no"))
    assert second.action == "serve"
    assert kept is not None
    assert kept.id == "b"


def test_guards_compare_the_alias_that_was_near() -> None:
    other = replace(near("a", 0.985), text="how can I close an account")
    assert choose(other)[0].action == "miss"


def test_the_same_text_passes_the_guards_as_it_is() -> None:
    assert choose(near("a", 0.985, text=QUESTION.text))[0].action == "serve"


def test_an_untrusted_neighbour_drops_out() -> None:
    decision, _ = choose(near("a", 0.985), trust=lambda _: 0.4)
    assert decision.why == "trust 0.400 is below min_trust 0.5"
    assert decision.trust == 0.4


def test_a_rival_answer_close_by_is_doubted_and_agreement_helps() -> None:
    alone = choose(near("a", 0.9))[0].error_bound
    rival = choose(near("a", 0.9), near("b", 0.89, answer="no"))[0]
    agree = choose(near("a", 0.9), near("b", 0.89), near("c", 0.5, answer="no"))[0].error_bound
    apart = choose(near("a", 0.9), near("c", 0.5, answer="no"))[0].error_bound
    assert alone is not None
    assert agree is not None
    assert apart is not None
    assert rival.error_bound is not None
    assert rival.margin == pytest.approx(0.01)
    assert rival.error_bound > alone
    assert agree < apart
    assert rival.action == "explore"


def test_many_near_questions_outvote_the_nearest() -> None:
    crowd = replace(near("b", 0.94, answer="no"), kin=(0.935, 0.93, 0.93, 0.92))
    decision, _ = choose(near("a", 0.95), crowd)
    assert decision.entry_id == "b"
    assert decision.margin == pytest.approx(-0.01)


def test_a_hopeless_candidate_is_a_miss() -> None:
    decision, found = choose(near("a", 0.05), near("b", 0.04, answer="no"))
    assert (decision.action, found) == ("miss", None)
    assert "not the same question" in decision.why


def test_an_entry_that_was_called_wrong_is_exact_only() -> None:
    promise = replace(READY, records={"a": (10**6, 10**6)})
    decision, found = choose(near("a", 0.985), promise=promise)
    assert (decision.action, found) == ("miss", None)
    assert "served exactly only" in decision.why
    assert choose(near("a", 0.985), promise=promise, exact=entry("a"))[0].hit
    other, _ = choose(near("a", 0.99), near("b", 0.98), promise=promise)
    assert other.entry_id == "b"


def test_a_bad_record_of_the_entry_raises_its_error() -> None:
    clean = choose(near("a", 0.985))[0].error_bound
    stained = choose(near("a", 0.985), promise=replace(READY, records={"a": (3, 3)}))[0].error_bound
    assert clean is not None
    assert stained is not None
    assert stained > clean


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"identity": replace(QUESTION, semantic=False, why_exact="tools are bound")}, "exact only: tools are bound"),
        ({"config": CacheConfig(max_wrong_hits=0.0)}, "semantic hits are off (max_wrong_hits is 0)"),
        ({"neighbours": ()}, "no entry in scope"),
    ],
)
def test_what_is_not_compared_is_a_miss(changes: dict[str, Any], why: str) -> None:
    decision, found = choose(near("a", 0.985), **changes)
    assert (decision.action, decision.kind, decision.why, found) == ("miss", "", why, None)


def test_no_more_candidates_than_configured_are_looked_at() -> None:
    rows = [near("a", 0.985), near("b", 0.98, answer="no")]
    assert choose(*rows, config=CacheConfig(candidates=1))[0].margin == 0.985
    assert choose(*rows)[0].margin == pytest.approx(0.005)
