"""LEOLLM keeps the contract of an LLM under every preset with every streaming policy.

The suite itself looks whether an asynchronous method blocks the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from leo_core import LEOConfig
from leo_core.config import Preset
from leo_core.records import StreamPolicy
from leo_llamaindex import LEOLLM
from leo_llamaindex.testing import LLMConformance
from tests.adapters.llamaindex.llamaindex_servers import SECRET
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer


class Cell(LLMConformance):
    """One preset with one policy: two members of two providers, and a third one in the jury."""

    secret = SECRET
    preset: Preset
    stream_policy: StreamPolicy

    @pytest.fixture(scope="class")
    @classmethod
    def llm(cls, openai_server: OpenAIServer, anthropic_server: AnthropicServer) -> Iterator[Any]:
        given = {
            "small": "openai:gpt-loopback",
            "large": "anthropic:claude-loopback",
            "jury": ("openai:llama-loopback",),
            "api_key": SECRET,
            "base_url": {"openai": openai_server.base_url, "anthropic": anthropic_server.base_url},
            "config": LEOConfig.preset(cls.preset),
            "stream_policy": cls.stream_policy,
            "cache": False,
        }
        with LEOLLM(**given) as llm:
            yield llm


CELLS = {
    (preset, policy): type(
        f"Test{preset.title()}{policy.title()}", (Cell,), {"preset": preset, "stream_policy": policy}
    )
    for preset in get_args(Preset)
    for policy in get_args(StreamPolicy)
    if (preset, policy) != ("balanced", "cascade")  # the default, which all of test_llamaindex_conformance has
}
for _cell in CELLS.values():
    globals()[_cell.__name__] = _cell


def test_no_cell_is_left_out() -> None:
    assert len(CELLS) == len(get_args(Preset)) * len(get_args(StreamPolicy)) - 1 == 11
