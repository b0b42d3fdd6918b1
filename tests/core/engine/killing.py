"""Writes through LEO in children that are killed at random points. Run: ``python killing.py STORE ACKS KILLS SEED``.

Everything is loaded once; each child is a fork that opens the store, answers questions, and notes the receipt of every
answer that it was given, until it is killed with SIGKILL.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from leo_core.engine.leo import LEO
from leo_core.providers.scripted import ScriptedModel


def write(store, acks, number):
    note = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    leo = LEO(small=ScriptedModel("parrot", replies=lambda request: request.question), store=store)
    os.write(note, b"open\n")
    for turn in range(100_000):
        answer = leo.ask(f"question {turn % 50} of child {number}?")
        os.write(note, f"{answer.receipt.id}\n".encode())


def main(store, acks, kills, seed):
    chance = random.Random(seed)
    with LEO(small=ScriptedModel("parrot", replies="warm"), store=":memory:") as leo:
        leo.ask("load and compile everything before the first fork")
    for number in range(kills):
        child = os.fork()
        if child == 0:
            try:
                write(store, acks, number)
            finally:
                os._exit(70)
        time.sleep(chance.uniform(0.0, 0.35))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"child {number} ended by itself: {status}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
