"""Telling objects of forks, as servers make them that load the application before they start their workers."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import weakref
from typing import Final, Protocol

__all__ = ["Forking", "watch_forks"]

_log = logging.getLogger("leo_core")


class Forking(Protocol):
    """What has to know of a fork."""

    def before_fork(self) -> None:
        """Let what other threads do come to rest."""
        ...

    def after_fork_in_parent(self) -> None:
        """Let it go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Begin anew without the other threads: none of them is inherited, and their work is the parent's to end."""
        ...


def watch_forks(watcher: Forking) -> None:
    """Have an object told of forks for as long as it lives, before one the youngest first, after it the oldest."""
    if hasattr(os, "register_at_fork"):  # otherwise there is no fork
        _WATCHERS.add(watcher)


class _Watchers:
    """All that is told of forks.

    The interpreter keeps what ``os.register_at_fork`` is given until the process ends, so it is given three functions,
    once, and not three for each store of an application that opens one for each request.
    """

    def __init__(self) -> None:
        self._watchers: dict[int, weakref.ref[Forking]] = {}
        self._numbers = itertools.count()
        self._registered = False
        self._lock = threading.Lock()
        self._forking = threading.local()

    def add(self, watcher: Forking) -> None:
        """Tell this one too."""
        number = next(self._numbers)
        self._watchers[number] = weakref.ref(watcher, lambda _: self._watchers.pop(number, None))
        with self._lock:
            registered, self._registered = self._registered, True
        if not registered:
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=lambda: self._tell("after_fork_in_parent"),
                after_in_child=self._after_fork_in_child,
            )

    def _before_fork(self) -> None:
        """Tell all, and hold on to them, so that the same ones are told when it is over."""
        alive = [watcher for each in list(self._watchers.copy().values()) if (watcher := each()) is not None]
        self._forking.told = alive
        self._tell("before_fork", youngest_first=True)
        self._forking.told = alive

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._tell("after_fork_in_child")

    def _tell(self, what: str, *, youngest_first: bool = False) -> None:
        told, self._forking.told = getattr(self._forking, "told", []), []
        for watcher in reversed(told) if youngest_first else told:
            try:
                getattr(watcher, what)()
            except Exception:  # noqa: BLE001 - the others have to be told, and the fork happens whatever is raised here
                _log.exception("%s was not prepared for a fork", type(watcher).__name__)


_WATCHERS: Final = _Watchers()
