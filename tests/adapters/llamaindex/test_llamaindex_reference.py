"""The conformance suite is fair: a plain LLM passes it, and two naive wrappers fail where they should."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import LLM
from llama_index.core.llms.callbacks import llm_chat_callback

from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.adapters.llamaindex.reference_llm import ReferenceLLM
from tests.contracts.llamaindex_llm import LLMContract, call, record_events
from tests.servers.openai_server import OpenAIServer


class TestReference(LLMContract):
    secret = SECRET

    @pytest.fixture
    def llm(self, openai_server: OpenAIServer) -> Any:
        return ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET)


# ------------------------------------------------------------------------------------------- naive wrappers


class PlainWrapper(LLM):
    """What adapters often are: an LLM that is no FunctionCallingLLM and hands everything on."""

    inner: Any

    @property
    def metadata(self) -> LLMMetadata:
        return self.inner.metadata

    def chat(self, messages: Any, **kwargs: Any) -> Any:
        return self.inner.chat(messages, **kwargs)

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        return self.inner.stream_chat(messages, **kwargs)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return self.inner.complete(prompt, **kwargs)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return self.inner.stream_complete(prompt, **kwargs)

    async def achat(self, messages: Any, **kwargs: Any) -> Any:
        return await self.inner.achat(messages, **kwargs)

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        return await self.inner.astream_chat(messages, **kwargs)

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return await self.inner.acomplete(prompt, **kwargs)

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return await self.inner.astream_complete(prompt, **kwargs)


class DecoratedWrapper(PlainWrapper):
    """The same with decorators of its own, around a member that has them too, under one callback manager."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.inner.callback_manager = self.callback_manager

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "callback_manager":
            self.inner.callback_manager = value

    @llm_chat_callback()
    def chat(self, messages: Any, **kwargs: Any) -> Any:
        return self.inner.chat(messages, **kwargs)


@pytest.fixture
def reference(openai_server: OpenAIServer) -> ReferenceLLM:
    return ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET)


class TestNaiveWrappersFail:
    suite = LLMContract()

    def test_a_plain_one_is_no_function_calling_llm(self, reference: ReferenceLLM) -> None:
        with pytest.raises(AssertionError):
            self.suite.test_is_a_function_calling_llm(PlainWrapper(inner=reference))

    async def test_a_plain_one_calls_no_tools(self, reference: ReferenceLLM) -> None:
        with pytest.raises(AttributeError):
            await self.suite.test_tools_in_all_ways(PlainWrapper(inner=reference))

    @pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
    @pytest.mark.filterwarnings("ignore:is_running called from within a step")
    async def test_a_plain_one_fails_in_an_agent(self, reference: ReferenceLLM) -> None:
        with pytest.raises(AttributeError, match="astream_chat_with_tools"):
            await self.suite.test_function_agent(PlainWrapper(inner=reference), streaming=True)

    async def test_a_plain_one_fails_in_structured_prediction(self, reference: ReferenceLLM) -> None:
        with pytest.raises(Exception, match=r"(?i)validation|json|object"):
            await self.suite.test_structured_prediction(PlainWrapper(inner=reference))

    async def test_a_decorated_one_doubles_events(self, reference: ReferenceLLM) -> None:
        llm = DecoratedWrapper(inner=reference)
        with record_events() as seen:
            await call(llm, "chat")
        assert seen.names["LLMChatStartEvent"] == 2
        with pytest.raises(AssertionError):
            await self.suite.test_events_come_once(llm, "chat")

    async def test_a_decorated_one_doubles_tokens(self, reference: ReferenceLLM) -> None:
        with pytest.raises(AssertionError):
            await self.suite.test_tokens_are_counted_once(DecoratedWrapper(inner=reference), "chat")
        counter = TokenCountingHandler(tokenizer=str.split)
        llm = DecoratedWrapper(inner=reference)
        llm.callback_manager = CallbackManager([counter])
        (response,) = await call(llm, "chat")
        assert counter.total_llm_token_count == 2 * response.raw.usage.total_tokens
