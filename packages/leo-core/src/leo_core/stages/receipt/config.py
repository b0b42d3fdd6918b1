"""Settings of the receipts."""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["ReceiptConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptConfig:
    """How receipts are issued.

    Attributes:
        enabled: Whether answers carry a receipt.
        required: Whether a request fails when its receipt cannot be written; otherwise it is answered without one.
        origin: Name of the log in its checkpoints (C2SP tlog-checkpoint): printable, without spaces or ``+``,
            unique for the log, such as ``"example.org/leo"``.
        quorum: Votes below which a verdict is no verdict, at least 1.
        clock_tolerance_s: How far the time of a receipt may lie before that of an earlier one, in seconds;
            an audit of the log refuses more.
    """

    enabled: bool = True
    required: bool = False
    origin: str = "leo.local/log"
    quorum: int = 1
    clock_tolerance_s: float = 300.0

    def __post_init__(self) -> None:
        """Refuse settings that no log could work with."""
        if not self.origin or not self.origin.isprintable() or " " in self.origin or "+" in self.origin:
            message = f"origin={self.origin!r} names the log: use printable characters without spaces or '+'"
            raise ConfigError(message)
        if self.quorum < 1:
            message = f"quorum={self.quorum} must be at least 1"
            raise ConfigError(message)
        if not 0.0 <= self.clock_tolerance_s < float("inf"):
            message = f"clock_tolerance_s={self.clock_tolerance_s} must be finite and not negative"
            raise ConfigError(message)
