"""langchain-ai/langchain#28848, #35320, pydantic/pydantic-ai#3104: a wrapped model forgets tools and schemas."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from leo_core.errors import LEOError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Capabilities
from leo_langchain import LEOChatModel
from leo_llamaindex import LEOLLM
from tests.servers.openai_server import OpenAIServer


class Colour(BaseModel):
    """A colour."""

    name: str


def pick(name: str) -> str:
    """Pick a colour."""
    return name


def test_tools_reach_the_provider(model: LEOChatModel, server: OpenAIServer) -> None:
    model.bind_tools([pick], tool_choice="pick").invoke("The colour is 'green'.")
    (request,) = server.requests
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["pick"]
    assert request.body["tool_choice"]["function"]["name"] == "pick"


def test_the_schema_reaches_the_provider(model: LEOChatModel, server: OpenAIServer) -> None:
    found = model.with_structured_output(Colour, method="json_schema").invoke("The colour is 'green'.")
    assert found == Colour(name="green")
    (request,) = server.requests
    assert request.body["response_format"]["type"] == "json_schema"


def test_what_no_member_can_do_is_an_error_and_not_left_out() -> None:
    deaf = ScriptedModel("deaf", replies="I use no tools.", capabilities=Capabilities(tools=False))
    tool: Any = FunctionTool.from_defaults(pick)
    with LEOChatModel(small=deaf) as model, LEOLLM(small=deaf) as llm:
        with pytest.raises(LEOError, match="tool"):
            model.bind_tools([pick]).invoke("Pick.")
        with pytest.raises(LEOError, match="tool"):
            llm.chat_with_tools([tool], user_msg="Pick.")
    assert deaf.calls == 0


def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    assert isinstance(llm, FunctionCallingLLM)
    llm.chat_with_tools([FunctionTool.from_defaults(pick)], user_msg="The colour is 'green'.", tool_required=True)
    (request,) = server.requests
    assert [tool["function"]["name"] for tool in request.body["tools"]] == ["pick"]
