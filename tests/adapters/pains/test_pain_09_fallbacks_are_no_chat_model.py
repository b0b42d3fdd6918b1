"""langchain-ai/langchain#35170, #20499, #22134, #33129, #33082: ``with_fallbacks`` gives no chat model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel

from leo_langchain import LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer


def weigh(what: str) -> str:
    """Weigh a thing."""
    return f"{what}: 2 kg"


@pytest.fixture
def broken() -> Iterator[OpenAIServer]:
    with OpenAIServer(fault=Fault(status=500)) as server:
        yield server


def test_the_pain(plain: Any, broken: OpenAIServer) -> None:
    assert not isinstance(chat_openai(broken.base_url).with_fallbacks([plain]), BaseChatModel)


def test_langchain(server: OpenAIServer, broken: OpenAIServer) -> None:
    members = {"small": chat_openai(broken.base_url), "large": chat_openai(server.base_url, model="large")}
    with LEOChatModel(**members, route="small") as model:
        assert isinstance(model, BaseChatModel)
        agent = create_agent(model, tools=[weigh])
        messages = agent.invoke({"messages": [("user", "Weigh 'salt'.")]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[2].content == "salt: 2 kg"
    assert broken.requests, "the broken one was asked, and the other one answered"
    assert {request.body["model"] for request in server.requests} == {"large"}
