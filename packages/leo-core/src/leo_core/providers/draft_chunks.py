"""A whole draft as the chunks of a stream."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from leo_core.records import Chunk, Draft, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["draft_chunks"]


def draft_chunks(draft: Draft) -> Iterator[Chunk]:
    """Chunks of a draft: blocks, the text word by word, tool calls, and last the draft itself.

    The texts of the chunks join to ``draft.text``.
    """
    content = draft.message.content
    blocks = () if isinstance(content, str) else tuple(block for block in content if block.get("type") != "text")
    if blocks:
        yield Chunk(blocks=blocks)
    for piece in re.findall(r"\s*\S+\s*$|\s*\S+|\s+", draft.text):
        yield Chunk(text=piece)
    for index, call in enumerate(draft.message.tool_calls):
        yield Chunk(tool_calls=(ToolCallDelta(index=index, id=call.id, name=call.name),))
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False, default=dict)
        yield Chunk(tool_calls=(ToolCallDelta(index=index, arguments=arguments),))
    yield Chunk(draft=draft)
