"""The form of a statement, recognised in its bytes.

Canonical JSON has one spelling for each value, with the names in their order, and a statement nests no deeper than its
schema says. So one regular expression, made of the schema, recognises statements in a quarter of the time that it takes
to look at each of their values.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING

from leo_core.stages.receipt.schema import statement_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json

__all__ = ["is_spelled"]

_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_POSITIVE = "[1-9][0-9]{0,14}"
_WORDS = {"null": "null", "boolean": "true|false"}


def is_spelled(payload: bytes) -> bool:
    """Whether these are the canonical bytes of what has the form of a completed statement.

    Bytes that are not may be those of a statement still: with an integer of 16 digits.
    """
    return _compile().fullmatch(payload) is not None


@functools.cache
def _compile() -> re.Pattern[bytes]:
    return re.compile(_spell(statement_schema()).encode())


def _spell(schema: Mapping[str, Json]) -> str:
    """A regular expression of the canonical spellings of what fits a schema.

    What comes next says at each place which way to go, so nothing that was matched is ever tried again otherwise.
    """
    kind = schema.get("type", "")
    if "anyOf" in schema:
        spelled = "|".join(map(_spell, schema["anyOf"]))
    elif "enum" in schema or "const" in schema:
        spelled = "|".join(re.escape(json.dumps(value)) for value in schema.get("enum", [schema.get("const")]))
    elif kind == "string":
        spelled = f'"{schema["pattern"].removeprefix("^").removesuffix("$")}"' if "pattern" in schema else _TEXT
    elif kind == "integer":
        spelled = "|".join([*map(str, range(schema["minimum"], 1)), _POSITIVE])
    elif kind == "array":
        spelled = _spell_list(_spell(schema["items"]), schema.get("minItems"))
    elif kind == "object":
        spelled = _spell_object(schema["properties"], schema["required"])
    else:
        spelled = _WORDS[kind]
    return f"(?>{spelled})"


def _spell_list(item: str, length: int | None) -> str:
    return rf"\[(?>{item}(?:,{item})*+)?+\]" if length is None else rf"\[{','.join([item] * length)}\]"


def _spell_object(properties: Mapping[str, Json], required: list[str]) -> str:
    """The names in their order; the first of them is there always."""
    first, *others = (f"{re.escape(json.dumps(name))}:{_spell(properties[name])}" for name in sorted(properties))
    rest = (
        f",{other}" if name in required else f"(?:,{other})?+"
        for name, other in zip(sorted(properties)[1:], others, strict=True)
    )
    return rf"\{{{first}{''.join(rest)}\}}"
