"""Token estimates without a tokenizer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.records import Json, Message, Request

__all__ = ["estimate_input_tokens", "estimate_text_tokens"]

_CHARACTERS_PER_TOKEN = 3.5
_TOKENS_PER_MESSAGE = 8
_TOKENS_PER_REQUEST = 16
_TOKENS_PER_TOOL = 24
_TOKENS_PER_IMAGE = 1_600
_TOKENS_PER_PAGE = 3_000
_BYTES_PER_PAGE = 50_000
_MEDIA = ("base64", "data", "file_data", "url")


def estimate_text_tokens(text: str) -> int:
    """Upper estimate of the tokens of a text.

    English runs at about 4 characters per token and code at 3 to 3.5; characters outside of ASCII cost up to one token
    each. So: ASCII characters / 3.5, plus one per other character.
    """
    if text.isascii():
        return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)
    ascii_count = sum(character.isascii() for character in text)
    return math.ceil(ascii_count / _CHARACTERS_PER_TOKEN) + len(text) - ascii_count


def estimate_input_tokens(request: Request) -> int:
    """Conservative estimate of the prompt tokens of a request: text, tools, response format, media, overhead.

    An image counts as 1,600 tokens (the most that Anthropic charges for one without tiling), other inline media as
    3,000 per 50 kB begun (a page of a PDF). No network, no tokenizer.
    """
    tools = sum(_TOKENS_PER_TOOL + estimate_text_tokens(_dump(tool)) for tool in request.tools)
    wanted = estimate_text_tokens(_dump(request.response_format)) if request.response_format else 0
    return _TOKENS_PER_REQUEST + tools + wanted + sum(_message_tokens(message) for message in request.messages)


def _message_tokens(message: Message) -> int:
    calls = sum(estimate_text_tokens(call.name + _dump(call.arguments)) + 8 for call in message.tool_calls)
    if isinstance(message.content, str):
        return _TOKENS_PER_MESSAGE + calls + estimate_text_tokens(message.content)
    return _TOKENS_PER_MESSAGE + calls + sum(_block_tokens(block) for block in message.content)


def _block_tokens(block: Mapping[str, Json]) -> int:
    if "image" in str(block.get("type", "")):
        return _TOKENS_PER_IMAGE
    inline = _inline_bytes(block)
    if inline:
        return _TOKENS_PER_PAGE * math.ceil(inline / _BYTES_PER_PAGE)
    return estimate_text_tokens(block["text"] if isinstance(block.get("text"), str) else _dump(block))


def _inline_bytes(block: Mapping[str, Json]) -> int:
    inner = (value for value in block.values() if isinstance(value, Mapping))
    own = (len(block[name]) for name in _MEDIA if isinstance(block.get(name), str))
    return sum(own) * 3 // 4 + sum(_inline_bytes(value) for value in inner)


def _dump(value: Json) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
