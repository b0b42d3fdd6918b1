"""Content blocks in every dialect that a message may carry, read into one record.

Read are the standard blocks of LangChain v1 (``text``, ``image``, ``audio``, ``video``, ``file``, ``text-plain``,
``reasoning``, ``tool_call``, ``non_standard``), its v0 form (``source_type``), those of OpenAI (``image_url``,
``input_audio``, ``file``, ``refusal``, ``input_text`` …) and those of Anthropic (``image`` and ``document`` with
``source``, ``thinking``, ``redacted_thinking``, ``tool_use``, ``tool_result``). Nothing is dropped: a block of
another type becomes a part of kind ``"other"``, and the provider's wire decides whether it can carry it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from leo_core.errors import RequestError
from leo_core.records import Json, Message, ToolCall

__all__ = ["Part", "read_parts"]

Kind = Literal[
    "text", "image", "audio", "video", "file", "reasoning", "refusal", "tool_call", "tool_result", "echo", "other"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One content block, whatever dialect it came in.

    Attributes:
        kind: What it is; ``"echo"`` repeats what the message says elsewhere (pieces of tool calls).
        block: The block as it came.
        text: Text, reasoning, refusal, or a plain-text document.
        base64: Media inline.
        url: Media by address.
        file_id: Media by the provider's file id.
        mime_type: Type of the media; empty when unknown.
        filename: Name of a file; empty when unknown.
        call: A tool call written as a block.
        results: Content of a tool result written as a block.
    """

    kind: Kind
    block: Mapping[str, Json] = field(default_factory=dict, repr=False)
    text: str = ""
    base64: str | None = None
    url: str | None = None
    file_id: str | None = None
    mime_type: str = ""
    filename: str = ""
    call: ToolCall | None = None
    results: tuple[Part, ...] = ()

    @property
    def type(self) -> str:
        """The block's own type, for messages."""
        return str(self.block.get("type", self.kind))


def read_parts(message: Message) -> tuple[Part, ...]:
    """The content of a message as parts; an empty string has none.

    Raises:
        RequestError: A block is no mapping with a ``"type"``, or lacks what its type promises.
    """
    return _read_content(message.content)


def _read_content(content: Json) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Part(kind="text", text=content, block={"type": "text"}),) if content else ()
    return tuple(_read_block(block) for block in content)


def _read_block(block: Json) -> Part:
    if isinstance(block, str):
        return Part(kind="text", text=block, block={"type": "text"})
    if not isinstance(block, Mapping) or not isinstance(block.get("type"), str):
        message = f"a content block must be a mapping with a 'type', not {type(block).__name__}"
        raise RequestError(message)
    reader = _READERS.get(block["type"], _read_other)
    try:
        part = reader(block)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"a content block of type {block['type']!r} is incomplete or malformed ({type(error).__name__})"
        raise RequestError(message) from error
    return part if part.block else replace(part, block=block)


def _read_text(block: Mapping[str, Json]) -> Part:
    return Part(kind="text", text=_string(block["text"]))


def _string(value: Json) -> str:
    if not isinstance(value, str):
        message = f"expected text, got {type(value).__name__}"
        raise TypeError(message)
    return value


def _media(kind: Kind) -> Callable[[Mapping[str, Json]], Part]:
    def read(block: Mapping[str, Json]) -> Part:
        if isinstance(block.get("source"), Mapping):
            return _read_source(kind, block)
        if "source_type" in block:
            return _read_v0(kind, block)
        if isinstance(block.get("file"), Mapping):
            return _read_openai_file(block)
        return _located(
            kind,
            url=block.get("url"),
            base64=block.get("base64"),
            file_id=block.get("file_id"),
            mime_type=block.get("mime_type"),
            filename=_filename(block),
        )

    return read


def _filename(block: Mapping[str, Json]) -> str:
    places = (block, block.get("extras"), block.get("metadata"))
    names = (place.get(key) for place in places if isinstance(place, Mapping) for key in ("filename", "name", "title"))
    return next((str(name) for name in names if name), "")


def _located(
    kind: Kind,
    *,
    url: Json = None,
    base64: Json = None,
    file_id: Json = None,
    mime_type: Json = None,
    filename: str = "",
) -> Part:
    """A media part; a ``data:`` address becomes inline data."""
    if isinstance(url, str) and url.startswith("data:"):
        head, _, base64 = url.partition(",")
        url, mime_type = None, head.removeprefix("data:").split(";")[0] or mime_type
    if not (url or base64 or file_id):
        message = "neither url, base64 nor file_id"
        raise ValueError(message)
    return Part(
        kind=kind,
        url=_string(url) if url else None,
        base64=_string(base64) if base64 else None,
        file_id=_string(file_id) if file_id else None,
        mime_type=str(mime_type or ""),
        filename=filename,
    )


def _read_v0(kind: Kind, block: Mapping[str, Json]) -> Part:
    source, name = block["source_type"], _filename(block)
    if source == "text":
        return Part(kind="file", text=_string(block["text"]), mime_type="text/plain", filename=name)
    mime_type = block.get("mime_type")
    if source == "url":
        return _located(kind, url=block["url"], mime_type=mime_type, filename=name)
    if source == "base64":
        return _located(kind, base64=block["data"], mime_type=mime_type, filename=name)
    return _located(kind, file_id=block["id"], mime_type=mime_type, filename=name)


def _read_source(kind: Kind, block: Mapping[str, Json]) -> Part:
    source, name = block["source"], _filename(block)
    mime_type = source.get("media_type") or ("application/pdf" if block["type"] == "document" else "")
    if source["type"] == "base64":
        return _located(kind, base64=source["data"], mime_type=mime_type, filename=name)
    if source["type"] == "url":
        return _located(kind, url=source["url"], mime_type=mime_type, filename=name)
    if source["type"] == "file":
        return _located(kind, file_id=source["file_id"], mime_type=mime_type, filename=name)
    if source["type"] == "text":
        return Part(kind="file", text=_string(source["data"]), mime_type="text/plain", filename=name)
    return Part(kind="other")


def _read_openai_file(block: Mapping[str, Json]) -> Part:
    file = block["file"]
    data = file.get("file_data")
    name = str(file.get("filename") or "")
    if isinstance(data, str) and not data.startswith("data:"):
        return _located("file", base64=data, mime_type="application/pdf", filename=name)
    return _located("file", url=data, file_id=file.get("file_id"), filename=name)


def _read_image_url(block: Mapping[str, Json]) -> Part:
    target = block["image_url"]
    return _located("image", url=target if isinstance(target, str) else target["url"])


def _read_input_image(block: Mapping[str, Json]) -> Part:
    return _located("image", url=block.get("image_url"), file_id=block.get("file_id"))


def _read_input_file(block: Mapping[str, Json]) -> Part:
    url = block.get("file_data") or block.get("file_url")
    return _located("file", url=url, file_id=block.get("file_id"), filename=_filename(block))


def _read_input_audio(block: Mapping[str, Json]) -> Part:
    audio = block["input_audio"]
    return _located("audio", base64=audio["data"], mime_type=f"audio/{audio['format']}")


def _read_text_plain(block: Mapping[str, Json]) -> Part:
    if isinstance(block.get("text"), str):
        return Part(kind="file", text=block["text"], mime_type="text/plain", filename=_filename(block))
    return _located("file", url=block.get("url"), base64=block.get("base64"), file_id=block.get("file_id"),
                    mime_type=block.get("mime_type") or "text/plain", filename=_filename(block))  # fmt: skip


def _read_reasoning(block: Mapping[str, Json]) -> Part:
    text = block.get("reasoning") or block.get("thinking") or ""
    return Part(kind="reasoning", text=_string(text))


def _read_call(block: Mapping[str, Json]) -> Part:
    arguments = block.get("input", block.get("args"))
    if isinstance(arguments, str):
        arguments = json.loads(arguments or "{}")
    call = ToolCall(id=_string(block["id"]), name=_string(block["name"]), arguments=dict(arguments or {}))
    return Part(kind="tool_call", call=call)


def _read_result(block: Mapping[str, Json]) -> Part:
    _string(block["tool_use_id"])
    return Part(kind="tool_result", results=_read_content(block.get("content") or ""))


def _read_non_standard(block: Mapping[str, Json]) -> Part:
    return _read_block(block["value"])


def _read_other(_: Mapping[str, Json]) -> Part:
    return Part(kind="other")


_READERS: Mapping[str, Callable[[Mapping[str, Json]], Part]] = {
    "text": _read_text,
    "input_text": _read_text,
    "output_text": _read_text,
    "image": _media("image"),
    "audio": _media("audio"),
    "video": _media("video"),
    "file": _media("file"),
    "document": _media("file"),
    "text-plain": _read_text_plain,
    "image_url": _read_image_url,
    "input_image": _read_input_image,
    "input_file": _read_input_file,
    "input_audio": _read_input_audio,
    "refusal": lambda block: Part(kind="refusal", text=_string(block["refusal"])),
    "reasoning": _read_reasoning,
    "thinking": _read_reasoning,
    "redacted_thinking": lambda _: Part(kind="reasoning"),
    "tool_use": _read_call,
    "tool_call": _read_call,
    "tool_call_chunk": lambda _: Part(kind="echo"),
    "input_json_delta": lambda _: Part(kind="echo"),
    "tool_result": _read_result,
    "non_standard": _read_non_standard,
}
