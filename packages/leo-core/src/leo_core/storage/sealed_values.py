"""Sealed values inside the records that a store keeps as JSON: taken out, and put in the place of others."""

from __future__ import annotations

from dataclasses import replace

from leo_core.errors import StoreCorruptError
from leo_core.storage.codec import decode_entry, decode_observation, encode_entry, encode_observation

__all__ = ["find_in_entry", "find_in_observation", "put_in_entry", "put_in_observation"]

_SEALED = "sealed"


def find_in_entry(body: str) -> str:
    """The sealed value in the place of an entry's message; empty where there is none."""
    try:
        content = decode_entry(body, hits=0).message.content
    except StoreCorruptError:
        return ""
    return content if isinstance(content, str) else ""


def put_in_entry(body: str, fresh: str) -> str:
    """The entry with another sealed value.

    Raises:
        StoreCorruptError: It is no entry.
    """
    entry = decode_entry(body, hits=0)
    return encode_entry(replace(entry, message=replace(entry.message, content=fresh)))


def find_in_observation(body: str) -> str:
    """The sealed value of an observation; empty where there is none."""
    try:
        value = decode_observation(body).body.get(_SEALED)
    except StoreCorruptError:
        return ""
    return value if isinstance(value, str) else ""


def put_in_observation(body: str, fresh: str) -> str:
    """The observation with another sealed value.

    Raises:
        StoreCorruptError: It is no observation.
    """
    observation = decode_observation(body)
    return encode_observation(replace(observation, body={**observation.body, _SEALED: fresh}))
