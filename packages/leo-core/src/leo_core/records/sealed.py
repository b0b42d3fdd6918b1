"""Sealed values as a store keeps them, for whoever seals them anew where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["SealedPart", "SealedValue"]

SealedPart = Literal["entry", "question", "observation", "state"]
"""What of a store a sealed value is: the message of an entry, the seal of a question, an observation, a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """A value that was sealed before the store got it.

    Attributes:
        part: What it is.
        row: Finds it again; the store's own.
        names: What it belongs to, as the store has it: the id of an entry; entry, scope and key of a question; nothing
            for an observation; the name of a state.
        value: The value; text, or the bytes of a state.
    """

    part: SealedPart
    row: str
    names: tuple[str, ...] = ()
    value: str | bytes = field(repr=False)
