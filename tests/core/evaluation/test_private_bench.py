"""``leo bench private`` on a stream of a dozen requests, with a real server in another process."""

from __future__ import annotations

import json

import pytest

from leo_core.errors import ConfigError
from leo_core.evaluation.private_bench import run_private
from tests.core.cli.test_cli import as_json, leo

WORDS = ["card", "loan", "transfer", "rate", "limit", "account"]


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    file = tmp_path_factory.mktemp("stream") / "tiny.jsonl"
    rows = [{"text": f"{how} my {word}?", "intent": word} for word in WORDS for how in ("Where is", "How do I find")]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_both_caches_decide_alike_and_the_server_knows_nothing(stream):
    options = ["--requests", 12, "--mode", "query_private", "--tail-rows", 5]
    facts, code = as_json("bench", "private", "--data", stream, *options)
    assert code == 0
    assert (facts["requests"], facts["different"]) == (12, 0)
    assert facts["kb_sent_mean"] > 1
    assert facts["cpu_ms_mean"]["server"] > 0
    for found in facts["found"].values():
        assert found.pop("control: name of the account") > 0
        assert len(found) == 24
        assert not any(found.values())


def test_a_stream_that_is_not_there_is_said_so(stream):
    with pytest.raises(ConfigError):
        run_private(stream.parent / "nothing.jsonl")
    assert leo("bench", "private", "--data", stream.parent / "nothing.jsonl").exit_code == 2
