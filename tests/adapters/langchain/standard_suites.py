"""What the modules that run LangChain's own suites for chat models have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from leo_core import LEOConfig
from leo_core.config import Preset
from leo_langchain import LEOChatModel
from tests.adapters.langchain.langchain_servers import anthropic_url, openai_url
from tests.contracts.event_loop import never_blocked

__all__ = ["NOISE", "Integration", "Router", "Unit", "urls"]

NOISE = [
    pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore:OpenAI may require a filename for file"),  # the suite gives none
    pytest.mark.filterwarnings("ignore:Support for class-based `config` is deprecated"),
]


def urls() -> dict[str, str]:
    """Addresses of the members given by name."""
    return {"openai": openai_url(), "anthropic": anthropic_url()}


class Unit(ChatModelUnitTests):
    """What all unit suites here have in common."""

    @property
    def chat_model_class(self) -> type[LEOChatModel]:
        return LEOChatModel

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"LEO_API_KEY": "sk-env", "LEO_BASE_URL": "http://127.0.0.1:9/v1"}
        return env, {"small": "openai:gpt-5-mini"}, {"api_key": "sk-env", "base_url": "http://127.0.0.1:9/v1"}


class Integration(ChatModelIntegrationTests):
    """What all integration suites here have in common: every flag on."""

    @property
    def chat_model_class(self) -> type[LEOChatModel]:
        return LEOChatModel

    @property
    def model_override_value(self) -> str:
        return "another-model"

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_audio_inputs = True

    async def test_a_call_is_one_run_and_its_usage_is_counted_once(self, model: BaseChatModel) -> None:
        """Whatever members are asked: for them no run starts and no usage is counted but in the answer."""

        async def collect(**config: Any) -> AsyncIterator[AIMessage]:
            yield await asyncio.to_thread(model.invoke, "Hello, one.", **config)
            yield await model.ainvoke("Hello, two.", **config)
            yield reduce(add, await asyncio.to_thread(lambda: list(model.stream("Hello, three.", **config))))
            yield reduce(add, [chunk async for chunk in model.astream("Hello, four.", **config)])

        starts, usage, spent = Starts(), UsageMetadataCallbackHandler(), 0
        async for message in collect(config={"callbacks": [starts, usage]}):
            assert message.usage_metadata is not None
            spent += message.usage_metadata["total_tokens"]
        assert starts.count == 4
        assert sum(counted["total_tokens"] for counted in usage.usage_metadata.values()) == spent


class Starts(BaseCallbackHandler):
    """Counts runs of chat models."""

    def __init__(self) -> None:
        self.count = 0

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.count += 1


class Router:
    """A small and a large member of two providers, under a preset whose asynchronous calls never block the loop."""

    preset: Preset = "balanced"

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "small": "openai:gpt-loopback",
            "large": "anthropic:claude-loopback",
            "base_url": urls(),
            "api_key": "sk-test",
            "config": LEOConfig.preset(self.preset),
        }

    @pytest.fixture(autouse=True)
    def never_block(self) -> Iterator[None]:
        with never_blocked(["leo_core", "leo_langchain"]):
            yield
