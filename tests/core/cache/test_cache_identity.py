"""Keys: stable where nothing changed, different where anything relevant did."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from leo_core.records import Message, Request, Sampling, ToolCall
from leo_core.stages.cache.identity import canonical_bytes, canonical_message, identify

MODELS = canonical_bytes({"small": {"name": "m", "temperature": 0.0}})
SYSTEM = Message(role="system", content="Be brief.")
BASE = Request(messages=(SYSTEM, Message(role="user", content="How many days has February?")), tenant="acme")
TOOL = {"name": "f", "description": "d", "parameters": {"type": "object"}}
OTHER_TOOL = {"name": "g", "description": "d", "parameters": {"type": "object"}}


def key(request: Request, models: bytes = MODELS) -> str:
    return identify(request, models=models).exact_key


def test_golden_keys() -> None:
    identity = identify(BASE, models=MODELS)
    assert identity.exact_key == "142f986c41e013ff2766900c04d2f7776734e92f708bbcd72ae6168ef2fced72"
    assert identity.scope_key == "8c3ea59aa12ff853b238a9e61f997a8e085a615dc5c5492d141418912971c5bc"
    assert identity.text == "How many days has February?"
    assert identity.semantic
    assert identity.why_exact == ""


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, tenant="other"),
        replace(BASE, model="m2"),
        replace(BASE, sampling=Sampling(temperature=0.5)),
        replace(BASE, sampling=Sampling(top_p=0.5)),
        replace(BASE, sampling=Sampling(max_tokens=5)),
        replace(BASE, sampling=Sampling(stop=("x",))),
        replace(BASE, sampling=Sampling(seed=1)),
        replace(BASE, tools=(TOOL,)),
        replace(BASE, tool_choice="any"),
        replace(BASE, response_format={"type": "json_object"}),
        replace(BASE, options={"k": 1}),
        replace(BASE, messages=(Message(role="system", content="Be long."), BASE.messages[1])),
        replace(BASE, messages=BASE.messages[1:]),
        replace(BASE, messages=(replace(SYSTEM, name="n"), BASE.messages[1])),
        replace(BASE, messages=(SYSTEM, Message(role="assistant", content="hi"), BASE.messages[1])),
    ],
)
def test_everything_that_can_change_the_answer_changes_both_keys(changed: Request) -> None:
    base, other = identify(BASE, models=MODELS), identify(changed, models=MODELS)
    assert base.exact_key != other.exact_key
    assert base.scope_key != other.scope_key


def test_the_last_turn_changes_the_exact_key_only() -> None:
    other = identify(replace(BASE, messages=(SYSTEM, Message(role="user", content="Why?"))), models=MODELS)
    base = identify(BASE, models=MODELS)
    assert other.exact_key != base.exact_key
    assert other.scope_key == base.scope_key
    assert base.exact_key != base.scope_key


def test_models_change_the_keys() -> None:
    assert key(BASE) != key(BASE, canonical_bytes({"small": {"name": "m", "temperature": 0.1}}))


def test_ids_usage_and_prompt_cache_marks_do_not_count() -> None:
    plain = {"type": "text", "text": "hello"}
    marked = {**plain, "id": "msg_1", "cache_control": {"type": "ephemeral"}, "index": 0, "usage_metadata": {"n": 3}}
    image = {"type": "image", "url": "u"}
    first = replace(BASE, messages=(SYSTEM, Message(role="user", content=(plain, image))))
    second = replace(BASE, messages=(SYSTEM, Message(role="user", content=(marked, {**image, "id": "b"}))))
    assert key(first) == key(second)
    assert canonical_message(Message(role="user", content=(marked,))) == {"role": "user", "content": "hello"}


def test_session_tags_constraints_and_native_do_not_count() -> None:
    other = replace(BASE, session="s", tags=("t",), native=object()).with_constraints(max_error=0.1)
    assert key(other) == key(BASE)


def test_tools_are_a_set() -> None:
    assert key(replace(BASE, tools=(TOOL, OTHER_TOOL))) == key(replace(BASE, tools=(OTHER_TOOL, TOOL)))
    assert key(replace(BASE, tools=(TOOL,))) != key(replace(BASE, tools=({**TOOL, "strict": True},)))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (replace(BASE, messages=(SYSTEM,)), "no user turn"),
        (replace(BASE, tools=(TOOL,)), "tools are bound"),
        (
            replace(BASE, messages=(*BASE.messages, Message(role="tool", content="4", tool_call_id="c"))),
            "tool messages in the tail",
        ),
        (
            replace(BASE, messages=(Message(role="tool", content="4", tool_call_id="c"), BASE.messages[1])),
            "tool messages in the tail",
        ),
        (
            replace(BASE, messages=(*BASE.messages, Message(role="assistant", content="The"))),
            "the last user turn is not the last message",
        ),
        (
            replace(BASE, messages=(Message(role="user", content=({"type": "image", "url": "u"},)),)),
            "the last user turn has content other than text",
        ),
        (replace(BASE, messages=(Message(role="user", content=" \n"),)), "the last user turn has no text"),
    ],
)
def test_semantic_matching_is_for_plain_questions_only(request_: Request, why: str) -> None:
    identity = identify(request_, models=MODELS)
    assert not identity.semantic
    assert identity.why_exact == why


def test_a_response_format_and_text_blocks_admit_semantic_matching() -> None:
    block = Message(role="user", content=({"type": "text", "text": "Why?"},))
    assert identify(replace(BASE, messages=(block,), response_format={"type": "json_object"}), models=MODELS).semantic


def test_tool_calls_count() -> None:
    call = ToolCall(id="c", name="f", arguments={"x": 1})
    history = Message(role="assistant", tool_calls=(call,))
    answer = Message(role="tool", content="4", tool_call_id="c", name="f")
    keys = {
        key(replace(BASE, messages=(history, answer, BASE.messages[1]))),
        key(
            replace(BASE, messages=(replace(history, tool_calls=(replace(call, name="g"),)), answer, BASE.messages[1]))
        ),
        key(
            replace(
                BASE, messages=(replace(history, tool_calls=(replace(call, arguments={}),)), answer, *BASE.messages)
            )
        ),
        key(replace(BASE, messages=(history, replace(answer, tool_error=True), BASE.messages[1]))),
        key(replace(BASE, messages=(history, replace(answer, tool_call_id="d"), BASE.messages[1]))),
        key(replace(BASE, messages=(history, replace(answer, content="5"), BASE.messages[1]))),
    }
    assert len(keys) == 6


def test_no_content_raises() -> None:
    values: list[Any] = [
        float("nan"), float("inf"), -float("inf"), 2**53, -(2**70), 10**5000, 0.1, -0.0, "\ud800", "a\udfffb", "\x1a",
        b"x", {1: "a"}, {"a": {2, 1}}, object, "", None, True, [(), {}], "\U0001f600",
    ]  # fmt: skip
    for value in values:
        assert canonical_bytes(value)
        assert len(key(replace(BASE, options={"k": value}))) == 64


def test_lookalikes_differ() -> None:
    values = [
        1, "1", True, "true", None, "null", [], {}, "", [1], ["1"], [[1]], 2**53, str(2**53), {"\x1aint": str(2**53)},
        "\ud800", "\x1ad800\x1a", "\x1a", "\x1a\x1a", float("nan"), "nan", {"\x1afloat": "nan"}, {1: 1}, {"1": 1},
        {"\x1akey:1": 1}, 0.1, "0.1", {"\x1afloat": "0.1"}, b"a", "61", {"\x1abytes": "61"}, 10**4000, float("inf"),
    ]  # fmt: skip
    assert len({canonical_bytes(value) for value in values}) == len(values)
    assert canonical_bytes(1.0) == canonical_bytes(1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=6,
)


def _comparable(value: Any) -> Any:
    """A value whose equality is JSON equality: True is not 1, and 1.0 is 1."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return ("list", tuple(_comparable(each) for each in value))
    return ("map", frozenset((name, _comparable(each)) for name, each in value.items()))


@given(JSON, JSON)
def test_canonical_bytes_are_one_to_one(a: Any, b: Any) -> None:
    same = _comparable(a) == _comparable(b)
    big = any(isinstance(each, float) and each.is_integer() and abs(each) > 2**53 for each in (a, b))
    assert big or (canonical_bytes(a) == canonical_bytes(b)) == same


@given(st.lists(st.text(max_size=5), min_size=2, max_size=4), st.lists(st.text(max_size=5), min_size=2, max_size=4))
def test_no_delimiter_trick_joins_messages(a: list[str], b: list[str]) -> None:
    def ask(texts: list[str]) -> str:
        return key(Request(messages=tuple(Message(role="user", content=text) for text in texts)))

    assert (ask(a) == ask(b)) == (a == b)


@given(JSON)
def test_both_encoders_write_what_rfc_8785_asks_for(value: Any) -> None:
    """Plain ASCII goes through the quicker one."""
    assert canonical_bytes(value) == rfc8785.dumps(json.loads(canonical_bytes(value)))


def test_the_keys_are_those_of_the_whole_document() -> None:
    """They are put together of parts; the golden keys come from the same code, this document does not."""
    scope = {
        "tenant": "acme", "models": json.loads(MODELS), "model": "m é", "tools": [TOOL], "tool_choice": "any",
        "sampling": {"temperature": 1, "top_p": None, "max_tokens": 7, "stop": ["x"], "seed": None},
        "response_format": None, "options": {"k": [1, "b"]},
    }  # fmt: skip
    turn = {"role": "user", "content": "How many days has February?"}
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, turn]
    request = replace(
        BASE, model="m é", tools=(TOOL,), tool_choice="any", options={"k": [1, "b"]},
        sampling=Sampling(temperature=1.0, max_tokens=7, stop=("x",)),
    )  # fmt: skip
    found = identify(request, models=MODELS)
    for kind, key_, listed in (("exact", found.exact_key, messages), ("scope", found.scope_key, [messages[0], None])):
        document = {"domain": f"leo.request.v1.{kind}", "request": {**scope, "messages": listed}}
        assert key_ == hashlib.sha256(rfc8785.dumps(document)).hexdigest()
