"""Events, tokens and the rate limiter: each call counts once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate

from leo_llamaindex.testing.asking import METHODS, call, usage_of
from leo_llamaindex.testing.recording import AskedLimiter, record_events
from leo_llamaindex.testing.scenes import ADD, Scenes, Sum

__all__ = ["AnnouncementTests"]


class AnnouncementTests(Scenes):
    """A wrapper around another LLM easily tells of each call twice."""

    @pytest.mark.parametrize("method", METHODS)
    async def test_events_come_once(self, llm: Any, method: str) -> None:
        """One start and one end of the kind that was called, and pieces where it streams; all of them as JSON."""
        kind, other = ("Chat", "Completion") if "chat" in method else ("Completion", "Chat")
        with record_events() as seen:
            await call(llm, method)
        for name in (f"LLM{kind}StartEvent", f"LLM{kind}EndEvent"):
            assert seen.names[name] == 1, f"{method}: {name} came {seen.names[name]} times instead of once"
        pieces = seen.names[f"LLM{kind}InProgressEvent"]
        assert (pieces >= 1) == ("stream" in method), f"{method}: {pieces} LLM{kind}InProgressEvents"
        foreign = [name for name in seen.names if name.startswith(f"LLM{other}")]
        assert not foreign, f"{method} also announces {foreign}"
        for event in seen.events:
            json.dumps(event.model_dump(mode="json"), default=str)

    async def test_tool_calls_are_announced_once(self, llm: Any) -> None:
        """So are calls with tools, in all four ways."""
        self.needs("has_tools")
        asked: dict[str, Any] = {"user_msg": "Add 2 and 3"}
        with record_events() as seen:
            llm.chat_with_tools([ADD], **asked)
            await llm.achat_with_tools([ADD], **asked)
            list(llm.stream_chat_with_tools([ADD], **asked))
            _ = [piece async for piece in await llm.astream_chat_with_tools([ADD], **asked)]
        told = (seen.names["LLMChatStartEvent"], seen.names["LLMChatEndEvent"])
        assert told == (4, 4), f"4 calls with tools were announced {told} times"

    async def test_structured_predictions_are_announced_once(self, llm: Any) -> None:
        """A structured prediction is one call of the model."""
        self.needs("has_tools")
        with record_events() as seen:
            llm.structured_predict(Sum, PromptTemplate("Give 4, 7 and 'x'"))
            await llm.astructured_predict(Sum, PromptTemplate("Give 4, 7 and 'x'"))
        for name in ("LLMStructuredPredictStartEvent", "LLMStructuredPredictEndEvent"):
            assert seen.names[name] == 2, f"2 structured predictions: {name} came {seen.names[name]} times"  # noqa: PLR2004 - two were made
        told = (seen.names["LLMChatStartEvent"], seen.names["LLMChatEndEvent"])
        assert told == (2, 2), f"2 structured predictions: chats were announced {told} times"

    @pytest.mark.parametrize("method", METHODS)
    async def test_tokens_are_counted_once(self, llm: Any, method: str) -> None:
        """LlamaIndex's own handler counts what the response says was spent."""
        self.needs("reports_usage")
        counter = TokenCountingHandler(tokenizer=str.split)
        llm.callback_manager = CallbackManager([counter])
        responses = await call(llm, method)
        llm.callback_manager = CallbackManager([])
        times = len(counter.llm_token_counts)
        assert times == 1, f"{method}: tokens were counted {times} times instead of once"
        spent = usage_of(responses[-1])
        assert spent is not None, f"{method}: the response does not say what was spent"
        if all(spent):
            counted = (counter.prompt_llm_token_count, counter.completion_llm_token_count)
            assert counted == spent, f"{method}: {counted} tokens were counted, {spent} were spent"

    @pytest.mark.parametrize("method", METHODS)
    async def test_the_rate_limiter_is_asked_once(self, llm: Any, method: str) -> None:
        """A limiter that is asked twice for a call halves the rate."""
        llm.rate_limiter = limiter = AskedLimiter()
        await call(llm, method)
        llm.rate_limiter = None
        assert limiter.asked == 1, f"{method}: the rate limiter was asked {limiter.asked} times"
