"""Queries and writes go on while the number of decryptions rotates an index's keys again and again, and old ones go."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest

from leo_core.errors import KeyExhaustedError
from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.transport import InProcessTransport
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyset import KeyState
from tests.core.privacy.index_parts import FakeTenantSecrets, make_rings, make_server, unit_rows

ROWS = unit_rows(400)
READERS, LAST_VERSION = 3, 4
MOST_DECRYPTS = 400


class Watched(FakeTenantSecrets):
    """Notes when each decryption under a secret began."""

    begun: dict[str, list[int]]

    def decrypt_scores(self, secret_id, reply, counts):
        began = time.monotonic_ns()
        scores = super().decrypt_scores(secret_id, reply, counts)
        self.begun[secret_id].extend([began] * max(1, len(counts)))
        return scores


class Load:
    """Two clients of one index: one that threads search, and one that writes."""

    def __init__(self, mode):
        self.server = make_server()
        token = self.server.add_account("acme")
        policy = RotationPolicy(max_decrypts=MOST_DECRYPTS, decrypt_lease=1, grace_s=0.0)
        rings = make_rings(policy)
        self.ring, self.begun = rings.of("t"), defaultdict(list)

        class Secrets(Watched):
            begun = self.begun

        config = PrivateIndexConfig(mode=mode, tail_rows=8, fetch_rows=8, grace_s=0.0)
        self.reader, self.writer = (
            EncryptedIndex(InProcessTransport(self.server, token), token, rings, config=config, open_secrets=Secrets)
            for _ in range(2)
        )
        self.written, self.lost, self.failures, self.searches = 0, [], [], [0] * READERS
        self.stopped = threading.Event()

    def write(self):
        while not self.stopped.is_set() and self.written < len(ROWS):
            number = self.written
            self.writer.add("t", "s", f"e{number}:k", ROWS[number], expires_at=None)
            self.written = number + 1
            time.sleep(0.01)

    def read(self, reader):
        number, step = 0, 6 * reader + 1
        while not self.stopped.is_set():
            number = (number + step) % max(1, self.written)
            if number < self.written:
                self.search(number)
            self.searches[reader] += 1
            time.sleep(0.002)

    def search(self, number):
        try:
            hits = self.reader.search("t", "s", ROWS[number], k=1, now=0.0)
        except KeyExhaustedError:  # at the cap itself it is refused, until everything is encrypted anew
            return
        if [hit.question for hit in hits] != [f"e{number}:k"]:
            self.lost.append((number, hits))

    def wait_for_searches(self):
        """Until whatever is searched now has ended: the least grace that there has to be before a key goes."""
        before = list(self.searches)
        while any(now < then + 2 for now, then in zip(self.searches, before, strict=True)):
            if self.stopped.wait(0.001):
                return

    def run(self, work, *arguments):
        try:
            work(*arguments)
        except BaseException as error:
            self.failures.append(error)
            self.stopped.set()
            raise


@pytest.mark.parametrize("mode", ["query_private", "fully_encrypted"])
def test_the_decrypt_cap_rotates_under_load_and_nothing_is_lost_or_served_under_a_destroyed_key(mode):
    load, destroyed = Load(mode), {}
    threads = [threading.Thread(target=load.run, args=(load.write,))]
    threads += [threading.Thread(target=load.run, args=(load.read, reader)) for reader in range(READERS)]
    for thread in threads:
        thread.start()
    secrets = {}
    end = time.monotonic() + 120
    while load.ring.version < LAST_VERSION and not load.stopped.is_set():
        assert time.monotonic() < end, "the cap does not rotate"
        for version in load.ring.keyset.versions:
            secret = find_secret(load, version)
            if secret is not None:
                secrets[version.number] = secret
            if version.state is KeyState.DECRYPT_ONLY and version.number not in destroyed:
                load.reader.rewrite("t")
                load.wait_for_searches()
                load.ring.destroy_version(version.number)
                destroyed[version.number] = time.monotonic_ns()
        time.sleep(0.005)
    load.stopped.set()
    for thread in threads:
        thread.join()
    assert load.failures == []
    assert load.lost == []
    assert {1, 2} <= set(destroyed) <= set(secrets)
    for number, at in destroyed.items():
        assert max(load.begun[secrets[number]], default=0) <= at, "under a destroyed key"
    for version in load.ring.keyset.versions:
        done = len(load.begun[secrets.get(version.number, "")])
        assert done <= version.decrypts <= MOST_DECRYPTS
        assert version.reason == ("new" if version.number == 1 else "decrypts")
    for number in range(load.written):
        (hit,) = load.reader.search("t", "s", ROWS[number], k=1, now=0.0)
        assert hit.question == f"e{number}:k"
    load.reader.close()
    load.writer.close()


def find_secret(load, version):
    """Name of the homomorphic secret of a version, if the readers have used it."""
    for secrets in list(load.reader._secrets.values()):
        known = secrets._secrets.get(version.number)
        if known is not None:
            return known.secret_id.hex()
    return None
