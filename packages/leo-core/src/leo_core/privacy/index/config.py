"""Settings of a client of an encrypted index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from leo_core.errors import ConfigError

__all__ = ["IndexMode", "PrivateIndexConfig"]

IndexMode = Literal["query_private", "fully_encrypted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateIndexConfig:
    """How a client searches and writes an encrypted index.

    Attributes:
        mode: ``"query_private"``: the server can read the vectors and not the queries; ``"fully_encrypted"``: neither.
        params: Name of the encryption parameters, see :meth:`leo_core.privacy.ckks.params.FheParams.preset`.
        expected: Rows that an index is going to have, about; the same for all its clients.
        tail_rows: Rows that lie sealed in the tail, to be searched on the client, before they go into a block; from 1.
        fetch_rows: Rows that a search fetches, hit or miss, as long as there are so many in blocks; from 1. A search
            for ``k`` entries fetches ``2 k`` where that is more.
        tolerance: How far a score may be from the inner product of what was fetched; more is a mismatch. The errors of
            ``score128`` stay below 2e-4, those of ``score192`` below 1e-3.
        alarm_after: Mismatches since the last alarm after which it is raised, as this process counts them; from 1.
        rotate_on_alarm: Whether the keys are then rotated; where they cannot be, the next mismatch raises it again.
        compact_share: Share of removed rows in a block from which on it is written anew, in (0, 1].
        grace_s: Seconds for which old evaluation keys serve on after a rotation.
        attempts: How often a write is tried that other clients came before; from 1.
    """

    mode: IndexMode = "fully_encrypted"
    params: str = "score128"
    expected: int = 10_000
    tail_rows: int = 256
    fetch_rows: int = 32
    tolerance: float = 2e-3
    alarm_after: int = 3
    rotate_on_alarm: bool = True
    compact_share: float = 0.25
    grace_s: float = 60.0
    attempts: int = 64

    def __post_init__(self) -> None:
        """Refuse settings out of their range.

        Raises:
            ConfigError: Names the setting, its value and its range.
        """
        if self.mode not in ("query_private", "fully_encrypted"):
            message = f"PrivateIndexConfig.mode is {self.mode!r}; it is 'query_private' or 'fully_encrypted'"
            raise ConfigError(message)
        for name in ("expected", "tail_rows", "fetch_rows", "alarm_after", "attempts"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                message = f"PrivateIndexConfig.{name} is {value!r}; it is a whole number from 1"
                raise ConfigError(message)
        ranges = {"tolerance": (0.0, 2.0), "compact_share": (0.0, 1.0), "grace_s": (-1.0, math.inf)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low < value <= high or math.isinf(value):
                message = f"PrivateIndexConfig.{name} is {value!r}; it lies above {max(low, 0.0):g}, at most {high:g}"
                raise ConfigError(message)
