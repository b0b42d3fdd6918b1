"""LEOEmbedding: all ways of embedding, an index end to end, a shared embeddings cache, and bad input."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.kvstore import SimpleKVStore

from leo_core import load_embedder
from leo_core.errors import ConfigError, RequestError
from leo_core.stages.embed.callable import CallableEmbedder
from leo_llamaindex import LEOEmbedding
from leo_llamaindex.testing import record_events
from llama_index.embeddings.leo import LEOEmbedding as ByConvention
from tests.contracts.event_loop import never_blocked

TEXTS = ["The ferry leaves at 9:40.", "A day ticket costs 12 euros.", "Dogs travel free of charge."]
QUESTION = "What is the price of a day ticket?"


def documents() -> list[Document]:
    return [Document(text=text, id_=f"doc-{at}") for at, text in enumerate(TEXTS)]


async def test_all_ways_give_the_embedders_own_rows() -> None:
    assert ByConvention is LEOEmbedding
    embedding, wanted = LEOEmbedding(embed_batch_size=2), load_embedder("static").embed(TEXTS)
    ways = [
        embedding.get_text_embedding_batch(TEXTS),
        await embedding.aget_text_embedding_batch(TEXTS),
        [embedding.get_text_embedding(text) for text in TEXTS],
        [await embedding.aget_text_embedding(text) for text in TEXTS],
        [embedding.get_query_embedding(text) for text in TEXTS],
        [await embedding.aget_query_embedding(text) for text in TEXTS],
        [node.embedding for node in embedding(documents())],
    ]
    for rows in ways:
        assert np.array_equal(np.float32(rows), wanted)
        assert all(type(number) is float for number in rows[0])
    assert embedding.get_text_embedding_batch([]) == []
    assert embedding.get_agg_embedding_from_queries(TEXTS) == pytest.approx(wanted.mean(axis=0).tolist(), abs=1e-6)


async def test_each_text_is_announced_once() -> None:
    embedding = LEOEmbedding()
    for ask in (embedding.get_query_embedding, embedding.get_text_embedding):
        with record_events() as seen:
            ask("one")
        assert (seen.names["EmbeddingStartEvent"], seen.names["EmbeddingEndEvent"]) == (1, 1)
    with record_events() as seen:
        await embedding.aget_query_embedding("one")
    assert seen.names["EmbeddingEndEvent"] == 1
    (start,) = [event for event in seen.events if type(event).__name__ == "EmbeddingStartEvent"]
    assert start.model_dict["model_name"] == str(load_embedder("static").fingerprint)


async def test_an_index_finds_the_text_that_answers(tmp_path: Any) -> None:
    Settings.embed_model = LEOEmbedding()
    index = VectorStoreIndex.from_documents(documents())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve(QUESTION)
    assert found.text == TEXTS[1]
    (found,) = await index.as_retriever(similarity_top_k=1).aretrieve("When does the ferry depart?")
    assert found.text == TEXTS[0]
    index.storage_context.persist(str(tmp_path))
    again = load_index_from_storage(StorageContext.from_defaults(persist_dir=str(tmp_path)))
    assert again.as_retriever(similarity_top_k=1).retrieve(QUESTION)[0].text == TEXTS[1]


def test_an_ingestion_pipeline_embeds_its_nodes() -> None:
    nodes = IngestionPipeline(transformations=[SentenceSplitter(), LEOEmbedding()]).run(documents=documents())
    assert np.array_equal(np.float32([node.embedding for node in nodes]), load_embedder("static").embed(TEXTS))


async def test_a_shared_cache_keeps_embedders_queries_and_texts_apart() -> None:
    """LlamaIndex's own key is the text alone: another model's vector would come back."""
    shared, text = SimpleKVStore(), TEXTS[0]
    shared.put(text, {"x": [9.0] * 4}, collection="embeddings")
    wide, narrow = LEOEmbedding(embeddings_cache=shared), LEOEmbedding(dimension=32)
    narrow.embeddings_cache = shared
    for embedding, length in ((wide, 256), (narrow, 32), (wide, 256)):
        assert len(embedding.get_text_embedding(text)) == length
        assert len(embedding.get_query_embedding(text)) == length
        assert len(await embedding.aget_query_embedding(text)) == length
        assert [len(row) for row in await embedding.aget_text_embedding_batch([text, QUESTION])] == [length, length]
    kept = {name: set(rows) for name, rows in shared._collections_mappings.items()}
    static = str(load_embedder("static").fingerprint)
    assert kept[f"embeddings/{static}/query"] == {text}
    assert kept[f"embeddings/{static}/text"] == {text, QUESTION}
    assert kept["embeddings"] == {text}
    assert len(kept) == 5


def test_a_cached_vector_is_not_computed_again() -> None:
    asked: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return [[1.0, 0.0]] * len(texts)

    embedder = CallableEmbedder(embed, name="counting", dimension=2)
    embedding = LEOEmbedding(embedder=embedder, embeddings_cache=SimpleKVStore())
    for _ in range(2):
        embedding.get_query_embedding("q")
        embedding.get_text_embedding_batch(["t", "u"])
    assert asked == ["q", "t", "u"]
    copied = copy.deepcopy(embedding)
    copied.get_query_embedding("q")
    assert asked == ["q", "t", "u"]


async def test_the_event_loop_is_not_blocked() -> None:
    embedding = pickle.loads(pickle.dumps(LEOEmbedding()))
    with never_blocked():
        assert len(await embedding.aget_query_embedding("first")) == 256
        assert len(await embedding.aget_text_embedding_batch(["many words " * 50] * 200)) == 200


def test_it_is_written_down_and_read_again() -> None:
    embedding = LEOEmbedding(dimension=64, embed_batch_size=5)
    facts = embedding.to_dict()
    assert (facts["class_name"], facts["embedder"], facts["dimension"]) == ("LEOEmbedding", "static", 64)
    again = LEOEmbedding.from_dict(facts)
    assert again.model_name == embedding.model_name
    assert again.embed_batch_size == 5
    assert again.get_text_embedding("a word") == embedding.get_text_embedding("a word")
    with pytest.raises(ConfigError, match="leave it out"):
        LEOEmbedding.from_dict({**facts, "model_name": "static/0/64/0000"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"embedder": "word2vec"}, "no embedder 'word2vec'"),
        ({"embeder": "static"}, "did you mean 'embedder'"),
        ({"dimension": 512}, "256 dimensions; 512"),
        ({"embedder": 7}, "not int"),
    ],
)
def test_bad_settings_are_refused_at_once(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LEOEmbedding(**given)


async def test_what_is_no_text_is_refused() -> None:
    embedding = LEOEmbedding()
    with pytest.raises(RequestError, match="text 0 is no string but int"):
        embedding.get_text_embedding(5)  # type: ignore[arg-type]  # what callers do by mistake
    with pytest.raises(RequestError, match="no string but NoneType"):
        await embedding.aget_query_embedding(None)  # type: ignore[arg-type]  # as above
