"""A provider for agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.langchain.middleware.agents import forecast
from tests.servers.openai_server import OpenAIServer


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """A server of this test alone, which counts its requests."""
    with OpenAIServer(forecast) as running:
        yield running
