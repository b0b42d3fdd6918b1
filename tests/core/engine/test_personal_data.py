"""What LEO, its members, its store and its receipts see of a request's personal data: nothing; its caller, all."""

from __future__ import annotations

import json

import pytest

from leo_core import LEO, LEOConfig, Route, verify_receipt
from leo_core.errors import PersonalDataError, RequestError, StreamInterruptedError
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, Request, ToolCall
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.receipt.commitment import opens
from leo_core.stages.receipt.document import read_statement

ANNA, BOB, CARD = "anna.k@example.org", "bob.m@example.org", "4111 1111 1111 1111"
QUESTION = "Please write to {} about the missing parcel and the late refund"


def config(mode="reversible", **more):
    return LEOConfig(personal_data=PersonalDataConfig(mode=mode), **more)


class Ear:
    def __init__(self):
        self.heard = []

    def notify(self, event):
        self.heard.append(event)


class Eyes:
    """The embedder, and what it was shown."""

    def __init__(self):
        self._inner, self.seen = load_embedder("hashed"), []
        self.fingerprint, self.is_local = self._inner.fingerprint, True

    def embed(self, texts):
        self.seen += texts
        return self._inner.embed(texts)


def parrot(**settings):
    return ScriptedModel(
        "parrot", **{"replies": lambda request: f"Done: {request.question}!", "cost": 0.001} | settings
    )


def test_nobody_but_the_caller_sees_a_value(tmp_path):
    asked, ear, eyes = [], Ear(), Eyes()

    def reply(request):
        asked.append(request)
        return f"Done: {request.question}!"

    path = tmp_path / "leo.db"
    settings = config(audit_rate=1.0)
    with LEO(
        small=parrot(replies=reply),
        store=path,
        config=settings,
        embedder=eyes,
        listeners=[ear],
        checker=lambda r, a: True,
    ) as leo:
        answer = leo.ask(QUESTION.format(ANNA), session="s", idempotency_key="k1")
        again = leo.ask(QUESTION.format(ANNA), session="s", idempotency_key="k1")
        streamed = "".join(chunk.text for chunk in leo.stream(QUESTION.format(CARD), cache=False))
        leo.feedback(answer, wrong=False)
        leo.flush()
        receipt = answer.receipt
    assert answer.text == again.text == f"Done: {QUESTION.format(ANNA)}!"
    assert streamed == f"Done: {QUESTION.format(CARD)}!"
    assert asked[0].question == QUESTION.format("<EMAIL_1>")
    assert eyes.seen
    traces = [repr(asked), repr(eyes.seen), repr(ear.heard), json.dumps(receipt.document)]
    traces += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    for value in (ANNA, CARD, "anna.k", "1111"):
        assert not [trace for trace in traces if value in trace]


def test_the_receipt_counts_kinds_and_commits_to_what_was_kept():
    with LEO(small=parrot(), config=config()) as leo:
        answer = leo.ask(f"Is {ANNA} or {BOB} on card {CARD}?")
        verify_receipt(answer.receipt, public_key=leo.public_key)
        statement = read_statement(answer.receipt)
        assert leo.log.audit() == 1
    assert statement["personal_data"] == {
        "mode": "reversible",
        "found": [{"kind": "card", "count": 1}, {"kind": "email", "count": 2}],
    }
    assert answer.covered.text == "Done: Is <EMAIL_1> or <EMAIL_2> on card <CARD_1>?!"
    assert answer.redaction.counts == {"card": 1, "email": 2}
    commitment, nonce = statement["commitments"]["answer"], bytes.fromhex(answer.receipt.openings["answer"])
    assert opens(commitment, "answer", nonce, answer.covered.text)
    assert not opens(commitment, "answer", nonce, answer.text)


def test_a_receipt_without_personal_data_says_nothing_of_it():
    with LEO(small=parrot(), config=config()) as leo:
        answer = leo.ask("How many days has February?")
        assert "personal_data" not in read_statement(answer.receipt)
        assert (answer.redaction, answer.covered) == (None, None)


def test_two_users_share_an_answer_and_each_is_told_their_own():
    member = parrot()
    with LEO(small=member, config=config()) as leo:
        first = leo.ask(QUESTION.format(ANNA))
        leo.flush()
        second = leo.ask(QUESTION.format(BOB))
        streamed = "".join(chunk.text for chunk in leo.stream(QUESTION.format("carl@example.org")))
    assert (first.route, second.route, member.calls) == (Route.SMALL, Route.CACHE, 1)
    assert second.text == f"Done: {QUESTION.format(BOB)}!"
    assert streamed == f"Done: {QUESTION.format('carl@example.org')}!"
    assert ANNA not in repr(second)


def test_values_that_are_equal_in_one_request_and_not_in_the_other_are_two_requests():
    member = parrot()
    with LEO(small=member, config=config()) as leo:
        leo.ask(f"Does {ANNA} equal {ANNA}?")
        leo.flush()
        leo.ask(f"Does {ANNA} equal {BOB}?")
    assert member.calls == 2


@pytest.mark.parametrize(
    ("kept", "asked", "near"),
    [
        ("Please write to {a} about the parcel", "Please do write to {b} about the parcel", True),
        ("Please write to {a} about the parcel", "Please do write to us about the parcel", False),
        ("Please write from {a} to {b} about it", "Please do write to {a} from {b} about it", False),
        ("Please write to {a} about the parcel", "Please do write to {c} about the parcel", False),
    ],
)
def test_a_paraphrase_is_compared_only_where_its_values_fit(kept, asked, near):
    """With another kind of value, or with two that may stand in each other's places, it is answered anew."""
    values = {"a": ANNA, "b": BOB, "c": CARD}
    ear = Ear()
    with LEO(small=parrot(), config=config(), listeners=[ear], seed=1) as leo:
        leo.ask(kept.format(**values))
        leo.flush()
        decision = leo.ask(asked.format(**values)).cache
    assert (decision.entry_id is not None) == near


def test_blocked_requests_reach_nobody():
    member, ear = parrot(), Ear()
    with LEO(small=member, config=config("block"), listeners=[ear]) as leo:
        with pytest.raises(PersonalDataError, match="email: 1") as caught:
            leo.ask(f"Write to {ANNA}", idempotency_key="k")
        assert isinstance(caught.value, RequestError)
        assert leo.ask("Write to nobody", idempotency_key="k").text == "Done: Write to nobody!"
    assert member.calls == 1
    assert ANNA not in repr(caught.value) + repr(ear.heard)


def test_redacted_answers_keep_the_stand_ins():
    with LEO(small=parrot(), config=config("redact")) as leo:
        answer = leo.ask(f"Write to {ANNA}")
    assert answer.text == "Done: Write to <EMAIL_1>!"
    assert answer.covered is None
    assert answer.redaction.mode == "redact"


def test_detected_data_is_counted_and_left():
    ear = Ear()
    with LEO(small=parrot(), config=config("detect"), listeners=[ear]) as leo:
        answer = leo.ask(f"Write to {ANNA}")
        statement = read_statement(answer.receipt)
    assert answer.text == f"Done: Write to {ANNA}!"
    assert statement["personal_data"] == {"mode": "detect", "found": [{"kind": "email", "count": 1}]}
    facts = [event.facts for event in ear.heard if event.name == "personal_data.found"]
    assert facts == [{"mode": "detect", "counts": {"email": 1}}]


async def test_it_is_the_same_on_an_event_loop():
    with LEO(small=parrot(), config=config()) as leo:
        answer = await leo.aask(QUESTION.format(ANNA), cache=False)
        chunks = [chunk async for chunk in leo.astream(QUESTION.format(BOB), cache=False)]
        cached = [chunk async for chunk in leo.astream(QUESTION.format(BOB))]
    assert answer.text == f"Done: {QUESTION.format(ANNA)}!"
    for each in (chunks, cached):
        assert "".join(chunk.text for chunk in each) == each[-1].answer.text == f"Done: {QUESTION.format(BOB)}!"


def test_calls_of_tools_get_the_values():
    def reply(request):
        return Message(role="assistant", tool_calls=(ToolCall(id="c", name="send", arguments={"to": "<EMAIL_1>"}),))

    tool = {"name": "send", "description": "", "parameters": {"type": "object"}}
    with LEO(small=parrot(replies=reply), config=config()) as leo:
        answer = leo.ask(f"Write to {ANNA}", tools=(tool,))
        streamed = [piece for chunk in leo.stream(f"Write to {BOB}", tools=(tool,)) for piece in chunk.tool_calls]
    assert answer.message.tool_calls[0].arguments == {"to": ANNA}
    assert answer.draft.message.tool_calls[0].arguments == {"to": ANNA}
    assert json.loads("".join(piece.arguments for piece in streamed)) == {"to": BOB}


def test_a_stream_that_dies_shows_its_caller_what_it_had():
    member = parrot(fail_after_chunks=4)
    with LEO(small=member, config=config()) as leo, pytest.raises(StreamInterruptedError) as caught:
        list(leo.stream(f"Write to {ANNA} and to nobody else, please", cache=False))
    assert ANNA in caught.value.partial


def test_the_next_turn_has_the_same_stand_ins():
    seen = []

    def reply(request):
        seen.append([message.text for message in request.messages])
        return "I wrote to <EMAIL_1>."

    with LEO(small=parrot(replies=reply), config=config()) as leo:
        first = leo.ask(f"Write to {ANNA}", cache=False)
        turns = [
            {"role": "user", "content": f"Write to {ANNA}"},
            {"role": "assistant", "content": first.text},
            {"role": "user", "content": f"And to {BOB}, from {ANNA}"},
        ]
        leo.ask(turns, cache=False)
    assert first.text == f"I wrote to {ANNA}."
    assert seen[1] == ["Write to <EMAIL_1>", "I wrote to <EMAIL_1>.", "And to <EMAIL_2>, from <EMAIL_1>"]


def test_feedback_and_renewal_find_the_kept_answer():
    member = parrot()
    with LEO(small=member, config=config()) as leo:
        answer = leo.ask(QUESTION.format(ANNA))
        leo.flush()
        leo.feedback(answer.id, wrong=True)
        leo.flush()
        assert leo.store.count_entries("default") == 0
        renewed = leo.ask(QUESTION.format(BOB), cache="renew")
        assert (renewed.route, member.calls) == (Route.SMALL, 2)


def test_a_framework_whose_model_saw_the_values_gets_nothing_kept():
    with LEO(small=parrot(), config=config()) as leo:
        request = Request(messages=(Message(role="user", content=f"Write to {ANNA}"),))
        decision, entry = leo.cache.lookup(request)
        assert (decision.action, entry) == ("off", None)
        leo.cache.update(request, Message(role="assistant", content="Dear Anna"))
        assert leo.cache.decide(request)[0].action == "off"
        assert leo.cache.warm([(f"Write to {BOB}", "Dear Bob"), ("What is 2 + 2?", "4")]) == 1
        leo.cache.give_up(request)
        leo.flush()
        assert leo.store.count_entries("default") == 1
