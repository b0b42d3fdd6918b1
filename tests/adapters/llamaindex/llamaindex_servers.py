"""Scripted providers for the tests of the LlamaIndex adapter."""

from __future__ import annotations

from tests.servers.brain import Asked, Reply, ToolUse, answer_by_default, fill_schema

__all__ = ["FACT", "GROUND", "SECRET", "think"]

SECRET = "sk-very-secret-0123456789"
FACT = "It is a short answer."
GROUND = "One thing is so."
"""What stands in the documents: an answer without ground in them is not kept for reuse."""


def think(asked: Asked) -> Reply:
    """As the default brain, and: two tools where the user wants "both", ReAct's words where ReAct is spoken."""
    if "both" in asked.question and len(asked.tools) > 1 and asked.last_role == "user":
        uses = (ToolUse(name=tool.name, arguments=fill_schema(tool.schema, asked.question)) for tool in asked.tools)
        return Reply(tool_uses=tuple(uses))
    if "Thought:" in asked.prompt and not asked.tools:
        return Reply(text=_react(asked))
    if asked.tools or asked.schema is not None:
        return answer_by_default(asked)
    return Reply(text=GROUND if GROUND in asked.prompt else FACT)


def _react(asked: Asked) -> str:
    if asked.question.startswith("Observation:"):
        return f"Thought: I can answer without using any more tools.\nAnswer: {asked.question.split(':')[1].strip()}"
    return 'Thought: I need a tool.\nAction: add\nAction Input: {"a": 2, "b": 3}'
