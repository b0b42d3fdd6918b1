"""What a question's classifier reads, the slow way."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np


def hash_words(words, buckets):
    """Buckets of the distinct features of words, ascending."""
    features = {f"p:{first} {second}" for first, second in pairwise(["^", *words, "$"])}
    for word in words:
        bounded = f"<{word}>"
        features |= {f"w:{word}"} | {f"c:{bounded[start : start + 4]}" for start in range(len(bounded) - 3)}
    return sorted({zlib.crc32(feature.encode()) % buckets for feature in features})


def read_outputs(hashed, found, scale, bias, dense, present, seen, outputs):
    """Outputs of the network."""
    total = hashed[found].sum(axis=0, dtype=np.float64) * scale / np.sqrt(max(len(found), 1))
    total += bias + dense[present].sum(axis=0) + seen
    hidden = len(outputs)
    return np.maximum(total[:hidden], 0.0) @ outputs + total[hidden:]
