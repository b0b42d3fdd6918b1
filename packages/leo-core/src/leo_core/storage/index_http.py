"""To an index server behind HTTP."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from leo_core.errors import (
    ConfigError,
    EnvelopeSizeError,
    IndexCertificateError,
    MissingExtraError,
    StoreUnavailableError,
)
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.index.errors import read_error
from leo_core.privacy.index.flow import MOST_REPLY_BYTES
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.stages.resilience.retry import decide_wait
from leo_core.storage.keyfile import load_token
from leo_core.storage.tls import find_certificate_fault, make_tls_context

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from leo_core.errors import LEOError
    from leo_core.privacy.index.client import EncryptedIndex, TenantRings
    from leo_core.privacy.index.config import PrivateIndexConfig

__all__ = ["HttpTransport", "index_at"]

_PATH = "/v1/envelopes"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OK = 200
_RETRIES = 3


class HttpTransport:
    """A :class:`leo_core.privacy.index.transport.IndexTransport` to a server at an address; threads may share it.

    A request that got no answer, or was told that the server is busy, is sent again with the same bytes: the server
    knows a write again that it has made already.

    Args:
        url: Address of the server, such as ``"https://index.example"``.
        token: Token of an account.
        timeout_s: Seconds to wait for a connection, and between two pieces of an answer; above 0.
        resilience: How long to wait before a request is sent again; ``max_retries=None`` means three times.
        plain: Whether plain HTTP to another machine is allowed, where something else encrypts the way there.
        ca_file: File with the certificates (PEM) of the authorities that are trusted, in the place of the system's.
        pin: SHA-256 of the server's certificate; see :func:`leo_core.storage.tls.make_tls_context`.

    The server's certificate is checked in any case; there is no way around that.

    Attributes:
        bytes_sent: Bytes of all requests so far, without what HTTP adds.
        bytes_received: Bytes of all answers so far, without what HTTP adds.

    Raises:
        ConfigError: The address is not one of http or https, or of http to another machine without ``plain``; or
            ``ca_file`` or ``pin`` cannot be used, or have no use with an address of http.
        MissingExtraError: The extra ``index`` is not installed.
    """

    def __init__(
        self,
        url: str,
        token: IndexToken,
        *,
        timeout_s: float = 60.0,
        resilience: ResilienceConfig | None = None,
        plain: bool = False,
        ca_file: str | os.PathLike[str] | None = None,
        pin: str | None = None,
    ) -> None:
        self._url = _check_url(url, plain=plain) + _PATH
        context = make_tls_context(ca_file, pin)
        if context is not None and not self._url.startswith("https:"):
            message = f"ca_file and pin are for an address of https, not for {url!r}"
            raise ConfigError(message)
        if not 0 < timeout_s < float("inf"):
            message = f"timeout_s is {timeout_s!r}; it is above 0 and finite"
            raise ConfigError(message)
        try:
            import httpx2  # noqa: PLC0415 - optional part, loaded when it is used
        except ImportError as error:
            extra, needed_for = "index", "an index server behind HTTP"
            raise MissingExtraError(extra, needed_for) from error
        self._httpx = httpx2
        self._resilience = resilience or ResilienceConfig(backoff_s=0.1, longest_backoff_s=2.0)
        self._settings: dict[str, Any] = {
            "timeout": timeout_s,
            "verify": True if context is None else context,
            "trust_env": False,
            "headers": {
                "Authorization": f"Bearer {token.bearer()}",
                "Content-Type": "application/octet-stream",
                "Accept-Encoding": "identity",  # what is packed may be a thousand times larger than what was sent
            },
        }
        self._client = httpx2.Client(**self._settings)
        self._async: tuple[asyncio.AbstractEventLoop, Any] | None = None
        self.bytes_sent = 0
        self.bytes_received = 0

    def __repr__(self) -> str:
        return f"HttpTransport({self._url.removesuffix(_PATH)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: bytes) -> bytes:
        """The reply to a request.

        Raises:
            IndexCertificateError: The server's certificate is not trusted; nothing was sent.
            EnvelopeSizeError: The answer is longer than any is; no more of it was read.
            StoreUnavailableError: The server cannot be reached, or is too busy, also after some tries.
            StorageError: The server refused; its own error where it said which.
        """
        waited, attempt = 0.0, 0
        while True:
            attempt += 1
            try:
                with self._client.stream("POST", self._url, content=request) as answer:
                    body = bytearray()
                    for piece in answer.iter_raw():
                        _take(body, piece)
                return self._read(request, answer.status_code, bytes(body))
            except (self._httpx.HTTPError, StoreUnavailableError) as error:
                wait = self._decide(error, attempt, waited)
                time.sleep(wait)
                waited += wait

    async def asend(self, request: bytes) -> bytes:
        """:meth:`send`, without blocking the event loop."""
        waited, attempt = 0.0, 0
        while True:
            attempt += 1
            try:
                async with self._find_async_client().stream("POST", self._url, content=request) as answer:
                    body = bytearray()
                    async for piece in answer.aiter_raw():
                        _take(body, piece)
                return self._read(request, answer.status_code, bytes(body))
            except (self._httpx.HTTPError, StoreUnavailableError) as error:
                wait = self._decide(error, attempt, waited)
                await asyncio.sleep(wait)
                waited += wait

    def close(self) -> None:
        """Close the connections of :meth:`send`; idempotent."""
        self._client.close()

    async def aclose(self) -> None:
        """Close all connections; idempotent."""
        self.close()
        if self._async is not None:
            client, self._async = self._async[1], None
            await client.aclose()

    def _find_async_client(self) -> Any:
        """The client of the running event loop: connections belong to one."""
        loop = asyncio.get_running_loop()
        if self._async is None or self._async[0] is not loop:
            self._async = loop, self._httpx.AsyncClient(**self._settings)
        return self._async[1]

    def _read(self, request: bytes, status: int, body: bytes) -> bytes:
        self.bytes_sent += len(request)
        self.bytes_received += len(body)
        if status != _OK:
            raise read_error(status, body)
        return body

    def _decide(self, error: Exception, attempt: int, waited: float) -> float:
        """Seconds to wait before the same bytes are sent again.

        Raises:
            IndexCertificateError: They are not: the server's certificate is not trusted, and will not be.
            StoreUnavailableError: They are not.
        """
        fault = find_certificate_fault(error)
        if fault:
            message = (
                f"the certificate of the index server {self._url.removesuffix(_PATH)} is not trusted ({fault}): "
                "nothing was sent. Give the file of the authority that signed it as ca_file, or its SHA-256 as pin"
            )
            raise IndexCertificateError(message, check="certificate") from error
        translated: LEOError = (
            error
            if isinstance(error, StoreUnavailableError)
            else StoreUnavailableError(
                f"the index server {self._url.removesuffix(_PATH)} cannot be reached ({type(error).__name__}); "
                "is it running, and is the address right?"
            )
        )
        retries = _RETRIES if self._resilience.max_retries is None else self._resilience.max_retries
        wait = None
        if attempt <= retries:
            draw = random.random()  # noqa: S311 - spreads retries, keeps no secret
            wait = decide_wait(
                translated, attempt=attempt, waited_s=waited, left_s=None, draw=draw, config=self._resilience
            )
        if wait is None:
            raise translated from (None if translated is error else error)
        return wait


def index_at(
    url: str,
    token: IndexToken | str | os.PathLike[str],
    config: PrivateIndexConfig | None = None,
    *,
    plain: bool = False,
    ca_file: str | os.PathLike[str] | None = None,
    pin: str | None = None,
    on_alarm: Callable[[str, int], None] = lambda *_: None,
) -> Callable[[TenantRings], EncryptedIndex]:
    """What :class:`leo_core.privacy.config.PrivacyConfig` takes as ``index`` for a server at an address.

    Each cache or model that is made with it has a client and connections of its own, so that closing one closes none
    of the others'.

    Args:
        url: Address of the server.
        token: The token, or the file that holds it, which nobody else may read (mode 0600).
        config: Settings of the client; its ``mode`` is that of the ``PrivacyConfig``.
        plain: As for :class:`HttpTransport`.
        ca_file: As for :class:`HttpTransport`.
        pin: As for :class:`HttpTransport`.
        on_alarm: As for :class:`leo_core.privacy.index.client.EncryptedIndex`.

    Raises:
        ConfigError: The address, the token, ``ca_file`` or ``pin`` cannot be used.
        MissingExtraError: The extra ``index`` is not installed.
    """
    from leo_core.privacy.index.client import EncryptedIndex  # noqa: PLC0415 - loads numpy

    kept = token if isinstance(token, IndexToken) else load_token(token)

    def make_transport() -> HttpTransport:
        return HttpTransport(url, kept, plain=plain, ca_file=ca_file, pin=pin)

    make_transport().close()  # so that what is wrong with the arguments is said here
    return lambda rings: EncryptedIndex(make_transport(), kept, rings, config=config, on_alarm=on_alarm)


def _take(body: bytearray, piece: bytes) -> None:
    """Add a piece of an answer, as it was sent, to those before it.

    Raises:
        EnvelopeSizeError: They are longer than any answer is.
    """
    body += piece
    if len(body) > MOST_REPLY_BYTES:
        message = f"the index server sends more than {MOST_REPLY_BYTES} bytes, which no reply has"
        raise EnvelopeSizeError(message, check="oversized")


def _check_url(url: str, *, plain: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        shown = url.rpartition("@")[2]  # what stands before may be a password
        message = f"an index server has an address such as https://index.example, not {shown!r}"
        raise ConfigError(message)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not plain:
        message = f"{url!r} is not encrypted, and the token goes with each request: use https, or say plain=True"
        raise ConfigError(message)
    return url.rstrip("/")
