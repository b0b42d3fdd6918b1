"""LEOLLM on a Chroma, in a folder: the second process answers from what the first one kept."""

from __future__ import annotations

from pathlib import Path

from leo_core.providers.scripted import ScriptedModel
from leo_llamaindex import LEOLLM


def test_an_llm_answers_from_chroma(tmp_path: Path) -> None:
    for route in ("small", "cache"):
        small = ScriptedModel("parrot", replies="An inlet.")
        with LEOLLM(small=small, store=f"chroma:{tmp_path}/chroma") as llm:
            response = llm.complete("What is a fjord?")
            assert response.text == "An inlet."
            assert response.additional_kwargs["leo"]["route"] == route
            llm.leo.flush()
