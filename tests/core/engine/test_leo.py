"""LEO as its users meet it, on scripted members and real parts for everything else."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from leo_core import LEO, LEOConfig, Message, Request, Route, verify_receipt
from leo_core.errors import (
    AbstainedError,
    BudgetExceededError,
    CapabilityError,
    ConfigError,
    NoAnswerError,
    ProviderUnavailableError,
    RateLimitError,
    ReceiptError,
    RequestError,
    StreamInterruptedError,
    TenantRequiredError,
)
from leo_core.kernels.sketch import make_rotation
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Capabilities, ToolCall, Usage
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.route.config import RouteConfig
from tests.contracts.event_loop import never_blocked

QUESTION = "How many days does February have in 2028?"


def model(name="parrot", reply="The answer is 29.", **settings):
    return ScriptedModel(name, replies=reply, **settings)


def down(name="broken"):
    return model(name, fail=ProviderUnavailableError("connection refused", provider="scripted", model=name))


def test_ask_answers_with_a_receipt_that_verifies():
    with LEO(small=model(cost=0.002)) as leo:
        answer = leo.ask(QUESTION)
        verify_receipt(answer.receipt, public_key=leo.public_key)
        assert (answer.text, answer.route, answer.usage.cost_usd) == ("The answer is 29.", Route.SMALL, 0.002)
        with LEO(small=model()) as other, pytest.raises(ReceiptError):
            verify_receipt(answer.receipt, public_key=other.public_key)


def test_asking_twice_hits_at_once_and_calls_once():
    member = model(cost=0.002)
    with LEO(small=member) as leo:
        first, second = leo.ask(QUESTION), leo.ask(QUESTION)
        assert member.calls == 1
        assert (second.route, second.text, second.usage, second.saved.cost_usd) == (
            Route.CACHE,
            first.text,
            Usage(),
            0.002,
        )
        assert second.id != first.id
        verify_receipt(second.receipt, public_key=leo.public_key)
        leo.flush()
        assert leo.ask(QUESTION).cache.hit
        assert member.calls == 1


def test_a_store_on_disk_is_found_again(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as leo:
        leo.ask(QUESTION)
        key = leo.public_key
    member = model()
    with LEO(small=member, store=path) as leo:
        assert leo.ask(QUESTION).cache.hit
        assert leo.public_key == key
        assert leo.log.audit() == 2
    assert member.calls == 0
    assert (tmp_path / "leo.db.key").stat().st_mode & 0o777 == 0o600


def test_another_member_or_setting_is_another_key(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model("one"), store=path) as leo:
        leo.ask(QUESTION, temperature=0.0)
        assert not leo.ask(QUESTION, temperature=1.0).cache.hit
    with LEO(small=model("two"), store=path) as leo:
        assert not leo.ask(QUESTION, temperature=0.0).cache.hit


def test_tenants_share_nothing():
    member = model()
    with LEO(small=member) as leo:
        leo.ask(QUESTION, tenant="acme")
        assert not leo.ask(QUESTION, tenant="other").cache.hit
        assert leo.ask(QUESTION, tenant="acme").cache.hit
    assert member.calls == 2


def test_a_policy_may_require_a_tenant():
    with LEO(small=model(), config=LEOConfig(require_tenant=True)) as leo:
        with pytest.raises(TenantRequiredError):
            leo.ask(QUESTION)
        assert leo.ask(QUESTION, tenant="acme").text


def test_streams_put_together_are_the_answer_and_end_with_it():
    with LEO(small=model(reply="one two  three\n")) as leo:
        for _ in range(2):  # live, then from the cache
            chunks = list(leo.stream(QUESTION))
            assert "".join(chunk.text for chunk in chunks) == "one two  three\n"
            assert chunks[-1].answer.text == "one two  three\n"
            assert all(chunk.answer is None for chunk in chunks[:-1])
            assert len(chunks) > 2
        assert chunks[-1].answer.cache.hit


async def test_async_twins_never_block_the_loop(tmp_path):
    members = [model(name, delay_s=0.01) for name in "abc"]
    with LEO(small=members[0], large=members[1], jury=members, store=tmp_path / "leo.db") as leo:
        await leo.aask("warm up the kernels please")
        with never_blocked():
            for route in (Route.SMALL, Route.LARGE, Route.CASCADE, Route.CONSENSUS):
                answer = await leo.aask(f"{route} {QUESTION}", route=route)
                verify_receipt(answer.receipt, public_key=leo.public_key)
                chunks = [chunk async for chunk in leo.astream(f"{route} {QUESTION} again", route=route)]
                assert "".join(chunk.text for chunk in chunks) == chunks[-1].answer.text
            again = await asyncio.gather(*(leo.aask(f"{Route.SMALL} {QUESTION}", route=Route.SMALL) for _ in range(20)))
        assert all(answer.cache.hit for answer in again)
        await asyncio.to_thread(leo.flush)


def test_streamed_tool_calls_put_together_are_the_message():
    call = ToolCall(id="c1", name="add", arguments={"a": 2, "b": [1, "x"]})
    reply = Message(role="assistant", content="Let me see", tool_calls=(call,))
    with LEO(small=model(reply=lambda request: reply)) as leo:
        tools = ({"name": "add", "description": "", "parameters": {"type": "object"}},)
        for _ in range(2):
            chunks = list(leo.stream(QUESTION, tools=tools))
            deltas = [delta for chunk in chunks for delta in chunk.tool_calls]
            assert json.loads("".join(delta.arguments for delta in deltas)) == call.arguments
            assert chunks[-1].answer.message == reply


def test_consensus_outvotes_a_faulty_member():
    jury = [model("a"), model("b", "It is 29"), model("liar", "The answer is 30.")]
    with LEO(jury=jury) as leo:
        answer = leo.ask(QUESTION)
        assert answer.route is Route.CONSENSUS
        assert "29" in answer.text
        assert {vote.member: vote.answer_class for vote in answer.verdict.votes}["liar"] != answer.verdict.winner
        verify_receipt(answer.receipt, public_key=leo.public_key)


def test_a_hung_jury_abstains_and_its_answer_is_not_kept():
    jury = [model(name, f"The answer is {number}.") for number, name in enumerate("abc")]
    with LEO(jury=jury) as leo:
        answer = leo.ask(QUESTION)
        assert answer.verdict.abstained
        verify_receipt(answer.receipt, public_key=leo.public_key)
        leo.flush()
        assert not leo.ask(QUESTION).cache.hit
    config = LEOConfig(consensus=ConsensusConfig(on_abstain="raise"))
    with LEO(jury=jury, config=config) as leo, pytest.raises(AbstainedError):
        leo.ask(QUESTION)


def test_of_a_hung_jury_the_most_trusted_members_answer_is_served_and_its_receipt_checks():
    jury = [model(name, f"The answer is {number}.") for number, name in enumerate("abc")]
    presumed = {"a": 0.2, "b": 0.4, "c": 0.3}
    config = LEOConfig(consensus=ConsensusConfig(presumed=presumed, presumed_weight=1000))
    with LEO(jury=jury, config=config) as leo:
        answer = leo.ask(QUESTION)
        assert answer.verdict.abstained
        assert [vote.weight for vote in answer.verdict.votes] == [0, 0, 0]
        assert answer.text == "The answer is 1."
        verify_receipt(answer.receipt, public_key=leo.public_key)


def test_a_cascade_escalates_when_the_small_answer_looks_wrong():
    unsure = model("small", "I am not sure, I cannot answer this.")
    with LEO(small=unsure, large=model("large")) as leo:
        answer = leo.ask(QUESTION, route=Route.CASCADE, max_error=0.05)
        assert answer.members == ("small", "large")
        assert answer.text == "The answer is 29."


def test_a_cascade_asks_the_jury_when_small_and_large_disagree_and_it_is_wanted():
    jury = [model("third"), model("fourth")]
    small, large = model("small", "I don't know. Perhaps 12?"), model("large")
    config = LEOConfig(route=RouteConfig(cascade_jury=True))
    with LEO(small=small, large=large, jury=[small, large, *jury], config=config) as leo:
        answer = leo.ask(QUESTION, route=Route.CASCADE, max_error=0.01)
        assert set(answer.members) == {"small", "large", "third", "fourth"}
        assert answer.route is Route.CASCADE
        assert "29" in answer.text
    with LEO(small=small, large=large, jury=[small, large, *jury]) as leo:
        assert leo.ask(QUESTION, route=Route.CASCADE, max_error=0.01).members == ("small", "large")


def cascade_members(second, *, dear=1.0, share=0.25, risk=None, **settings):
    """Who was asked in a cascade whose small member says 29, with a second opinion to be had, and what was served."""
    small, large = (
        ScriptedModel("small", replies="The answer is 29.", cost=0.01),
        ScriptedModel("large", replies="The answer is 31.", cost=dear),
    )
    jury = [
        small,
        ScriptedModel("dearer", replies="The answer is 30.", cost=0.3 * dear),
        ScriptedModel("second", replies=second, cost=0.02),
    ]
    route = RouteConfig(loss_usd=10.0, second_opinion_share=share)
    config = LEOConfig(route=route, risk=risk or RiskConfig())
    with LEO(small=small, large=large, jury=jury, config=config) as leo:
        answer = leo.ask(QUESTION, route=Route.CASCADE, **settings)
    return answer.members, answer.text


def test_a_cascade_asks_the_cheapest_other_juror_and_the_large_member_only_if_they_differ():
    assert cascade_members("The answer is 29.") == (("small", "second"), "The answer is 29.")
    assert cascade_members("The answer is 12.") == (("small", "second", "large"), "The answer is 31.")


def test_a_second_opinion_that_contradicts_is_never_overlooked_and_one_that_leaves_it_open_is_judged_by_risk():
    trusting = RiskConfig(accept_below=1.0)
    assert cascade_members("The answer is 12.", risk=trusting) == (("small", "second", "large"), "The answer is 31.")
    assert cascade_members("", risk=trusting)[0] == ("small", "second"), "no answer is no contradiction"


@pytest.mark.parametrize(
    ("second", "large", "held"),
    [
        ("The answer is 29.", "unasked", True),
        ("It is 12.", "The answer is 31.", False),
        ("It is 12.", "It is 29.", True),
    ],
)
def test_a_cascade_learns_whether_the_small_answer_held(second, large, held):
    small = ScriptedModel("small", replies="The answer is 29.", cost=0.01)
    jury = [small, ScriptedModel("second", replies=second, cost=0.02)]
    config = LEOConfig(route=RouteConfig(loss_usd=10.0))
    with LEO(small=small, large=ScriptedModel("large", replies=large, cost=1.0), jury=jury, config=config) as leo:
        answer = leo.ask(QUESTION, route=Route.CASCADE)
        leo.flush()
        (body,) = [item.body for _, item in leo.store.observations() if item.kind == "route"]
    assert body["small_right"] is held
    assert body["weight"] == pytest.approx(1.0 - answer.risk.value)


def test_an_answer_with_nothing_beside_it_teaches_nothing_of_the_small_member():
    with LEO(small=model("small"), large=model("large")) as leo:
        leo.ask(QUESTION, route=Route.CASCADE, max_error=0.9)
        leo.flush()
        (body,) = [item.body for _, item in leo.store.observations() if item.kind == "route"]
    assert (body.get("small_right"), body["weight"]) == (None, 1.0)


def test_no_second_opinion_is_asked_where_it_is_not_worth_its_price():
    assert cascade_members("The answer is 12.", share=0.0)[0] == ("small", "large")
    assert cascade_members("The answer is 12.", dear=0.07)[0] == ("small", "large"), "over a quarter of the large call"
    assert cascade_members("The answer is 12.", max_error=0.9)[0] == ("small",), "the answer is good enough as it is"


def opinion_members(first="The answer is 29.", second="The answer is 29.", *, loss_usd=10.0, **settings):
    """A LEO whose small member says 29, whose large one says 31, and whose two cheap jurors say these."""
    small = ScriptedModel("small", replies="The answer is 29.", cost=0.01)
    jury = [
        small,
        ScriptedModel("dear", replies="The answer is 30.", cost=0.3),
        ScriptedModel("second", replies=second, cost=0.03),
        ScriptedModel("first", replies=first, cost=0.02),
    ]
    trusting = RiskConfig(accept_below=1.0)  # what is expected decides, and not how the answer looks
    config = LEOConfig(route=RouteConfig(loss_usd=loss_usd, **settings), risk=trusting)
    large = ScriptedModel("large", replies="The answer is 31.", cost=1.0)
    return LEO(small=small, large=large, jury=jury, config=config, seed=1)


def ask_cascade(leo, question=QUESTION, **constraints):
    return leo.ask(question, route=Route.CASCADE, cache=False, **constraints)


@pytest.mark.parametrize(
    ("first", "second", "loss_usd", "members"),
    [
        ("The answer is 29.", "The answer is 29.", 40.0, ("small", "first", "second")),
        ("The answer is 29.", "The answer is 12.", 40.0, ("small", "first", "second", "large")),
        ("The answer is 29.", "unasked", 5.0, ("small", "first")),
        ("The answer is 12.", "unasked", 10.0, ("small", "first", "large")),
        ("unasked", "unasked", 0.01, ("small",)),
        ("unasked", "unasked", 1000.0, ("small", "large")),
    ],
)
def test_a_cascade_asks_as_many_opinions_as_the_loss_makes_worth_their_price(first, second, loss_usd, members):
    with opinion_members(first, second, loss_usd=loss_usd) as leo:
        answer = ask_cascade(leo)
    assert answer.members == members
    assert ("31" in answer.text) is (members[-1] == "large")
    assert answer.usage.cost_usd == pytest.approx(
        sum({"small": 0.01, "first": 0.02, "second": 0.03, "large": 1.0}[m] for m in members)
    )


def test_where_no_juror_can_be_asked_the_risk_of_the_small_answer_decides():
    members = {"small": model("small", cost=0.01), "large": model("large", "The answer is 31.", cost=0.02)}
    for accepted, asked in ((1.0, ("small",)), (0.0, ("small", "large"))):
        with LEO(**members, config=LEOConfig(risk=RiskConfig(accept_below=accepted))) as leo:
            assert ask_cascade(leo).members == asked


def test_no_opinions_are_bought_while_audits_leave_no_answer_that_may_be_served():
    """The cascade would end with the large member whatever jurors say, so that member is the cheaper route."""
    small, large = (
        ScriptedModel(name, replies="It is 29.", cost=cost) for name, cost in (("small", 0.01), ("large", 1.0))
    )
    jury = [small, *(ScriptedModel(name, replies="It is 29.", cost=0.02) for name in ("first", "second"))]
    config = LEOConfig(route=RouteConfig(loss_usd=40.0, promote=False, explore=False), audit_rate=1.0)
    with LEO(small=small, large=large, jury=jury, config=config, checker=lambda _, __: False, seed=1) as leo:
        assert "first" in ask_cascade(leo).members
        for number in range(40):
            leo.ask(f"What is {number} and {number + 1}?", route=Route.LARGE, cache=False)
            leo.flush()
        barred = ask_cascade(leo)
        assert (barred.risk.basis, barred.risk.accepted) == ("audited", 0.0)
        assert barred.members == ("small", "large")
        free = leo.ask(QUESTION, cache=False).decision
    assert free.expected_cost_usd["cascade"] == pytest.approx(1.01)
    assert free.objective["large"] < free.objective["cascade"]


def test_the_number_of_opinions_can_be_bounded():
    with opinion_members(loss_usd=40.0, opinions=1) as leo:
        assert ask_cascade(leo).members == ("small", "first")
    with opinion_members("The answer is 12.", opinions=0) as leo:
        assert "first" not in ask_cascade(leo).members


def test_a_cascade_learns_from_what_jurors_say_and_asks_less_where_it_tells_little():
    with opinion_members(loss_usd=40.0) as leo:
        assert ask_cascade(leo).members == ("small", "first", "second")
        for number in range(60):
            ask_cascade(leo, f"What is {number} and {number + 1}?")
            leo.flush()
        later = ask_cascade(leo)
        bodies = [item.body for _, item in leo.store.observations() if item.kind == "route"]
    assert later.members in {("small",), ("small", "first")}, "they always agree, so the second tells nothing"
    assert bodies[0]["opinions"] == "++"
    assert bodies[0]["spent"] == {"small": 0.01, "first": 0.02, "second": 0.03}
    assert "overruled" not in bodies[0]


def test_the_first_juror_is_asked_together_with_the_small_member_where_it_is_asked_anyway():
    met = threading.Barrier(2, timeout=10.0)

    def say(request):
        met.wait()
        return "The answer is 29."

    small = ScriptedModel("small", replies=say, cost=0.01)
    juror = ScriptedModel("juror", replies=say, cost=0.02)
    config = LEOConfig(route=RouteConfig(loss_usd=10.0))
    with LEO(
        small=small, large=ScriptedModel("large", replies="31", cost=1.5), jury=[small, juror], config=config
    ) as leo:
        answer = ask_cascade(leo)
    assert answer.members == ("small", "juror"), "each waited for the other, and none in vain"
    assert not answer.failures


def test_an_audit_of_a_small_answer_says_what_the_jurors_had_said_of_it():
    small = ScriptedModel("small", replies="The answer is 29.", cost=0.01)
    juror = ScriptedModel("juror", replies="The answer is 29.", cost=0.02)
    config = LEOConfig(route=RouteConfig(loss_usd=10.0), audit_rate=1.0)
    large = ScriptedModel("large", replies="The answer is 31.", cost=1.0)

    def check(request, answer):
        return False

    with LEO(small=small, large=large, jury=[small, juror], config=config, checker=check) as leo:
        ask_cascade(leo)
        leo.flush()
        audits = [
            item.body for _, item in leo.store.observations() if item.kind == "route" and item.body.get("audited")
        ]
    assert [body["opinions"] for body in audits] == ["+"]


@pytest.mark.parametrize("route", [Route.SMALL, Route.LARGE, Route.CASCADE, Route.CONSENSUS])
def test_a_failed_member_is_replaced_and_named(route):
    good = model("good")
    roles = {
        Route.SMALL: {"small": down(), "large": good},
        Route.LARGE: {"small": good, "large": down()},
        Route.CASCADE: {"small": down(), "large": good},
        Route.CONSENSUS: {"jury": [down(), good, model("third")]},
    }[route]
    with LEO(**roles) as leo:
        answer = leo.ask(QUESTION, route=route)
        assert answer.text == "The answer is 29."
        assert [failure.member for failure in answer.failures] == ["broken"]
        assert leo.counts["member.failed"] == 1
        verify_receipt(answer.receipt, public_key=leo.public_key)


def test_one_failed_member_raises_its_own_error_and_several_raise_all():
    error = RateLimitError("slow down", provider="scripted", model="m", retry_after_s=3.0)
    with LEO(small=model(fail=error)) as leo, pytest.raises(RateLimitError) as caught:
        leo.ask(QUESTION)
    assert caught.value.retry_after_s == 3.0
    with LEO(small=down("a"), large=down("b")) as leo, pytest.raises(NoAnswerError) as all_failed:
        leo.ask(QUESTION)
    assert len(all_failed.value.failures) == 2
    assert QUESTION not in str(all_failed.value)


def test_any_exception_of_a_member_is_its_failure():
    def explode(request):
        raise KeyError("boom")

    with LEO(small=ScriptedModel("odd", replies=explode), large=model("good")) as leo:
        answer = leo.ask(QUESTION, route=Route.SMALL)
        assert answer.model == "good"
        assert isinstance(answer.failures[0].error.__cause__, KeyError)


def test_a_stream_that_dies_is_an_error_with_what_was_shown_and_keeps_nothing():
    dying = model(reply="one two three four five", fail_after_chunks=2)
    with LEO(small=dying, large=model("large")) as leo:
        shown = []
        with pytest.raises(StreamInterruptedError) as caught:
            shown.extend(chunk.text for chunk in leo.stream(QUESTION, route=Route.SMALL))
        assert caught.value.partial == "".join(shown)
        assert shown
        leo.flush()
        assert leo.store.count_entries() == 0


def test_closing_a_stream_early_keeps_nothing():
    with LEO(small=model(reply="one two three")) as leo:
        stream = leo.stream(QUESTION)
        next(stream)
        stream.close()
        leo.flush()
        assert leo.store.count_entries() == 0
        assert leo.log.size() == 0


def test_the_cost_limit_is_checked_before_the_call():
    small, large = model("small", cost=0.01), model("large", cost=1.0)
    with LEO(small=small, large=large) as leo:
        answer = leo.ask(QUESTION, max_cost_usd=0.05)
        assert answer.members == ("small",)
        with pytest.raises(BudgetExceededError):
            leo.ask(QUESTION + " again", max_cost_usd=0.001)
        assert large.calls == 0


def test_an_unknown_price_does_not_pass_a_cost_limit():
    with LEO(small=model(cost=None)) as leo:
        assert leo.ask(QUESTION).usage.cost_usd is None
        with pytest.raises(BudgetExceededError, match="no price is known"):
            leo.ask(QUESTION + " again", max_cost_usd=1.0)


def test_a_member_that_cannot_do_what_is_needed_is_not_asked():
    blind = model("blind", capabilities=Capabilities(images=False, tools=False))
    seeing = model("seeing")
    image = Message(
        role="user", content=({"type": "text", "text": "What is it?"}, {"type": "image", "url": "https://x/y.png"})
    )
    with LEO(small=blind, large=seeing) as leo:
        assert leo.ask([image]).model == "seeing"
        assert blind.calls == 0
    with LEO(small=blind) as leo, pytest.raises(CapabilityError, match="images"):
        leo.ask([image])


def test_feedback_removes_the_answer_and_lowers_trust():
    member = model()
    with LEO(small=member) as leo:
        answer = leo.ask(QUESTION)
        leo.flush()
        leo.feedback(answer, wrong=True)
        leo.flush()
        assert not leo.ask(QUESTION).cache.hit
        leo.flush()
        kinds = [observation.kind for _, observation in leo.store.observations()]
        assert "feedback" in kinds
        with pytest.raises(RequestError, match="not among"):
            leo.feedback("unknown", wrong=True)


def test_feedback_on_a_hit_removes_its_source():
    with LEO(small=model()) as leo:
        leo.ask(QUESTION)
        hit = leo.ask(QUESTION)
        leo.flush()
        leo.feedback(hit, wrong=True)
        assert not leo.ask(QUESTION).cache.hit


def test_explain_gives_figures_and_words_for_hits_misses_and_messages():
    class Framework:
        def __init__(self, answer):
            self.response_metadata = {"leo": {"answer_id": answer.id}}

    with LEO(small=model(), large=model("large")) as leo:
        miss, hit = leo.ask(QUESTION), leo.ask(QUESTION)
        for answer in (miss, miss.id, Framework(miss)):
            told = leo.explain(answer)
            assert told["answer_id"] == miss.id
            assert any(line.startswith("route: ") for line in told["words"])
            json.dumps(told, default=str)
        assert leo.explain(hit)["cache"]["action"] == "serve"
        with pytest.raises(RequestError):
            leo.explain("nobody")


def test_audits_by_a_checker_teach_trust_and_none_means_cannot_tell():
    verdicts = iter([True, False, None, None])  # of the second question's rival nothing is known
    jury = [model("a"), model("b"), model("liar", "The answer is 30.")]
    config = LEOConfig(audit_rate=1.0)
    with LEO(jury=jury, checker=lambda request, answer: next(verdicts), config=config) as leo:
        for number in range(3):
            leo.ask(f"{QUESTION} ({number})")
            leo.flush()
        trust = [item.body for _, item in leo.store.observations() if item.kind == "trust" and "member" in item.body]
    right = [(body["member"], body["agreement"]) for body in trust[:3]]
    assert right == [("a", 1.0), ("b", 1.0), ("liar", 0.0)]
    assert [(body["member"], body["agreement"]) for body in trust[3:]] == [("a", 0.0), ("b", 0.0)]


def test_when_the_answer_served_is_wrong_the_rivals_are_checked():
    checked = []

    def check(request, answer):
        checked.append(answer.message.text)
        return "30" in answer.message.text

    jury = [model("a"), model("b"), model("loner", "The answer is 30."), model("other", "The answer is 31.")]
    with LEO(jury=jury, checker=check, config=LEOConfig(audit_rate=1.0)) as leo:
        served = leo.ask(QUESTION)
        leo.flush()
        seen = [item.body for _, item in leo.store.observations() if item.kind == "trust"]
    assert served.verdict.strategy == "trust"
    assert checked[0] == served.message.text
    assert len(checked) in (2, 3)
    found = {body["member"]: body["agreement"] for body in seen if "member" in body}
    assert found == {"a": 0.0, "b": 0.0, "loner": 1.0, "other": 0.0}
    (outcomes,) = [body["strategies"] for body in seen if "strategies" in body]
    assert outcomes == {
        "trust": False, "majority": False, "member:a": False, "member:b": False, "member:loner": True,
        "member:other": False,
    }  # fmt: skip


def test_audits_without_a_checker_never_teach_trust():
    config = LEOConfig(audit_rate=1.0)
    with LEO(small=model("small"), large=model("large"), config=config) as leo:
        leo.ask(QUESTION, route=Route.SMALL)
        leo.flush()
        kinds = {item.kind for _, item in leo.store.observations()}
        audited = [item.body for _, item in leo.store.observations() if item.kind == "route" and item.body["right"]]
    assert "trust" not in kinds
    assert audited


def test_audits_decide_what_is_accepted_and_a_change_of_traffic_is_an_event():
    """Answers whose risk looks high are accepted once audits found them right; other traffic sounds the alarm."""
    risk = RiskConfig(drift_window=20, outcomes_kept=60)
    config = LEOConfig(audit_rate=1.0, risk=risk, cache=CacheConfig(enabled=False))
    heard = []

    class Listens:
        def notify(self, event):
            heard.append(event)

    with LEO(small=model("small"), checker=lambda _, __: True, config=config, listeners=[Listens()]) as leo:
        first = leo.ask(QUESTION, max_error=0.1)
        assert (first.risk.action, first.risk.basis, first.risk.accepted) == ("escalate", "shipped", 0.1)
        for number in range(45):
            leo.ask(f"{QUESTION} ({number})")
        leo.flush()
        known = leo.ask(QUESTION, max_error=0.1)
        assert (known.risk.action, known.risk.basis) == ("accept", "audited")
        assert known.risk.accepted > 0.1
        assert verify_receipt(known.receipt, public_key=leo.public_key) is None
        assert "(audited)" in " ".join(leo.explain(known)["words"])
        assert not [event for event in heard if event.name == "risk.drifted"]
        for number in range(45):
            leo.ask(f"def f_{number}(x): return [x, {number}, {number + 1}]; what is f_{number}(1)? Think. " * 9)
            leo.flush()
        assert [event.facts["alarms"] for event in heard if event.name == "risk.drifted"]
        careful = leo.ask(QUESTION, max_error=0.1)
    assert careful.risk.basis in ("conservative", "audited")


def test_traffic_is_compared_by_the_small_members_answer_whatever_route_was_taken():
    """Else a change of routes, which an alarm brings itself, would look like a change of traffic."""
    small, large = model("small"), model("large", reply="The answer is 31, because 29 + 2 = 31.")
    jury = [small, large, model("third")]
    config = LEOConfig(cache=CacheConfig(enabled=False), risk=RiskConfig(accept_below=0.0))
    with LEO(small=small, large=large, jury=jury, config=config) as leo:
        for route in (Route.SMALL, Route.CASCADE, Route.CONSENSUS, Route.LARGE):
            leo.ask(QUESTION, route=route)
            leo.flush()
        forms = [item.body.get("form") for _, item in leo.store.observations() if item.kind == "route"]
    assert forms[0] is not None
    assert forms == [forms[0]] * 3 + [None]


def test_a_listener_hears_events_without_texts_and_cannot_break_anything(caplog):
    heard = []

    class Good:
        def notify(self, event):
            heard.append(event)

    class Bad:
        def notify(self, event):
            raise RuntimeError("listener bug")

    with LEO(small=model(), listeners=[Bad(), Good()]) as leo:
        leo.ask(QUESTION)
        leo.ask(QUESTION)
    names = [event.name for event in heard]
    assert {"route.chosen", "receipt.appended", "cache.hit"} <= set(names)
    assert not any("February" in json.dumps(dict(event.facts), default=str) for event in heard)
    assert "listener" in caplog.text


def test_sessions_steer_novelty_and_never_hits():
    with LEO(small=model()) as leo:
        leo.ask(QUESTION, session="a")
        assert leo.ask(QUESTION, session="b").cache.hit


def test_a_closed_leo_says_so_and_closing_twice_is_fine():
    leo = LEO(small=model())
    leo.close()
    leo.close()
    with pytest.raises(ConfigError, match="closed"):
        leo.ask(QUESTION)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one member"),
        ({"small": 42}, "not int"),
        ({"jury": [None]}, "None"),
        ({"small": ScriptedModel("x", replies="a"), "large": ScriptedModel("x", replies="b")}, "share the id 'x'"),
    ],
)
def test_wrong_members_are_refused_with_what_to_do(given, message):
    with pytest.raises(ConfigError, match=message):
        LEO(**given).ask(QUESTION)


def test_a_jury_name_that_small_has_is_the_same_member():
    with LEO(small="extractive", jury=["extractive"]) as leo:
        assert len(leo.members) == 1


def test_receipts_switched_off_means_no_key_and_no_claim():
    with LEO(small=model(), config=LEOConfig(receipts=ReceiptConfig(enabled=False))) as leo:
        assert leo.ask(QUESTION).receipt is None
        assert leo.log is None
        with pytest.raises(ConfigError, match="switched off"):
            _ = leo.public_key


def test_warm_up_makes_the_directions_of_the_sketches():
    make_rotation.cache_clear()
    with LEO(small=model()) as leo:
        leo.warm_up()
        made = make_rotation.cache_info().misses
        leo.ask("Is the car red?")
        assert make_rotation.cache_info().misses == made


def test_warm_up_makes_the_first_answer_find_everything_loaded():
    with LEO(small=model()) as leo:
        leo.warm_up()
        assert leo.ask(QUESTION).text


def test_many_threads_share_one_leo():
    member = model()
    with LEO(small=member) as leo:
        answers = []
        threads = [
            threading.Thread(target=lambda number=number: answers.append(leo.ask(f"{QUESTION} {number % 5}")))
            for number in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        leo.flush()
        assert len(answers) == 40
        assert leo.log.audit() == 40
        assert leo.store.count_entries() == 5


def test_two_leos_on_one_file_see_each_others_answers(tmp_path):
    path = tmp_path / "leo.db"
    member = model()
    with LEO(small=member, store=path) as one, LEO(small=member, store=path) as two:
        one.ask(QUESTION)
        one.flush()
        assert two.ask(QUESTION).cache.hit
        assert two.log.audit() == 2
    assert member.calls == 1


def test_members_and_key_do_not_show_in_repr():
    with LEO(small=model()) as leo:
        assert repr(leo) == "LEO(parrot)"
        assert "BEGIN" not in repr(leo.ask(QUESTION))


def test_the_cache_alone_misses_keeps_and_hits():
    request = Request(messages=(Message(role="user", content=QUESTION),))
    with LEO() as leo:
        decision, entry = leo.cache.lookup(request)
        assert (decision.hit, entry) == (False, None)
        leo.cache.update(request, Message(role="assistant", content="29"), model="m", usage=Usage(cost_usd=0.1))
        decision, entry = leo.cache.lookup(request)
        assert decision.hit
        assert entry.message.text == "29"
        leo.flush()
        assert leo.cache.clear() == 1
        assert not leo.cache.lookup(request)[0].hit


async def test_the_cache_alone_in_tasks(tmp_path):
    request = Request(messages=(Message(role="user", content=QUESTION),))
    with LEO(store=tmp_path / "leo.db") as leo:
        await leo.cache.alookup(request)
        with never_blocked():
            await leo.cache.aupdate(request, Message(role="assistant", content="29"))
            decision, entry = await leo.cache.alookup(request)
        assert decision.hit
        assert entry.message.text == "29"


def test_the_cache_keeps_no_more_than_it_may():
    from dataclasses import replace

    config = LEOConfig()
    with LEO(small=model(), config=replace(config, cache=replace(config.cache, max_entries=3))) as leo:
        for number in range(10):
            leo.ask(f"{QUESTION} {number}")
        leo.flush()
        assert leo.store.count_entries() == 3
        assert leo.ask(f"{QUESTION} 9").cache.hit
        assert not leo.ask(f"{QUESTION} 0").cache.hit


def test_the_newest_of_two_answers_on_their_way_to_the_store_is_served():
    request = Request(messages=(Message(role="user", content=QUESTION),))
    with LEO() as leo:
        for number in range(300):
            leo.cache.update(request, Message(role="assistant", content=str(number)))
            _, entry = leo.cache.lookup(request)
            assert entry.message.text == str(number)


def test_feedback_right_after_the_answer_is_not_undone_by_its_writing():
    member = model()
    with LEO(small=member) as leo:
        for number in range(50):
            leo.feedback(leo.ask(f"{QUESTION} {number}"), wrong=True)
            leo.flush()
            assert leo.store.count_entries() == 0


def test_feedback_on_a_paraphrase_removes_the_entry_that_it_became_an_alias_of():
    with LEO(small=model()) as leo:
        leo.ask("How do I reset my password?")
        leo.flush()
        paraphrase = leo.ask("How can I reset my password?")
        leo.flush()
        assert paraphrase.cache.action == "explore"
        assert leo.store.count_entries() == 1
        leo.feedback(paraphrase, wrong=True)
        assert leo.store.count_entries() == 0
