from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import ConfigError
from leo_core.evaluation.fhe_bench import MODES, read_vectors, run_fhe
from leo_core.evaluation.fhe_peers import NaiveDots, SealedScan


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Thirty questions with a paraphrase each, and ten without."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    things = ("loan", "card", "order", "visa", "phone", "ticket")
    rows = [
        {"a": f"How do I {verb} my {thing}?", "b": f"What is the way to {verb} a {thing}?", "same": 1}
        for verb in ("cancel", "renew", "find", "pay", "lose")
        for thing in things
    ]
    rows += [{"a": f"Where is hotel {n}?", "b": f"Who runs bank {n}?", "same": 0} for n in range(10)]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def result(pairs):
    return run_fhe(pairs=pairs, sizes=[40, 90], dim=32, queries=6)


def test_queries_are_paraphrases_whose_partners_are_entries(pairs):
    entries, asked = read_vectors(pairs, queries=20, dim=256, seed=0)
    assert entries.shape == (30 + 10 + 20, 256)
    assert asked.shape == (20, 256)
    np.testing.assert_allclose(np.linalg.norm(np.concatenate((entries, asked)), axis=1), 1, atol=1e-6)
    assert ((asked @ entries[:20].T).argmax(axis=1) == np.arange(20)).mean() > 0.7


@pytest.mark.parametrize("dim", [300, 700])
def test_more_coordinates_keep_the_cosines(pairs, dim):
    small, large = (read_vectors(pairs, queries=5, dim=d, seed=0) for d in (256, dim))
    np.testing.assert_allclose(large[1] @ large[0].T, small[1] @ small[0].T, atol=1e-5)


def test_one_run_says_what_was_measured(result):
    assert result["queries"] == 6
    assert result["clock"] == "CPU time of the process, one thread"
    assert [size["entries"] for size in result["sizes"]] == [40, 90]
    for size in result["sizes"]:
        assert size["up_bytes"] == 40 + 64 + 28 * 4096 * 2 // 8 <= 40_000
        assert size["naive_dots"] >= 8
        assert size["naive_error"] < 1e-3
        assert [row["mode"] for row in size["modes"]] == list(MODES)
        for row in size["modes"]:
            assert row["max_error"] <= 1e-3
            assert row["top1"] == 6
            assert row["widest_miss"] <= 1e-6
            assert row["down_bytes"] == 40 + 28 * 4096 * 2 // 8
            assert row["naive_by_server"] == pytest.approx(size["naive_s"] * 1e3 / row["server_ms"])
            assert row["by_scan"] == pytest.approx(row["server_ms"] / size["scan_ms"])
            assert row["memory_bytes"] > 32 * 2 * 4096 * 4
        plain, encrypted = size["modes"]
        assert plain["block_upload_bytes"] == 0
        assert encrypted["block_upload_bytes"] == 40 + 32 * (64 + 28 * 4096 * 2 // 8)


def test_naive_products_are_right_and_counted():
    naive = NaiveDots(8)
    vector = np.full(8, 8**-0.5, dtype=np.float32)
    for _ in range(3):
        naive.multiply(vector, vector)
    assert naive.dots == 3
    assert naive.second_each > 0
    assert naive.max_error < 1e-5


def test_the_sealed_index_is_the_size_of_its_codes_and_finds_the_best():
    rows = np.eye(5, 32, dtype=np.float32)
    scan = SealedScan(rows)
    scan.search(rows[3], rows @ rows[3])
    facts = scan.to_json()
    assert facts["sync_bytes"] == 5 * 32 + 12 + 16
    assert facts["top1"] == 1
    assert facts["max_error"] < 1 / 127


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sizes": [0]}, "each must be at least 1"),
        ({"sizes": []}, "each must be at least 1"),
        ({"queries": 0}, "each must be at least 1"),
        ({"queries": 31}, "has 30 pairs with the same meaning, and 31 queries"),
        ({"modes": ("open",)}, "no mode open; modes are query_private, fully_encrypted and both"),
        ({"preset": "score64"}, "'score64'"),
    ],
)
def test_what_cannot_be_measured_is_refused(pairs, arguments, says):
    with pytest.raises(ConfigError, match=says):
        run_fhe(**{"pairs": pairs, "sizes": [10], "dim": 16, "queries": 2} | arguments)


def test_the_command_prints_tables_or_json(pairs):
    arguments = ["bench", "fhe", "--n", "20", "--dim", "16", "--queries", "2", "--data", str(pairs)]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0
    assert "query_pr" in printed.stdout
    assert "extrapolated from 16 products" in printed.stdout
    assert "primes of [28, 28, 29] bits, 128-bit security" in printed.stdout
    as_json = CliRunner().invoke(app, [*arguments, "--mode", "query_private", "--preset", "score192", "--json"])
    assert as_json.exit_code == 0, as_json.stdout
    result = json.loads(as_json.stdout)
    assert [row["mode"] for row in result["sizes"][0]["modes"]] == ["query_private"]
    assert result["classical_bits"] == 192


def test_the_command_finds_the_file_in_a_folder_and_says_when_it_is_not_there(tmp_path):
    failed = CliRunner().invoke(app, ["bench", "fhe", "--n", "20", "--data", str(tmp_path), "--json"])
    assert failed.exit_code == 2
    assert "qqp_pairs.jsonl.gz" in json.loads(failed.stdout)["message"]
