"""Equal questions at the same time through LEO's LLM for LlamaIndex: one call of the member."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Request
from leo_llamaindex import LEOLLM

PROMPT = "How many days does February have in 2028?"
PATIENCE_S = 100.0


class Crowd:
    """Answers when so many have looked into the cache in vain."""

    def __init__(self) -> None:
        self.size = 1
        self.llm: LEOLLM | None = None

    def __call__(self, request: Request) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while self.llm and self.llm.leo.counts.get("cache.miss", 0) < self.size and time.monotonic() < deadline:
            time.sleep(0.01)
        return "It has 29 days."


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


@pytest.fixture
def member(crowd: Crowd) -> ScriptedModel:
    return ScriptedModel("parrot", crowd)


@pytest.fixture
def llm(member: ScriptedModel, crowd: Crowd) -> Iterator[LEOLLM]:
    with LEOLLM(small=member) as llm:
        llm.leo.warm_up()
        crowd.llm = llm
        yield llm


def test_threads_that_complete_and_stream_share_a_call(llm: LEOLLM, member: ScriptedModel, crowd: Crowd) -> None:
    crowd.size = 40
    start = threading.Barrier(40)

    def ask(number: int) -> str:
        start.wait()
        if number % 2:
            return str(llm.complete(PROMPT))
        return "".join(piece.delta or "" for piece in llm.stream_complete(PROMPT))

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(ask, range(40))) == ["It has 29 days."] * 40
    assert member.calls == 1


async def test_tasks_share_a_call(llm: LEOLLM, member: ScriptedModel, crowd: Crowd) -> None:
    crowd.size = 0

    async def slow(request: Request) -> object:
        await asyncio.sleep(0.3)
        return await original(request)

    original = member.agenerate
    member.agenerate = slow
    answers = await asyncio.gather(*(llm.acomplete(PROMPT) for _ in range(40)))
    assert [str(answer) for answer in answers] == ["It has 29 days."] * 40
    assert member.calls == 1
