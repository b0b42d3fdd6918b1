"""LangChain's own suites for chat models, under every way to set up a LEO."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai
from tests.adapters.langchain.standard_suites import NOISE, Integration, Router, Unit, urls
from tests.contracts.event_loop import never_blocked

pytestmark = NOISE

SHARED_FOLDER = tempfile.TemporaryDirectory(prefix="leo-langchain-", ignore_cleanup_errors=True)
atexit.register(SHARED_FOLDER.cleanup)
SHARED_STORE = Path(SHARED_FOLDER.name) / "shared.db"


class OneOpenAI:
    """One member of the core, by name."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"small": "openai:gpt-loopback", "base_url": urls(), "api_key": "sk-test"}


class OneAnthropic:
    """One member of the core that speaks Anthropic's protocol."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"small": "anthropic:claude-loopback", "base_url": urls(), "api_key": "sk-ant-test"}


class Economy(Router):
    """Cost weighs most."""

    preset = "economy"


class Verified(Router):
    """Errors weigh most; receipts are required, and nothing is streamed before there is one."""

    preset = "verified"


class Private(Router):
    """Nothing is kept for reuse."""

    preset = "private"


class Consensus:
    """Three members, of two providers, and a forced vote."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        jury = ["openai:gpt-loopback", "openai:llama-loopback", "anthropic:claude-loopback"]
        return {"jury": jury, "route": "consensus", "base_url": urls(), "api_key": "sk-test"}


class Optimistic(Consensus):
    """The same vote; what streams is one of the drafts, while the others are still asked."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "stream_policy": "optimistic"}

    @pytest.fixture(autouse=True)
    def never_block(self) -> Iterator[None]:
        with never_blocked(["leo_core", "leo_langchain"]):
            yield


class SharedStore:
    """One SQLite store for all tests of both classes: in the second, what was asked before comes from the cache."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"small": "openai:gpt-loopback", "base_url": urls(), "api_key": "sk-test", "store": str(SHARED_STORE)}


class ChatOpenAIMember:
    """A ChatOpenAI instance."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"small": chat_openai()}


class ChatAnthropicMember:
    """A ChatAnthropic instance."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"small": chat_anthropic()}


class InstanceRouter:
    """Two instances and a name."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "small": chat_openai(),
            "large": chat_anthropic(),
            "jury": [chat_openai(model="llama-loopback"), "openai:gpt-named"],
            "base_url": urls(),
            "api_key": "sk-test",
        }


class JsonSchema:
    """Structured output by the provider's own means."""

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "json_schema"}


class NoAudio:
    """Anthropic's protocol has no audio."""

    supports_audio_inputs = False


class TestOneOpenAIUnit(OneOpenAI, Unit): ...


class TestOneOpenAI(OneOpenAI, Integration): ...


class TestOneOpenAIJsonSchema(JsonSchema, OneOpenAI, Integration): ...


class TestOneAnthropicUnit(OneAnthropic, Unit): ...


class TestOneAnthropic(NoAudio, OneAnthropic, Integration): ...


class TestOneAnthropicJsonSchema(NoAudio, JsonSchema, OneAnthropic, Integration): ...


class TestRouterUnit(Router, Unit): ...


class TestRouter(Router, Integration): ...


class TestEconomyUnit(Economy, Unit): ...


class TestEconomy(Economy, Integration): ...


class TestVerifiedUnit(Verified, Unit): ...


class TestVerified(Verified, Integration): ...


class TestPrivateUnit(Private, Unit): ...


class TestPrivate(Private, Integration): ...


class TestOptimisticUnit(Optimistic, Unit): ...


class TestOptimistic(Optimistic, Integration): ...


class TestConsensusUnit(Consensus, Unit): ...


class TestConsensus(Consensus, Integration): ...


class TestSharedStoreFirst(SharedStore, Integration): ...


class TestSharedStoreSecond(SharedStore, Integration): ...


class TestChatOpenAIMemberUnit(ChatOpenAIMember, Unit): ...


class TestChatOpenAIMember(ChatOpenAIMember, Integration): ...


class TestChatOpenAIMemberJsonSchema(JsonSchema, ChatOpenAIMember, Integration): ...


class TestChatAnthropicMemberUnit(ChatAnthropicMember, Unit): ...


class TestChatAnthropicMember(NoAudio, ChatAnthropicMember, Integration): ...


class TestChatAnthropicMemberJsonSchema(NoAudio, JsonSchema, ChatAnthropicMember, Integration): ...


class TestInstanceRouterUnit(InstanceRouter, Unit): ...


class TestInstanceRouter(InstanceRouter, Integration): ...
