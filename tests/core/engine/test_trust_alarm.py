"""Through the whole engine: members that begin to answer differently set off an alarm, and audits are drawn ahead."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from leo_core import LEO, LEOConfig, Route
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.consensus.watch import LEAST, WINDOW

if TYPE_CHECKING:
    from leo_core.records import Answer, Event, Request

STEADY = 2 * (LEAST + WINDOW)
AFTER = 40


class Listener:
    """Notes at which request what was heard."""

    def __init__(self) -> None:
        self.asked = 0
        self.heard: list[tuple[str, int]] = []

    def notify(self, event: Event) -> None:
        self.heard.append((event.name, self.asked))

    def times(self, name: str) -> list[int]:
        return [asked for heard, asked in self.heard if heard == name]


def number_of(request: Request) -> int:
    return int(request.question.split()[-1].rstrip("?"))


def make_member(name: str, *, wakes: bool) -> ScriptedModel:
    """Right seven times in ten, and else wrong in its own way; one that wakes answers 13 from then on."""

    def reply(request: Request) -> str:
        number, draw = number_of(request), random.Random(f"{name} {request.question}")
        if wakes and number >= STEADY:
            return "The answer is 13."
        return f"The answer is {100 + number if draw.random() < 0.7 else 1000 + draw.randrange(9)}."

    return ScriptedModel(name, replies=reply, family=name)


def check(request: Request, answer: Answer) -> bool:
    return f"The answer is {100 + number_of(request)}." in answer.text


def play(config: LEOConfig) -> Listener:
    listener = Listener()
    jury = [make_member(name, wakes=name in ("a", "b")) for name in ("a", "b", "c", "d", "e")]
    with LEO(jury=jury, config=config, checker=check, listeners=[listener], seed=3) as leo:
        for listener.asked in range(STEADY + AFTER):
            leo.ask(f"How much is one hundred and {listener.asked}?", route=Route.CONSENSUS, cache=False)
            leo.flush()
    return listener


def test_an_alarm_draws_audits_ahead_and_only_then() -> None:
    config = LEOConfig(audit_rate=0.05)
    calm = replace(config, consensus=replace(config.consensus, audit_ahead=0))
    listener = play(calm)
    (alarm,) = listener.times("trust.alarm")
    assert STEADY < alarm <= STEADY + WINDOW
    audits = listener.times("audit.done")
    before, soon = [at for at in audits if at < alarm], [at for at in audits if alarm <= at < alarm + 20]
    assert len(before) <= 2 * 0.05 * STEADY + 3
    assert len(soon) >= 3  # at the rate alone it would be one
