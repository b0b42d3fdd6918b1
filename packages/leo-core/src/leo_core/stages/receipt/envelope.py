"""DSSE envelopes (in-toto's Dead Simple Signing Envelope, protocol v1.0.2) with Ed25519.

One envelope carries one signature. The signed bytes are the pre-authentication encoding of type and payload,
so neither can be read as something else.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.canonical import canonical_bytes

if TYPE_CHECKING:
    from leo_core.records import Json
    from leo_core.stages.receipt.keys import Keyset, SigningKey

__all__ = ["PAYLOAD_TYPE", "Envelope", "decode_base64", "pre_authentication_encoding", "sign"]

PAYLOAD_TYPE = "application/vnd.leo.receipt.v1+json"
"""Type of the payload: the canonical JSON of a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed payload.

    Attributes:
        payload: The signed bytes.
        key_id: Id of the key that signed.
        signature: Ed25519 signature, 64 bytes.
        payload_type: What the payload is.
    """

    payload: bytes
    key_id: str
    signature: bytes
    payload_type: str = PAYLOAD_TYPE

    def to_json(self) -> dict[str, Json]:
        """The envelope in the JSON form of the DSSE specification."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.key_id, "sig": base64.b64encode(self.signature).decode()}],
        }

    def to_bytes(self) -> bytes:
        """Canonical JSON of the envelope: what the log's leaf is the hash of."""
        return canonical_bytes(self.to_json())

    def verify(self, keys: Keyset) -> None:
        """Check type, key and signature.

        Raises:
            ReceiptError: ``check`` is ``"schema"`` for another payload type, ``"key"`` when no key of the set
                has the envelope's key id, ``"signature"`` when the signature is not that key's.
        """
        if self.payload_type != PAYLOAD_TYPE:
            message = f"the payload type is {self.payload_type!r}, expected {PAYLOAD_TYPE!r}"
            raise ReceiptError(message, check="schema")
        key = keys.find(self.key_id)
        if key is None:
            known = ", ".join(key.id for key in keys.keys)
            message = f"signed with key {self.key_id!r}, but the keys that were given are: {known}"
            raise ReceiptError(message, check="key")
        if not key.verifies(self.signature, pre_authentication_encoding(self.payload_type, self.payload)):
            message = f"the signature is not one of key {self.key_id!r} over this statement"
            raise ReceiptError(message, check="signature")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """PAE of the DSSE protocol: ``"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body``, lengths in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key: SigningKey) -> Envelope:
    """The payload, signed."""
    signature = key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return Envelope(payload=payload, key_id=key.id, signature=signature)


def decode_base64(text: str) -> bytes:
    """Standard base64 with padding, in its one canonical spelling.

    Raises:
        ReceiptError: Any other spelling (``check="schema"``).
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = "a field is not base64"
        raise ReceiptError(message, check="schema") from error
    if base64.b64encode(data).decode() != text:
        message = "a field is not base64 in canonical spelling"
        raise ReceiptError(message, check="schema")
    return data
