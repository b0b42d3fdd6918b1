"""The benchmark of a full store: its figures on a small one."""

from __future__ import annotations

import json

import numpy as np

from leo_core.evaluation import store_bench
from leo_core.records import CacheDecision


def test_a_small_store_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(store_bench, "find_module", lambda name: None)  # peers take a while to load
    monkeypatch.setattr(store_bench, "ADDED", 300)
    monkeypatch.setattr(store_bench, "SINGLE", 20)
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        "".join(json.dumps({"a": f"how far is town {n}", "b": f"price of item {n}"}) + "\n" for n in range(60))
    )
    found = store_bench.run_store(pairs=pairs, entries=200, embedder="hashed")
    assert found["entries"] == 200
    assert [row["cache"] for row in found["lookups"]] == [
        "LEO decision, unseen question, near ones in memory",
        "LEO decision, unseen question, first time",
        "LEO look-up, kept question",
    ]
    assert found["lookups"][0]["ratio"] == 1.0
    assert found["index_bytes_per_entry"] >= 4 * 256
    assert found["file_bytes_per_entry"] > 4 * 256
    assert [row["adds"] for row in found["adds"]] == [300, 20, 180]
    assert all(row["adds_per_s"] > 0 for row in found["adds"])


def test_kept_questions_are_hits_and_asked_ones_are_not_inside(tmp_path):
    texts = [f"question about topic {n}" for n in range(40)]
    asked, kept = store_bench.split_texts(texts, 70, seed=1)
    assert len(asked) == 10
    assert len(kept) == len(set(kept)) == 70
    assert not set(asked) & set(kept)
    from leo_core.engine.leo import LEO
    from leo_core.stages.embed.load import load_embedder

    made = load_embedder("hashed")
    rows, per_s = store_bench._fill(tmp_path / "s.db", kept, made)
    assert rows.shape == (70, 256)
    assert per_s > 0
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    with LEO(store=tmp_path / "s.db", embedder=made) as leo:
        decision, entry = leo.cache.lookup(store_bench.make_question(kept[3]))
        assert isinstance(decision, CacheDecision)
        assert decision.hit
        assert entry is not None
        assert entry.text == kept[3]
        assert not leo.cache.lookup(store_bench.make_question(asked[0]))[0].hit


def test_peers_are_timed_in_turns_with_ratios():
    order = []
    looks = {"own": lambda number: order.append("own"), "peer": lambda number: [order.append("peer"), sum(range(3000))]}
    rows = store_bench._time_in_turns(looks, 45)
    assert [row["cache"] for row in rows] == ["own", "peer"]
    assert rows[0]["ratio"] == 1.0
    assert rows[1]["ratio"] > 1
    turns = order[40:]  # after 20 of each to warm up
    assert turns == ["own"] * 20 + ["peer"] * 20 + ["own"] * 20 + ["peer"] * 20 + ["own"] * 5 + ["peer"] * 5
