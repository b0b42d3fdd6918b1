"""The member of an engine that only keeps answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from leo_core.errors import ConfigError
from leo_core.records import Capabilities, Chunk, Draft, Json, Request, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

__all__ = ["AbsentModel"]


class AbsentModel:
    """Stands where a LEO wants a member; whoever asks it is told that this LEO only keeps answers."""

    id = "none"
    family = "none"
    capabilities = Capabilities()
    fingerprint: Mapping[str, Json] = {"class": "none"}

    def estimate(self, request: Request) -> Usage:  # noqa: ARG002 - the port's signature
        """Nothing is ever spent."""
        return Usage()

    def price(self, usage: Usage) -> float | None:  # noqa: ARG002 - as above
        """No price."""
        return None

    def generate(self, request: Request) -> Draft:
        """Refuse.

        Raises:
            ConfigError: Always.
        """
        self._refuse(request)

    async def agenerate(self, request: Request) -> Draft:
        """Refuse, as :meth:`generate` does."""
        self._refuse(request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Refuse, as :meth:`generate` does."""
        self._refuse(request)

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Refuse, as :meth:`generate` does."""
        self._refuse(request)

    def close(self) -> None:
        """Nothing to release."""

    @staticmethod
    def _refuse(_: Request) -> NoReturn:
        message = "this LEO belongs to a LEOCache and has no members: ask a LEOChatModel"
        raise ConfigError(message)
