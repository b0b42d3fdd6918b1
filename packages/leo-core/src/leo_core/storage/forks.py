"""Telling objects of forks, as servers make them that load the application before they start their workers."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Forking", "watch_forks"]


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
    """Have the interpreter tell an object of forks for as long as it lives."""
    if not hasattr(os, "register_at_fork"):  # there is no fork
        return
    reference = weakref.ref(watcher)

    def tell(method: str) -> None:
        alive = reference()
        if alive is not None:
            getattr(alive, method)()

    os.register_at_fork(
        before=lambda: tell("before_fork"),
        after_in_parent=lambda: tell("after_fork_in_parent"),
        after_in_child=lambda: tell("after_fork_in_child"),
    )
