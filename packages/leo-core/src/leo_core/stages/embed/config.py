"""Settings of the embedder."""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["EmbedConfig"]

MIN_DIMENSION = 8
MAX_DIMENSION = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedConfig:
    """Which embedder LEO builds when it is not given one.

    Attributes:
        name: Name, as :func:`leo_core.stages.embed.load.load_embedder` takes it.
        dimension: Length of the vectors, from 8 to 65,536.
    """

    name: str = "default"
    dimension: int = 256

    def __post_init__(self) -> None:
        if not self.name:
            message = "embed.name is empty; use 'default' for the embedder that LEO ships"
            raise ConfigError(message)
        if not MIN_DIMENSION <= self.dimension <= MAX_DIMENSION:
            message = f"embed.dimension is {self.dimension}; use a value from {MIN_DIMENSION} to {MAX_DIMENSION}"
            raise ConfigError(message)
