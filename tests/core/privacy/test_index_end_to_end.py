"""LEO's chat model with an encrypted index in another process: hits of a plain cache, a server that knows nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leo_core.errors import ConfigError
from leo_core.evaluation.cache_stream import read_stream
from leo_core.evaluation.process_scan import scan_files, scan_process
from leo_core.privacy.config import PrivacyConfig
from tests.soak.private_chat_model import STREAM, ask, compare

ROOT = Path(__file__).resolve().parents[3]
REQUESTS = 40


@pytest.fixture(scope="module")
def stream():
    if not STREAM.exists():
        pytest.skip("needs ../shared/data/streams/banking77.jsonl.gz")
    texts, intents = read_stream(STREAM)
    wanted = sorted(set(intents))[:6]  # few intents, so that a short stream has hits
    rows = [row for row, intent in enumerate(intents) if intent in wanted]
    order = np.random.default_rng(0).permutation(rows)[:REQUESTS].tolist()
    return [texts[row] for row in order], {
        text: f"All about {intent}." for text, intent in zip(texts, intents, strict=True)
    }


@pytest.mark.parametrize("mode", ["query_private", "fully_encrypted"])
def test_hits_and_misses_are_those_of_a_plain_cache_and_the_server_learns_nothing(stream, mode, tmp_path):
    texts, answers = stream
    found = compare(texts, answers, mode, tmp_path, max_wrong_hits=0.4, tail_rows=16, scanned=texts, looks=2)
    assert found["hits"] >= 3
    assert found["different"] == 0
    assert found["control"] > 0
    assert found["found"] == 0
    assert found["looked_for"] == REQUESTS * (3 if mode == "fully_encrypted" else 2) + 2, "the token, and the KEK"
    assert found["private"]["kb_sent_p50"] > 1
    assert found["private"]["kb_received_mean"] > 1
    assert "kb_sent_mean" not in found["plain"]
    assert found["private"]["ms_p95"] >= found["private"]["ms_p50"] > 0


def test_a_server_process_loads_nothing_of_the_secret_side(tmp_path):
    """What is loaded after a server has registered keys, loaded blocks and scored; nothing that it holds decrypts."""
    program = """
import pickle, sys
from tests.core.privacy.fhe import keys_of, secret_of, unit_rows
keys, query = keys_of(32).to_bytes(), secret_of().encrypt_query(unit_rows(1)[0])
block = secret_of().encrypt_block(unit_rows(3))
pickle.dump((keys, query, block), open(sys.argv[1], "wb"))
"""
    file = tmp_path / "made"
    subprocess.run([sys.executable, "-c", program, str(file)], check=True, cwd=ROOT, timeout=280)
    program = """
import gc, pickle, sys
keys, query, block = pickle.load(open(sys.argv[1], "rb"))
from leo_core.privacy.index.server import EncryptedIndexServer, open_block_scorer
from leo_core.privacy.index import service
server = EncryptedIndexServer(":memory:")
opened = open_block_scorer(keys)
opened.scorer.score(query, [opened.scorer.load_encrypted(block)])
loaded = [name for name in sys.modules if name.startswith("leo_core.privacy")]
assert not {"fhe_secret", "keyring", "client_secrets", "client", "kek", "keys_in_use"} & {
    name.rpartition(".")[2] for name in loaded
}, loaded
kinds = {type(each) for each in gc.get_objects()}
ours = {kind for kind in kinds if str(kind.__module__).startswith("leo_core")}
names = {name for kind in ours for name in dir(kind)}
assert not [name for name in names if "decrypt" in name.lower()]
assert not [name for name in sys.modules if name.partition(".")[0] == "tenseal"], "SEAL is not even loaded"
print("nothing that decrypts")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, cwd=ROOT, timeout=280, check=False
    )
    assert done.stdout == "nothing that decrypts\n", done.stderr


def test_a_scan_finds_what_is_there(tmp_path):
    program = "import sys; kept = bytes.fromhex(sys.stdin.readline()); print(flush=True); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        needle = os.urandom(64)
        process.stdin.write(needle.hex().encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        found = scan_process(process.pid, {"there": needle, "not there": os.urandom(64)})
        process.stdin.close()
    assert found["there"] >= 1
    assert found["not there"] == 0
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"xx" + needle + needle)
    assert scan_files(tmp_path, {"there": needle, "not": b"yy"}) == {"there": 2, "not": 0}
    with pytest.raises(ConfigError, match="cannot be read"):
        scan_process(process.pid, {"there": needle})


def test_a_mode_and_an_index_of_another_mode_are_refused(stream):
    texts, answers = stream

    class Index:
        mode = "query_private"

    with pytest.raises(ConfigError, match="give both the same"):
        ask(texts, answers, 0.4, privacy=PrivacyConfig(mode="fully_encrypted", index=lambda rings: Index()))
