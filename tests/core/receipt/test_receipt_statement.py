"""What a statement says of an answer, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ReceiptError
from leo_core.records import CacheDecision, Constraints, Message, Novelty, Request, Risk, Route, TrustEstimate, Usage
from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.commitment import opens
from leo_core.stages.receipt.lcs import check_constraints, derive_constraints
from leo_core.stages.receipt.schema import check_statement
from leo_core.stages.receipt.statement import list_commitments, statement_contents
from leo_core.stages.receipt.votes import recount
from tests.core.receipt.examples import (
    IDENTITY,
    TRUST,
    build,
    build_consensus,
    consensus_answer,
    consensus_drafts,
    draft,
    hit_answer,
    request,
    small_answer,
    tool_message,
    verdict,
)


def completed(statement):
    """The statement as a log would complete it, after a trip through JSON."""
    return json.loads(canonical_bytes({**statement, "log": {"origin": "o", "previous_size": 0}}))


def names(statement):
    return [constraint["name"] for constraint in statement["lcs"]]


@pytest.mark.parametrize("make", [build, build_consensus, lambda: build(hit_answer(), source_receipt="leo:rcpt:ab")])
def test_statements_are_well_formed_and_satisfy_themselves(make):
    statement = completed(make()[0])
    check_statement(statement)
    check_constraints(statement)


def test_statement_says_what_happened():
    statement, _ = build(
        hit_answer(), request(max_error=0.2, route=Route.CACHE, cache="exact"), source_receipt="leo:rcpt:ab"
    )
    assert statement["source_receipt"] == "leo:rcpt:ab"
    assert statement["constraints"]["max_error"] == "0.200000000"
    assert statement["constraints"]["route"] == "cache"
    assert statement["constraints"]["cache"] == "exact"
    assert statement["cache"]["error_bound"] == "0.008000000"
    assert statement["time"] == "2026-09-21T14:13:20.250000Z"
    assert statement["sigma"] == "0.960000000"
    assert statement["own_s"] == "0.002000000"
    assert statement["route"]["options"] == [
        {
            "route": "large",
            "expected_cost_usd": None,
            "expected_error": "0.010000000",
            "objective": None,
            "feasible": False,
        },
        {
            "route": "small",
            "expected_cost_usd": "0.000300000",
            "expected_error": "0.050000000",
            "objective": "0.100000000",
            "feasible": True,
        },
    ]
    assert statement["trust"][0] == {
        "member": "a",
        "alpha": "8.000000000",
        "beta": "2.000000000",
        "mean": "0.800000000",
    }


def test_consensus_states_members_votes_and_the_winners_posterior_as_sigma():
    statement, _ = build_consensus()
    assert [member["member"] for member in statement["members"]] == ["a", "b", "c", "d", "e"]
    assert statement["members"][4] == {"member": "e", "model": None, "draft": None}
    assert statement["sigma"] == statement["verdict"]["confidence"] == "0.952574127"
    assert statement["coherence"]["iterations"] == 20
    assert names(statement) == [
        "promotion",
        "trust",
        "posterior",
        "confidence",
        "quorum",
        "winner",
        "served",
        "required",
        "margin",
        "coherence_vectors",
        "coherence_gap",
        "coherence_scale",
        "coherence",
        "sigma",
    ]


def test_unknown_figures_are_stated_as_unknown():
    answer = small_answer(
        usage=Usage(calls=1, cost_usd=None),
        novelty=Novelty(value=None),
        cache=CacheDecision(action="off"),
        request_risk=None,
        draft=None,
    )
    statement, _ = build(answer, trust=(), source_receipt="")
    assert statement["usage"]["cost_usd"] is None
    assert statement["novelty"]["value"] is None
    assert statement["route"]["request_risk"] is None
    assert statement["source_receipt"] is None
    assert names(statement) == ["promotion", "sigma"]
    check_statement(completed(statement))


def test_the_answers_own_drafts_are_stated_when_none_are_handed_in():
    both = small_answer(drafts=(draft("small", "x"), draft("large", "y")), members=("small", "large"))
    assert [member["member"] for member in build(both)[0]["members"]] == ["small", "large"]
    assert [member["draft"] is None for member in build(small_answer(drafts=()))[0]["members"]] == [False]


def test_every_commitment_opens_with_what_its_owner_rebuilds():
    answer, drafts, asked = consensus_answer(message=tool_message()), consensus_drafts(), request()
    statement, openings = build(answer, asked, drafts=drafts)
    contents = statement_contents(asked, answer, identity=IDENTITY, drafts=drafts)
    commitments = list_commitments(completed(statement))
    assert commitments.keys() == contents.keys() == openings.keys()
    assert {"draft.3", "class.1", "tenant", "question"} <= commitments.keys()
    for name, content in contents.items():
        assert opens(commitments[name], name, bytes.fromhex(openings[name]), content)
    assert len(set(commitments.values())) == len(commitments)


def test_a_plain_answer_is_committed_as_its_text_and_calls_without_ids():
    contents = statement_contents(request(), small_answer(), identity=IDENTITY)
    assert contents["answer"] == small_answer().text
    called = statement_contents(request(), small_answer(message=tool_message()), identity=IDENTITY)
    other = tool_message()
    renamed = replace(other, tool_calls=(replace(other.tool_calls[0], id="call-2"),))
    assert called["answer"] == statement_contents(request(), small_answer(message=renamed), identity=IDENTITY)["answer"]
    blocks = Message(role="assistant", content=({"type": "text", "text": "hi"},))
    assert statement_contents(request(), small_answer(message=blocks), identity=IDENTITY)["answer"]["content"] == [
        {"type": "text", "text": "hi"}
    ]


def test_other_entropy_makes_other_commitments_and_the_same_figures():
    first, second = build()[0], build(entropy=bytes(32))[0]
    assert not set(list_commitments(first).values()) & set(list_commitments(second).values())
    assert first["usage"] == second["usage"]
    assert first["policy"] == second["policy"] != build(policy={})[0]["policy"]


def test_strange_texts_do_not_stop_a_receipt():
    odd = "lone \ud800 surrogate"
    asked = Request(messages=(Message(role="user", content=odd),), options={"big": 2**70, "nan": float("nan")})
    statement, _ = build(small_answer(message=Message(role="assistant", content=odd)), asked)
    check_statement(completed(statement))


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"risk": Risk(value=float("nan"), interval=(0, 1))}, "figure"),
        ({"verdict": verdict(winner=-1)}, "statement"),
        ({"verdict": verdict(winner=2)}, "statement"),
        ({"verdict": verdict(medoid=-1)}, "statement"),
        ({"verdict": verdict(medoid=4)}, "statement"),
        ({"verdict": verdict(posterior=(1.0,))}, "statement"),
        ({"verdict": verdict(classes=(), posterior=())}, "statement"),
        ({"verdict": verdict(votes=(replace(verdict().votes[0], weight=-1.0),))}, "statement"),
        ({"verdict": verdict(votes=(replace(verdict().votes[0], answer_class=2),))}, "statement"),
    ],
)
def test_answers_that_make_no_sense_are_not_stated(changes, check):
    with pytest.raises(ReceiptError) as refused:
        build(consensus_answer(**changes), drafts=consensus_drafts())
    assert refused.value.check == check


def test_a_beta_posterior_needs_positive_parameters():
    with pytest.raises(ReceiptError) as refused:
        build(trust=(TrustEstimate(member="a", alpha=0.0, beta=1.0),))
    assert refused.value.check == "figure"


def test_too_little_entropy_is_refused():
    with pytest.raises(ReceiptError) as refused:
        build(entropy=b"short")
    assert refused.value.check == "entropy"


@pytest.mark.parametrize(
    ("limits", "answer", "check"),
    [
        ({"max_cost_usd": 0.0003}, small_answer(), "lcs.cost"),
        ({"max_cost_usd": 1.0}, small_answer(usage=Usage(cost_usd=None)), "lcs.cost"),
        ({"max_latency_s": 1.4}, small_answer(), "lcs.latency"),
        ({"max_error": 0.039}, small_answer(), "lcs.risk"),
        ({}, hit_answer(cache=replace(hit_answer().cache, error_bound=0.011)), "lcs.cache_error"),
        ({}, hit_answer(cache=replace(hit_answer().cache, error_bound=None)), "lcs.cache_error"),
    ],
)
def test_a_broken_promise_is_stated_and_refused_on_checking(limits, answer, check):
    statement = completed(build(answer, request(**limits))[0])
    check_statement(statement)
    with pytest.raises(ReceiptError) as refused:
        check_constraints(statement)
    assert refused.value.check == check


def test_promises_that_are_just_kept_are_kept():
    limits = {"max_cost_usd": 0.00031, "max_latency_s": 1.5, "max_error": 0.04}
    statement = completed(build(small_answer(), request(**limits))[0])
    check_constraints(statement)
    assert names(statement) == ["cost", "latency", "risk", "promotion", "trust", "sigma"]
    exact = hit_answer(cache=CacheDecision(action="serve", kind="exact", trust=0.9))
    check_constraints(completed(build(exact)[0]))


def abstention(**changes):
    fields = {"winner": -1, "abstained": True, "required": 0.99, "certified_margin": 0, "medoid": -1}
    return verdict(**{**fields, **changes})


def test_an_abstention_must_have_a_reason():
    statement = completed(build_consensus(verdict=abstention())[0])
    check_constraints(statement)
    assert statement["sigma"] == "0.960000000"
    for unfounded in (abstention(required=0.9), abstention(certified_margin=1), abstention(confidence=0.5)):
        statement = completed(build_consensus(verdict=unfounded)[0])
        with pytest.raises(ReceiptError) as refused:
            check_constraints(statement)
        assert refused.value.check in {"lcs.abstention", "lcs.margin", "lcs.confidence"}


def test_a_tie_is_a_reason_to_abstain_and_none_to_win():
    votes = tuple(replace(vote, weight=1.0) for vote in (verdict().votes[0], verdict().votes[3]))
    tied = {"votes": votes, "posterior": (0.5, 0.5), "confidence": 0.5, "required": 0.3}
    check_constraints(completed(build_consensus(verdict=abstention(**tied))[0]))
    with pytest.raises(ReceiptError) as refused:
        check_constraints(completed(build_consensus(verdict=verdict(**tied, medoid=0))[0]))
    assert refused.value.check == "lcs.winner"


def test_too_few_votes_are_no_quorum():
    statement = completed(build(consensus_answer(), drafts=consensus_drafts(), quorum=5)[0])
    with pytest.raises(ReceiptError) as refused:
        check_constraints(statement)
    assert refused.value.check == "lcs.quorum"


@pytest.mark.parametrize("place", range(9))
def test_a_constraint_that_is_reworded_dropped_or_added_is_refused(place):
    statement = completed(build_consensus()[0])
    name = statement["lcs"][place]["name"]
    reworded = {**statement, "lcs": [*statement["lcs"]]}
    reworded["lcs"][place] = {**reworded["lcs"][place], "relation": ">="}
    dropped = {**statement, "lcs": statement["lcs"][:place] + statement["lcs"][place + 1 :]}
    if reworded["lcs"] != statement["lcs"]:
        with pytest.raises(ReceiptError) as refused:
            check_constraints(reworded)
        assert refused.value.check == f"lcs.{name}"
    with pytest.raises(ReceiptError) as refused:
        check_constraints(dropped)
    assert refused.value.check == f"lcs.{name}"
    with pytest.raises(ReceiptError) as refused:
        check_constraints({**statement, "lcs": [*statement["lcs"], statement["lcs"][place]]})
    assert refused.value.check == "lcs"


def test_invented_trust_is_refused():
    statement = build()[0]
    statement["trust"][0]["mean"] = "0.900000000"
    statement["lcs"] = [constraint.to_json() for constraint in derive_constraints(statement)]
    with pytest.raises(ReceiptError) as refused:
        check_constraints(completed(statement))
    assert refused.value.check == "lcs.trust"
    assert statement["trust"][1]["member"] == TRUST[1].member


BAD_FIELDS = [
    (("version",), True),
    (("tenant",), "x"),
    (("served", "route"), "teleport"),
    (("served",), None),
    (("risk", "value"), "1.000000001"),
    (("risk", "value"), "10.000000000"),
    (("risk", "value"), "-0.500000000"),
    (("risk", "value"), 1),
    (("risk", "interval"), ["0.000000000"]),
    (("usage", "calls"), -1),
    (("usage", "calls"), True),
    (("usage", "calls"), 2**53),
    (("usage", "cost_usd"), "0.1"),
    (("usage", "cost_usd"), "01.000000000"),
    (("usage", "extra"), 1),
    (("members",), {}),
    (("members", 0, "model"), 3),
    (("constraints", "cache"), 1),
    (("constraints", "cache"), None),
    (("route", "explored"), 0),
    (("time",), "2026-13-40T99:99:99.000000Z"),
    (("time",), "2026-11-20 13:00:00Z"),
    (("log", "previous_size"), "0"),
    (("trust", 0, "alpha"), "0.000000000"),
    (("trust", 0, "beta"), "-1.000000000"),
]


@pytest.mark.parametrize(("path", "value"), BAD_FIELDS)
def test_malformed_fields_are_refused_by_name(path, value):
    statement = completed(build()[0])
    place = statement
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ReceiptError, match=str(path[-1])) as refused:
        check_statement(statement)
    assert refused.value.check == "statement"


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_object_is_no_statement(value):
    with pytest.raises(ReceiptError):
        check_statement(value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4_000_000)), min_size=1, max_size=9))
def test_recount_agrees_with_the_slow_and_obvious_one(drawn):
    votes = [(index, Decimal(weight).scaleb(-6)) for index, weight in drawn]
    totals = [sum((w for c, w in votes if c == index), Decimal(0)) for index in range(5)]
    leader = totals.index(max(totals))
    with localcontext() as context:
        context.prec = 3
        again = recount(votes, 5, leader)
    assert sum(again.posterior) == pytest.approx(1)
    rivals = [total for index, total in enumerate(totals) if index != leader]
    assert again.lead == totals[leader] - max(rivals)
    supporters = sorted((w for c, w in votes if c == leader), reverse=True)
    survives = [
        totals[leader] - sum(supporters[:n]) > max(rivals) + sum(supporters[:n]) for n in range(len(supporters) + 1)
    ]
    assert again.margin == max(0, survives.index(False) - 1 if False in survives else len(supporters))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4_000_000)), min_size=1, max_size=9), st.floats(0, 1))
def test_recount_agrees_with_the_committees_own_count(drawn, required):
    tally = pytest.importorskip("leo_core.stages.consensus.tally")
    votes = [(index, weight / 1e6) for index, weight in drawn]
    theirs = tally.recompute(votes, classes=4, required=required)
    ours = recount([(index, Decimal(weight).scaleb(-6)) for index, weight in drawn], 4, theirs.leader)
    assert [float(share) for share in ours.posterior] == pytest.approx(theirs.posterior, abs=1e-12)
    assert (ours.lead == 0) == theirs.tied
    if theirs.winner >= 0:
        assert ours.margin == theirs.certified_margin


def test_no_bound_means_no_constraint():
    statement, _ = build(small_answer(), request(max_cost_usd=float("inf")))
    assert statement["constraints"]["max_cost_usd"] is None
    assert "cost" not in names(statement)
    assert Constraints().cache is True
