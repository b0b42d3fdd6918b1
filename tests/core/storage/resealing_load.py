"""Processes that write to a private store, or seal it anew, for the tests of rotation under load.

::

    python -m tests.core.storage.resealing_load write store keys name count
    python -m tests.core.storage.resealing_load reseal store keys
    python -m tests.core.storage.resealing_load step store keys

``write`` writes ``count`` of everything from each of several threads; ``reseal`` goes through all that tenant and
store have sealed, again and again, and says so after each pass; ``step`` goes through what the tenant has sealed and
waits for a line after each record.
"""

from __future__ import annotations

import dataclasses
import sys
import threading

from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.records import Intent, Observation
from leo_core.stages.receipt.document import read_statement
from leo_core.storage.journal import SqliteJournal
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.ledger import SqliteLedger
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.receipt_log import SqliteReceiptLog
from leo_core.storage.sealed_journal import SealedJournal
from leo_core.storage.sealed_ledger import SealedLedger
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.ledger import MONTH, NOW, hold
from tests.contracts.receipt_log import statement_of
from tests.contracts.store_samples import FINGERPRINT, axis, make_entry
from tests.core.receipt.examples import KEY, ORIGIN

__all__ = ["THREADS", "Parts"]

THREADS = 3


class Parts:
    """All parts of one private store's file, as one process holds them."""

    def __init__(self, path, keys, *, grace_s=0.0):
        rings = Keyrings.in_folder(keys, policy=RotationPolicy(grace_s=grace_s))
        plain = SqliteStore(path)
        self.store = PrivateStore(plain, rings)
        self.store.open_for(FINGERPRINT)
        self.rows, self.tenant, self.root = self.store.rows, rings.of("acme"), rings.root
        self.journal = SealedJournal(SqliteJournal(plain.database), self.rows)
        self.ledger = SealedLedger(SqliteLedger(plain.database), SqliteStore(plain.database), self.rows)
        self.log = SqliteReceiptLog(plain.database, KEY, ORIGIN, rows=self.rows)

    def write(self, name):
        """One of everything."""
        self.store.put(make_entry(name), axis(0))
        self.store.add_alias("acme", f"id-{name}", f"paraphrase {name}", axis(1), f"alias-{name}")
        self.store.observe([Observation(kind="audit", tenant="acme", body={"name": name}, at=1.0)])
        self.store.save_state("acme", f"state-{name}", name.encode())
        self.journal.begin(Intent(tenant="acme", key=name, digest="d" * 64, began_at=1.0))
        self.journal.keep("acme", name, name)
        self.journal.settle("acme", name, f"leo:rcpt:{name}")
        self.ledger.reserve(hold(name, 1, dataclasses.replace(MONTH, budget=f"budget-{name}")), now=NOW)
        self.log.append(*statement_of(name))

    def read(self):
        """Names that come out of each part."""
        kept = list(self.store.entries("acme"))
        found = {
            "entries": {each.entry.text.removeprefix("question ") for each in kept},
            "aliases": {alias.text.removeprefix("paraphrase ") for each in kept for alias in each.aliases},
            "observations": sorted(each.body["name"] for _, each in self.store.observations(tenant="acme")),
            "accounts": {each.account.budget.removeprefix("budget-") for each in self.ledger.balances(now=NOW)},
            "receipts": {read_statement(each)["answer_id"] for each in self.log.receipts() if each.openings},
        }
        found["states"] = {name for name in found["entries"] if self.store.load_state("acme", f"state-{name}")}
        intents = {name: self.journal.find("acme", name) for name in found["entries"]}
        found["answers"] = {name for name, each in intents.items() if each and each.result == name}
        found["settled"] = {name for name, each in intents.items() if each and each.receipt_id == f"leo:rcpt:{name}"}
        return found


def write(path, keys, name, count):
    parts = Parts(path, keys)

    def work(number):
        for at in range(int(count)):
            parts.write(f"{name}-{number}-{at}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    parts.store.close()


def reseal(path, keys):
    parts = Parts(path, keys)
    while True:
        for tenant in ("acme", None):
            parts.store.reseal(tenant)
        say("passed")


def step(path, keys):
    parts = Parts(path, keys)

    def wait(met, done):
        say(f"{met} {done}")
        sys.stdin.readline()

    parts.store.reseal("acme", report=wait)


def say(words):
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    {"write": write, "reseal": reseal, "step": step}[what](*arguments)
