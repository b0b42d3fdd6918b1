"""LEO's embedders as embeddings of LangChain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from leo_core.adapting.embedding import TextVectors

if TYPE_CHECKING:
    from leo_core.ports import Embedder

__all__ = ["LEOEmbeddings"]


class LEOEmbeddings(Embeddings):
    """Vectors without a key, a network or a download: by default of the static embedder that comes with LEO.

    A text is looked up word by word in a trained table, which takes microseconds. The vectors are of length 1, so that
    their inner product is their cosine. A text without a word gives the first basis vector. Queries and documents are
    embedded alike.

    Args:
        embedder: ``"static"``, ``"hashed"`` (needs no training), or an embedder of leo_core.
        dimension: Length of the vectors, at least 8; by default 256, which is the most for ``"static"``.

    Raises:
        ConfigError: There is no such embedder, or not with this dimension.

    Example:
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> from leo_langchain import LEOEmbeddings
        >>> store = InMemoryVectorStore(LEOEmbeddings())
        >>> _ = store.add_texts(["The ferry leaves at 9:40.", "A day ticket costs 12 euros."])
        >>> store.similarity_search("What is the price of a ticket?", k=1)[0].page_content
        'A day ticket costs 12 euros.'
    """

    def __init__(self, embedder: str | Embedder = "static", *, dimension: int | None = None) -> None:
        self._vectors = TextVectors(embedder, dimension=dimension, owner="LEOEmbeddings")

    def __repr__(self) -> str:
        return f"LEOEmbeddings({self.model!r})"

    @property
    def model(self) -> str:
        """Name, version, dimension and hash of the embedder: vectors of another one are not comparable."""
        return str(self._vectors.fingerprint)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector per text, in order.

        Raises:
            RequestError: It is no list of strings.
        """
        return self._vectors.embed(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text.

        Raises:
            RequestError: It is no string.
        """
        return self._vectors.embed([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """:meth:`embed_documents` without blocking the event loop."""
        return await self._vectors.aembed(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """:meth:`embed_query` without blocking the event loop."""
        return (await self._vectors.aembed([text]))[0]
