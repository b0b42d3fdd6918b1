"""From the reply of a Messages call, whole or streamed, to a draft.

A tool call whose arguments are not a JSON object makes the whole reply a ``MalformedReplyError``: such a call cannot be
carried out, and another attempt or another member can do better.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import MalformedReplyError, ProviderUnavailableError
from leo_core.providers.anthropic_request import ANSWER_TOOL
from leo_core.providers.payload import parse_arguments
from leo_core.providers.reply import Reply
from leo_core.records import Chunk, Json, ToolCall, ToolCallDelta, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AnthropicStream", "read_anthropic_reply"]

_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_FACTS: Final = ("id", "stop_sequence", "container")


def read_anthropic_reply(body: Mapping[str, Json], *, provider: str, model: str, answer_tool: bool = False) -> Reply:
    """Read a whole reply.

    Args:
        body: The reply's JSON.
        provider: Named in errors.
        model: The model that was asked.
        answer_tool: Whether the answer was asked for as a forced tool call, which then becomes the text.

    Raises:
        MalformedReplyError: There is no content or stop reason in it.
    """
    if not isinstance(body.get("content"), list) or not body.get("stop_reason"):
        message = "the reply has no content or no stop_reason"
        raise MalformedReplyError(message, provider=provider, model=model)
    fold = AnthropicStream(provider=provider, model=model, answer_tool=answer_tool)
    fold.push({"type": "message_start", "message": body})
    for index, block in enumerate(body["content"]):
        fold.push({"type": "content_block_start", "index": index, "content_block": block})
        fold.push({"type": "content_block_stop", "index": index})
    fold.push({"type": "message_delta", "delta": {name: body.get(name) for name in ("stop_reason", *_FACTS)}})
    return fold.finish()


class _Block:
    """A content block that is being put together."""

    def __init__(self, block: Mapping[str, Json], call_index: int) -> None:
        self.block = dict(block)
        self.type = str(block.get("type"))
        self.call_index = call_index
        self.json = ""

    @property
    def arguments(self) -> str:
        """JSON text of a tool call's arguments."""
        return self.json or json.dumps(self.block.get("input") or {}, ensure_ascii=False)

    def take(self, delta: Mapping[str, Json]) -> None:
        """Add a delta."""
        for name in ("text", "thinking", "signature"):
            if name in delta:
                self.block[name] = (self.block.get(name) or "") + delta[name]
        if "partial_json" in delta:
            self.json += delta["partial_json"]
        if "citation" in delta:
            self.block["citations"] = [*(self.block.get("citations") or ()), delta["citation"]]


class AnthropicStream:
    """Folds the events of a streamed reply into chunks and, at the end, the reply."""

    def __init__(self, *, provider: str, model: str, answer_tool: bool = False) -> None:
        self._provider, self._model, self._answer_tool = provider, model, answer_tool
        self._blocks: dict[int, _Block] = {}
        self._facts: dict[str, Json] = {}
        self._usage: dict[str, Json] = {}
        self._stop: str | None = None
        self._calls = 0
        self._seen = False

    def push(self, event: Mapping[str, Json]) -> Chunk | None:
        """Take an event; returns what it adds, if anything."""
        self._seen = True
        kind = event.get("type")
        if kind == "message_start":
            self._take_head(event["message"])
        elif kind == "message_delta":
            self._take_head({**event, **(event.get("delta") or {})})
            self._stop = (event.get("delta") or {}).get("stop_reason") or self._stop
        elif kind == "content_block_start":
            return self._open(event["index"], event["content_block"])
        elif kind == "content_block_delta":
            return self._add(self._blocks[event["index"]], event["delta"])
        elif kind == "content_block_stop":
            return self._shut(self._blocks[event["index"]])
        return None

    def _take_head(self, head: Mapping[str, Json]) -> None:
        self._facts |= {name: head[name] for name in (*_FACTS, "model") if head.get(name) is not None}
        self._usage |= {name: value for name, value in (head.get("usage") or {}).items() if value is not None}

    def _open(self, index: int, block: Mapping[str, Json]) -> Chunk | None:
        opened = self._blocks[index] = _Block(block, self._calls)
        if opened.type == "text":
            return _said(block.get("text") or "")
        if opened.type != "tool_use":
            return None
        arguments = json.dumps(block["input"], ensure_ascii=False) if block.get("input") else ""
        if self._is_answer(opened):
            return _said(arguments)
        self._calls += 1
        delta = ToolCallDelta(index=opened.call_index, id=block.get("id"), name=block.get("name"), arguments=arguments)
        return Chunk(tool_calls=(delta,))

    def _add(self, block: _Block, delta: Mapping[str, Json]) -> Chunk | None:
        block.take(delta)
        if block.type == "text":
            return _said(delta.get("text") or "")
        piece = delta.get("partial_json") or ""
        if block.type != "tool_use" or not piece:
            return None
        if self._is_answer(block):
            return _said(piece)
        return Chunk(tool_calls=(ToolCallDelta(index=block.call_index, arguments=piece),))

    def _shut(self, block: _Block) -> Chunk | None:
        if block.type in ("text", "tool_use"):
            return None
        return Chunk(blocks=(_standard(block.block),))

    def _is_answer(self, block: _Block) -> bool:
        return self._answer_tool and block.block.get("name") == ANSWER_TOOL

    def finish(self) -> Reply:
        """The whole reply, after the last event.

        Raises:
            MalformedReplyError: Nothing came, or a tool call's arguments are not a JSON object.
            ProviderUnavailableError: The stream ended before the reply did.
        """
        if not self._seen:
            message = "the stream is empty"
            raise MalformedReplyError(message, provider=self._provider, model=self._model)
        if self._stop is None:
            message = "the stream ended before the reply did"
            raise ProviderUnavailableError(message, provider=self._provider, model=self._model)
        blocks = [block for _, block in sorted(self._blocks.items())]
        uses = [block for block in blocks if block.type == "tool_use" and not self._is_answer(block)]
        answers = [block for block in blocks if block.type == "tool_use" and self._is_answer(block)]
        finish = "stop" if answers and self._stop == "tool_use" else _FINISH.get(self._stop, self._stop)
        return Reply(
            model=str(self._facts.get("model") or self._model),
            content=_content([block for block in blocks if block.type != "tool_use"], answers),
            tool_calls=tuple(self._call(block) for block in uses),
            finish_reason=finish,
            usage=_usage(self._usage),
            cache_write_tokens=int(self._usage.get("cache_creation_input_tokens") or 0),
            metadata=self._metadata(self._stop),
        )

    def _metadata(self, stop: str) -> dict[str, Any]:
        facts = {name: value for name, value in self._facts.items() if name != "model"}
        tier = {"service_tier": self._usage["service_tier"]} if self._usage.get("service_tier") else {}
        return {**facts, **tier, "finish_reason": stop}

    def _call(self, block: _Block) -> ToolCall:
        name = str(block.block.get("name"))
        try:
            return parse_arguments(str(block.block.get("id") or f"call_{block.call_index}"), name, block.arguments)
        except ValueError as error:
            cut = ", cut off at the limit of tokens" if self._stop == "max_tokens" else ""
            message = f"the arguments of the call of tool {name!r} are not a JSON object{cut}"
            raise MalformedReplyError(message, provider=self._provider, model=self._model) from error


def _said(text: str) -> Chunk | None:
    return Chunk(text=text) if text else None


def _content(blocks: list[_Block], answers: list[_Block]) -> str | tuple[Mapping[str, Json], ...]:
    """Text where there is nothing else, blocks where there is."""
    standard = [_standard(block.block) for block in blocks]
    standard += [{"type": "text", "text": block.arguments} for block in answers]
    if all(set(block) == {"type", "text"} for block in standard):
        return "".join(block["text"] for block in standard)
    return tuple(standard)


def _standard(block: Mapping[str, Json]) -> dict[str, Json]:
    """A block of the provider in LangChain's standard form; what has none is wrapped as ``non_standard``."""
    kind = block.get("type")
    if kind == "text":
        cited = {"citations": block["citations"]} if block.get("citations") else {}
        return {"type": "text", "text": block.get("text") or "", **cited}
    if kind == "thinking":
        signed = {"extras": {"signature": block["signature"]}} if block.get("signature") else {}
        return {"type": "reasoning", "reasoning": block.get("thinking") or "", **signed}
    return {"type": "non_standard", "value": dict(block)}


def _usage(usage: Mapping[str, Json]) -> Usage | None:
    """Anthropic counts cached and newly cached input tokens apart from ``input_tokens``; here they are part of it."""
    if not usage:
        return None
    read, written = (int(usage.get(f"cache_{how}_input_tokens") or 0) for how in ("read", "creation"))
    details = usage.get("output_tokens_details") or {}
    return Usage(
        input_tokens=int(usage.get("input_tokens") or 0) + read + written,
        output_tokens=int(usage.get("output_tokens") or 0),
        cached_input_tokens=read,
        reasoning_tokens=int(details.get("thinking_tokens") or 0),
        calls=1,
        cost_usd=None,
    )
