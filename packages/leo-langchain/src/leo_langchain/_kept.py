"""What a cache keeps of a model's answer, and what it serves in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.utils.utils import LC_ID_PREFIX

from leo_core.records import Usage
from leo_core.telemetry.cost import cost_of
from leo_langchain._answers import to_usage_metadata
from leo_langchain._convert import to_message, to_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages import AIMessage

    from leo_core.records import CacheDecision, CacheEntry, Json, Message
    from leo_core.telemetry.prices import PriceTable

__all__ = ["describe_hit", "describe_reply", "mark_hit"]

_NOT_REPLAYED = frozenset({"id", "token_usage", "usage"})


def describe_reply(
    reply: AIMessage, metadata: Mapping[str, Json], prices: PriceTable
) -> tuple[Message, dict[str, Any]]:
    """A model's reply as the core keeps it, with what it cost."""
    model = str(reply.response_metadata.get("model_name") or "")
    usage = to_usage(reply)
    priced = replace(usage, cost_usd=cost_of(usage, model, prices) if reply.usage_metadata else None)
    return to_message(reply), {"model": model, "usage": priced, "metadata": metadata}


def describe_hit(decision: CacheDecision, entry: CacheEntry) -> dict[str, Any]:
    """What the metadata of a served answer says under ``leo``."""
    return {
        "route": "cache",
        "model": entry.model,
        "risk": decision.error_bound or 0.0,
        "cost_usd": 0.0,
        "saved_usd": entry.usage.cost_usd,
        "cache": {"hit": True, "action": decision.action, "why": decision.why},
        "receipt": None,
        "answer_id": entry.id,
    }


def mark_hit(message: AIMessage, decision: CacheDecision, entry: CacheEntry) -> AIMessage:
    """A kept message as a new one with nothing spent, and what was saved beside it."""
    spent = {**to_usage_metadata(to_usage(message)), "cost_usd": entry.usage.cost_usd}
    kept = {name: value for name, value in message.response_metadata.items() if name not in _NOT_REPLAYED}
    facts = {**describe_hit(decision, entry), "saved_usage": spent}
    earlier = message.response_metadata.get("leo")
    if isinstance(earlier, dict):  # what LEO found out when the answer was made
        facts["source"] = {name: earlier.get(name) for name in ("route", "outcome", "risk", "receipt")}
    update = {
        "id": f"{LC_ID_PREFIX}-{uuid4()}",  # another one for each hit: graphs replace messages of the same id
        "usage_metadata": to_usage_metadata(Usage()),
        "response_metadata": {**kept, "leo": facts},
    }
    return message.model_copy(update=update)
