"""Tools and structured output."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.prompts import PromptTemplate

from leo_llamaindex.testing.asking import call, text_of
from leo_llamaindex.testing.scenes import ADD, GREET, Scenes, Sum

__all__ = ["ToolTests"]

_WANTED = Sum(a=4, b=7, label="x")
_ASKED_FOR = "Give 4, 7 and 'x'"


class ToolTests(Scenes):
    """The model calls what it was given, and fills what it was asked to fill."""

    async def test_tools_in_all_ways(self, llm: Any) -> None:
        """The call arrives whole in all four ways."""
        self.needs("has_tools")
        text = "Add 2 and 3"
        found = [llm.chat_with_tools([ADD], user_msg=text), await llm.achat_with_tools([ADD], user_msg=text)]
        found.append(list(llm.stream_chat_with_tools([ADD], user_msg=text))[-1])
        found.append([piece async for piece in await llm.astream_chat_with_tools([ADD], user_msg=text)][-1])
        for response, way in zip(found, ("chat", "achat", "stream_chat", "astream_chat"), strict=True):
            calls = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
            made = [(selected.tool_name, selected.tool_kwargs) for selected in calls]
            assert made == [("add", {"a": 2, "b": 3})], f"{way}_with_tools: the tool was not called: {made}"
            assert calls[0].tool_id, f"{way}_with_tools: the tool call has no id"

    def test_tool_calls_are_blocks(self, llm: Any) -> None:
        """Agents and memories read the blocks of a message."""
        self.needs("has_tools")
        response = llm.chat_with_tools([ADD], user_msg="Add 2 and 3")
        blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        assert len(blocks) == 1, f"the message has {len(blocks)} ToolCallBlocks for one call"
        assert blocks[0].tool_kwargs in ({"a": 2, "b": 3}, '{"a": 2, "b": 3}'), "the block has other arguments"

    async def test_predict_and_call(self, llm: Any) -> None:
        """The tool is run."""
        self.needs("has_tools")
        assert llm.predict_and_call([ADD], user_msg="Add 2 and 3").response == "5"
        assert (await llm.apredict_and_call([ADD], user_msg="Add 2 and 3")).response == "5"

    def test_several_calls_only_where_allowed(self, llm: Any) -> None:
        """``allow_parallel_tool_calls`` is kept, whatever the model says."""
        self.needs("has_tools", "has_parallel_tools")
        text = "Do both with 2 and 3 for 'Ann'"
        many = llm.chat_with_tools([ADD, GREET], user_msg=text, allow_parallel_tool_calls=True)
        names = [selected.tool_name for selected in llm.get_tool_calls_from_response(many)]
        assert names == ["add", "greet"], f"two calls were allowed and asked for: {names}"
        one = llm.chat_with_tools([ADD, GREET], user_msg=text)
        names = [selected.tool_name for selected in llm.get_tool_calls_from_response(one)]
        assert names == ["add"], f"one call was allowed: {names}"
        result = llm.predict_and_call([ADD, GREET], user_msg=text, allow_parallel_tool_calls=True)
        assert [source.content for source in result.sources] == ["5", "Hello Ann"]

    def test_tool_results_come_back(self, llm: Any) -> None:
        """The result goes into the next turn, and what is no tool call is an error where one has to be."""
        self.needs("has_tools")
        first = llm.chat_with_tools([ADD], user_msg="Add 2 and 3")
        (selected,) = llm.get_tool_calls_from_response(first)
        result = ChatMessage(role="tool", content="5", additional_kwargs={"tool_call_id": selected.tool_id})
        history = [ChatMessage("Add 2 and 3"), first.message, result]
        then = llm.chat_with_tools([ADD], chat_history=history)
        assert text_of(then), "no answer after a tool's result"
        assert llm.get_tool_calls_from_response(then, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError, match=r"."):
            llm.get_tool_calls_from_response(then)
        forced = llm.chat_with_tools([ADD], chat_history=history, tool_required=True)
        assert llm.get_tool_calls_from_response(forced), "tool_required=True was not kept"

    # --------------------------------------------------------------------------------------- structured

    async def test_structured_prediction(self, llm: Any) -> None:
        """In all four ways the object that the schema describes."""
        self.needs("has_tools")
        prompt = PromptTemplate("Give 4, 7 and '{name}'")
        assert llm.structured_predict(Sum, prompt, name="x") == _WANTED, "structured_predict differs"
        assert await llm.astructured_predict(Sum, prompt, name="x") == _WANTED, "astructured_predict differs"
        last = list(llm.stream_structured_predict(Sum, prompt, name="x"))[-1]
        assert last.model_dump() == _WANTED.model_dump(), f"stream_structured_predict ends with {last!r}"
        stream = await llm.astream_structured_predict(Sum, prompt, name="x")
        assert [piece async for piece in stream][-1].model_dump() == _WANTED.model_dump()

    async def test_structured_llm(self, llm: Any) -> None:
        """``as_structured_llm`` gives the object in ``raw`` and its JSON as text."""
        self.needs("has_tools")
        structured = llm.as_structured_llm(Sum)
        for method in ("chat", "achat", "complete", "acomplete"):
            (response,) = await call(structured, method, _ASKED_FOR)
            assert response.raw == _WANTED, f"{method}: raw is {response.raw!r}"
            assert Sum.model_validate_json(text_of(response)) == _WANTED

    @pytest.mark.filterwarnings("ignore:The `json` method is deprecated")  # StructuredLLM itself calls it
    async def test_structured_streams(self, llm: Any) -> None:
        """So do its streams."""
        self.needs("has_tools")
        for method in ("stream_chat", "astream_chat"):
            assert (await call(llm.as_structured_llm(Sum), method, _ASKED_FOR))[-1].raw == _WANTED, method
