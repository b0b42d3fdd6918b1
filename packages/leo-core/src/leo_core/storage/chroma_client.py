"""Reaching Chroma: addresses, time limits, errors. The only file that imports chromadb."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from leo_core.errors import (
    ConfigError,
    MissingExtraError,
    StorageError,
    StoreLockedError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ChromaAddress", "ChromaLink", "is_chroma"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DEFAULT_PORT = 8000
_SWITCHES = {"true": True, "false": False}


def is_chroma(store: object) -> bool:
    """Whether a store's name is the address of a Chroma."""
    return isinstance(store, str) and store.startswith("chroma:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChromaAddress:
    """Where a Chroma is.

    Attributes:
        path: Folder of an embedded one, ``":memory:"``, or ``None`` for a server.
        host: Host of a server.
        port: Its port.
        tls: Whether it is spoken to over TLS.
        name: First part of the names of the collections.
        receipts: File of the receipts; ``None`` for the default.
    """

    path: str | None = None
    host: str = ""
    port: int = _DEFAULT_PORT
    tls: bool = False
    name: str = "leo"
    receipts: str | None = None

    @classmethod
    def parse(cls, text: str) -> ChromaAddress:
        """Read ``chroma://host:port/name?receipts=FILE&tls=true`` or ``chroma:FOLDER``.

        Raises:
            ConfigError: It is neither; the message says what is understood.
        """
        rest = text.removeprefix("chroma:")
        if rest == text or not rest:
            raise _malformed(text, "give 'chroma://host:port/name' for a server or 'chroma:folder' for an embedded one")
        if not rest.startswith("//"):
            return cls(path=rest)
        try:
            parts = urlsplit(rest)
            port = parts.port or _DEFAULT_PORT
            settings = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        except ValueError as error:
            raise _malformed(text, str(error)) from error
        if not parts.hostname or parts.username is not None:
            raise _malformed(text, "name the host; give credentials as headers of a ChromaStore")
        name = parts.path.strip("/") or "leo"
        if not _NAME.fullmatch(name):
            raise _malformed(text, "the name has letters, digits, '.', '_' and '-', and begins with a letter or digit")
        unknown = settings.keys() - {"receipts", "tls"}
        if unknown or settings.get("tls", "false") not in _SWITCHES:
            raise _malformed(text, "after '?' come receipts=FILE and tls=true or tls=false, nothing else")
        tls = _SWITCHES[settings.get("tls", "false")]
        return cls(host=parts.hostname, port=port, tls=tls, name=name, receipts=settings.get("receipts"))

    def __str__(self) -> str:
        if self.path is not None:
            return f"chroma:{self.path}"
        return f"chroma://{self.host}:{self.port}/{self.name}"


def _malformed(text: str, why: str) -> ConfigError:
    return ConfigError(f"{text!r} is no address of a Chroma: {why}")


class ChromaLink:
    """A connection to a Chroma, made at first use, with the collections of one store.

    Everything that Chroma raises comes out as ``StorageError`` or one of its kinds. After a failure that a restart of
    the server can explain, the collections are looked up again.

    Args:
        address: Where it is.
        headers: Sent with every request to a server, such as a token.
    """

    def __init__(self, address: ChromaAddress, headers: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._headers = dict(headers or {})
        self._prefix = f"{address.name}-{uuid.uuid4().hex}" if address.path == ":memory:" else address.name
        self._lock = threading.RLock()
        self._limit = threading.local()
        self._client: Any = None
        self._process = os.getpid()
        self._folder: _Folder | None = None
        self._collections: dict[str, Any] = {}
        self._closed = False

    @property
    def remote(self) -> bool:
        """Whether it is a server, which may hang."""
        return self.address.path is None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is done in this block ends after so many seconds, or with ``StoreUnavailableError``, on a server.

        Blocks inside of others change nothing. Errors are translated.
        """
        if self._closed:
            message = f"store {str(self.address)!r} is closed"
            raise StorageError(message)
        if getattr(self._limit, "until", None) is not None:
            yield
            return
        self._limit.until = time.monotonic() + seconds
        try:
            with self._translated():
                yield
        finally:
            self._limit.until = None

    def collection(self, kind: str, *, create: Mapping[str, Any] | None = None) -> Any:
        """The collection of this kind; made with these arguments when it is not there."""
        with self._lock:
            client = self._connected()
            found = self._collections.get(kind)
            if found is None:
                found = client.get_or_create_collection(
                    f"{self._prefix}-{kind}", embedding_function=None, **(create or {})
                )
                self._collections[kind] = found
            return found

    def list_kinds(self, prefix: str) -> dict[str, Any]:
        """The collections of this store whose kind begins so, by kind."""
        begin = f"{self._prefix}-{prefix}"
        found = self._connected().list_collections()
        return {each.name[len(self._prefix) + 1 :]: each for each in found if each.name.startswith(begin)}

    def drop(self, kind: str) -> None:
        """Delete a collection."""
        with self._lock:
            self._collections.pop(kind, None)
            self._connected().delete_collection(f"{self._prefix}-{kind}")

    def close(self) -> None:
        """Close; idempotent."""
        with self._lock:
            already, self._closed = self._closed, True
            client, self._client = self._client, None
            self._collections.clear()
            folder, self._folder = self._folder, None
        if not already and client is not None and self._process == os.getpid():
            with suppress(Exception):  # everything acknowledged is with Chroma; there is nothing to save
                client.close()
        if folder is not None:
            folder.release()

    # -------------------------------------------------------------------------------------- connecting

    def _connected(self) -> Any:
        with self._lock:
            if self._process != os.getpid():
                self._leave_to_parent()
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _leave_to_parent(self) -> None:
        if not self.remote:
            message = f"store {str(self.address)!r} was opened before this process was forked; open it afterwards"
            raise StorageError(message)
        self._process, self._client = os.getpid(), None
        self._collections.clear()

    def _connect(self) -> Any:
        chromadb = _import_chromadb()
        settings = chromadb.config.Settings(anonymized_telemetry=False)
        path = self.address.path
        if path == ":memory:":
            return chromadb.EphemeralClient(settings=settings)
        if path is not None:
            folder = Path(path).expanduser()
            self._folder = self._folder or _Folder.hold(folder)
            return chromadb.PersistentClient(str(folder), settings=settings)
        return self._connect_to_server(chromadb)

    def _connect_to_server(self, chromadb: Any) -> Any:
        from chromadb.api import ServerAPI  # noqa: PLC0415 - as chromadb itself

        settings = chromadb.config.Settings(
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=self.address.host,
            chroma_server_http_port=self.address.port,
            chroma_server_ssl_enabled=self.address.tls,
            chroma_server_headers=dict(self._headers),
        )
        system = chromadb.config.System(settings)
        # chromadb waits for a server for ever and offers no setting, so its HTTP session gets one; before the first
        # request, which the client makes when it is made.
        session: Any = vars(system.instance(ServerAPI))["_session"]
        session.event_hooks = {"request": [self._limit_request]}
        system.start()
        return chromadb.api.client.Client.from_system(system)

    def _limit_request(self, request: Any) -> None:
        left = self._limit.until - time.monotonic()
        if left <= 0:
            message = f"store {str(self.address)!r} took too long"
            raise StoreUnavailableError(message)
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)

    # ------------------------------------------------------------------------------------------ errors

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (StorageError, ConfigError, GeneratorExit):
            raise
        except Exception as error:
            kind, why = self._explain(error)
            if kind is None:
                raise
            if kind is StoreUnavailableError:
                with self._lock:  # after a restart of the server the ids of the collections may be others
                    self._collections.clear()
            message = f"store {str(self.address)!r} {why} ({type(error).__name__})"
            raise kind(message) from error

    def _explain(self, error: Exception) -> tuple[type[StorageError] | None, str]:
        import httpx  # noqa: PLC0415 - chromadb stands on it
        from chromadb.errors import ChromaError, NotFoundError  # noqa: PLC0415 - only here

        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:  # noqa: PLR2004 - 4xx
            return StorageError, f"refused the request with status {error.response.status_code}"
        if isinstance(error, httpx.TimeoutException):
            return StoreUnavailableError, "took too long"
        if isinstance(error, (httpx.HTTPError, OSError, NotFoundError)):
            return StoreUnavailableError, "cannot be reached, or lost its collections"
        if isinstance(error, (ChromaError, ValueError)) and self.remote:  # ValueError: no answer of a Chroma
            return StoreUnavailableError, "failed"
        if isinstance(error, ChromaError):
            return StorageError, "failed"
        return None, ""


class _Folder:
    """The right of this process to a folder of an embedded Chroma, shared by its stores."""

    _held: dict[str, _Folder] = {}  # noqa: RUF012 - a lock on a file belongs to the process, so its count does too
    _guard = threading.Lock()

    def __init__(self, key: str, descriptor: int) -> None:
        self._key, self._descriptor, self._count = key, descriptor, 0

    @classmethod
    def hold(cls, folder: Path) -> _Folder:
        """Take the folder, or share it with another store of this process.

        Raises:
            StoreLockedError: Another process has it.
            StorageError: It cannot be made.
        """
        with cls._guard:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                key = str(folder.resolve())
                held = cls._held.get(key) or cls._lock(key)
            except BlockingIOError as error:
                message = (
                    f"store 'chroma:{folder}' is in use by another process, which Chroma does not allow: "
                    "start 'chroma run' and give chroma://host:port/name to both"
                )
                raise StoreLockedError(message) from error
            except OSError as error:
                message = f"store 'chroma:{folder}' cannot be opened: {error.strerror}; check folder and rights"
                raise StorageError(message) from error
            held._count += 1
            cls._held[key] = held
            return held

    @classmethod
    def _lock(cls, key: str) -> _Folder:
        import fcntl  # noqa: PLC0415 - not on Windows

        descriptor = os.open(os.path.join(key, "leo.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return cls(key, descriptor)

    def release(self) -> None:
        """Give it back when no other store of this process needs it."""
        with self._guard:
            self._count -= 1
            if self._count == 0:
                self._held.pop(self._key, None)
                os.close(self._descriptor)


def _import_chromadb() -> Any:
    try:
        import chromadb  # noqa: PLC0415 - takes seconds
        import chromadb.api.client  # noqa: PLC0415
        import chromadb.config
    except ImportError as error:
        raise MissingExtraError("chroma", "a Chroma store") from error
    logging.getLogger("chromadb.telemetry").disabled = True
    return chromadb
