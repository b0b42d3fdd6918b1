"""Entries and vectors for the tests of stores; light to import, for scripts in other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.records import CacheEntry, EmbedderFingerprint, Message, Route, Usage

if TYPE_CHECKING:
    from leo_core.ports import Store
    from leo_core.records import Vector

DIMENSION = 16
FINGERPRINT = EmbedderFingerprint(name="test", version="1", dimension=DIMENSION, table_sha256="ab" * 32)
NOW = 1_000.0


def make_entry(name: str, **changes: Any) -> CacheEntry:
    """An entry that answers the question ``name``."""
    facts: dict[str, Any] = {
        "id": f"id-{name}",
        "tenant": "acme",
        "exact_key": f"key-{name}",
        "scope_key": "scope",
        "text": f"question {name}",
        "message": Message(role="assistant", content=f"answer {name}"),
        "members": ("one", "two"),
        "model": "small-1",
        "route": Route.SMALL,
        "usage": Usage(input_tokens=3, output_tokens=5, calls=1, cost_usd=0.25),
        "receipt_id": "leo:rcpt:00",
        "created_at": NOW,
    }
    return CacheEntry(**(facts | changes))


def make_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Random unit rows, float32 (count, DIMENSION)."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def axis(number: int) -> Vector:
    """A unit vector along an axis."""
    return np.eye(DIMENSION, dtype=np.float32)[number]


def find_ids(store: Store, vector: Vector, *, k: int = 50, tenant: str = "acme", now: float = NOW) -> list[str]:
    """Ids of the nearest entries in the scope ``"scope"``, best first."""
    return [item.entry.id for item in store.search(tenant, "scope", vector, k=k, now=now)]
