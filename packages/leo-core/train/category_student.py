"""The network of ``category_risk.py``: its training by Adam (Kingma & Ba 2015), and its weights as they ship."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Student", "odds"]

Array = np.ndarray
OUTPUTS = 5
BATCH = 256
WARM_UP = 100


class Student:
    """One hidden layer over hashed features and dense ones, with straight connections to the outputs.

    Args:
        buckets: Hashed features.
        dimension: Coordinates of the vector; the first of the dense features.
        width: All dense features.
        hidden: Hidden units.
        seed: Of the start and the order.
    """

    def __init__(self, buckets: int, dimension: int, width: int, hidden: int, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._dimension, self._hidden = dimension, hidden

        def start(rows: int, columns: int, size: float) -> Array:
            return self._draw.normal(0.0, size, (rows, columns)).astype(np.float32)

        def zeros(*shape: int) -> Array:
            return np.zeros(shape, dtype=np.float32)

        self.at = {
            "hashed": np.hstack([start(buckets, hidden, 0.1), zeros(buckets, OUTPUTS)]),
            "dense": np.hstack([start(width, hidden, 0.5 / np.sqrt(width)), zeros(width, OUTPUTS)]),
            "bias": zeros(hidden + OUTPUTS),
            "outputs": start(hidden, OUTPUTS, 1.0 / np.sqrt(hidden)),
        }

    def fit(
        self,
        hashed: csr_matrix,
        dense: Array,
        targets: Array,
        weight: Array,
        *,
        epochs: int,
        rate: float = 3e-3,
        dropped: float = 0.2,
        dropped_hidden: float = 0.3,
        blind: float = 0.25,
        decay: float = 1e-3,
    ) -> Student:
        """Cross-entropy against soft targets ``(n, 5)``; a share ``blind`` of the rows is read without its vector."""
        count = hashed.shape[0]
        first = {name: np.zeros_like(each) for name, each in self.at.items()}
        second = {name: np.zeros_like(each) for name, each in self.at.items()}
        step, steps = 0, epochs * -(-count // BATCH)
        for _ in range(epochs):
            order = self._draw.permutation(count)
            for start in range(0, count, BATCH):
                rows = order[start : start + BATCH]
                seen = hashed[rows]
                kept = self._draw.random(len(seen.data)) > dropped
                seen.data = (seen.data * kept / (1.0 - dropped)).astype(np.float32)
                shown = dense[rows]
                shown[self._draw.random(len(rows)) < blind, : self._dimension] = 0.0
                mask = (self._draw.random((len(rows), self._hidden)) > dropped_hidden) / (1.0 - dropped_hidden)
                gradient = self._slope(seen, shown, targets[rows], weight[rows], mask.astype(np.float32))
                step += 1
                size = rate * min(1.0, step / WARM_UP) * (1.0 - 0.95 * step / steps)
                for name, slope in gradient.items():
                    first[name] += 0.1 * (slope - first[name])
                    second[name] += 0.01 * (slope * slope - second[name])
                    move = first[name] / (1.0 - 0.9**step)
                    move /= np.sqrt(second[name] / (1.0 - 0.99**step)) + 1e-6
                    if name in ("hashed", "dense"):
                        move += decay * self.at[name]
                    self.at[name] -= size * move
        return self

    def _slope(self, seen: csr_matrix, shown: Array, targets: Array, weight: Array, mask: Array) -> dict[str, Array]:
        """Gradient of the mean loss of a batch."""
        at = self.at
        total = seen @ at["hashed"] + shown @ at["dense"] + at["bias"]
        active = (total[:, : self._hidden] > 0.0) * mask
        inner = total[:, : self._hidden] * active
        output = inner @ at["outputs"] + total[:, self._hidden :]
        wrong = (soften(output) - targets) * (weight[:, None] / len(targets))
        both = np.hstack([(wrong @ at["outputs"].T) * active, wrong]).astype(np.float32)
        return {
            "hashed": seen.T @ both,
            "dense": shown.T @ both,
            "bias": both.sum(axis=0),
            "outputs": inner.T @ wrong,
        }

    def predict(self, hashed: csr_matrix, dense: Array) -> Array:
        """Uncalibrated outputs, ``(n, 5)``."""
        total = hashed @ self.at["hashed"] + dense @ self.at["dense"] + self.at["bias"]
        return np.maximum(total[:, : self._hidden], 0.0) @ self.at["outputs"] + total[:, self._hidden :]

    def pack(self, vector_scale: float) -> dict[str, Array]:
        """The weights as they ship: eight bits for the hashed features, the vector's scale multiplied in."""
        scale = np.abs(self.at["hashed"]).max(axis=0) / 127.0 + 1e-12
        dense = self.at["dense"].copy()
        dense[: self._dimension] *= vector_scale
        return {
            "hashed": np.round(self.at["hashed"] / scale).astype(np.int8),
            "hashed_scale": scale.astype(np.float32),
            "dense": dense.astype(np.float16),
            "bias": self.at["bias"].astype(np.float32),
            "outputs": self.at["outputs"].astype(np.float32),
        }


def soften(output: Array) -> Array:
    """Softmax of each row."""
    power = np.exp(output - output.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def odds(output: Array) -> Array:
    """Log-odds of any category against "none"."""
    return np.log(np.exp(output[:, 1:]).sum(axis=1)) - output[:, 0]
