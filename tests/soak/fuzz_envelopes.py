"""Throws altered envelopes at an index server, as many as one likes.

``python -m tests.soak.fuzz_envelopes COUNT SEED [real]``

With ``real``, the server scores real ciphertexts; otherwise a quick stand-in does, which hides nothing. Half of them
have a right MAC, as a client with a token could make them: those get to the payload. Each has to be refused with an
error of LEO's tree, or be answered; nothing may crash, hang, or change the index unnoticed.
"""

from __future__ import annotations

import hmac
import random
import sys
import time
from collections import Counter
from dataclasses import replace

from leo_core.errors import PrivateIndexError
from leo_core.privacy.index.envelope import MAC_BYTES, Kind, open_envelope, seal_envelope
from leo_core.privacy.index.framing import pack_ids, pack_u64
from leo_core.privacy.index.limits import IndexLimits
from leo_core.privacy.index.payloads import BlockUpload, IndexForm, KeyUpload, SealedRow, pack_rows
from leo_core.privacy.index.server import EncryptedIndexServer
from tests.core.privacy.index_parts import DIM, make_server, unit_rows
from tests.core.privacy.index_wire import ENCRYPTED, Wire

SLOWEST_S = 5.0
_MOST_BYTES = 2**23


def _open_real():
    """A server that scores ciphertexts, and a secret."""
    from tests.core.privacy.fhe import secret_of

    limits = IndexLimits(max_envelope_bytes=_MOST_BYTES, max_account_bytes=2**27)
    return EncryptedIndexServer(":memory:", limits=limits), secret_of()


class Fuzzer:
    """A server with one index, and envelopes of every kind to start from."""

    def __init__(self, seed, *, real=False):
        self.draw, self.real = random.Random(seed), real
        self.server, secret = _open_real() if real else (make_server(max_envelope_bytes=2**20), None)
        self.wire = Wire(self.server, self.server.add_account("acme"), secret=secret).start()
        self.ids = self.wire.append(6)
        self.block = self.wire.block(self.ids[:4])
        self.seeds = [self.wire.make(kind, payload, **fields) for kind, payload, fields in self._samples()]
        self.outcomes = Counter()

    def _samples(self):
        wire, key = self.wire, {"key_id": self.wire.keys.key_id}
        rows = [SealedRow(id=self.draw.randbytes(16), sealed=b"sealed") for _ in range(3)]
        upload = BlockUpload(
            id=bytes(16), rows=tuple(self.ids[4:]), replaces=(), data=wire.secret.encrypt_block(unit_rows(2))
        )
        return [
            (Kind.REGISTER_KEYS, KeyUpload(expected=wire.keys.key_id, keys=wire.keys.to_bytes()).pack(), key),
            (Kind.RETIRE_KEYS, b"", key),
            (Kind.OPEN_INDEX, IndexForm(mode=ENCRYPTED, dim=DIM).pack(), {}),
            (Kind.APPEND_TAIL, pack_rows(rows), {}),
            (Kind.APPEND_PLAIN_BLOCK, upload.pack(), key),
            (Kind.APPEND_ENCRYPTED_BLOCK, upload.pack(), key),
            (Kind.REMOVE, pack_ids(self.ids[:2]), {}),
            (Kind.RESEAL, pack_rows(rows), {}),
            (Kind.CHANGES, pack_u64(1), {}),
            (Kind.SCORE, wire.secret.encrypt_query(unit_rows(1)[0]), key),
            (Kind.FETCH, pack_ids(self.ids), {}),
            (Kind.BLOCK_ROWS, self.block, {}),
            (Kind.STATS, b"", {}),
        ]

    def mutate(self, data):
        """Between one and four changes: bits, bytes, cuts, copies, lengths, and pieces of other envelopes."""
        made = bytearray(data)
        for _ in range(self.draw.randint(1, 4)):
            at, kind = self.draw.randrange(len(made) + 1), self.draw.randrange(8)
            if kind == 0 and made:
                made[at % len(made)] ^= 1 << self.draw.randrange(8)
            elif kind == 1 and made:
                made[at % len(made)] = self.draw.choice([0, 1, 0x7F, 0x80, 0xFF])
            elif kind == 2:
                del made[at : at + self.draw.randint(1, 40)]
            elif kind == 3:
                made[at:at] = self.draw.randbytes(self.draw.randint(1, 40))
            elif kind == 4:
                made[at : at + 4] = self.draw.choice([0, 1, 2**31, 2**32 - 1, len(made)]).to_bytes(4, "big")
            elif kind == 5:
                made[at:at] = made[at : at + self.draw.randint(1, 60)]
            elif kind == 6:
                other = self.draw.choice(self.seeds)
                start = self.draw.randrange(len(other))
                made[at : at + 20] = other[start : start + 20]
            else:
                made = made[: self.draw.randrange(len(made) + 1)]
        return bytes(made)

    def flip(self, data):
        """Between one and three bits: the length stays, so that what is altered is read to its end."""
        made = bytearray(data)
        for _ in range(self.draw.randint(1, 3) if made else 0):
            made[self.draw.randrange(len(made))] ^= 1 << self.draw.randrange(8)
        return bytes(made)

    def make(self):
        """An altered envelope, or noise."""
        if self.draw.random() < 0.05:
            return self.draw.randbytes(self.draw.randrange(200))
        seed = self.draw.choice(self.seeds)
        if self.draw.random() < 0.5:
            return self.mutate(seed)
        key = self.wire.token.mac_key()
        if self.draw.random() < 0.5:  # a right envelope around an altered payload
            envelope = open_envelope(seed, key, most_bytes=_MOST_BYTES)
            sequence = self.wire.sequence + 1 if envelope.kind.writes else 0
            alter = self.flip if self.real and self.draw.random() < 0.5 else self.mutate
            return seal_envelope(replace(envelope, sequence=sequence, payload=alter(envelope.payload)), key)
        body = self.mutate(seed[:-MAC_BYTES])
        return body + hmac.digest(key, body, "sha256")

    def step(self):
        """Send one; returns what came of it.

        Raises:
            AssertionError: It took too long. Anything but a refusal of the index comes out as it is.
        """
        data, started = self.make(), time.monotonic()
        try:
            reply = self.server.answer(self.wire.token.bearer(), data)
        except PrivateIndexError as error:
            outcome = f"{type(error).__name__}:{error.check}"
        else:
            outcome = "answered"
            opened = open_envelope(reply, self.wire.token.mac_key(), most_bytes=2**30)
            assert opened.is_reply
            if opened.kind.writes:
                self.wire.sequence = opened.sequence
        assert time.monotonic() - started < SLOWEST_S
        self.outcomes[outcome] += 1
        return outcome


def main(count, seed, *, real):
    """Throw ``count`` envelopes, and print what came of them."""
    fuzzer, started = Fuzzer(seed, real=real), time.monotonic()
    for _ in range(count):
        fuzzer.step()
    stats = fuzzer.wire.stats()
    print(f"{count} envelopes, seed {seed}, {time.monotonic() - started:.1f} s")  # noqa: T201 - a command's output
    for outcome, times in fuzzer.outcomes.most_common():
        print(f"{times:8d}  {outcome}")  # noqa: T201 - as above
    print(f"no crash, no hang; the server answers: {stats}")  # noqa: T201 - as above


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 10_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 0,
        real="real" in sys.argv[3:],
    )
