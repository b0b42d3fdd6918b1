"""What the suite asks with: two tools, a schema, two passages; and what an LLM under test is said to be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core import MockEmbedding, Settings
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ADD", "GREET", "Scenes", "Sum", "passages"]


class Sum(BaseModel):
    """Two numbers and a name."""

    a: int
    b: int
    label: str


def _add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def _greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


ADD = FunctionTool.from_defaults(_add, name="add")
GREET = FunctionTool.from_defaults(_greet, name="greet")


def passages() -> list[NodeWithScore]:
    """Two passages, as a retriever finds them."""
    texts = ("One thing is so.", "Another is not.")
    return [NodeWithScore(node=TextNode(text=text, id_=f"node-{at}"), score=1.0) for at, text in enumerate(texts)]


class Scenes:
    """What every part of the suite stands on.

    Attributes:
        secret: A text that must be seen nowhere, such as the key that the LLM was made with.
        has_tools: Whether the LLM calls tools; without, tools, structured output and agents are passed over.
        has_parallel_tools: Whether it can call several tools at once.
        speaks_react: Whether its scripted model speaks ReAct when it is spoken to.
        reports_usage: Whether its responses tell in ``raw["usage"]`` what was spent.
        has_native_async: Whether its asynchronous methods leave the event loop free.
    """

    secret = "sk-very-secret-0123456789"  # noqa: S105 - the text that is looked for
    has_tools = True
    has_parallel_tools = True
    speaks_react = True
    reports_usage = True
    has_native_async = True

    @pytest.fixture
    def llm(self) -> Any:
        """The LLM under test; to be overridden, with any scope."""
        pytest.fail("override the fixture llm with the LLM under test")

    @pytest.fixture(autouse=True)
    def settings_of_the_process(self) -> Iterator[None]:
        """Embeddings and a tokenizer without a network, and the process's settings as they were afterwards."""
        kept = dict(vars(Settings))
        Settings.embed_model = MockEmbedding(embed_dim=8)
        Settings.tokenizer = str.split
        yield
        for name, value in kept.items():
            setattr(Settings, name, value)

    def needs(self, *abilities: str) -> None:
        """Pass the test over where the LLM is said not to have one of these abilities."""
        for ability in abilities:
            if not getattr(self, ability):
                pytest.skip(f"{ability} is False")
