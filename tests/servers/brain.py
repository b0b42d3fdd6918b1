"""What a scripted provider answers.

A brain is a function from what was asked to a reply. The default one calls a tool when it must or when tools are
bound and the user spoke last, fills a JSON schema when one is asked for, and otherwise says a short sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Asked", "Brain", "Reply", "Tool", "ToolUse", "answer_by_default", "fill_schema"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"[\"'\u201c\u2018]([^\"'\u201c\u201d\u2018\u2019]+)[\"'\u201d\u2019]")
_PLACE = re.compile(r"\b(?:in|at|for) ([A-Z][\w.]*(?:[ ,]+[A-Z][\w.]*)*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as the client described it."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A call that the scripted model makes; without ``raw`` the arguments are sent as JSON."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, the same for both wire protocols.

    Attributes:
        model: Name of the model asked.
        body: The request's body as it came.
        last_role: ``"user"``, ``"assistant"``, ``"system"`` or ``"tool"``.
        question: Text of the last user message that has any.
        prompt: All text of the request, messages separated by line breaks.
        tools: Bound tools.
        forced: ``None``, ``"any"``, ``"none"`` or a tool's name.
        schema: JSON schema of the answer; an empty mapping stands for any JSON object, ``None`` for free text.
    """

    model: str
    body: Mapping[str, Any]
    last_role: str
    question: str
    prompt: str
    tools: tuple[Tool, ...] = ()
    forced: str | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the scripted model says.

    Attributes:
        text: The text; streamed in pieces that join to it.
        tool_uses: Tool calls.
        thinking: Hidden reasoning that the provider shows (Anthropic: a thinking block).
        finish_reason: The provider's own word; derived when ``None``.
        usage: Replaces fields of the provider's usage object.
        model: The model's name that is reported; the one asked for when ``None``.
    """

    text: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    thinking: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None


Brain = Callable[[Asked], "Reply | str"]


def answer_by_default(asked: Asked) -> Reply:
    """The default brain."""
    tool = _tool_to_call(asked)
    if tool is not None:
        return Reply(tool_uses=(ToolUse(name=tool.name, arguments=fill_schema(tool.schema, asked.question)),))
    if asked.schema is not None:
        value = fill_schema(asked.schema, asked.question) if asked.schema else _any_object(asked.question)
        return Reply(text=json.dumps(value, ensure_ascii=False))
    if asked.last_role == "tool":
        return Reply(text="The tool has answered.")
    return Reply(text="Hello, this is a short answer.")


def _tool_to_call(asked: Asked) -> Tool | None:
    if not asked.tools or asked.forced == "none":
        return None
    named = next((tool for tool in asked.tools if tool.name == asked.forced), None)
    if named is not None:
        return named
    if asked.forced == "any" or asked.last_role == "user":
        return next((tool for tool in asked.tools if tool.name in asked.question), asked.tools[0])
    return None


def _any_object(question: str) -> dict[str, str]:
    names = [word for word in _QUOTED.findall(question) if word.isidentifier()]
    return dict.fromkeys(names or ["answer"], "because it was asked for")


def fill_schema(schema: Mapping[str, Any], question: str = "") -> Any:
    """A value that fills a JSON schema: numbers, quoted strings and places are taken from the question in order."""
    return _Filler(schema, question).fill(schema, depth=0)


class _Filler:
    def __init__(self, root: Mapping[str, Any], question: str) -> None:
        self._root = root
        self._numbers = iter(_NUMBER.findall(question))
        self._strings = iter([*_QUOTED.findall(question), *_PLACE.findall(question)])

    def fill(self, schema: Mapping[str, Any], depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        return self._fill_type(self._type(schema), schema, depth)

    def _fill_type(self, kind: str, schema: Mapping[str, Any], depth: int) -> Any:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            items = schema.get("items")
            return [self.fill(items, depth + 1)] if isinstance(items, Mapping) and depth < 4 else []
        if kind in ("integer", "number"):
            return self._number(kind, schema)
        return {"boolean": True, "null": None}.get(kind, next(self._strings, "example") if kind == "string" else None)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(8):
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if "$ref" in schema:
                target: Any = self._root
                for part in schema["$ref"].lstrip("#/").split("/"):
                    target = target[part]
                schema = target
            elif options:
                schema = next((option for option in options if option.get("type") != "null"), options[0])
            else:
                break
        return schema

    @staticmethod
    def _type(schema: Mapping[str, Any]) -> str:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        return next((name for name in kind if name != "null"), "null") if isinstance(kind, list) else kind

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        wanted = {
            name: inner
            for name, inner in schema.get("properties", {}).items()
            if name in required or (depth < 3 and "default" not in inner)
        }
        return {name: self.fill(inner, depth + 1) for name, inner in wanted.items()} if depth < 8 else {}

    def _number(self, kind: str, schema: Mapping[str, Any]) -> float:
        text = next(self._numbers, "3")
        value = float(text)
        low = schema.get("minimum", schema.get("exclusiveMinimum", value))
        high = schema.get("maximum", schema.get("exclusiveMaximum", value))
        value = min(max(value, low), high)
        return int(value) if kind == "integer" or (value.is_integer() and "." not in text) else value
