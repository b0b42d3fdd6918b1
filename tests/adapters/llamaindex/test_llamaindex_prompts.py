"""LlamaIndex's own prompts: what stands on the context in them is accepted, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import CitationQueryEngine

from leo_core.providers.scripted import ScriptedModel
from leo_llamaindex import LEOLLM, LEOEventHandler

SAID = "The ferry leaves at 9:40."
QUESTION = "When does the ferry leave?"


def answering(text: str) -> LEOLLM:
    return LEOLLM(small=ScriptedModel("parrot", replies=lambda request: text))


@pytest.mark.parametrize(
    "make",
    [
        lambda index, llm: index.as_query_engine(llm=llm),
        lambda index, llm: index.as_query_engine(llm=llm, response_mode="tree_summarize"),
        lambda index, llm: CitationQueryEngine.from_args(index, llm=llm),
    ],
    ids=["compact", "tree_summarize", "citation"],
)
@pytest.mark.parametrize(
    "beside",
    ["A return ticket costs 20 euros.", "Fares\n\n-----\n\nDogs travel free.", "Question: Do dogs pay?\nAnswer: No."],
    ids=["return", "rule", "questions"],
)
def test_an_answer_from_the_nodes_is_accepted_and_served_again(make: Callable[..., Any], beside: str) -> None:
    documents = [Document(text=text, metadata={"source": "ferry.md"}) for text in (beside, SAID)]
    with answering(f"{SAID[:-1]} [1].") as llm:
        engine = make(SummaryIndex.from_documents(documents), llm)
        first = engine.query(QUESTION).metadata["leo"]
        again = engine.query(QUESTION).metadata["leo"]
    assert first["risk"] < 0.25
    assert again["route"] == "cache"


def test_a_cited_answer_that_no_source_holds_is_not_accepted() -> None:
    with answering("The sea was painted purple by Napoleon in 1807 [1].") as llm:
        engine = CitationQueryEngine.from_args(SummaryIndex.from_documents([Document(text=SAID)]), llm=llm)
        assert engine.query(QUESTION).metadata["leo"]["risk"] > 0.5


def test_a_refined_answer_stands_on_the_nodes_before() -> None:
    documents = [Document(text=text) for text in (SAID, "Dogs travel free of charge.")]
    with answering(SAID) as llm, LEOEventHandler() as watch:
        SummaryIndex.from_documents(documents).as_query_engine(llm=llm, response_mode="refine").query(QUESTION)
        assert all(risk < 0.25 for risk in watch.summary().risks)
    assert len(watch.summary().risks) == 2


@pytest.mark.parametrize("mode", ["context", "condense_plus_context"])
def test_an_answer_of_a_chat_engine_stands_on_its_nodes(mode: str) -> None:
    index = SummaryIndex.from_documents([Document(text=SAID), Document(text="Dogs travel free of charge.")])
    with answering(SAID) as llm, LEOEventHandler() as watch:
        index.as_chat_engine(chat_mode=mode, llm=llm, memory=ChatMemoryBuffer.from_defaults(llm=llm)).chat(QUESTION)
    assert all(risk < 0.25 for risk in watch.summary().risks)
