"""What is on disk and on the wire, byte by byte, against vectors that an independent writing of the formats made."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import SealedAlteredError
from leo_core.privacy.keys import sealed_text
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.privacy.keys.shamir import Share, combine_shares
from tests.core.privacy.make_key_vectors import FILE, make
from tests.oracles import aes_gcm

VECTORS = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ring():
    store = InMemoryKeysetStore()
    store.create(VECTORS["keyring"].encode())
    kek, policy = LocalKek.from_text(VECTORS["kek"]), RotationPolicy(automatic=False)
    return ClientKeyring.load(store, kek=kek, tenant=VECTORS["tenant"], policy=policy)


def test_the_vectors_are_those_of_the_oracle():
    assert make() == VECTORS


@pytest.mark.parametrize("vector", VECTORS["sealed"], ids=lambda each: f"{each['purpose']}-{each['version']}")
def test_golden_seals_open(ring, vector):
    sealed, aad = bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["aad"])
    assert ring.open(vector["purpose"], sealed, aad=aad).hex() == vector["data"]
    assert ring.version_of(sealed) == vector["version"]
    with pytest.raises(SealedAlteredError):
        ring.open(vector["purpose"], sealed, aad=aad + b"x")


def test_golden_pseudonyms_and_kept_secrets_come_out(ring):
    name = VECTORS["pseudonym"]
    assert ring.pseudonym(name["purpose"], name["text"]) == name["name"]
    kept = VECTORS["kept"]
    assert ring.kept_secret(kept["name"], bytes).hex() == kept["secret"]


def test_seals_are_written_as_the_vectors_are(ring, monkeypatch):
    vector = VECTORS["sealed"][2]
    assert vector["version"] == ring.version
    nonce = bytes.fromhex(vector["sealed"])[25:37]
    monkeypatch.setattr(sealed_text.os, "urandom", lambda size: nonce[:size])
    sealed = ring.seal(vector["purpose"], bytes.fromhex(vector["data"]), aad=bytes.fromhex(vector["aad"]))
    assert sealed.hex() == vector["sealed"]


def test_golden_shares_make_the_key():
    vector = VECTORS["shamir"]
    shares = [Share.from_text(line) for line in vector["shares"]]
    for chosen in (shares[:3], shares[2:], [shares[4], shares[0], shares[3]], shares):
        assert combine_shares(chosen).hex() == vector["key"]
    assert [each.to_text() for each in shares] == vector["shares"]


KEYS = st.binary(min_size=32, max_size=32)


@settings(max_examples=20, deadline=None)
@given(key=KEYS, nonce=st.binary(min_size=12, max_size=12), data=st.binary(max_size=40), aad=st.binary(max_size=40))
def test_the_oracle_is_the_library(key, nonce, data, aad):
    sealed = AESGCM(key).encrypt(nonce, data, aad)
    assert aes_gcm.encrypt(key, nonce, data, aad) == sealed
    assert aes_gcm.decrypt(key, nonce, sealed, aad) == data


@settings(deadline=None)
@given(secret=KEYS, salt=st.binary(min_size=1, max_size=16), use=st.text(max_size=20), length=st.integers(1, 100))
def test_keys_are_derived_as_rfc_5869_says(secret, salt, use, length):
    derived = sealed_text.derive_key(secret, use, salt=salt, length=length)
    assert derived == aes_gcm.hkdf(secret, salt, b"LEO/1/" + use.encode(), length)


def test_the_oracle_derives_the_first_case_of_rfc_5869():
    """RFC 5869, appendix A.1."""
    found = aes_gcm.hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert found.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_different_parts_never_make_the_same_bytes(left, right):
    assert (sealed_text.join_parts(*left) == sealed_text.join_parts(*right)) == (left == right)
