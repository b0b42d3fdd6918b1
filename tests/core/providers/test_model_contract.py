"""Every model of the package keeps the contract of the port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.extractive import ExtractiveModel
from leo_core.providers.openai import OpenAIModel
from leo_core.providers.replay import ReplayModel
from leo_core.providers.sampled import SampledModel, samples_of
from leo_core.providers.scripted import ScriptedModel
from tests.contracts.model import SECRET, ModelContract
from tests.contracts.retriable import RetriableContract
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer


@pytest.fixture(params=[True, False], ids=["keep-alive", "close"])
def keep_alive(request: pytest.FixtureRequest) -> bool:
    """Whether connections stay open between calls."""
    return bool(request.param)


class TestOpenAI(RetriableContract, ModelContract):
    """Over the wire."""

    @pytest.fixture
    def model(self, keep_alive: bool) -> Iterator[OpenAIModel]:
        """A model on the loopback."""
        with (
            OpenAIServer(keep_alive=keep_alive, api_key=SECRET) as server,
            OpenAIModel("gpt-5-mini", base_url=server.base_url, api_key=SECRET) as model,
        ):
            yield model


class TestAnthropic(RetriableContract, ModelContract):
    """Over the wire."""

    @pytest.fixture
    def model(self, keep_alive: bool) -> Iterator[AnthropicModel]:
        """A model on the loopback."""
        with (
            AnthropicServer(keep_alive=keep_alive, api_key=SECRET) as server,
            AnthropicModel("claude-haiku-4-5", base_url=server.base_url, api_key=SECRET) as model,
        ):
            yield model


class TestReplay(ModelContract):
    """From a file."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> ReplayModel:
        """A model whose one answer was recorded."""
        path = tmp_path / "answers.jsonl"
        answer = {"text": "The capital is Paris.", "final": "Paris", "correct": True}
        row = {"question": self.question, "gold": "Paris", "answers": {"gpt-4o-mini-2024-07-18": answer}}
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        return ReplayModel(path, "gpt-4o-mini-2024-07-18")


class TestScripted(ModelContract):
    """From a script."""

    @pytest.fixture
    def model(self) -> ScriptedModel:
        """A model with one reply."""
        return ScriptedModel("small", {self.question: "The capital is Paris."}, cost=None)


class TestSampled(RetriableContract, ModelContract):
    """One sample of a model over the wire."""

    @pytest.fixture
    def model(self) -> Iterator[SampledModel]:
        """The second of three samples."""
        with (
            OpenAIServer(api_key=SECRET) as server,
            OpenAIModel("gpt-5-mini", base_url=server.base_url, api_key=SECRET) as model,
        ):
            yield samples_of(model, 3)[1]


class TestExtractive(ModelContract):
    """By reading."""

    question = (
        "Context: Paris is the capital of France. It has 2 million people.\nQuestion: What is the capital of France?"
    )

    @pytest.fixture
    def model(self) -> ExtractiveModel:
        """The reader."""
        return ExtractiveModel()
