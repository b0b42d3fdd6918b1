"""The embedder that needs no data: hashed n-grams through a sparse Johnson–Lindenstrauss transform."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from leo_core.kernels import hashing
from leo_core.records import EmbedderFingerprint
from leo_core.stages.embed.config import EmbedConfig
from leo_core.stages.embed.words import FUNCTION_WEIGHT, FUNCTION_WORDS, QUESTION_WEIGHT, QUESTION_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["HashedEmbedder"]

VERSION = "1"
GAINS = (1.0, 0.2, 3.0)
"""Energy of a word, of a pair of neighbours, and of all character n-grams of a word."""


class HashedEmbedder:
    """Signed hashing of words, word pairs and character 3- to 5-grams, projected by a sparse JL transform.

    Texts are compared after Unicode NFKC normalisation and case folding. Function words count 0.2 and question
    words 0.5 of other words. Texts that share no word and few n-grams are nearly orthogonal: the inner product
    of two unrelated texts is around 0, give or take 1/√dimension.

    Args:
        config: Only its ``dimension`` matters; 256 by default.
    """

    def __init__(self, config: EmbedConfig | None = None) -> None:
        config = config or EmbedConfig()
        self._dimension = config.dimension
        self._common, self._weights = _hash_common_words()
        self._gains = np.array(GAINS, dtype=np.float64)
        settings = f"{VERSION}|{GAINS}|{self._common.tolist()}|{self._weights.tolist()}"
        self._fingerprint = EmbedderFingerprint(
            name="hashed",
            version=VERSION,
            dimension=config.dimension,
            table_sha256=hashlib.sha256(settings.encode()).hexdigest(),
        )

    @property
    def fingerprint(self) -> EmbedderFingerprint:
        """Name, version, dimension and the hash of all settings."""
        return self._fingerprint

    @property
    def is_local(self) -> bool:
        """True: microseconds for a question."""
        return True

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit rows, float32, shape ``(len(texts), d)``; a text without a word gives the first basis vector."""
        codes, offsets = _pack(texts)
        return hashing.embed_codes(codes, offsets, self._common, self._weights, self._gains, self._dimension)


def _pack(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Code points of the normalised texts one after the other, and where each of them starts."""
    folded = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    offsets = np.zeros(len(folded) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in folded], out=offsets[1:])
    data = "".join(folded).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(data, dtype=np.dtype("<u4")).astype(np.uint32), offsets


def _hash_common_words() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float64]]:
    """Hashes of the words whose weight is not 1, in increasing order, and their weights."""
    weights = dict.fromkeys(FUNCTION_WORDS, FUNCTION_WEIGHT) | dict.fromkeys(QUESTION_WORDS, QUESTION_WEIGHT)
    words = sorted(weights)
    codes, offsets = _pack(words)
    keys = np.array([hashing.hash_word(codes, offsets[i], offsets[i + 1]) for i in range(len(words))], dtype=np.uint64)
    order = np.argsort(keys)
    return keys[order], np.array([weights[word] for word in words], dtype=np.float64)[order]
