"""Cheap features of a pair of questions, for P(same answer)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from leo_core.stages.cache.guards import find_conflict_between, find_doubt_between, read_profile
from leo_core.stages.cache.guards.words import FUNCTION_WORDS, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.stages.cache.guards import Profile

    Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]

__all__ = [
    "FEATURES",
    "Traits",
    "WordTable",
    "compare_pair",
    "compare_traits",
    "embed_by_chance",
    "read_traits",
    "score_words",
]

FEATURES = (
    "cosine",
    "overlap",
    "overlap_idf",
    "containment_idf",
    "missing_idf",
    "missing_idf_other",
    "rarest_missing",
    "rarest_shared",
    "pairs",
    "letters",
    "letters_content",
    "content_equal",
    "length_ratio",
    "length_least",
    "length_gap",
    "first_equal",
    "question_equal",
    "question_how_what",
    "last_equal",
    "order",
    "conflict",
    "negation_differs",
    "numbers_differ",
    "numbers_any",
    "names_shared",
    "names_missing",
    "soft_missing",
    "sentences_gap",
    "learned_words",
    "align",
    "align_other",
    "align_least",
    "unaligned",
    "unaligned_other",
    "remainder",
)
"""Names of the features, in the order of the vector; all finite."""

_QUESTIONS = frozenset(
    [
        "what",
        "how",
        "why",
        "when",
        "where",
        "who",
        "which",
        "can",
        "is",
        "are",
        "do",
        "does",
        "did",
        "should",
        "could",
        "would",
        "will",
        "has",
        "have",
        "if",
        "was",
        "were",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTable:
    """What was learned about words, by stem.

    Attributes:
        idf: Inverse document frequency.
        default_idf: That of a word never seen.
        shared: Log-odds weight of a word that both texts have.
        missing: Log-odds weight of a word that one text lacks.
    """

    idf: Mapping[str, float]
    default_idf: float
    shared: Mapping[str, float]
    missing: Mapping[str, float]


class Traits:
    """What is read once from a text and compared with many."""

    __slots__ = (
        "bag",
        "content",
        "grams",
        "grams_content",
        "idf",
        "pairs",
        "profile",
        "question",
        "sequence",
        "tokens",
        "weight",
        "weights",
        "words",
    )

    def __init__(self, profile: Profile, table: WordTable) -> None:
        """Read what the guards did not."""
        self.profile = profile
        tokens = [token for token in profile.words.lower if token[0].isalnum()]
        stems = [stem(token) for token in tokens]
        content = [(root, token) for root, token in zip(stems, tokens, strict=True) if token not in FUNCTION_WORDS]
        forms = dict(content)
        self.sequence = [root for root, _ in content]
        self.content = frozenset(forms)
        idf, default = table.idf, table.default_idf
        self.idf = {word: idf.get(word, default) for word in forms}
        weights = list(self.idf.values())
        self.weight = sum(weights)
        self.words = tuple(forms)
        self.weights = np.array(weights, dtype=np.float64)
        self.tokens = tuple(forms.values())
        self.bag = frozenset(stems)
        self.pairs = frozenset(pairwise(stems))
        self.grams, self.grams_content = _read_grams(" ".join(tokens), " ".join(sorted(self.content)))
        asked = [token for token in tokens if token in _QUESTIONS]
        self.question = asked[0] if asked else ""


def read_traits(text: str, table: WordTable) -> Traits:
    """Read a text."""
    return Traits(read_profile(text), table)


def embed_by_chance(words: Sequence[str]) -> npt.NDArray[np.float32]:
    """Unit rows (n, 512) by the hash of each word: 1 for equal words, else 0 give or take 0.04."""
    digests = b"".join([hashlib.sha512(word.encode("utf-8", "surrogatepass")).digest() for word in words])
    bits = np.unpackbits(np.frombuffer(digests, dtype=np.uint8)).reshape(len(words), 512)
    return (bits.astype(np.float32) * 2.0 - 1.0) / np.float32(math.sqrt(512.0))


def compare_traits(
    a: Traits, b: Traits, cosine: float, table: WordTable, embed: Embed, *, conflict: bool
) -> list[float]:
    """The feature vector of a pair, in the order of :data:`FEATURES`; symmetric in ``a`` and ``b``.

    Args:
        a: One text.
        b: The other.
        cosine: Of their vectors.
        table: What was learned about words.
        embed: Gives unit rows for words.
        conflict: Whether the guards find that they differ, or doubt that they are the same.
    """
    shared = a.content & b.content
    only_a, only_b = a.content - shared, b.content - shared
    pairs = len(a.pairs & b.pairs)
    weights_shared = [a.idf[word] for word in shared]
    weight_shared = sum(weights_shared)
    weight_a, weight_b = a.weight - weight_shared, b.weight - weight_shared
    less, more = sorted((weight_a, weight_b))
    union = weight_shared + weight_a + weight_b
    size_a, size_b = len(a.sequence), len(b.sequence)
    longest = max(size_a, size_b, 1)
    return [
        cosine,
        _share(len(shared), len(shared) + len(only_a) + len(only_b)),
        _share(weight_shared, union),
        _share(weight_shared, min(a.weight, b.weight)),
        less,
        more,
        max([*[a.idf[word] for word in only_a], *[b.idf[word] for word in only_b]], default=0.0),
        max(weights_shared, default=0.0),
        _share(pairs, len(a.pairs) + len(b.pairs) - pairs),
        *_compare_grams(a, b),
        float(a.content == b.content),
        min(size_a, size_b) / longest,
        float(min(size_a, size_b)),
        float(abs(size_a - size_b)),
        float(a.profile.words.lower[:1] == b.profile.words.lower[:1]),
        float(a.question == b.question),
        float({a.question, b.question} == {"how", "what"}),
        float(a.sequence[-1:] == b.sequence[-1:]),
        0.5 * (_order(a, b, shared) + _order(b, a, shared)),
        float(conflict),
        float(a.profile.negated != b.profile.negated),
        float(a.profile.quantities.values != b.profile.quantities.values),
        float(bool(a.profile.quantities.values or b.profile.quantities.values)),
        float(len(a.profile.names & b.profile.names)),
        float(len(a.profile.names ^ b.profile.names)),
        _soft_missing(only_a, only_b, a, b),
        float(abs(len(a.profile.words.starts) - len(b.profile.words.starts))),
        score_words(a, b, table),
        *_align(a, b, embed),
    ]


def compare_pair(a: Traits, b: Traits, cosine: float, table: WordTable, embed: Embed | None = None) -> list[float]:
    """:func:`compare_traits` with what the guards find; without ``embed`` only equal words are alike."""
    found = find_conflict_between(a.profile, b.profile) or find_doubt_between(a.profile, b.profile)
    return compare_traits(a, b, cosine, table, embed or embed_by_chance, conflict=found is not None)


def _align(a: Traits, b: Traits, embed: Embed) -> list[float]:
    """How well the words find partners; see :func:`leo_core.kernels.pairs.align_words`."""
    from leo_core.kernels.pairs import align_words  # noqa: PLC0415 - loads numba

    rows = embed([*a.tokens, *b.tokens])
    one, two = rows[: len(a.tokens)], rows[len(a.tokens) :]
    only_a = np.array([word not in b.content for word in a.words], dtype=np.bool_)
    only_b = np.array([word not in a.content for word in b.words], dtype=np.bool_)
    tables = one.dot(two.T), one.dot(one.T), two.dot(two.T)  # a third quicker than @ for so few rows
    found: list[float] = align_words(*tables, a.weights, b.weights, only_a, only_b).tolist()
    return found


def score_words(a: Traits, b: Traits, table: WordTable) -> float:
    """Sum of the learned weights of words that both have and that one of them lacks, damped by √count."""
    shared, missing = a.bag & b.bag, a.bag ^ b.bag
    total = sum([table.missing.get(word, 0.0) for word in missing]) / math.sqrt(max(len(missing), 1))
    return total + sum([table.shared.get(word, 0.0) for word in shared]) / math.sqrt(max(len(shared), 1))


def _read_grams(*texts: str) -> list[npt.NDArray[np.int64]]:
    """The different runs of three letters of each text, with a blank before and behind it."""
    from leo_core.kernels.pairs import read_trigrams  # noqa: PLC0415 - loads numba

    packed = [bytearray(f" {text} ", "utf-32-le", "surrogatepass") for text in texts]
    letters = [np.frombuffer(each, dtype=np.dtype("<u4")).astype(np.uint32, copy=False) for each in packed]
    return [read_trigrams(each) for each in letters]


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else 0.0


def _compare_grams(a: Traits, b: Traits) -> list[float]:
    """Dice's coefficients of the runs of letters of all words, and of the content."""
    from leo_core.kernels.pairs import count_shared  # noqa: PLC0415 - loads numba

    both = (a.grams, b.grams), (a.grams_content, b.grams_content)
    return [_share(2.0 * count_shared(one, two), len(one) + len(two)) for one, two in both]


def _order(a: Traits, b: Traits, shared: frozenset[str]) -> float:
    """Share of neighbouring shared words of ``a`` that stand in the same order in ``b``."""
    if len(shared) < 2:  # noqa: PLR2004 - one word has no neighbour
        return 1.0
    first = [word for word in a.sequence if word in shared]
    place = {word: at for at, word in enumerate(b.sequence)}
    steps = tuple(pairwise(first))
    return _share(sum([place[one] <= place[two] for one, two in steps]), len(steps)) if steps else 1.0


def _soft_missing(only_a: frozenset[str], only_b: frozenset[str], a: Traits, b: Traits) -> float:
    """IDF of missing words that have no look-alike (first four letters) on the other side."""
    if not only_a or not only_b:
        return 0.0
    starts_a, starts_b = {word[:4] for word in only_a}, {word[:4] for word in only_b}
    left = sum([a.idf[word] for word in only_a if word[:4] not in starts_b])
    right = sum([b.idf[word] for word in only_b if word[:4] not in starts_a])
    return math.sqrt(left * right)
