from __future__ import annotations

import pytest

from leo_core.engine.requests import make_request, parse_route
from leo_core.errors import ConfigError, RequestError
from leo_core.records import Message, Request, Route, ToolCall


def test_a_string_is_a_user_turn():
    request = make_request("How far is the moon?", tenant="acme", temperature=0.2, max_error=0.1)
    assert request.messages == (Message(role="user", content="How far is the moon?"),)
    assert (request.tenant, request.sampling.temperature, request.constraints.max_error) == ("acme", 0.2, 0.1)


def test_none_leaves_what_the_request_says():
    request = make_request(Request(messages=(Message(role="user", content="q"),), tenant="acme"), tenant=None)
    assert request.tenant == "acme"


def test_messages_in_the_usual_form_and_framework_role_names():
    request = make_request(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "human", "content": [{"type": "text", "text": "2+2?"}]},
            {
                "role": "ai",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "add", "arguments": '{"a": 2}'}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "4", "name": "add"},
            Message(role="user", content="and then?"),
        ]
    )
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool", "user"]
    assert request.messages[1].text == "2+2?"
    assert request.messages[2].tool_calls == (ToolCall(id="1", name="add", arguments={"a": 2}),)
    assert request.messages[3].tool_call_id == "1"


def test_tool_calls_in_leos_own_form():
    call = {"id": "1", "name": "add", "arguments": {"a": 2}}
    request = make_request([{"role": "assistant", "tool_calls": [call]}])
    assert request.messages[0].tool_calls == (ToolCall(id="1", name="add", arguments={"a": 2}),)


@pytest.mark.parametrize(
    "prompt",
    [
        42,
        None,
        [42],
        [{"content": "no role"}],
        [{"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": "{"}]}],
        [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": {}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "1", "arguments": {}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "arguments": 3}]}],
    ],
)
def test_a_prompt_without_usable_form_is_refused(prompt):
    with pytest.raises(RequestError):
        make_request(prompt)


@pytest.mark.parametrize(
    "settings",
    [
        {"temprature": 1},
        {"max_error": 1.5},
        {"max_error": -0.1},
        {"max_cost_usd": -1},
        {"max_cost_usd": float("nan")},
        {"max_latency_s": -0.5},
    ],
)
def test_a_wrong_setting_is_refused_and_named(settings):
    with pytest.raises(RequestError, match=next(iter(settings))):
        make_request("q", **settings)


def test_routes_by_name():
    assert parse_route(None) is None
    assert parse_route("cascade") is Route.CASCADE
    for name in ("cache", "fastest"):
        with pytest.raises(ConfigError, match="small, large, cascade, consensus"):
            parse_route(name)
