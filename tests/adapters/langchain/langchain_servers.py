"""Scripted providers for the tests of the LangChain adapter, and the models that talk to them."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Asked, Reply, answer_by_default
from tests.servers.openai_server import OpenAIServer

__all__ = ["anthropic_url", "chat_anthropic", "chat_openai", "obey", "openai_url"]

_QUOTED = re.compile(r"'(\w+)'")


def obey(asked: Asked) -> Reply:
    """As the default brain, but a prompt that asks for JSON in words gets JSON."""
    if asked.schema is None and not asked.tools and "JSON" in asked.prompt:
        return Reply(text=json.dumps(dict.fromkeys(_QUOTED.findall(asked.question) or ["answer"], "why not")))
    return answer_by_default(asked)


@cache
def openai_url() -> str:
    """Address of an OpenAI server that lives until the process ends."""
    return OpenAIServer(obey).start().base_url


@cache
def anthropic_url() -> str:
    """Address of an Anthropic server that lives until the process ends."""
    return AnthropicServer(obey).start().base_url


def chat_openai(url: str | None = None, **options: Any) -> ChatOpenAI:
    """LangChain's own OpenAI model."""
    settings = {"model": "gpt-loopback", "api_key": "sk-test", "max_retries": 0, "stream_usage": True, **options}
    return ChatOpenAI(base_url=url or openai_url(), **settings)


def chat_anthropic(url: str | None = None, **options: Any) -> ChatAnthropic:
    """LangChain's own Anthropic model."""
    settings = {"model": "claude-loopback", "api_key": "sk-ant-test", "max_retries": 0, **options}
    return ChatAnthropic(base_url=url or anthropic_url(), **settings)
