"""Sealed values of a Chroma store, exchanged where they lie (:class:`leo_core.storage.exchanging.SealedValues`).

Chroma has no compare-and-swap. Rows of entries and questions are never written over otherwise, and of two that seal an
observation anew at once either result opens; of a state that is saved in that very instant the older one may stay.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from leo_core.errors import StoreCorruptError
from leo_core.records import SealedValue
from leo_core.storage.chroma_rows import Question, decode_text, digest, encode_text, idle_vector
from leo_core.storage.sealed_values import find_in_entry, find_in_observation, put_in_entry, put_in_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from leo_core.storage.chroma_log import ChromaLog
    from leo_core.storage.chroma_table import ChromaTable

    Within = Callable[[], AbstractContextManager[object]]

__all__ = ["exchange_in_block", "exchange_in_table", "exchange_state", "read_block", "read_values"]

_AT_ONCE = 256


def read_values(
    table: ChromaTable, log: ChromaLog, states: Callable[[], Any], tenant: str, within: Within
) -> Iterator[SealedValue]:
    """All values of a tenant, a page at a time; each page within the store's time limit."""
    with within():
        rows = sorted(table.get_rows([{"tenant": digest(tenant)}]))
    for start in range(0, len(rows), _AT_ONCE):
        with within():
            found = list(_read_questions(table.get_each(rows[start : start + _AT_ONCE]), table))
        yield from found
    number, more = 1, True
    while more:
        with within():
            block = log.read_sealed(number, tenant)
        yield from block or ()
        number, more = number + 1, block is not None
    with within():
        kept = states().get(include=["metadatas"])
    yield from _read_states(kept, tenant)


def exchange_in_table(table: ChromaTable, value: SealedValue, fresh: str) -> bool:
    """Put another message into an entry, or another seal to a question."""
    question = table.get_row(value.row)
    if question is None:
        return False
    if value.part == "question":
        if question.seal != value.value:
            return False
        table.entries().update(ids=[value.row], metadatas=[{"seal": encode_text(fresh)}])
        return True
    body = _read_body(question)
    if find_in_entry(body) != value.value:
        return False
    document = encode_text(put_in_entry(body, fresh))
    table.entries().update(ids=[value.row], embeddings=[idle_vector()], documents=[document])
    return True


def read_block(collection: Any, number: int, name: str, tenant: str) -> list[SealedValue] | None:
    """The observations of a tenant in a block; ``None`` where there is no such block."""
    items = _read_items(collection, name)
    if items is None:
        return None
    found = []
    for place, body in enumerate(items):
        if _owner(body) == tenant:
            row = json.dumps([number, place])
            found.append(SealedValue(part="observation", row=row, value=find_in_observation(body)))
    return found


def exchange_in_block(collection: Any, name: str, place: int, value: SealedValue, fresh: str) -> bool:
    """Put another observation into a block."""
    items = _read_items(collection, name)
    if items is None or find_in_observation(items[place]) != value.value:
        return False
    items[place] = put_in_observation(items[place], fresh)
    document = json.dumps([encode_text(item) for item in items])
    collection.update(ids=[name], embeddings=[idle_vector()], documents=[document])
    return True


def _read_states(records: Mapping[str, Any], tenant: str) -> Iterator[SealedValue]:
    """The states of a tenant in a reply of Chroma's ``get``; those of before their names were kept are left out."""
    for row, facts in zip(records["ids"], records["metadatas"], strict=True):
        if facts["owner"] == encode_text(tenant) and "name" in facts:
            blob = base64.b64decode(facts["blob"])
            yield SealedValue(part="state", row=row, names=(decode_text(facts["name"]),), value=blob)


def exchange_state(collection: Any, value: SealedValue, fresh: bytes) -> bool:
    """Put another state in its place."""
    found = collection.get(ids=[value.row], include=["metadatas"])["metadatas"]
    if not found or base64.b64decode(found[0]["blob"]) != value.value:
        return False
    collection.update(ids=[value.row], metadatas=[{"blob": base64.b64encode(fresh).decode()}])
    return True


def _read_questions(questions: list[Question], table: ChromaTable) -> Iterator[SealedValue]:
    for question in questions:
        own = question if question.own else table.get_row(question.of)
        if own is None:
            continue
        entry_id, scope = decode_text(own.facts.get("name")), _read_scope(own)
        if question.own:
            found = find_in_entry(_read_body(question))
            yield SealedValue(part="entry", row=question.row, names=(entry_id,), value=found)
        names = (entry_id, scope, question.exact_key)
        yield SealedValue(part="question", row=question.row, names=names, value=question.seal)


def _read_body(question: Question) -> str:
    try:
        return decode_text(question.document)
    except StoreCorruptError:
        return ""


def _read_scope(own: Question) -> str:
    try:
        return own.read("", more_hits=0).scope_key
    except StoreCorruptError:
        return ""


def _read_items(collection: Any, name: str) -> list[str] | None:
    found = collection.get(ids=[name], include=["documents"])["documents"]
    return [decode_text(item) for item in json.loads(found[0])] if found else None


def _owner(body: str) -> str:
    return str(json.loads(body)["tenant"])
