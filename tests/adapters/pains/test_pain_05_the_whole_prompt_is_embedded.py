"""langchain-ai/langchain-postgres#252, langchain-ai/langchain#7141: system prompt and passages drown the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage

from leo_core.stages.embed.callable import CallableEmbedder
from leo_langchain import LEOCache, LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import leo_llm
from tests.servers.openai_server import OpenAIServer

SYSTEM = "You are the clerk of a ferry line. " + "Passage: dogs travel free, bicycles cost four euros. " * 20
QUESTION, OTHER_WORDS = "When does the ferry leave?", "At what time does the ferry leave?"


class Listening:
    """An embedder that notes what it is given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Any:
        self.heard += texts
        return np.eye(16, dtype=np.float32)[[len(text) % 16 for text in texts]]


@pytest.fixture
def ear() -> Listening:
    return Listening()


@pytest.fixture
def embedder(ear: Listening) -> CallableEmbedder:
    return CallableEmbedder(ear, name="listening", dimension=16)


def test_langchain(ear: Listening, embedder: Any, server: OpenAIServer) -> None:
    with LEOCache(embedder=embedder) as cache:
        set_llm_cache(cache)
        chat_openai(server.base_url).invoke([SystemMessage(SYSTEM), HumanMessage(QUESTION)])
        cache.flush()
    with LEOChatModel(small=chat_openai(server.base_url), embedder=embedder) as model:
        model.invoke([SystemMessage(SYSTEM), HumanMessage(QUESTION)])
        model.leo.flush()
    assert QUESTION in ear.heard
    assert not any("clerk" in text or "Passage" in text for text in ear.heard)


def test_llamaindex(ear: Listening, embedder: Any, server: OpenAIServer) -> None:
    with leo_llm(server.base_url, embedder=embedder) as llm:
        llm.chat([ChatMessage(SYSTEM, role="system"), ChatMessage(QUESTION)])
        llm.leo.flush()
    assert QUESTION in ear.heard
    assert not any("clerk" in text or "Passage" in text for text in ear.heard)


def test_other_words_are_compared_under_the_same_rest_only(server: OpenAIServer) -> None:
    """A paraphrase is a candidate under the same system prompt, and none under another."""
    with LEOChatModel(small=chat_openai(server.base_url), max_wrong_hits=0.1, engine_seed=1) as model:

        def ask(system: str, question: str) -> Any:
            message = model.invoke([SystemMessage(system), HumanMessage(question)])
            model.leo.flush()
            return model.leo.explain(message)["words"][0]

        ask(SYSTEM, QUESTION)
        same, other = ask(SYSTEM, OTHER_WORDS), ask("You are a pirate.", OTHER_WORDS)
    assert "no entry in scope" not in same
    assert "no entry in scope" in other
