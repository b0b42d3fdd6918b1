"""Reaching Chroma: addresses, time limits, errors. The only file that imports chromadb."""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import contextmanager
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
    from collections.abc import Callable, Iterator, Mapping

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
        timeout_s: Time for a read, in seconds.
        home: Folder for receipts and keys, which are never given to a Chroma server; ``None`` for nowhere.
    """

    path: str | None = None
    host: str = ""
    port: int = _DEFAULT_PORT
    tls: bool = False
    name: str = "leo"
    timeout_s: float = 0.25
    home: str | None = None

    @classmethod
    def parse(cls, text: str) -> ChromaAddress:
        """Read ``chroma://host:port/name?home=FOLDER&timeout_ms=250&tls=true`` or ``chroma:FOLDER``.

        Raises:
            ConfigError: It is neither; the message says what is understood.
        """
        rest = text.removeprefix("chroma:")
        if rest == text or not rest:
            raise _malformed(text, "give 'chroma://host:port/name' for a server or 'chroma:folder' for an embedded one")
        if not rest.startswith("//"):
            return cls(path=rest, home=None if rest == ":memory:" else rest)
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
        timeout_ms, tls = settings.get("timeout_ms", "250"), settings.get("tls", "false")
        known = settings.keys() <= {"home", "timeout_ms", "tls"} and tls in _SWITCHES
        if not known or not timeout_ms.isascii() or not timeout_ms.isdigit() or not int(timeout_ms):
            raise _malformed(text, "after '?' come home=FOLDER, timeout_ms=NUMBER, tls=true or tls=false, nothing else")
        return cls(
            host=parts.hostname,
            port=port,
            tls=_SWITCHES[tls],
            name=name,
            timeout_s=int(timeout_ms) / 1000,
            home=settings.get("home"),
        )

    def __str__(self) -> str:
        if self.path is not None:
            return f"chroma:{self.path}"
        return f"chroma://{self.host}:{self.port}/{self.name}"


def _malformed(text: str, why: str) -> ConfigError:
    shown = repr(text) if "@" not in text else "an address with credentials"
    return ConfigError(f"{shown} is no address of a Chroma: {why}")


class ChromaLink:
    """A connection to a Chroma, made at first use, with the collections of one store.

    It stands on chromadb's ``ServerAPI``, which its clients stand on too: a client speaks to its server while it is
    made, without any limit of time.

    Everything that Chroma raises comes out as ``StorageError`` or one of its kinds. After a failure that a restart of
    the server can explain, the collections are looked up again.

    Args:
        address: Where it is.
        headers: Sent with every request to a server, such as a token.
    """

    def __init__(self, address: ChromaAddress, headers: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._headers = dict(headers or {})
        self._lock = threading.RLock()
        self._limit = threading.local()
        self._process = os.getpid()
        self._api: Any = None
        self._release: Callable[[], object] = lambda: None
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
        self._connect()
        self._limit.until = time.monotonic() + seconds
        try:
            with self._translated():
                yield
        finally:
            self._limit.until = None

    def collection(self, kind: str, create: Mapping[str, Any]) -> Any:
        """The collection of this kind; made with these arguments when it is not there."""
        found = self._collections.get(kind)
        if found is None:
            model = self._api.get_or_create_collection(f"{self.address.name}-{kind}", **create)
            found = self._collections[kind] = self._wrap(model)
        return found

    def list_kinds(self, prefix: str) -> dict[str, Any]:
        """The collections of this store whose kind begins so, by kind."""
        cut = len(self.address.name) + 1
        found = [
            model for model in self._api.list_collections() if model.name.startswith(f"{self.address.name}-{prefix}")
        ]
        return {model.name[cut:]: self._wrap(model) for model in found}

    def drop(self, kind: str) -> None:
        """Delete a collection."""
        self._collections.pop(kind, None)
        self._api.delete_collection(f"{self.address.name}-{kind}")

    def close(self) -> None:
        """Close; idempotent."""
        with self._lock:
            already, self._closed = self._closed, True
            self._collections.clear()
        if not already and self._process == os.getpid():
            self._release()

    def _wrap(self, model: Any) -> Any:
        from chromadb.api.models.Collection import Collection  # noqa: PLC0415 - as chromadb itself

        return Collection(client=self._api, model=model, embedding_function=None)

    # -------------------------------------------------------------------------------------- connecting

    def _connect(self) -> None:
        """See that there is a connection; nothing is sent yet."""
        with self._lock:
            if self._process != os.getpid():
                if not self.remote:
                    message = f"store {str(self.address)!r} was opened before this process was forked; open it later"
                    raise StorageError(message)
                self._process, self._api = os.getpid(), None
                self._collections.clear()
            if self._api is None:
                self._open()

    def _open(self) -> None:
        path = self.address.path
        if path is None:
            self._api = _start(
                chroma_api_impl="chromadb.api.fastapi.FastAPI",
                chroma_server_host=self.address.host,
                chroma_server_http_port=self.address.port,
                chroma_server_ssl_enabled=self.address.tls,
                chroma_server_headers=dict(self._headers),
            )
            # chromadb waits for a server for ever and has no setting for it, so its HTTP session is told.
            session: Any = vars(self._api)["_session"]
            session.event_hooks = {"request": [self._limit_request]}
            self._release = session.close
        elif path == ":memory:":
            self._api = api = _start(is_persistent=False)
            self._release = api.stop
        else:
            folder = _Folder.hold(Path(path).expanduser())
            self._api, self._release = folder.api, folder.release

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

        if type(error) is Exception and isinstance(error.__context__, httpx.HTTPStatusError):
            error = error.__context__  # chromadb raises a bare one for a reply that is not its server's
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
    """A folder with an embedded Chroma, which belongs to this process; its stores share the one Chroma.

    Two Chromas over one folder do not see each other's vectors: of 3,000 that one wrote, the other found 5.
    """

    _held: dict[str, _Folder] = {}  # noqa: RUF012 - the lock on a file belongs to the process, so its count does too
    _guard = threading.Lock()

    def __init__(self, key: str, descriptor: int) -> None:
        self._key, self._descriptor, self.count = key, descriptor, 0
        self.api = _start(is_persistent=True, persist_directory=key)

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
                held = cls._held[key] = cls._held.get(key) or cls._take(key)
            except BlockingIOError as error:
                message = (
                    f"store 'chroma:{folder}' is in use by another process, which Chroma does not allow: "
                    "start 'chroma run' and give chroma://host:port/name to both"
                )
                raise StoreLockedError(message) from error
            except OSError as error:
                message = f"store 'chroma:{folder}' cannot be opened: {error.strerror}; check folder and rights"
                raise StorageError(message) from error
            held.count += 1
            return held

    @classmethod
    def _take(cls, key: str) -> _Folder:
        import fcntl  # noqa: PLC0415 - not on Windows, where servers still work

        descriptor = os.open(f"{key}/leo.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(key, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def release(self) -> None:
        """Give it back; the last store of this process ends the Chroma."""
        with self._guard:
            self.count -= 1
            if self.count == 0:
                self._held.pop(self._key, None)
                self.api.stop()
                os.close(self._descriptor)


def _start(**settings: Any) -> Any:
    """A ``ServerAPI`` of chromadb with these settings. A server is not spoken to yet."""
    try:
        from chromadb.api import ServerAPI  # noqa: PLC0415 - chromadb takes seconds to import
        from chromadb.config import Settings, System  # noqa: PLC0415 - as above
    except ImportError as error:
        extra, needed_for = "chroma", "a Chroma store"
        raise MissingExtraError(extra, needed_for) from error
    system = System(Settings(anonymized_telemetry=False, **settings))
    kind: Any = ServerAPI  # abstract: the settings say which it is
    api = system.instance(kind)
    system.start()
    return api
