"""Alters what an index server replies, as many times as one likes, and looks what its client makes of it.

``python -m tests.soak.fuzz_replies COUNT SEED``

The server knows the key of the envelopes' MACs, so most replies are altered under a right one: numbers, lengths, lists,
scores, sealed rows and errors. Whatever comes, the client either refuses with an error of LEO's tree, or finds nothing,
or tells a question with its true cosine; it never crashes, hangs, or tells anything else.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import replace

from leo_core import errors
from leo_core.errors import PrivateIndexError, WriteConflictError
from leo_core.privacy.index.envelope import open_envelope, seal_envelope
from leo_core.privacy.index.transport import InProcessTransport
from tests.core.privacy.index_parts import make_client, make_rings, make_server, unit_rows

SLOWEST_S = 5.0
ROWS = unit_rows(60)
_TOLD = ("ReplayedWriteError", "StaleEvaluationKeyError", "UnknownEvaluationKeyError", "UnknownIndexError")
_NUMBERS = (0, 1, 2**32, 2**63, 2**64 - 1, 2**70, -3)


class Liar:
    """A transport to an honest server whose replies it alters: about one in three."""

    def __init__(self, server, token, draw):
        self.inner, self.key, self.draw = InProcessTransport(server, token), token.mac_key(), draw
        self.altered = 0

    def send(self, request):
        reply = self.inner.send(request)
        if self.draw.random() < 0.7:
            return reply
        self.altered += 1
        kind = self.draw.randrange(10)
        if kind == 0:
            raise self._make_error()
        if kind == 1:
            return self.alter(reply)
        opened = open_envelope(reply, self.key, most_bytes=2**30)
        sequence = self.draw.choice((opened.sequence + 1, *_NUMBERS[:5])) if kind == 2 else opened.sequence
        payload = opened.payload if kind == 2 else self.alter(opened.payload)
        return seal_envelope(replace(opened, sequence=sequence, payload=payload), self.key)

    def _make_error(self):
        if self.draw.random() < 0.4:
            return WriteConflictError("others came first", check="sequence", sequence=self.draw.choice(_NUMBERS))
        return getattr(errors, self.draw.choice(_TOLD))("refused", check="rows")

    def alter(self, data):
        """Bits, bytes that are numbers or lengths, pieces that change places, and now and then another length."""
        made = bytearray(data)
        for _ in range(self.draw.randint(1, 3)):
            if not made:
                break
            at = self.draw.choice((self.draw.randrange(len(made)), self.draw.randrange(64) % len(made)))
            kind = self.draw.randrange(6)
            if kind < 2:
                made[at] ^= 1 << self.draw.randrange(8)
            elif kind == 2:
                made[at] = self.draw.choice((0, 1, 2, 0x7F, 0xFF))
            elif kind == 3:
                made[at : at + 4] = self.draw.choice((0, 1, 4096, 2**31, 2**32 - 1)).to_bytes(4, "big")
            elif kind == 4:
                other = self.draw.randrange(len(made))
                made[at : at + 16], made[other : other + 16] = made[other : other + 16], made[at : at + 16]
            elif self.draw.random() < 0.3:
                made = made[: self.draw.randrange(len(made) + 1)]
        return bytes(made)

    def close(self):
        """Nothing to release."""


class ReplyFuzzer:
    """Two clients of one index with twenty rows, one of them behind the liar."""

    def __init__(self, seed, mode):
        self.draw, self.mode = random.Random(seed), mode
        self.server = make_server()
        self.token, self.rings = self.server.add_account("acme"), make_rings()
        self.honest = make_client(self.server, self.token, self.rings, mode=mode)
        for number in range(20):
            self._add(self.honest, number)
        self.liar = Liar(self.server, self.token, self.draw)
        self.client, self.outcomes = None, Counter()

    def step(self, number):
        """Search, or write; a fresh client every ten steps.

        Raises:
            AssertionError: It took too long, or something untrue was told. Anything but a refusal of the index comes
                out as it is.
        """
        if number % 10 == 0:
            self.end()
            self.client = make_client(
                self.server, self.token, self.rings, transport=self.liar, mode=self.mode, alarm_after=2**31
            )
        started = time.monotonic()
        try:
            outcome = self._search() if self.draw.random() < 0.75 else self._write()
        except PrivateIndexError as error:
            outcome = f"{type(error).__name__}:{error.check}"
        assert time.monotonic() - started < SLOWEST_S
        self.outcomes[outcome] += 1

    def end(self):
        """Close the client."""
        if self.client is not None:
            self.client.close()

    def _search(self):
        asked = self.draw.randrange(len(ROWS))
        hits = self.client.search("t", "s", ROWS[asked], k=3, now=0.0)
        for hit in hits:
            row = ROWS[int(hit.question.partition(":")[0][1:])]
            assert abs(hit.cosine - float(row @ ROWS[asked])) < 1e-5, hit
        return "found" if hits else "nothing found"

    def _write(self):
        number = self.draw.randrange(len(ROWS))
        kind = self.draw.randrange(8)
        if kind == 0:
            self.client.remove("t", "s", [f"e{number}:k"])
        elif kind == 1:
            self.client.compact("t", "s")
        elif kind == 2:
            self.client.rewrite("t")
        elif kind == 3:
            self.client.stats("t")
        elif kind == 4:
            self.client.flush("t", "s")
        elif kind == 5 and self.draw.random() < 0.05:
            self.client.clear("t")
        else:
            self._add(self.client, number)
        return "written"

    @staticmethod
    def _add(client, number):
        client.add("t", "s", f"e{number}:k", ROWS[number], expires_at=None)


def main(count, seed):
    """Do so many steps in each mode, and print what came of them."""
    for mode in ("query_private", "fully_encrypted"):
        fuzzer, started = ReplyFuzzer(seed, mode), time.monotonic()
        for number in range(count):
            fuzzer.step(number)
        fuzzer.end()
        took = time.monotonic() - started
        print(f"{mode}: {fuzzer.liar.altered} replies altered in {count} calls, seed {seed}, {took:.1f} s")  # noqa: T201 - a command's output
        for outcome, times in fuzzer.outcomes.most_common():
            print(f"{times:8d}  {outcome}")  # noqa: T201 - as above


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
