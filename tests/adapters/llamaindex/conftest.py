"""Fixtures of the LlamaIndex adapter's tests: nothing leaves the loopback, nothing stays set for the process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from llama_index.core import MockEmbedding, Settings

from tests.adapters.llamaindex.llamaindex_servers import think
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Embeddings without a network, words as tokens, and the process's settings as they were afterwards."""
    kept = dict(vars(Settings))
    Settings.embed_model = MockEmbedding(embed_dim=8)
    Settings.tokenizer = str.split
    yield
    for name, value in kept.items():
        setattr(Settings, name, value)


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    """An OpenAI server for the whole run."""
    with OpenAIServer(think) as server:
        yield server


@pytest.fixture(scope="session")
def anthropic_server() -> Iterator[AnthropicServer]:
    """An Anthropic server for the whole run."""
    with AnthropicServer(think) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """An OpenAI server of this test alone, which counts its requests."""
    with OpenAIServer(think) as server:
        yield server
