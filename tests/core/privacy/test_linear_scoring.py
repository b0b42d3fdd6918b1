"""Linear models on the server, asked about vectors that it does not see."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from leo_core.errors import CiphertextError, ConfigError, KeyDestroyedError, KeyExhaustedError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.privacy.ckks.linear_scoring import LinearQuestion, LinearScorer
from leo_core.privacy.ckks.params import FheParams
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.stages.embed.load import load_embedder
from tests.core.privacy.fhe import changed, keys_of, secret_of, unit_rows

ROUTED = Path(__file__).resolve().parents[4] / "shared" / "data" / "routing" / "mmlu_mixtral_gpt4.jsonl.gz"
DIM = 15
"""One coordinate more is that of the intercepts."""
PARAMS = FheParams.preset("score128")


@pytest.fixture(scope="module")
def scorer():
    random = np.random.default_rng(0)
    weights, intercepts = 3.0 * random.standard_normal((5, DIM)), np.array([2.0, -1.0, 0.0, 0.5, -4.0])
    return LinearScorer(keys_of(DIM + 1), weights, intercepts), weights, intercepts


def test_scores_are_those_of_the_model_in_the_clear(scorer):
    server, weights, intercepts = scorer
    client = LinearQuestion(secret_of(), count=server.count, scale=server.scale)
    for vector in unit_rows(4, DIM):
        scores = client.read(server.score(client.ask(vector)))
        np.testing.assert_allclose(scores, weights @ vector + intercepts, atol=1.5e-3 * server.scale)
    assert server.scale == pytest.approx(np.linalg.norm(np.column_stack([weights, intercepts]), axis=1).max())


def test_decisions_of_a_router_are_those_in_the_clear(scorer):
    server, weights, intercepts = scorer
    client = LinearQuestion(secret_of(), count=server.count, scale=server.scale)
    vectors = unit_rows(12, DIM)
    plain = vectors @ weights.T + intercepts
    private = np.array([client.read(server.score(client.ask(vector))) for vector in vectors])
    clear = np.abs(plain) > 2e-3 * server.scale
    assert clear.mean() > 0.9
    assert ((private > 0) == (plain > 0))[clear].all()


def test_routes_of_real_questions_are_those_in_the_clear():
    """Two models fitted to whether each of RouteLLM's two members was right, asked about questions left out."""
    if not ROUTED.exists():
        pytest.skip("needs ../shared/data/routing/mmlu_mixtral_gpt4.jsonl.gz")
    rows = list(islice(read_jsonl(ROUTED), 0, None, 12))
    vectors = load_embedder("static").embed([row["question"] for row in rows]).astype(np.float64)
    right = np.array([[row["small_correct"], row["large_correct"]] for row in rows], dtype=np.float64)
    mean = right.mean(axis=0)
    fitted = np.linalg.solve(vectors.T @ vectors + np.eye(vectors.shape[1]), vectors.T @ (right - mean)).T
    intercepts = mean - np.array([0.5, 0.5])
    server = LinearScorer(secret_of().evaluation_keys(dim=vectors.shape[1] + 1, expected=2), fitted, intercepts)
    client = LinearQuestion(secret_of(), count=server.count, scale=server.scale)
    asked = vectors[:: len(vectors) // 16][:16]
    plain = asked @ fitted.T + intercepts
    private = np.array([client.read(server.score(client.ask(vector))) for vector in asked])
    np.testing.assert_allclose(private, plain, atol=1.5e-3 * server.scale)
    sure = np.abs(plain) > 2e-3 * server.scale
    assert sure.mean() > 0.9
    assert ((private > 0) == (plain > 0))[sure].all()


def test_what_does_not_fit_is_refused(scorer):
    server, weights, intercepts = scorer
    client = LinearQuestion(secret_of(), count=server.count, scale=server.scale)
    question = client.ask(unit_rows(1, DIM)[0])
    with pytest.raises(CiphertextError):
        server.score(question[:-1])
    with pytest.raises(CiphertextError):
        client.read(changed(server.score(question), 0, 0))
    with pytest.raises(CiphertextError):
        LinearQuestion(secret_of(), count=1, scale=1.0).read(b"")
    with pytest.raises(ConfigError, match="one vector"):
        client.ask(unit_rows(2, DIM))
    with pytest.raises(ConfigError):
        client.ask(2.0 * unit_rows(1, DIM)[0])
    for wrong in ((weights, intercepts[:-1]), (weights[0], intercepts), (weights * np.nan, intercepts), ([], [])):
        with pytest.raises(ConfigError):
            LinearScorer(keys_of(DIM + 1), *wrong)
    with pytest.raises(ConfigError, match="not all of them 0"):
        LinearScorer(keys_of(DIM + 1), np.zeros((2, DIM)), np.zeros(2))
    for settings in ({"count": 0, "scale": 1.0}, {"count": 1, "scale": 0.0}):
        with pytest.raises(ConfigError, match="above 0"):
            LinearQuestion(secret_of(), **settings)


def test_scores_are_counted_before_they_are_read_and_say_nothing_of_the_noise(scorer):
    server, _, _ = scorer
    counted = []
    client = LinearQuestion(
        secret_of(), count=server.count, scale=server.scale, count_decrypts=lambda: counted.append(1)
    )
    reply = server.score(client.ask(unit_rows(1, DIM)[0]))
    steps = client.read(reply) / (np.sqrt(2.0) * server.scale * 5e-4)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert counted == [1]

    def refuse():
        raise KeyExhaustedError

    with pytest.raises(KeyExhaustedError):
        LinearQuestion(secret_of(), count=server.count, scale=server.scale, count_decrypts=refuse).read(reply)


def test_replies_are_counted_on_the_version_whose_secret_decrypts_them_and_no_further_than_its_cap():
    policy = RotationPolicy(max_decrypts=4, decrypt_lease=1)
    ring = ClientKeyring.create(tenant="acme", kek=LocalKek.generate(), policy=policy)
    keys = ring.fhe_secret(PARAMS).evaluation_keys(dim=DIM + 1)
    server = LinearScorer(keys, np.ones((1, DIM)), np.zeros(1))
    client = LinearQuestion.of_keyring(ring, PARAMS, count=server.count, scale=server.scale)
    ring.rotate()
    reply = server.score(client.ask(unit_rows(1, DIM)[0]))
    for _ in range(4):
        client.read(reply)
    assert [each.decrypts for each in ring.keyset.versions] == [4, 0]
    with pytest.raises(KeyExhaustedError):
        client.read(reply)
    with pytest.raises(CiphertextError):
        LinearQuestion.of_keyring(ring, PARAMS, count=1, scale=server.scale).read(reply)
    ring.destroy_version(1)
    with pytest.raises(KeyDestroyedError):
        client.read(reply)
