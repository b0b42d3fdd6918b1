"""langchain-ai/langchain#16866, #7722, BerriAI/litellm#3400: the cache is down, and so is every call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from leo_core.errors import StoreLockedError
from leo_core.storage.in_memory import InMemoryStore
from leo_langchain import LEOCache, LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, leo_llm
from tests.servers.openai_server import OpenAIServer


class Out(InMemoryCache):
    """A cache whose server is away."""

    def lookup(self, prompt: str, llm_string: str) -> Any:
        raise ConnectionError("connection refused")


@pytest.fixture
def ruins(tmp_path: Path) -> Path:
    """A store that is no database."""
    path = tmp_path / "cache.db"
    path.write_bytes(b"this is no database" * 100)
    return path


def test_the_pain(plain: Any) -> None:
    set_llm_cache(Out())
    with pytest.raises(ConnectionError):
        plain.invoke(QUESTION)


async def test_langchain_cache(plain: Any, ruins: Path, server: OpenAIServer) -> None:
    with LEOCache(ruins) as cache:
        set_llm_cache(cache)
        assert plain.invoke(QUESTION).text
        assert (await plain.ainvoke(QUESTION)).text
        assert cache.counts == {"lookup.failed": 2, "update.failed": 2}
    assert len(server.requests) == 2


class OutStore(InMemoryStore):
    """A store that another process holds locked, entries and vectors alike."""

    def get_exact(self, *_: Any, **__: Any) -> Any:
        raise StoreLockedError("held by another process")

    search = put = put_many = get_exact


def test_langchain_model_and_llamaindex(server: OpenAIServer) -> None:
    with LEOChatModel(small=chat_openai(server.base_url), store=OutStore()) as model:
        assert model.invoke(QUESTION).text
        assert model.leo.counts["store.failed"] >= 1
    with leo_llm(server.base_url, store=OutStore()) as llm:
        assert llm.complete(QUESTION).text
        assert llm.leo.counts["store.failed"] >= 1
    assert len(server.requests) == 2
