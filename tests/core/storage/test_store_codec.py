"""Records survive as JSON, and nothing but records comes back."""

from __future__ import annotations

import json
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import StorageError, StoreCorruptError
from leo_core.records import CacheEntry, EmbedderFingerprint, Message, Observation, Route, ToolCall, Usage
from leo_core.storage.codec import (
    decode_entry,
    decode_fingerprint,
    decode_observation,
    encode_entry,
    encode_fingerprint,
    encode_observation,
    from_column,
    to_column,
)
from tests.contracts.store import RICH
from tests.contracts.store_samples import make_entry

texts = st.text(st.characters(exclude_categories=[]), max_size=12)  # unpaired surrogates too
numbers = st.floats(allow_nan=False)
counts = st.integers(0, 2**60)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | numbers | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
mappings = st.dictionaries(texts, json_values, max_size=3)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=mappings)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts | st.lists(mappings, max_size=3).map(tuple),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
    tool_error=st.booleans(),
    name=st.none() | texts,
)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cached_input_tokens=counts,
    reasoning_tokens=counts,
    calls=counts,
    cost_usd=st.none() | numbers,
)
labels = st.lists(texts, max_size=3).map(tuple)
entries = st.builds(
    CacheEntry,
    id=texts,
    tenant=texts,
    exact_key=texts,
    scope_key=texts,
    text=texts,
    message=messages,
    members=labels,
    model=texts,
    route=st.sampled_from(Route),
    usage=usages,
    receipt_id=texts,
    created_at=numbers,
    expires_at=st.none() | numbers,
    tags=labels,
    size_bytes=counts,
    hits=counts,
    metadata=mappings,
)
observations = st.builds(
    Observation,
    kind=st.sampled_from(["cache", "trust", "route", "served", "feedback", "audit", "promotion"]),
    tenant=texts,
    body=mappings,
    at=numbers,
)


@given(texts)
def test_column_values_are_lossless(text: str) -> None:
    value = to_column(text)
    assert from_column(value) == text
    assert isinstance(value, bytes) == any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)


@given(entries)
def test_entries_survive(entry: CacheEntry) -> None:
    decoded = decode_entry(from_column(to_column(encode_entry(entry))), hits=entry.hits)
    assert decoded == entry
    assert repr(decoded) == repr(entry)  # 1 and 1.0, True and 1 are told apart


@given(observations)
def test_observations_survive(observation: Observation) -> None:
    decoded = decode_observation(from_column(to_column(encode_observation(observation))))
    assert repr(decoded) == repr(observation)


@given(st.builds(EmbedderFingerprint, name=texts, version=texts, dimension=counts, table_sha256=texts))
def test_fingerprints_survive(fingerprint: EmbedderFingerprint) -> None:
    assert decode_fingerprint(from_column(to_column(encode_fingerprint(fingerprint)))) == fingerprint


def test_every_field_is_written() -> None:
    body = json.loads(encode_entry(make_entry("a", message=RICH)))
    assert body.keys() | {"hits", "seal"} == {item.name for item in fields(CacheEntry)}
    assert body["message"].keys() == {item.name for item in fields(Message)}
    assert body["message"]["tool_calls"][0].keys() == {item.name for item in fields(ToolCall)}
    assert body["usage"].keys() == {item.name for item in fields(Usage)}
    observation = Observation(kind="cache", tenant="t", body={}, at=0.0)
    assert json.loads(encode_observation(observation)).keys() == {item.name for item in fields(Observation)}


def test_frozen_mappings_and_tuples_become_plain() -> None:
    entry = make_entry("a", metadata=MappingProxyType({"outer": MappingProxyType({"inner": (1, 2)})}))
    assert decode_entry(encode_entry(entry), hits=0).metadata == {"outer": {"inner": [1, 2]}}


def test_endless_values_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(StorageError):
        encode_entry(make_entry("a", metadata={"endless": endless}))


BODY = json.loads(encode_entry(make_entry("a", message=RICH, expires_at=1.0)))


def _paths(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the record itself, and no free JSON of a user, stands."""
    if isinstance(body, dict) and path[-1:] not in {("arguments",), ("metadata",)} and path[-2:-1] != ("content",):
        return [path, *(found for key, item in body.items() for found in _paths(item, (*path, key)))]
    if isinstance(body, list):
        return [path, *(found for index, item in enumerate(body) for found in _paths(item, (*path, index)))]
    return [path]


@pytest.mark.parametrize("path", _paths(BODY)[1:], ids=str)
@pytest.mark.parametrize("wrong", [{"a": 1}, [1], True, None, 0.5, "odd"], ids=str)
def test_values_of_another_type_are_refused(path: tuple[Any, ...], wrong: Any) -> None:
    changed = json.loads(json.dumps(BODY))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    try:
        decoded = decode_entry(json.dumps(changed), hits=0)
    except StoreCorruptError:
        return
    # What is taken in is a sound record: writing it gives the same again.
    assert json.loads(encode_entry(decoded)) == changed
    assert not isinstance(wrong, list)


@pytest.mark.parametrize("key", BODY)
def test_missing_facts_are_refused(key: str) -> None:
    with pytest.raises(StoreCorruptError):
        decode_entry(json.dumps({name: value for name, value in BODY.items() if name != key}), hits=0)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '"text"', "[" * 100_000, '{"kind": "other"}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(StoreCorruptError):
        decode_entry(text, hits=0)
    with pytest.raises(StoreCorruptError):
        decode_observation(text)
    with pytest.raises(StoreCorruptError):
        decode_fingerprint(text)


def test_columns_of_another_type_are_refused() -> None:
    for value in (b"\xff", 5, None):
        with pytest.raises(StoreCorruptError):
            from_column(value)
    with pytest.raises(StoreCorruptError):
        decode_entry(encode_entry(make_entry("a")), hits="3")
    with pytest.raises(StoreCorruptError):
        decode_observation('{"kind": "rumour", "tenant": "t", "body": {}, "at": 0.0}')
