"""What is not in the form that was asked for is not kept: asking again would bring it again."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from leo_core.engine.leo import LEO
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, Request, ToolCall
from leo_core.stages.cache.form import keeps_form


class Leg(BaseModel):
    """A part of a journey."""

    port: str
    minutes: int
    next: Leg | None = None


class Journey(BaseModel):
    """A journey."""

    name: str
    price: float | None
    kind: Literal["ferry", "train"]
    open: bool = True
    legs: list[Leg]
    notes: dict[str, str] = {}


legs = st.recursive(
    st.builds(Leg, port=st.text(), minutes=st.integers(), next=st.none()),
    lambda inner: st.builds(Leg, port=st.text(), minutes=st.integers(), next=inner),
    max_leaves=3,
)
journeys = st.builds(
    Journey,
    name=st.text(),
    price=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    kind=st.sampled_from(["ferry", "train"]),
    open=st.booleans(),
    legs=st.lists(legs, max_size=3),
    notes=st.dictionaries(st.text(), st.text(), max_size=2),
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["port", "minutes", "next"]), inner),
    max_leaves=8,
)
SCHEMA = Journey.model_json_schema()


def wanting(schema: Any, **rest: Any) -> Request:
    message = Message(role="user", content="Which journey?")
    form = {"type": "json_schema", "name": "journey", "schema": schema}
    return Request(messages=(message,), response_format=form, **rest)


def calling(choice: str | None = None) -> Request:
    tools = (
        {"name": "journey", "description": "", "parameters": SCHEMA},
        {"name": "ask", "description": "", "parameters": {"type": "object", "properties": {}}},
    )
    return Request(messages=(Message(role="user", content="Which journey?"),), tools=tools, tool_choice=choice)


def said(text: str) -> Message:
    return Message(role="assistant", content=text)


def called(name: str, arguments: dict[str, Any]) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(id="call_1", name=name, arguments=arguments),))


@given(journeys)
def test_whatever_a_class_writes_is_in_its_form(journey: Journey) -> None:
    assert keeps_form(wanting(SCHEMA), said(journey.model_dump_json()))
    assert keeps_form(calling("journey"), called("journey", json.loads(journey.model_dump_json())))


@given(jsons)
def test_what_is_not_in_the_form_cannot_be_read_by_the_class(value: Any) -> None:
    text = json.dumps(value)
    if keeps_form(wanting(Leg.model_json_schema()), said(text)):
        return
    with pytest.raises(ValidationError):
        TypeAdapter(Leg).validate_json(text, strict=True)


GOOD: dict[str, Any] = {"name": "a", "price": 1.5, "kind": "ferry", "legs": [{"port": "b", "minutes": 3}]}


@pytest.mark.parametrize("text", ["{}", "{}.", "```json\n{}\n```", "Here it is: {} as you asked", "```\n{}\n```\n"])
def test_json_may_stand_in_a_fence_or_a_sentence(text: str) -> None:
    assert keeps_form(wanting(SCHEMA), said(text.replace("{}", json.dumps(GOOD))))


@pytest.mark.parametrize("figure", ["3", 3, 3.0, "3.5e2"])
def test_a_number_may_stand_in_a_text(figure: Any) -> None:
    assert keeps_form(wanting({"type": "integer"}), said(json.dumps(figure)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": "dear"},
        {"name": 7},
        {"name": None},
        {"kind": "boat"},
        {"legs": {"port": "b", "minutes": 3}},
        {"legs": [{"port": "b"}]},
        {"legs": [{"port": "b", "minutes": 3, "next": {"port": "c", "minutes": "soon"}}]},
        {"legs": [{"port": "b", "minutes": 1.5}]},
        {"legs": [{"port": "b", "minutes": float("inf")}]},
        {"notes": ["none"]},
        {"open": []},
    ],
)
def test_what_does_not_fit_the_schema(wrong: dict[str, Any]) -> None:
    assert not keeps_form(wanting(SCHEMA), said(json.dumps(GOOD | wrong)))
    assert not keeps_form(calling(), called("journey", GOOD | wrong))


@pytest.mark.parametrize("text", ["", "I would rather chat", "{bad", '{"name": "a"', "[]", "7", "[" * 5000])
def test_what_is_no_such_json(text: str) -> None:
    assert not keeps_form(wanting(SCHEMA), said(text))
    plain = Request(messages=(Message(role="user", content="JSON?"),), response_format={"type": "json_object"})
    assert not keeps_form(plain, said(text))
    assert keeps_form(plain, said('{"any": "thing"}'))


@pytest.mark.parametrize(("choice", "kept"), [("journey", False), ("any", True), ("ask", True), ("auto", True)])
def test_the_call_that_had_to_be_made(choice: str, kept: bool) -> None:
    assert keeps_form(calling(choice), called("ask", {})) is kept
    assert keeps_form(calling(choice), said("I would rather chat")) is (choice == "auto")


def test_what_is_not_understood_fits() -> None:
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    for schema in (
        loop,
        {"$ref": "https://example.org/x"},
        {"$ref": "#/$defs/none"},
        {"type": "thing"},
        {"x": 1},
        True,
    ):
        assert keeps_form(wanting(schema), said('{"a": 1}'))
    assert not keeps_form(wanting(False), said('{"a": 1}'))
    builtin = Request(messages=(Message(role="user", content="?"),), tools=({"type": "web_search"},), tool_choice="any")
    assert keeps_form(builtin, said("found"))
    assert keeps_form(calling(), called("unheard_of", {"x": 1}))


def test_the_words_of_a_schema() -> None:
    for schema, good, bad in (
        ({"const": 3}, 3, 4),
        ({"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}}]}, ["a"], [1]),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 2}, {"a": 1}),
        ({"type": ["string", "null"]}, None, 3),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}, "x", 3),
        ({"type": "boolean"}, "yes", 7),
        ({"type": "number"}, -1.5, "much"),
    ):
        assert keeps_form(wanting(schema), said(json.dumps(good)))
        assert not keeps_form(wanting(schema), said(json.dumps(bad)))


def test_a_schema_that_refers_to_itself_twice_is_read_in_no_time() -> None:
    """Each step would double the work: sixty of them would never end."""
    turning = {"allOf": [{"$ref": "#"}, {"$ref": "#"}], "required": ["name"]}
    assert keeps_form(wanting(turning), said('{"name": 1}'))
    assert not keeps_form(wanting({**turning, "type": "array"}), said('{"name": 1}'))


def test_a_reply_that_is_not_in_the_form_is_asked_for_again() -> None:
    replies = iter(["{bad", '{"name": "a"}', json.dumps(GOOD)])
    member = ScriptedModel("small", lambda request: next(replies))
    form = {"type": "json_schema", "name": "journey", "schema": SCHEMA}
    with LEO(small=member) as leo:
        answers = [leo.ask("Which journey?", response_format=form) for _ in range(4)]
        leo.flush()
        assert [answer.cache.hit for answer in answers] == [False, False, False, True]
        assert answers[3].text == json.dumps(GOOD)
        assert leo.store.count_entries() == 1
