"""What the parties of a secure sum agree on before it, and the signed messages that they exchange.

Every signature covers the session's digest, the kind of the message and its sender: no message counts in another
session, at another step, or for another party.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from leo_core.errors import ConfigError, SecureSumError
from leo_core.privacy.keys.shamir import MOST_SHARES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Advert", "MaskedValues", "Shares", "Signer", "SumSession", "Unmasking", "Verifier", "sign", "verify"]

_SMALLEST_ID: Final = 16
_WORD_BITS: Final = 64
_PURPOSE: Final = b"leo secure sum v1"


class Verifier(Protocol):
    """An Ed25519 public key, such as :class:`leo_core.stages.receipt.keys.PublicKey`."""

    @property
    def id(self) -> str:
        """A name that follows from the key."""
        ...

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature over the message is this key's."""
        ...


class Signer(Protocol):
    """An Ed25519 private key, such as :class:`leo_core.stages.receipt.keys.SigningKey`."""

    def sign(self, message: bytes) -> bytes:
        """The signature over a message (RFC 8032)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SumSession:
    """What all parties agree on, over a channel that the aggregator does not control.

    Attributes:
        id: At least 16 bytes that no other session has.
        parties: The parties by name, with the key that each of them is known by; 3 to 255.
        length: How many figures are summed, 1 or more.
        threshold: How many parties have to stay until the end. By default more than two thirds: what holds against an
            aggregator that lies and has less than a third of the parties on its side (Bonawitz et al. 2017, section
            6.2). At least more than half.
        bound: Largest absolute value of a figure, greater than 0.
        fraction_bits: Figures are rounded to multiples of 2^-fraction_bits.

    Raises:
        ConfigError: A figure is out of its range, or sums could leave 64 bits.
    """

    id: bytes
    parties: Mapping[str, Verifier] = field(repr=False)
    length: int
    threshold: int = 0
    bound: float = 1e6
    fraction_bits: int = 20

    def __post_init__(self) -> None:
        if len(self.id) < _SMALLEST_ID:
            message = f"the session's id has {len(self.id)} bytes; give at least {_SMALLEST_ID} random ones"
            raise ConfigError(message)
        count = len(self.parties)
        if count < 3:  # noqa: PLR2004 - of two, each knows the other's figures from the sum
            message = f"the session has {count} parties; from the sum of two each knows the other's figures"
            raise ConfigError(message)
        if count > MOST_SHARES:
            message = f"the session has {count} parties; there are shares for {MOST_SHARES}, so form groups"
            raise ConfigError(message)
        if len({key.id for key in self.parties.values()}) < count:
            message = "two parties have the same key; each has to be known by its own"
            raise ConfigError(message)
        object.__setattr__(self, "threshold", self.threshold or 2 * count // 3 + 1)
        if not count < 2 * self.threshold <= 2 * count:
            message = f"threshold is {self.threshold}; of {count} parties it must be more than half, at most all"
            raise ConfigError(message)
        if self.length < 1 or self.fraction_bits < 0 or not 0.0 < self.bound < float("inf"):
            message = (
                f"length {self.length!r}, bound {self.bound!r}, fraction_bits {self.fraction_bits!r}: out of range"
            )
            raise ConfigError(message)
        if (self.bound * 2.0**self.fraction_bits + 1.0) * count >= 2.0 ** (_WORD_BITS - 1):
            message = f"the sum of {count} figures up to {self.bound:g} with {self.fraction_bits} bits leaves 64 bits"
            raise ConfigError(message)

    @property
    def names(self) -> tuple[str, ...]:
        """The parties in the order that all of them use."""
        return tuple(sorted(self.parties))

    def point(self, name: str) -> int:
        """The point of a party's shares, from 1 on."""
        return self.names.index(name) + 1

    @property
    def digest(self) -> bytes:
        """SHA-256 over everything that was agreed on."""
        agreed = {
            "id": self.id.hex(),
            "parties": {name: self.parties[name].id for name in self.names},
            "length": self.length,
            "threshold": self.threshold,
            "bound": repr(float(self.bound)),
            "fraction_bits": self.fraction_bits,
        }
        return hashlib.sha256(_PURPOSE + json.dumps(agreed, sort_keys=True).encode()).digest()

    def check_names(self, names: Iterable[str], least: int, what: str) -> None:
        """Check that parties are known and enough.

        Raises:
            SecureSumError: One is not of this session, or there are too few; the message says who is missing.
        """
        found = set(names)
        if strangers := sorted(found - set(self.parties)):
            message = f"{', '.join(strangers)} is not of this session"
            raise SecureSumError(message)
        if len(found) < least:
            missing = ", ".join(sorted(set(self.parties) - found))
            message = (
                f"{what}: {len(found)} of {len(self.parties)} parties are there and {least} are needed; "
                f"missing: {missing}; nothing is revealed, begin another session"
            )
            raise SecureSumError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """Step 1: a party's two X25519 keys of this session, and the hash of the seed of its own mask.

    Attributes:
        sender: Which party.
        sealing_key: 32 bytes; shares for it are sealed to this key.
        masking_key: 32 bytes; the masks between two parties follow from these keys.
        seed_hash: SHA-256 of the seed of its own mask.
        signature: Over all of it.
    """

    sender: str
    sealing_key: bytes
    masking_key: bytes
    seed_hash: bytes
    signature: bytes = b""

    @property
    def body(self) -> bytes:
        """What is signed."""
        return b"".join((self.sealing_key, self.masking_key, self.seed_hash))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Step 2: a party's sealed shares, by the party that each is for."""

    sender: str
    sealed: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedValues:
    """Step 3: a party's figures under its masks, as unsigned 64-bit words in little-endian order.

    ``among`` are the parties whose masks are in it.
    """

    sender: str
    among: tuple[str, ...]
    words: bytes = field(repr=False)
    signature: bytes = b""

    @property
    def body(self) -> bytes:
        """What is signed."""
        return json.dumps(list(self.among)).encode() + hashlib.sha256(self.words).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasking:
    """Step 5: a party's shares of the seeds of those who stayed, and of the masking keys of those who did not."""

    sender: str
    seeds: Mapping[str, str] = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)


def sign(session: SumSession, signer: Signer, kind: str, sender: str, body: bytes) -> bytes:
    """A party's signature over a message of a session."""
    return signer.sign(_signed(session, kind, sender, body))


def verify(session: SumSession, kind: str, sender: str, body: bytes, signature: bytes) -> None:
    """Check a party's signature by the key that it is known by.

    Raises:
        SecureSumError: It is not that party's, or it is for another session, step or content.
    """
    session.check_names((sender,), 1, kind)
    if not session.parties[sender].verifies(signature, _signed(session, kind, sender, body)):
        message = f"the {kind} of {sender} is not signed with the key that {sender} is known by, for this session"
        raise SecureSumError(message)


def _signed(session: SumSession, kind: str, sender: str, body: bytes) -> bytes:
    head = json.dumps([session.digest.hex(), kind, sender]).encode()
    return _PURPOSE + len(head).to_bytes(4, "big") + head + body
