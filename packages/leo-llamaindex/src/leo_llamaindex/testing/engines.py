"""Response synthesizers, query engines, agents and workflows."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import AgentStream, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer

from leo_llamaindex.testing.asking import QUESTION
from leo_llamaindex.testing.recording import record_events
from leo_llamaindex.testing.scenes import ADD, Scenes, passages

__all__ = ["EngineTests"]

# An agent is a pydantic model and a workflow; the workflow reads all its attributes, deprecated ones of pydantic too.
_workflows_look_at_everything = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
_agents_ask_whether_they_run = pytest.mark.filterwarnings("ignore:is_running called from within a step")
_SUM = [("add", {"a": 2, "b": 3}, "5")]


class EngineTests(Scenes):
    """What LLMs are for in LlamaIndex."""

    @pytest.mark.parametrize("mode", list(ResponseMode), ids=str)
    async def test_response_modes(self, llm: Any, mode: ResponseMode) -> None:
        """Every mode answers, synchronously and asynchronously, and each of its calls is announced and counted once."""
        Settings.llm = llm  # two modes take no LLM and ask for the default one all the same
        counter = TokenCountingHandler(tokenizer=str.split)
        watched = CallbackManager([counter])
        with record_events() as seen:
            synthesizer = get_response_synthesizer(llm=llm, response_mode=mode, callback_manager=watched)
            whole = synthesizer.synthesize(QUESTION, passages())
            again = await synthesizer.asynthesize(QUESTION, passages())
        llm.callback_manager = CallbackManager([])
        assert str(whole) == str(again), f"{mode.value}: asynchronously another answer"
        assert (str(whole) not in ("", "None")) == (mode is not ResponseMode.NO_TEXT), f"{mode.value} answers {whole}"
        assert [node.node_id for node in whole.source_nodes] == ["node-0", "node-1"], "source nodes were lost"
        _check_pairs(seen.names)
        calls = seen.names["LLMChatEndEvent"] + seen.names["LLMCompletionEndEvent"]
        counted = len(counter.llm_token_counts)
        assert counted == calls, f"{mode.value}: {calls} calls, tokens were counted {counted} times"

    async def test_query_engines(self, llm: Any) -> None:
        """The same answer whole and in pieces, synchronously and asynchronously."""
        index = VectorStoreIndex.from_documents([Document(text="One thing is so.", id_="one")])
        whole = str(index.as_query_engine(llm=llm).query(QUESTION))
        assert whole, "the query engine answers nothing"
        assert str(await index.as_query_engine(llm=llm).aquery(QUESTION)) == whole, "aquery disagrees"
        streaming: Any = index.as_query_engine(llm=llm, streaming=True)
        pieces = list(streaming.query(QUESTION).response_gen)
        assert len(pieces) > 1, "the stream is one piece"
        assert "".join(pieces) == whole, "the stream disagrees"
        response = await streaming.aquery(QUESTION)
        assert "".join([piece async for piece in response.async_response_gen()]) == whole, "the stream disagrees"

    # ------------------------------------------------------------------------------------------------ agents

    @_agents_ask_whether_they_run
    @_workflows_look_at_everything
    @pytest.mark.parametrize("streaming", [True, False])
    async def test_function_agent(self, llm: Any, streaming: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """The tool is called, its result is read, and what streams joins to the answer."""
        self.needs("has_tools")
        handler = FunctionAgent(tools=[ADD], llm=llm, streaming=streaming).run(user_msg="Add 2 and 3")
        shown, _ = await _watch(handler)
        output: Any = await handler
        _check_calls(output)
        assert output.response.content, "no answer after the tool"
        if streaming:
            assert shown == output.response.content, "what was streamed is not the answer"

    @_agents_ask_whether_they_run
    @_workflows_look_at_everything
    async def test_react_agent(self, llm: Any) -> None:
        """The same for an agent that needs no tools of the provider."""
        self.needs("speaks_react")
        output: Any = await ReActAgent(tools=[ADD], llm=llm).run(user_msg="Add 2 and 3")
        _check_calls(output)
        assert output.response.content == "5", f"the agent answers {output.response.content!r}"

    @_agents_ask_whether_they_run
    @_workflows_look_at_everything
    async def test_agent_workflow(self, llm: Any) -> None:
        """A workflow of agents streams its steps; each call of the model in it is announced once."""
        self.needs("has_tools")
        workflow = AgentWorkflow.from_tools_or_functions([ADD], llm=llm, system_prompt="Add with the tool.")
        with record_events() as seen:
            handler = workflow.run(user_msg="Add 2 and 3")
            shown, results = await _watch(handler)
            output: Any = await handler
        _check_calls(output)
        assert results == ["5"], f"the stream of the workflow shows the results {results}"
        assert shown == output.response.content, "what was streamed is not the answer"
        _check_pairs(seen.names)
        calls = seen.names["LLMChatEndEvent"]
        assert calls == 2, f"2 turns of the model were announced {calls} times"  # noqa: PLR2004 - call and answer


async def _watch(handler: Any) -> tuple[str, list[str]]:
    """The text that was streamed after the last tool, and the results of tools."""
    shown, results = "", []
    async for event in handler.stream_events():
        if isinstance(event, AgentStream):
            shown += event.delta
        elif isinstance(event, ToolCallResult):
            shown = ""
            results.append(str(event.tool_output.content))
    return shown, results


def _check_calls(output: Any) -> None:
    made = [(each.tool_name, each.tool_kwargs, each.tool_output.content) for each in output.tool_calls]
    assert made == _SUM, f"the agent called {made}"


def _check_pairs(names: Any) -> None:
    for kind in ("Chat", "Completion"):
        began, ended = names[f"LLM{kind}StartEvent"], names[f"LLM{kind}EndEvent"]
        assert began == ended, f"{began} LLM{kind}StartEvents and {ended} LLM{kind}EndEvents"
