"""The version of LEO; the same in all three packages."""

__all__ = ["__version__"]

__version__ = "0.1.0"
