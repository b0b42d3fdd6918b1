"""The handbook behind a query engine of LlamaIndex, answered by LEO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import TextNode
from members import EmbeddingReader, LexicalReader
from report import Section, check, dollars, number
from shop import LARGE_TAG, SMALL_TAG, read_handbook, settings

from leo_core import load_embedder
from leo_llamaindex import LEOLLM, LEONodePostprocessor

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["open_llm", "query_handbook"]

QUESTIONS = ("How much does a membership cost a year?", "Do you offer a warranty or guarantee on repairs?")


class LocalEmbedding(BaseEmbedding):
    """LEO's local embedder for LlamaIndex."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(value) for value in load_embedder().embed([text])[0]]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def open_llm(store: Path) -> LEOLLM:
    """LEO for LlamaIndex, in the same store: a cascade of the lexical reader and the embedding reader above it."""
    return LEOLLM(
        small=LexicalReader(SMALL_TAG),
        large=EmbeddingReader(LARGE_TAG),
        route="cascade",
        config=settings(),
        store=store,
    )


def query_handbook(llm: LEOLLM) -> Section:
    """Ask the query engine, twice."""
    nodes = [TextNode(text=text, metadata={"section": title}) for title, text in read_handbook().items()]
    index = VectorStoreIndex(nodes, embed_model=LocalEmbedding(model_name="leo"))
    engine = index.as_query_engine(llm=llm, similarity_top_k=3, node_postprocessors=[LEONodePostprocessor()])
    rows, facts = [], []
    for question in QUESTIONS:
        response = engine.query(question)
        leo = response.metadata["leo"]
        check(leo["receipt"], f"the answer to {question!r} has a receipt")
        check(response.source_nodes, f"the answer to {question!r} names its nodes")
        nodes = ", ".join(f"{each.node.metadata['section']} {number(each.score, 2)}" for each in response.source_nodes)
        rows.append(
            (question, str(response), nodes, leo["route"], " → ".join(leo["members"]), dollars(leo["cost_usd"]))
        )
        facts.append(leo)
    check("60 euros" in rows[0][1], "the query engine found the price of a membership")
    check(len(facts[1]["members"]) > 1, "a cascade went up to the large member")
    check("6 months" in rows[1][1], "the large member found what the small one did not")
    return Section(
        title="LlamaIndex: a query engine over the handbook",
        claim="VectorStoreIndex, LEOLLM and LEONodePostprocessor in the same store: nodes, route and receipt.",
        columns=("question", "answer", "nodes", "route", "members asked", "cost"),
        rows=rows,
        notes=(
            "The second question is a cascade that escalates: the small member cannot answer, the large one is asked.",
            *(f"{question} {leo['receipt']}" for question, leo in zip(QUESTIONS, facts, strict=True)),
        ),
    )
