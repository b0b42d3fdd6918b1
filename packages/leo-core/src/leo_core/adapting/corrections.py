"""How an answer that was shown and then overruled is told to a reader who sees the text alone."""

from __future__ import annotations

from typing import Final

__all__ = ["WITHDRAWN"]

WITHDRAWN: Final = "\n\n[Withdrawn. The answer is:]\n\n"
"""Stands between the words that were withdrawn and the answer wherever a framework can only add to a text."""
