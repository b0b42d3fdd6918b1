"""``leo keys tenant`` and ``leo keys kek``."""

from __future__ import annotations

import json
import stat

import pytest
from typer.testing import CliRunner

from leo_core.cli.keys import app
from leo_core.errors import KeyDestroyedError, KeyDisabledError, TenantDestroyedError
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.records import Observation
from leo_core.storage.kek_names import open_kek
from leo_core.storage.keyfile import load_or_create_kek
from leo_core.storage.keyring_folder import KeyringFolder
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sqlite import SqliteStore
from tests.contracts.store_samples import FINGERPRINT, NOW, axis, make_entry
from tests.core.privacy.index_parts import make_client, make_server


def leo(*arguments):
    """``leo keys …``; of the whole command line only this part is built, which takes a tenth of the time."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments):
    result = leo(*arguments, "--json")
    lines = result.stdout.splitlines()
    assert len(lines) == 1, result.output
    return json.loads(lines[0]), result.exit_code


@pytest.fixture
def kek(tmp_path):
    load_or_create_kek(tmp_path / "kek.key")
    return f"file:{tmp_path / 'kek.key'}"


@pytest.fixture
def keys(tmp_path, kek):
    make(tmp_path / "keys", kek, "acme")
    return tmp_path / "keys"


def make(keys, kek, tenant):
    ClientKeyring.create(KeyringFolder(keys).file(tenant), tenant=tenant, kek=open_kek(kek))


def load(keys, kek, tenant="acme"):
    return ClientKeyring.load(KeyringFolder(keys).file(tenant), tenant=tenant, kek=open_kek(kek))


def states(facts):
    return {each["number"]: each["state"] for each in facts["versions"]}


# ------------------------------------------------------------------------------------------- keyrings


def test_a_keyring_is_made_once(tmp_path, kek):
    facts, code = as_json("tenant", "new", tmp_path / "keys", "acme", "--kek", kek)
    assert code == 0
    assert (facts["tenant"], facts["state"], facts["primary"], facts["file"]) == ("acme", "enabled", 1, "acme.ring")
    assert facts["kek"] == open_kek(kek).kid
    assert stat.S_IMODE((tmp_path / "keys" / "acme.ring").stat().st_mode) == 0o600
    facts, code = as_json("tenant", "new", tmp_path / "keys", "acme", "--kek", kek)
    assert (facts["error"], code) == ("ConfigError", 2)
    assert load(tmp_path / "keys", kek).version == 1


@pytest.mark.parametrize("tenant", ["../../etc/passwd", "ACME", "Zürich AG", "a" * 200, ".hidden", "a/b"])
def test_no_tenants_name_leads_out_of_the_folder(tmp_path, kek, tenant):
    facts, code = as_json("tenant", "new", tmp_path / "keys", tenant, "--kek", kek)
    assert code == 0
    assert facts["tenant"] == tenant
    assert (tmp_path / "keys" / facts["file"]).is_file()
    assert facts["file"].startswith("=")
    assert load(tmp_path / "keys", kek, tenant).tenant == tenant


def test_list_shows_versions_and_no_secret(keys, kek, tmp_path):
    leo("tenant", "rotate", keys, "acme", "--kek", kek, "--reason", "person left")
    make(keys, kek, "globex")
    facts, code = as_json("tenant", "list", keys)
    assert code == 0
    assert [each["tenant"] for each in facts["keyrings"]] == ["acme", "globex"]
    assert states(facts["keyrings"][0]) == {1: "decrypt_only", 2: "enabled"}
    assert facts["keyrings"][0]["versions"][1]["reason"] == "person left"
    assert (facts["faults"], facts["checked"]) == ([], False)
    table = leo("tenant", "list", keys)
    assert table.exit_code == 0
    assert "2 *" in table.stdout
    assert "globex" in table.stdout
    for secret in ("wrapped", "lasting", (tmp_path / "kek.key").read_text().strip()[-64:]):
        assert secret not in json.dumps(facts) + table.stdout


def test_list_says_what_cannot_be_read_or_was_altered(keys, kek):
    make(keys, kek, "globex")
    assert as_json("tenant", "list", keys, "--kek", kek) == (as_json("tenant", "list", keys)[0] | {"checked": True}, 0)
    file = keys / "acme.ring"
    file.write_bytes(file.read_bytes().replace(b'"seals":0', b'"seals":9'))
    (keys / "junk.ring").write_bytes(b"junk")
    (keys / "junk.ring").chmod(0o600)
    facts, code = as_json("tenant", "list", keys)
    assert ([each["file"] for each in facts["faults"]], code) == (["junk.ring"], 1)
    facts, code = as_json("tenant", "list", keys, "--kek", kek)
    assert ([each["file"] for each in facts["faults"]], code) == (["acme.ring", "junk.ring"], 1)
    assert "altered" in facts["faults"][0]["why"]
    result = leo("tenant", "list", keys, "--kek", kek)
    assert result.exit_code == 1
    assert "junk.ring: this is no keyring" in result.stderr


def test_rotate_keeps_what_was_sealed_and_takes_a_grace(keys, kek):
    sealed = load(keys, kek).seal("answer", b"forty-two", aad=b"")
    facts, code = as_json("tenant", "rotate", keys, "acme", "--kek", kek, "--grace-days", 2)
    assert (facts["primary"], code) == (2, 0)
    first, second = facts["versions"]
    assert first["grace_ends_at"] == pytest.approx(second["created_at"] + 2 * 86_400, abs=1)
    assert load(keys, kek).open("answer", sealed, aad=b"") == b"forty-two"


def test_one_version_or_all_are_disabled_and_enabled(keys, kek):
    sealed = load(keys, kek).seal("answer", b"forty-two", aad=b"")
    leo("tenant", "rotate", keys, "acme", "--kek", kek)
    facts, code = as_json("tenant", "disable", keys, "acme", "--kek", kek, "--version", 1)
    assert (states(facts), code) == ({1: "disabled", 2: "enabled"}, 0)
    with pytest.raises(KeyDisabledError):
        load(keys, kek).open("answer", sealed, aad=b"")
    facts, _ = as_json("tenant", "enable", keys, "acme", "--kek", kek, "--version", 1)
    assert states(facts) == {1: "decrypt_only", 2: "enabled"}
    facts, code = as_json("tenant", "disable", keys, "acme", "--kek", kek)
    assert (facts["state"], code) == ("disabled", 0)
    with pytest.raises(KeyDisabledError):
        load(keys, kek).seal("answer", b"", aad=b"")
    facts, code = as_json("tenant", "rotate", keys, "acme", "--kek", kek)
    assert (facts["error"], code) == ("KeyDisabledError", 1)
    assert as_json("tenant", "enable", keys, "acme", "--kek", kek)[0]["state"] == "enabled"
    assert load(keys, kek).open("answer", sealed, aad=b"") == b"forty-two"


def test_destroy_asks_for_yes_and_needs_no_kek(keys, kek, tmp_path):
    ring = load(keys, kek)
    sealed = ring.seal("answer", b"forty-two", aad=b"")
    facts, code = as_json("tenant", "destroy", keys, "acme")
    assert (facts["error"], code) == ("ConfigError", 2)
    assert ring.open("answer", sealed, aad=b"") == b"forty-two"
    (tmp_path / "kek.key").unlink()
    facts, code = as_json("tenant", "destroy", keys, "acme", "--yes")
    assert (facts["state"], facts["primary"], code) == ("destroyed", None, 0)
    assert facts["destroyed_at"] is not None
    with pytest.raises(TenantDestroyedError):
        ring.open("answer", sealed, aad=b"")
    facts, code = as_json("tenant", "destroy", keys, "acme", "--yes")
    assert (facts["error"], code) == ("TenantDestroyedError", 1)
    assert as_json("tenant", "list", keys)[0]["keyrings"][0]["state"] == "destroyed"
    assert "destroyed" in leo("tenant", "list", keys).stdout


def test_one_version_is_destroyed_with_the_kek(keys, kek):
    ring = load(keys, kek)
    sealed = ring.seal("answer", b"forty-two", aad=b"")
    leo("tenant", "rotate", keys, "acme", "--kek", kek)
    assert as_json("tenant", "destroy", keys, "acme", "--version", 1, "--yes")[1] == 2
    assert as_json("tenant", "destroy", keys, "acme", "--version", 2, "--kek", kek, "--yes")[1] == 2
    facts, code = as_json("tenant", "destroy", keys, "acme", "--version", 1, "--kek", kek, "--yes")
    assert (states(facts), code) == ({1: "destroyed", 2: "enabled"}, 0)
    with pytest.raises(KeyDestroyedError):
        ring.open("answer", sealed, aad=b"")


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["tenant", "list", "nowhere"], "ConfigError", 2),
        (["tenant", "rotate", "nowhere", "acme", "--kek", "file:kek.key"], "ConfigError", 2),
        (["tenant", "new", "keys", "acme", "--kek", "kek.key"], "ConfigError", 2),
        (["tenant", "new", "keys", "acme", "--kek", "file:nowhere.key"], "KekError", 2),
        (["tenant", "new", "keys", "", "--kek", "env:LEO_TEST_KEK"], "ConfigError", 2),
        (["kek", "new", "env:LEO_TEST_KEK"], "ConfigError", 2),
        (["kek", "new", "file:"], "ConfigError", 2),
        (["kek", "new", "vault:transit/leo"], "ConfigError", 2),
        (["kek", "split", "file:nowhere.key", "shares", "--needed", "2", "--shares", "3"], "KekError", 2),
        (["kek", "split", "env:LEO_TEST_KEK", "shares", "--needed", "4", "--shares", "3"], "ConfigError", 2),
        (["kek", "combine", "nowhere.share", "--to", "kek.key"], "ConfigError", 2),
        (["kek", "rewrap", "nowhere", "--kek", "file:a", "--to", "file:b"], "ConfigError", 2),
        (["tenant", "rotate", "keys", "nobody", "--kek", "env:LEO_TEST_KEK"], "ConfigError", 2),
        (["tenant", "rotate", "keys", "acme", "--kek", "env:LEO_TEST_KEK"], "KekError", 2),
        (["tenant", "rotate", "keys", "acme", "--kek", "file:kek.key", "--grace-days", "-1"], "ConfigError", 2),
        (["tenant", "disable", "keys", "acme", "--kek", "file:kek.key", "--version", "7"], "UnknownKeyError", 1),
    ],
)
def test_what_is_wrong_is_said_with_its_class_and_code(keys, kek, tmp_path, monkeypatch, arguments, error, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEO_TEST_KEK", "leo-kek:1:" + "ab" * 32)
    facts, found = as_json(*arguments)
    assert (facts["error"], found) == (error, code)
    assert leo(*arguments).exit_code == code
    assert "abab" not in facts["message"]


# ------------------------------------------------------------------------------------------- KEKs


def test_a_kek_is_made_once(tmp_path):
    path = tmp_path / "safe" / "kek.key"
    facts, code = as_json("kek", "new", f"file:{path}")
    assert (facts, code) == ({"kek": open_kek(f"file:{path}").kid}, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert as_json("kek", "new", f"file:{path}")[1] == 2
    assert path.read_text() == before


def test_three_of_five_make_the_kek_again(keys, kek, tmp_path):
    sealed = load(keys, kek).seal("answer", b"forty-two", aad=b"")
    facts, code = as_json("kek", "split", kek, tmp_path / "shares", "--needed", 3, "--shares", 5)
    assert (facts["needed"], len(facts["files"]), code) == (3, 5, 0)
    files = [tmp_path / "shares" / name for name in facts["files"]]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in files)
    lost = (tmp_path / "kek.key").read_text()
    (tmp_path / "kek.key").unlink()
    facts, code = as_json("kek", "combine", files[0], files[1], "--to", tmp_path / "kek.key")
    assert (facts["error"], code) == ("ShareError", 1)
    assert not (tmp_path / "kek.key").exists()
    result = leo("kek", "combine", files[4], files[0], files[2], "--to", tmp_path / "kek.key")
    assert result.exit_code == 0
    assert (tmp_path / "kek.key").read_text() == lost
    assert load(keys, kek).open("answer", sealed, aad=b"") == b"forty-two"
    assert as_json("kek", "combine", *files, "--to", tmp_path / "kek.key")[1] == 2, "it is there again"
    text = json.dumps(facts) + result.stdout
    assert lost.strip()[-64:] not in text


def test_mixed_and_damaged_shares_make_nothing(kek, tmp_path):
    for folder in ("a", "b"):
        assert leo("kek", "split", kek, tmp_path / folder, "--needed", 2, "--shares", 2).exit_code == 0
    first, second = (sorted((tmp_path / folder).iterdir()) for folder in ("a", "b"))
    facts, code = as_json("kek", "combine", first[0], second[1], "--to", tmp_path / "made.key")
    assert (facts["error"], code) == ("ShareError", 1)
    text = first[0].read_text()
    first[0].write_text(text[:-3] + ("0" if text[-3] != "0" else "1") + text[-2:])
    facts, code = as_json("kek", "combine", *first, "--to", tmp_path / "made.key")
    assert "altered" in facts["message"]
    assert not (tmp_path / "made.key").exists()


def test_rewrap_takes_all_keyrings_to_another_kek_and_can_be_run_again(keys, kek, tmp_path, monkeypatch):
    monkeypatch.setenv("LEO_TEST_KEK", "leo-kek:1:" + "cd" * 32)
    sealed = load(keys, kek).seal("answer", b"forty-two", aad=b"")
    for tenant in ("globex", "initech"):
        make(keys, kek, tenant)
    leo("tenant", "destroy", keys, "initech", "--yes")
    assert leo("kek", "rewrap", keys, "--kek", kek, "--to", "env:LEO_TEST_KEK").exit_code == 0
    facts, code = as_json("kek", "rewrap", keys, "--kek", kek, "--to", "env:LEO_TEST_KEK")
    assert code == 0
    assert (facts["rewrapped"], facts["already"], facts["destroyed"]) == ([], ["acme", "globex"], ["initech"])
    assert load(keys, "env:LEO_TEST_KEK").open("answer", sealed, aad=b"") == b"forty-two"
    facts, code = as_json("tenant", "rotate", keys, "acme", "--kek", kek)
    assert (facts["error"], code) == ("KekError", 2)
    facts, code = as_json("kek", "rewrap", keys, "--kek", "env:LEO_TEST_KEK", "--to", kek)
    assert (facts["rewrapped"], code) == (["acme", "globex"], 0)
    (keys / "junk.ring").touch(0o600)
    facts, code = as_json("kek", "rewrap", keys, "--kek", kek, "--to", "env:LEO_TEST_KEK")
    assert (facts["error"], code) == ("KeyringError", 1)


# ------------------------------------------------------------------------------------------- stores


@pytest.fixture
def kept(tmp_path):
    """A private store with the keyrings beside it, after a rotation of all keys."""
    rings = Keyrings.in_folder(tmp_path / "leo.db.keys", policy=RotationPolicy(grace_s=0.0))
    with PrivateStore(SqliteStore(tmp_path / "leo.db"), rings) as store:
        store.observe([Observation(kind="audit", tenant="acme", body={"n": n}, at=1.0) for n in range(3)])
        rings.of("acme").rotate()
        rings.root.rotate()
    return tmp_path / "leo.db"


def test_a_version_that_a_store_needs_is_not_destroyed(kept):
    folder, kek = kept.with_name("leo.db.keys"), f"file:{kept}.keys/kek"
    (name,) = {each.name.removesuffix(".ring") for each in folder.glob("*.ring")} - {"store"}
    for ring, parts in ((name, {"observation": 3}), ("store", {"state": 2})):
        facts, code = as_json("tenant", "destroy", folder, ring, "--version", 1, "--kek", kek, "--yes")
        assert (facts["error"], code) == ("KeyInUseError", 1)
        assert f"{sum(parts.values())} {next(iter(parts))}" in facts["message"]
    facts, code = as_json("reseal", kept)
    assert code == 0
    rows = {row["keyring"]: row for row in facts["keyrings"]}
    assert set(rows) == {"store", name}
    assert (rows[name]["resealed"], rows[name]["by_version"]) == (3, {"2": {"observation": 3}})
    assert (rows["store"]["records"], rows["store"]["unreadable"], rows["store"]["destroyed"]) == (2, 0, [])
    facts, code = as_json("tenant", "destroy", folder, name, "--version", 1, "--kek", kek, "--yes")
    assert (states(facts), code) == ({1: "destroyed", 2: "enabled"}, 0)
    with PrivateStore(SqliteStore(kept), Keyrings.in_folder(folder)) as store:
        assert [each.body for _, each in store.observations()] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_no_version_goes_that_an_index_server_may_need(tmp_path):
    """The command knows nothing of the server; whoever opens the store with its index has everything written anew."""
    folder, server = tmp_path / "leo.db.keys", make_server()
    token = server.add_account("acme")

    def open_private():
        rings = Keyrings.in_folder(folder, policy=RotationPolicy(grace_s=0.0))
        index = make_client(server, token, rings, tail_rows=4)
        store = PrivateStore(SqliteStore(tmp_path / "leo.db"), rings, index=index)
        store.open_for(FINGERPRINT)
        return store

    with open_private() as store:
        for number in range(6):
            store.put(make_entry(f"{number}"), axis(number))
        store.rows.rings.of("acme").rotate()
        name = store.rows.name_tenant("acme")
    facts, code = as_json("reseal", tmp_path / "leo.db", "--destroy")
    rows = {row["keyring"]: row for row in facts["keyrings"]}
    assert (rows[name]["resealed"], rows[name]["destroyed"], code) == (12, [], 0)
    arguments = (folder, name, "--version", 1, "--kek", f"file:{folder}/kek", "--yes")
    facts, code = as_json("tenant", "destroy", *arguments)
    assert (facts["error"], code) == ("KeyInUseError", 1)
    assert "an index server may have rows" in facts["message"]
    with open_private() as store:
        store.destroy_version(1, tenant="acme")
    with open_private() as store:
        for number in range(6):
            (hit,) = store.search("acme", "scope", axis(number), k=1, now=NOW)
            assert hit.entry.text == f"question {number}"


def test_reseal_destroys_when_asked_and_shows_it(kept):
    result = leo("reseal", kept, "--destroy")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()[1:]]
    assert sorted(line[1:] for line in lines) == [["2", "2", "0", "2:", "2", "1"], ["3", "3", "0", "2:", "3", "1"]]
    facts, _ = as_json("reseal", kept, "--destroy")
    assert [(row["resealed"], row["destroyed"]) for row in facts["keyrings"]] == [(0, []), (0, [])]
    (name,) = {row["keyring"] for row in facts["keyrings"]} - {"store"}
    leo("tenant", "destroy", kept.with_name("leo.db.keys"), name, "--yes")
    facts, code = as_json("reseal", kept)
    assert ({row["keyring"]: row["state"] for row in facts["keyrings"]}, code) == (
        {"store": "enabled", name: "destroyed"},
        0,
    )


@pytest.mark.parametrize("arguments", [["none.db"], ["leo.db", "--keys", "none"]])
def test_reseal_makes_nothing(kept, monkeypatch, arguments):
    monkeypatch.chdir(kept.parent)
    facts, code = as_json("reseal", *arguments)
    assert (facts["error"], code) == ("ConfigError", 2)
    assert sorted(each.name for each in kept.parent.iterdir() if "none" in each.name) == []
