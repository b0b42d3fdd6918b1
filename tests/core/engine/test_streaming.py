"""What a caller who is streaming sees before the verdict, what is corrected, and what the receipt says of it."""

from __future__ import annotations

import asyncio

import pytest

from leo_core import LEO, LEOConfig, verify_receipt
from leo_core.engine.world import SystemClock
from leo_core.errors import ConfigError, ReceiptError, RequestError, StreamInterruptedError
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Route
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.receipt.schema import check_statement
from tests.contracts.event_loop import never_blocked

QUESTION = "What is the capital of Australia?"
WRONG, RIGHT = "It is Sydney.", "It is Canberra."
WAYS = ("stream", "astream")
POLICIES = ("verified", "optimistic", "cascade")
OVERRULED = {"route": Route.CASCADE, "max_error": 0.0}


def member(name, reply=RIGHT, **settings):
    return ScriptedModel(name, replies=reply, cost=0.001, **settings)


def cascade(small=WRONG, large=RIGHT, config=None, **settings):
    return LEO(member("small", small, **settings), member("large", large), config=config)


def watch(leo, way, look=lambda: None, prompt=QUESTION, **settings):
    """The chunks of a stream, and what ``look`` saw when its first text came."""
    chunks, seen = [], []

    def take(chunk):
        if chunk.text and not seen:
            seen.append(look())
        chunks.append(chunk)

    async def read():
        with never_blocked():
            async for chunk in leo.astream(prompt, cache=False, **settings):
                take(chunk)

    if way == "stream":
        for chunk in leo.stream(prompt, cache=False, **settings):
            take(chunk)
    else:
        leo.warm_up()
        asyncio.run(read())
    return chunks, seen[0]


def split(chunks):
    """The text before and after the correction, and the correction."""
    at = [place for place, chunk in enumerate(chunks) if chunk.correction is not None]
    assert len(at) <= 1
    middle = at[0] if at else len(chunks)
    told = chunks[middle].correction if at else None
    return "".join(c.text for c in chunks[:middle]), "".join(c.text for c in chunks[middle:]), told


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("policy", "asked", "signed"), [("verified", 1, 1), ("optimistic", 0, 0), ("cascade", 1, 0)], ids=POLICIES
)
def test_what_is_shown_before_the_verdict_of_a_cascade(way, policy, asked, signed):
    with cascade(small=RIGHT) as leo:
        _, seen = watch(leo, way, lambda: (leo.members[1].calls, leo.log.size()), stream_policy=policy, **OVERRULED)
    assert seen == (asked, signed)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("policy", "signed"), [("verified", 1), ("optimistic", 0), ("cascade", 0)], ids=POLICIES)
def test_a_member_that_answers_alone_is_shown_as_it_speaks_but_not_before_its_receipt(way, policy, signed):
    with cascade() as leo:
        chunks, seen = watch(leo, way, leo.log.size, route=Route.SMALL, stream_policy=policy)
    assert seen == signed
    assert split(chunks) == (WRONG, "", None)


@pytest.mark.parametrize("way", WAYS)
def test_words_that_are_overruled_are_corrected_and_the_receipt_says_what_was_shown(way):
    with cascade() as leo:
        chunks, _ = watch(leo, way, stream_policy="optimistic", **OVERRULED)
        answer, key = chunks[-1].answer, leo.public_key
        words = leo.explain(answer)["words"]
    before, after, told = split(chunks)
    assert (before, after) == (WRONG, RIGHT)
    assert (told.reason, told.member, told.message.text) == ("overruled", "small", WRONG)
    assert (answer.text, answer.correction, answer.stream_policy) == (RIGHT, told, "optimistic")
    assert "stream: the words of small were shown first and then corrected (overruled)" in words
    said = read_statement(answer.receipt)["stream"]
    assert (said["policy"], said["corrected"]["reason"], said["corrected"]["member"]) == (
        "optimistic",
        "overruled",
        "small",
    )
    with pytest.raises(ReceiptError) as caught:  # the limit of 0 is not kept, and the receipt does not hide it
        verify_receipt(answer.receipt, public_key=key, contents={"shown": WRONG, "answer": RIGHT})
    assert caught.value.check == "lcs.risk"


def test_what_was_shown_is_committed_to_apart_from_the_answer():
    members = [member("a", WRONG), member("b"), member("c")]
    with LEO(jury=members) as leo:
        answer = watch(leo, "stream", route=Route.CONSENSUS, stream_policy="optimistic")[0][-1].answer
        key = leo.public_key
    verify_receipt(answer.receipt, public_key=key, contents={"shown": WRONG, "answer": RIGHT})
    with pytest.raises(ReceiptError) as caught:
        verify_receipt(answer.receipt, public_key=key, contents={"shown": RIGHT})
    assert caught.value.check == "commitment.shown"
    statement = read_statement(answer.receipt)
    with pytest.raises(ReceiptError, match=r"stream\.corrected"):
        check_statement({**statement, "stream": {**statement["stream"], "policy": "cascade"}})


@pytest.mark.parametrize("way", WAYS)
def test_words_that_are_confirmed_stay_the_answer(way):
    with cascade(small="It is Canberra.", large="Canberra") as leo:
        chunks, _ = watch(leo, way, stream_policy="optimistic", **OVERRULED)
    answer = chunks[-1].answer
    assert split(chunks) == (RIGHT, "", None)
    assert (answer.text, answer.model, answer.members) == (RIGHT, "small", ("small", "large"))
    assert read_statement(answer.receipt)["stream"] == {"policy": "optimistic", "corrected": None}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("first", "corrected"), [("Canberra", False), (WRONG, True)])
def test_of_a_jury_one_is_shown_while_the_others_are_asked(way, first, corrected):
    jury = [member("a", first, delay_s=0.05), member("b", delay_s=0.2), member("c", delay_s=0.2)]
    with LEO(jury=jury) as leo:
        chunks, seen = watch(
            leo, way, lambda: [each.calls for each in jury], route=Route.CONSENSUS, stream_policy="optimistic"
        )
    before, after, told = split(chunks)
    assert seen == [1, 1, 1]
    assert (before, after, told is not None) == (first, RIGHT if corrected else "", corrected)
    assert chunks[-1].answer.text == (RIGHT if corrected else first)
    assert [draft.member for draft in chunks[-1].answer.drafts] == ["a", "b", "c"]


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_that_dies_is_corrected_interrupted_or_never_seen(way):
    def ask(policy):
        with cascade(fail_after_chunks=2) as leo:
            return watch(leo, way, route=Route.SMALL, stream_policy=policy)[0]

    before, after, told = split(ask("optimistic"))
    assert (before, after, told.reason, told.message.text) == ("It is", RIGHT, "interrupted", "It is")
    assert split(ask("verified")) == (WRONG, "", None), "it is not streamed, and so does not die in the middle"
    with pytest.raises(StreamInterruptedError) as caught:
        ask("cascade")
    assert caught.value.partial == "It is"


def test_where_nobody_else_answers_the_interruption_is_an_error():
    with (
        LEO(member("small", WRONG, fail_after_chunks=2)) as leo,
        pytest.raises(StreamInterruptedError) as caught,
    ):
        list(leo.stream(QUESTION, stream_policy="optimistic"))
    assert caught.value.partial == "It is"


@pytest.mark.parametrize(
    "settings",
    [
        {"tools": ({"name": "find", "description": "", "parameters": {"type": "object", "properties": {}}},)},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_what_would_be_acted_upon_is_not_shown_before_its_verdict(settings):
    with cascade() as leo:
        chunks, asked = watch(
            leo, "stream", lambda: leo.members[1].calls, stream_policy="optimistic", **OVERRULED, **settings
        )
    assert asked == 1
    assert split(chunks) == (RIGHT, "", None)


def test_an_answer_that_is_not_streamed_is_the_same_under_every_policy():
    said = set()
    for policy in POLICIES:
        with cascade("It is Canberra.", "Canberra", config=LEOConfig(stream_policy=policy)) as leo:
            answer = leo.ask(QUESTION, cache=False, stream_policy=policy, **OVERRULED)
        said.add((answer.text, answer.model, answer.stream_policy, "stream" in read_statement(answer.receipt)))
    assert said == {("Canberra", "large", None, False)}


@pytest.mark.parametrize("way", WAYS)
def test_under_verified_nothing_is_shown_that_has_no_receipt(way, monkeypatch):
    def fail(*_, **__):
        raise ReceiptError("the disk is full", check="log")

    shown = []
    with cascade(config=LEOConfig.preset("verified")) as leo:
        monkeypatch.setattr(leo.log, "append", fail)
        with pytest.raises(ReceiptError):
            watch(leo, way, lambda: shown.append(1))
    assert shown == []


def test_hits_are_streamed_under_every_policy():
    with cascade() as leo:
        leo.ask(QUESTION, route=Route.SMALL)
        leo.flush()
        for policy in POLICIES:
            chunks = list(leo.stream(QUESTION, route=Route.SMALL, stream_policy=policy))
            assert split(chunks) == (WRONG, "", None)
            assert chunks[-1].answer.cache.hit
            assert read_statement(chunks[-1].answer.receipt)["stream"] == {"policy": policy, "corrected": None}


def test_the_policy_is_the_requests_or_that_of_the_settings():
    for config, default in ((LEOConfig(), "cascade"), (LEOConfig.preset("verified"), "verified")):
        with cascade(config=config) as leo:
            assert list(leo.stream(QUESTION))[-1].answer.stream_policy == default
            assert list(leo.stream(QUESTION, stream_policy="optimistic"))[-1].answer.stream_policy == "optimistic"


def test_there_is_no_other_policy():
    with pytest.raises(ConfigError, match="stream_policy is one of verified, optimistic, cascade, not 'fast'"):
        LEOConfig(stream_policy="fast")
    with cascade() as leo:
        for ask in (leo.stream, leo.ask):
            with pytest.raises(RequestError, match="stream_policy must be one of"):
                list(ask(QUESTION, stream_policy="fast"))


def test_personal_data_are_shown_in_what_is_withdrawn_and_kept_out_of_what_is_signed():
    config = LEOConfig(personal_data=PersonalDataConfig(mode="reversible"))
    question = "Is ann@example.org the address?"

    def echo(request):
        return f"No: {request.question}"

    with LEO(ScriptedModel("small", replies=echo), member("large"), config=config) as leo:
        chunks, _ = watch(leo, "stream", prompt=question, stream_policy="optimistic", **OVERRULED)
    before, after, told = split(chunks)
    assert before == told.message.text == chunks[-1].answer.correction.message.text == f"No: {question}"
    assert after == RIGHT
    assert "ann@example.org" not in str(chunks[-1].answer.receipt.document)


class Ahead(SystemClock):
    """A clock that can be put forward."""

    by_s = 0.0

    def now(self):
        return super().now() + self.by_s


def test_a_renewal_in_the_background_is_not_a_stream():
    clock, jury = Ahead(), [member("a", "It is Canberra."), member("b", "Canberra"), member("c", "Canberra")]
    config = LEOConfig(cache=CacheConfig(ttl_s=60.0, stale_s=60.0), stream_policy="optimistic")
    with LEO(jury=jury, config=config, clock=clock) as leo:
        assert leo.ask(QUESTION, route=Route.CONSENSUS).model == "b", "the one in the middle"
        leo.flush()
        clock.by_s = 90.0
        assert list(leo.stream(QUESTION, route=Route.CONSENSUS))[-1].answer.cache.stale
        leo.flush()
        again = leo.ask(QUESTION, route=Route.CONSENSUS)
    assert (again.cache.hit, again.cache.stale, again.model) == (True, False, "b")
    assert jury[0].calls == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_jury_may_be_left_in_the_middle_of_what_is_shown(way):
    jury = [member("a", RIGHT), member("b", delay_s=0.3), member("c", delay_s=0.3)]
    with LEO(jury=jury) as leo:
        settings = {"route": Route.CONSENSUS, "stream_policy": "optimistic", "cache": False}

        async def leave():
            chunks = leo.astream(QUESTION, **settings)
            assert (await anext(chunks)).text == "It"
            await chunks.aclose()
            return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

        if way == "stream":
            chunks = leo.stream(QUESTION, **settings)
            assert next(chunks).text == "It"
            chunks.close()
        else:
            assert asyncio.run(leave()) == []
        assert leo.log.size() == 0
