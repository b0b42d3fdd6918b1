"""What every KEK does: the contract of :class:`leo_core.privacy.keys.kek.KekProvider`."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from leo_core.errors import KekError, KekUnavailableError
from leo_core.privacy.keys.kek import KekProvider
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore

KEY, PLACE = bytes(range(32)), b"keyring/version"


class KekContract:
    """Subclass it, with the fixtures ``kek`` and ``same`` (the same key, opened again) and ``other`` (another key)."""

    def test_it_is_a_provider(self, kek):
        assert isinstance(kek, KekProvider)

    def test_what_it_wraps_it_unwraps(self, kek, same):
        wrapped = kek.wrap(KEY, aad=PLACE)
        assert KEY not in wrapped
        assert kek.unwrap(wrapped, aad=PLACE) == KEY == same.unwrap(wrapped, aad=PLACE)

    def test_it_wraps_differently_each_time(self, kek):
        assert kek.wrap(KEY, aad=PLACE) != kek.wrap(KEY, aad=PLACE)

    def test_its_id_is_the_keys_and_says_nothing_of_it(self, kek, same, other):
        assert kek.kid == same.kid != other.kid
        assert kek.kid in repr(kek)

    def test_another_place_another_key_and_altered_bytes_are_refused(self, kek, other):
        wrapped = kek.wrap(KEY, aad=PLACE)
        altered = wrapped[:-6] + bytes([wrapped[-6] ^ 1]) + wrapped[-5:]
        for each, text, aad in (
            (kek, wrapped, b"elsewhere"),
            (other, wrapped, PLACE),
            (kek, altered, PLACE),
            (kek, wrapped[:-8], PLACE),
            (kek, b"", PLACE),
        ):
            with pytest.raises(KekError) as refused:
                each.unwrap(text, aad=aad)
            assert not isinstance(refused.value, KekUnavailableError), "trying again will not help"
        assert kek.unwrap(wrapped, aad=PLACE) == KEY, "a refusal leaves it as it was"

    def test_threads_use_it_at_once(self, kek):
        with ThreadPoolExecutor(4) as pool:
            wrapped = list(pool.map(lambda at: kek.wrap(bytes([at]) * 32, aad=PLACE), range(16)))
            keys = list(pool.map(lambda text: kek.unwrap(text, aad=PLACE), wrapped))
        assert keys == [bytes([at]) * 32 for at in range(16)]

    def test_it_is_not_pickled(self, kek):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(kek)

    def test_a_keyring_lives_under_it(self, kek, same, other):
        store = InMemoryKeysetStore()
        ring = ClientKeyring.create(store, tenant="acme", kek=kek)
        sealed = ring.seal("answer", b"forty-two", aad=PLACE)
        ring.rotate()
        again = ClientKeyring.load(store, kek=same)
        assert again.open("answer", sealed, aad=PLACE) == b"forty-two"
        again.rewrap(other)
        assert ClientKeyring.load(store, kek=other).open("answer", sealed, aad=PLACE) == b"forty-two"
        with pytest.raises(KekError):
            ClientKeyring.load(store, kek=kek)
