"""What the tests of pains share: models on the loopback, and questions that look alike and are not the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leo_llamaindex import LEOLLM

__all__ = ["QUESTION", "join", "leo_llm"]

QUESTION = "Name a colour."


def leo_llm(url: str, *, large: str | None = None, **settings: Any) -> LEOLLM:
    """LEO for LlamaIndex, whose members are OpenAI models on the loopback."""
    members: dict[str, Any] = {"small": "openai:gpt-5-mini"} | ({"large": large} if large else {})
    return LEOLLM(**members, base_url=url, api_key="sk-test", max_retries=0, **settings)


def join(chunks: Iterable[Any]) -> Any:
    """The message that chunks of LangChain make together."""
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole
