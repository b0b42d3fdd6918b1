"""Cosignatures: a witness's word that it saw a checkpoint, and that the log had only grown since the one before.

C2SP tlog-cosignature, version 1: the witness signs ``cosignature/v1``, the time, and the text of the checkpoint. Its
line stands in the note beside that of the log::

    — witness.example/w1 e9h4rgAAAABlMR2a…      name, then key hash (4 bytes) ‖ time (8 bytes) ‖ Ed25519 signature

An operator who shows two groups of people two logs needs a witness for both; a witness that compares each checkpoint
with the last one that it signed never signs the second.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.keys import Keyset, PublicKey

if TYPE_CHECKING:
    from leo_core.stages.receipt.checkpoint import Checkpoint
    from leo_core.stages.receipt.keys import PublicKeys, SigningKey

__all__ = ["add_cosignature", "cosign", "verify_cosignature", "witness_key_hash"]

_COSIGNATURE = b"\x04"
_HASH_BYTES, _TIME_BYTES = 4, 8
_BLOB_BYTES = _TIME_BYTES + 64
_DASH = "\u2014 "


def witness_key_hash(name: str, key: PublicKey) -> bytes:
    """Key hash of a witness: the first 4 bytes of SHA-256(name ‖ LF ‖ 0x04 ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE + key.raw).digest()[:_HASH_BYTES]


def cosign(note: str, name: str, key: SigningKey, at: int) -> str:
    """The witness's line under a checkpoint. What stands in the checkpoint is the caller's to check before.

    Args:
        note: The checkpoint, signed by its log.
        name: Name of the witness: printable, without spaces and plus signs.
        key: Its key.
        at: Instant, in seconds since the Unix epoch.

    Raises:
        ReceiptError: The note is no checkpoint, or the name is not of that form (``check="checkpoint"``).
    """
    _check_name(name)
    checkpoint = read_checkpoint(note)
    signature = key.sign(_message(checkpoint, at))
    blob = witness_key_hash(name, key.public) + at.to_bytes(_TIME_BYTES, "big") + signature
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def add_cosignature(note: str, line: str) -> str:
    """The note with another signature line.

    Raises:
        ReceiptError: The line is no signature line (``check="checkpoint"``).
    """
    together = note + line
    if not line.startswith(_DASH) or read_checkpoint(together).body != read_checkpoint(note).body:
        message = "this is not one signature line"
        raise ReceiptError(message, check="checkpoint")
    return together


def verify_cosignature(note: str, name: str, public_key: PublicKeys) -> int:
    """When a witness saw a checkpoint: the latest time that one of its keys signed, in seconds since the Unix epoch.

    Says nothing about the log's own signature: ``Checkpoint.verify`` does.

    Args:
        note: The checkpoint with its signature lines.
        name: Name of the witness.
        public_key: Its key, or several of them when it was replaced.

    Raises:
        ReceiptError: The witness has not signed it, or a signature is wrong (``check="witness"``), or the note is no
            checkpoint (``check="checkpoint"``).
        SigningKeyError: ``public_key`` is no Ed25519 public key.
    """
    checkpoint = read_checkpoint(note)
    keys = {witness_key_hash(name, key): key for key in Keyset.of(public_key).keys}
    times = []
    for signer, key_hash, blob in checkpoint.signatures:
        if signer != name or key_hash not in keys:
            continue
        at = int.from_bytes(blob[:_TIME_BYTES], "big")
        if len(blob) != _BLOB_BYTES or not keys[key_hash].verifies(blob[_TIME_BYTES:], _message(checkpoint, at)):
            message = f"the cosignature of {name!r} is wrong"
            raise ReceiptError(message, check="witness")
        times.append(at)
    if not times:
        message = f"the checkpoint carries no cosignature of {name!r} by the keys that were given"
        raise ReceiptError(message, check="witness")
    return max(times)


def _message(checkpoint: Checkpoint, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n".encode() + checkpoint.body


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or not character.isprintable() for character in name):
        message = f"a witness is not named {name!r}: printable characters, neither spaces nor plus signs"
        raise ReceiptError(message, check="checkpoint")
