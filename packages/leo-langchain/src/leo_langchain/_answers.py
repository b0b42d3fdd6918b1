"""Answers, drafts and chunks of the core as LangChain's messages."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from langchain_core.load import dumps
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from pydantic import BaseModel

from leo_core.adapting.corrections import WITHDRAWN
from leo_core.engine.explain import summarise_answer
from leo_langchain._blocks import correction_block, facts_block, without_leo_blocks
from leo_langchain._convert import without_ids
from leo_langchain._load import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.messages.ai import UsageMetadata

    from leo_core.records import Answer, Chunk, Correction, Json, Message, Usage

__all__ = [
    "ChunkWriter",
    "KeptReply",
    "dump_generations",
    "dump_message",
    "load_generations",
    "load_message",
    "make_message",
    "to_native",
    "to_usage_metadata",
]

_MODEL_NAME = "model_name"
NATIVE = "langchain"
"""Key in the metadata of a draft or cache entry under which LangChain's own message is kept."""

_PLAIN = frozenset([str, int, float, bool, type(None)])
_ALLOWED: list[Any] = [ChatGeneration, Generation, ChatGenerationChunk, AIMessage, AIMessageChunk]
_PASSED_ON = frozenset({"model_provider", "output_version"})
_NOT_REPLAYED = frozenset({"id", "token_usage", "usage"})


# ---------------------------------------------------------------------------------------- keeping messages


def dump_generations(generations: list[Generation]) -> str:
    """Generations as JSON, without ids, with LangChain's own serialisation."""
    return dumps([_without_message_ids(generation) for generation in generations])


def load_generations(text: str) -> list[Generation]:
    """Generations from JSON; nothing but generations and AI messages is ever built.

    Raises:
        ValueError: The text is no JSON, or holds another class.
    """
    loaded = read_objects(text, _ALLOWED)
    if not isinstance(loaded, list) or not all(isinstance(item, Generation) for item in loaded):
        message = "the entry does not hold a list of generations"
        raise ValueError(message)
    return loaded


def dump_message(message: AIMessage) -> str:
    """A message as JSON, without ids."""
    return dumps(_strip(message))


class KeptReply(Mapping[str, str]):
    """What an entry keeps of a member's reply: its JSON is made when the entry is written, after the answer is given.

    Args:
        model: Name of the model that replied.
        message: Its reply, which is changed by nobody.
    """

    __slots__ = ("_message", "_model", "_text")

    def __init__(self, model: str, message: AIMessage) -> None:
        self._model, self._message = model, message
        self._text = ""

    def __getitem__(self, name: str) -> str:
        if name == NATIVE:
            self._text = self._text or dump_message(self._message)
            return self._text
        if name == _MODEL_NAME:
            return self._model
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((_MODEL_NAME, NATIVE))

    def __len__(self) -> int:
        return 2


def load_message(text: str) -> AIMessage:
    """A message from JSON; nothing but AI messages is ever built.

    Raises:
        ValueError: The text is no JSON, or holds another class.
    """
    loaded = read_objects(text, [AIMessage, AIMessageChunk])
    if not isinstance(loaded, AIMessage):
        message = "the entry does not hold an AI message"
        raise ValueError(message)  # noqa: TRY004 - the text is wrong, not an argument's type
    return loaded


def _without_message_ids(generation: Generation) -> Generation:
    if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage):
        return generation.model_copy(update={"message": _strip(generation.message)})
    return generation


def _strip(message: AIMessage) -> AIMessage:
    """The message without ids and LEO's own blocks, parsed objects (``additional_kwargs["parsed"]``) as JSON."""
    message = cast("AIMessage", without_leo_blocks(message))
    beside = {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in message.additional_kwargs.items()
    }
    update = {"id": None, "content": without_ids(message.content), "additional_kwargs": beside}
    return message.model_copy(update=update)


# --------------------------------------------------------------------------------------- records to messages


def to_native(messages: tuple[Message, ...]) -> list[Any]:
    """Records as LangChain messages, for members of LangChain that a request of the core reaches."""
    return [_to_native(message) for message in messages]


def _to_native(message: Message) -> Any:
    content: Any = message.content if isinstance(message.content, str) else [dict(block) for block in message.content]
    match message.role:
        case "system":
            return SystemMessage(content, name=message.name)
        case "user":
            return HumanMessage(content, name=message.name)
        case "tool":
            status = "error" if message.tool_error else "success"
            return ToolMessage(content, tool_call_id=message.tool_call_id or "", name=message.name, status=status)
        case _:
            return _to_reply(message)


def _to_reply(message: Message) -> AIMessage:
    calls = [
        {"name": call.name, "args": dict(call.arguments), "id": call.id, "type": "tool_call"}
        for call in message.tool_calls
    ]
    content: Any = message.content if isinstance(message.content, str) else [dict(block) for block in message.content]
    return AIMessage(content, tool_calls=calls, name=message.name)


def to_usage_metadata(usage: Usage) -> UsageMetadata:
    """Tokens in LangChain's form."""
    metadata: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens:
        metadata["input_token_details"] = {"cache_read": usage.cached_input_tokens}
    if usage.reasoning_tokens:
        metadata["output_token_details"] = {"reasoning": usage.reasoning_tokens}
    return cast("UsageMetadata", metadata)


# --------------------------------------------------------------------------------------- answers to messages


def make_message(answer: Answer) -> AIMessage:
    """The answer as a message: the member's own where it is one of LangChain, with a fresh id left to the caller."""
    message = _native_of(answer) or _to_reply(answer.message)
    message.id = None
    message.usage_metadata = to_usage_metadata(answer.usage)
    message.response_metadata = _metadata(answer, message.response_metadata)
    return message


def _native_of(answer: Answer) -> AIMessage | None:
    """LangChain's own message of an answer: a new object each time, or ``None`` where there is none.

    One that has stand-ins for personal data, where the answer has the values, is none either.
    """
    if answer.covered is not None:
        return None
    if answer.draft is not None and isinstance(answer.draft.native, AIMessage):
        return _copy_message(answer.draft.native)
    kept = answer.entry.metadata.get(NATIVE) if answer.entry is not None else None
    if not isinstance(kept, str):
        return None
    try:
        message = load_message(kept)
    except Exception:  # noqa: BLE001 - what cannot be read is rebuilt from the record
        return None
    return message.model_copy(update={"response_metadata": _replayed(message.response_metadata)})


def _copy_message(message: AIMessage) -> AIMessage:
    """The message with containers of its own."""
    copied = message.model_copy()
    copied.__dict__.update((name, _copy(value)) for name, value in message.__dict__.items())
    return copied


def _copy(value: Any) -> Any:
    """A deep copy; JSON, which is nearly everything, is copied without asking each part how."""
    kind = type(value)
    if kind is dict:
        return {name: _copy(each) for name, each in value.items()}
    if kind is list:
        return [_copy(each) for each in value]
    return value if kind in _PLAIN else deepcopy(value)


def _replayed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name not in _NOT_REPLAYED}


def _metadata(answer: Answer, native: Mapping[str, Any]) -> dict[str, Any]:
    facts = {**native, "model_name": answer.model, "leo": _facts(answer)}
    facts.setdefault("finish_reason", answer.finish_reason)
    return facts


def _facts(answer: Answer) -> dict[str, Json]:
    facts = summarise_answer(answer)
    if answer.entry is not None:
        facts["saved_usage"] = {**to_usage_metadata(answer.entry.usage), "cost_usd": answer.entry.usage.cost_usd}
    return facts


# ------------------------------------------------------------------------------------------ chunks to chunks


class ChunkWriter:
    """Turns the chunks of one answer into LangChain's.

    A member's own chunks are passed on as they are, without usage and metadata: these come once, in the last chunk,
    for all members that were asked. Pieces of a settled answer are written in the standard form.

    Args:
        with_facts: Whether a block with the facts of the answer comes at the end.
    """

    def __init__(self, *, with_facts: bool = False) -> None:
        self._with_facts = with_facts
        self._corrected = self._in_blocks = False
        self._index = -1
        self._in_text = False
        self._has_text = False
        self._passed_on = False
        self._seen = {"tool_calls"}

    def write(self, chunk: Chunk) -> Iterator[ChatGenerationChunk]:
        """LangChain's chunks for a chunk of the core."""
        if chunk.correction is not None:
            yield from self._withdraw(chunk.correction)
        if isinstance(chunk.native, AIMessageChunk):
            self._passed_on = True
            self._seen.update(chunk.native.additional_kwargs)
            self._in_blocks = self._in_blocks or isinstance(chunk.native.content, list)
            yield ChatGenerationChunk(message=_bare(chunk.native))
        elif chunk.text or chunk.blocks or chunk.tool_calls:
            yield ChatGenerationChunk(message=self._written(chunk))
        if chunk.answer is not None:
            if self._with_facts:  # apart from what names a provider, whose blocks LangChain would take it for
                yield ChatGenerationChunk(message=AIMessageChunk(content=[facts_block(_facts(chunk.answer))]))
            yield ChatGenerationChunk(message=self._last(chunk.answer))

    def _withdraw(self, correction: Correction) -> Iterator[ChatGenerationChunk]:
        """A line that tells readers of the text alone, and a block that tells programs; the answer comes after it."""
        is_text = not self._in_blocks and self._index < 0
        line: Any = WITHDRAWN if is_text else [{"type": "text", "text": WITHDRAWN, "index": "lc_leo_withdrawn"}]
        yield ChatGenerationChunk(message=AIMessageChunk(content=line))
        yield ChatGenerationChunk(message=AIMessageChunk(content=[correction_block(correction)]))
        self._corrected, self._in_text = True, False
        self._index = max(self._index, 0)

    def _written(self, chunk: Chunk) -> AIMessageChunk:
        content = self._content(chunk)
        self._has_text = self._has_text or bool(chunk.text)
        before = max(self._index + 1, int(self._has_text))  # LangChain merges blocks and calls by one index
        pieces = [
            tool_call_chunk(name=piece.name, args=piece.arguments, id=piece.id, index=before + piece.index)
            for piece in chunk.tool_calls
        ]
        return AIMessageChunk(content=content, tool_call_chunks=pieces)

    def _content(self, chunk: Chunk) -> Any:
        """Text as a string until there is another block; then blocks with running indices."""
        if not chunk.blocks and self._index < 0:
            return chunk.text
        content: list[dict[str, Any]] = []
        for block in chunk.blocks:
            self._index += 1
            self._in_text = False
            content.append({**block, "index": self._label})
        if chunk.text:
            self._index += not self._in_text
            self._in_text = True
            content.append({"type": "text", "text": chunk.text, "index": self._label})
        return content

    @property
    def _label(self) -> int | str:
        """Index of the present block; after a correction one that no block of the withdrawn words has."""
        return f"lc_leo_{self._index}" if self._corrected else self._index

    def _last(self, answer: Answer) -> AIMessageChunk:
        native = _native_of(answer)
        metadata = _metadata(answer, native.response_metadata if native is not None else {})
        if not self._passed_on or self._corrected:
            metadata = {name: value for name, value in metadata.items() if name not in _PASSED_ON}
        beside = native.additional_kwargs if native is not None else {}
        return AIMessageChunk(
            content="",
            additional_kwargs={name: value for name, value in beside.items() if name not in self._seen},
            usage_metadata=to_usage_metadata(answer.usage),
            response_metadata=metadata,
            chunk_position="last",
        )


def _bare(native: AIMessageChunk) -> AIMessageChunk:
    """A member's chunk without usage, id and metadata."""
    metadata = {name: value for name, value in native.response_metadata.items() if name in _PASSED_ON}
    return native.model_copy(
        update={"id": None, "usage_metadata": None, "response_metadata": metadata, "chunk_position": None}
    )
