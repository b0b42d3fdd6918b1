"""Embedders by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.errors import ConfigError
from leo_core.stages.embed.config import EmbedConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.ports import Embedder

__all__ = ["build_embedder", "load_embedder"]

DEFAULT = "hashed"


def load_embedder(name: str = "default", *, dimension: int = 256) -> Embedder:
    """The shipped embedder with this name.

    Args:
        name: ``"hashed"``, or ``"default"`` for the best that is shipped.
        dimension: Length of its vectors, from 8 to 65,536.

    Raises:
        ConfigError: There is no such embedder; the message lists the names.
    """
    return build_embedder(EmbedConfig(name=name, dimension=dimension))


def build_embedder(config: EmbedConfig) -> Embedder:
    """The embedder that a config describes; raises as :func:`load_embedder` does."""
    builders = _builders()
    name = DEFAULT if config.name == "default" else config.name
    if name not in builders:
        message = f"there is no embedder {config.name!r}; use one of {', '.join(sorted([*builders, 'default']))}"
        raise ConfigError(message)
    return builders[name](config)


def _builders() -> Mapping[str, Callable[[EmbedConfig], Embedder]]:
    """What builds the embedder of each name; every builder imports its own implementation."""
    return {"hashed": _build_hashed}


def _build_hashed(config: EmbedConfig) -> Embedder:
    """The embedder that needs no data."""
    from leo_core.stages.embed.hashed import HashedEmbedder  # noqa: PLC0415 - loads numba

    return HashedEmbedder(config)
