"""What the tests of the encrypted index share: a scorer that hides nothing but behaves like one that does, and clients.

The "ciphertexts" of the fake are numbers in the clear behind a header. That each part refuses what it has to refuse is
held by ``tests/contracts/block_scorer.py``, which the real one passes too.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass

import numpy as np

from leo_core.errors import CiphertextError, KeyMismatchError, ParametersMismatchError
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.client_secrets import TenantSecrets
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.limits import IndexLimits
from leo_core.privacy.index.scoring import OpenedKeys
from leo_core.privacy.index.server import EncryptedIndexServer
from leo_core.privacy.index.transport import InProcessTransport
from leo_core.storage.keyrings import Keyrings

DIM = 16
PARAMS_ID = FheParams.preset("score128").params_id.hex()
_HEAD = struct.Struct(">4s16sHI")


def _pack(magic, secret_id, values):
    values = np.atleast_2d(np.asarray(values, dtype="<f8"))
    return _HEAD.pack(magic, secret_id, values.shape[1], values.shape[0]) + values.tobytes()


def _unpack(magic, secret_id, data, dim=None):
    if len(data) < _HEAD.size or data[:4] != magic:
        message = "fake bytes are cut off or something else"
        raise CiphertextError(message)
    _, owner, width, count = _HEAD.unpack(data[: _HEAD.size])
    if len(data) != _HEAD.size + 8 * width * count:
        message = "fake bytes have another length"
        raise CiphertextError(message)
    if owner != secret_id:
        message = "fake bytes are of another key"
        raise KeyMismatchError(message)
    if dim is not None and width != dim:
        message = "fake bytes have another dimension"
        raise ParametersMismatchError(message)
    return np.frombuffer(data, dtype="<f8", offset=_HEAD.size).reshape(count, width)


@dataclass
class FakeBlock:
    rows: np.ndarray

    @property
    def count(self):
        return len(self.rows)

    @property
    def size_bytes(self):
        return self.rows.nbytes


class FakeScorer:
    def __init__(self, secret_id, dim):
        self.secret_id, self.dim = secret_id, dim

    def load_plain(self, rows):
        return FakeBlock(np.asarray(rows, dtype=np.float64))

    def load_encrypted(self, data):
        return FakeBlock(_unpack(b"FBLK", self.secret_id, data, self.dim))

    def score(self, query, blocks):
        vector = _unpack(b"FQRY", self.secret_id, query, self.dim)[0]
        scores = [block.rows @ vector for block in blocks]
        sizes = struct.pack(f">{len(scores)}I", *(len(each) for each in scores))
        return _HEAD.pack(b"FSCR", self.secret_id, 1, len(scores)) + sizes + np.concatenate(scores).tobytes()


def open_fake_scorer(data):
    if len(data) != 4 + 16 + 2 + 8 or data[:4] != b"FKEY":
        message = "these are no fake evaluation keys"
        raise CiphertextError(message)
    secret_id, dim = data[4:20], int.from_bytes(data[20:22], "big")
    return OpenedKeys(
        id=hashlib.sha256(data).hexdigest()[:32],
        params_id=PARAMS_ID,
        dim=dim,
        secret_id=secret_id.hex(),
        block_size=FakeSecret.block_size,
        scorer=FakeScorer(secret_id, dim),
    )


class FakeKeys:
    def __init__(self, data):
        self._data = data
        self.key_id = open_fake_scorer(data).id

    def to_bytes(self):
        return self._data


class FakeSecret:
    """Looks like ``FheSecret`` to :class:`TenantSecrets`."""

    block_size = 4096

    def __init__(self, seed):
        self.seed = seed
        self.secret_id = hashlib.sha256(b"id" + seed).digest()[:16]

    @classmethod
    def generate(cls, params):
        return cls(secrets.token_bytes(32))

    @classmethod
    def from_bytes(cls, params, data):
        return cls(data)

    def to_bytes(self):
        return self.seed

    def evaluation_keys(self, *, dim, expected=0):
        return FakeKeys(b"FKEY" + self.secret_id + dim.to_bytes(2, "big") + secrets.token_bytes(8))

    def encrypt_query(self, vector):
        return _pack(b"FQRY", self.secret_id, vector)

    def encrypt_block(self, rows, *, expected=0):
        return _pack(b"FBLK", self.secret_id, rows)

    def decrypt_scores(self, reply, counts):
        if len(reply) < _HEAD.size or reply[:4] != b"FSCR":
            message = "these are no fake scores"
            raise CiphertextError(message)
        _, owner, _, blocks = _HEAD.unpack(reply[: _HEAD.size])
        if owner != self.secret_id:
            message = "fake scores of another key"
            raise KeyMismatchError(message)
        body = reply[_HEAD.size :]
        if len(body) < 4 * blocks or (len(body) - 4 * blocks) % 8:
            message = "fake scores are cut off"
            raise CiphertextError(message)
        sizes = struct.unpack(f">{blocks}I", body[: 4 * blocks])
        scores = np.frombuffer(body, dtype="<f8", offset=4 * blocks)
        if list(sizes) != list(counts) or len(scores) != sum(sizes):
            message = "fake scores of other blocks"
            raise CiphertextError(message)
        return list(np.split(scores, np.cumsum(sizes)[:-1]))


class FakeTenantSecrets(TenantSecrets):
    """The real keeping of secrets in the keyring, around fake ones."""

    secret_kind = FakeSecret


def make_server(path=":memory:", **limits):
    return EncryptedIndexServer(path, limits=IndexLimits(**limits), open_scorer=open_fake_scorer)


def make_client(server, token, rings, *, transport=None, on_alarm=lambda *_: None, **config):
    settings = {"grace_s": 0.01, "tail_rows": 8, "fetch_rows": 8, **config}
    return EncryptedIndex(
        transport or InProcessTransport(server, token),
        token,
        rings,
        config=PrivateIndexConfig(**settings),
        on_alarm=on_alarm,
        open_secrets=FakeTenantSecrets,
    )


def make_rings(policy=None):
    return Keyrings.in_memory(policy=policy)


def unit_rows(count, dim=DIM, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
