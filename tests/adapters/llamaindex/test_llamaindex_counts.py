"""Whatever asks LEO: each call of the provider is one pair of events, one answer of LEO and one count of its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step

from leo_llamaindex import LEOLLM, LEOEventHandler
from leo_llamaindex.testing import record_events
from leo_llamaindex.testing.scenes import ADD, Sum, passages
from tests.adapters.llamaindex.llamaindex_servers import SECRET, think
from tests.servers.brain import Asked, Reply
from tests.servers.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
    pytest.mark.filterwarnings("ignore:The `json` method is deprecated"),
]
PROMPT, REPLY = 100, 10
QUESTION = "What is so?"
KINDS = ("LLMChat", "LLMCompletion")


def think_and_charge(asked: Asked) -> Reply:
    return replace(think(asked), usage={"prompt_tokens": PROMPT, "completion_tokens": REPLY})


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(think_and_charge) as running:
        yield running


class Watch:
    """Compares what was told inside a block with what the provider was asked."""

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self.counter = TokenCountingHandler(tokenizer=str.split)
        self.llm = LEOLLM(
            small="openai:gpt-loopback",
            api_key=SECRET,
            base_url=server.base_url,
            cache=False,
            callback_manager=CallbackManager([self.counter]),
        )
        self.seen, self.sums = record_events(), LEOEventHandler()

    def __enter__(self) -> Self:
        Settings.llm = self.llm  # two response modes take no LLM and ask for the default one all the same
        Settings.callback_manager = self.llm.callback_manager
        self.seen.__enter__()
        self.sums.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.sums.__exit__(*error)
        self.seen.__exit__(*error)

    def check(self, calls: int) -> None:
        """Everything says that there were so many calls."""
        names, summary = self.seen.names, self.sums.summary()
        assert len(self.server.requests) == calls
        for end in ("Start", "End"):
            assert sum(names[f"{kind}{end}Event"] for kind in KINDS) == calls, end
        assert (names["LEORouteEvent"], names["LEOProofEvent"]) == (calls, calls)
        assert len(self.counter.llm_token_counts) == calls
        counted = (self.counter.prompt_llm_token_count, self.counter.completion_llm_token_count)
        assert counted == (calls * PROMPT, calls * REPLY)
        assert (summary.answers, len(summary.receipts)) == (calls, calls)
        assert (summary.input_tokens, summary.output_tokens) == (calls * PROMPT, calls * REPLY)
        self.llm.close()


CALLS = dict.fromkeys(ResponseMode, 1) | {
    ResponseMode.REFINE: 2,  # one for each passage
    ResponseMode.ACCUMULATE: 2,
    ResponseMode.NO_TEXT: 0,
    ResponseMode.CONTEXT_ONLY: 0,
}


def test_there_are_nine_response_modes() -> None:
    assert len(CALLS) == len(ResponseMode) == 9


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ResponseMode, ids=str)
async def test_response_modes(server: OpenAIServer, mode: ResponseMode, waits: bool) -> None:
    with Watch(server) as watch:
        synthesizer = get_response_synthesizer(llm=watch.llm, response_mode=mode)
        ask = synthesizer.asynthesize if waits else synthesizer.synthesize
        response: Any = ask(QUESTION, passages())
        response = await response if waits else response
    assert len((response.metadata or {}).get("leo", {}).get("answers", [])) == CALLS[mode]
    watch.check(CALLS[mode])


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("streaming", [False, True])
async def test_query_engines(server: OpenAIServer, streaming: bool, waits: bool) -> None:
    index = VectorStoreIndex.from_documents([Document(text="One thing is so.")])
    with Watch(server) as watch:
        engine: Any = index.as_query_engine(llm=watch.llm, streaming=streaming)
        response: Any = await engine.aquery(QUESTION) if waits else engine.query(QUESTION)
        if streaming and waits:
            assert len([piece async for piece in response.async_response_gen()]) > 1
        elif streaming:
            assert len(list(response.response_gen)) > 1
    assert watch.seen.names["QueryStartEvent"] == watch.seen.names["QueryEndEvent"] == 1
    assert len(response.metadata["leo"]["answers"]) == 1
    watch.check(1)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent, AgentWorkflow])
async def test_agents(server: OpenAIServer, kind: Any, streaming: bool) -> None:
    with Watch(server) as watch:
        if kind is AgentWorkflow:
            agent = AgentWorkflow(agents=[FunctionAgent(tools=[ADD], llm=watch.llm, streaming=streaming, name="adder")])
        else:
            agent = kind(tools=[ADD], llm=watch.llm, streaming=streaming)
        output = await agent.run(user_msg="Add 2 and 3")
    assert [made.tool_output.content for made in output.tool_calls] == ["5"]
    watch.check(2)  # one that calls the tool, one that answers


class Steps(Workflow):
    """A workflow whose one step asks three times: whole, streamed, and for a tool."""

    llm: Any

    @step
    async def work(self, _: StartEvent) -> StopEvent:
        whole = await self.llm.acomplete(QUESTION)
        pieces = [piece async for piece in await self.llm.astream_complete(QUESTION)]
        assert pieces[-1].text == whole.text
        called = await self.llm.achat_with_tools([ADD], user_msg="Add 2 and 3")
        return StopEvent(result=self.llm.get_tool_calls_from_response(called)[0].tool_name)


async def test_workflows(server: OpenAIServer) -> None:
    with Watch(server) as watch:
        workflow = Steps()
        workflow.llm = watch.llm
        assert await workflow.run() == "add"
    watch.check(3)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
async def test_structured_predictions(server: OpenAIServer, streaming: bool, waits: bool) -> None:
    prompt = PromptTemplate("Give 4, 7 and '{name}'")
    with Watch(server) as watch:
        name = f"{'a' if waits else ''}{'stream_' if streaming else ''}structured_predict"
        found: Any = getattr(watch.llm, name)(Sum, prompt, name="x")
        found = await found if waits else found
        if streaming:
            found = [piece async for piece in found][-1] if waits else list(found)[-1]
    assert found.model_dump() == {"a": 4, "b": 7, "label": "x"}
    watch.check(1)
    names = watch.seen.names
    assert names["LLMStructuredPredictStartEvent"] == names["LLMStructuredPredictEndEvent"] == 1


@pytest.mark.parametrize("method", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_structured_llms(server: OpenAIServer, method: str) -> None:
    from leo_llamaindex.testing import call

    with Watch(server) as watch:
        responses = await call(watch.llm.as_structured_llm(Sum), method, "Give 4, 7 and 'x'")
    assert responses[-1].raw.model_dump() == {"a": 4, "b": 7, "label": "x"}
    # LlamaIndex's StructuredLLM announces itself besides, and its own counter counts that: LEO's numbers are once
    assert len(server.requests) == watch.sums.summary().answers == watch.seen.names["LEORouteEvent"] == 1
    assert watch.sums.summary().input_tokens == PROMPT
    watch.llm.close()
