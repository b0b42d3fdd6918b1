"""A client of the index server that sends what it is told to, right or wrong."""

from __future__ import annotations

import secrets

import numpy as np

from leo_core.privacy.index.envelope import Envelope, Kind, open_envelope, seal_envelope
from leo_core.privacy.index.framing import pack_ids, pack_u64
from leo_core.privacy.index.payloads import (
    ENCRYPTED,
    PLAIN,
    BlockUpload,
    Changes,
    IndexForm,
    KeyUpload,
    Scores,
    SealedRow,
    pack_rows,
    read_rows,
)
from leo_core.privacy.index.stats import read_stats
from tests.core.privacy.index_parts import DIM, PARAMS_ID, FakeSecret, unit_rows


class Wire:
    """One account at a server, with one fake secret."""

    def __init__(self, server, token, *, tenant=None, secret=None, index="i"):
        self.server, self.token, self.index = server, token, index
        self.tenant = tenant or token.account
        self.secret = secret or FakeSecret(secrets.token_bytes(32))
        self.keys = self.secret.evaluation_keys(dim=DIM)
        self.sequence = 0
        self.last = b""

    def make(self, kind, payload=b"", **fields):
        given = {
            "kind": kind,
            "request_id": secrets.token_bytes(16),
            "tenant": self.tenant,
            "index": self.index,
            "params_id": PARAMS_ID,
            "payload": payload,
            "sequence": self.sequence + 1 if kind.writes else 0,
            **fields,
        }
        return seal_envelope(Envelope(**given), self.token.mac_key())

    def send(self, data):
        self.last = data
        reply = open_envelope(self.server.answer(self.token.bearer(), data), self.token.mac_key(), most_bytes=2**30)
        assert reply.is_reply
        return reply

    def ask(self, kind, payload=b"", **fields):
        reply = self.send(self.make(kind, payload, **fields))
        if kind.writes:
            self.sequence = reply.sequence
        return reply

    def register(self, keys=None, expected="", **fields):
        keys = keys or self.keys
        upload = KeyUpload(expected=expected, keys=keys.to_bytes()).pack()
        return self.ask(Kind.REGISTER_KEYS, upload, **{"key_id": keys.key_id, **fields})

    def open(self, mode=ENCRYPTED, dim=DIM, **fields):
        return self.ask(Kind.OPEN_INDEX, IndexForm(mode=mode, dim=dim).pack(), **fields)

    def start(self, mode=ENCRYPTED):
        self.register()
        self.open(mode)
        return self

    def append(self, count, *, sealed=b"sealed", **fields):
        rows = tuple(SealedRow(id=secrets.token_bytes(16), sealed=sealed) for _ in range(count))
        self.ask(Kind.APPEND_TAIL, pack_rows(rows), **fields)
        return [row.id for row in rows]

    def make_block(self, ids, *, replaces=(), rows=None, plain=False, block_id=None):
        rows = unit_rows(len(ids)) if rows is None else rows
        data = rows.astype("<f4").tobytes() if plain else self.secret.encrypt_block(rows)
        block_id = block_id or secrets.token_bytes(16)
        return BlockUpload(id=block_id, rows=tuple(ids), replaces=tuple(replaces), data=data)

    def block(self, ids, *, replaces=(), rows=None, plain=False, **fields):
        upload = self.make_block(ids, replaces=replaces, rows=rows, plain=plain)
        kind = Kind.APPEND_PLAIN_BLOCK if plain else Kind.APPEND_ENCRYPTED_BLOCK
        self.ask(kind, upload.pack(), **{"key_id": self.keys.key_id, **fields})
        return upload.id

    def score(self, vector, **fields):
        query = self.secret.encrypt_query(np.asarray(vector, dtype=np.float32))
        reply = self.ask(Kind.SCORE, query, **{"key_id": self.keys.key_id, **fields})
        scores = Scores.read(reply.payload)
        if not scores.blocks:
            return {}
        found = self.secret.decrypt_scores(scores.scores, [count for _, count in scores.blocks])
        return {block: each for (block, _), each in zip(scores.blocks, found, strict=True)}

    def changes(self, after=0):
        return Changes.read(self.ask(Kind.CHANGES, pack_u64(after)).payload)

    def fetch(self, ids):
        return read_rows(self.ask(Kind.FETCH, pack_ids(ids)).payload, most_rows=2**20, most_bytes=2**24)

    def remove(self, ids):
        return int.from_bytes(self.ask(Kind.REMOVE, pack_ids(ids)).payload, "big")

    def stats(self):
        return read_stats(self.ask(Kind.STATS, index="").payload)


__all__ = ["ENCRYPTED", "PLAIN", "Wire"]
