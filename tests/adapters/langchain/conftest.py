"""Fixtures of the LangChain adapter's tests: nothing leaves the loopback."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.globals import set_llm_cache

from tests.adapters.langchain.langchain_servers import obey
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10" + bytes(23) + b"data" + bytes(4)


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites download an image, a PDF and a sound: give them small ones."""

    def get(url: str, **_: Any) -> SimpleNamespace:
        body = _PDF if url.endswith(".pdf") else _WAV if url.endswith(".wav") else _PNG
        return SimpleNamespace(content=body, raise_for_status=lambda: None)

    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "leo-tests")
    monkeypatch.setattr("langchain_tests.integration_tests.chat_models.httpx.get", get)


@pytest.fixture(autouse=True)
def no_global_cache() -> Iterator[None]:
    """Every test starts and ends without a global cache."""
    set_llm_cache(None)
    yield
    set_llm_cache(None)


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """An OpenAI server of this test alone, which counts its requests."""
    with OpenAIServer(obey) as server:
        yield server


@pytest.fixture
def anthropic() -> Iterator[AnthropicServer]:
    """An Anthropic server of this test alone."""
    with AnthropicServer(obey) as server:
        yield server
