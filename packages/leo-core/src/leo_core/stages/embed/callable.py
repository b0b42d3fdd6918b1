"""Any function from texts to rows, as an embedder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError, LEOError, MalformedReplyError, ProviderError
from leo_core.records import EmbedderFingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

__all__ = ["CallableEmbedder"]


class CallableEmbedder:
    """Adapts a function ``list[str] -> rows``: an embeddings API, a LangChain or LlamaIndex embedder, a local model.

    Rows are checked and scaled to length 1; a row of zeros becomes the first basis vector.

    Args:
        embed: The function; its result may be anything that numpy makes a (n, dimension) matrix of.
        name: Name of the embedder. Vectors of another name, version or dimension are never compared with these.
        version: Its version; change it when the function's vectors change.
        dimension: Length of the rows.
    """

    def __init__(
        self, embed: Callable[[list[str]], npt.ArrayLike], *, name: str, version: str = "1", dimension: int
    ) -> None:
        if not name or dimension < 1:
            message = f"an embedder needs a name and a dimension of at least 1; got {name!r} and {dimension}"
            raise ConfigError(message)
        self._embed = embed
        self._fingerprint = EmbedderFingerprint(
            name=name,
            version=version,
            dimension=dimension,
            table_sha256=hashlib.sha256(f"callable|{name}|{version}|{dimension}".encode()).hexdigest(),
        )

    @property
    def fingerprint(self) -> EmbedderFingerprint:
        """Name, version and dimension as given."""
        return self._fingerprint

    @property
    def is_local(self) -> bool:
        """False: nothing is known of how long the function takes."""
        return False

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows, float32, shape ``(len(texts), d)``; without texts the function is not called.

        Raises:
            ProviderError: The function failed; its error is the ``__cause__``.
            MalformedReplyError: The rows are not finite numbers, or not one per text.
            ConfigError: The rows have another length than ``dimension``.
        """
        if not texts:
            return np.zeros((0, self._fingerprint.dimension), dtype=np.float32)
        return _normalise(self._check(self._call(list(texts)), len(texts)))

    def _call(self, texts: list[str]) -> npt.ArrayLike:
        """Call the function and translate its errors."""
        try:
            return self._embed(texts)
        except LEOError:
            raise
        except Exception as error:
            message = f"embedder {self._fingerprint.name!r} failed: {type(error).__name__}"
            raise ProviderError(message, provider="embedder", model=self._fingerprint.name) from error

    def _check(self, reply: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
        """The reply as a finite matrix of the promised shape."""
        name, dimension = self._fingerprint.name, self._fingerprint.dimension
        try:
            rows = np.asarray(reply, dtype=np.float64)
        except (TypeError, ValueError) as error:
            message = f"embedder {name!r} did not return rows of numbers of equal length"
            raise MalformedReplyError(message, provider="embedder", model=name) from error
        if rows.ndim != 2 or len(rows) != count:  # noqa: PLR2004 - rows and columns
            message = f"embedder {name!r} returned shape {rows.shape} for {count} texts"
            raise MalformedReplyError(message, provider="embedder", model=name)
        if rows.shape[1] != dimension:
            message = f"embedder {name!r} returned rows of length {rows.shape[1]}; set dimension={rows.shape[1]}"
            raise ConfigError(message)
        if not np.isfinite(rows).all():
            message = f"embedder {name!r} returned numbers that are not finite"
            raise MalformedReplyError(message, provider="embedder", model=name)
        return rows


def _normalise(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Rows of length 1; zeros become the first basis vector. Scaled by the largest entry first, against overflow."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    empty = largest[:, 0] == 0
    rows = rows / np.where(largest == 0, 1.0, largest)
    rows[empty, 0] = 1.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)
