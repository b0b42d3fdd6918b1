"""Records to JSON and back.

Decoding admits exactly the records below and nothing else; it runs no code that the data names. A text that is not
valid Unicode is kept as it is: JSON is written with its surrogates unescaped, and a column takes such a text as
bytes (UTF-8 with ``surrogatepass``), every other one as text. SQLite never takes a text and a blob for equal, so that
two different texts stay different.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from pydantic_core import from_json

from leo_core.errors import StorageError, StoreCorruptError
from leo_core.records import (
    Answer,
    CacheDecision,
    CacheEntry,
    EmbedderFingerprint,
    Message,
    Novelty,
    Observation,
    Risk,
    Role,
    Route,
    RouteDecision,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = [
    "COMPACT",
    "copy_entry",
    "decode_entry",
    "decode_fingerprint",
    "decode_observation",
    "decode_result",
    "encode_entry",
    "encode_fingerprint",
    "encode_observation",
    "encode_result",
    "from_column",
    "to_column",
    "to_plain",
]

_Value = TypeVar("_Value")

_ROLES: frozenset[str] = frozenset(get_args(Role))
_KINDS: frozenset[str] = frozenset({"cache", "trust", "route", "served", "feedback", "audit", "promotion"})
_MALFORMED = (KeyError, TypeError, ValueError, RecursionError)
_ROUTES = {route.value: route for route in Route}
_ENTRY_TEXTS = ("id", "tenant", "exact_key", "scope_key", "text", "model", "receipt_id")
_USAGE_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "calls")
_take_entry_texts = itemgetter(*_ENTRY_TEXTS)
_take_counts = itemgetter(*_USAGE_COUNTS)
_LEAVES = frozenset({type(None), str, bool, int, float})
_TEXT_ONLY = frozenset({str})
_TOO_DEEP = "a value is nested too deeply or refers to itself; only JSON can be stored"


# ---------------------------------------------------------------------------------------------- columns


def to_column(text: str) -> str | bytes:
    """The text as a value for a column: itself, or bytes when it holds an unpaired surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_column(value: str | bytes) -> str:
    """The text that :func:`to_column` made a value of.

    Raises:
        StoreCorruptError: The value is none that it makes.
    """
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8", "surrogatepass")
    except (AttributeError, UnicodeDecodeError) as error:
        message = "a stored text cannot be read; restore a copy of the store"
        raise StoreCorruptError(message) from error


# ---------------------------------------------------------------------------------------------- records


def encode_entry(entry: CacheEntry) -> str:
    """JSON of the entry but for ``hits`` and ``seal``, which are kept beside it.

    Raises:
        StorageError: The message or the metadata holds a value that is not JSON.
    """
    return _dump(
        {
            "id": entry.id,
            "tenant": entry.tenant,
            "exact_key": entry.exact_key,
            "scope_key": entry.scope_key,
            "text": entry.text,
            "message": _message_body(entry.message),
            "members": entry.members,
            "model": entry.model,
            "route": entry.route.value,
            "usage": _usage_body(entry.usage),
            "receipt_id": entry.receipt_id,
            "created_at": entry.created_at,
            "expires_at": entry.expires_at,
            "fresh_until": entry.fresh_until,
            "tags": entry.tags,
            "sources": entry.sources,
            "size_bytes": entry.size_bytes,
            "metadata": _take_in(entry.metadata),
        }
    )


def decode_entry(text: str, *, hits: int, seal: str = "") -> CacheEntry:
    """The entry that :func:`encode_entry` wrote, with these hits and this seal. Shares nothing with other results.

    Raises:
        StoreCorruptError: The text is not an entry.
    """
    try:
        body = _load(text)
        texts = _take_entry_texts(body)
        if set(map(type, texts)) != {str}:
            message = "expected texts"
            raise TypeError(message)
        number, tenant, exact_key, scope_key, question, model, receipt_id = texts
        return CacheEntry(
            id=number,
            tenant=tenant,
            exact_key=exact_key,
            scope_key=scope_key,
            text=question,
            message=_read_message(_take(body, "message", dict)),
            members=_take_texts(body, "members"),
            model=model,
            route=_ROUTES[body["route"]],
            usage=_read_usage(_take(body, "usage", dict)),
            receipt_id=receipt_id,
            created_at=_take_number(body, "created_at"),
            expires_at=_take_instant(body, "expires_at"),
            fresh_until=_take_instant(body, "fresh_until"),
            tags=_take_texts(body, "tags"),
            sources=_take_texts(body, "sources"),
            size_bytes=_take(body, "size_bytes", int),
            hits=_check(hits, int),
            metadata=_take(body, "metadata", dict),
            seal=_check(seal, str),
        )
    except _MALFORMED as error:
        message = "a stored entry cannot be read; remove it or restore a copy of the store"
        raise StoreCorruptError(message) from error


def copy_entry(entry: CacheEntry, *, hits: int | None = None, seal: str | None = None) -> CacheEntry:
    """An equal entry that shares nothing with it that can be changed, but for other hits or another seal."""
    message = entry.message
    if not isinstance(message.content, str):
        content = tuple(cast("Mapping[str, Json]", to_plain(block)) for block in message.content)
        message = replace(message, content=content)
    if message.tool_calls:
        calls = tuple(replace(call, arguments=to_plain(call.arguments)) for call in message.tool_calls)
        message = replace(message, tool_calls=calls)
    return CacheEntry(
        id=entry.id,
        tenant=entry.tenant,
        exact_key=entry.exact_key,
        scope_key=entry.scope_key,
        text=entry.text,
        message=message,
        members=entry.members,
        model=entry.model,
        route=entry.route,
        usage=entry.usage,
        receipt_id=entry.receipt_id,
        created_at=entry.created_at,
        expires_at=entry.expires_at,
        fresh_until=entry.fresh_until,
        tags=entry.tags,
        sources=entry.sources,
        size_bytes=entry.size_bytes,
        hits=entry.hits if hits is None else hits,
        metadata=to_plain(entry.metadata),
        seal=entry.seal if seal is None else seal,
    )


def encode_observation(observation: Observation) -> str:
    """JSON of the observation.

    Raises:
        StorageError: The body holds a value that is not JSON.
    """
    return _dump(
        {
            "kind": observation.kind,
            "tenant": observation.tenant,
            "body": _take_in(observation.body),
            "at": observation.at,
        }
    )


def decode_observation(text: str) -> Observation:
    """The observation that :func:`encode_observation` wrote.

    Raises:
        StoreCorruptError: The text is not an observation.
    """
    try:
        body = _load(text)
        return Observation(
            kind=cast("Any", _take_word(body, "kind", _KINDS)),
            tenant=_take(body, "tenant", str),
            body=_take(body, "body", dict),
            at=_take_number(body, "at"),
        )
    except _MALFORMED as error:
        message = "a stored observation cannot be read; restore a copy of the store"
        raise StoreCorruptError(message) from error


def encode_result(answer: Answer, statement: Json, openings: Json) -> str:
    """JSON of an answer without its receipt, and of what is going to be signed about it.

    Raises:
        StorageError: The message holds a value that is not JSON.
    """
    return _dump(
        {
            "id": answer.id,
            "message": _message_body(answer.message),
            "route": answer.route.value,
            "model": answer.model,
            "members": answer.members,
            "usage": _usage_body(answer.usage),
            "risk": [answer.risk.value, *answer.risk.interval],
            "finish_reason": answer.finish_reason,
            "statement": _take_in(statement),
            "openings": _take_in(openings),
        }
    )


def decode_result(text: str, why: str) -> tuple[Answer, Json, Json]:
    """The answer that :func:`encode_result` wrote, as it is given again, and its statement and openings.

    Args:
        text: What was written.
        why: Why it is given again, in words.

    Raises:
        StoreCorruptError: The text is not a result.
    """
    try:
        body = _load(text)
        risk, low, high = (float(each) for each in _take(body, "risk", list))
        route = Route(body["route"])
        answer = Answer(
            id=_take(body, "id", str),
            message=_read_message(_take(body, "message", dict)),
            route=route,
            model=_take(body, "model", str),
            members=_take_texts(body, "members"),
            usage=Usage(),
            saved=_read_usage(_take(body, "usage", dict)),
            risk=Risk(value=risk, interval=(low, high)),
            novelty=Novelty(value=None),
            cache=CacheDecision(action="off", why=why),
            decision=RouteDecision(route=route, why=why),
            finish_reason=_take(body, "finish_reason", str),
            replayed=True,
        )
        return answer, body["statement"], body["openings"]
    except _MALFORMED as error:
        message = "a kept result cannot be read; restore a copy of the store"
        raise StoreCorruptError(message) from error


def encode_fingerprint(fingerprint: EmbedderFingerprint) -> str:
    """JSON of the embedder's fingerprint."""
    return _dump(
        {
            "name": fingerprint.name,
            "version": fingerprint.version,
            "dimension": fingerprint.dimension,
            "table_sha256": fingerprint.table_sha256,
        }
    )


def decode_fingerprint(text: str) -> EmbedderFingerprint:
    """The fingerprint that :func:`encode_fingerprint` wrote.

    Raises:
        StoreCorruptError: The text is not a fingerprint.
    """
    try:
        body = _load(text)
        return EmbedderFingerprint(
            name=_take(body, "name", str),
            version=_take(body, "version", str),
            dimension=_take(body, "dimension", int),
            table_sha256=_take(body, "table_sha256", str),
        )
    except _MALFORMED as error:
        message = "the store's note of its embedder cannot be read; restore a copy"
        raise StoreCorruptError(message) from error


# ------------------------------------------------------------------------------------------------ parts


def _message_body(message: Message) -> dict[str, Json]:
    return {
        "role": message.role,
        "content": message.content if isinstance(message.content, str) else _take_in(message.content),
        "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": _take_in(call.arguments)} for call in message.tool_calls
        ],
        "tool_call_id": message.tool_call_id,
        "tool_error": message.tool_error,
        "name": message.name,
    }


def _read_message(body: dict[str, Json]) -> Message:
    content, calls = body["content"], _take(body, "tool_calls", list)
    return Message(
        role=cast("Role", _take_word(body, "role", _ROLES)),
        content=content if isinstance(content, str) else tuple(_check(block, dict) for block in _check(content, list)),
        tool_calls=tuple([_read_tool_call(_check(call, dict)) for call in calls]) if calls else (),
        tool_call_id=_take_optional(body, "tool_call_id", str),
        tool_error=_take(body, "tool_error", bool),
        name=_take_optional(body, "name", str),
    )


def _read_tool_call(body: dict[str, Json]) -> ToolCall:
    return ToolCall(id=_take(body, "id", str), name=_take(body, "name", str), arguments=_take(body, "arguments", dict))


def _usage_body(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "calls": usage.calls,
        "cost_usd": usage.cost_usd,
    }


def _read_usage(body: dict[str, Json]) -> Usage:
    counts = _take_counts(body)
    if set(map(type, counts)) != {int}:
        message = "expected whole numbers"
        raise TypeError(message)
    input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, calls = counts
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached_input_tokens,
        reasoning_tokens=reasoning_tokens,
        calls=calls,
        cost_usd=None if body["cost_usd"] is None else _take_number(body, "cost_usd"),
    )


# ------------------------------------------------------------------------------------------------- JSON


def _dump(body: dict[str, Json]) -> str:
    """JSON of a body whose names are this module's own; what is free in it was taken in before."""
    try:
        return COMPACT.encode(body)
    except RecursionError as error:
        raise StorageError(_TOO_DEEP) from error


def _take_in(value: Json) -> Json:
    """:func:`to_plain` of free JSON, which may be anything.

    Raises:
        StorageError: It is not JSON.
    """
    try:
        return to_plain(value)
    except RecursionError as error:
        raise StorageError(_TOO_DEEP) from error


def to_plain(value: Json) -> Json:
    """The value in the types that :mod:`json` writes without loss: any mapping as dict, any sequence as list."""
    if type(value) in _LEAVES or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                message = f"a mapping has a key of type {type(key).__name__}; only JSON can be stored"
                raise StorageError(message)
        return {key: item if type(item) in _LEAVES else to_plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [to_plain(item) for item in value]
    message = f"a value has type {type(value).__name__}; only JSON can be stored"
    raise StorageError(message)


COMPACT = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), default=to_plain)
"""Writes values without spaces, and what is neither dict, list nor tuple as :func:`to_plain` has it."""


def _load(text: str) -> dict[str, Json]:
    try:
        body = from_json(text)
    except (TypeError, ValueError):  # an unpaired surrogate, or nesting beyond what it reads
        body = json.loads(text)
    return _check(body, dict)


def _check(value: Json, kind: type[_Value]) -> _Value:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        message = f"expected {kind.__name__}, found {type(value).__name__}"
        raise TypeError(message)
    return value


def _take(body: dict[str, Json], key: str, kind: type[_Value]) -> _Value:
    return _check(body[key], kind)


def _take_optional(body: dict[str, Json], key: str, kind: type[_Value]) -> _Value | None:
    return None if body[key] is None else _check(body[key], kind)


def _take_number(body: dict[str, Json], key: str) -> float:
    value = body[key]
    return cast("float", value) if isinstance(value, int) else _check(value, float)


def _take_instant(body: dict[str, Json], key: str) -> float | None:
    return None if body[key] is None else _take_number(body, key)


def _take_texts(body: dict[str, Json], key: str) -> tuple[str, ...]:
    found = body[key]
    if type(found) is list and set(map(type, found)) <= _TEXT_ONLY:
        return tuple(found)
    return tuple([_check(item, str) for item in _take(body, key, list)])


def _take_word(body: dict[str, Json], key: str, words: frozenset[str]) -> str:
    word = _take(body, key, str)
    if word not in words:
        message = f"unknown {key}"
        raise ValueError(message)
    return word
