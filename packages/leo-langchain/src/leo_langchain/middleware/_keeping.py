"""What the middlewares that keep something have in common: the cache behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.adapting.closing import Closeable

if TYPE_CHECKING:
    from leo_core.adapting.keeper import AnswerKeeper

__all__ = ["Keeping"]


class Keeping(Closeable):
    """Something with a cache that can be looked at and closed."""

    _keeper: AnswerKeeper

    @property
    def keeper(self) -> AnswerKeeper:
        """The cache itself: ``keeper.leo.cache`` clears, invalidates, exports and warms it.

        Results of a tool have the tag ``"tool:NAME"``: ``keeper.leo.cache.invalidate(tags=["tool:NAME"])``.
        """
        return self._keeper

    @property
    def counts(self) -> dict[str, int]:
        """Events so far, by name: ``cache.hit``, ``cache.miss``, ``lookup.failed`` …."""
        return self._keeper.counts

    def close(self) -> None:
        """Write what is left and release the store; idempotent. A later use opens it again."""
        self._keeper.close()
