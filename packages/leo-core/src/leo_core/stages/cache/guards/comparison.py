"""Comparisons must be of one kind: "as strong as" is not "stronger than"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.polarity import is_negated

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_comparison_conflict"]

_EQUAL = re.compile(r"\b(?:as|equally) ([a-z]{3,}) as\b", re.IGNORECASE)
_NOT_COMPARED = frozenset({"well", "soon", "long", "far", "much", "many", "same", "such", "good"})
_ROOT = 4


def find_comparison_conflict(a: Words, b: Words) -> str | None:
    """Reason in words when one text likens and the other ranks by the same adjective."""
    if ("than" in a.bag) == ("than" in b.bag) or is_negated(a) or is_negated(b):
        return None
    ranking, likening = (a, b) if "than" in a.bag else (b, a)
    found = _EQUAL.search(likening.text)
    if found is None or found[1].lower() in _NOT_COMPARED:
        return None
    root = found[1].lower()[:_ROOT]
    ranked = [word for word in ranking.lower if word.startswith(root[:3])]
    if not any(word.endswith("er") or "more" in ranking.bag or "less" in ranking.bag for word in ranked):
        return None
    kinds = ("ranked", "likened") if ranking is a else ("likened", "ranked")
    return f"comparisons differ: {kinds[0]}, {kinds[1]}"
