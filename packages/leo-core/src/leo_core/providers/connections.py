"""The SDK's clients of one model: one for threads, and one per event loop.

A connection that an async client keeps open belongs to the loop that opened it; used from another loop it fails with
"Event loop is closed". So every loop gets its own client, which is closed when the loop shuts down: an async generator
that waits inside the loop is closed by ``loop.shutdown_asyncgens()``, which ``asyncio.run`` calls at its end.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

__all__ = ["Connections"]


class Connections:
    """Opens clients when they are first needed, and closes what it opened.

    Args:
        open_client: Makes the client for threads.
        open_async_client: Makes a client for one event loop; called in a thread, because it reads certificates.
    """

    def __init__(self, open_client: Callable[[], Any], open_async_client: Callable[[], Any]) -> None:
        self._open_client, self._open_async_client = open_client, open_async_client
        self._lock = threading.Lock()
        self._client: Any = None
        self._by_loop: dict[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None]]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def client(self) -> Any:
        """The client for threads."""
        with self._lock:
            if self._client is None:
                self._client = self._open_client()
            return self._client

    async def async_client(self) -> Any:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        if loop in self._by_loop:
            return self._by_loop[loop][0]
        self._forget_closed_loops()
        client = await asyncio.to_thread(self._open_async_client)
        if loop in self._by_loop:  # another task of this loop was faster
            await client.close()
            return await self.async_client()
        keeper = self._keep_until_loop_ends(loop, client)
        self._by_loop[loop] = (client, keeper)
        await anext(keeper)
        return client

    def _forget_closed_loops(self) -> None:
        for loop in [loop for loop in list(self._by_loop) if loop.is_closed()]:
            self._by_loop.pop(loop, None)

    async def _keep_until_loop_ends(self, loop: asyncio.AbstractEventLoop, client: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            if self._by_loop.get(loop, (None,))[0] is client:  # not a newer one, opened after a close
                self._by_loop.pop(loop)
            await client.close()

    def close(self) -> None:
        """Close every client; idempotent. Clients of loops that run elsewhere are closed there, a moment later."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        for loop, (_, keeper) in list(self._by_loop.items()):
            self._by_loop.pop(loop, None)
            if not loop.is_closed():
                self._close_in(loop, keeper)

    def _close_in(self, loop: asyncio.AbstractEventLoop, keeper: AsyncGenerator[None]) -> None:
        if loop is _running_loop():
            task = loop.create_task(keeper.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        elif loop.is_running():
            asyncio.run_coroutine_threadsafe(_aclose(keeper), loop)
        elif _running_loop() is None:
            loop.run_until_complete(keeper.aclose())

    async def aclose(self) -> None:
        """Close every client, and wait for that of the running loop; idempotent."""
        held = self._by_loop.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held[1].aclose()
        self.close()


async def _aclose(keeper: AsyncGenerator[None]) -> None:
    await keeper.aclose()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
