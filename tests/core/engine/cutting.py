"""Cuts a request with an idempotency key off at one point, then asks it again. Run: ``python cutting.py FOLDER``.

Everything is loaded once; each life is a fork. Prints a line of JSON for each point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from leo_core import LEO, LEOConfig, verify_receipt
from leo_core.engine import effects as ask
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.cache.config import CacheConfig
from leo_core.storage import receipt_log

BRISK = LEOConfig(cache=CacheConfig(single_flight_wait_s=0.5))
"""A lease of a life that was cut off ends soon."""

POINTS = {
    "before the intent": (ask.BeginIntent, "before"),
    "after the intent": (ask.BeginIntent, "after"),
    "in the call": None,
    "before the result": (ask.KeepResult, "before"),
    "before the append": (ask.Certify, "before"),
    "in the checkpoint": None,
    "after the append": (ask.Certify, "after"),
    "after all": (ask.SettleIntent, "after"),
}


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def open_leo(folder, *, reply=None):
    def note(request):
        with (folder / "calls").open("a") as file:
            file.write("call\n")
        return reply() if reply else "29"

    return LEO(small=ScriptedModel("parrot", replies=note, cost=0.002), store=folder / "leo.db", config=BRISK)


def first_life(folder, point):
    leo = open_leo(folder, reply=die if point == "in the call" else None)
    if point == "in the checkpoint":
        receipt_log.seal = die
    if POINTS[point]:
        effect, when = POINTS[point]
        perform = leo._world._handlers[effect]

        def cut(asked):
            if when == "after":
                perform(asked)
            die()

        leo._world._handlers[effect] = cut
    leo.ask("How many days does February have in 2028?", idempotency_key="order-17")
    os._exit(70)


def second_life(folder, pipe):
    with open_leo(folder) as leo:
        recovered = leo.log.size()
        answers = [leo.ask("How many days does February have in 2028?", idempotency_key="order-17") for _ in range(2)]
        for answer in answers:
            verify_receipt(answer.receipt, public_key=leo.public_key)
        said = {
            "calls": len((folder / "calls").read_text().split()),
            "receipts_at_start": recovered,
            "receipts": leo.log.audit(),
            "texts": [answer.text for answer in answers],
            "replayed": [answer.replayed for answer in answers],
            "costs": [answer.usage.cost_usd for answer in answers],
            "ids": len({answer.id for answer in answers}),
            "receipt_ids": len({answer.receipt.id for answer in answers}),
            "cut_off": leo.counts.get("journal.cut_off", 0),
        }
    os.write(pipe, json.dumps(said).encode())
    os._exit(0)


def live(life, *arguments):
    child = os.fork()
    if child == 0:
        try:
            life(*arguments)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(71)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder):
    with LEO(small=ScriptedModel("parrot", replies="warm")) as leo:
        leo.ask("load and compile everything before the first fork", idempotency_key="warm")
    for number, point in enumerate(POINTS):
        home = folder / str(number)
        home.mkdir()
        killed = live(first_life, home, point)
        read, write = os.pipe()
        ended = live(second_life, home, write)
        os.close(write)
        with os.fdopen(read) as said:
            seen = {"point": point, "killed": killed, "ended": ended, **json.loads(said.read() or "{}")}
        os.write(1, (json.dumps(seen) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
