"""Question pairs and their split by connected component, shared by the embedder's and the pair model's training."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import numpy as np

__all__ = ["DEFAULT_PAIRS", "FIT", "TUNE", "read_pairs", "split_by_component"]

DEFAULT_PAIRS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "paraphrase" / "qqp_pairs.jsonl.gz"
FIT = 0.7
TUNE = 0.8
"""Places below ``FIT`` are fitted on; up to ``TUNE`` choices and calibration are made; above is validation."""


def read_pairs(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Questions and labels."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["a"] for row in rows], [row["b"] for row in rows], np.array([row["same"] for row in rows], dtype=bool)


def split_by_component(a: list[str], b: list[str], seed: int) -> np.ndarray:
    """A number in [0, 1) per pair, the same for all pairs of one connected component."""
    parent: dict[str, str] = {}

    def find(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for one, two in zip(a, b, strict=True):
        parent[find(one)] = find(two)
    names: dict[str, str] = {}
    for text in sorted(parent):
        names.setdefault(find(text), text)
    return np.array([zlib.crc32(f"{seed}|{names[find(one)]}".encode()) / 2**32 for one in a])
