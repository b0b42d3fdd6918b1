"""Whether a reply is in the form that was asked for: one that is not would be served to everyone who asks again.

Of JSON Schema (draft 2020-12) those words are read that a parser of an application trips over; what is not understood
is taken to fit. Scalars are read as leniently as pydantic reads them: a number may stand in a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from leo_core.records import Json, Message, Request

__all__ = ["keeps_form"]

_DEEPEST: Final = 60
"""Levels of a value that are looked at."""
_TURNS: Final = 12
"""Choices and references that are followed at one place of a value; a schema may refer to itself, and twice."""
_FENCE: Final = "```"
_FREE_CHOICES: Final = frozenset({None, "auto", "none"})


def keeps_form(request: Request, reply: Message) -> bool:
    """Whether a reply is what the request's format and tools ask for, as far as can be told.

    A call that had to be made is there, the arguments of each call fit its tool's parameters, and a text that had to be
    JSON is JSON that fits the schema, by itself or within a fence or a sentence.
    """
    parameters = {tool["name"]: tool.get("parameters") for tool in request.tools if "name" in tool}
    if not all(_fits(call.arguments, parameters.get(call.name)) for call in reply.tool_calls):
        return False
    called = {call.name for call in reply.tool_calls}
    if request.tool_choice not in _FREE_CHOICES and not _is_made(request.tool_choice, called, parameters):
        return False
    wanted = request.response_format
    if wanted is None or called:
        return True
    schema = wanted.get("schema", True) if wanted.get("type") == "json_schema" else {"type": "object"}
    return any(_fits(value, schema) for value in _read(reply.text))


def _is_made(choice: str | None, called: set[str], known: Mapping[str, object]) -> bool:
    """Whether the call that had to be made is among those made; of tools without a schema, providers name the calls."""
    return choice in called if choice in known else bool(called) or not known


def _read(text: str) -> list[Json]:
    """The JSON of a text: the whole, or the first that stands in a fence, or from its first bracket to its last."""
    parts = [text, text.partition(_FENCE)[2].removeprefix("json").partition(_FENCE)[0]]
    starts = [place for place in map(text.find, "{[") if place >= 0]
    if starts:
        parts.append(text[min(starts) : max(map(text.rfind, "}]")) + 1])
    for part in parts:
        try:
            return [json.loads(part, strict=False)]
        except (ValueError, RecursionError):
            continue
    return []


# -------------------------------------------------------------------------------------------------- schemas


def _fits(value: Json, schema: object) -> bool:
    return _matches(value, schema, schema, _DEEPEST)


def _matches(value: Json, schema: object, root: object, levels: int, turns: int = _TURNS) -> bool:
    """Whether a value fits a schema; ``root`` is where references begin."""
    if not isinstance(schema, Mapping) or levels <= 0 or turns <= 0:
        return schema is not False
    kinds = _listed(schema.get("type"))
    if kinds and not any(_IS.get(kind, _is_any)(value) for kind in kinds):
        return False
    return (
        _is_named(value, schema)
        and _choices_match(value, schema, root, levels, turns - 1)
        and _parts_match(value, schema, root, levels - 1)
    )


def _choices_match(value: Json, schema: Mapping[str, Any], root: object, levels: int, turns: int) -> bool:
    if "$ref" in schema and not _matches(value, _resolve(schema["$ref"], root), root, levels, turns):
        return False
    for word in ("anyOf", "oneOf"):
        choices = schema.get(word)
        if isinstance(choices, list) and not any(_matches(value, each, root, levels, turns) for each in choices):
            return False
    return all(_matches(value, each, root, levels, turns) for each in _listed(schema.get("allOf")))


def _is_named(value: Json, schema: Mapping[str, Any]) -> bool:
    if "const" in schema and value != schema["const"]:
        return False
    named = schema.get("enum")
    return not isinstance(named, list) or value in named


def _parts_match(value: Json, schema: Mapping[str, Any], root: object, levels: int) -> bool:
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        return all(name in value for name in _listed(schema.get("required"))) and all(
            _matches(value[name], inner, root, levels) for name, inner in known.items() if name in value
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_matches(item, schema.get("items", True), root, levels) for item in value)
    return True


def _resolve(pointer: object, root: object) -> object:
    """What a reference within the schema (RFC 6901) stands for; anything where it leads nowhere."""
    if not isinstance(pointer, str) or not pointer.startswith("#"):
        return True
    found = root
    for part in pointer.removeprefix("#").split("/")[1:]:
        if not isinstance(found, Mapping):
            return True
        found = found.get(part.replace("~1", "/").replace("~0", "~"), True)
    return found


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [] if value is None else [value]


# -------------------------------------------------------------------------------------------------- scalars


def _is_number(value: Json) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float)


def _is_whole(value: Json) -> bool:
    return value.is_integer() if isinstance(value, float) else _is_number(value)


def _is_truth(value: Json) -> bool:
    return isinstance(value, bool | str) or value in (0, 1)


def _is_any(_: Json) -> bool:
    return True


_IS: Final[Mapping[str, Callable[[Json], bool]]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, Sequence) and not isinstance(value, str),
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": _is_truth,
    "null": lambda value: value is None,
}
