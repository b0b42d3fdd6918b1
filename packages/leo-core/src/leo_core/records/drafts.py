"""What members give back: drafts, their pieces, what they cost, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from leo_core.errors import CallAbandonedError, MemberAbstainedError, MemberSkippedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.errors import LEOError
    from leo_core.records.answers import Answer, Correction
    from leo_core.records.requests import Message
    from leo_core.records.values import Json

__all__ = ["Capabilities", "Chunk", "Draft", "Failure", "ToolCallDelta", "Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money of one or several calls.

    Attributes:
        input_tokens: Tokens of the prompts.
        output_tokens: Tokens of the replies.
        cached_input_tokens: Part of ``input_tokens`` that the provider served from its own prompt cache.
        reasoning_tokens: Part of ``output_tokens`` spent on hidden reasoning.
        calls: Calls made.
        cost_usd: What they cost; ``None`` when any price is unknown.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    calls: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost_usd is None or other.cost_usd is None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            calls=self.calls + other.calls,
            cost_usd=None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a member can do; ``max_*`` are tokens, ``None`` when unknown."""

    tools: bool = True
    structured_output: bool = True
    images: bool = True
    audio: bool = True
    files: bool = True
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One member's reply, before anything is decided about it.

    Attributes:
        member: Id of the member, unique within a LEO.
        model: The model's name as the provider reported it.
        message: The assistant's message.
        usage: Tokens and cost of this call.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"`` or the provider's word.
        latency_s: Wall time of the call.
        logprobs: Log-probability per output token, where the provider gives them.
        metadata: The provider's further facts about the reply (JSON).
        rest_s: Seconds for which the provider says, with this reply, that it takes no further call; ``None`` where it
            says nothing of the kind.
        native: The framework's own reply, for adapters that pass it on unchanged.
    """

    member: str
    model: str
    message: Message
    usage: Usage = Usage()
    finish_reason: str = "stop"
    latency_s: float = 0.0
    logprobs: tuple[float, ...] | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    rest_s: float | None = field(default=None, compare=False)
    native: Any = field(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """Text of the reply."""
        return self.message.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A member's call that brought no draft.

    Attributes:
        member: Id of the member.
        error: What went wrong.
        shown: Text that had been streamed to the caller before it went wrong.
        latency_s: Wall time until it went wrong.
        attempt: Which attempt at asking the member it was, from 1 on.
        hedge: Whether it was the second copy of a hedged call.
        usage: What is counted for it: of a copy that was abandoned, what it spent where that is known, otherwise the
            upper estimate of it; nothing of a call that failed or was not made.
    """

    member: str
    error: LEOError
    shown: str = ""
    latency_s: float = 0.0
    attempt: int = 1
    hedge: bool = False
    usage: Usage = Usage()

    @property
    def outcome(self) -> Literal["failed", "skipped", "abandoned", "abstained"]:
        """Whether the call failed, was not made, lost against the other copy of a hedged call, or found no answer."""
        if isinstance(self.error, MemberSkippedError):
            return "skipped"
        if isinstance(self.error, MemberAbstainedError):
            return "abstained"
        return "abandoned" if isinstance(self.error, CallAbandonedError) else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of a tool call in a stream; ``index`` tells calls of one message apart."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a streamed reply.

    A model's stream yields chunks with text, tool-call or block deltas and ends with one that carries ``draft``,
    the complete reply; LEO's stream ends with one that carries ``answer``.

    Attributes:
        text: New text.
        tool_calls: New pieces of tool calls.
        blocks: Complete non-text content blocks (such as ``reasoning``) that the reply contains.
        correction: What was shown so far is not the answer; the answer follows from its beginning.
        draft: In the last chunk of a model's stream, the complete reply.
        answer: In the last chunk of LEO's stream, the answer.
        native: The framework's own chunk, for adapters that pass it on unchanged.
    """

    text: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    blocks: tuple[Mapping[str, Json], ...] = ()
    correction: Correction | None = None
    draft: Draft | None = None
    answer: Answer | None = None
    native: Any = field(default=None, compare=False, repr=False)
