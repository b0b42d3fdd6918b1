"""What every LLM of LlamaIndex keeps that wants to be used in its engines and agents.

A test class inherits :class:`LLMContract` and gives the fixture ``llm``: an LLM that calls tools, whose model

* answers every plain question with one and the same text,
* calls the first tool (the one that the question names, if any) when the user spoke last or it must,
* calls all tools when the question says "both", and fills their schema,
* speaks ReAct when it is spoken to.

``secret`` is a text that must not be seen anywhere, such as the key that the LLM was made with.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, PrivateAttr

from tests.contracts.event_loop import never_blocked

__all__ = ["METHODS", "LLMContract", "ask", "call", "record_events"]

METHODS = (
    "chat",
    "complete",
    "achat",
    "acomplete",
    "stream_chat",
    "stream_complete",
    "astream_chat",
    "astream_complete",
)
QUESTION = "What is it?"


class Sum(BaseModel):
    """Two numbers and a name."""

    a: int
    b: int
    label: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


ADD, GREET = FunctionTool.from_defaults(add), FunctionTool.from_defaults(greet)
NODES = [NodeWithScore(node=TextNode(text=text), score=1.0) for text in ("One thing is so.", "Another is not.")]


# ----------------------------------------------------------------------------------------------- asking


def ask(method: str, text: str = QUESTION) -> Any:
    """The argument that a method takes for a question."""
    return [ChatMessage(role=MessageRole.USER, content=text)] if "chat" in method else text


async def call(llm: Any, method: str, text: str = QUESTION, **kwargs: Any) -> list[Any]:
    """Call one of the eight methods; a list of its responses, of one for those that do not stream."""
    result = getattr(llm, method)(ask(method, text), **kwargs)
    if method.startswith("a"):
        result = await result
    if not method.removeprefix("a").startswith("stream"):
        return [result]
    return [response async for response in result] if method.startswith("a") else list(result)


def text_of(response: Any) -> str:
    """The text of a response."""
    return (response.message.content or "") if isinstance(response, ChatResponse) else response.text


def usage_of(response: Any) -> tuple[int, int] | None:
    """Tokens that the response says were spent."""
    raw = response.raw if isinstance(response.raw, dict) else dict(response.raw or {})
    usage = raw.get("usage")
    usage = usage if isinstance(usage, dict | None) else usage.model_dump()
    return None if usage is None else (usage["prompt_tokens"], usage["completion_tokens"])


class _Recorder(BaseEventHandler):
    _events: list[Any] = PrivateAttr(default_factory=list)

    def handle(self, event: Any, **_: Any) -> None:
        self._events.append(event)

    @property
    def events(self) -> list[Any]:
        return list(self._events)

    @property
    def names(self) -> Counter[str]:
        return Counter(type(event).__name__ for event in self._events)


class record_events:  # noqa: N801 - reads as a statement
    """Everything that the instrumentation emits inside the block."""

    def __enter__(self) -> _Recorder:
        self._recorder = _Recorder()
        get_dispatcher().add_event_handler(self._recorder)
        return self._recorder

    def __exit__(self, *_: object) -> None:
        root = get_dispatcher()
        root.event_handlers = [handler for handler in root.event_handlers if handler is not self._recorder]


class _Limiter:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def acquire(self) -> None:
        self.asked += 1

    async def async_acquire(self) -> None:
        self.asked += 1


# An agent is a pydantic model and a workflow; the workflow reads all its attributes, deprecated ones of pydantic too.
_workflows_look_at_everything = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
_agents_ask_whether_they_run = pytest.mark.filterwarnings("ignore:is_running called from within a step")


class LLMContract:
    """The contract."""

    secret = "sk-very-secret-0123456789"

    @pytest.fixture
    def llm(self) -> Iterator[FunctionCallingLLM]:
        """The LLM under test."""
        raise NotImplementedError

    # --------------------------------------------------------------------------------------- what it is

    def test_is_a_function_calling_llm(self, llm: Any) -> None:
        assert isinstance(llm, FunctionCallingLLM)
        assert BaseLLM in type(llm).__mro__
        assert llm.class_name() not in ("", "base_component", LLM.class_name())

    def test_metadata_are_sane(self, llm: Any) -> None:
        facts = llm.metadata
        assert facts.is_chat_model
        assert facts.is_function_calling_model
        assert 0 < facts.num_output < facts.context_window
        assert facts.model_name not in ("", "unknown")
        assert PromptHelper.from_llm_metadata(facts).repack(PromptTemplate("{context_str}"), ["a", "b"])

    def test_settings_take_it_as_it_is(self, llm: Any) -> None:
        Settings.llm = llm
        assert Settings.llm is llm

    # ------------------------------------------------------------------------------------------ answers

    async def test_all_ways_of_asking_agree(self, llm: Any) -> None:
        texts = {}
        for method in METHODS:
            responses = await call(llm, method)
            texts[method] = text_of(responses[-1])
            assert texts[method]
            if isinstance(responses[-1], ChatResponse):
                assert responses[-1].message.role is MessageRole.ASSISTANT
        assert len(set(texts.values())) == 1, texts

    @pytest.mark.parametrize("method", [method for method in METHODS if "stream" in method])
    async def test_deltas_join_to_the_text(self, llm: Any, method: str) -> None:
        responses = await call(llm, method)
        shown = ""
        for response in responses:
            shown += response.delta or ""
            assert text_of(response) == shown, "each response holds all of the text so far"
        assert len(responses) > 2

    @pytest.mark.parametrize("method", ["astream_chat", "astream_complete"])
    async def test_asynchronous_streams_are_awaited(self, llm: Any, method: str) -> None:
        waiting = getattr(llm, method)(ask(method))
        assert inspect.isawaitable(waiting)
        stream = await waiting
        assert inspect.isasyncgen(stream)
        await stream.aclose()

    async def test_predict_in_all_ways(self, llm: Any) -> None:
        prompt = PromptTemplate("What is {it}?")
        whole = llm.predict(prompt, it="it")
        assert whole
        assert await llm.apredict(prompt, it="it") == whole
        assert "".join(llm.stream(prompt, it="it")) == whole
        assert "".join([token async for token in await llm.astream(prompt, it="it")]) == whole

    async def test_a_stream_may_be_left(self, llm: Any) -> None:
        stream = llm.stream_chat(ask("chat"))
        next(stream)
        stream.close()
        stream = await llm.astream_chat(ask("chat"))
        await anext(stream)
        await stream.aclose()
        assert text_of(llm.chat(ask("chat")))

    def test_messages_are_left_alone(self, llm: Any) -> None:
        messages = [ChatMessage(role="system", content="Be short."), *ask("chat")]
        before = copy.deepcopy(messages)
        llm.chat(messages)
        assert messages == before

    async def test_many_at_once(self, llm: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            texts = set(pool.map(lambda _: text_of(llm.chat(ask("chat"))), range(8)))
        answers = await asyncio.gather(*(llm.achat(ask("chat")) for _ in range(8)))
        assert len(texts | {text_of(answer) for answer in answers}) == 1

    @pytest.mark.parametrize("method", [method for method in METHODS if method.startswith("a")])
    async def test_the_event_loop_is_not_blocked(self, llm: Any, method: str) -> None:
        with never_blocked():
            assert text_of((await call(llm, method))[-1])

    # ------------------------------------------------------------------------------------------- events

    @pytest.mark.parametrize("method", METHODS)
    async def test_events_come_once(self, llm: Any, method: str) -> None:
        kind = "Chat" if "chat" in method else "Completion"
        with record_events() as seen:
            await call(llm, method)
        assert seen.names[f"LLM{kind}StartEvent"] == 1
        assert seen.names[f"LLM{kind}EndEvent"] == 1
        assert (seen.names[f"LLM{kind}InProgressEvent"] >= 1) == ("stream" in method)
        other = "Completion" if kind == "Chat" else "Chat"
        assert not [name for name in seen.names if name.startswith(f"LLM{other}")]
        for event in seen.events:
            json.dumps(event.model_dump(mode="json"), default=str)

    @pytest.mark.parametrize("method", METHODS)
    async def test_tokens_are_counted_once(self, llm: Any, method: str) -> None:
        counter = TokenCountingHandler(tokenizer=str.split)
        llm.callback_manager = CallbackManager([counter])
        responses = await call(llm, method)
        llm.callback_manager = CallbackManager([])
        assert len(counter.llm_token_counts) == 1
        spent = usage_of(responses[-1])
        assert spent is not None
        if all(spent):
            assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == spent

    @pytest.mark.parametrize("method", METHODS)
    async def test_the_rate_limiter_is_asked_once(self, llm: Any, method: str) -> None:
        llm.rate_limiter = limiter = _Limiter()
        await call(llm, method)
        llm.rate_limiter = None
        assert limiter.asked == 1

    # -------------------------------------------------------------------------------------------- tools

    async def test_tools_in_all_ways(self, llm: Any) -> None:
        text = "Add 2 and 3"
        found = [llm.chat_with_tools([ADD], user_msg=text), await llm.achat_with_tools([ADD], user_msg=text)]
        found.append(list(llm.stream_chat_with_tools([ADD], user_msg=text))[-1])
        found.append([piece async for piece in await llm.astream_chat_with_tools([ADD], user_msg=text)][-1])
        for response in found:
            (selected,) = llm.get_tool_calls_from_response(response)
            assert (selected.tool_name, selected.tool_kwargs) == ("add", {"a": 2, "b": 3})
            assert selected.tool_id

    async def test_predict_and_call(self, llm: Any) -> None:
        assert llm.predict_and_call([ADD], user_msg="Add 2 and 3").response == "5"
        assert (await llm.apredict_and_call([ADD], user_msg="Add 2 and 3")).response == "5"

    def test_several_calls_only_where_allowed(self, llm: Any) -> None:
        text = "Do both with 2 and 3 for 'Ann'"
        many = llm.chat_with_tools([ADD, GREET], user_msg=text, allow_parallel_tool_calls=True)
        names = [selected.tool_name for selected in llm.get_tool_calls_from_response(many)]
        assert names == ["add", "greet"]
        one = llm.chat_with_tools([ADD, GREET], user_msg=text)
        assert [selected.tool_name for selected in llm.get_tool_calls_from_response(one)] == ["add"]
        result = llm.predict_and_call([ADD, GREET], user_msg=text, allow_parallel_tool_calls=True)
        assert [source.content for source in result.sources] == ["5", "Hello Ann"]

    def test_tool_results_come_back(self, llm: Any) -> None:
        first = llm.chat_with_tools([ADD], user_msg="Add 2 and 3")
        (selected,) = llm.get_tool_calls_from_response(first)
        result = ChatMessage(role="tool", content="5", additional_kwargs={"tool_call_id": selected.tool_id})
        history = [ChatMessage("Add 2 and 3"), first.message, result]
        then = llm.chat_with_tools([ADD], chat_history=history)
        assert text_of(then)
        assert llm.get_tool_calls_from_response(then, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError):
            llm.get_tool_calls_from_response(then)
        forced = llm.chat_with_tools([ADD], chat_history=history, tool_required=True)
        assert llm.get_tool_calls_from_response(forced)

    # --------------------------------------------------------------------------------------- structured

    async def test_structured_prediction(self, llm: Any) -> None:
        prompt, wanted = PromptTemplate("Give 4, 7 and '{name}'"), Sum(a=4, b=7, label="x")
        assert llm.structured_predict(Sum, prompt, name="x") == wanted
        assert await llm.astructured_predict(Sum, prompt, name="x") == wanted
        last = list(llm.stream_structured_predict(Sum, prompt, name="x"))[-1]
        assert last.model_dump() == wanted.model_dump(), last
        stream = await llm.astream_structured_predict(Sum, prompt, name="x")
        assert [piece async for piece in stream][-1] == wanted

    async def test_structured_llm(self, llm: Any) -> None:
        wanted, text = Sum(a=4, b=7, label="x"), "Give 4, 7 and 'x'"
        structured = llm.as_structured_llm(Sum)
        for method in ("chat", "achat", "complete", "acomplete"):
            (response,) = await call(structured, method, text)
            assert response.raw == wanted
            assert Sum.model_validate_json(text_of(response)) == wanted

    @pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # StructuredLLM itself calls it
    async def test_structured_streams(self, llm: Any) -> None:
        wanted, text = Sum(a=4, b=7, label="x"), "Give 4, 7 and 'x'"
        for method in ("stream_chat", "astream_chat"):
            assert (await call(llm.as_structured_llm(Sum), method, text))[-1].raw == wanted

    # ------------------------------------------------------------------------------- engines and agents

    @pytest.mark.parametrize("mode", list(ResponseMode), ids=str)
    async def test_response_modes(self, llm: Any, mode: ResponseMode) -> None:
        Settings.llm = llm  # two modes take no LLM and ask for the default one all the same
        synthesizer = get_response_synthesizer(llm=llm, response_mode=mode)
        whole = synthesizer.synthesize(QUESTION, NODES)
        again = await synthesizer.asynthesize(QUESTION, NODES)
        assert str(whole) == str(again)
        assert (str(whole) not in ("", "None")) == (mode is not ResponseMode.NO_TEXT)
        assert [node.node_id for node in whole.source_nodes] == [node.node_id for node in NODES]

    async def test_query_engines(self, llm: Any) -> None:
        index = VectorStoreIndex.from_documents([Document(text="One thing is so.", id_="one")])
        whole = str(index.as_query_engine(llm=llm).query(QUESTION))
        assert whole
        assert str(await index.as_query_engine(llm=llm).aquery(QUESTION)) == whole
        streaming = index.as_query_engine(llm=llm, streaming=True)
        pieces = list(streaming.query(QUESTION).response_gen)
        assert len(pieces) > 1
        assert "".join(pieces) == whole
        response = await streaming.aquery(QUESTION)
        assert "".join([piece async for piece in response.async_response_gen()]) == whole

    @_agents_ask_whether_they_run
    @_workflows_look_at_everything
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_function_agent(self, llm: Any, streaming: bool) -> None:
        agent = FunctionAgent(tools=[ADD], llm=llm, streaming=streaming)
        output = await agent.run(user_msg="Add 2 and 3")
        assert [(made.tool_name, made.tool_kwargs) for made in output.tool_calls] == [("add", {"a": 2, "b": 3})]
        assert output.tool_calls[0].tool_output.content == "5"
        assert output.response.content

    @_agents_ask_whether_they_run
    @_workflows_look_at_everything
    async def test_react_agent(self, llm: Any) -> None:
        output = await ReActAgent(tools=[ADD], llm=llm).run(user_msg="Add 2 and 3")
        assert [made.tool_output.content for made in output.tool_calls] == ["5"]
        assert output.response.content == "5"

    # ------------------------------------------------------------------------------- copies and secrets

    def test_copies_answer_alike(self, llm: Any) -> None:
        whole = text_of(llm.complete(QUESTION))
        for copied in (pickle.loads(pickle.dumps(llm)), copy.deepcopy(llm), copy.copy(llm)):
            assert type(copied) is type(llm)
            assert copied.metadata == llm.metadata
            assert text_of(copied.complete(QUESTION)) == whole

    def test_serialises(self, llm: Any) -> None:
        assert llm.to_dict()["class_name"] == llm.class_name()
        assert json.loads(llm.to_json())["class_name"] == llm.class_name()

    async def test_no_credentials_are_seen(self, llm: Any) -> None:
        with record_events() as seen:
            response = llm.chat(ask("chat"))
        shown = [llm.to_payload(), llm.to_dict(), llm.to_json(), repr(llm), str(llm), repr(response)]
        shown += [repr(event.model_dump()) for event in seen.events]
        assert self.secret not in repr(shown)

    def test_tool_calls_are_blocks(self, llm: Any) -> None:
        response = llm.chat_with_tools([ADD], user_msg="Add 2 and 3")
        (block,) = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        assert block.tool_kwargs in ({"a": 2, "b": 3}, '{"a": 2, "b": 3}')
