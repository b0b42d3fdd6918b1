"""Stand-ins take the place of personal data, consistently, and give way to it again, also cut in pieces."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError, PersonalDataError
from leo_core.privacy.personal.redaction import (
    StandIns,
    cover_request,
    holds_personal_data,
    list_stand_ins,
    reveal_message,
)
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.privacy.personal.stream_redaction import StreamRevealer
from leo_core.records import Chunk, Message, Redaction, Request, ToolCall, ToolCallDelta

REVERSIBLE = PersonalDataConfig(mode="reversible")
ANNA, BOB, CARD = "anna@example.org", "bob@example.org", "4111 1111 1111 1111"


def ask(*contents, **more):
    roles = ("user", "assistant")
    return Request(
        messages=tuple(Message(role=roles[at % 2], content=text) for at, text in enumerate(contents)), **more
    )


def texts(request):
    return [message.text for message in request.messages]


def test_equal_values_have_one_stand_in_in_all_messages():
    request, stand_ins = cover_request(ask(f"{ANNA} to {BOB}", f"Is {BOB} right?", f"{ANNA}, {CARD}"), REVERSIBLE)
    assert texts(request) == ["<EMAIL_1> to <EMAIL_2>", "Is <EMAIL_2> right?", "<EMAIL_1>, <CARD_1>"]
    assert stand_ins.values == {"<EMAIL_1>": ANNA, "<EMAIL_2>": BOB, "<CARD_1>": CARD}
    assert request.redaction == Redaction(mode="reversible", counts={"card": 1, "email": 2})


def test_requests_that_differ_in_whose_data_they_hold_become_the_same():
    one, _ = cover_request(ask(f"Write to {ANNA} about {CARD}"), REVERSIBLE)
    two, _ = cover_request(ask(f"Write to {BOB} about 5555-5555-5555-4444"), REVERSIBLE)
    assert texts(one) == texts(two)
    same, _ = cover_request(ask(f"{ANNA} and {ANNA}"), REVERSIBLE)
    other, _ = cover_request(ask(f"{ANNA} and {BOB}"), REVERSIBLE)
    assert texts(same) != texts(other)


def test_a_stand_in_that_somebody_wrote_is_not_given_to_a_value():
    request, stand_ins = cover_request(ask(f"<EMAIL_1> is not {ANNA}; <EMAIL_3>, {BOB}"), REVERSIBLE)
    assert texts(request) == ["<EMAIL_1> is not <EMAIL_2>; <EMAIL_3>, <EMAIL_4>"]
    reply = reveal_message(Message(role="assistant", content=request.messages[0].text), stand_ins.values)
    assert reply.text == f"<EMAIL_1> is not {ANNA}; <EMAIL_3>, {BOB}"


def test_blocks_calls_and_results_are_covered_and_data_is_left():
    call = ToolCall(id="c1", name="send", arguments={"to": [ANNA], "card": 4111111111111111, "n": 12, "ok": True})
    picture = {"type": "image", "base64": "anna@example.org", "mime_type": "image/png", "url": f"https://x.org/{ANNA}"}
    messages = (
        Message(role="user", content=({"type": "text", "text": f"Ask {ANNA}"}, picture), name=ANNA),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=f"sent to {ANNA}", tool_call_id="c1", name="send"),
        Message(role="user", content="Thanks", name="Anna"),
    )
    request, stand_ins = cover_request(Request(messages=messages, native=["theirs"]), REVERSIBLE)
    first, second, third, fourth = request.messages
    assert first.content == ({"type": "text", "text": "Ask <EMAIL_1>"}, picture)
    assert first.name is None
    assert second.tool_calls[0].arguments == {"to": ["<EMAIL_1>"], "card": "<CARD_1>", "n": 12, "ok": True}
    assert (third.content, third.name, fourth.name) == ("sent to <EMAIL_1>", "send", "Anna")
    assert request.native is None
    answer = Message(
        role="assistant",
        content=({"type": "text", "text": "To <EMAIL_1>"},),
        tool_calls=(ToolCall(id="<EMAIL_1>", name="send", arguments={"to": {"<EMAIL_1>": ["<EMAIL_1>"]}}),),
    )
    told = reveal_message(answer, stand_ins.values)
    assert told.content == ({"type": "text", "text": f"To {ANNA}"},)
    assert told.tool_calls[0].arguments == {"to": {ANNA: [ANNA]}}
    assert told.tool_calls[0].id == "<EMAIL_1>"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "c1", "name": "send", "input": {"to": [ANNA], "deep": {"cc": ANNA}}},
        {"type": "tool_result", "tool_use_id": "c1", "content": ANNA},
        {"type": "tool_result", "tool_use_id": "c1", "content": [ANNA, {"type": "text", "text": ANNA}]},
        {"type": "function_call", "name": "send", "arguments": json.dumps({"to": ANNA})},
        {"type": "function_call_output", "call_id": "c1", "output": ANNA},
        {"type": "server_tool_result", "output": [{"found": ANNA, "times": 2}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ANNA}},
        {"type": "text", "text": "so", "annotations": [{"type": "citation", "cited_text": f"by {ANNA}"}]},
        {"type": "refusal", "refusal": f"not to {ANNA}"},
        {"type": "non_standard", "value": {"type": "tool_result", "content": ANNA}},
    ],
)
def test_arguments_and_results_of_calls_are_covered_where_they_are_blocks(block):
    request, stand_ins = cover_request(Request(messages=(Message(role="user", content=(block,)),)), REVERSIBLE)
    (message,) = request.messages
    assert ANNA not in repr(message)
    assert reveal_message(message, stand_ins.values).content == (block,)
    assert stand_ins.counts == {"email": 1}


def test_data_in_results_of_calls_are_left():
    source = {"type": "base64", "media_type": "image/png", "data": "4111111111111111"}
    picture = {"type": "image", "source": source, "url": f"https://x.org/{ANNA}"}
    blocks = ({"type": "tool_result", "content": [picture, {"type": "text", "text": ANNA}]}, {"output": [picture]})
    request, _ = cover_request(Request(messages=(Message(role="tool", content=blocks),)), REVERSIBLE)
    first, second = request.messages[0].content
    assert first["content"] == [picture, {"type": "text", "text": "<EMAIL_1>"}]
    assert second["output"] == [picture]


@pytest.mark.parametrize("mode", ["off", "detect", "block", "redact", "reversible"])
def test_a_request_without_personal_data_goes_through_as_it_is(mode):
    request = ask("How many days has 2024-02?", native=["theirs"])
    assert cover_request(request, PersonalDataConfig(mode=mode))[0] is request
    assert not holds_personal_data(request, PersonalDataConfig(mode=mode))


def test_what_each_mode_does():
    request = ask(f"{ANNA} or {CARD}", native=["theirs"])
    assert cover_request(request, PersonalDataConfig())[0] is request
    seen, stand_ins = cover_request(request, PersonalDataConfig(mode="detect"))
    assert (texts(seen), seen.native, stand_ins.values) == (texts(request), ["theirs"], {})
    assert seen.redaction == Redaction(mode="detect", counts={"card": 1, "email": 1})
    gone, stand_ins = cover_request(request, PersonalDataConfig(mode="redact"))
    assert (texts(gone), stand_ins.values) == (["<EMAIL_1> or <CARD_1>"], {})
    with pytest.raises(PersonalDataError, match=r"card: 1, email: 1") as caught:
        cover_request(request, PersonalDataConfig(mode="block"))
    assert caught.value.counts == {"card": 1, "email": 1}
    assert ANNA not in str(caught.value)
    assert cover_request(gone, REVERSIBLE)[0] is gone
    flags = [
        holds_personal_data(request, PersonalDataConfig(mode=mode)) for mode in ("off", "detect", "block", "redact")
    ]
    assert flags == [False, False, True, True]


def test_only_the_kinds_that_are_named_are_looked_for():
    request, stand_ins = cover_request(ask(f"{ANNA}, {CARD}"), PersonalDataConfig(mode="redact", kinds=("card",)))
    assert texts(request) == [f"{ANNA}, <CARD_1>"]
    assert stand_ins.counts == {}
    assert request.redaction.counts == {"card": 1}


@pytest.mark.parametrize("settings", [{"mode": "hide"}, {"kinds": ()}, {"kinds": ("name",)}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=r"mode is|kinds of"):
        PersonalDataConfig(**settings)


def test_stand_ins_show_and_pickle_no_values():
    stand_ins = StandIns()
    stand_ins.cover(ANNA)
    assert repr(stand_ins) == "StandIns({'email': 1})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(stand_ins)


@given(st.text(max_size=80), st.text(max_size=80))
def test_covered_and_revealed_is_what_it_was(before, after):
    text = f"{before} {ANNA} {after}"
    request, stand_ins = cover_request(ask(text), REVERSIBLE)
    assert ANNA not in request.messages[0].text
    assert reveal_message(request.messages[0], stand_ins.values).text == text


def test_list_stand_ins():
    assert list_stand_ins("<EMAIL_2> <CARD_1> <EMAIL_2> <EMAIL_0> <NAME_1> <email_1>") == ("<CARD_1>", "<EMAIL_2>")


# ------------------------------------------------------------------------------------------------------- streams

VALUES = {"<EMAIL_1>": ANNA, "<EMAIL_11>": BOB, "<SECRET_1>": 'a"b\\c<EMAIL_1>'}


def cut(text, places):
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[one:two] for one, two in pairwise(ends)]


PARTS = st.lists(
    st.sampled_from([*VALUES, "<", "<E", "<EMAIL_", "<EMAIL_2>", ">", "1", " and ", "\\", "\\u003c"]), max_size=8
)


@given(PARTS, st.lists(st.integers(0, 200), max_size=12))
def test_a_stream_in_any_pieces_is_the_revealed_text(parts, places):
    text = "".join(parts)
    revealer = StreamRevealer(VALUES)
    shown = list(revealer.feed_all(Chunk(text=piece) for piece in cut(text, places)))
    whole = reveal_message(Message(role="assistant", content=text), VALUES).text
    assert "".join(chunk.text for chunk in shown) == whole
    assert all(chunk.text for chunk in shown)


def test_nothing_is_held_back_longer_than_it_may_be_a_stand_in():
    revealer = StreamRevealer(VALUES)
    assert [chunk.text for chunk in revealer.feed(Chunk(text="to <EMA"))] == ["to "]
    assert [chunk.text for chunk in revealer.feed(Chunk(text="RK"))] == ["<EMARK"]
    assert [chunk.text for chunk in revealer.feed(Chunk(text=" <EMAIL_1"))] == [" "]
    assert [chunk.text for chunk in revealer.feed(Chunk(text=">."))] == [f"{ANNA}."]


@given(st.lists(st.integers(0, 300), max_size=12), st.booleans())
def test_arguments_of_calls_stay_json_in_any_pieces(places, escaped):
    arguments = json.dumps({"to": "<EMAIL_1>", "all": ["<EMAIL_11>", "x <SECRET_1> y"], "n": 1})
    if escaped:
        arguments = arguments.replace("<", "\\u003c").replace(">", "\\u003E")
    chunks = [Chunk(tool_calls=(ToolCallDelta(index=0, id="c", name="send"),))]
    chunks += [Chunk(tool_calls=(ToolCallDelta(index=0, arguments=piece),)) for piece in cut(arguments, places)]
    shown = list(StreamRevealer(VALUES).feed_all(chunks))
    told = "".join(piece.arguments for chunk in shown for piece in chunk.tool_calls)
    assert json.loads(told) == {"to": ANNA, "all": [BOB, f"x {VALUES['<SECRET_1>']} y"], "n": 1}
    assert shown[0].tool_calls[0].name == "send"


def test_two_calls_at_once_are_told_apart():
    pieces = [(0, '{"a": "<EMA'), (1, '{"b": "<EMAIL_1'), (0, 'IL_1>"}'), (1, '1>"}')]
    chunks = [Chunk(tool_calls=(ToolCallDelta(index=index, arguments=text),)) for index, text in pieces]
    told = {0: "", 1: ""}
    for chunk in StreamRevealer(VALUES).feed_all(chunks):
        for piece in chunk.tool_calls:
            told[piece.index] += piece.arguments
    assert (json.loads(told[0]), json.loads(told[1])) == ({"a": ANNA}, {"b": BOB})


def test_blocks_and_ends_come_after_the_text_before_them():
    block = {"type": "reasoning", "reasoning": "write to <EMAIL_1>"}
    chunks = [Chunk(text="a <EMAIL", native="n"), Chunk(blocks=(block,), native="n"), Chunk(text="_1> <")]
    shown = list(StreamRevealer(VALUES).feed_all(chunks))
    assert [(chunk.text, chunk.native) for chunk in shown] == [
        ("a ", None),
        ("<EMAIL", None),
        ("_1> ", None),
        ("<", None),
    ]
    assert shown[1].blocks[0]["reasoning"] == f"write to {ANNA}"


def test_without_stand_ins_chunks_go_through_as_they_are():
    chunk = Chunk(text="<EMAIL_1>", native="theirs")
    (shown,) = StreamRevealer({}).feed_all([chunk])
    assert shown is chunk
