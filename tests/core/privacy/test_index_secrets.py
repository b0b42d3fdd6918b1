"""What the memory and the files of a real index server hold while clients use it: no secret, and no query.

The server is ``leo index serve`` in a process of its own. That the search would find what is looked for is shown on a
process that does hold a secret, and by a control that the server is bound to hold.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from leo_core.evaluation.private_bench import serve_index
from leo_core.evaluation.process_scan import scan_files, scan_process
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.index.client import EncryptedIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.sealed_text import derive_key
from leo_core.storage.index_http import HttpTransport
from leo_core.storage.keyrings import Keyrings
from tests.core.privacy.fhe import PARAMS, secret_of
from tests.core.privacy.index_parts import unit_rows

ROOT = Path(__file__).resolve().parents[3]
DIM = 32
ROWS, QUERIES = unit_rows(40, DIM), unit_rows(6, DIM, seed=9)
PIECE = 64
"""Bytes of each secret and vector that are looked for, where it has more."""


def list_forms(secret):
    """A homomorphic secret as LEO packs it, and as SEAL keeps it: residues of 64 bits."""
    words = secret._seal.read_secret(secret._key)
    forms = {"packed": secret.to_bytes()[40:]}
    for number, row in enumerate(words):
        forms[f"residues {number}"] = row.astype("<u8").tobytes()
    return {name: form[1024 : 1024 + PIECE] for name, form in forms.items()}


def list_secrets(rings, kek, token, version):
    """Everything that a client keeps from the server, by name; of key versions up to this one."""
    found = {"KEK": kek.to_bytes(), "token": token.secret}
    for name, ring in {"store": rings.root, "tenant": rings.of("t")}.items():
        keys = ring._keys
        found[f"lasting secret of the {name}"] = keys._lasting
        found |= {f"{name}, derived for {use}": key for use, key in keys._derived.items()}
        for each in keys.keyset.versions:
            master = keys._master(each)
            found[f"{name}, master key {each.number}"] = master
            found[f"{name}, key of rows {each.number}"] = derive_key(master, "seal/index row", salt=keys.ring)
    for number in range(1, version + 1):
        forms = list_forms(rings.of("t").fhe_secret(PARAMS, version=number))
        found |= {f"homomorphic secret {number}, {form}": piece for form, piece in forms.items()}
    return found


def list_vectors(name, rows):
    """Vectors as they are, and as they are computed with."""
    found = {f"{name} {number}": row.astype("<f4").tobytes()[:PIECE] for number, row in enumerate(rows)}
    return found | {f"{name}, wide": rows[0].astype("<f8").tobytes()[:PIECE]}


@pytest.mark.parametrize("mode", ["query_private", "fully_encrypted"])
def test_the_server_holds_no_secret_and_no_query(mode, tmp_path):
    """Looked at twice: after searches under the first keys, and after others during a rotation."""
    served = tmp_path / "server"
    served.mkdir()
    kek = LocalKek.generate()
    rings = Keyrings.in_folder(tmp_path / "keys", kek=kek)
    config = PrivateIndexConfig(mode=mode, tail_rows=8, grace_s=0.0)
    seen = Counter()
    with serve_index(served / "index.db", "acme") as (process, url, token):
        client = EncryptedIndex(HttpTransport(url, token), token, rings, config=config)
        for number, row in enumerate(ROWS):
            client.add("t", "s", f"e{number}:k", row, expires_at=None)
        rows = list_vectors("row", ROWS[:6])
        for version in (1, 2):
            for query in QUERIES:
                best = client.search("t", "s", query, k=1, now=0.0)[0]
                assert best.question == f"e{int((ROWS @ query).argmax())}:k"
            secrets = list_secrets(rings, kek, token, version)
            needles = secrets | list_vectors("query", QUERIES) | rows | {"control": b"acme/"}
            seen.update(scan_process(process.pid, needles))
            seen.update(scan_files(served, needles))
            if version == 1:
                client.rotate("t", wait=True)
        client.close()
    assert seen.pop("control") > 0
    looked_for = {"KEK", "tenant, derived for pseudonym/index", "tenant, master key 2", "homomorphic secret 2, packed"}
    assert looked_for <= set(seen)
    told = {name for name, times in seen.items() if times}
    assert told - {"row, wide"} == ({f"row {number}" for number in range(6)} if mode == "query_private" else set())


def test_a_process_that_holds_a_secret_would_be_found():
    program = """
import gc, sys
from leo_core.privacy.ckks.fhe_secret import FheSecret
from leo_core.privacy.ckks.params import FheParams
held = FheSecret.from_bytes(FheParams.preset("score128"), bytes.fromhex(sys.stdin.readline()))
gc.collect()
print(flush=True)
sys.stdin.readline()
"""
    secret = secret_of()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        process.stdin.write(secret.to_bytes().hex().encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        found = scan_process(process.pid, list_forms(secret))
        other = scan_process(process.pid, list_forms(FheSecret.generate(PARAMS)))
        process.stdin.close()
    assert all(found[f"residues {number}"] for number in range(3)), "as SEAL keeps it"
    assert not any(other.values())
    assert len(set(list_forms(secret).values())) == 4
