"""Two processes fill one store and are killed at random. Run: ``python -m tests.soak.two_writers ENTRIES SEED``.

Each lane is a process that loads everything once and then forks a writer at a time; a writer says what was
acknowledged to it, and is killed with SIGKILL after a random number of words, at a random moment. Prints what was
found afterwards as one JSON object; ends with an error if anything acknowledged is lost, or the index is not the rows.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from leo_core.storage.sqlite import SqliteStore
from leo_core.storage.vector_cache import VectorCache
from tests.contracts.store_samples import DIMENSION, FINGERPRINT, NOW, make_entry, make_vectors

LANES = 2
MOST_WORDS = 60
PROBES = 200
ROOT = Path(__file__).parents[2]


def write(path: str, run: str) -> None:
    """Put, put several, remove, and search, saying after each call what it did; until killed."""
    dice = random.Random(run)
    vectors = make_vectors(4096, seed=dice.randrange(2**32))
    number = 0
    with SqliteStore(path) as store:
        store.open_for(FINGERPRINT)
        while True:
            count = dice.choice((1, 1, 1, 8, 32))
            rows = [
                (make_entry(f"{run}-{number + step}"), vectors[(number + step) % len(vectors)]) for step in range(count)
            ]
            store.put(*rows[0]) if count == 1 else store.put_many(rows)
            say(f"put {run} {number} {number + count}")
            if dice.random() < 0.1:
                say(f"removing {run} {number} {number + 1}")
                store.remove("acme", entry_ids=[f"id-{run}-{number}"])
                say(f"removed {run} {number} {number + 1}")
            if dice.random() < 0.02:
                store.search("acme", "scope", vectors[number % len(vectors)], k=3, now=NOW)
            number += count


def say(line: str) -> None:
    """One write, so that lines of two processes never mix."""
    os.write(1, f"{line}\n".encode())


def nurse(path: str) -> None:
    """Fork a writer for each line read, and say when it is dead."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                write(path, line.strip())
            finally:
                os._exit(70)
        say(f"born {child}")
        _, status = os.waitpid(child, 0)
        say(f"dead {os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)}")


class Lane:
    """One process that forks writers, and what was acknowledged to them."""

    def __init__(self, path: Path, number: int) -> None:
        self.number, self.runs = number, 0
        self.words: list[list[str]] = []
        self.left = 0
        self.child = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.two_writers", "nurse", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def start(self, dice: random.Random) -> None:
        """Have a writer born, and decide after how many words it dies."""
        self.process.stdin.write(f"{self.number}.{self.runs}\n")
        self.process.stdin.flush()
        self.runs += 1
        self.left = dice.randint(1, MOST_WORDS)
        self.child = int(self.process.stdout.readline().split()[1])

    def read_until_dead(self) -> None:
        """Take what was still acknowledged."""
        for line in iter(self.process.stdout.readline, ""):
            words = line.split()
            if words[0] == "dead":
                assert words[1] == str(int(signal.SIGKILL)), f"a writer ended by itself: {line}"
                return
            self.words.append(words)
        raise AssertionError("a nursery ended by itself")

    def end(self) -> None:
        """Let no more writers be born."""
        self.process.communicate()


def run(folder: Path, *, entries: int, seed: int, kills: int = 0) -> dict[str, Any]:
    """Write until ``entries`` are acknowledged and ``kills`` writers were killed, then look; figures of what was found.

    The faster the writers are, the more they write before each kill.

    Raises:
        AssertionError: Something acknowledged is lost, or the index does not agree with the rows.
    """
    path, dice = folder / "leo.db", random.Random(seed)
    watcher = SqliteStore(path)
    watcher.open_for(FINGERPRINT)
    lanes = [Lane(path, number) for number in range(LANES)]
    started, query, acknowledged = time.perf_counter(), make_vectors(1, seed=seed)[0], 0
    for lane in lanes:
        lane.start(dice)
    while acknowledged < entries or sum(lane.runs for lane in lanes) < kills:
        lane = dice.choice(lanes)
        while lane.left:
            words = lane.process.stdout.readline().split()
            lane.words.append(words)
            lane.left -= 1
        time.sleep(dice.random() * 0.003)
        os.kill(lane.child, signal.SIGKILL)
        lane.read_until_dead()
        watcher.search("acme", "scope", query, k=5, now=NOW)
        acknowledged = sum(int(word[3]) - int(word[2]) for each in lanes for word in each.words if word[0] == "put")
        lane.start(dice)
    for lane in lanes:
        os.kill(lane.child, signal.SIGKILL)
        lane.read_until_dead()
        lane.end()
    elapsed = time.perf_counter() - started
    figures = check(path, watcher, [words for lane in lanes for words in lane.words])
    watcher.close()
    return {"kills": sum(lane.runs for lane in lanes), "seconds": round(elapsed, 1), **figures}


def check(path: Path, watcher: SqliteStore, words: list[list[str]]) -> dict[str, Any]:
    """Compare the store with what was acknowledged, and both indexes (the watcher's, and a new one) with the rows."""
    named: dict[str, set[str]] = {"put": set(), "removing": set(), "removed": set()}
    for word, run_name, first, stop in words:
        named[word].update(f"id-{run_name}-{number}" for number in range(int(first), int(stop)))
    started = time.perf_counter()
    with SqliteStore(path) as store:
        store.open_for(FINGERPRINT)
        opened = time.perf_counter() - started
        with store.database.read() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
            kept = {row[0] for row in connection.execute("SELECT id FROM entries")}
            rows = connection.execute(
                "SELECT q.row, e.id, q.vector FROM questions q JOIN entries e ON e.row = q.entry ORDER BY q.row"
            ).fetchall()
            fresh = VectorCache(max_bytes=1 << 30).view(connection, "acme", "scope", dimension=DIMENSION)
        lost = named["put"] - named["removing"] - kept
        assert not lost, f"{len(lost)} acknowledged entries are lost, such as {min(lost)}"
        revived = named["removed"] & kept
        assert not revived, f"{len(revived)} removed entries are back, such as {min(revived)}"
        numbers = [row[0] for row in rows]
        assert {row[1] for row in rows} == kept
        assert fresh.questions[fresh.alive].tolist() == numbers
        with watcher.database.read() as connection:
            followed = watcher._vectors.view(connection, "acme", "scope", dimension=DIMENSION)
        assert followed.questions[followed.alive].tolist() == numbers
        for place in np.linspace(0, len(rows) - 1, PROBES, dtype=int).tolist():
            vector = np.frombuffer(rows[place][2], dtype="<f4")
            for searched in (store, watcher):
                (best,) = searched.search("acme", "scope", vector, k=1, now=NOW)
                assert best.cosine > 1 - 1e-6
    return {
        "acknowledged": len(named["put"]),
        "removed": len(named["removed"]),
        "lost": len(lost),
        "kept": len(kept),
        "unacknowledged_kept": len(kept - named["put"]),
        "indexed": len(numbers),
        "open_s": round(opened, 3),
    }


def main() -> None:
    """Be a nursery, or run and print."""
    if sys.argv[1] == "nurse":
        nurse(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(run(Path(folder), entries=int(sys.argv[1]), seed=int(sys.argv[2]))) + "\n")


if __name__ == "__main__":
    main()
