"""LEO's embedders as an embedding of LlamaIndex."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding, Embedding
from llama_index.core.storage.kvstore.types import BaseKVStore
from pydantic import Field, PrivateAttr, field_serializer

from leo_core.adapting.embedding import TextVectors
from leo_core.adapting.settings import refuse_unknown
from leo_core.errors import ConfigError
from leo_llamaindex._own_collection import OwnCollection, embedding_a_query

__all__ = ["LEOEmbedding"]


class LEOEmbedding(BaseEmbedding):
    """Vectors without a key, a network or a download: by default of the static embedder that comes with LEO.

    A text is looked up word by word in a trained table, which takes microseconds. The vectors are of length 1, so that
    their inner product is their cosine. A text without a word gives the first basis vector. Queries and texts are
    embedded alike.

    An ``embeddings_cache`` may be shared with other embeddings: LlamaIndex files a vector under its text alone, this
    class under its embedder and under whether it is of a query or of a text besides.

    Args:
        embedder: ``"static"``, ``"hashed"`` (needs no training), or an embedder of leo_core.
        dimension: Length of the vectors, at least 8; by default 256, which is the most for ``"static"``.
        embed_batch_size, callback_manager, num_workers, embeddings_cache, rate_limiter: LlamaIndex's own.

    Raises:
        ConfigError: There is no such embedder, or not with this dimension, or an argument is unknown.

    Example:
        >>> from leo_llamaindex import LEOEmbedding
        >>> len(LEOEmbedding().get_text_embedding("The ferry leaves at 9:40."))
        256
    """

    embedder: Any = "static"
    dimension: int | None = Field(default=None, gt=0)

    _vectors: TextVectors = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """Name of the class, as LlamaIndex serialises it."""
        return "LEOEmbedding"

    def __init__(self, **settings: Any) -> None:
        """Check the arguments and load the embedder."""
        given = {name: value for name, value in settings.items() if name not in ("class_name", "model_name")}
        refuse_unknown(given, type(self).model_fields, owner="LEOEmbedding")
        vectors = TextVectors(given.get("embedder", "static"), dimension=given.get("dimension"), owner="LEOEmbedding")
        super().__init__(**given, model_name=str(vectors.fingerprint))
        self._check_model(settings)
        self._vectors = vectors
        self.embeddings_cache = self.embeddings_cache

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "embeddings_cache" and isinstance(value, BaseKVStore) and not isinstance(value, OwnCollection):
            value = OwnCollection(value, self.model_name)
        super().__setattr__(name, value)

    def _check_model(self, settings: dict[str, Any]) -> None:
        """Refuse to stand for another embedder than the one that was written down."""
        known = settings.get("model_name")
        if known not in (None, self.model_name):
            message = f"model_name is {known!r}, and the embedder is {self.model_name!r}; leave it out"
            raise ConfigError(message)

    @field_serializer("embedder")
    def _dump_embedder(self, given: Any) -> str:
        return given if isinstance(given, str) else "static"

    # --------------------------------------------------------------------------------------------------- vectors

    def _get_query_embedding(self, query: str) -> Embedding:
        return self._vectors.embed([query])[0]

    async def _aget_query_embedding(self, query: str) -> Embedding:
        return (await self._vectors.aembed([query]))[0]

    def _get_text_embedding(self, text: str) -> Embedding:
        return self._vectors.embed([text])[0]

    async def _aget_text_embedding(self, text: str) -> Embedding:
        return (await self._vectors.aembed([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return self._vectors.embed(texts)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[Embedding]:
        return await self._vectors.aembed(texts)

    # --------------------------------------------------------------------- queries are filed apart from texts

    def get_query_embedding(self, query: str) -> Embedding:
        """The vector of a query."""
        with embedding_a_query():
            vector: Embedding = super().get_query_embedding(query)
            return vector

    async def aget_query_embedding(self, query: str) -> Embedding:
        """:meth:`get_query_embedding` without blocking the event loop."""
        with embedding_a_query():
            vector: Embedding = await super().aget_query_embedding(query)
            return vector
