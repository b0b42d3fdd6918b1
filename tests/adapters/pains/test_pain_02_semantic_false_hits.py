"""redis/langchain-redis#22, BerriAI/litellm#12234, #31610: the answer to another question is served.

A threshold cannot tell them apart: the opposite of a question is nearer to it than many a paraphrase
(vllm-project/semantic-router#2691).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from langchain_core.globals import set_llm_cache

from leo_core import load_embedder
from leo_langchain import LEOCache
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import leo_llm
from tests.servers.brain import Asked, Reply
from tests.servers.openai_server import OpenAIServer

OPPOSITES = (
    ("Can I cancel my order after it has shipped?", "Can I cancel my order before it has shipped?"),
    ("Is this medicine safe during pregnancy?", "Is this medicine not safe during pregnancy?"),
    ("How many days has February in 2027?", "How many days has February in 2028?"),
    ("How do I convert dollars to euros?", "How do I convert euros to dollars?"),
    ("What is the capital of Austria?", "What is the capital of Australia?"),
)
PARAPHRASE = ("When does the ferry leave?", "What is the departure time of the boat?")
ROUNDS = 6


def quote(asked: Asked) -> Reply:
    """The right answer to a question is one that names it."""
    return Reply(text=f"This answers: {asked.question}")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(quote) as server:
        yield server


def test_the_pain() -> None:
    """No threshold that lets the paraphrase through keeps the opposites out."""
    embedder = load_embedder("static")
    pairs = [PARAPHRASE, *OPPOSITES]
    cosines = [float(np.dot(*embedder.embed(list(pair)))) for pair in pairs]
    assert all(cosine > cosines[0] for cosine in cosines[1:])


def test_langchain(server: OpenAIServer) -> None:
    with LEOCache(max_wrong_hits=0.05, seed=1) as cache:
        set_llm_cache(cache)
        model = chat_openai(server.base_url)
        for _ in range(ROUNDS):
            for question in (question for pair in OPPOSITES for question in pair):
                assert model.invoke(question).text == f"This answers: {question}"
        hits = cache.counts["cache.hit"]
    assert len(server.requests) == 2 * len(OPPOSITES)
    assert hits == (ROUNDS - 1) * 2 * len(OPPOSITES), "equal questions hit"


def test_llamaindex(server: OpenAIServer) -> None:
    with leo_llm(server.base_url, max_wrong_hits=0.05, engine_seed=1) as llm:
        for _ in range(2):
            for question in (question for pair in OPPOSITES for question in pair):
                assert llm.complete(question).text == f"This answers: {question}"
    assert len(server.requests) == 2 * len(OPPOSITES)
