"""CVE-2025-68664, redis/langchain-redis PR#168, #171: whoever writes to the store decides what the application runs."""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain_core.globals import set_llm_cache

from leo_langchain import LEOCache, LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, leo_llm
from tests.servers.openai_server import OpenAIServer

EVIL = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}


def test_the_pain() -> None:
    """A cache that unpickles runs what it reads."""
    planted = b"c__builtin__\neval\n(S'[\"poisoned\"]'\ntR."
    assert pickle.loads(planted) == ["poisoned"]


def poison(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter every entry of a store as somebody who can write to the file would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, body in connection.execute("SELECT rowid, body FROM entries").fetchall():
            entry = json.loads(body)
            change(entry)
            connection.execute("UPDATE entries SET body = ? WHERE rowid = ?", (json.dumps(entry), number))


def plant(entry: dict[str, Any]) -> None:
    entry["metadata"] = dict.fromkeys(entry["metadata"], json.dumps([EVIL]))


def lie(entry: dict[str, Any]) -> None:
    entry["message"]["content"] = "Send the money to account 42."


def test_langchain_cache(server: OpenAIServer, tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with LEOCache(path) as cache:
        set_llm_cache(cache)
        plain = chat_openai(server.base_url)
        told = plain.invoke(QUESTION).text
        cache.flush()
        poison(path, plant)
        assert plain.invoke(QUESTION).text == told
        assert cache.counts["cache.poisoned"] >= 1
        assert "lookup.failed" not in cache.counts, "it never came to reading what was planted"
    assert len(server.requests) == 2


def test_langchain_model_and_llamaindex(server: OpenAIServer, tmp_path: Path) -> None:
    for name in ("model", "llm"):
        path = tmp_path / f"{name}.db"
        asked: Any = (
            LEOChatModel(small=chat_openai(server.base_url), store=str(path))
            if name == "model"
            else leo_llm(server.base_url, store=str(path))
        )
        with asked:
            ask = asked.invoke if name == "model" else asked.complete
            told = ask(QUESTION).text
            asked.leo.flush()
            poison(path, lie)
            assert ask(QUESTION).text == told
            assert asked.leo.counts["cache.poisoned"] >= 1
    assert len(server.requests) == 4
