"""What is asked: messages, settings, and the identity of a request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records.values import Json, Role

__all__ = [
    "Constraints",
    "Identity",
    "Message",
    "Redaction",
    "Request",
    "Route",
    "Sampling",
    "StreamPolicy",
    "ToolCall",
]

StreamPolicy = Literal["verified", "optimistic", "cascade"]
"""What a caller who is streaming sees before there is a verdict.

``"verified"``: nothing. ``"cascade"``: the tokens of a member that answers alone. ``"optimistic"``: also those of a
member whose answer is still to be judged, with a :class:`~leo_core.records.Correction` where the verdict is another.
"""


class Route(StrEnum):
    """The way on which a request was answered, cheapest first."""

    CACHE = "cache"
    SMALL = "small"
    LARGE = "large"
    CASCADE = "cascade"
    CONSENSUS = "consensus"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that a model asks for.

    Attributes:
        id: The provider's id of the call; a tool message refers to it.
        name: Name of the tool.
        arguments: Parsed arguments.
    """

    id: str
    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: Text, or content blocks in the standard form of LangChain v1 (mappings with a ``"type"``
            such as ``text``, ``image``, ``audio``, ``file``, ``reasoning``).
        tool_calls: Calls that an assistant asks for.
        tool_call_id: In a tool message, the call that it answers.
        tool_error: In a tool message, whether the tool failed.
        name: Name of the speaker or the tool, where given.
    """

    role: Role
    content: str | tuple[Mapping[str, Json], ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_error: bool = False
    name: str | None = None

    @property
    def text(self) -> str:
        """The text of the message: its text blocks joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(str(block.get("text", "")) for block in self.content if block.get("type") == "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters; ``None`` leaves the provider's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What the caller demands of this request; ``None`` leaves the policy's default.

    Attributes:
        max_error: Largest acceptable probability that the answer is wrong, in [0, 1].
        max_cost_usd: Most that may be spent, checked before each call.
        max_latency_s: Deadline for the whole request.
        route: Forces a route instead of choosing one.
        cache: ``False`` neither reads nor writes the cache; ``"exact"`` matches exactly only; ``"renew"`` asks the
            members whatever is kept, and keeps their answer in its place.
        ttl_s: Seconds that the answer is kept for reuse; 0 for hardly.
    """

    max_error: float | None = None
    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    route: Route | None = None
    cache: bool | Literal["exact", "renew"] = True
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What was found of personal data in a request, without any of it.

    Attributes:
        mode: What became of it.
        counts: How many different values, by kind.
    """

    mode: Literal["detect", "redact", "reversible"]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked.

    Attributes:
        messages: The conversation; the last user turn is the question.
        tenant: Whose request it is; part of every key.
        session: Names a conversation for the micro-memory; never part of a key.
        user: On whose behalf the tenant asks, for budgets; never part of a key, a receipt or a log, and not sent to
            a provider.
        tools: Tools in the neutral form ``{"name", "description", "parameters" (JSON Schema), "strict"?}``.
        tool_choice: ``None``, ``"auto"``, ``"any"``, ``"none"`` or the name of a tool.
        response_format: ``None`` or the provider-neutral form
            ``{"type": "json_object"}`` / ``{"type": "json_schema", "name", "schema", "strict"?}``.
        sampling: Sampling parameters.
        model: Overrides the model's name for this request, where the caller asked for one.
        options: Further parameters handed to the provider as they are; part of the keys.
        constraints: What the caller demands.
        tags: Labels that cache entries made from this request carry.
        sources: Ids of the documents that the answer is going to stand on; cache entries carry them.
        idempotency_key: A name of the caller's for this request: asked again under it, the request is not answered
            anew but gets the same answer and receipt. Not part of any other key.
        stream_policy: What a caller who is streaming sees before the verdict; ``None`` leaves the policy's default.
            Set by LEO for each stream, and not for a request that is not streamed. Not part of any key.
        native: The framework's own messages, handed to members of that framework unchanged; not part of any key.
        redaction: What was found of personal data; set by LEO when it has looked. Not part of any key.
        trace: The span of this request, where a listener follows it; set by LEO. Not part of any key.
    """

    messages: tuple[Message, ...]
    tenant: str = "default"
    session: str | None = None
    user: str | None = field(default=None, repr=False)
    tools: tuple[Mapping[str, Json], ...] = ()
    tool_choice: str | None = None
    response_format: Mapping[str, Json] | None = None
    sampling: Sampling = Sampling()
    model: str | None = None
    options: Mapping[str, Json] = field(default_factory=dict)
    constraints: Constraints = Constraints()
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    idempotency_key: str | None = None
    stream_policy: StreamPolicy | None = field(default=None, compare=False)
    native: Any = field(default=None, compare=False, repr=False)
    redaction: Redaction | None = field(default=None, compare=False)
    trace: Any = field(default=None, compare=False, repr=False)

    @property
    def question(self) -> str:
        """Text of the last user turn; empty when there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    def with_constraints(self, **changes: Any) -> Request:
        """A copy whose constraints are changed."""
        return replace(self, constraints=replace(self.constraints, **changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The keys of a request (``definitions``: request identity).

    Attributes:
        exact_key: SHA-256 (hex) over everything that can change the answer.
        scope_key: The same without the last user turn; semantic matching stays inside one scope.
        text: The last user turn as it is embedded and compared.
        semantic: Whether semantic matching is admissible (no tools bound, no tool messages in the tail, plain text).
        why_exact: Reason in words when ``semantic`` is false.
    """

    exact_key: str
    scope_key: str
    text: str
    semantic: bool
    why_exact: str = ""
