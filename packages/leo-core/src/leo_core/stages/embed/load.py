"""Embedders by name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError
from leo_core.stages.embed.config import EmbedConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.ports import Embedder
    from leo_core.stages.embed.static import StaticEmbedder

__all__ = ["build_embedder", "load_embedder", "load_static"]

DEFAULT = "static"


def load_embedder(name: str = "default", *, dimension: int = 256) -> Embedder:
    """The shipped embedder with this name.

    Args:
        name: ``"static"`` (trained), ``"hashed"`` (needs no data), or ``"default"``, which is ``"static"``.
        dimension: Length of its vectors: at least 8; at most 256 for ``"static"``, 65,536 for ``"hashed"``.

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
    return {"hashed": _build_hashed, "static": _build_static}


def _build_hashed(config: EmbedConfig) -> Embedder:
    """The embedder that needs no data."""
    from leo_core.stages.embed.hashed import HashedEmbedder  # noqa: PLC0415 - loads numba

    return HashedEmbedder(config)


def _build_static(config: EmbedConfig) -> Embedder:
    """The trained embedder."""
    return load_static(config.dimension)


@lru_cache(maxsize=4)
def load_static(dimension: int = 256) -> StaticEmbedder:
    """The trained embedder; it never changes, so everybody gets the same.

    Raises:
        ConfigError: More dimensions than it has, or fewer than 8.
    """
    from leo_core.stages.embed.static import StaticEmbedder  # noqa: PLC0415 - loads numba

    return StaticEmbedder(EmbedConfig(name="static", dimension=dimension))
