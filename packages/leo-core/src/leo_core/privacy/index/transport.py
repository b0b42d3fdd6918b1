"""How requests get to an index server, and how flows are run on that.

``HttpTransport`` is in :mod:`leo_core.storage.index_http`; here is the one for a server in the same process.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from leo_core.errors import LEOError
from leo_core.privacy.index.flow import close_reply, make_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from leo_core.privacy.index.access import IndexToken
    from leo_core.privacy.index.envelope import Envelope
    from leo_core.privacy.index.flow import Ask, Flow, Reply
    from leo_core.privacy.index.server import EncryptedIndexServer

__all__ = ["InProcessTransport", "IndexTransport", "arun_flow", "run_flow"]

T = TypeVar("T")


@runtime_checkable
class IndexTransport(Protocol):
    """Carries envelopes to a server and back; threads may share it.

    Raises the errors of the server as if it were here, and :class:`leo_core.errors.StoreUnavailableError` where it
    cannot be reached. It may send the same bytes again: the server knows a write again.
    """

    def send(self, request: bytes) -> bytes:
        """The reply to a request."""
        ...

    async def asend(self, request: bytes) -> bytes:
        """The reply to a request, without blocking the event loop."""
        ...

    def close(self) -> None:
        """Release what it holds; idempotent."""
        ...


class InProcessTransport:
    """To a server in this process.

    Args:
        server: The server; it stays the caller's to close.
        token: Token of an account.
    """

    def __init__(self, server: EncryptedIndexServer, token: IndexToken) -> None:
        self._server, self._bearer = server, token.bearer()

    def send(self, request: bytes) -> bytes:
        """The reply to a request."""
        return self._server.answer(self._bearer, request)

    async def asend(self, request: bytes) -> bytes:
        """The reply to a request, without blocking the event loop."""
        return await asyncio.to_thread(self.send, request)

    def close(self) -> None:
        """Nothing is held."""


def run_flow(flow: Flow[T], transport: IndexTransport, mac_key: bytes) -> T:
    """Run a flow on a blocking transport; returns what it returns, raises what it raises."""
    with _closing(flow):
        step = _advance(flow, None, mac_key)
        while not isinstance(step, _Done):
            envelope, data = step
            try:
                answer: Reply | LEOError = close_reply(envelope, transport.send(data), mac_key)
            except LEOError as error:
                answer = error
            step = _advance(flow, answer, mac_key)
    return step.value  # type: ignore[no-any-return]  # what the flow returned


async def arun_flow(flow: Flow[T], transport: IndexTransport, mac_key: bytes) -> T:
    """Run a flow on an asynchronous transport. What it computes (encryption, decryption) runs in a thread."""
    with _closing(flow):
        step = await asyncio.to_thread(_advance, flow, None, mac_key)
        while not isinstance(step, _Done):
            envelope, data = step
            try:
                answer: Reply | LEOError = close_reply(envelope, await transport.asend(data), mac_key)
            except LEOError as error:
                answer = error
            step = await asyncio.to_thread(_advance, flow, answer, mac_key)
    return step.value  # type: ignore[no-any-return]  # what the flow returned


@contextmanager
def _closing(flow: Flow[Any]) -> Iterator[None]:
    """Tell a flow at once that it is given up, as it is where a caller is cancelled: it may have sent something."""
    try:
        yield
    finally:
        with suppress(ValueError):  # a thread is in it still, and lets go of it when it is through
            flow.close()


class _Done:
    """A flow has ended with this value."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _advance(flow: Flow[Any], answer: Reply | LEOError | None, mac_key: bytes) -> _Done | tuple[Envelope, bytes]:
    """The next request of a flow, or its end."""
    try:
        ask: Ask
        if answer is None:
            ask = next(flow)
        elif isinstance(answer, LEOError):
            ask = flow.throw(answer)
        else:
            ask = flow.send(answer)
    except StopIteration as done:
        return _Done(done.value)
    return make_request(ask, mac_key)
