"""A known answer: parameters that silently give wrong scores are found before anything is encrypted with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError, ScoreRangeError
from leo_core.privacy.ckks.block_scoring import BlockScorer
from leo_core.privacy.ckks.fhe_secret import FheSecret

if TYPE_CHECKING:
    from leo_core.privacy.ckks.params import FheParams

__all__ = ["MOST_ERROR", "run_self_test"]

MOST_ERROR = 1e-3
_DIM = 16


def run_self_test(params: FheParams) -> None:
    """Score two known blocks, one in the clear and one encrypted.

    The query is 0.6·e₀ + 0.8·e₁. Row i is ±e_j with j = i mod 16, with a minus where i // 16 is odd, so that every
    score is ±0.6, ±0.8 or 0.

    Raises:
        ConfigError: A score is off by more than 1e-3.
    """
    places = np.arange(params.block_size)
    rows = np.zeros((len(places), _DIM))
    rows[places, places % _DIM] = np.where(places // _DIM % 2, -1.0, 1.0)
    query = np.zeros(_DIM)
    query[:2] = 0.6, 0.8
    secret = FheSecret.generate_untested(params)
    scorer = BlockScorer(secret.evaluation_keys(dim=_DIM))
    blocks = [scorer.load_plain(rows), scorer.load_encrypted(secret.encrypt_block(rows))]
    reply = scorer.score(secret.encrypt_query(query), blocks)
    try:
        scores = secret.decrypt_scores(reply, [len(rows)] * len(blocks))
    except ScoreRangeError as error:
        message = f"{params} fail their self-test: {error}; use a preset"
        raise ConfigError(message) from error
    off = max(float(np.abs(found - rows @ query).max()) for found in scores)
    if not off <= MOST_ERROR:
        message = f"{params} fail their self-test: a score is off by {off:.3g}; use a preset"
        raise ConfigError(message)
