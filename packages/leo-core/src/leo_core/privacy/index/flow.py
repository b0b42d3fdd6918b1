"""What a client asks of an index server, without asking it: flows yield :class:`Ask` and are sent :class:`Reply`.

One driver runs them on a blocking transport and one on an asynchronous one (:mod:`leo_core.privacy.index.transport`).
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

from leo_core.errors import EnvelopeError
from leo_core.privacy.index.envelope import Envelope, Kind, open_envelope, seal_envelope
from leo_core.privacy.index.framing import ID_BYTES

__all__ = ["MOST_REPLY_BYTES", "Ask", "Flow", "Reply", "close_reply", "make_request"]

MOST_REPLY_BYTES = 2**29
"""Largest reply that a client reads: seven times the sealed rows of a full block of the longest vectors."""
_MOST_WRITES = 2**64 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request to the server.

    Attributes:
        kind: What is asked.
        tenant: Whose index.
        index: Which; empty for the tenant itself.
        params_id: Encryption parameters.
        key_id: Evaluation keys, where it is about them.
        sequence: Number of a write.
        payload: As the kind says.
    """

    kind: Kind
    tenant: str
    index: str = ""
    params_id: str = ""
    key_id: str = ""
    sequence: int = 0
    payload: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answered.

    Attributes:
        payload: As the kind says.
        sequence: Number of the last write in the index.
    """

    payload: bytes = field(repr=False)
    sequence: int


Flow = Generator[Ask, Reply, T]


def make_request(ask: Ask, mac_key: bytes) -> tuple[Envelope, bytes]:
    """The envelope of a request, and its bytes.

    Raises:
        EnvelopeError: It is a write after the last that there can be, because a server said that it is at that one.
    """
    if not 0 <= ask.sequence <= _MOST_WRITES:
        message = f"there is no write {ask.sequence}: the server told a number that no index comes to"
        raise EnvelopeError(message, check="sequence")
    envelope = Envelope(
        kind=ask.kind,
        request_id=secrets.token_bytes(ID_BYTES),
        tenant=ask.tenant,
        index=ask.index,
        params_id=ask.params_id,
        key_id=ask.key_id,
        sequence=ask.sequence,
        payload=ask.payload,
    )
    return envelope, seal_envelope(envelope, mac_key)


def close_reply(request: Envelope, data: bytes, mac_key: bytes) -> Reply:
    """The reply to a request.

    Raises:
        EnvelopeError: It is none, was altered, or belongs to another request.
    """
    reply = open_envelope(data, mac_key, most_bytes=MOST_REPLY_BYTES)
    same = (
        reply.is_reply
        and reply.kind is request.kind
        and reply.request_id == request.request_id
        and (reply.tenant, reply.index) == (request.tenant, request.index)
        and (reply.params_id, reply.key_id) == (request.params_id, request.key_id)
    )
    if not same:
        message = "the server's reply belongs to another request"
        raise EnvelopeError(message, check="reply")
    return Reply(payload=reply.payload, sequence=reply.sequence)
