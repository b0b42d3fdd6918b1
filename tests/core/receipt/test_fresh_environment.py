"""``leo verify`` where nothing is installed but what it needs, and against a receipt with any field changed."""

from __future__ import annotations

import base64
import copy
import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

import leo_core
from leo_core.cli.app import app
from tests.core.receipt.examples import VECTORS
from tests.core.receipt.make_vectors import with_payload

NEEDED = ("typer", "rich", "cryptography", "rfc8785")
"""What ``leo verify`` stands on; their own requirements are followed."""
UNNEEDED_ROOMS = ("storage", "kernels", "engine", "providers", "evaluation", "telemetry")
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sqlite3", "_sqlite3", "numba", "numpy", "openai", "anthropic"}:
            raise ImportError(f"{name} is not part of a fresh environment")
sys.meta_path.insert(0, Refuse())
from leo_core.cli.app import app
app()
"""


def requirements(names):
    """These distributions and all that they require, extras left out."""
    found, waiting = set(), list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in found:
            found.add(name)
            required = (Requirement(line) for line in metadata.requires(name) or ())
            waiting += [item.name for item in required if not item.marker or item.marker.evaluate({"extra": ""})]
    return sorted(found)


def top_level(name):
    """The folders and files that a distribution puts into ``site-packages``."""
    distribution = metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    return [Path(distribution.locate_file(top)) for top in tops if not top.endswith(".pth")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A folder with the core, without its store, kernels and engine, and with the few packages that are needed."""
    folder = tmp_path_factory.mktemp("fresh")
    source = Path(leo_core.__file__).parent
    shutil.copytree(source, folder / "leo_core", ignore=shutil.ignore_patterns("__pycache__", *UNNEEDED_ROOMS))
    for place in {place for name in requirements(NEEDED) for place in top_level(name)}:
        (folder / place.name).symlink_to(place)
    return folder


def verify(environment, receipt, key):
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, environment, "verify", receipt, "--key", key, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_a_receipt_verifies_with_neither_numba_nor_the_store(environment, tmp_path):
    assert not (environment / "leo_core" / "storage").exists()
    assert not (environment / "numpy").exists()
    key = VECTORS / "key.pem"
    assert verify(environment, VECTORS / "valid.json", key) == (
        0,
        {"valid": True, "receipt": str(VECTORS / "valid.json")},
    )
    code, said = verify(environment, VECTORS / "answer-swapped.json", key)
    assert (code, said["error"]) == (1, "ReceiptError")
    assert said["check"] == json.loads((VECTORS / "expected-checks.json").read_text())["answer-swapped"]
    nothing = tmp_path / "nothing.json"
    nothing.write_text("{}")
    assert verify(environment, nothing, key)[0] == 2


# ---------------------------------------------------------------------------------- every field, through the command


def leaves(value, path=()):
    """Paths of all values that are no containers, and of empty containers."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [leaf for key, item in items for leaf in leaves(item, (*path, key))]
    return found or [path]


def changed(value):
    if isinstance(value, bool):
        return not value
    if value is None:
        return "x"
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str) and value:
        middle = len(value) // 2
        return value[:middle] + ("1" if value[middle] != "1" else "2") + value[middle + 1 :]
    return "x" if isinstance(value, str) else [*value, "x"] if isinstance(value, list) else {"x": "y"}


def with_change(document, path):
    tampered = copy.deepcopy(document)
    place = tampered
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = changed(place[path[-1]])
    return tampered


def without(document, path):
    tampered = copy.deepcopy(document)
    place = tampered
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return tampered


def encode(statement):
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


COMMAND = get_command(app)
GOLDEN = json.loads((VECTORS / "valid.json").read_text())
STATEMENT = json.loads(base64.b64decode(GOLDEN["envelope"]["payload"]))


def refuse(document, tmp_path):
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(document))
    result = CliRunner().invoke(COMMAND, ["verify", str(path), "--key", str(VECTORS / "key.pem"), "--json"])
    facts = json.loads(result.stdout)
    return result.exit_code, facts.get("error"), facts.get("check")


def test_the_untouched_receipt_is_accepted(tmp_path):
    assert refuse(GOLDEN, tmp_path) == (0, None, None)


def test_every_field_of_the_document_is_guarded(tmp_path):
    paths = leaves(GOLDEN)
    assert len(paths) > 8
    for path in paths:
        for tampered in (with_change(GOLDEN, path), without(GOLDEN, path)):
            code, error, check = refuse(tampered, tmp_path)
            assert code in (1, 2), (path, code)
            assert error in ("ReceiptError", "NotAReceiptError", "SigningKeyError"), (path, error)
            assert check, path


def test_every_field_of_the_statement_is_guarded_by_the_signature(tmp_path):
    paths = leaves(STATEMENT)
    assert len(paths) > 60
    for path in paths:
        for tampered in (with_change(STATEMENT, path), without(STATEMENT, path)):
            document = copy.deepcopy(GOLDEN)
            document["envelope"]["payload"] = base64.b64encode(encode(tampered)).decode()
            assert refuse(document, tmp_path) == (1, "ReceiptError", "signature"), path


def test_every_field_of_the_statement_is_guarded_by_the_log_even_against_the_signer(tmp_path):
    """Whoever holds the key can sign another statement; it then fails its own figures, or is not what was logged."""
    for path in leaves(STATEMENT):
        raw = encode(with_change(STATEMENT, path))
        document = with_payload(GOLDEN, lambda _, raw=raw: raw, resign=True)
        code, _, check = refuse(document, tmp_path)
        assert code in (1, 2), path
        assert check, path
        assert check != "signature", path
