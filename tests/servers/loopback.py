"""A threaded HTTP server on the loopback that records its requests and can fail on purpose."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.servers.brain import Brain, Reply, answer_by_default

__all__ = ["Completed", "Event", "Fault", "LoopbackServer", "Recorded", "WireError"]

_SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "x-vault-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How a reply fails; several may be combined.

    Attributes:
        delay_s: Wait before anything is sent (a timeout when it is longer than the client waits).
        status: Answer with the provider's error body and this status.
        retry_after: Value of the ``Retry-After`` header of an error.
        reset_after: Reset the connection after this many bytes of a body that has more; 0 resets before the first
            header.
        malformed: The body (in a stream, the third event) is broken JSON.
        empty: Status 200 and no body; in a stream, no event at all.
        no_choices: A well-formed reply without choices (OpenAI) or without content (Anthropic).
        cut_after_events: Close the connection after this many events of a stream, without its end.
        stop_after_events: End a stream cleanly after this many events, without the protocol's own end.
        error_after_events: Send the provider's ``error`` event after this many events, then end.
        content_type: Wrong content type of the reply.
        body: Body sent as it is, with the content type.
        drip_s: Wait before every event of a stream.
        loris_s: Send the body byte by byte with this wait before each, over and over, and never its end.
        headers: Further headers of the reply.
        times: Number of requests that fail; ``None`` for all.
    """

    delay_s: float = 0.0
    status: int | None = None
    retry_after: str | None = None
    reset_after: int | None = None
    malformed: bool = False
    empty: bool = False
    no_choices: bool = False
    cut_after_events: int | None = None
    stop_after_events: int | None = None
    error_after_events: int | None = None
    content_type: str | None = None
    body: bytes | None = None
    drip_s: float = 0.0
    loris_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None

    @property
    def spoils(self) -> bool:
        """Whether a reply that is sent with it is not the whole one."""
        ends = (self.body, self.cut_after_events, self.stop_after_events, self.error_after_events)
        return self.malformed or self.empty or any(end is not None for end in ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A request as it came; the values of headers that carry keys are replaced by ``"***"``."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A reply that was sent to its end: what was asked, and what was answered."""

    body: Any
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event; ``data`` is sent as JSON unless it is a string."""

    data: Any
    name: str | None = None

    def encode(self) -> bytes:
        """Bytes on the wire."""
        data = self.data if isinstance(self.data, str) else json.dumps(self.data, ensure_ascii=False)
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {data}\n\n".encode()


class WireError(Exception):
    """The request breaks the provider's protocol; answered with ``status`` and the provider's error body."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class _Reset(Exception):  # noqa: N818 - not an error of the code under test
    """The connection is to be reset now."""


class LoopbackServer:
    """A provider on ``127.0.0.1``; use it as a context manager, or ``start`` and ``close`` it.

    Args:
        brain: Decides the reply.
        fault: How replies fail; may be replaced while the server runs. A function decides by the request's body.
        api_key: When given, other keys are answered with 401.
        keep_alive: Whether connections stay open for the next request. Off by default, because clients that share
            connections between event loops (langchain-openai's) fail on it in tests that have a loop each.
    """

    def __init__(
        self,
        brain: Brain = answer_by_default,
        *,
        fault: Fault | Callable[[Any], Fault] | None = None,
        api_key: str | None = None,
        keep_alive: bool = False,
    ) -> None:
        self.brain = brain
        self.api_key = api_key
        self.keep_alive = keep_alive
        self.requests: list[Recorded] = []
        self.completed: list[Completed] = []
        self._thought = threading.local()
        self.asked = threading.Event()
        self.disconnected = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._fault = fault
        self._failed = 0
        self._http: _QuietServer | None = None
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------- life

    def start(self) -> Self:
        """Listen on a free port of the loopback."""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; idempotent."""
        self.stopping.set()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._http.server_close()
            self._http = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def base_url(self) -> str:
        """What the provider's SDK takes as ``base_url``."""
        return self.origin

    # ----------------------------------------------------------------------------------- faults

    @property
    def fault(self) -> Fault | Callable[[Any], Fault] | None:
        """The fault of the replies to come."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | Callable[[Any], Fault] | None) -> None:
        with self._lock:
            self._fault, self._failed = fault, 0

    def take_fault(self, body: Any) -> Fault:
        """The fault of one request."""
        with self._lock:
            fault = self._fault
            if callable(fault):
                return fault(body)
            if fault is None or (fault.times is not None and self._failed >= fault.times):
                return Fault()
            self._failed += 1
            return fault

    def think(self, asked: Any) -> Reply:
        """Ask the brain."""
        reply = self.brain(asked)
        self._thought.reply = Reply(text=reply) if isinstance(reply, str) else reply
        return self._thought.reply

    def complete(self, body: Any) -> None:
        """Note that the reply that this thread thought of was sent to its end."""
        self.completed.append(Completed(body=body, reply=self._thought.reply))

    # ------------------------------------------------------------------- what a protocol decides

    def error_body(self, status: int, message: str) -> Mapping[str, Any]:
        """The provider's error body."""
        raise NotImplementedError

    def error_event(self) -> Event:
        """The provider's error inside a stream."""
        raise NotImplementedError

    def get(self, path: str) -> Mapping[str, Any]:
        """Answer a GET."""
        raise NotImplementedError

    def post(self, path: str, body: Mapping[str, Any], fault: Fault) -> Mapping[str, Any] | Iterable[Event]:
        """Answer a POST: a JSON body, or events."""
        raise NotImplementedError

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The key in the headers."""
        raise NotImplementedError


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let clients hang up between requests."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    owner: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer("GET", b"")

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer("POST", self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, method: str, raw: bytes) -> None:
        body = json.loads(raw) if raw else None
        fault = self.owner.take_fault(body)
        try:
            self._record(method, body)
            if fault.delay_s:
                self.owner.stopping.wait(fault.delay_s)
                self._drip(0.001)
            self._fail_early(fault)
            reply = self.owner.get(self.path) if method == "GET" else self.owner.post(self.path, body, fault)
            self._send(reply, fault)
            if method == "POST" and not fault.spoils:
                self.owner.complete(body)
        except WireError as error:
            self._send_json(error.status, self.owner.error_body(error.status, str(error)), fault)
        except _Reset:
            self._reset()
        except OSError:
            self.owner.disconnected.set()
            self.close_connection = True

    def _record(self, method: str, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.asked.set()
        key = self.owner.key_of(headers)
        shown = {name: "***" if name in _SECRET_HEADERS else value for name, value in headers.items()}
        self.owner.requests.append(Recorded(method=method, path=self.path, headers=shown, body=body))
        if self.owner.api_key is not None and key != self.owner.api_key:
            raise WireError("Incorrect API key provided.", status=401)

    def end_headers(self) -> None:
        """Say whether the connection stays open."""
        if not self.owner.keep_alive:
            self.send_header("connection", "close")
        super().end_headers()

    def _fail_early(self, fault: Fault) -> None:
        if fault.reset_after == 0:
            raise _Reset
        if fault.status is not None:
            raise WireError(f"Scripted failure {fault.status}.", status=fault.status)

    def _send(self, reply: Mapping[str, Any] | Iterable[Event], fault: Fault) -> None:
        if fault.loris_s:
            self._send_for_ever(fault.loris_s)
        elif fault.body is not None:
            self._send_bytes(200, fault.body, fault.content_type or "application/json", fault)
        elif isinstance(reply, Mapping):
            self._send_json(200, reply, fault)
        else:
            self._send_events(iter(reply), fault)

    def _send_for_ever(self, pause_s: float) -> None:
        """Spaces, one at a time, until the client hangs up or the server stops."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while not self.owner.stopping.is_set():
            self._drip(pause_s)
            self._send_chunk(b" ")
        raise _Reset

    def _send_json(self, status: int, body: Mapping[str, Any], fault: Fault) -> None:
        raw = json.dumps(body, ensure_ascii=False).encode()
        if status == 200 and fault.malformed:
            raw = raw[: len(raw) // 2]
        if status == 200 and fault.empty:
            raw = b""
        self._send_bytes(status, raw, (status == 200 and fault.content_type) or "application/json", fault)

    def _send_bytes(self, status: int, raw: bytes, content_type: str, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(raw)))
        self.send_header("x-request-id", "req_loopback")
        if status != 200 and fault.retry_after is not None:
            self.send_header("retry-after", fault.retry_after)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.reset_after is not None and status == 200 and fault.reset_after < len(raw):
            self.wfile.write(raw[: fault.reset_after])
            self.wfile.flush()
            raise _Reset
        self.wfile.write(raw)

    def _send_events(self, events: Iterator[Event], fault: Fault) -> None:
        self.send_response(200)
        self.send_header("content-type", fault.content_type or "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        sent = 0
        for number, event in enumerate(events if not fault.empty else iter(())):
            if fault.error_after_events == number:
                self._send_chunk(self.owner.error_event().encode())
                break
            if fault.stop_after_events == number:
                break
            if fault.cut_after_events == number:
                self.wfile.flush()
                self.close_connection = True
                return
            self._drip(fault.drip_s)
            raw = b'data: {"broken": \n\n' if fault.malformed and number == 2 else event.encode()
            if fault.malformed and number == 2 and event.name:
                raw = f"event: {event.name}\n".encode() + raw
            if fault.reset_after is not None and sent + len(raw) > fault.reset_after:
                self._send_chunk(raw[: fault.reset_after - sent])
                raise _Reset
            sent += len(raw)
            self._send_chunk(raw)
        self.wfile.write(b"0\r\n\r\n")

    def _send_chunk(self, raw: bytes) -> None:
        if raw:
            self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
            self.wfile.flush()

    def _drip(self, pause_s: float) -> None:
        """Wait, and notice when the client hangs up meanwhile."""
        if pause_s <= 0:
            return
        self.connection.settimeout(pause_s)
        try:
            if self.connection.recv(1, socket.MSG_PEEK) == b"":
                raise ConnectionResetError
        except TimeoutError:
            pass
        finally:
            self.connection.settimeout(None)

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.rfile.close()
        self.connection.close()
