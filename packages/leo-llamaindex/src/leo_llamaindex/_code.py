"""What functions and classes that stand among settings do, as JSON that is the same in every process."""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from leo_core.adapting.plain import plain

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["is_code", "read_code"]

_DEEPEST = 4


def is_code(value: Any) -> bool:
    """Whether it is a class, a function, a method or a partial call."""
    return isinstance(value, type | partial) or inspect.isroutine(value)


def read_code(code: Any, depth: int = 0) -> Json:
    """Module and name; of a pydantic class also its schema, of a function what it does and what it was given.

    A function of LlamaIndex's own is known by its name. Of what a method belongs to, or a function holds on to, plain
    values and functions are read, but for secrets, and other things named by their class. What a function does and
    holds on to is shown as a digest only.
    """
    if isinstance(code, partial):
        return {"partial": _read(code.func, depth), "given": [_read(code.args, depth), _read(code.keywords, depth)]}
    named = f"{getattr(code, '__module__', '')}.{getattr(code, '__qualname__', type(code).__qualname__)}"
    if isinstance(code, type):
        schema = plain(code.model_json_schema()) if issubclass(code, BaseModel) else None
        return named if schema is None else {"class": named, "schema": schema}
    if isinstance(code, MethodType):
        return {"method": _read(code.__func__, depth), "of": _attributes(code.__self__)}
    if not isinstance(code, FunctionType) or named.startswith("llama_index.core."):
        return named
    closure = zip(code.__code__.co_freevars, map(_contents, code.__closure__ or ()), strict=True)
    held = _read([code.__defaults__, code.__kwdefaults__, dict(closure)], depth)
    return {"function": named, "does": _digest([_plain_code(code.__code__), held])}


def _read(value: Any, depth: int) -> Json:
    if depth > _DEEPEST:
        return f"<{type(value).__qualname__}>"
    if is_code(value):
        return read_code(value, depth + 1)
    if isinstance(value, dict):
        return plain({name: _read(inner, depth + 1) for name, inner in value.items()})
    if isinstance(value, list | tuple):
        return [_read(inner, depth + 1) for inner in value]
    return sorted(map(repr, value)) if isinstance(value, set | frozenset) else plain(value)


def _attributes(value: Any) -> Json:
    """Plain attributes of an object; its tables, such as a tokenizer's, may be large."""
    held = getattr(value, "__dict__", {})
    return plain({name: each for name, each in held.items() if isinstance(each, str | int | float | bool | None)})


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _digest(value: Json) -> str:
    """SHA-256 of what a function does; other versions of Python compile it to something else."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _plain_code(code: CodeType) -> list[Any]:
    return [code.co_code.hex(), list(code.co_names), [_plain_constant(each) for each in code.co_consts]]


def _plain_constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _plain_code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
