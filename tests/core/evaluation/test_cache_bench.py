"""``leo bench cache`` on small streams: the shipped decision, the other policies, and what is printed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation.cache_baselines import VCachePolicy, play_static, play_vcache
from leo_core.evaluation.cache_bench import CacheSettings, RememberedPairs, play_leo, run_cache
from leo_core.evaluation.cache_stream import Stream, read_pair_stream, resample_pairs
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.cache.guards import find_conflict, find_doubt

BANKING = Path(__file__).parents[4] / "shared" / "data" / "streams" / "banking77.jsonl.gz"


class CosinePairs:
    def probability_at(self, cosines: Any, _a: Any, _b: Any) -> Any:
        return np.clip(np.asarray(cosines, dtype=np.float64), 0.0, 1.0)

    def find_objection(self, cosine: float, a: str, b: str) -> str | None:
        doubt = find_doubt(a, b) if cosine < 0.5 else None
        return find_conflict(a, b) or doubt


def pairs() -> RememberedPairs:
    return RememberedPairs(CosinePairs())


def clustered(noise: float, count: int = 900, intents: int = 12, seed: int = 0) -> Stream:
    """Requests around the centre of their intent; the words are the same."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(intents, size=count)
    vectors = rng.normal(size=(intents, 32))[labels] + noise * rng.normal(size=(count, 32))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Stream.of(["how does it work?"] * count, [str(label) for label in labels], lambda _: unit)


def test_neighbours_are_the_exact_ones_of_what_is_kept() -> None:
    stream, rng = clustered(1.0), np.random.default_rng(1)
    kept, inside = stream.open(), []
    for row in rng.permutation(900)[:700].tolist():
        if inside:
            cosines = stream.vectors[inside] @ stream.vectors[row]
            rows, found = kept.near(row, 5)
            np.testing.assert_allclose(found, np.sort(cosines)[::-1][:5], rtol=1e-5)
            near = kept.nearest(row)
            assert near is not None
            assert near[1] == pytest.approx(float(cosines.max()), rel=1e-5)
            assert set(rows) <= set(inside)
        kept.add(row)
        inside.append(row)


def test_clean_clusters_are_served_and_the_promise_is_kept() -> None:
    stream = clustered(0.5)
    played = play_leo(stream, range(900), CacheConfig(max_wrong_hits=0.05), pairs(), 1, timed=True)
    assert played.hit_rate > 0.3
    assert played.broken == 0
    assert played.hits + played.explored <= played.requests == 900
    assert played.wrong <= played.bound <= 0.05 * 900
    assert played.curve[-1] == (played.requests, played.hits, played.wrong) or played.curve[-1][0] <= 900
    assert len(played.decision_ms) > 20


def test_clusters_that_cannot_be_told_apart_do_not_break_it() -> None:
    stream = clustered(6.0)
    for seed in range(3):
        played = play_leo(stream, range(900), CacheConfig(max_wrong_hits=0.02), pairs(), seed)
        assert played.broken == 0
        assert played.hit_rate < 0.2


def test_a_threshold_serves_and_errs_by_hand() -> None:
    vectors = np.array([[1.0, 0.0], [0.96, 0.28], [0.0, 1.0], [0.28, 0.96]], dtype=np.float32)
    stream = Stream.of(["a", "b", "c", "d"], ["x", "x", "y", "x"], lambda _: vectors)
    outcome = play_static(stream, [0, 1, 2, 3], 0.9)
    assert (outcome.requests, outcome.hits, outcome.wrong) == (4, 2, 1)
    assert play_static(stream, [0, 1, 2, 3], 0.99).hits == 0


def test_vcache_explores_six_outcomes_and_then_trusts_its_curve() -> None:
    policy = VCachePolicy(0.05, 0)
    for _ in range(4):
        assert not policy.exploits(7, 0.95)
        policy.learn(7, 0.95, right=True)
    assert not policy.exploits(7, 0.1)
    for cosine in (0.3, 0.35, 0.4, 0.5, 0.55) * 4:
        policy.learn(7, cosine, right=False)
    for cosine in (0.8, 0.85, 0.9) * 8:
        policy.learn(7, cosine, right=True)
    assert sum(policy.exploits(7, 0.97) for _ in range(200)) > 100
    assert sum(policy.exploits(7, 0.3) for _ in range(200)) < 40
    stream = clustered(0.5)
    outcome = play_vcache(stream, range(900), 0.05, 0)
    assert outcome.hits > 0
    assert outcome.wrong_rate <= 0.05


def test_pairs_make_a_stream_with_some_repeats(tmp_path: Path) -> None:
    rows = [{"a": f"a{n}", "b": f"b{n}", "same": n % 3 == 0} for n in range(300)]
    rows.append({"a": "b0", "b": "c0", "same": True})
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    texts, intents = read_pair_stream(path)
    assert len(texts) == 601
    label = dict(zip(texts, intents, strict=True))
    assert label["a0"] == label["b0"] == label["c0"]
    assert label["a1"] != label["b1"]
    chosen = resample_pairs(intents, 200, 0.1, np.random.default_rng(0))
    assert len(chosen) == len(set(chosen.tolist())) == 200
    assert 1.0 - len({intents[row] for row in chosen}) / 200 == pytest.approx(0.1, abs=0.01)


def write_stream(path: Path) -> Path:
    verbs = ["reset", "change", "open", "close", "order", "cancel"]
    things = ["password", "card", "account", "loan", "parcel", "insurance"]
    frames = ["how do I {} my {}", "how can I {} my {}", "please help me to {} the {}", "I want to {} my {} now"]
    lines = [
        {"text": frame.format(verb, thing), "intent": f"{verb} {thing}"}
        for verb in verbs
        for thing in things
        for frame in frames
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    stream, plot = write_stream(tmp_path / "stream.jsonl.gz"), tmp_path / "curve.svg"
    arguments = ["bench", "cache", "--stream", str(stream), "--seeds", "2", "--max-wrong-hits", "0.1,0.2"]
    said = CliRunner().invoke(app, [*arguments, "--plot", str(plot), "--json"])
    assert said.exit_code == 0, said.output
    result = json.loads(said.stdout)
    assert [promise["max_wrong_hits"] for promise in result["promises"]] == [0.1, 0.2]
    names = [row["policy"] for row in result["promises"][0]["policies"]]
    assert names[0] == "LEO"
    assert any("hindsight" in name for name in names)
    assert any("vCache" in name for name in names)
    assert result["promises"][0]["policies"][0]["kept"] == 1.0
    assert plot.read_text().startswith("<?xml")
    table = CliRunner().invoke(app, [*arguments, "--no-baselines"])
    assert table.exit_code == 0, table.output
    assert "seeds kept" in table.stdout


def test_when_all_answers_change_hits_stop_and_the_promise_holds(tmp_path: Path) -> None:
    settings = CacheSettings(data=write_stream(tmp_path / "stream.jsonl.gz"), deltas=(0.1,), seeds=2, drift=True)
    result = run_cache(settings)
    (promise,) = result["promises"]
    assert [row["policy"] for row in promise["policies"]] == ["LEO"]
    assert promise["broken_at_any_time"] == 0.0
    for curve in promise["curves"]:
        at = [requests for requests, _, _ in curve]
        before = max(number for number, requests in enumerate(at) if requests <= result["drifts_at"])
        assert curve[before][2] == 0
        assert curve[-1][2] > 0


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["bench", "cache"]).exit_code != 0
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "no intent"}')
    with pytest.raises(ConfigError, match="line 1"):
        run_cache(CacheSettings(data=bad))
    with pytest.raises(ConfigError, match="at least one seed"):
        run_cache(CacheSettings(data=bad, seeds=0))
    with pytest.raises(ConfigError, match="make no stream"):
        Stream.of(["one"], ["x"], lambda _: np.ones((1, 2), dtype=np.float32))


@pytest.mark.skipif(not BANKING.is_file(), reason="needs ../shared/data/streams/banking77.jsonl.gz")
def test_banking_requests_are_served_within_the_promise() -> None:
    result = run_cache(CacheSettings(data=BANKING, deltas=(0.05,), seeds=1, requests=1500, baselines=False))
    (promise,) = result["promises"]
    assert promise["broken_at_any_time"] == 0.0
    assert promise["policies"][0]["hit_rate"] > 0.1
