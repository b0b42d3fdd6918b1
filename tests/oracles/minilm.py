"""Slow twin of ``leo_core.evaluation.minilm``: the encoder in numpy, one text and one head at a time."""

from __future__ import annotations

import math

import numpy as np


def dense(weights: dict[str, np.ndarray], name: str, rows: np.ndarray) -> np.ndarray:
    return rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def normalise(weights: dict[str, np.ndarray], name: str, rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(rows: np.ndarray) -> np.ndarray:
    return rows * 0.5 * (1 + np.vectorize(math.erf)(rows / math.sqrt(2)))


def embed(weights: dict[str, np.ndarray], ids: list[int], heads: int, layers: int) -> np.ndarray:
    """The unit vector of one text."""
    weights = {name: array.astype(np.float64) for name, array in weights.items()}
    value = weights["embeddings.word_embeddings.weight"][ids]
    value = value + weights["embeddings.position_embeddings.weight"][: len(ids)]
    value = value + weights["embeddings.token_type_embeddings.weight"][0]
    value = normalise(weights, "embeddings.LayerNorm", value)
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        queries, keys, values = (
            np.split(dense(weights, f"{name}.attention.self.{part}", value), heads, axis=1)
            for part in ("query", "key", "value")
        )
        mixed = []
        for query, key, content in zip(queries, keys, values, strict=True):
            powers = np.exp(query @ key.T / math.sqrt(query.shape[1]))
            mixed.append(powers / powers.sum(axis=1, keepdims=True) @ content)
        attended = dense(weights, f"{name}.attention.output.dense", np.hstack(mixed))
        value = normalise(weights, f"{name}.attention.output.LayerNorm", value + attended)
        wide = gelu(dense(weights, f"{name}.intermediate.dense", value))
        value = normalise(weights, f"{name}.output.LayerNorm", value + dense(weights, f"{name}.output.dense", wide))
    mean = value.mean(axis=0)
    return mean / np.linalg.norm(mean)
