"""What a miss takes in code that is compiled already: SQLite, the numba kernels and the signatures.

However little time LEO's own Python took, a miss would take as long as these together, and LangChain's own part.
"""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from leo_core import kernels
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage import database

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CompiledTime"]

COMMITS, STATEMENTS, KERNELS, SIGNATURES = "SQLite, commits", "SQLite, the rest", "kernels", "Ed25519 signatures"


class CompiledTime:
    """Time by the wall clock of the calling thread in compiled code, while ``counts`` is set.

    Attributes:
        seconds: So far, by part.
        calls: How many calls that were.
        counts: Whether calls are timed at all; each one that is takes some 0.4 us longer.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.counts = False
        self._thread = threading.get_ident()

    def watch_store(self) -> None:
        """Time the statements of every database that is opened from now on."""
        clock = self

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, *values: Any) -> Any:
                return clock.time(COMMITS if statement == "COMMIT" else STATEMENTS, super().execute, statement, *values)

            def executemany(self, statement: str, *values: Any) -> Any:
                return clock.time(STATEMENTS, super().executemany, statement, *values)

            def fetchall(self) -> Any:
                return clock.time(STATEMENTS, super().fetchall)

            def fetchone(self) -> Any:
                return clock.time(STATEMENTS, super().fetchone)

        class Connection(database._Connection):  # noqa: SLF001 - measured from inside
            def execute(self, statement: str, *values: Any) -> Any:
                return self.cursor(Cursor).execute(statement, *values)

            def executemany(self, statement: str, *values: Any) -> Any:
                return self.cursor(Cursor).executemany(statement, *values)

        database._Connection = Connection  # type: ignore[misc]  # noqa: SLF001 - measured from inside

    def watch_rest(self) -> None:
        """Time the kernels, which have to be compiled and loaded by now, and the signatures."""
        names = [f"{kernels.__name__}.{each.name}" for each in pkgutil.iter_modules(kernels.__path__)]
        rooms = [importlib.import_module(name) for name in names]
        timed: dict[int, Callable[..., Any]] = {}
        for room in rooms:
            for name in getattr(room, "__all__", ()):
                kernel = getattr(room, name)
                if hasattr(kernel, "py_func"):
                    timed[id(kernel)] = self._wrap(KERNELS, kernel)
        for module in [each for name, each in sys.modules.items() if name.startswith("leo_core.")]:
            for name, value in list(vars(module).items()):
                if id(value) in timed and (module not in rooms or value.__module__ == module.__name__):
                    setattr(module, name, timed[id(value)])
        SigningKey.sign = self._wrap(SIGNATURES, SigningKey.sign)  # type: ignore[method-assign]  # measured from inside

    def time(self, part: str, do: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """Call, and count what it took to a part."""
        if not self.counts or threading.get_ident() != self._thread:
            return do(*values, **named)
        began = time.perf_counter()
        try:
            return do(*values, **named)
        finally:
            self.seconds[part] += time.perf_counter() - began
            self.calls[part] += 1

    def _wrap(self, part: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*values: Any, **named: Any) -> Any:
            return self.time(part, do, *values, **named)

        return timed
