"""langchain-ai/langchain#31949, #33883, BerriAI/litellm#21906, zilliztech/GPTCache#481, #611.

Either a replayed conversation misses from its second turn on, because a hit differs from what it replays, or the
history is ignored and a follow-up gets the answer of another conversation.
"""

from __future__ import annotations

from typing import Any

from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer

from leo_langchain import LEOCache, LEOChatModel
from leo_llamaindex import LEOLLM
from tests.servers.openai_server import OpenAIServer

TURNS = ("Name a colour.", "And another?", "Which of them is warmer?")


def converse(model: Any) -> None:
    history: list[Any] = []
    for turn in TURNS:
        history.append(HumanMessage(turn))
        history.append(model.invoke(history))


def test_the_pain(plain: Any, server: OpenAIServer) -> None:
    set_llm_cache(InMemoryCache())
    converse(plain)
    converse(plain)
    assert len(server.requests) > len(TURNS)


def test_langchain_cache(cache: LEOCache, plain: Any, server: OpenAIServer) -> None:
    for _ in range(3):
        converse(plain)
    assert len(server.requests) == len(TURNS)


def test_langchain_model(model: LEOChatModel, server: OpenAIServer) -> None:
    for _ in range(3):
        converse(model)
    assert len(server.requests) == len(TURNS)


def test_the_history_counts(model: LEOChatModel, llm: LEOLLM, server: OpenAIServer) -> None:
    for liked in ("I like tea.", "I like coffee."):
        model.invoke([HumanMessage(liked), AIMessage("Noted."), HumanMessage("What do I like?")])
        llm.chat([ChatMessage(liked), ChatMessage("Noted.", role="assistant"), ChatMessage("What do I like?")])
    assert len(server.requests) == 4


def test_llamaindex(llm: LEOLLM, server: OpenAIServer) -> None:
    for _ in range(3):
        engine = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
        for turn in TURNS:
            engine.chat(turn)
    assert len(server.requests) == len(TURNS)
