"""LEOEmbeddings: LangChain's own suites, a vector store end to end, and input that is no text."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import numpy as np
import pytest
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from leo_core import load_embedder
from leo_core.adapting.embedding import MOST_ON_LOOP
from leo_core.errors import ConfigError, RequestError
from leo_core.stages.embed.callable import CallableEmbedder
from leo_langchain import LEOEmbeddings
from tests.contracts.event_loop import never_blocked

TEXTS = ["The ferry leaves at 9:40.", "A day ticket costs 12 euros.", "Dogs travel free of charge."]


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[LEOEmbeddings]:
        return LEOEmbeddings


class TestIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[LEOEmbeddings]:
        return LEOEmbeddings


class TestIntegrationOfTheOther(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[LEOEmbeddings]:
        return LEOEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"embedder": "hashed", "dimension": 64}


async def test_all_ways_give_the_embedders_own_rows() -> None:
    embeddings, wanted = LEOEmbeddings(), load_embedder("static").embed(TEXTS)
    assert wanted.shape == (3, 256)
    assert np.array_equal(np.float32(embeddings.embed_documents(TEXTS)), wanted)
    assert np.array_equal(np.float32(await embeddings.aembed_documents(TEXTS)), wanted)
    assert [embeddings.embed_query(text) for text in TEXTS] == embeddings.embed_documents(TEXTS)
    assert await embeddings.aembed_query(TEXTS[0]) == embeddings.embed_query(TEXTS[0])
    assert embeddings.embed_documents([]) == await embeddings.aembed_documents([]) == []


async def test_a_vector_store_finds_the_text_that_answers() -> None:
    store = InMemoryVectorStore(LEOEmbeddings())
    store.add_texts(TEXTS)
    await store.aadd_texts(["Bicycles need a ticket of their own."])
    (found,) = store.similarity_search("What is the price of a day ticket?", k=1)
    assert found.page_content == TEXTS[1]
    (found,) = await store.asimilarity_search("When does the ferry depart?", k=1)
    assert found.page_content == TEXTS[0]


async def test_the_event_loop_is_not_blocked_by_the_first_text_nor_by_many() -> None:
    embeddings = pickle.loads(pickle.dumps(LEOEmbeddings()))
    with never_blocked():
        await embeddings.aembed_query("first")
        many = ["word " * 50] * (MOST_ON_LOOP // 200)
        rows = await asyncio.gather(*(embeddings.aembed_documents(many) for _ in range(2)))
    assert rows[0] == rows[1]
    assert len(rows[0]) == len(many)


async def test_an_embedder_that_is_not_local_is_never_asked_on_the_loop() -> None:
    asked_in: list[bool] = []

    def embed(texts: list[str]) -> list[list[float]]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asked_in.append(False)
        else:
            asked_in.append(True)
        return [[3.0, 4.0]] * len(texts)

    embeddings = LEOEmbeddings(CallableEmbedder(embed, name="far", dimension=2))
    assert await embeddings.aembed_query("near") == pytest.approx([0.6, 0.8])
    assert asked_in == [False]


def test_copies_embed_alike() -> None:
    embeddings = LEOEmbeddings(dimension=32)
    for other in (pickle.loads(pickle.dumps(embeddings)), copy.deepcopy(embeddings), copy.copy(embeddings)):
        assert other.embed_query(TEXTS[0]) == embeddings.embed_query(TEXTS[0])
    assert len(embeddings.embed_query(TEXTS[0])) == 32
    assert repr(embeddings) == f"LEOEmbeddings('{load_embedder('static', dimension=32).fingerprint}')"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embedder": "word2vec"}, "no embedder 'word2vec'"),
        ({"embedder": 7}, "not int"),
        ({"dimension": 512}, "256 dimensions; 512"),
        ({"dimension": 4}, "from 8"),
        ({"embedder": load_embedder("hashed", dimension=16), "dimension": 32}, "has 16 dimensions; 32"),
    ],
)
def test_an_embedder_that_there_is_not_is_refused_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LEOEmbeddings(**given)


async def test_what_is_no_text_is_refused_without_showing_it() -> None:
    embeddings = LEOEmbeddings()
    for wrong, said in (("abc", "list of strings, not str"), (["a", 5], "text 1 is no string but int")):
        with pytest.raises(RequestError, match=said):
            embeddings.embed_documents(wrong)  # type: ignore[arg-type]  # what callers do by mistake
        with pytest.raises(RequestError, match=said):
            await embeddings.aembed_documents(wrong)  # type: ignore[arg-type]  # as above
    with pytest.raises(RequestError, match="no string but NoneType"):
        embeddings.embed_query(None)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("text", ["", "   ", "\ud800", "x" * 100_000, "日本語の文", "\x00"])
def test_every_text_has_a_finite_vector_of_length_one(text: str) -> None:
    vector = np.array(LEOEmbeddings().embed_query(text))
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
