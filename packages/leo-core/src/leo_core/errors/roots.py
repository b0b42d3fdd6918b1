"""The errors from which whole rooms of others descend."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "LEOError",
    "StorageError",
]


class LEOError(Exception):
    """Root of every error that LEO raises on purpose."""


class ConfigError(LEOError, ValueError):
    """A setting or an argument is wrong."""


class StorageError(LEOError):
    """The store failed."""
