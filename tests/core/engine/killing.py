"""Writes through LEO in children that are killed at random points. Run: ``python killing.py STORE ACKS KILLS SEED``.

Everything is loaded once; each child is a fork that opens the store, answers questions, and notes the receipt of every
answer that it was given, until it is killed with SIGKILL: one in four while it opens the store or soon after, the rest
after a random number of answers and a random moment more, so that a slow machine kills at the same points.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from leo_core.engine.leo import LEO
from leo_core.providers.scripted import ScriptedModel

NOTE_BYTES = len("leo:rcpt:") + 64 + 1
"""Length of a receipt's id and the end of its line."""


def write(store, acks, number):
    note = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    leo = LEO(small=ScriptedModel("parrot", replies=lambda request: request.question), store=store)
    os.write(note, b"open\n")
    for turn in range(100_000):
        answer = leo.ask(f"question {turn % 50} of child {number}?")
        os.write(note, f"{answer.receipt.id}\n".encode())


def wait_for(acks, grown_to):
    """Wait until the children have noted so many bytes."""
    deadline = time.monotonic() + 60
    while acks.stat().st_size < grown_to:
        if time.monotonic() > deadline:
            sys.exit(f"no answer for a minute; {acks} has fewer than {grown_to} bytes")
        time.sleep(0.001)


def main(store, acks, kills, seed):
    chance = random.Random(seed)
    with LEO(small=ScriptedModel("parrot", replies="warm"), store=":memory:") as leo:
        leo.ask("load and compile everything before the first fork")
    acks.touch()
    for number in range(kills):
        child = os.fork()
        if child == 0:
            try:
                write(store, acks, number)
            finally:
                os._exit(70)
        if number % 4:
            wait_for(acks, acks.stat().st_size + len("open\n") + NOTE_BYTES * chance.randint(1, 20))
        time.sleep(chance.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"child {number} ended by itself: {status}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
