"""The measured table of ``docs/reference/pains.md``: LangChain's own cache, LEO's cache and LEO's model, by running."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.messages import HumanMessage

from leo_langchain import LEOCache, LEOChatModel, tenant
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, join
from tests.servers.brain import Asked, Reply, answer_by_default
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/pains.md"
COLUMNS = ("InMemoryCache", "LEOCache", "LEOChatModel")


class Subject:
    """One way of caching: its models, and the calls that they made."""

    def __init__(self, kind: str, server: OpenAIServer, folder: Path) -> None:
        self.kind, self.server, self.folder = kind, server, folder
        self.opened: list[Any] = []
        self.model = self.start()

    def start(self) -> Any:
        """A model as a process makes it when it starts."""
        plain = chat_openai(self.server.base_url)
        if self.kind == "LEOChatModel":
            self.opened.append(LEOChatModel(small=plain, store=str(self.folder / "leo.db")))
            return self.opened[-1]
        cache = InMemoryCache() if self.kind == "InMemoryCache" else LEOCache(self.folder / "leo.db")
        set_llm_cache(cache)
        self.opened.append(cache)
        return plain

    def calls(self, do: Callable[[], object]) -> int:
        """How many calls something makes."""
        before = len(self.server.requests)
        do()
        return len(self.server.requests) - before

    def take_away(self) -> int:
        """Remove what was kept last, and no more; 0 where that cannot be done."""
        keeper = self.opened[-1].leo.cache if self.kind == "LEOChatModel" else get_llm_cache()
        if not hasattr(keeper, "invalidate"):
            return 0
        return keeper.invalidate(where=lambda entry: QUESTION in str(entry.text))

    def close(self) -> None:
        """Let go of stores."""
        for each in self.opened:
            if hasattr(each, "close"):
                each.close()


def pick(name: str) -> str:
    """Pick a colour."""
    return name


def converse(subject: Subject) -> None:
    history: list[Any] = []
    for turn in (QUESTION, "And another?"):
        history += [HumanMessage(turn)]
        history += [subject.model.invoke(history)]


def no_call_for_an_equal_request(subject: Subject) -> bool:
    subject.model.invoke(QUESTION)
    return subject.calls(lambda: subject.model.invoke(QUESTION)) == 0


def streams(subject: Subject) -> bool:
    subject.model.invoke(QUESTION)
    return subject.calls(lambda: join(subject.model.stream(QUESTION))) == 0


def tool_calls(subject: Subject) -> bool:
    bound = subject.model.bind_tools([pick])
    cold, hit = bound.invoke(QUESTION), bound.invoke(QUESTION)
    return bool(hit.tool_calls) and hit.tool_calls == cold.tool_calls


def conversations(subject: Subject) -> bool:
    converse(subject)
    return subject.calls(lambda: converse(subject)) == 0


def fresh_ids(subject: Subject) -> bool:
    return len({subject.model.invoke(QUESTION).id for _ in range(3)}) == 3


def no_tokens(subject: Subject) -> bool:
    subject.model.invoke(QUESTION)
    return subject.model.invoke(QUESTION).usage_metadata["total_tokens"] == 0


def tenants(subject: Subject) -> bool:
    def ask(name: str) -> int:
        with tenant(name):
            return subject.calls(lambda: subject.model.invoke(QUESTION))

    return [ask("alice"), ask("bob"), ask("alice")] == [1, 1, 0]


def single_flight(subject: Subject) -> bool:
    subject.server.fault = Fault(delay_s=0.2)
    return subject.calls(lambda: subject.model.batch([QUESTION] * 4)) == 1


def mutation(subject: Subject) -> bool:
    subject.model.invoke(QUESTION)
    answer = subject.model.invoke(QUESTION)
    told = answer.text
    answer.response_metadata["note"] = "mine"
    answer.content = "altered"
    again = subject.model.invoke(QUESTION)
    return again.text == told and "note" not in again.response_metadata


def invalidation(subject: Subject) -> bool:
    for question in (QUESTION, "Name a number."):
        subject.model.invoke(question)
    removed = subject.take_away()
    again = [subject.calls(partial(subject.model.invoke, question)) for question in (QUESTION, "Name a number.")]
    return removed == 1 and again == [1, 0]


def processes(subject: Subject) -> bool:
    subject.model.invoke(QUESTION)
    for each in subject.opened:
        if hasattr(each, "flush"):
            each.flush()
        elif hasattr(each, "leo"):
            each.leo.flush()
    subject.model = subject.start()
    return subject.calls(lambda: subject.model.invoke(QUESTION)) == 0


FEATURES: dict[str, Callable[[Subject], bool]] = {
    "an equal request makes no call": no_call_for_an_equal_request,
    "a stream is served from it": streams,
    "tool calls come back": tool_calls,
    "a replayed conversation hits in every turn": conversations,
    "each hit has an id of its own": fresh_ids,
    "a hit counts no tokens": no_tokens,
    "two tenants are kept apart": tenants,
    "equal prompts at once make one call": single_flight,
    "who alters an answer alters it for nobody else": mutation,
    "one answer can be taken away": invalidation,
    "it outlives the object that kept it": processes,
}


def written() -> dict[str, dict[str, str]]:
    """The table of the page: by row and column."""
    table = PAGE.read_text(encoding="utf-8").partition(
        "<!-- measured: tests/adapters/pains/test_feature_matrix.py -->"
    )[2]
    lines = re.findall(r"^\|(.*)\|$", table.partition("\n\n`")[0], re.MULTILINE)
    cells = [[cell.strip().strip("`") for cell in line.split("|")] for line in lines]
    return {row[0]: dict(zip(cells[0][1:], row[1:], strict=True)) for row in cells[2:]}


def quote(asked: Asked) -> Reply:
    """Answers that differ: equal ones may be kept as one entry."""
    return answer_by_default(asked) if asked.tools else Reply(text=f"This answers: {asked.question}")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(quote) as server:
        yield server


def test_the_table_has_these_rows_and_columns() -> None:
    table = written()
    assert list(table) == list(FEATURES)
    assert all(tuple(row) == COLUMNS for row in table.values())


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("kind", COLUMNS)
def test_the_table_says_what_was_measured(kind: str, feature: str, server: OpenAIServer, tmp_path: Path) -> None:
    subject = Subject(kind, server, tmp_path)
    try:
        found = FEATURES[feature](subject)
    finally:
        subject.close()
    assert written()[feature][kind] == ("yes" if found else "no")
