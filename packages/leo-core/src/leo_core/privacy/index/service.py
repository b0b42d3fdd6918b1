"""An index server behind HTTP: an ASGI application (Starlette), and what runs it (uvicorn).

``POST /v1/envelopes`` takes an envelope and gives one; ``GET /health`` tells whether the file can be read. The bearer
is checked before a byte of the body is read, and the body is read no further than its limit. Nothing of a request is
logged but its kind and its sizes.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, EnvelopeSizeError, IndexAccessError, LEOError, MissingExtraError
from leo_core.privacy.index.errors import write_error

try:
    import anyio
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    _EXTRA, _NEEDED_FOR = "server", "an index server"
    raise MissingExtraError(_EXTRA, _NEEDED_FOR) from error

if TYPE_CHECKING:
    from starlette.requests import Request

    from leo_core.privacy.index.server import EncryptedIndexServer

__all__ = ["PATH", "ServiceConfig", "make_app", "run_service"]

PATH = "/v1/envelopes"
"""Where envelopes are sent."""

_log = logging.getLogger("leo_core.index")
_BYTES, _JSON = "application/octet-stream", "application/json"
_BUSY, _TIMEOUT, _SLOW, _GONE = 503, 408, 504, 499


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """How an index server works off requests; each above 0.

    Attributes:
        threads: Requests at work at once.
        max_waiting: Requests that may be on their way or wait for a thread, beside those at work; further ones are told
            to come again later, unread.
        read_timeout_s: Seconds within which a request has to be there.
        answer_timeout_s: Seconds after which a client is told to ask again; a write goes on and is known again.
        keep_alive_s: Seconds for which an idle connection is kept.
    """

    threads: int = 4
    max_waiting: int = 64
    read_timeout_s: float = 30.0
    answer_timeout_s: float = 120.0
    keep_alive_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            ConfigError: Names the setting and its value.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 < value < float("inf"):
                message = f"ServiceConfig.{each.name} is {value!r}; it is above 0"
                raise ConfigError(message)


class _Service:
    """The endpoints."""

    def __init__(self, server: EncryptedIndexServer, config: ServiceConfig) -> None:
        self._server, self._config = server, config
        self._limiter: anyio.CapacityLimiter | None = None
        self._waiting = 0
        self._lock = threading.Lock()

    async def health(self, _: Request) -> Response:
        """Whether the file can be read."""
        try:
            await self._in_thread(self._server.check)
        except LEOError as error:
            return _refuse(error)
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def take_envelope(self, request: Request) -> Response:
        """Answer an envelope."""
        bearer = _find_bearer(request)
        try:
            await self._in_thread(self._server.admit, bearer)
        except LEOError as error:
            return _refuse(error)
        if self._waiting >= self._config.threads + self._config.max_waiting:
            return Response(status_code=_BUSY, headers={"Retry-After": "1"})
        self._waiting += 1  # from here on, because a body that is being read takes memory already
        try:
            return await self._read_and_answer(bearer, request)
        finally:
            self._waiting -= 1

    async def _read_and_answer(self, bearer: str, request: Request) -> Response:
        try:
            with anyio.fail_after(self._config.read_timeout_s):
                body = await _read_body(request, self._server.limits.max_envelope_bytes)
        except LEOError as error:
            return _refuse(error)
        except TimeoutError:
            return Response(status_code=_TIMEOUT)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        try:
            with anyio.fail_after(self._config.answer_timeout_s):
                reply = await self._in_thread(self._server.answer, bearer, body)
        except LEOError as error:
            return _refuse(error)
        except TimeoutError:
            return Response(status_code=_SLOW)
        return Response(reply, media_type=_BYTES)

    async def _in_thread(self, do: Any, *args: Any) -> Any:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._config.threads)
        return await anyio.to_thread.run_sync(do, *args, limiter=self._limiter, abandon_on_cancel=True)


def make_app(server: EncryptedIndexServer, config: ServiceConfig | None = None) -> Starlette:
    """The ASGI application around a server, which stays the caller's to close."""
    service = _Service(server, config or ServiceConfig())
    return Starlette(
        routes=[
            Route(PATH, service.take_envelope, methods=["POST"]),
            Route("/health", service.health, methods=["GET"]),
        ]
    )


def run_service(
    server: EncryptedIndexServer,
    *,
    host: str,
    port: int,
    config: ServiceConfig | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM); requests at work are finished.

    Args:
        server: The server; closed at the end.
        host: Address to listen on.
        port: Port; 0 for any, which is logged.
        config: Settings.
        tls_cert: Certificate chain (PEM).
        tls_key: Its key (PEM).

    Raises:
        MissingExtraError: uvicorn is not installed.
    """
    try:
        import uvicorn  # noqa: PLC0415 - optional part, loaded when it is used
    except ImportError as error:
        extra, needed_for = "server", "an index server"
        raise MissingExtraError(extra, needed_for) from error
    settings = config or ServiceConfig()
    running = uvicorn.Server(
        uvicorn.Config(
            make_app(server, settings),
            host=host,
            port=port,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            log_level="info",
            lifespan="off",
            timeout_keep_alive=round(settings.keep_alive_s),
            timeout_graceful_shutdown=round(settings.answer_timeout_s),
            ssl_certfile=tls_cert,
            ssl_keyfile=tls_key,
        )
    )
    try:
        running.run()
    finally:
        server.close()


def _find_bearer(request: Request) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else ""


async def _read_body(request: Request, most: int) -> bytes:
    """The body, read no further than ``most`` bytes.

    Raises:
        EnvelopeSizeError: It is longer, or says that it is.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit() or int(announced[:20]) > most:
        message = f"a request of {announced[:20]} bytes is refused: at most {most} are allowed"
        raise EnvelopeSizeError(message, check="oversized")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            message = f"a request of more than {most} bytes is refused"
            raise EnvelopeSizeError(message, check="oversized")
    return bytes(body)


def _refuse(error: LEOError) -> Response:
    status, body = write_error(error)
    level = logging.DEBUG if status != 500 else logging.ERROR  # noqa: PLR2004 - what is not the client's fault
    _log.log(level, "refused: %s", type(error).__name__)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, IndexAccessError) else {}
    return Response(body, status_code=status, media_type=_JSON, headers=headers)
