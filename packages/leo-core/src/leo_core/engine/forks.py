"""Engines in forked processes, as servers have that load the application before they start their workers.

Threads are not inherited. Without this a worker would queue what it keeps and learns for a thread that only its parent
has, wait for it without end, and take what the other workers observe for its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from leo_core.storage.forks import watch_forks

if TYPE_CHECKING:
    from collections.abc import MutableMapping, MutableSet

    from leo_core.engine.background import Background

__all__ = ["EngineForks"]


class _Part(Protocol):
    def start_anew(self) -> None: ...


class EngineForks:
    """Has the parts of an engine begin anew in a child; the engine holds it for as long as it lives.

    Args:
        background: Comes to rest before a fork; what it was about to write is written by the parent.
        parts: The others.
        forget: What is under way in the parent.
    """

    def __init__(
        self,
        background: Background,
        *parts: _Part,
        forget: tuple[MutableMapping[tuple[str, str], Any] | MutableSet[str], ...],
    ) -> None:
        self._background, self._parts, self._forget = background, parts, forget
        watch_forks(self)

    def before_fork(self) -> None:
        """Let the background come to rest."""
        self._background.pause()

    def after_fork_in_parent(self) -> None:
        """Let it go on."""
        self._background.resume()

    def after_fork_in_child(self) -> None:
        """Begin anew."""
        for part in (self._background, *self._parts):
            part.start_anew()
        for each in self._forget:
            each.clear()
