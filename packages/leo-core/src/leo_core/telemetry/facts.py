"""What is told of answers and calls: flat names and plain values, the same in spans, logs, metrics and run metadata.

Nothing here holds a prompt, an answer, or a piece of one. That is why no reason in words (``cache.why``) is among the
facts: such a reason may quote the words in which two questions differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from leo_core.records import Answer, Draft, Failure
from leo_core.telemetry.tracer import LookedUp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Event, Json
    from leo_core.telemetry.tracer import Outcome

__all__ = ["Plain", "answer_facts", "error_type", "event_facts", "lookup_facts", "provider_name"]

Plain: TypeAlias = str | bool | int | float | tuple[str, ...]
"""A value that every back end can keep."""

_EVENT_FACTS: Final = frozenset({
    "asked", "attempt", "budget", "count", "error", "kind", "left_usd", "member", "operation", "right", "risk", "route",
    "same", "spared", "to", "wait_s",
})  # fmt: skip
"""What is passed on of an event: its other facts name tenants and entries, or say in words why."""

_PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}


def provider_name(member: str) -> str:
    """The provider of a member, by the names of the OpenTelemetry GenAI conventions where they have one.

    Args:
        member: Id of a member, such as ``"openai:gpt-5-mini"``; one that names no provider is ``"custom"``.
    """
    prefix, colon, _ = member.partition(":")
    return _PROVIDERS.get(prefix.lower(), prefix.lower()) if colon else "custom"


def answer_facts(answer: Answer) -> dict[str, Plain]:
    """What is told of an answer. What is unknown is left out."""
    verdict = answer.verdict
    facts = {
        "leo.route": answer.route.value,
        "leo.model": answer.model,
        "leo.members": answer.members,
        "leo.cache.hit": answer.cache.hit,
        "leo.cache.action": answer.cache.action,
        "leo.cache.kind": answer.cache.kind or None,
        "leo.cache.stale": answer.cache.stale or None,
        "leo.risk": round(answer.risk.value, 6),
        "leo.novelty": None if answer.novelty.value is None else round(answer.novelty.value, 6),
        "leo.confidence": None if verdict is None else round(verdict.confidence, 6),
        "leo.abstained": None if verdict is None else verdict.abstained,
        "leo.calls": answer.usage.calls,
        "leo.failed_calls": len(answer.failures) or None,
        "leo.input_tokens": answer.usage.input_tokens,
        "leo.output_tokens": answer.usage.output_tokens,
        "leo.cost_usd": answer.usage.cost_usd,
        "leo.saved_usd": answer.saved.cost_usd,
        "leo.latency_s": round(answer.latency_s, 6),
        "leo.own_s": round(answer.own_s, 6),
        "leo.replayed": answer.replayed or None,
        "leo.receipt": None if answer.receipt is None else answer.receipt.id,
        "leo.answer_id": answer.id,
    }
    return {name: value for name, value in facts.items() if value is not None}


def lookup_facts(found: LookedUp) -> dict[str, Plain]:
    """What is told of a look-up. What is unknown is left out."""
    decision, entry = found.decision, found.entry
    facts = {
        "leo.cache.hit": decision.hit,
        "leo.cache.action": decision.action,
        "leo.cache.kind": decision.kind or None,
        "leo.cache.stale": decision.stale or None,
        "leo.cache.waited_s": round(found.waited_s, 6) or None,
        "leo.risk": None if entry is None else round(decision.error_bound or 0.0, 6),
        "leo.model": None if entry is None else entry.model or None,
        "leo.saved_usd": None if entry is None else entry.usage.cost_usd,
        "leo.answer_id": None if entry is None else entry.id,
    }
    return {name: value for name, value in facts.items() if value is not None}


def event_facts(event: Event) -> dict[str, Json]:
    """What is passed on of an event."""
    return {
        name: value
        for name, value in event.facts.items()
        if name in _EVENT_FACTS and isinstance(value, str | bool | int | float)
    }


def error_type(outcome: Outcome) -> str | None:
    """The class of what went wrong, of which there are few; ``None`` when nothing did. Never a message."""
    match outcome:
        case Answer() | Draft() | LookedUp():
            return None
        case Failure():
            return type(outcome.error).__name__
        case BaseException():
            return type(outcome).__name__
        case _:
            return "abandoned"
