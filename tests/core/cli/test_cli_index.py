"""``leo index``: accounts of an index server, and what it refuses to serve."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from leo_core.cli.app import app
from leo_core.errors import IndexAccessError
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.index.server import EncryptedIndexServer


def run(*args):
    return CliRunner().invoke(app, ["index", *map(str, args)])


def test_an_account_gets_a_token_once_and_another_one_in_its_place(tmp_path):
    file = tmp_path / "index.db"
    first = IndexToken.from_text(run("account", "add", file, "acme").stdout)
    done = run("account", "add", file, "acme", "--json")
    assert json.loads(done.stdout)["account"] == "acme"
    second = IndexToken.from_text(json.loads(done.stdout)["token"])
    with EncryptedIndexServer(file) as server:
        assert server.admit(second.bearer()) == second.mac_key()
        with pytest.raises(IndexAccessError):
            server.admit(first.bearer())
    assert file.stat().st_mode & 0o777 == 0o600
    for secret in (first.secret, second.secret, second.mac_key()):
        assert secret not in file.read_bytes()


def test_an_account_is_removed_once(tmp_path):
    file = tmp_path / "index.db"
    run("account", "add", file, "acme")
    assert run("account", "remove", file, "acme").stdout == "removed acme\n"
    done = run("account", "remove", file, "acme", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"] == "ConfigError"
    run("account", "add", file, "acme")
    assert json.loads(run("account", "remove", file, "acme", "--json").stdout) == {"account": "acme", "removed": True}


@pytest.mark.parametrize("name", ["a/b", "", "a b"])
def test_a_name_that_is_none_is_wrong_use(tmp_path, name):
    done = run("account", "add", tmp_path / "index.db", name)
    assert done.exit_code == 2
    assert "no name of an account" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "reached from other machines"),
        (["--tls-cert", "cert.pem"], "TLS needs both"),
        (["--tls-key", "key.pem"], "TLS needs both"),
    ],
)
def test_tokens_do_not_go_in_the_clear_to_other_machines(tmp_path, options, told):
    done = run("serve", tmp_path / "index.db", *options)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
