"""Settings of the micro-memory."""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["MemoryConfig"]

MAX_SLOTS = 32
MAX_INFLUENCE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """How much a session's past leans the vector of its next turn.

    Attributes:
        slots: Directions kept per session, from 1 to 32.
        influence: Share a of the mix that comes from memory, in [0, 0.25]; 0 switches memory off.
        temperature: T of the softmax over slots, > 0; lower attends to the nearest slot alone.
        decay: β: how much of the nearest slot survives an update, in [0, 1).
    """

    slots: int = 32
    influence: float = 0.25
    temperature: float = 0.1
    decay: float = 0.9

    def __post_init__(self) -> None:
        checks = (
            ("slots", self.slots, 1 <= self.slots <= MAX_SLOTS, f"from 1 to {MAX_SLOTS}"),
            ("influence", self.influence, 0 <= self.influence <= MAX_INFLUENCE, f"from 0 to {MAX_INFLUENCE}"),
            ("temperature", self.temperature, self.temperature > 0, "above 0"),
            ("decay", self.decay, 0 <= self.decay < 1, "from 0 to below 1"),
        )
        for name, value, holds, allowed in checks:
            if not holds:
                message = f"memory.{name} is {value}; use a value {allowed}"
                raise ConfigError(message)
