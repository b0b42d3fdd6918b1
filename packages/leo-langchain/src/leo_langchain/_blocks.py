"""LEO's own content blocks: what an answer's facts, a correction and withdrawn words look like in a message.

They are ``non_standard`` blocks, which LangChain carries along and no provider knows. So they are taken out of every
message that comes back in a later turn, together with the words that were withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, BaseMessage

if TYPE_CHECKING:
    from leo_core.records import Correction, Json

__all__ = ["CORRECTION_INDEX", "correction_block", "facts_block", "withdrawn_block", "without_leo_blocks"]

_FACTS: Final = "leo"
_CORRECTION: Final = "leo_correction"
_WITHDRAWN: Final = "leo_withdrawn"
_KINDS: Final = frozenset({_FACTS, _CORRECTION, _WITHDRAWN})
CORRECTION_INDEX: Final = "lc_leo_correction"
"""Index of the block of a correction: LangChain merges blocks by their indices, and others count from 0."""


def facts_block(facts: Mapping[str, Json]) -> dict[str, Any]:
    """The facts of an answer, its receipt's id among them, as the last block of a stream of events."""
    return {"type": "non_standard", "value": {"type": _FACTS, **facts}, "index": "lc_leo"}


def correction_block(correction: Correction) -> dict[str, Any]:
    """Says that everything before it is not the answer, and that the answer comes after it."""
    value = {"type": _CORRECTION, "reason": correction.reason, "member": correction.member}
    return {"type": "non_standard", "value": value, "index": CORRECTION_INDEX}


def withdrawn_block(block: Mapping[str, Any]) -> dict[str, Any]:
    """What a block that was shown becomes when it turns out not to be of the answer."""
    return {"type": "non_standard", "value": {"type": _WITHDRAWN, "block": dict(block)}}


def without_leo_blocks(message: BaseMessage) -> BaseMessage:
    """The message without LEO's own blocks and without what a correction withdrew; others as they are."""
    if not isinstance(message, AIMessage) or isinstance(message.content, str):
        return message
    kinds = [_kind_of(block) for block in message.content]
    if not any(kinds):
        return message
    start = max((place + 1 for place, kind in enumerate(kinds) if kind == _CORRECTION), default=0)
    kept = [block for block, kind in zip(message.content[start:], kinds[start:], strict=True) if kind is None]
    return message.model_copy(update={"content": kept if _is_v1(message) else _joined(kept)})


def _kind_of(block: object) -> str | None:
    value = block.get("value") if isinstance(block, Mapping) and block.get("type") == "non_standard" else None
    kind = value.get("type") if isinstance(value, Mapping) else None
    return kind if kind in _KINDS else None


def _is_v1(message: AIMessage) -> bool:
    return bool(message.response_metadata.get("output_version") == "v1")


def _joined(blocks: list[Any]) -> Any:
    """Text alone as a text, which every provider takes; other blocks as they are."""
    texts = [block if isinstance(block, str) else block.get("text") for block in blocks if _is_text(block)]
    return "".join(map(str, texts)) if len(texts) == len(blocks) else blocks


def _is_text(block: object) -> bool:
    return isinstance(block, str) or (isinstance(block, Mapping) and block.get("type") == "text")
