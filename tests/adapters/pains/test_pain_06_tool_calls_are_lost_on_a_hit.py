"""langchain-ai/langchain#11268, #29003: a hit comes back as text, without its tool calls or its parsed form."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.servers.openai_server import OpenAIServer


class Colour(BaseModel):
    """A colour."""

    name: str


def pick(name: str) -> str:
    """Pick a colour."""
    return name


TEXT = "The colour is 'green'."


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_langchain_structured(
    model: LEOChatModel, cache: LEOCache, plain: Any, server: OpenAIServer, method: Any
) -> None:
    for asked in (model, plain):
        structured = asked.with_structured_output(Colour, method=method)
        assert [structured.invoke(TEXT) for _ in range(2)] == [Colour(name="green")] * 2
    assert len(server.requests) == 2, "one for LEO's model, one for the model behind LEO's cache"


def test_langchain_tools(model: LEOChatModel, cache: LEOCache, plain: Any, server: OpenAIServer) -> None:
    for asked in (model, plain):
        bound = asked.bind_tools([pick])
        cold, hit = bound.invoke(TEXT), bound.invoke(TEXT)
        assert hit.tool_calls == cold.tool_calls
        assert hit.tool_calls[0]["args"] == {"name": "green"}
        assert hit.response_metadata["leo"]["cache"]["hit"]
    assert len(server.requests) == 2


def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    tool = FunctionTool.from_defaults(pick)
    for _ in range(2):
        assert llm.structured_predict(Colour, PromptTemplate(TEXT)) == Colour(name="green")
        (call,) = llm.get_tool_calls_from_response(llm.chat_with_tools([tool], user_msg=TEXT))
        assert call.tool_kwargs == {"name": "green"}
    assert len(server.requests) == 2
