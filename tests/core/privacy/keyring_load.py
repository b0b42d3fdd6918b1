"""A process that uses a keyring from several threads, for the tests of keyrings under load.

::

    python -m tests.core.privacy.keyring_load seal keyring records.db name
    python -m tests.core.privacy.keyring_load decrypt keyring
    python -m tests.core.privacy.keyring_load rotate keyring

``seal`` seals, stores, reads and opens until a file ``stop`` lies beside the keyring; ``decrypt`` counts decrypts until
there are three key versions; ``rotate`` rotates for ever, and says each number when it is done.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from leo_core.errors import KeyDestroyedError, KeyExhaustedError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.reencryption import SealedRecord
from leo_core.storage.keyring_file import KeyringFile

__all__ = ["KEK", "MOST_DECRYPTS", "MOST_SEALS", "THREADS", "Records", "load"]

KEK = LocalKek(bytes(range(32)))
MOST_SEALS, MOST_DECRYPTS, THREADS = 600, 256, 3
POLICY = RotationPolicy(max_seals=MOST_SEALS, max_decrypts=MOST_DECRYPTS, seal_lease=4, decrypt_lease=4)


def load(path):
    return ClientKeyring.load(KeyringFile(path), tenant="acme", kek=KEK, policy=POLICY)


class Records:
    """Sealed records in a SQLite file that processes share; each call has a connection of its own."""

    def __init__(self, path):
        self.path = path
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS record (id TEXT PRIMARY KEY, sealed BLOB NOT NULL)")

    def _connect(self):
        connection = sqlite3.connect(self.path, timeout=60)
        connection.execute("PRAGMA synchronous = OFF")
        return _Closing(connection)

    def add(self, id_, sealed):
        with self._connect() as connection:
            connection.execute("INSERT INTO record VALUES (?, ?)", (id_, sealed))

    def get(self, id_):
        with self._connect() as connection:
            return connection.execute("SELECT sealed FROM record WHERE id = ?", (id_,)).fetchone()[0]

    def scan(self):
        with self._connect() as connection:
            rows = connection.execute("SELECT id, sealed FROM record").fetchall()
        for id_, sealed in rows:
            yield SealedRecord(id=id_, purpose="note", aad=id_.encode(), sealed=sealed)

    def replace(self, record, sealed):
        with self._connect() as connection:
            sql = "UPDATE record SET sealed = ? WHERE id = ? AND sealed = ?"
            return connection.execute(sql, (sealed, record.id, record.sealed)).rowcount == 1

    def sync(self):
        """No power is cut in these tests."""


class _Closing:
    def __init__(self, connection):
        self.connection = connection

    def __enter__(self):
        return self.connection.__enter__()

    def __exit__(self, *failure):
        self.connection.__exit__(*failure)
        self.connection.close()


class Worker(threading.Thread):
    """Seals and stores a record, and opens one of those before; over and over."""

    def __init__(self, ring, records, name, stop):
        super().__init__(name=name)
        self.ring, self.records, self.stop = ring, records, stop
        self.sealed, self.served, self.counts = Counter(), {}, Counter()
        self.old: list[tuple[str, bytes]] = []
        self.failure = ""

    def run(self):
        try:
            while not self.stop.exists():
                self.step()
                time.sleep(0.01)
        except BaseException as error:
            self.failure = repr(error)
            raise

    def step(self):
        id_ = f"{self.name}:{sum(self.sealed.values())}"
        sealed = self.ring.seal("note", f"text of {id_}".encode(), aad=id_.encode())
        self.records.add(id_, sealed)
        self.sealed[self.ring.version_of(sealed)] += 1
        self.old.append((id_, sealed))
        id_, kept = random.choice(self.old)
        if not self.open(id_, kept):
            self.counts["refused"] += 1
            if not self.open(id_, self.records.get(id_)):
                self.counts["lost"] += 1

    def open(self, id_, sealed):
        started = time.monotonic_ns()
        version = self.ring.version_of(sealed)
        try:
            data = self.ring.open("note", sealed, aad=id_.encode())
        except KeyDestroyedError:
            return False
        assert data == f"text of {id_}".encode()
        self.counts["opened"] += 1
        self.served[version] = max(started, self.served.get(version, 0))
        return True


def seal(path, records, name):
    ring, stop = load(path), Path(path).with_name("stop")
    workers = [Worker(ring, Records(records), f"{name}-{at}", stop) for at in range(THREADS)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    sealed, counts, served = Counter(), Counter(), {}
    for each in workers:
        sealed += each.sealed
        counts += each.counts
        served = {key: max(served.get(key, 0), each.served.get(key, 0)) for key in {*served, *each.served}}
    failures = [each.failure for each in workers if each.failure]
    return {"sealed": sealed, "counts": counts, "served": served, "failures": failures}


def decrypt(path):
    ring, granted, lock = load(path), Counter(), threading.Lock()

    def count():
        while ring.version < 3:
            version = ring.version
            try:
                version = ring.count_decrypts(version=version)
            except KeyExhaustedError:
                continue
            with lock:
                granted[version] += 1

    threads = [threading.Thread(target=count) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return {"granted": granted}


def rotate(path):
    ring = load(path)
    while True:
        sys.stdout.write(f"{ring.rotate(reason='again')}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps({"seal": seal, "decrypt": decrypt, "rotate": rotate}[what](*arguments)))
