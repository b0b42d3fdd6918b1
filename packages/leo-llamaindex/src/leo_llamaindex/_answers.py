"""Answers and chunks of the core as LlamaIndex's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from leo_core.adapting.corrections import WITHDRAWN
from leo_core.engine.explain import summarise_answer
from leo_llamaindex._convert import legacy_call, to_chat_message

if TYPE_CHECKING:
    from leo_core.records import Answer, Chunk, Correction, Json, ToolCallDelta, Usage

__all__ = ["ResponseWriter", "describe_answer", "to_completion", "to_response", "to_usage_dict"]


def to_usage_dict(usage: Usage) -> dict[str, int]:
    """Tokens under the names that LlamaIndex's counters read."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def describe_answer(answer: Answer) -> dict[str, Json]:
    """The facts of an answer in plain values; on a hit also the usage that it saved."""
    facts = summarise_answer(answer)
    if answer.entry is not None:
        saved = answer.entry.usage
        facts["saved_usage"] = {**to_usage_dict(saved), "cost_usd": saved.cost_usd}
    return facts


def to_response(answer: Answer, *, delta: str | None = None) -> ChatResponse:
    """The answer as a chat response: what was spent in ``raw["usage"]``, the facts in ``raw["leo"]``."""
    facts, usage = describe_answer(answer), to_usage_dict(answer.usage)
    return ChatResponse(
        message=to_chat_message(answer.message),
        delta=delta,
        raw={"model": answer.model, "finish_reason": answer.finish_reason, "usage": usage, "leo": facts},
        additional_kwargs={**usage, "leo": facts},
    )


def to_completion(response: ChatResponse) -> CompletionResponse:
    """A chat response as a completion."""
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        additional_kwargs=response.additional_kwargs,
        logprobs=response.logprobs,
    )


class ResponseWriter:
    """Turns the chunks of one answer into LlamaIndex's cumulative responses."""

    def __init__(self) -> None:
        self._text = ""
        self._thinking: list[ThinkingBlock] = []
        self._calls: dict[int, ToolCallBlock] = {}

    def write(self, chunk: Chunk) -> ChatResponse:
        """The response so far, with what is new as its ``delta``; the last one is complete and carries the facts.

        A correction begins the message anew. Its ``delta`` says so to readers who add up the deltas.
        """
        if chunk.correction is not None:
            return self._begin_anew(chunk.correction)
        if chunk.answer is not None:
            return to_response(chunk.answer, delta=_rest(chunk.answer.text, self._text))
        self._text += chunk.text
        beside: dict[str, Any] = {}
        thoughts = [str(block.get("reasoning") or block.get("thinking") or "") for block in chunk.blocks]
        if any(thoughts):
            self._thinking.append(ThinkingBlock(content="".join(thoughts)))
            beside["thinking_delta"] = "".join(thoughts)
        for piece in chunk.tool_calls:
            self._take_call(piece)
        return ChatResponse(message=self._message(), delta=chunk.text, additional_kwargs=beside)

    def _begin_anew(self, correction: Correction) -> ChatResponse:
        self._text, self._thinking, self._calls = "", [], {}
        told = {"reason": correction.reason, "member": correction.member}
        return ChatResponse(message=self._message(), delta=WITHDRAWN, additional_kwargs={"leo_correction": told})

    def _take_call(self, piece: ToolCallDelta) -> None:
        known = self._calls.get(piece.index)
        before = str(known.tool_kwargs) if known is not None else ""
        self._calls[piece.index] = ToolCallBlock(
            tool_call_id=piece.id or (known.tool_call_id if known is not None else None),
            tool_name=piece.name or (known.tool_name if known is not None else ""),
            tool_kwargs=before + piece.arguments,
        )

    def _message(self) -> ChatMessage:
        text = [TextBlock(text=self._text)] if self._text or not self._calls else []
        calls = list(self._calls.values())
        legacy = [legacy_call(call.tool_call_id, call.tool_name, call.tool_kwargs) for call in calls]
        beside = {"tool_calls": legacy} if legacy else {}
        blocks = [*self._thinking, *text, *calls]
        return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=beside)


def _rest(whole: str, shown: str) -> str:
    """What has not been shown yet of an answer."""
    return whole[len(shown) :] if whole.startswith(shown) else ""
