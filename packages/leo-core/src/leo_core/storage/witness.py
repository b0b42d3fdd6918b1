"""Witnesses of a log: a second key with a file, or somebody else's server."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from leo_core.errors import ConfigError, ReceiptError, StorageError
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.cosignature import add_cosignature, cosign, verify_cosignature
from leo_core.stages.receipt.keys import Keyset
from leo_core.stages.receipt.verify import verify_extension
from leo_core.storage.whole_file import replace_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from leo_core.ports import Clock, ReceiptLog, Witness
    from leo_core.stages.receipt.keys import PublicKeys, SigningKey

__all__ = ["FileWitness", "HttpWitness", "witness_log"]

_CONFLICT = 409
_MOST_BYTES = 64 * 1024
_PUBLIC = 0o644
_TIMEOUT_S = 30.0
_REASONS = {
    403: "it does not trust the key that signed the checkpoint",
    404: "it does not know this log",
    422: "the consistency proof does not hold",
}


def witness_log(log: ReceiptLog, witness: Witness, file: str | os.PathLike[str] | None = None) -> str:
    """Have the log's present checkpoint witnessed.

    Args:
        log: The log.
        witness: Who signs.
        file: Where the note with both signatures is kept; ``None`` for nowhere.

    Returns:
        The note with both signatures: hand it to those who verify.

    Raises:
        ReceiptError: The witness refuses: the log is not an extension of what it saw (``check="consistency"``).
        StorageError: The witness cannot be reached, or the file cannot be written.
    """
    note = log.checkpoint()
    size = read_checkpoint(note).size
    signed = add_cosignature(note, witness.add_checkpoint(note, lambda old: log.consistency_proof(old, size)))
    if file is not None:
        _keep(Path(file), signed)
    return signed


class FileWitness:
    """A witness with a key of its own, that keeps the last checkpoint that it signed in a file.

    It is worth something where key and file lie out of the operator's reach: on another machine, with somebody else.

    Args:
        file: What it saw last; made with the first checkpoint. One file for each log.
        name: Its name in the notes: printable, without spaces and plus signs.
        key: Its key.
        log_keys: The log's public keys.
        clock: Tells the time.
    """

    def __init__(
        self, file: str | os.PathLike[str], name: str, key: SigningKey, log_keys: PublicKeys, clock: Clock
    ) -> None:
        self._file = Path(file)
        self._name, self._key, self._clock = name, key, clock
        self._log_keys = Keyset.of(log_keys)

    def add_checkpoint(self, note: str, prove: Callable[[int], Sequence[str]]) -> str:
        """Sign a checkpoint that extends the last one; see :class:`leo_core.ports.Witness`.

        It is on disk before the signature is given: whatever happens, a signed checkpoint is not forgotten.
        """
        read_checkpoint(note).verify(self._log_keys)
        last = self._read()
        if last is not None:
            old, new = read_checkpoint(last).size, read_checkpoint(note).size
            if new < old:
                message = f"the log has shrunk: {new} receipts, where {self._name!r} has seen {old}"
                raise ReceiptError(message, check="consistency")
            verify_extension(last, note, prove(old), public_key=self._log_keys)
        line = cosign(note, self._name, self._key, int(self._clock.now()))
        _keep(self._file, add_cosignature(note, line))
        return line

    def _read(self) -> str | None:
        try:
            return self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            message = f"what the witness saw last, {str(self._file)!r}, cannot be read: {error}"
            raise StorageError(message) from error


class HttpWitness:
    """A witness behind HTTP, by the C2SP tlog-witness protocol.

    Args:
        url: Its submission prefix; ``/add-checkpoint`` is added.
        name: Its name in the notes.
        public_key: Its public key; an answer that this key did not sign is refused.
        timeout_s: Seconds to wait for an answer; > 0.

    Raises:
        ConfigError: The address is not one of http or https.
    """

    def __init__(self, url: str, name: str, public_key: PublicKeys, *, timeout_s: float = _TIMEOUT_S) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            message = f"a witness has an address such as https://witness.example, not {url!r}"
            raise ConfigError(message)
        self._url = url.rstrip("/") + "/add-checkpoint"
        self._name, self._keys, self._timeout_s = name, Keyset.of(public_key), timeout_s

    def add_checkpoint(self, note: str, prove: Callable[[int], Sequence[str]]) -> str:
        """Submit a checkpoint, from what the witness says it saw last; see :class:`leo_core.ports.Witness`."""
        status, body = self._post(note, 0, ())
        if status == _CONFLICT:
            old = self._read_size(body)
            if old > read_checkpoint(note).size:
                message = f"the witness {self._name!r} has seen {old} receipts of this log, more than there are now"
                raise ReceiptError(message, check="consistency")
            status, body = self._post(note, old, prove(old))
        if status != 200:  # noqa: PLR2004 - HTTP's OK
            reason = _REASONS.get(status, f"it answered with {status}")
            message = f"the witness {self._name!r} refused the checkpoint: {reason}"
            raise ReceiptError(message, check="consistency" if status in {_CONFLICT, 422} else "witness")
        for line in body.splitlines(keepends=True):
            if line.startswith(f"\u2014 {self._name} "):
                verify_cosignature(add_cosignature(note, line), self._name, self._keys)
                return line
        message = f"the answer of the witness {self._name!r} holds no signature of that name"
        raise ReceiptError(message, check="witness")

    def _post(self, note: str, old: int, proof: Sequence[str]) -> tuple[int, str]:
        hashes = "".join(f"{base64.b64encode(bytes.fromhex(each)).decode()}\n" for each in proof)
        request = urllib.request.Request(  # noqa: S310 - http or https, checked above
            self._url, data=f"old {old}\n{hashes}\n{note}".encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310 - as above
                return answer.status, answer.read(_MOST_BYTES).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(_MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            message = f"the witness {self._name!r} cannot be reached: {error}"
            raise StorageError(message) from error

    def _read_size(self, body: str) -> int:
        text = body.strip()
        if not (text.isascii() and text.isdigit()) or len(text) > 20:  # noqa: PLR2004 - digits of 2^64
            message = f"the witness {self._name!r} does not say what it saw last"
            raise ReceiptError(message, check="witness")
        return int(text)


def _keep(file: Path, note: str) -> None:
    try:
        with replace_file(file, mode=_PUBLIC) as stream:
            stream.write(note.encode())
    except OSError as error:
        message = f"{str(file)!r} cannot be written: {error.strerror}"
        raise StorageError(message) from error
