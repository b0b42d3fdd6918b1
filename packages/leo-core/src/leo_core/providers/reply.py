"""What a provider replied, before it is priced and timed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Chunk, Json, ToolCall, Usage

__all__ = ["Reply", "StreamFold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A provider's reply in neutral form.

    Attributes:
        model: The model's name as the provider reported it.
        content: Text, or standard content blocks where there is more than text.
        tool_calls: Calls with parsed arguments.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"`` or the provider's word.
        usage: Tokens of the call, cost still unknown; ``None`` when the provider did not report them.
        cache_write_tokens: Input tokens that the provider wrote to its own prompt cache.
        logprobs: Log-probability per output token.
        metadata: Further facts (JSON).
    """

    model: str
    content: str | tuple[Mapping[str, Json], ...]
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: Usage | None = None
    cache_write_tokens: int = 0
    logprobs: tuple[float, ...] | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


class StreamFold(Protocol):
    """Folds a provider's stream events into chunks and a reply."""

    def push(self, event: Mapping[str, Json]) -> Chunk | None:
        """Take an event; returns what it adds, if anything."""
        ...

    def finish(self) -> Reply:
        """The whole reply, after the last event; raises a ``ProviderError`` when it is not whole."""
        ...
