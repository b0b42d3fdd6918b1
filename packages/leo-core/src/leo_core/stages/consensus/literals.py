"""Reads literals of Python and JSON, and gives each value one spelling.

The reader is its own because ``ast.literal_eval`` warns about unusual escapes and numbers on the interpreter's
global warning filters, and because untrusted nesting has to be bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["Literal", "read_literal", "spell_json", "spell_literal", "spell_number"]

Literal = tuple[str, Any]
"""A value: its type (``str``, ``number``, ``name``, ``list``, ``tuple``, ``set`` or ``dict``) and its content."""

_MAX_LENGTH = 20_000
_MAX_DEPTH = 60
_MAX_DIGITS = 300
_MAX_EXPONENT = 400
_MAX_JSON_NODES = 100_000

_TOKEN = re.compile(
    r"""\s*(?:(?P<str>[bBuUrR]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))"""
    r"|(?P<number>[-+]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?(?!\w))"
    r"|(?P<name>[-+]?[A-Za-z]+)"
    r"|(?P<mark>[\[\](){},:]))",
    re.DOTALL,
)
_NAMES = {
    "True": "true",
    "true": "true",
    "False": "false",
    "false": "false",
    "None": "null",
    "null": "null",
    "nan": "nan",
    "NaN": "nan",
    "inf": "inf",
    "Infinity": "inf",
    "-inf": "-inf",
    "-Infinity": "-inf",
}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0", "\n": ""}
_ESCAPES |= {mark: mark for mark in "\\'\"/"}
_CLOSERS = {"[": "]", "(": ")", "{": "}"}


class _NotALiteralError(Exception):
    """The text is no literal; never leaves this module."""


def read_literal(text: str) -> Literal | None:
    """Read one literal of Python or JSON that fills the whole text.

    Returns:
        The value, or ``None`` when the text is no literal, is longer than 20,000 characters, nests deeper than 60
        levels or holds a number of more than 300 digits.
    """
    if len(text) > _MAX_LENGTH:
        return None
    try:
        tokens = _tokenize(text)
        value, position = _read_value(tokens, 0, 0)
    except _NotALiteralError:
        return None
    return value if position == len(tokens) else None


def _tokenize(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _NotALiteralError
        tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        position = match.end()
    return tokens


def _read_value(tokens: list[tuple[str, str]], position: int, depth: int) -> tuple[Literal, int]:
    """The value that starts at ``position``, and the position after it."""
    if position >= len(tokens) or depth > _MAX_DEPTH:
        raise _NotALiteralError
    kind, text = tokens[position]
    if kind == "str":
        return ("str", _unquote(text)), position + 1
    if kind == "number":
        return ("number", _read_number(text)), position + 1
    if kind == "name":
        return _read_name(tokens, position)
    if text not in _CLOSERS:
        raise _NotALiteralError
    return _read_container(tokens, position, depth)


def _read_name(tokens: list[tuple[str, str]], position: int) -> tuple[Literal, int]:
    text = tokens[position][1]
    if text in _NAMES:
        return ("name", _NAMES[text]), position + 1
    if text == "set" and [token[1] for token in tokens[position + 1 : position + 3]] == ["(", ")"]:
        return ("set", ()), position + 3
    raise _NotALiteralError


def _read_container(tokens: list[tuple[str, str]], position: int, depth: int) -> tuple[Literal, int]:
    opener = tokens[position][1]
    closer = ("mark", _CLOSERS[opener])
    position += 1
    items: list[Literal] = []
    pairs: list[tuple[Literal, Literal]] = []
    comma = False
    while position < len(tokens) and tokens[position] != closer:
        item, position = _read_value(tokens, position, depth + 1)
        if opener == "{" and tokens[position : position + 1] == [("mark", ":")]:
            value, position = _read_value(tokens, position + 1, depth + 1)
            pairs.append((item, value))
        else:
            items.append(item)
        comma = tokens[position : position + 1] == [("mark", ",")]
        if not comma and tokens[position : position + 1] != [closer]:
            raise _NotALiteralError
        position += comma
    if position >= len(tokens) or (items and pairs):
        raise _NotALiteralError
    return _close(opener, items, pairs, comma=comma), position + 1


def _close(opener: str, items: list[Literal], pairs: list[tuple[Literal, Literal]], *, comma: bool) -> Literal:
    if opener == "[":
        return "list", tuple(items)
    if opener == "{":
        return ("set", tuple(items)) if items else ("dict", tuple(pairs))
    return items[0] if len(items) == 1 and not comma else ("tuple", tuple(items))


def _read_number(text: str) -> Fraction:
    mantissa, _, exponent = text.replace("_", "").lower().partition("e")
    if len(mantissa) > _MAX_DIGITS or abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise _NotALiteralError
    return Fraction(mantissa.rstrip(".")) * Fraction(10) ** int(exponent or 0)


def _unquote(token: str) -> str:
    prefix = token[: min(position for position in (token.find("'"), token.find('"')) if position >= 0)].lower()
    body = token[len(prefix) + 1 : -1]
    return body if "r" in prefix else _ESCAPE.sub(_unescape, body)


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, "\\" + code)


def spell_number(value: Fraction) -> str:
    """One spelling per rational: a terminating decimal where that is short, else ``numerator/denominator``."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def spell_literal(value: Literal, *, typed: bool) -> str:
    """One spelling per value.

    Args:
        value: What :func:`read_literal` found.
        typed: Whether lists differ from tuples and strings keep case and spacing. Dictionaries never depend on
            the order of their keys, sets never on the order of their members.
    """
    kind, content = value
    if kind == "number":
        return spell_number(content)
    if kind == "str":
        return repr(content if typed else " ".join(str(content).split()).casefold())
    if kind == "name":
        return str(content)
    if kind == "dict":
        pairs = {spell_literal(key, typed=typed): spell_literal(item, typed=typed) for key, item in content}
        return "{" + ", ".join(f"{key}: {pairs[key]}" for key in sorted(pairs)) + "}"
    spelled = [spell_literal(item, typed=typed) for item in content]
    if kind == "set":
        return "set(" + ", ".join(sorted(set(spelled))) + ")"
    return ("(" + ", ".join(spelled) + ")") if typed and kind == "tuple" else ("[" + ", ".join(spelled) + "]")


def spell_json(value: Json) -> str | None:
    """One spelling per JSON value: keys sorted, equal numbers alike, strings exact.

    Nesting is not limited (the walk keeps its own stack); ``None`` when there are more than 100,000 nodes.
    """
    spelled: list[str] = []
    rest: list[tuple[bool, Json]] = [(False, value)]
    for _ in range(_MAX_JSON_NODES):
        if not rest:
            return "".join(spelled)
        is_mark, item = rest.pop()
        if is_mark:
            spelled.append(item)
        elif isinstance(item, Mapping):
            rest.append((True, "}"))
            for key in sorted(item, key=str, reverse=True):
                rest += [(True, ","), (False, item[key]), (True, repr(str(key)) + ":")]
            spelled.append("{")
        elif isinstance(item, list | tuple):
            rest.append((True, "]"))
            for entry in reversed(item):
                rest += [(True, ","), (False, entry)]
            spelled.append("[")
        else:
            spelled.append(_spell_scalar(item))
    return None


def _spell_scalar(value: Json) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, float):
        return hex(int(value)) if math.isfinite(value) and value.is_integer() else repr(value)
    return repr(value)
