"""The text of a keyset, and the life of its versions against a model that is written another way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from leo_core.errors import ConfigError, KeyDestroyedError, KeyDisabledError, KeyringCorruptError, UnknownKeyError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset import KeyState, change_primary, find_version
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.privacy.keys.keyset_text import check_mac, read_keyset, write_keyset

KEK, MAC_KEY = LocalKek(bytes(range(32))), bytes(32)


def make():
    store = InMemoryKeysetStore()
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK)
    ring.kept_secret("ckks", lambda: b"secret")
    ring.rotate(reason="Grüße")
    return ring.keyset, store.read()[0]


KEYSET, TEXT = make()


def with_rows(**rows):
    line, body = TEXT.split(b"\n", 1)
    return line + b"\n" + json.dumps({**json.loads(body), **rows}).encode()


def with_version(**rows):
    versions = json.loads(TEXT.split(b"\n", 1)[1])["versions"]
    return with_rows(versions=[{**versions[0], **rows}, versions[1]])


def test_what_is_written_is_read():
    assert read_keyset(TEXT) == KEYSET
    again = write_keyset(KEYSET, MAC_KEY)
    assert read_keyset(again) == KEYSET
    check_mac(again, MAC_KEY)
    with pytest.raises(KeyringCorruptError, match="altered"):
        check_mac(again, bytes(31) + b"\1")
    assert again.isascii()
    assert again.count(b"\n") == 2


BROKEN = [
    with_rows(ring="xyz"),
    with_rows(ring=7),
    with_rows(tenant=None),
    with_rows(lasting="not base64!"),
    with_rows(primary=1),
    with_rows(primary=True),
    with_rows(versions=[]),
    with_rows(versions={}),
    with_rows(versions=[None]),
    with_rows(versions=json.loads(TEXT.split(b"\n", 1)[1])["versions"][::-1]),
    with_rows(destroyed_at=1.0),
    with_rows(destroyed_at="soon"),
    with_rows(suspended=0),
    with_version(state="enabled"),
    with_version(state="open"),
    with_version(state="destroyed"),
    with_version(wrapped=""),
    with_version(number=0),
    with_version(number=2),
    with_version(seals=-0.5),
    with_version(kid="AB" * 8),
    with_version(kept=[{"name": "ckks"}]),
    with_version(created_at=None),
    TEXT.split(b"\n", 1)[0] + b"\n[]",
    TEXT.split(b"\n", 1)[0] + b"\n" + b"[" * 100_000,
    TEXT.split(b"\n", 1)[0],
]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))  # the texts hold keys drawn anew
def test_a_text_that_no_keyset_has_is_refused(text):
    with pytest.raises(KeyringCorruptError, match="damaged") as refused:
        read_keyset(text)
    assert "wrapped" not in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(TEXT) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(TEXT)))
def test_no_damage_makes_another_error_and_none_passes_the_mac(at, byte, cut):
    """Whatever is altered is refused: on reading, or by the MAC that the keyring checks next."""
    key = ClientKeyring.load(_store(TEXT), kek=KEK)._keys
    for text in (TEXT[:at] + bytes([byte]) + TEXT[at + 1 :], TEXT[:cut]):
        if text == TEXT:
            continue
        with pytest.raises(KeyringCorruptError):  # noqa: PT012 - either of the two refuses
            read_keyset(text)
            key._take(read_keyset(text), text)


def _store(text):
    store = InMemoryKeysetStore()
    store.create(text)
    return store


def test_the_fresh_version_has_the_next_number():
    fresh = replace(KEYSET.versions[1], number=4)
    with pytest.raises(ConfigError, match="next key version is 3, got 4"):
        change_primary(KEYSET, fresh, now=0.0, grace_s=1.0)
    last = replace(KEYSET, versions=(replace(KEYSET.versions[1], number=2**32 - 1),), primary=2**32 - 1)
    with pytest.raises(ConfigError, match="make a new keyring"):
        change_primary(last, fresh, now=0.0, grace_s=1.0)


class Lives(RuleBasedStateMachine):
    """A keyring beside a dictionary of what each version may do."""

    def __init__(self):
        super().__init__()
        self.store = InMemoryKeysetStore()
        policy = RotationPolicy(automatic=False)
        self.ring = ClientKeyring.create(self.store, tenant="acme", kek=KEK, policy=policy)
        self.other = ClientKeyring.load(self.store, kek=KEK, policy=policy)
        self.model, self.sealed, self.off = {1: "enabled"}, {}, False
        self.keep()

    def keep(self):
        primary = max(self.model)
        self.sealed[primary] = self.other.seal("note", b"%d" % primary, aad=b"")

    @precondition(lambda self: not self.off)
    @rule()
    def rotate(self):
        primary = max(self.model)
        self.model[primary] = "decrypt_only"
        self.model[primary + 1] = "enabled"
        assert self.ring.rotate() == primary + 1
        self.keep()

    @rule(number=st.integers(0, 6), what=st.sampled_from(["disable", "enable", "destroy_version"]))
    def change(self, number, what):
        state = self.model.get(number)
        after = {"disable": "disabled", "enable": "decrypt_only", "destroy_version": "destroyed"}[what]
        act = getattr(self.ring, what)
        if state is None:
            refuse(act, number, UnknownKeyError)
        elif state == "destroyed":
            refuse(act, number, KeyDestroyedError)
        elif state == "enabled":
            assert what == "enable" or refuse(act, number, ConfigError)
        else:
            act(number)
            self.model[number] = after

    @rule(off=st.booleans())
    def switch(self, off):
        (self.ring.disable if off else self.ring.enable)()
        self.off = off

    @invariant()
    def each_version_does_what_its_state_says(self):
        keyset = self.other.keyset
        assert {each.number: each.state.value for each in keyset.versions} == self.model
        enabled = [each.number for each in keyset.versions if each.state is KeyState.ENABLED]
        assert enabled == [keyset.primary]
        for number, sealed in self.sealed.items():
            state = "disabled" if self.off else self.model[number]
            if state in {"enabled", "decrypt_only"}:
                assert self.other.open("note", sealed, aad=b"") == b"%d" % number
                assert find_version(keyset, number).wrapped
            else:
                error = KeyDisabledError if state == "disabled" else KeyDestroyedError
                with pytest.raises(error):
                    self.other.open("note", sealed, aad=b"")


def refuse(act, number, error):
    with pytest.raises(error):
        act(number)
    return True


Lives.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestLives = Lives.TestCase
