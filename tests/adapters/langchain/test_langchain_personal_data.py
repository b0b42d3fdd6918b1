"""A framework's own model sees stand-ins, and the framework gets the values: whole, streamed, and in calls of tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from leo_core import LEOConfig
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_langchain import LangChainModel, LEOCache, LEOChatModel

ANNA, BOB = "anna.k@example.org", "bob.m@example.org"
REVERSIBLE = LEOConfig(personal_data=PersonalDataConfig(mode="reversible"))


class Echo(BaseChatModel):
    """Says what it was asked, in pieces of three letters, and calls a tool with it."""

    seen: list[Any] = []  # noqa: RUF012 - a field of pydantic

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.seen.append(messages)
        text = f"You said: {messages[-1].content}"
        calls = [{"name": "send", "args": {"to": messages[-1].content}, "id": "c1"}] if kwargs.get("call") else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text, tool_calls=calls))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        self.seen.append(messages)
        text = f"You said: {messages[-1].content}"
        for at in range(0, len(text), 3):
            yield ChatGenerationChunk(message=AIMessageChunk(content=text[at : at + 3]))


def chat(echo):
    member = LangChainModel(echo)
    return LEOChatModel(small=member, config=REVERSIBLE)


def test_whole_answers_and_streams():
    echo = Echo()
    model = chat(echo)
    asked = [SystemMessage(f"You work for {BOB}"), HumanMessage(f"Write to {ANNA}, and tell {BOB}")]
    told = f"You said: Write to {ANNA}, and tell {BOB}"
    assert model.invoke(asked).content == told
    chunks = list(model.stream([HumanMessage(f"Ask {BOB} instead of {ANNA}")]))
    assert "".join(chunk.content for chunk in chunks) == f"You said: Ask {BOB} instead of {ANNA}"
    assert [message.content for message in echo.seen[0]] == [
        "You work for <EMAIL_1>",
        "Write to <EMAIL_2>, and tell <EMAIL_1>",
    ]
    assert ANNA not in repr(echo.seen)


async def test_on_an_event_loop():
    echo = Echo()
    model = chat(echo)
    chunks = [chunk.content async for chunk in model.astream(f"Write to {ANNA}")]
    assert "".join(chunks) == f"You said: Write to {ANNA}"
    assert (await model.ainvoke(f"Write to {BOB}")).content == f"You said: Write to {BOB}"
    assert "example.org" not in repr(echo.seen)


def test_the_cache_of_a_framework_keeps_nothing_of_it():
    cache = LEOCache(config=REVERSIBLE)
    echo = Echo(cache=cache)
    first = echo.invoke(f"Write to {ANNA}")
    echo.invoke(f"Write to {BOB}")
    echo.invoke("Write to nobody")
    echo.invoke("Write to nobody")
    assert first.content == f"You said: Write to {ANNA}"
    assert len(echo.seen) == 3
