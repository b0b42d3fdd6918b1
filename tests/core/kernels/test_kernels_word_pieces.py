"""Cutting and pooling: compiled, interpreted and the slow twin give the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import word_pieces
from leo_core.stages.embed.static import StaticEmbedder, fold_text, pack_texts
from tests.oracles import word_pieces as oracle

PIECES = ["how", "a", "b", "ab", "abc", "##a", "##b", "##bc", "?", "€", "é", "reset", "##ting", "1", "##0", "ø", "'"]
PAIRS = np.array([[0, 1], [1, 5], [4, 8], [3, 8]], dtype=np.int32)
BUCKETS = 31
FIRST = len(PIECES) + len(PAIRS)
DRAW = np.random.default_rng(0)
ARRAYS = {
    "pieces": np.frombuffer("\n".join(PIECES).encode(), dtype=np.uint8),
    "pairs": PAIRS,
    "table": DRAW.integers(-127, 128, (FIRST + BUCKETS, 16)).astype(np.int8),
    "scales": DRAW.uniform(0.001, 0.02, FIRST + BUCKETS).astype(np.float32),
}
LOOKUP = {piece: row for row, piece in enumerate(PIECES)}
PAIR_ROWS = {(int(one), int(two)): len(PIECES) + at for at, (one, two) in enumerate(PAIRS)}
TEXTS = st.text(alphabet="ab c?10'€éøhowrestingпри你好สวัسل\u0301😀\n\u200b-", max_size=24)


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    from leo_core.stages.embed.config import EmbedConfig

    return StaticEmbedder(EmbedConfig(dimension=16), arrays=ARRAYS)


def expect(text: str) -> list[tuple[int, float]]:
    return oracle.cut_text(fold_text(text), LOOKUP, PAIR_ROWS, FIRST, BUCKETS)


@given(st.lists(TEXTS, max_size=4))
@settings(deadline=None, max_examples=300)
def test_cutting_agrees_with_the_slow_twin(embedder: StaticEmbedder, texts: list[str]) -> None:
    ids, weights, starts = embedder.cut(texts)
    for at, text in enumerate(texts):
        expected = expect(text)
        part = slice(starts[at], starts[at + 1])
        assert ids[part].tolist() == [row for row, _ in expected]
        np.testing.assert_allclose(weights[part], [weight for _, weight in expected], rtol=1e-6)


@given(st.lists(TEXTS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
def test_pooling_is_the_normalised_weighted_sum(embedder: StaticEmbedder, texts: list[str]) -> None:
    rows = ARRAYS["table"].astype(np.float64) * ARRAYS["scales"][:, None].astype(np.float64)
    found = embedder.embed(texts)
    for row, text in zip(found, texts, strict=True):
        total = sum((weight * rows[at] for at, weight in expect(text)), np.zeros(16))
        norm = np.linalg.norm(total)
        expected = total / norm if expect(text) else np.eye(16)[0]
        np.testing.assert_allclose(row, expected, atol=2e-5)


def test_interpreted_kernels_agree_with_the_compiled(embedder: StaticEmbedder) -> None:
    codes, offsets = pack_texts(["how abbc? 100", "", "привет 你好 ab", "xyz a a"])
    keys, rows = embedder._keys, embedder._rows
    arguments = (keys, rows, ARRAYS["table"], ARRAYS["scales"], BUCKETS)
    compiled = word_pieces.embed_pieces(codes, offsets, *arguments)
    with np.errstate(over="ignore"):
        plain = word_pieces.embed_pieces.py_func(codes, offsets, *arguments)
        ids, weights = np.empty(2 * len(codes), np.int32), np.empty(2 * len(codes), np.float32)
        starts = word_pieces.cut_texts.py_func(codes, offsets, keys, rows, FIRST, BUCKETS, ids, weights)
    np.testing.assert_allclose(plain, compiled, atol=1e-6)
    assert starts[-1] == len(embedder.cut(["how abbc? 100", "", "привет 你好 ab", "xyz a a"])[0])


def test_functions_of_the_kernel_agree_interpreted_and_compiled(embedder: StaticEmbedder) -> None:
    codes, offsets = pack_texts(["abbc", "xyz", "a?"])
    keys, rows = embedder._keys, embedder._rows
    room = 2 * len(codes)
    with np.errstate(over="ignore"):
        for text in range(3):
            got = []
            for each in (word_pieces.cut_text, word_pieces.cut_text.py_func):
                ids, weights = np.zeros(room, np.int32), np.zeros(room, np.float32)
                size = each(codes, offsets[text], offsets[text + 1], keys, rows, FIRST, BUCKETS, ids, weights)
                got.append((ids[:size].tolist(), weights[:size].tolist()))
            assert got[0] == got[1]
        count = word_pieces._cut_word.py_func(codes, 0, 4, keys, rows, np.zeros(room, np.int32), 0)
        assert count == 2
        assert word_pieces._cut_word.py_func(codes, 4, 7, keys, rows, np.zeros(room, np.int32), 0) == -1
        ids, weights = np.zeros(room, np.int32), np.zeros(room, np.float32)
        assert word_pieces._hash_word.py_func(codes, 4, 7, FIRST, BUCKETS, ids, weights, 0) == 4
        assert (ids[:4] >= FIRST).all()
        assert (ids[:4] < FIRST + BUCKETS).all()
        assert word_pieces._mix.py_func(np.uint64(0)) == 1


@pytest.mark.parametrize("size", [0, 1, 7, 3000])
def test_an_index_finds_every_piece_and_pair_and_nothing_else(size: int) -> None:
    random = np.random.default_rng(size)
    words = sorted({"".join(chr(code) for code in random.integers(97, 102, 1 + n % 9)) for n in range(size)})
    codes, offsets = pack_texts(words)
    continuing = random.random(len(words)) < 0.5
    pairs = np.array([(one, (one * 7) % len(words)) for one in range(len(words))], dtype=np.int32).reshape(-1, 2)
    room = 1 << (2 * (len(words) + len(pairs)) + 1).bit_length()
    keys, rows, twice = word_pieces.build_index(codes, offsets, continuing, pairs, room)
    assert twice == 0
    assert np.count_nonzero(keys) == len(words) + len(pairs)
    for place, (one, two) in enumerate(pairs.tolist()):
        key = np.uint64(word_pieces._key_pair(one, two))
        assert word_pieces._find_row(keys, rows, key) == len(words) + place
    for place, mark in enumerate(continuing.tolist()):
        state = word_pieces._CONTINUE if mark else word_pieces._BEGIN
        with np.errstate(over="ignore"):
            for code in codes[offsets[place] : offsets[place + 1]]:
                state = (state ^ np.uint64(code)) * word_pieces._PRIME
        assert word_pieces._find_row(keys, rows, np.uint64(word_pieces._mix(state))) == place
    assert word_pieces._find_row(keys, rows, np.uint64(word_pieces._key_pair(size + 1, 0))) == -1


def test_an_index_tells_what_comes_twice() -> None:
    codes, offsets = pack_texts(["how", "a", "a", "how"])
    pairs = np.array([[0, 1], [0, 1]], dtype=np.int32)
    continuing = np.array([False, False, True, False])
    assert word_pieces.build_index(codes, offsets, continuing, pairs, 32)[2] == 2


@pytest.mark.parametrize(
    ("letters", "kind"),
    [
        (" \t\x7f\xa0؟।。\u200b\ufe0f\U000e0001", 0),
        ("aZ5éяعह한ª", 1),
        ("_?~×½€→😀", 2),
        ("ก你か𠀀", 3),
    ],
)
def test_kinds_of_code_points(letters: str, kind: int) -> None:
    for letter in letters:
        assert word_pieces.classify_code(ord(letter)) == kind, letter
        assert word_pieces.classify_code.py_func(ord(letter)) == kind, letter


def test_pairs_follow_neighbours_only(embedder: StaticEmbedder) -> None:
    assert embedder.cut(["how a"])[0].tolist() == [0, 1, len(PIECES)]
    assert embedder.cut(["how, a"])[0].tolist().count(len(PIECES)) == 0
    assert embedder.cut(["how 你 a"])[0].tolist().count(len(PIECES)) == 0
