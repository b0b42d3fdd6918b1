"""Fill a tool's arguments from a question by simple typed extraction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from leo_core.records import Json

__all__ = ["fill_arguments", "matches_question"]

_NUMBER: Final = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_QUOTED: Final = re.compile(
    r"\"([^\"]+)\"|'([^'\n]+)'(?!\w)|\u201c([^\u201d]+)\u201d|\u2018([^\u2019]+)\u2019|\u300c([^\u300d]+)\u300d"
)
_NAME: Final = re.compile(
    r"\b(?:in|at|for|of|about|to|from|on|called|named)\s+((?:[A-Z][\w'.-]*)(?:,?\s+[A-Z][\w'.-]*)*)", re.UNICODE
)
_WORD: Final = re.compile(r"[^\W\d_]{4,}")


def fill_arguments(
    parameters: Mapping[str, Json], question: str, *, whole_question: bool = False
) -> dict[str, Json] | None:
    """Arguments for a tool's required parameters, or ``None`` when one cannot be filled.

    In the order of the required parameters: an enumeration takes its first value that the question names; numbers and
    integers take the question's numbers one after the other; strings take its quoted strings, then its names after a
    preposition ("in San Francisco, CA"). Other types cannot be filled.

    Args:
        parameters: JSON schema of the tool's arguments.
        question: The question.
        whole_question: Whether a string that finds nothing takes the whole question.
    """
    numbers, strings = iter(_NUMBER.findall(question)), _strings(question)
    filled: dict[str, Json] = {}
    for name in parameters.get("required") or ():
        schema = (parameters.get("properties") or {}).get(name) or {}
        value = _fill(schema, question, numbers, strings)
        if value is None and whole_question and _type(schema) == "string":
            value = question
        if value is None:
            return None
        filled[name] = value
    return filled


def _strings(question: str) -> Iterator[str]:
    for match in _QUOTED.finditer(question):
        yield next(group for group in match.groups() if group)
    for match in _NAME.finditer(_QUOTED.sub(" ", question)):
        yield match.group(1).rstrip(".,")


def _fill(schema: Mapping[str, Json], question: str, numbers: Iterator[str], strings: Iterator[str]) -> Json:
    if schema.get("enum"):
        return next((value for value in schema["enum"] if str(value).lower() in question.lower()), None)
    kind = _type(schema)
    if kind == "integer":
        return next((int(text) for text in numbers if "." not in text), None)
    if kind == "number":
        return next((float(text) if "." in text else int(text) for text in numbers), None)
    return next(strings, None) if kind == "string" else None


def _type(schema: Mapping[str, Json]) -> str:
    options = [*(schema.get("anyOf") or ()), schema]
    kinds = [kind for option in options for kind in _listed(option.get("type")) if kind != "null"]
    return kinds[0] if kinds else ""


def _listed(kind: Json) -> list[str]:
    return list(kind) if isinstance(kind, list | tuple) else [str(kind)] if kind else []


def matches_question(tool: Mapping[str, Json], question: str) -> bool:
    """Whether the question shares a word of at least four letters with the tool's name or description."""
    about = f"{tool.get('name', '')} {tool.get('description', '')}".replace("_", " ").lower()
    return bool(set(_WORD.findall(about)) & set(_WORD.findall(question.replace("_", " ").lower())))
