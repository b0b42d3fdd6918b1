"""Rotation of signing keys: who trusted the first key follows; nobody else gets in."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from leo_core import LEO, verify_receipt
from leo_core.cli.app import app
from leo_core.errors import ReceiptError, SigningKeyError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.keys import Keyset, SigningKey
from leo_core.stages.receipt.rotation import follow, hand_over, read_handovers, trace, write_handovers
from leo_core.storage import keyfile
from leo_core.storage.keyfile import handovers_path, load_handovers, load_key, rotate_key

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(4)]
CHAIN = [hand_over(old, new.public) for old, new in pairwise(KEYS)]


def ids(keyset: Keyset) -> list[str]:
    return [key.id for key in keyset.keys]


def model():
    return ScriptedModel("small", replies="The answer is 29.")


def test_who_trusts_a_key_follows_to_all_later_ones_and_to_no_earlier_one():
    for start in range(4):
        assert ids(follow(KEYS[start], CHAIN)) == [key.id for key in KEYS[start:]]
        assert ids(follow(KEYS[start], CHAIN[::-1])) == [key.id for key in KEYS[start:]]
        assert ids(trace(KEYS[start].public, CHAIN)) == [key.id for key in KEYS[:start][::-1]]


def test_a_handover_that_the_old_key_did_not_sign_leads_nowhere():
    thief = SigningKey.generate()
    forged = [
        replace(CHAIN[0], new=thief.public),
        replace(hand_over(thief, thief.public), old=KEYS[0].public),
        replace(CHAIN[0], signature=bytes(64)),
        hand_over(thief, KEYS[0].public),
    ]
    assert ids(follow(KEYS[0], forged)) == [KEYS[0].id]
    assert ids(trace(thief.public, forged)) == []
    assert not any(each.holds for each in forged[:3])


def test_a_ring_of_handovers_ends():
    ring = [*CHAIN, hand_over(KEYS[3], KEYS[0].public)]
    assert len(ids(follow(KEYS[2], ring))) == 4


def test_handovers_are_written_in_one_spelling_and_read_back():
    data = write_handovers(CHAIN)
    assert read_handovers(data) == tuple(CHAIN)
    assert b"PRIVATE" not in data
    document = json.loads(data)
    for broken in (
        b"", b"[]", b"{}", data + b" ", json.dumps(document).encode(),
        json.dumps(document | {"format": "leo-handovers/2"}).encode(),
        write_handovers(CHAIN).replace(b'"new"', b'"neu"'),
        data.replace(b"PUBLIC", b"PUBLIK"),
    ):  # fmt: skip
        with pytest.raises(SigningKeyError):
            read_handovers(broken)


def test_a_rotated_store_keeps_one_log_that_both_sides_check(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as leo:
        first, old = leo.ask("When is the first?"), leo.public_key
    handover = rotate_key(tmp_path / "leo.db.key")
    assert load_key(tmp_path / "leo.db.key").id == handover.new.id != handover.old.id
    rotate_key(tmp_path / "leo.db.key")
    with LEO(small=model(), store=path) as leo:
        second, new = leo.ask("When is the second?"), leo.public_key
        assert leo.log.audit() == 2
        assert leo.public_keys.count("BEGIN PUBLIC KEY") == 3
        assert leo.public_keys.startswith(new)
        verify_receipt(leo.log.get(first.receipt.id), public_key=leo.public_keys)
        with pytest.raises(ReceiptError) as caught:
            verify_receipt(second.receipt, public_key=old)
    assert caught.value.check == "key"
    chain = load_handovers(tmp_path / "leo.db.key")
    verify_receipt(second.receipt, public_key=follow(old, chain))
    verify_receipt(first.receipt, public_key=old)


def test_a_foreign_key_does_not_continue_a_log_even_after_rotations(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the first?")
    rotate_key(tmp_path / "leo.db.key")
    (tmp_path / "leo.db.key").unlink()
    with pytest.raises(SigningKeyError, match="were not signed"):
        LEO(small=model(), store=path)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_the_fresh_key_is_secret_and_no_draft_is_left(tmp_path):
    key = tmp_path / "signing.pem"
    assert CliRunner().invoke(app, ["keys", "new", str(key)]).exit_code == 0
    before = key.read_bytes()
    rotate_key(key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() != before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["signing.pem", "signing.pem.handovers"]


def test_cut_off_between_handover_and_key_the_old_key_goes_on(tmp_path, monkeypatch):
    path, key = tmp_path / "leo.db", tmp_path / "leo.db.key"
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the first?")
    honest = keyfile.replace_file

    def fails(file, **facts):
        if file == key:
            raise OSError(28, "No space left on device")
        return honest(file, **facts)

    monkeypatch.setattr(keyfile, "replace_file", fails)
    with pytest.raises(SigningKeyError, match="No space left"):
        rotate_key(key)
    monkeypatch.undo()
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the second?")
        assert leo.log.audit() == 2
    rotate_key(key)
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the third?")
        assert leo.log.audit() == 3


def test_damaged_handovers_are_named_and_nothing_is_signed(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the first?")
    handovers_path(tmp_path / "leo.db.key").write_text("{}")
    with pytest.raises(SigningKeyError, match="handovers"):
        LEO(small=model(), store=path)


def test_the_commands_rotate_and_verify_and_audit(tmp_path):
    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    path, receipt, trusted = tmp_path / "leo.db", tmp_path / "r.json", tmp_path / "leo.pub"
    with LEO(small=model(), store=path) as leo:
        leo.ask("When is the first?")
    trusted.write_text(run("keys", "public", path).stdout)
    rotated = run("keys", "rotate", path)
    assert rotated.exit_code == 0
    assert rotated.stdout == run("keys", "public", path).stdout != trusted.read_text()
    with LEO(small=model(), store=path) as leo:
        receipt.write_text(json.dumps(dict(leo.ask("When is the second?").receipt.document)))
    assert run("verify", receipt, "--key", trusted).exit_code == 1
    assert run("verify", receipt, "--key", trusted, "--handovers", f"{path}.key.handovers").exit_code == 0
    assert run("verify", receipt, "--key", trusted, "--handovers", trusted).exit_code == 2
    assert run("log", "audit", path).exit_code == 0
    assert run("log", "audit", path, "--key", trusted).exit_code == 0
    assert run("keys", "rotate", tmp_path / "nothing").exit_code == 2
