"""The conformance suite is fair and strict: a plain LLM passes it, and each broken one fails where it is broken."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import LLMMetadata, TextBlock
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from pydantic import PrivateAttr

import leo_llamaindex
from leo_core.errors import ConfigError
from leo_llamaindex.testing import LLMConformance
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.adapters.llamaindex.reference_llm import ReferenceLLM, _completion
from tests.servers.openai_server import OpenAIServer


class TestReference(LLMConformance):
    """A plain LLM for the OpenAI protocol, with decorators on the outside and nothing else."""

    secret = SECRET

    @pytest.fixture
    def llm(self, openai_server: OpenAIServer) -> Any:
        return ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET)


# --------------------------------------------------------------------------------------------------- broken ones


class SmallMock(MockLLM):
    """LlamaIndex's own mock, a ``CustomLLM``: its ``chat`` calls its ``complete``, and both announce."""

    def __init__(self, **_: Any) -> None:
        super().__init__(max_tokens=3)

    @classmethod
    def class_name(cls) -> str:
        return "SmallMock"


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


class TwiceAnnounced(PlainWrapper):
    """The same with a decorator of its own, around a member that has one too, under one callback manager."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("callback_manager", "rate_limiter"):
            setattr(self.inner, name, value)

    @llm_chat_callback()
    def chat(self, messages: Any, **kwargs: Any) -> Any:
        return self.inner.chat(messages, **kwargs)


class CumulativeDeltas(ReferenceLLM):
    def _stream(self, messages: Any, kwargs: Any) -> Any:
        for response in super()._stream(messages, kwargs):
            response.delta = response.message.content
            yield response


class StreamsSomethingElse(ReferenceLLM):
    def _stream(self, messages: Any, kwargs: Any) -> Any:
        for response in super()._stream(messages, kwargs):
            response.message.blocks = [TextBlock(text=(response.message.content or "").upper())]
            yield response


class LosesTools(ReferenceLLM):
    def _prepare_chat_with_tools(self, tools: Any, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._prepare_chat_with_tools(tools, *args, **kwargs)
        return {"messages": prepared["messages"]}


class ParallelAnyway(ReferenceLLM):
    def _validate_chat_with_tools_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
        return response


class ShowsItsKey(ReferenceLLM):
    def to_payload(self) -> dict[str, Any]:
        return {**super().to_payload(), "headers": {"authorization": f"Bearer {self.api_key}"}}


class BlocksTheLoop(ReferenceLLM):
    async def _achat(self, messages: Any, kwargs: Any) -> Any:
        time.sleep(0.001)  # noqa: ASYNC251 - what is broken in it
        return await super()._achat(messages, kwargs)


class ChangesMessages(ReferenceLLM):
    def _chat(self, messages: Any, kwargs: Any) -> Any:
        messages[0].blocks = [TextBlock(text="Be verbose.")]
        return super()._chat(messages, kwargs)


class ForgetsWhenCopied(ReferenceLLM):
    _window: int = PrivateAttr(default=512)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._window = id(self)

    @property
    def metadata(self) -> LLMMetadata:
        return super().metadata.model_copy(update={"context_window": self._window})


class StreamsWithoutAwait(ReferenceLLM):
    def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (_completion(response) async for response in self._astream([], kwargs))


class SaysTheWrongWindow(ReferenceLLM):
    context_window: int = 128


class CountsDouble(ReferenceLLM):
    def _chat(self, messages: Any, kwargs: Any) -> Any:
        response = super()._chat(messages, kwargs)
        self.callback_manager.on_event_start("llm")
        return response

    @llm_chat_callback()
    def chat(self, messages: Any, **kwargs: Any) -> Any:
        return super().chat(messages, **kwargs)


BROKEN = {
    PlainWrapper: ("test_is_an_llm_with_a_name", (), "is no FunctionCallingLLM"),
    SmallMock: ("test_events_come_once", ("chat",), r"chat also announces \['LLMCompletionStartEvent"),
    TwiceAnnounced: ("test_events_come_once", ("chat",), "LLMChatStartEvent came 2 times instead of once"),
    CumulativeDeltas: ("test_deltas_join_to_the_text", ("stream_chat",), "deltas do not join"),
    StreamsSomethingElse: ("test_all_ways_of_asking_agree", (), "the ways of asking disagree"),
    LosesTools: ("test_tools_in_all_ways", (), "the tool was not called"),
    ParallelAnyway: ("test_several_calls_only_where_allowed", (), "one call was allowed"),
    ShowsItsKey: ("test_no_credentials_are_seen", (), r"seen in to_payload\(\), an event"),
    BlocksTheLoop: ("test_the_event_loop_is_not_blocked", ("achat",), "blocks the event loop"),
    ChangesMessages: ("test_messages_are_left_alone", (), "changed the caller's messages"),
    ForgetsWhenCopied: ("test_copies_answer_alike", (), "has lost settings"),
    StreamsWithoutAwait: ("test_asynchronous_streams_are_awaited", ("astream_complete",), "is not awaited"),
    SaysTheWrongWindow: ("test_metadata_are_sane", (), "no room for a prompt"),
    CountsDouble: ("test_tokens_are_counted_once", ("chat",), "counted 2 times instead of once"),
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
async def test_a_broken_one_fails_with_the_reason(kind: Any, openai_server: OpenAIServer) -> None:
    reference = ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET)
    wraps = issubclass(kind, PlainWrapper)
    llm = kind(inner=reference) if wraps else kind(base_url=openai_server.base_url, api_key=SECRET)
    suite = LLMConformance()
    suite.secret = SECRET
    name, arguments, reason = BROKEN[kind]
    for subject, fails in ((reference, False), (llm, True)):
        subject.callback_manager = CallbackManager([])
        if not fails:
            await _run(suite, name, subject, arguments)
            continue
        with pytest.raises(AssertionError, match=reason):
            await _run(suite, name, subject, arguments)


async def _run(suite: LLMConformance, name: str, llm: Any, arguments: tuple[Any, ...]) -> None:
    outcome = getattr(suite, name)(llm, *arguments)
    if outcome is not None:
        await outcome


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step")
async def test_a_plain_one_fails_in_agents_and_programs(openai_server: OpenAIServer) -> None:
    llm = PlainWrapper(inner=ReferenceLLM(base_url=openai_server.base_url, api_key=SECRET))
    suite = LLMConformance()
    with pytest.raises(AttributeError, match="astream_chat_with_tools"):
        await suite.test_function_agent(llm, streaming=True)
    with pytest.raises(Exception, match=r"(?i)validation|json|object"):
        await suite.test_structured_prediction(llm)


# ------------------------------------------------------------------------------------------------------ the kit


def test_what_an_llm_cannot_do_is_passed_over() -> None:
    class Fewer(LLMConformance):
        has_tools = False

    with pytest.raises(pytest.skip.Exception, match="has_tools is False"):
        Fewer().needs("speaks_react", "has_tools")


def test_without_pytest_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("leo_llamaindex.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ConfigError, match=r"pip install 'leo-llamaindex\[testing\]'"):
        importlib.import_module("leo_llamaindex.testing")


def test_nothing_else_of_the_adapter_loads_the_suite() -> None:
    package = Path(leo_llamaindex.__file__).parent
    outside = [path for path in package.glob("*.py") if "leo_llamaindex.testing" in path.read_text(encoding="utf-8")]
    assert outside == []
    assert (package / "testing" / "suite.py").exists()
