"""Cache entries, questions, observations and states as a store gets them that may not read them.

A store gets names that are keyed pseudonyms, and sealed bytes. Each is sealed for its purpose and its place (tenant,
entry, scope, key), so that one that was moved does not open. What a store needs in the clear to do its work stands
beside them, and counts for nothing when a row is read: what was sealed counts.

* An entry's row: pseudonyms of tenant, id, exact key, scope, model, tags and sources; in the place of the message, the
  whole entry, sealed; created, expiry, cost, hits, and the size, rounded up.
* A question's seal: its exact key, text and vector, sealed, for an entry's own question and for paraphrases alike. The
  store's vector is a number drawn at random.
"""

from __future__ import annotations

import binascii
import json
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from leo_core.errors import SealedAlteredError, StorageError
from leo_core.privacy.padding import pad, round_up, unpad
from leo_core.records import CacheEntry, EmbedderFingerprint, Message, Observation, Route, Usage
from leo_core.storage.checks import SEALED_EMBEDDER
from leo_core.storage.codec import decode_entry, decode_observation, encode_entry, encode_observation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.records import Vector

__all__ = [
    "OpenedQuestion",
    "Rings",
    "SealedRows",
    "decode_sealed",
    "draw_decoy",
    "encode_sealed",
    "join_place",
    "name_result",
]

_COUNT = 4
_LEAST_FOR_STORE = 256
_LEAST_OBSERVATION = 512
_SCOPES_KEPT = 4096
_DECOYS = 2**24
"""Different decoys: float32 tells them apart."""
_ALIGNED = 4
"""Bytes of a float32: vectors begin at a multiple of it."""


class Rings(Protocol):
    """The keyrings of a store: one of its own, and one for each tenant."""

    @property
    def root(self) -> ClientKeyring:
        """The store's own: names of tenants, and what belongs to none."""
        ...

    def of(self, tenant: str) -> ClientKeyring:
        """A tenant's; made when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedQuestion:
    """A question as it was sealed.

    Attributes:
        exact_key: Its exact key.
        text: The question as embedded.
        seal: As the writer gave it.
        vector: Its vector, float32 (d,), read-only; ``None`` without one.
    """

    exact_key: str
    text: str
    seal: str
    vector: Vector | None


class SealedRows:
    """Turns records into what a store gets, and back.

    What does not open raises a :class:`leo_core.errors.KeyringError`; what opens and is no record, a
    :class:`leo_core.errors.StorageError`.

    Args:
        rings: The keyrings.
    """

    def __init__(self, rings: Rings) -> None:
        self.rings = rings
        self._tenants: dict[str, str] = {}
        self._scopes: dict[tuple[str, str], str] = {}

    # -------------------------------------------------------------------------------------------- names

    def name_tenant(self, tenant: str) -> str:
        """The pseudonym of a tenant, 32 hex digits."""
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = self.rings.root.pseudonym("tenant", tenant)
        return known

    def name_embedder(self, fingerprint: EmbedderFingerprint) -> EmbedderFingerprint:
        """What the store is told of the embedder: another one for other embedders, and for other keys."""
        facts = (fingerprint.name, fingerprint.version, fingerprint.dimension, fingerprint.table_sha256)
        digest = self.rings.root.pseudonym("embedder", json.dumps(facts))
        return EmbedderFingerprint(name=SEALED_EMBEDDER, version="1", dimension=1, table_sha256=digest)

    def name(self, tenant: str, kind: str, text: str) -> str:
        """The pseudonym of a name of a tenant, 32 hex digits: of an ``entry``, ``key``, ``scope``, ``tag`` …."""
        return self.rings.of(tenant).pseudonym(kind, text)

    def name_scope(self, tenant: str, scope_key: str) -> str:
        """The pseudonym of a scope of a tenant; those used lately are remembered."""
        known = self._scopes.get((tenant, scope_key))
        if known is None:
            known = self.name(tenant, "scope", scope_key)
            if len(self._scopes) >= _SCOPES_KEPT:
                self._scopes.clear()
            self._scopes[tenant, scope_key] = known
        return known

    def name_for_store(self, kind: str, text: str) -> str:
        """The pseudonym of a name that belongs to no tenant, 32 hex digits."""
        return self.rings.root.pseudonym(kind, text)

    def name_all(self, tenant: str, kind: str, texts: Sequence[str]) -> tuple[str, ...]:
        """:meth:`name` for several."""
        ring = self.rings.of(tenant)
        return tuple(ring.pseudonym(kind, text) for text in texts)

    # ------------------------------------------------------------------------------------------ entries

    def seal_entry(self, entry: CacheEntry, vector: Vector | None) -> tuple[CacheEntry, Vector | None]:
        """What the store gets for an entry with its own question.

        Raises:
            StorageError: The message or the metadata holds a value that is not JSON.
        """
        ring, tenant = self.rings.of(entry.tenant), self.name_tenant(entry.tenant)
        entry_id, scope = ring.pseudonym("entry", entry.id), self.name_scope(entry.tenant, entry.scope_key)
        body = _to_bytes(encode_entry(entry))
        sealed = ring.seal("entry", pad(body), aad=join_place(tenant, entry_id))
        row = CacheEntry(
            id=entry_id,
            tenant=tenant,
            exact_key=ring.pseudonym("key", entry.exact_key),
            scope_key=scope,
            text="",
            message=Message(role="assistant", content=encode_sealed(sealed)),
            members=(),
            model=ring.pseudonym("model", entry.model),
            route=Route.CACHE,
            usage=Usage(cost_usd=entry.usage.cost_usd),
            receipt_id="",
            created_at=entry.created_at,
            expires_at=entry.expires_at,
            tags=self.name_all(entry.tenant, "tag", entry.tags),
            sources=self.name_all(entry.tenant, "source", entry.sources),
            size_bytes=round_up(entry.size_bytes),
            hits=entry.hits,
        )
        question = OpenedQuestion(exact_key=entry.exact_key, text=entry.text, seal=entry.seal, vector=vector)
        seal = self.seal_question(entry.tenant, entry_id, scope, question)
        return replace(row, seal=seal), None if vector is None else draw_decoy()

    def open_entry(self, tenant: str, row: CacheEntry) -> CacheEntry:
        """The entry of a row, with the hits of the row and no seal."""
        place = join_place(self.name_tenant(tenant), row.id)
        body = unpad(self.rings.of(tenant).open("entry", decode_sealed(row.message.content), aad=place))
        return decode_entry(_to_text(body), hits=row.hits)

    # ---------------------------------------------------------------------------------------- questions

    def seal_question(self, tenant: str, entry_id: str, scope: str, question: OpenedQuestion) -> str:
        """The seal of a question that leads to the entry of this pseudonym, in the scope of this one."""
        ring = self.rings.of(tenant)
        head = _to_bytes(json.dumps([question.exact_key, question.text, question.seal], ensure_ascii=False))
        head += b" " * (-len(head) % _ALIGNED)
        tail = b"" if question.vector is None else question.vector.astype("<f4", copy=False).tobytes()
        key = ring.pseudonym("key", question.exact_key)
        place = join_place(self.name_tenant(tenant), entry_id, scope, key)
        whole = len(head).to_bytes(_COUNT, "big") + head + tail
        return encode_sealed(ring.seal("question", pad(whole), aad=place))

    def open_question(self, tenant: str, entry_id: str, scope: str, key: str, seal: str) -> OpenedQuestion:
        """The question behind a seal, of the entry, scope and key with these pseudonyms."""
        place = join_place(self.name_tenant(tenant), entry_id, scope, key)
        whole = unpad(self.rings.of(tenant).open("question", decode_sealed(seal), aad=place))
        cut = _COUNT + int.from_bytes(whole[:_COUNT], "big")
        exact_key, text, given = json.loads(_to_text(whole[_COUNT:cut]))
        vector = None if cut == len(whole) else np.frombuffer(whole, dtype="<f4", offset=cut)
        return OpenedQuestion(exact_key=exact_key, text=text, seal=given, vector=vector)

    # ------------------------------------------------------------------------- observations, states, names

    def seal_observation(self, observation: Observation) -> Observation:
        """What the store gets for an observation: of which kind it is, and of when, is sealed too.

        Raises:
            StorageError: The body holds a value that is not JSON.
        """
        tenant = self.name_tenant(observation.tenant)
        body = pad(_to_bytes(encode_observation(observation)), least=_LEAST_OBSERVATION)
        sealed = self.rings.of(observation.tenant).seal("observation", body, aad=join_place(tenant))
        return Observation(kind="served", tenant=tenant, body={"sealed": encode_sealed(sealed)}, at=0.0)

    def open_observation(self, tenant: str, row: Observation) -> Observation:
        """The observation of a row."""
        sealed = decode_sealed(row.body.get("sealed"))
        body = self.rings.of(tenant).open("observation", sealed, aad=join_place(self.name_tenant(tenant)))
        return decode_observation(_to_text(unpad(body)))

    def seal_state(self, tenant: str, name: str, blob: bytes) -> bytes:
        """What the store gets for a state, or for an answer in the journal, whose place has this pseudonym."""
        return self.rings.of(tenant).seal("state", pad(blob), aad=join_place(self.name_tenant(tenant), name))

    def open_state(self, tenant: str, name: str, sealed: bytes) -> bytes:
        """What :meth:`seal_state` was given."""
        place = join_place(self.name_tenant(tenant), name)
        return unpad(self.rings.of(tenant).open("state", sealed, aad=place))

    def seal_for_store(self, purpose: str, facts: Any, *, place: str) -> bytes:
        """Plain values under the store's own keys, bound to a place."""
        return self.seal_bytes_for_store(purpose, _to_bytes(json.dumps(facts, ensure_ascii=False)), place=place)

    def open_for_store(self, purpose: str, sealed: bytes, *, place: str) -> Any:
        """What :meth:`seal_for_store` was given."""
        return json.loads(_to_text(self.open_bytes_for_store(purpose, sealed, place=place)))

    def seal_bytes_for_store(self, purpose: str, data: bytes, *, place: str) -> bytes:
        """Bytes under the store's own keys, bound to a place; at least 256 with the padding."""
        return self.rings.root.seal(purpose, pad(data, least=_LEAST_FOR_STORE), aad=join_place(place))

    def open_bytes_for_store(self, purpose: str, sealed: bytes, *, place: str) -> bytes:
        """What :meth:`seal_bytes_for_store` was given."""
        return unpad(self.rings.root.open(purpose, sealed, aad=join_place(place)))


def name_result(ring: ClientKeyring, key: str) -> str:
    """The pseudonym of the place of an answer in the journal, under an idempotency key of this pseudonym."""
    return ring.pseudonym("state", f"journal:{key}")


def draw_decoy() -> Vector:
    """What a store gets in the place of a vector. Not equal ones: they would crowd the graph of an index.

    From the operating system: whoever saw some hundreds of those that ``random`` draws would know all it draws next.
    """
    return np.array([secrets.randbelow(_DECOYS) / _DECOYS], dtype=np.float32)


def encode_sealed(sealed: bytes) -> str:
    """Sealed bytes as text."""
    return binascii.b2a_base64(sealed, newline=False).decode("ascii")


def decode_sealed(text: object) -> bytes:
    """The bytes that :func:`encode_sealed` wrote.

    Raises:
        SealedAlteredError: It wrote something else.
    """
    try:
        if isinstance(text, str):
            return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    message = "this is not sealed data written as text: it was altered, or something else wrote it"
    raise SealedAlteredError(message)


def join_place(*names: str) -> bytes:
    """Associated data of names without a colon: pseudonyms, numbers, and our own words."""
    return ":".join(names).encode("ascii")


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _to_text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        message = "sealed data opens and is no text; a newer LEO may have written it"
        raise StorageError(message) from error
