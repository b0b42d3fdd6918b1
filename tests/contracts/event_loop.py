"""What every ``async`` call keeps: it never blocks the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from blockbuster import BlockBuster, blockbuster_ctx


@contextmanager
def never_blocked(scanned: str | list[str] | None = None) -> Iterator[BlockBuster]:
    """Raises at each call that blocks the running event loop, the lock of the coverage tracer apart.

    With names of packages, only calls that come from their modules count.
    """
    with blockbuster_ctx(scanned) as watch:
        for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
            watch.functions[name].can_block_in("coverage/collector.py", "lock_data")
        yield watch
