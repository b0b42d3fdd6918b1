"""Hashing kernels against their slow twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import hashing
from tests.oracles import hashing as oracle

TEXTS = st.text(max_size=40)
GAINS = (1.0, 0.2, 3.0)


def pack(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points and offsets of texts."""
    pieces = [np.frombuffer(t.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) for t in texts]
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return np.concatenate([*pieces, np.zeros(0, np.uint32)]).astype(np.uint32), offsets


def embed(
    texts: list[str], common: dict[int, float] | None = None, gains: tuple[float, ...] = GAINS, d: int = 64
) -> np.ndarray:
    """Rows by the kernel."""
    ordered = sorted((common or {}).items())
    keys = np.array([key for key, _ in ordered], dtype=np.uint64)
    weights = np.array([weight for _, weight in ordered], dtype=np.float64)
    return hashing.embed_codes(*pack(texts), keys, weights, np.array(gains, dtype=np.float64), d)


def test_code_points_have_the_classes_of_the_twin() -> None:
    codes = [*range(0x250), *range(0x1FF0, 0x2410), *range(0x2FF0, 0x3030), 0x4E00, 0xD800, 0x1F600]
    assert [hashing.classify_code(code) for code in codes] == [oracle.classify_code(code) for code in codes]


@given(TEXTS)
def test_words_are_those_of_the_twin(text: str) -> None:
    codes, _ = pack([text])
    starts, stops = np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
    count = hashing.find_words(codes, 0, len(codes), starts, stops)
    assert [codes[starts[i] : stops[i]].tolist() for i in range(count)] == oracle.find_words(codes.tolist())


@given(st.text(min_size=1, max_size=20))
def test_word_hash_is_that_of_the_twin(text: str) -> None:
    codes, _ = pack([text])
    assert int(hashing.hash_word(codes, 0, len(codes))) == oracle.hash_word(codes.tolist())


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=4), st.sampled_from([8, 9, 64, 100]))
def test_rows_are_those_of_the_twin(texts: list[str], dimension: int) -> None:
    common = {oracle.hash_word([ord(c) for c in word]): 0.1 * i for i, word in enumerate(["a", "the", "0"])}
    rows = embed(texts, common, d=dimension)
    codes = [[ord(c) for c in text] for text in texts]
    expected = np.array(oracle.embed_codes(codes, common, GAINS, dimension)).reshape(len(texts), dimension)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, atol=1e-6)


@pytest.mark.parametrize("text", ["", " ", "?!…", "\n\t", "«»"])
def test_text_without_a_word_gives_the_first_basis_vector(text: str) -> None:
    np.testing.assert_array_equal(embed([text])[0], np.eye(64)[0])


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_rows_do_not_depend_on_their_neighbours(texts: list[str]) -> None:
    together = embed(texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_array_equal(embed([text])[0], row)


def test_lone_surrogates_are_letters_like_others() -> None:
    first, second = embed(["a\ud800b", "a\udfffb"])
    assert first @ second < 0.9


def test_common_words_count_less() -> None:
    key = oracle.hash_word([ord(c) for c in "the"])
    plain = embed(["the cat", "the dog"], d=256)
    damped = embed(["the cat", "the dog"], {key: 0.1}, d=256)
    assert damped[0] @ damped[1] < 0.2 < plain[0] @ plain[1]


def test_key_zero_is_stored_as_one() -> None:
    keys, energies = np.zeros(16, np.uint64), np.zeros(16)
    hashing._add_feature(keys, energies, np.uint64(0), 1.0)
    hashing._add_feature(keys, energies, np.uint64(1), 2.0)
    hashing._add_feature(keys, energies, np.uint64(17), 4.0)  # same slot as 1
    assert (energies[1], energies[2], energies.sum()) == (3.0, 4.0, 7.0)


def test_golden_row() -> None:
    np.testing.assert_allclose(embed(["What is 2 + 2?"], d=16)[0], GOLDEN, atol=1e-6)


GOLDEN = [
    *(0.232144, 0.033411, -0.292948, 0.23009, -0.166261, -0.036088, 0.120179, -0.198548),
    *(0.036272, 0.000123, -0.097639, 0.479573, -0.072606, 0.689299, 0.012547, -0.044958),
]
