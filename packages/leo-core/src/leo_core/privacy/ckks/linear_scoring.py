"""Linear models whose weights stay on the server, asked about vectors that stay with the client.

A score of m models of d weights each, such as one of a route or of a risk, is W x + b. The server keeps W and b in the
clear, as a block of m rows (:mod:`leo_core.privacy.ckks.block_scoring`): the same product as a search. The client
encrypts (x, 1) / √2, whose length is 1, so that the intercepts ride along as one more coordinate.

The server learns nothing of x or of the scores. The client learns the scores, and with d + 1 independent questions the
weights: what is hidden is what is asked, and the weights only from whoever asks seldom.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.privacy.ckks.block_scoring import BlockScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from leo_core.privacy.ckks.evaluation_keys import EvaluationKeys
    from leo_core.privacy.ckks.fhe_secret import FheSecret
    from leo_core.privacy.ckks.params import FheParams
    from leo_core.privacy.keys.keyring import ClientKeyring

__all__ = ["LinearQuestion", "LinearScorer"]

_LENGTH = math.sqrt(2.0)
_STEPS = 2000.0
"""Steps of a score of 1 that are told apart."""
_ROWS = 2


class LinearScorer:
    """The server's side: models in the clear, questions and replies as bytes that it cannot read.

    Args:
        keys: The client's evaluation keys, made for ``d + 1`` coordinates.
        weights: One row per model, finite, shape (m, d).
        intercepts: One per model, finite, shape (m,).

    Attributes:
        count: Number of models, m.
        scale: What the client multiplies its scores by: the length of the longest row of weights and intercept. Public.

    Raises:
        ConfigError: The shapes do not fit, a number is not finite, or all are 0.
        CiphertextError: The keys are damaged, or for vectors of another length.
    """

    def __init__(self, keys: EvaluationKeys, weights: Any, intercepts: Any) -> None:
        rows = np.asarray(weights, dtype=np.float64)
        extra = np.asarray(intercepts, dtype=np.float64)
        if rows.ndim != _ROWS or extra.shape != rows.shape[:1] or not len(rows):
            message = f"weights are (m, d) and intercepts (m,); their shapes are {rows.shape} and {extra.shape}"
            raise ConfigError(message)
        whole = np.column_stack([rows, extra])
        longest = float(np.linalg.norm(whole, axis=1).max()) if np.isfinite(whole).all() else math.inf
        if not 0.0 < longest < math.inf:
            message = "weights and intercepts must be finite, and not all of them 0"
            raise ConfigError(message)
        self.count, self.scale = len(rows), longest
        self._scorer = BlockScorer(keys)
        self._block = self._scorer.load_plain((whole / longest).astype(np.float32))

    def score(self, question: bytes) -> bytes:
        """The encrypted scores of a question.

        Raises:
            CiphertextError: The question is truncated, oversized, damaged, or of other keys or parameters.
        """
        return self._scorer.score(question, [self._block])


class LinearQuestion:
    """The client's side: asks about vectors and reads the scores.

    Args:
        secret: The client's secret.
        count: Number of models of the server.
        scale: :attr:`LinearScorer.scale` of the server.
        count_decrypts: Called before each reply is decrypted; what it raises ends the reading. By default nobody
            counts, and whoever shows scores to others has to. For a secret in a keyring see :meth:`of_keyring`.

    Raises:
        ConfigError: The count or the scale is not above 0.
    """

    def __init__(
        self, secret: FheSecret, *, count: int, scale: float, count_decrypts: Callable[[], object] = lambda: None
    ) -> None:
        if count < 1 or not 0.0 < scale < math.inf:
            message = f"count is {count} and scale {scale}; both must be above 0, and finite"
            raise ConfigError(message)
        self._secret, self._count, self._scale, self._count_decrypts = secret, count, scale, count_decrypts

    @classmethod
    def of_keyring(cls, ring: ClientKeyring, params: FheParams, *, count: int, scale: float) -> LinearQuestion:
        """With the secret of a keyring's present version, on which each reply is counted, also after a rotation.

        At the cap, and where the version is disabled or destroyed, :meth:`read` raises and decrypts nothing; then make
        another one, and give the server evaluation keys of the secret that the keyring has by then.

        Args:
            ring: The client's keyring.
            params: Encryption parameters.
            count: Number of models of the server.
            scale: :attr:`LinearScorer.scale` of the server.

        Raises:
            KeyringError: The keyring is disabled or destroyed, or cannot be read.
            ConfigError: The count or the scale is not above 0.
        """
        while True:
            version = ring.version
            secret = ring.fhe_secret(params, version=version)
            if ring.version == version:  # otherwise the secret may be that of another version by now
                counted = partial(ring.count_decrypts, version=version)
                return cls(secret, count=count, scale=scale, count_decrypts=counted)

    def ask(self, vector: Any) -> bytes:
        """The question about a unit vector, shape (d,).

        Raises:
            ConfigError: The vector is not finite or not of unit length.
        """
        row = np.asarray(vector, dtype=np.float64)
        if row.ndim != 1:
            message = f"a question is about one vector; the shape is {row.shape}"
            raise ConfigError(message)
        return self._secret.encrypt_query(np.append(row, 1.0) / _LENGTH)

    def read(self, reply: bytes) -> npt.NDArray[np.float64]:
        """W x + b, shape (m,), within 10⁻³ · √2 · scale; rounded to multiples of 5 · 10⁻⁴ · √2 · scale.

        Unrounded, the low digits are the noise of the ciphertext, which says something of the secret to whoever has
        both (B. Li and D. Micciancio, "On the security of homomorphic encryption on approximate numbers", EUROCRYPT
        2021).

        Raises:
            CiphertextError: The reply is truncated, damaged, or of another key.
            ScoreRangeError: A score is larger than it can be: the reply was altered.
        """
        self._count_decrypts()
        (scores,) = self._secret.decrypt_scores(reply, [self._count])
        return np.round(scores * _STEPS) / _STEPS * (_LENGTH * self._scale)
