"""LEO's embedders for a framework: texts that are checked, vectors as lists of numbers, and an event loop kept free."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leo_core.adapting.lazy import Lazy
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError, RequestError
from leo_core.ports import Embedder

if TYPE_CHECKING:
    from leo_core.records import EmbedderFingerprint

__all__ = ["MOST_ON_LOOP", "TextVectors"]

MOST_ON_LOOP = 20_000
"""Characters that a local embedder is given on the event loop, which takes a few milliseconds; more go to a thread."""


class TextVectors:
    """Vectors of texts. Copies and pickles of it load an embedder given by name when they need it.

    Args:
        embedder: ``"static"``, ``"hashed"``, ``"default"``, or an embedder of leo_core.
        dimension: Length of the vectors of an embedder given by name, at least 8; by default 256, which is the most for
            ``"static"``.
        owner: Whose arguments these are, for the errors.

    Raises:
        ConfigError: There is no such embedder, or not with this dimension.
    """

    def __init__(
        self, embedder: str | Embedder = "static", *, dimension: int | None = None, owner: str = "TextVectors"
    ) -> None:
        if not isinstance(embedder, str | Embedder):
            message = f"an embedder is a name like 'static' or an embedder of leo_core, not {type(embedder).__name__}"
            raise ConfigError(message)
        check_arguments({"dimension": dimension}, owner=owner)
        self._given, self._dimension = embedder, dimension
        self._embedder: Lazy[Embedder] = Lazy()
        self._ready: Lazy[bool] = Lazy()
        own = self.fingerprint.dimension
        if dimension is not None and dimension != own:
            message = f"the embedder has {own} dimensions; {dimension} were asked for"
            raise ConfigError(message)

    @property
    def fingerprint(self) -> EmbedderFingerprint:
        """Which embedder it is."""
        return self._embedder.get(self._load).fingerprint

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text, in order; a text without a word gives the first basis vector.

        Raises:
            RequestError: It is no sequence of strings.
        """
        checked = _check(texts)
        return self._rows(checked) if checked else []

    async def aembed(self, texts: Sequence[str]) -> list[list[float]]:
        """:meth:`embed` without blocking the event loop."""
        checked = _check(texts)
        if not checked:
            return []
        await self._ready.aget(self._warm_up)
        few = sum(map(len, checked)) <= MOST_ON_LOOP
        if few and self._embedder.get(self._load).is_local:
            return self._rows(checked)
        return await asyncio.to_thread(self._rows, checked)

    def _rows(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self._embedder.get(self._load).embed(texts).tolist()
        return rows

    def _load(self) -> Embedder:
        from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

        if not isinstance(self._given, str):
            return self._given
        return load_embedder(self._given, dimension=256 if self._dimension is None else self._dimension)

    def _warm_up(self) -> bool:
        """Load and compile, which takes longer than an event loop may wait."""
        embedder = self._embedder.get(self._load)
        if embedder.is_local:
            embedder.embed(["warm up"])
        return True


def _check(texts: Any) -> list[str]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        message = f"texts are a list of strings, not {type(texts).__name__}"
        raise RequestError(message)
    wrong = next((position for position, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        message = f"text {wrong} is no string but {type(texts[wrong]).__name__}"
        raise RequestError(message)
    return list(texts)
