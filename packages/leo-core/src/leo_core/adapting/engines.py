"""Engines of models that are made anew for each call, as frameworks do where a setting comes with the call."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leo_core.adapting.lazy import LazyEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_ENGINES", "Engines"]


MOST_ENGINES = 32
"""How many are kept: whoever gives every user a key of his own would otherwise keep an engine for each."""


class Engines:
    """One engine for each choice of what an engine is made from. Copies and pickles of it start empty.

    Of more than :data:`MOST_ENGINES` the one that was not used for longest is let go, and with it what it kept in
    memory; it is closed when the calls that it serves have ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[tuple[Mapping[str, Any], LazyEngine]] = []

    def __reduce__(self) -> tuple[type[Engines], tuple[()]]:
        return type(self), ()

    def __copy__(self) -> Engines:
        return Engines()

    def __deepcopy__(self, _: Any) -> Engines:
        return Engines()

    def find(self, settings: Mapping[str, Any]) -> LazyEngine:
        """The engine that is made from these settings; a new one where there is none yet."""
        with self._lock:
            for at, (known, engine) in enumerate(self._known):
                if all(known[name] is value or _is_same(known[name], value) for name, value in settings.items()):
                    self._known.append(self._known.pop(at))
                    return engine
            engine = LazyEngine()
            self._known.append((dict(settings), engine))
            oldest = self._known.pop(0)[1] if len(self._known) > MOST_ENGINES else None
        if oldest is not None:
            oldest.retire()
        return engine

    def close(self) -> None:
        """Close them all; the next use of one builds it again."""
        with self._lock:
            known, self._known = self._known, []
        for _, engine in known:
            engine.close()


def _is_same(one: Any, other: Any) -> bool:
    """Whether two settings are the same: objects as such, values by their worth."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple | list):
        return _are_same(one, other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and _are_same(list(one.values()), [other[name] for name in one])
    is_value = type(one).__hash__ is not None  # what may be changed, such as a chat model, is only itself
    return is_value and bool(one == other)


def _are_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(_is_same, one, other))
