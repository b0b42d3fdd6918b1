"""LangChain's own suites for chat models, under every preset with every streaming policy.

``test_langchain_standard`` has each preset with its own policy; here are the others, with a jury beside the router.
"""

from __future__ import annotations

from typing import Any, get_args

from leo_core import LEOConfig
from leo_core.config import Preset
from leo_core.records import StreamPolicy
from leo_langchain import LEOChatModel
from tests.adapters.langchain.standard_suites import NOISE, Integration, Router, Unit

pytestmark = NOISE


class Cell(Router):
    """One preset with one policy: two members of two providers, and a third one in the jury."""

    stream_policy: StreamPolicy

    @property
    def chat_model_params(self) -> dict[str, Any]:
        more = {"jury": ("openai:llama-loopback",), "stream_policy": self.stream_policy}
        return {**super().chat_model_params, **more}


def _make(preset: Preset, policy: StreamPolicy) -> dict[str, type]:
    """Both suites for one cell, by the names that they are collected under."""
    name = f"Test{preset.title()}{policy.title()}"
    cell = {"preset": preset, "stream_policy": policy}
    return {
        f"{name}Unit": type(f"{name}Unit", (Cell, Unit), dict(cell)),
        name: type(name, (Cell, Integration), dict(cell)),
    }


CELLS = {
    (preset, policy): _make(preset, policy)
    for preset in get_args(Preset)
    for policy in get_args(StreamPolicy)
    if LEOConfig.preset(preset).stream_policy != policy
}
for _suites in CELLS.values():
    globals().update(_suites)


def test_no_cell_is_left_out() -> None:
    names = {("balanced", "optimistic"), ("private", "verified"), ("verified", "cascade"), ("verified", "optimistic")}
    assert names <= CELLS.keys()
    assert len(CELLS) == len(get_args(Preset)) * (len(get_args(StreamPolicy)) - 1) == 8


def test_a_cell_is_what_it_says() -> None:
    model = LEOChatModel(**CELLS["verified", "optimistic"]["TestVerifiedOptimistic"]().chat_model_params)
    assert model.config == LEOConfig.preset("verified")
    assert model.stream_policy == "optimistic"
    model.close()
