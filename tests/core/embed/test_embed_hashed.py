"""The hashed embedder."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.ports import Embedder
from leo_core.stages.embed.config import EmbedConfig
from leo_core.stages.embed.hashed import HashedEmbedder

DATA = Path(__file__).parents[4] / "shared" / "data"
ANY_TEXT = st.text(st.characters(), max_size=60)

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
]


@pytest.fixture(scope="module")
def embedder() -> HashedEmbedder:
    """One with the default settings."""
    return HashedEmbedder()


def cosine(embedder: HashedEmbedder, a: str, b: str) -> float:
    """Cosine of two texts."""
    rows = embedder.embed([a, b])
    return float(rows[0] @ rows[1])


def test_it_is_a_local_embedder(embedder: HashedEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert embedder.is_local
    assert (embedder.fingerprint.name, embedder.fingerprint.dimension) == ("hashed", 256)


def test_fingerprint_is_fixed(embedder: HashedEmbedder) -> None:
    """A new figure here means: vectors changed, so ``VERSION`` has to change too."""
    assert str(embedder.fingerprint) == "hashed/1/256/a1479ce28c9da13a"


@settings(max_examples=80, deadline=None)
@given(st.lists(ANY_TEXT, max_size=5))
def test_any_text_gives_unit_rows(texts: list[str]) -> None:
    rows = HashedEmbedder(EmbedConfig(dimension=32)).embed(texts)
    assert rows.shape == (len(texts), 32)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "?!", "\x00"])
def test_text_without_a_word_gives_the_first_basis_vector(embedder: HashedEmbedder, text: str) -> None:
    np.testing.assert_array_equal(embedder.embed([text])[0], np.eye(256)[0])


def test_lone_surrogates_do_not_crash_and_differ(embedder: HashedEmbedder) -> None:
    assert cosine(embedder, "\ud800", "\udc00") < 0.5
    assert cosine(embedder, "pay\ud83d", "pay\ud83d") == pytest.approx(1)


def test_case_and_compatible_forms_are_one(embedder: HashedEmbedder) -> None:
    assert cosine(embedder, "WHAT IS ＬＥＯ?", "what is leo") == pytest.approx(1)
    assert cosine(embedder, "Straße", "STRASSE") == pytest.approx(1)


def test_a_batch_gives_the_rows_of_its_texts(embedder: HashedEmbedder) -> None:
    np.testing.assert_array_equal(embedder.embed(UNRELATED), np.vstack([embedder.embed([t]) for t in UNRELATED]))


def test_unrelated_questions_are_nearly_orthogonal(embedder: HashedEmbedder) -> None:
    rows = embedder.embed(UNRELATED)
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    assert cosines.mean() < 0.15
    assert cosines.max() < 0.5


def test_paraphrase_is_nearer_than_another_question(embedder: HashedEmbedder) -> None:
    question = "How can I reset the PIN of my card?"
    assert cosine(embedder, question, UNRELATED[0]) > 0.5 > cosine(embedder, question, UNRELATED[1])


def test_operators_and_languages_without_spaces_are_seen(embedder: HashedEmbedder) -> None:
    assert cosine(embedder, "2 + 2", "2 * 2") < 0.95
    assert cosine(embedder, "C", "C++") < 0.95
    assert 0.05 < cosine(embedder, "東京の天気", "東京の人口") < 0.95


def test_dimension_out_of_range_is_refused() -> None:
    for dimension in (0, 7, 65_537):
        with pytest.raises(ConfigError, match=str(dimension)):
            EmbedConfig(dimension=dimension)
    with pytest.raises(ConfigError, match="empty"):
        EmbedConfig(name="")


def test_paraphrases_of_real_questions(embedder: HashedEmbedder) -> None:
    """AUC on question pairs; 0.74 is what the design asks of an embedder without training."""
    path = DATA / "paraphrase" / "qqp_pairs.jsonl.gz"
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not part of the repository")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines][::5]
    a, b = (embedder.embed([pair[side] for pair in pairs]) for side in "ab")
    cosines, same = (a * b).sum(axis=1), np.array([bool(pair["same"]) for pair in pairs])
    ranks = np.argsort(np.argsort(cosines)) + 1
    auc = (ranks[same].sum() - same.sum() * (same.sum() + 1) / 2) / (same.sum() * (~same).sum())
    assert auc >= 0.74
    assert (a[:-100] * b[100:]).sum(axis=1).mean() < 0.15
