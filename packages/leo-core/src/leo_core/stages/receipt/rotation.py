"""Handing a log over from one signing key to the next, so that whoever trusts the first can follow.

The old key signs the new one: ``Ed25519(domain ‖ new public key)``. A handover says nothing about why: an operator who
lost a key to a thief hands over too, and says elsewhere that what the old key signed after some time is not to be
believed; the log's order shows what came before.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError, SigningKeyError
from leo_core.stages.receipt.canonical import canonical_bytes, parse_canonical
from leo_core.stages.receipt.envelope import decode_base64
from leo_core.stages.receipt.keys import Keyset, PublicKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.records import Json
    from leo_core.stages.receipt.keys import PublicKeys, SigningKey

__all__ = ["Handover", "follow", "hand_over", "read_handovers", "trace", "write_handovers"]

_DOMAIN = b"leo/handover/1\x00"
_FORMAT = "leo-handovers/1"
_PARTS = {"format", "handovers"}
_FIELDS = {"old", "new", "signature"}


@dataclass(frozen=True, slots=True)
class Handover:
    """One key signed the next.

    Attributes:
        old: The key that signs.
        new: The key that is signed.
        signature: 64 bytes.
    """

    old: PublicKey
    new: PublicKey
    signature: bytes

    @property
    def holds(self) -> bool:
        """Whether the signature is the old key's."""
        return self.old.verifies(self.signature, _DOMAIN + self.new.raw)


def hand_over(old: SigningKey, new: PublicKey) -> Handover:
    """The old key's word for the new one."""
    return Handover(old=old.public, new=new, signature=old.sign(_DOMAIN + new.raw))


def follow(trusted: PublicKeys, handovers: Sequence[Handover]) -> Keyset:
    """The keys that are trusted, and all that were signed by one of them, or by a key that was, and so on.

    Args:
        trusted: Keys that the caller trusts.
        handovers: What others say; a handover whose signature is wrong, or of an untrusted key, is passed over.
    """
    keys = list(Keyset.of(trusted).keys)
    waiting = [each for each in handovers if each.holds]
    while found := [each for each in waiting if each.old in keys]:
        keys += [each.new for each in found if each.new not in keys]
        waiting = [each for each in waiting if each not in found]
    return Keyset(tuple(dict.fromkeys(keys)))


def trace(current: PublicKey, handovers: Sequence[Handover]) -> Keyset:
    """The keys that led to the current one: what its owner, who knows the current key, takes for earlier ones."""
    keys = [current]
    waiting = [each for each in handovers if each.holds]
    while found := [each for each in waiting if each.new in keys]:
        keys += [each.old for each in found if each.old not in keys]
        waiting = [each for each in waiting if each not in found]
    return Keyset(tuple(dict.fromkeys(keys[1:])))


def write_handovers(handovers: Sequence[Handover]) -> bytes:
    """Handovers as canonical JSON, oldest first; public, without a secret."""
    rows = [
        {"old": each.old.to_pem(), "new": each.new.to_pem(), "signature": base64.b64encode(each.signature).decode()}
        for each in handovers
    ]
    return canonical_bytes({"format": _FORMAT, "handovers": rows})


def read_handovers(data: bytes) -> tuple[Handover, ...]:
    """What :func:`write_handovers` wrote; signatures are read, not checked.

    Raises:
        SigningKeyError: It is something else.
    """
    try:
        document: dict[str, Json] = parse_canonical(data)
        rows: Json = document["handovers"] if set(document) == _PARTS and document["format"] == _FORMAT else None
        return tuple(_read_handover(row) for row in rows)
    except (ReceiptError, TypeError, KeyError, AttributeError) as error:
        message = "this is no list of handovers between keys, as `leo keys rotate` writes it"
        raise SigningKeyError(message) from error


def _read_handover(row: dict[str, Json]) -> Handover:
    if set(row) != _FIELDS:
        raise KeyError(*set(row) ^ _FIELDS)
    return Handover(
        old=PublicKey.from_pem(row["old"]),
        new=PublicKey.from_pem(row["new"]),
        signature=decode_base64(row["signature"]),
    )
