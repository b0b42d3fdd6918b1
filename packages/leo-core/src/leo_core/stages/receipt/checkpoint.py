"""Signed tree heads: C2SP tlog-checkpoint in a C2SP signed note.

::

    leo.local/log                                     origin
    42                                                number of receipts
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=      root (RFC 6962)
                                                      (a blank line)
    — leo.local/log Az3grlgtzPICa5OS8npVmf1Myq/5…      key name, then key hash (4 bytes) ‖ Ed25519 signature

Lines after the root are extensions: signed, kept, not understood. Signatures of other keys (witnesses) are
passed over, as the note format demands.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.envelope import decode_base64
from leo_core.stages.receipt.merkle import HASH_BYTES

if TYPE_CHECKING:
    from leo_core.stages.receipt.keys import Keyset, PublicKey, SigningKey

__all__ = ["Checkpoint", "note_key_hash", "read_checkpoint", "sign_checkpoint"]

_ED25519 = b"\x01"
_DASH = "\u2014 "
_BODY_LINES = 3
_KEY_HASH_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head.

    Attributes:
        origin: Name of the log.
        size: Number of receipts.
        root: Root of its tree, 32 bytes.
        extensions: Further signed lines.
        signatures: Key name, key hash (4 bytes) and signature of each signature line.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    signatures: tuple[tuple[str, bytes, bytes], ...] = ()

    @property
    def body(self) -> bytes:
        """The signed text."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    def verify(self, keys: Keyset) -> None:
        """Check that one of the keys signed this tree head under the log's own name.

        Raises:
            ReceiptError: No signature of these keys, or one that is wrong (``check="checkpoint"``).
        """
        known = {note_key_hash(self.origin, key): key for key in keys.keys}
        own = [
            known[key_hash].verifies(signature, self.body)
            for name, key_hash, signature in self.signatures
            if name == self.origin and key_hash in known
        ]
        if not own:
            message = f"the checkpoint of {self.origin!r} carries no signature of the keys that were given"
            raise ReceiptError(message, check="checkpoint")
        if not all(own):
            message = f"the signature of the checkpoint of {self.origin!r} is wrong"
            raise ReceiptError(message, check="checkpoint")


def note_key_hash(name: str, key: PublicKey) -> bytes:
    """Key hash of the note format: the first 4 bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:_KEY_HASH_BYTES]


def sign_checkpoint(origin: str, size: int, root: bytes, key: SigningKey) -> str:
    """The signed note of a tree head."""
    body = Checkpoint(origin=origin, size=size, root=root).body
    blob = note_key_hash(origin, key.public) + key.sign(body)
    return f"{body.decode()}\n{_DASH}{origin} {base64.b64encode(blob).decode()}\n"


def read_checkpoint(note: str) -> Checkpoint:
    """Parse a signed note strictly; signatures are parsed, not checked.

    Raises:
        ReceiptError: The note is not a checkpoint in its one valid spelling (``check="checkpoint"``).
    """
    body, blank, tail = note.rpartition("\n\n")
    lines = body.split("\n")
    if not blank or not tail.endswith("\n") or len(lines) < _BODY_LINES or not all(map(_is_clean, lines)):
        message = "the checkpoint is not a signed note with origin, size and root"
        raise ReceiptError(message, check="checkpoint")
    origin, size, root = lines[:_BODY_LINES]
    if not (size.isascii() and size.isdigit()) or size != str(int(size[:20])):
        message = f"the checkpoint's size {size[:20]!r} is not a number"
        raise ReceiptError(message, check="checkpoint")
    return Checkpoint(
        origin=origin,
        size=int(size),
        root=_decode(root, HASH_BYTES),
        extensions=tuple(lines[_BODY_LINES:]),
        signatures=tuple(_read_signature(line) for line in tail[:-1].split("\n")),
    )


def _read_signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not name or "+" in name or not _is_clean(name):
        message = "a signature line of the checkpoint is malformed"
        raise ReceiptError(message, check="checkpoint")
    data = _decode(blob)
    if len(data) <= _KEY_HASH_BYTES:
        message = "a signature line of the checkpoint holds no signature"
        raise ReceiptError(message, check="checkpoint")
    return name, data[:_KEY_HASH_BYTES], data[_KEY_HASH_BYTES:]


def _is_clean(line: str) -> bool:
    """Whether a line is not empty and holds no control characters (the note format forbids them)."""
    return bool(line) and all(character.isprintable() for character in line)


def _decode(text: str, length: int | None = None) -> bytes:
    try:
        data = decode_base64(text)
    except ReceiptError as error:
        message = "the checkpoint's root or signature is not base64"
        raise ReceiptError(message, check="checkpoint") from error
    if length is not None and len(data) != length:
        message = f"the checkpoint's root or signature has {len(data)} bytes, expected {length}"
        raise ReceiptError(message, check="checkpoint")
    return data
