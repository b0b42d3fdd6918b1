"""The shipped static embedder: its table, what it sees in a text, and what it is good for."""

from __future__ import annotations

import time
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.ports import Embedder
from leo_core.stages.embed.config import EmbedConfig
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.embed.static import StaticEmbedder, fold_text

UNRELATED = [
    "How do I reset my bank card PIN?",
    "What is the capital of France?",
    "Why does bread rise when it is baked?",
    "Who painted the ceiling of the Sistine Chapel?",
    "Is it safe to take ibuprofen with alcohol?",
    "How many moons does Jupiter have?",
    "Write a haiku about autumn leaves.",
    "Which statute limits the liability of landlords?",
    "What are the best exercises for lower back pain?",
    "How can I learn Python quickly?",
    "When did the Berlin Wall fall?",
    "Translate good morning into Japanese.",
    "git rebase or merge?",
    "turn off the kitchen lights",
    "convert 5 miles to kilometres",
]

# anchor, same meaning, shares words or a form with the anchor but asks for something else
TRIPLES = [
    ("How do I lose weight fast?", "What is the quickest way to slim down?", "How do I gain money fast?"),
    ("How can I learn Python quickly?", "Fastest way to learn python", "How can I catch a python quickly?"),
    ("turn off the lights", "switch the lamp off", "turn off the alarm"),
    ("set a timer for ten minutes", "start a 10 minute timer", "set the table for ten people"),
    ("play some jazz", "put on jazz music", "play some chess"),
    ("How to undo the last commit in git?", "git revert my latest commit", "How to undo the last step in photoshop?"),
    ("python list index out of range", "IndexError: list index out of range", "python dictionary key error"),
    ("reverse a string in javascript", "js string reversal", "sort a list in javascript"),
    ("My card was stolen", "someone took my bank card", "My card has not arrived"),
    ("What's the weather like in Paris?", "paris weather forecast", "What's the nightlife like in Paris?"),
    ("How do I boil an egg?", "How long should I cook eggs in boiling water?", "How do I paint an egg?"),
    ("book a flight to rome", "I need plane tickets to Rome", "recommend a book about rome"),
]

TYPOS = [
    ("How do I reset my password?", "how do i resset my pasword"),
    ("What is the capital of Australia?", "waht is teh captial of australia"),
    ("my internet connection is slow", "my interent conection is slow"),
    ("best restaurants near me", "best resturants near me"),
]

OTHER_SCRIPTS = [
    ("Какая столица Франции?", "столица Франции какая", "Как приготовить борщ?"),
    ("法国的首都是哪里？", "法国首都是哪个城市", "怎么做红烧肉？"),
    ("フランスの首都はどこですか", "フランスの首都を教えて", "カレーの作り方は？"),
    ("ما هي عاصمة فرنسا؟", "عاصمة فرنسا", "كيف أطبخ الأرز؟"),
    ("फ्रांस की राजधानी क्या है?", "फ्रांस की राजधानी", "चावल कैसे पकाएं?"),
    ("เมืองหลวงของฝรั่งเศสคืออะไร", "เมืองหลวงของฝรั่งเศส", "วิธีทำต้มยำกุ้ง"),
    ("프랑스의 수도는 어디입니까?", "프랑스의 수도", "김치찌개 만드는 법"),
    ("Ποια είναι η πρωτεύουσα της Γαλλίας;", "πρωτευουσα της γαλλιας", "Πώς φτιάχνω μουσακά;"),
]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


def cosines(embedder: StaticEmbedder, *texts: str) -> list[float]:
    """Cosines of the first text with the others."""
    rows = embedder.embed(texts)
    return [float(rows[0] @ row) for row in rows[1:]]


def test_it_is_the_local_default(embedder: StaticEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert embedder.is_local
    assert load_embedder().fingerprint == load_embedder("static").fingerprint == embedder.fingerprint
    assert (embedder.fingerprint.name, embedder.fingerprint.dimension) == ("static", 256)


def test_the_table_fits_the_wheel() -> None:
    assert len((files("leo_core.stages.embed") / "static.npz").read_bytes()) <= 10_000_000


def test_a_prefix_of_the_dimensions_is_an_embedding_too() -> None:
    rows = StaticEmbedder(EmbedConfig(dimension=64)).embed(["a question", "another"])
    assert rows.shape == (2, 64)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    with pytest.raises(ConfigError, match=r"256 dimensions; 512"):
        StaticEmbedder(EmbedConfig(dimension=512))


def test_arrays_that_do_not_fit_are_refused(embedder: StaticEmbedder) -> None:
    pieces = np.frombuffer(b"a\nb", dtype=np.uint8)
    good = {"pieces": pieces, "pairs": np.zeros((0, 2), np.int32), "scales": np.ones(3, np.float32)}
    table = np.ones((3, 256), np.int8)
    StaticEmbedder(arrays={**good, "table": table})
    with pytest.raises(ConfigError, match="2 pieces, 0 pairs, 3 scales for 2 rows"):
        StaticEmbedder(arrays={**good, "table": table[:2]})
    with pytest.raises(ConfigError, match="comes twice"):
        StaticEmbedder(arrays={**good, "table": table, "pieces": np.frombuffer(b"a\na", dtype=np.uint8)})


@given(st.lists(st.text(st.characters(), max_size=50), max_size=4))
@settings(deadline=None)
def test_rows_are_unit_and_do_not_depend_on_the_batch(embedder: StaticEmbedder, texts: list[str]) -> None:
    rows = embedder.embed(texts)
    assert rows.shape == (len(texts), 256)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-4)
    for row, text in zip(rows, texts, strict=True):
        np.testing.assert_array_equal(embedder.embed([text])[0], row)


def test_a_text_without_words_is_the_first_basis_vector(embedder: StaticEmbedder) -> None:
    for text in ("", " \n", "\u200b"):
        np.testing.assert_array_equal(embedder.embed([text])[0], np.eye(256, dtype=np.float32)[0])


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Crème BRÛLÉE", "creme brulee"),
        ("It’s “so” — 10…", 'it\'s "so" - 10.'),
        ("ﬁve ｆｕｌｌ x²", "five full x2"),
        ("ΑΘΉΝΑ Ёж", "αθηνα еж"),
        ("हिन्दी 한국어", "हिन्दी 한국어"),
        ("İstanbul", "istanbul"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold_text(text) == folded
    assert fold_text(folded) == folded


def test_case_accents_and_typography_do_not_matter(embedder: StaticEmbedder) -> None:
    assert cosines(embedder, "What’s a crème brûlée?", "WHAT'S A CREME BRULEE?") == pytest.approx([1.0])


def test_unrelated_questions_are_far_apart(embedder: StaticEmbedder) -> None:
    rows = embedder.embed(UNRELATED)
    table = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    assert table.mean() < 0.15
    assert table.max() < 0.5


def test_the_same_wish_in_other_words_is_mostly_nearer_than_a_foil(embedder: StaticEmbedder) -> None:
    """The foils share most words with the anchor; sums of words are fooled by some, hashed n-grams by nearly all."""
    found = [cosines(embedder, *triple) for triple in TRIPLES]
    assert min(near for near, _ in found) > 0.4
    assert sum(near > far for near, far in found) >= 7
    hashed = load_embedder("hashed")
    assert sum(near > far for near, far in (cosines(hashed, *triple) for triple in TRIPLES)) <= 3


@pytest.mark.parametrize(("clean", "misspelled"), TYPOS)
def test_typing_errors_move_a_text_little(embedder: StaticEmbedder, clean: str, misspelled: str) -> None:
    (close,) = cosines(embedder, clean, misspelled)
    others = cosines(embedder, misspelled, *UNRELATED[1:])
    assert close > 0.4
    assert close > max(others)


@pytest.mark.parametrize(("anchor", "near", "far"), OTHER_SCRIPTS)
def test_other_scripts_are_compared_by_what_they_share(
    embedder: StaticEmbedder, anchor: str, near: str, far: str
) -> None:
    close, apart = cosines(embedder, anchor, near, far)
    assert close > 0.5
    assert apart < 0.3


def test_other_scripts_are_far_from_each_other(embedder: StaticEmbedder) -> None:
    rows = embedder.embed([anchor for anchor, _, _ in OTHER_SCRIPTS])
    assert np.abs((rows @ rows.T)[np.triu_indices(len(rows), 1)]).max() < 0.3


def test_pieces_agree_with_the_reference_tokeniser(embedder: StaticEmbedder) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="the reference tokeniser is not installed")
    with np.load(str(files("leo_core.stages.embed") / "static.npz")) as arrays:
        pieces = bytes(arrays["pieces"]).decode().split("\n")
    reference = tokenizers.BertWordPieceTokenizer(
        vocab={piece: at for at, piece in enumerate([*pieces, "[UNK]", "[SEP]", "[CLS]"])}, lowercase=True
    )
    texts = [*UNRELATED, *(text for triple in TRIPLES for text in triple), *(text for pair in TYPOS for text in pair)]
    texts += [
        "Crème brûlée costs $4.50 (or $5)!",
        "def f(x): return x**2 + y_1",
        "naïve café-owner's antidisestablishment",
    ]
    ids, _, starts = embedder.cut(texts)
    for text, (first, last) in zip(texts, pairwise(starts), strict=True):
        mine = [int(row) for row in ids[first:last] if row < len(pieces)]
        assert mine == reference.encode(text, add_special_tokens=False).ids, text


def test_a_question_takes_microseconds(embedder: StaticEmbedder) -> None:
    """Far from what it takes (10 µs), so that a busy machine passes; MiniLM takes 7 ms."""
    text = ["How can I reset the password of my online account without calling support?"]
    embedder.embed(text)
    began = time.process_time()
    for _ in range(200):
        embedder.embed(text)
    assert (time.process_time() - began) / 200 < 1e-3
