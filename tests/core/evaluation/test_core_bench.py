"""The benchmarks of the numeric core: their figures on small, known data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.evaluation import coherence_bench, embed_bench, index_bench, novelty_bench, numpy_peers, paired, ranking
from leo_core.kernels import dawid_skene, geometric_median, kmeans, pcs

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
@settings(deadline=None)
def test_auroc_counts_ordered_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([float(score) for score, _ in rows]), np.array([flag for _, flag in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    found = ranking.measure_auroc(scores, positive)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def test_recall_at_precision_and_calibration() -> None:
    scores, positive = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([True, True, False, True, False])
    assert ranking.recall_at_precision(scores, positive, 1.0) == pytest.approx(2 / 3)
    assert ranking.recall_at_precision(scores, positive, 0.75) == 1.0
    assert ranking.recall_at_precision(np.ones(4), np.array([True, False, False, False]), 0.9) == 0.0
    assert ranking.measure_ece(np.full(100, 0.3), np.arange(100) % 10 < 3) < 0.2
    assert ranking.measure_ece(np.full(100, 0.9), np.zeros(100, dtype=bool)) == pytest.approx(0.9)
    low, high = ranking.bootstrap_auroc(scores, positive, draws=50)
    assert 0 <= low <= high <= 1


def test_a_ratio_says_who_is_faster() -> None:
    found = paired.compare("work", "peer", lambda: sum(range(200)), lambda: sum(range(20_000)), rounds=11)
    assert found.low > 5
    assert found.low <= found.ratio <= found.high
    assert set(paired.describe_machine()) == {"machine", "system", "cores"}


def test_the_numpy_peers_do_the_same_work() -> None:
    random = np.random.default_rng(0)
    points, weights = random.standard_normal((7, 16)), random.uniform(0.5, 2, 7)
    median = geometric_median.find_geometric_median(points, weights, 1e-10, 10_000).point
    np.testing.assert_allclose(numpy_peers.find_geometric_median(points, weights, 1e-12, 10_000), median, atol=1e-6)
    answers, choices = random.integers(-1, 3, (50, 4)), np.full(50, 4)
    fitted = dawid_skene.fit_accuracies(answers, choices, 2.0, 1.0, -1.0, 20)
    np.testing.assert_allclose(numpy_peers.fit_accuracies(answers, choices, 2.0, 1.0, -1.0, 20), fitted.accuracy)
    counts = [np.full(4, 2.0), np.full(4, 1.0), np.full(4, 2.0), np.full(4, 1.0)]
    own = dawid_skene.learn_item(answers[0], 4, counts[0], counts[1], 0.9)
    np.testing.assert_allclose(numpy_peers.learn_item(answers[0], 4, counts[2], counts[3], 0.9), own)
    np.testing.assert_allclose(counts[0], counts[2])
    directions = random.standard_normal((5, 16))
    share = pcs.measure_largest_share(points, directions, 20)
    assert numpy_peers.measure_largest_share(points, directions, 20) == pytest.approx(share)
    rows = points.astype(np.float32)
    np.testing.assert_allclose(
        numpy_peers.measure_distances(rows, rows[0]), kmeans.measure_distances(rows, rows[0]), rtol=1e-6
    )
    np.testing.assert_allclose(
        numpy_peers.move_centre(rows[0], rows[1], 0.2), kmeans.move_centre(rows[0], rows[1], 0.2), rtol=1e-5
    )


def test_admm_is_within_1e_6_of_the_optimum() -> None:
    found = coherence_bench.check_admm(150, seed=1)
    assert found["stopped_by_residuals"] == 1.0
    assert found["largest_excess"] <= 1e-6


def test_a_bad_solution_is_seen() -> None:
    points, weights = np.eye(3), np.ones(3)
    assert coherence_bench._bound_excess(points, weights, 0.5, np.array([5.0, 0.0, 0.0])) > 1.0


@pytest.mark.parametrize("share", [0.1, 0.3, 0.49])
def test_the_geometric_median_holds_below_half_the_weight(share: float) -> None:
    random = np.random.default_rng(2)
    good = random.standard_normal((20, 8))
    reach = np.linalg.norm(good, axis=1).max()
    weights = np.concatenate([np.full(20, (1 - share) / 20), np.full(10, share / 10)])
    # ‖w‖ ≤ 2·max‖x_i‖·W/(W - 2·bad) for the median w of points of which the good ones lie within a ball
    bound = 2 * reach / (1 - 2 * share)
    for distance in (1e2, 1e4, 1e8):
        points = np.vstack([good, np.full((10, 8), distance)])
        assert np.linalg.norm(geometric_median.find_geometric_median(points, weights, 1e-9, 10_000).point) <= bound


def test_beyond_half_the_weight_the_geometric_median_breaks() -> None:
    points = np.vstack([np.zeros((4, 3)), np.full((5, 3), 1e6)])
    assert np.linalg.norm(geometric_median.find_geometric_median(points, np.ones(9), 1e-9, 1_000).point) > 1e5


def test_indexes_are_measured_on_the_same_rows() -> None:
    random = np.random.default_rng(3)
    rows = random.standard_normal((600, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    extended = index_bench.extend_rows(rows[50:], 700)
    np.testing.assert_allclose(np.linalg.norm(extended, axis=1), 1, atol=1e-5)
    found = {row["index"]: row for row in index_bench.compare_indexes(extended, rows[:50], graphs_up_to=0)}
    assert found["LEO, as shipped"]["recall_at_1"] == found["numpy scan"]["recall_at_1"] == 1.0
    assert found["LEO, sketches only"]["recall_at_1"] >= 0.95


def test_coherence_of_answer_sets(tmp_path: Path) -> None:
    rows = []
    for number in range(30):
        same = number % 2 == 0
        texts = (
            ["the answer is twelve"] * 5
            if same
            else [f"{word} {number}" for word in ["red", "sea", "old", "tax", "map"]]
        )
        answers = {f"m{i}": {"text": text, "final": text, "correct": True} for i, text in enumerate(texts)}
        rows.append({"id": number, "question": "q", "gold": "", "answers": answers})
    found = coherence_bench.run_coherence(write(tmp_path / "a.jsonl", rows), embedder="hashed")
    assert found["agreeing"] == 0.5
    assert found["scores"][0]["score"] == "coherence"
    assert found["scores"][0]["auroc"] == 1.0
    with pytest.raises(ConfigError):
        coherence_bench.run_coherence(write(tmp_path / "b.jsonl", [{"answers": {}}]))


def test_components_keep_connected_questions_together(tmp_path: Path) -> None:
    names = embed_bench.name_components(["b", "c", "x"], ["a", "b", "y"])
    assert names == ["a", "a", "x"]
    with pytest.raises(ConfigError):
        embed_bench.run_embed(write(tmp_path / "p.jsonl", [{"a": "one"}]))
    with pytest.raises(ConfigError):
        embed_bench.run_embed(write(tmp_path / "q.jsonl", [{"a": "one", "b": "two", "same": True}]))


def test_pairs_are_scored_on_the_part_nobody_trained_on(tmp_path: Path) -> None:
    rows = [{"a": f"how to open box {i}", "b": f"how do I open box {i}", "same": True} for i in range(60)]
    rows += [{"a": f"price of item {i}", "b": f"weather in town {i + 7}", "same": False} for i in range(60)]
    found = embed_bench.run_embed(write(tmp_path / "p.jsonl", rows), embedders=("hashed",))
    assert 0 < found["validation"] < 60
    assert {row["score"] for row in found["scores"]} >= {"embedder hashed", "pair model", "token overlap"}
    assert found["scores"][0]["auc"] == 1.0


def test_novelty_needs_a_stream(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        novelty_bench.run_novelty(write(tmp_path / "s.jsonl", [{"text": "a", "intent": "b"}]), embedder="hashed")


def test_held_out_topics_are_found() -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 12, 700)
    rows = random.standard_normal((12, 48))[labels] + 0.4 * random.standard_normal((700, 48))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(novelty_bench, "LEARNED", 400)
        found = novelty_bench._find_held_out(vectors, labels, random)
    assert found["novelty"][0] > 0.9
    fired, asked = novelty_bench._count_fired(vectors, random)
    assert asked > 500
    assert fired / asked < 0.1
