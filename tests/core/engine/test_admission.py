"""Bad input is refused with a clear error before anything is spent."""

from __future__ import annotations

import pytest

from leo_core import LEO, LEOConfig, Message
from leo_core.errors import RequestError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import ToolCall

CALL = ToolCall(id="c1", name="f", arguments={})


def user(content="go on"):
    return Message(role="user", content=content)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "no messages"),
        ([user("")], "no content"),
        ([user("  \n ")], "no content"),
        ([user(())], "no content"),
        ([Message(role="wizard", content="hi")], "unknown role 'wizard'"),
        ([user("a\ud800b")], "unpaired surrogate at character 1"),
        ([user(({"type": "text", "text": "\udfff"},))], "unpaired surrogate"),
        ([user(), Message(role="tool", tool_call_id="c9", content="3")], "'c9', which nobody made"),
        ([user(), Message(role="assistant", tool_calls=(CALL,)), user()], "without results: c1"),
        ([user(), Message(role="assistant", tool_calls=(CALL,))], "ends with tool calls without results: c1"),
        ([user("x" * 101)], "101 characters, more than max_prompt_chars=100"),
    ],
)
def test_a_malformed_request_costs_nothing(messages, said):
    member = ScriptedModel("m", replies="fine")
    with LEO(small=member, config=LEOConfig(max_prompt_chars=100)) as leo:
        with pytest.raises(RequestError, match=said.replace("(", r"\(")):
            leo.ask(messages)
        assert leo.log.size() == 0
    assert member.calls == 0


@pytest.mark.parametrize(
    "messages",
    [
        [user(), Message(role="assistant", tool_calls=(CALL,)), Message(role="tool", tool_call_id="c1", content="")],
        [
            user(),
            Message(role="assistant", tool_calls=(CALL,)),
            Message(role="tool", tool_call_id="c1", content="3"),
            Message(role="assistant", content="It is 3."),
            user(),
        ],
        [Message(role="system", content="Be brief."), user()],
        [user(({"type": "image", "url": "https://x/y.png"},))],
        [user("\u0000 control \u202e characters \U0001f600")],
    ],
)
def test_unusual_but_sound_requests_are_answered(messages):
    with LEO(small=ScriptedModel("m", replies="fine")) as leo:
        assert leo.ask(messages).text == "fine"
