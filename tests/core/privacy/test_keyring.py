"""The keyring of a tenant: what opens, what does not, and why not."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import (
    ConfigError,
    ForeignTenantError,
    KekError,
    KekUnavailableError,
    KeyDestroyedError,
    KeyDisabledError,
    KeyExhaustedError,
    KeyringCorruptError,
    KeyringError,
    NotSealedError,
    SealedAlteredError,
    SealedTruncatedError,
    TenantDestroyedError,
    UnknownKeyError,
    WrongKeyError,
)
from leo_core.privacy.keys.kek import KekProvider, LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset import KeyState
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore
from leo_core.privacy.keys.sealed_text import OVERHEAD

KEK = LocalKek(bytes(range(32)))
PLACE = b"index/entry-1"


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


class CountingKek:
    """A KEK that counts what it is asked."""

    def __init__(self, inner=KEK):
        self.inner, self.kid, self.wraps, self.unwraps = inner, inner.kid, 0, 0

    def wrap(self, key, *, aad):
        self.wraps += 1
        return self.inner.wrap(key, aad=aad)

    def unwrap(self, wrapped, *, aad):
        self.unwraps += 1
        return self.inner.unwrap(wrapped, aad=aad)


@pytest.fixture
def store():
    return InMemoryKeysetStore()


@pytest.fixture
def ring(store):
    return ClientKeyring.create(store, tenant="acme", kek=KEK)


def seal(ring, data=b"forty-two"):
    return ring.seal("answer", data, aad=PLACE)


def reopen(ring, sealed):
    return ring.open("answer", sealed, aad=PLACE)


def states(ring):
    return {each.number: str(each.state) for each in ring.keyset.versions}


# ------------------------------------------------------------------------------------------- what opens

RING = ClientKeyring.create(tenant="acme", kek=KEK)


@settings(deadline=None)
@given(data=st.binary(max_size=300), purpose=st.text(min_size=1, max_size=20), aad=st.binary(max_size=30))
def test_what_was_sealed_opens_with_the_same_purpose_and_place(data, purpose, aad):
    sealed = RING.seal(purpose, data, aad=aad)
    assert RING.open(purpose, sealed, aad=aad) == data
    assert len(sealed) == len(data) + OVERHEAD
    assert sealed.startswith(b"LEOS\x01")


def test_another_process_opens_it(ring, store):
    other = ClientKeyring.load(store, kek=LocalKek(bytes(range(32))), tenant="acme")
    assert reopen(other, seal(ring)) == b"forty-two"
    assert reopen(ring, seal(other)) == b"forty-two"


def test_no_two_seals_are_the_same_and_none_shows_the_data(ring):
    sealed = [seal(ring, b"visible?" * 8) for _ in range(200)]
    assert len(set(sealed)) == 200
    assert len({each[25:37] for each in sealed}) == 200
    assert not any(b"visible?" in each for each in sealed)


def test_the_key_of_a_purpose_opens_nothing_of_another(ring):
    sealed = seal(ring)
    with pytest.raises(SealedAlteredError, match="another purpose"):
        ring.open("question", sealed, aad=PLACE)


@pytest.mark.parametrize("aad", [b"", b"index/entry-2", PLACE + b"\0"])
def test_a_record_that_was_swapped_does_not_open(ring, aad):
    with pytest.raises(SealedAlteredError):
        ring.open("answer", seal(ring), aad=aad)


def test_every_single_bit_counts(ring):
    sealed = seal(ring, b"x")
    for at in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[at] ^= 1 << bit
            with pytest.raises(
                (SealedAlteredError, NotSealedError, ForeignTenantError, UnknownKeyError, WrongKeyError)
            ):
                reopen(ring, bytes(altered))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda sealed: sealed[:10], SealedTruncatedError),
        (lambda sealed: sealed[: OVERHEAD - 1], SealedTruncatedError),
        (lambda sealed: sealed[:3], SealedTruncatedError),
        (lambda sealed: sealed[:-1], SealedAlteredError),
        (lambda sealed: sealed + b"\0", SealedAlteredError),
        (lambda sealed: b"", NotSealedError),
        (lambda sealed: b"PK\3\4" + sealed[4:], NotSealedError),
        (lambda sealed: sealed[:4] + b"\2" + sealed[5:], NotSealedError),
        (lambda sealed: sealed[:13] + b"\0\0\0\7" + sealed[17:], UnknownKeyError),
        (lambda sealed: sealed[:17] + b"other-id" + sealed[25:], WrongKeyError),
        (lambda sealed: sealed[:30] + b"?" + sealed[31:], SealedAlteredError),
    ],
)
def test_each_fault_has_its_own_error(ring, change, error):
    sealed = seal(ring)
    with pytest.raises(error) as refused:
        reopen(ring, change(sealed))
    assert type(refused.value) is error
    assert "forty-two" not in str(refused.value)


def test_a_foreign_tenants_data_is_told_from_altered_data(ring):
    other = ClientKeyring.create(tenant="globex", kek=KEK)
    with pytest.raises(ForeignTenantError, match="acme"):
        reopen(ring, seal(other))


def test_the_same_key_does_not_open_under_another_tenants_name(ring, store):
    """The tenant is part of the associated data, not of the lookup alone."""
    sealed = seal(ring)
    ring._keys.keyset = replace(ring._keys.keyset, tenant="globex")
    with pytest.raises(SealedAlteredError):
        reopen(ring, sealed)


@pytest.mark.parametrize("purpose", ["", "x" * 129, "\ud800", None])
def test_a_purpose_that_is_no_name_is_refused(ring, purpose):
    with pytest.raises(ConfigError, match="purpose"):
        ring.seal(purpose, b"", aad=b"")


# ------------------------------------------------------------------------------------------- pseudonyms


def test_pseudonyms_stay_through_rotations_and_reloads(ring, store):
    before = ring.pseudonym("user", "ada")
    ring.rotate()
    assert ring.pseudonym("user", "ada") == before
    assert ClientKeyring.load(store, kek=KEK).pseudonym("user", "ada") == before
    assert len(before) == 32
    int(before, 16)


def test_pseudonyms_differ_by_text_purpose_and_tenant(ring):
    other = ClientKeyring.create(tenant="acme", kek=KEK)
    names = {ring.pseudonym("user", "ada"), ring.pseudonym("user", "bob"), ring.pseudonym("tag", "ada")}
    names.add(other.pseudonym("user", "ada"))
    assert len(names) == 4
    assert ring.pseudonym("user", "\ud800") != ring.pseudonym("user", "?")


# ------------------------------------------------------------------------------------------- versions


def test_after_a_rotation_the_fresh_version_seals_and_the_old_one_opens(ring):
    old = seal(ring)
    assert ring.rotate(reason="scheduled") == 2
    assert ring.version == 2
    assert states(ring) == {1: "decrypt_only", 2: "enabled"}
    assert ring.keyset.versions[1].reason == "scheduled"
    assert reopen(ring, old) == b"forty-two"
    assert seal(ring)[13:17] == b"\0\0\0\2"


def test_a_disabled_version_says_so_and_comes_back(ring):
    old = seal(ring)
    ring.rotate()
    ring.disable(1)
    with pytest.raises(KeyDisabledError, match="version 1"):
        reopen(ring, old)
    ring.enable(1)
    assert reopen(ring, old) == b"forty-two"
    assert states(ring)[1] == "decrypt_only"


def test_a_destroyed_version_says_so_for_good(ring, store):
    old = seal(ring)
    ring.rotate()
    ring.destroy_version(1)
    for each in (ring, ClientKeyring.load(store, kek=KEK)):
        with pytest.raises(KeyDestroyedError, match="version 1"):
            reopen(each, old)
    for act in (ring.enable, ring.disable, ring.destroy_version):
        with pytest.raises(KeyDestroyedError):
            act(1)
    assert ring.keyset.versions[0].wrapped == b""


@pytest.mark.parametrize("act", ["disable", "destroy_version"])
def test_the_primary_is_neither_disabled_nor_destroyed_alone(ring, act):
    with pytest.raises(ConfigError, match="rotate first"):
        getattr(ring, act)(1)


def test_a_version_that_is_not_there_is_named(ring):
    with pytest.raises(UnknownKeyError, match="no key version 9; the last ones are 1"):
        ring.disable(9)


def test_a_disabled_keyring_does_nothing_until_it_is_enabled(ring, store):
    sealed = seal(ring)
    ring.disable()
    other = ClientKeyring.load(store, kek=KEK)
    for each in (ring, other):
        for act in (
            seal,
            lambda r: reopen(r, sealed),
            lambda r: r.pseudonym("user", "ada"),
            lambda r: r.rotate(),
        ):
            with pytest.raises(KeyDisabledError, match="acme"):
                act(each)
    other.enable()
    assert reopen(ring, sealed) == b"forty-two"


def test_after_destroy_nothing_works_anywhere(ring, store):
    sealed, other = seal(ring), ClientKeyring.load(store, kek=KEK)
    assert reopen(other, sealed) == b"forty-two"
    ring.destroy()
    for each in (ring, other):
        for act in (
            lambda r: reopen(r, sealed),
            seal,
            lambda r: r.pseudonym("user", "ada"),
            lambda r: r.rotate(),
            lambda r: r.enable(),
            lambda r: r.version,
            lambda r: r.count_decrypts(),
            lambda r: r.kept_secret("s", bytes),
        ):
            with pytest.raises(TenantDestroyedError, match="acme"):
                act(each)
    with pytest.raises(TenantDestroyedError):
        ClientKeyring.load(store, kek=KEK)
    text = store.read()[0]
    assert b'"wrapped":""' in text
    assert all(each.state is KeyState.DESTROYED and not each.kept for each in ring.keyset.versions)
    assert ring.keyset.lasting == b""


# ------------------------------------------------------------------------------------------- KEK and file


def test_another_kek_is_refused_by_its_name(store, ring):
    other = LocalKek.generate()
    with pytest.raises(KekError, match=f"{KEK.kid}; this one is {other.kid}"):
        ClientKeyring.load(store, kek=other)


def test_another_tenants_keyring_is_refused(store, ring):
    with pytest.raises(ForeignTenantError, match="'acme', not of 'globex'"):
        ClientKeyring.load(store, kek=KEK, tenant="globex")


def test_one_place_holds_one_keyring(store, ring):
    with pytest.raises(ConfigError, match="already"):
        ClientKeyring.create(store, tenant="globex", kek=KEK)
    with pytest.raises(KeyringError, match="no keyring"):
        ClientKeyring.load(InMemoryKeysetStore(), kek=KEK)


@pytest.mark.parametrize("tenant", ["", "x" * 1025, "\ud800", 7])
def test_a_tenant_that_is_no_name_is_refused(tenant):
    with pytest.raises(ConfigError, match="tenant"):
        ClientKeyring.create(tenant=tenant, kek=KEK)


def test_states_and_counts_are_not_changed_without_the_kek(ring, store):
    ring.rotate()
    ring.disable(1)
    text = store.read()[0].replace(b'"state":"disabled"', b'"state":"decrypt_only"')
    store.replace(text)
    with pytest.raises(KeyringCorruptError, match="altered"):
        seal(ring)
    with pytest.raises(KeyringCorruptError, match="altered"):
        ClientKeyring.load(store, kek=KEK)


def test_an_older_keyring_is_not_taken_for_the_newer_one(ring, store):
    old = store.read()[0]
    ring.rotate()
    store.replace(old)
    with pytest.raises(KeyringCorruptError, match="older"):
        ring.version  # noqa: B018 - reading it reads the store


def test_a_keyring_put_back_and_rotated_again_has_another_key_of_that_number(ring, store):
    old = store.read()[0]
    ring.rotate()
    sealed = seal(ring)
    store.replace(old)
    restored = ClientKeyring.load(store, kek=KEK)
    restored.rotate()
    with pytest.raises(WrongKeyError, match="put back"):
        reopen(restored, sealed)


def test_keys_are_unwrapped_once_each_and_only_when_needed(ring, store):
    sealed = seal(ring)
    ring.rotate()
    kek = CountingKek()
    other = ClientKeyring.load(store, kek=kek)
    assert kek.unwraps == 1
    for _ in range(5):
        reopen(other, sealed)
        ring.count_decrypts()
    assert kek.unwraps == 2
    other.seal("answer", b"", aad=b"")
    assert (kek.unwraps, kek.wraps) == (3, 0)


@pytest.mark.parametrize(
    ("key", "message"), [(bytes(32), "is not key version 1"), (bytes(31), "unwraps 31 bytes; a key has 32")]
)
def test_a_kek_that_unwraps_another_key_is_not_believed(ring, store, key, message):
    class WrongKek(CountingKek):
        def unwrap(self, wrapped, *, aad):
            found = super().unwrap(wrapped, aad=aad)
            return found if self.unwraps == 1 else key

    other = ClientKeyring.load(store, kek=WrongKek())
    for act in (lambda: seal(other), lambda: reopen(other, seal(ring))):
        with pytest.raises(KekError, match=message):
            act()


def test_keys_of_versions_that_open_no_more_are_forgotten(ring, store):
    other = ClientKeyring.load(store, kek=KEK)
    old = seal(ring)
    reopen(other, old)
    kid = ring.keyset.versions[0].kid
    for each in (ring, other):
        assert kid in each._keys._masters
    ring.rotate()
    reopen(other, seal(ring))
    ring.disable(1)
    for each in (ring, other):
        assert each.version == 2
        assert kid not in each._keys._masters
        assert kid not in {at for at, _ in each._keys._ciphers}
        assert len(each._keys._masters) == 1
    ring.destroy()
    with pytest.raises(TenantDestroyedError):
        seal(other)
    for each in (ring, other):
        assert not each._keys._masters
        assert not each._keys._ciphers
        assert each._keys._lasting == b""


def test_a_keyring_that_is_disabled_is_not_rewrapped(ring):
    ring.disable()
    with pytest.raises(KeyDisabledError):
        ring.rewrap(LocalKek.generate())
    ring.enable()
    assert ring.keyset.kek == KEK.kid
    assert reopen(ring, seal(ring)) == b"forty-two"


def test_rewrapping_changes_the_kek_and_nothing_that_was_sealed(ring, store):
    sealed, name = seal(ring), ring.pseudonym("user", "ada")
    ring.rotate()
    ring.destroy_version(1)
    ring.rotate()
    kept = seal(ring)
    fresh = LocalKek.generate()
    ring.rewrap(fresh)
    for each in (ring, ClientKeyring.load(store, kek=fresh)):
        assert reopen(each, kept) == b"forty-two"
        assert each.pseudonym("user", "ada") == name
        with pytest.raises(KeyDestroyedError):
            reopen(each, sealed)
    with pytest.raises(KekError):
        ClientKeyring.load(store, kek=KEK)
    assert ring.rotate() == 4


class RenamedKek(CountingKek):
    """A KEK that goes by the name of another one, as those of two Vaults may."""

    def __init__(self, inner, kid):
        super().__init__(inner)
        self.kid = kid


@pytest.mark.parametrize("kid", ["another", KEK.kid])
def test_a_process_with_the_kek_of_before_adds_no_version_that_nobody_can_unwrap(ring, store, kid):
    stale = ClientKeyring.load(store, kek=KEK)
    sealed = seal(stale)
    fresh = RenamedKek(LocalKek.generate(), kid)
    ring.rewrap(fresh)
    with pytest.raises(KekError):
        stale.rotate()
    assert [each.number for each in ring.keyset.versions] == [1]
    for each in (stale, ring, ClientKeyring.load(store, kek=fresh)):
        assert reopen(each, sealed) == reopen(ring, seal(each)) == b"forty-two"
    assert ring.rotate() == 2
    assert reopen(ClientKeyring.load(store, kek=fresh), seal(ring)) == b"forty-two"


def test_a_rotation_that_is_due_waits_in_a_process_with_the_kek_of_before(store, caplog):
    clock, policy = Clock(), RotationPolicy(max_age_s=100)
    stale = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=policy, clock=clock)
    seal(stale)
    fresh = LocalKek.generate()
    ClientKeyring.load(store, kek=KEK, policy=policy, clock=clock).rewrap(fresh)
    clock.now += 100
    assert seal(stale)[13:17] == b"\0\0\0\1"
    assert "KekError" in caplog.text
    assert seal(ClientKeyring.load(store, kek=fresh, policy=policy, clock=clock))[13:17] == b"\0\0\0\2"


def test_a_kek_that_is_put_back_serves_again(ring, store):
    other = ClientKeyring.load(store, kek=KEK)
    between = LocalKek.generate()
    other.rewrap(between)
    ClientKeyring.load(store, kek=between).rewrap(KEK)
    assert ring.rotate() == 2
    assert reopen(ClientKeyring.load(store, kek=KEK), seal(ring)) == b"forty-two"


def test_secrets_do_not_show_and_are_not_pickled(ring):
    for secret in (ring, KEK):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)
    text = repr(ring) + repr(KEK) + repr(ring.keyset) + str(vars(ring))
    assert KEK.to_text()[-64:] not in text
    assert bytes(range(32)).hex() not in text
    assert "wrapped" not in text
    assert isinstance(KEK, KekProvider)


# ------------------------------------------------------------------------------------------- counting


def test_age_rotates_and_not_before():
    clock = Clock()
    ring = ClientKeyring.create(tenant="acme", kek=KEK, policy=RotationPolicy(max_age_s=100), clock=clock)
    clock.now += 99
    seal(ring)
    assert ring.version == 1
    clock.now += 1
    seal(ring)
    assert ring.version == 2
    assert ring.keyset.versions[1].reason == "age"
    assert ring.keyset.versions[0].grace_ends_at == clock.now + 30 * 86_400


class AbsentKek(CountingKek):
    """A KEK that unwraps, and does not wrap while it is away."""

    away = False

    def wrap(self, key, *, aad):
        wrapped = super().wrap(key, aad=aad)
        if self.away:
            raise KekUnavailableError("away")
        return wrapped


def test_while_the_kek_is_away_the_old_version_goes_on_and_it_is_asked_now_and_then(caplog):
    clock, kek = Clock(), AbsentKek()
    policy = RotationPolicy(max_age_s=100, max_decrypts=32, decrypt_lease=1)
    ring = ClientKeyring.create(tenant="acme", kek=kek, policy=policy, clock=clock)
    kek.away, before = True, kek.wraps
    clock.now += 100
    for _ in range(5):
        assert seal(ring)[13:17] == b"\0\0\0\1"
    assert kek.wraps == before + 1
    assert "age" in caplog.text
    clock.now += 60
    assert reopen(ring, seal(ring)) == b"forty-two"
    assert kek.wraps == before + 2
    ring.count_decrypts(31)
    kek.away = False
    clock.now += 60
    seal(ring)
    assert ring.version == 2


def test_of_two_that_find_the_same_version_due_one_rotates(store):
    """The other one asks its KEK first, and finds that there is a fresh version when it has the lock."""
    clock, policy = Clock(), RotationPolicy(max_age_s=100)
    quick = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=policy, clock=clock)

    class SlowKek(CountingKek):
        def wrap(self, key, *, aad):
            assert seal(quick)[13:17] == b"\0\0\0\2"
            return super().wrap(key, aad=aad)

    slow = ClientKeyring.load(store, kek=SlowKek(), policy=policy, clock=clock)
    clock.now += 100
    assert seal(slow)[13:17] == b"\0\0\0\2"
    assert [each.number for each in quick.keyset.versions] == [1, 2]


def test_at_the_last_seal_a_kek_that_is_away_is_an_error():
    kek = AbsentKek()
    ring = ClientKeyring.create(tenant="acme", kek=kek, policy=RotationPolicy(max_seals=2))
    seal(ring), seal(ring)
    kek.away = True
    with pytest.raises(KekUnavailableError):
        seal(ring)
    kek.away = False
    assert seal(ring)[13:17] == b"\0\0\0\2"


@pytest.mark.parametrize("limit", [1, 2, 10, 200])
def test_a_version_seals_as_often_as_it_may_and_not_once_more(limit):
    ring = ClientKeyring.create(tenant="acme", kek=KEK, policy=RotationPolicy(max_seals=limit, seal_lease=7))
    numbers = [int.from_bytes(seal(ring)[13:17], "big") for _ in range(3 * limit)]
    assert numbers == [1] * limit + [2] * limit + [3] * limit
    assert all(each.seals == limit for each in ring.keyset.versions)


def test_without_automatic_rotation_the_limit_is_an_error(store):
    policy = RotationPolicy(max_seals=2, automatic=False)
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=policy)
    seal(ring), seal(ring)
    with pytest.raises(KeyExhaustedError, match="2 times"):
        seal(ring)
    ring.rotate()
    assert reopen(ring, seal(ring)) == b"forty-two"


def test_seals_are_counted_before_they_are_made_and_survive_the_process(store):
    policy = RotationPolicy(max_seals=64 * 5, seal_lease=5)
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=policy)
    seal(ring)
    assert ring.keyset.versions[0].seals == 5
    other = ClientKeyring.load(store, kek=KEK, policy=policy)
    seal(other)
    assert other.keyset.versions[0].seals == 10
    for _ in range(5):
        seal(ring)
    assert ring.keyset.versions[0].seals == 15


def test_decrypts_rotate_a_sixteenth_before_the_cap_and_end_at_it(store):
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=RotationPolicy(max_decrypts=32, decrypt_lease=1))
    for _ in range(29):
        assert ring.count_decrypts() == 1
    assert ring.version == 1
    assert ring.count_decrypts() == 1
    assert ring.version == 2
    assert ring.keyset.versions[1].reason == "decrypts"
    assert ring.count_decrypts(2, version=1) == 1
    with pytest.raises(KeyExhaustedError, match="0 of 32 decrypts left, 1 are needed"):
        ring.count_decrypts(version=1)
    assert ring.keyset.versions[0].decrypts == 32
    assert ring.count_decrypts() == 2


def test_counting_decrypts_rotates_for_decrypts_alone():
    clock = Clock()
    ring = ClientKeyring.create(tenant="acme", kek=KEK, policy=RotationPolicy(max_age_s=100), clock=clock)
    clock.now += 1000
    assert ring.count_decrypts() == ring.version == 1
    seal(ring)
    assert ring.version == 2


def test_decrypts_that_do_not_fit_are_not_counted(store):
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK, policy=RotationPolicy(max_decrypts=10, automatic=False))
    with pytest.raises(KeyExhaustedError):
        ring.count_decrypts(11)
    assert ring.keyset.versions[0].decrypts == 0
    assert ring.count_decrypts(10) == 1
    assert ring.version == 1


@pytest.mark.parametrize("count", [0, -1, True, 1.0, "1"])
def test_a_count_that_is_none_is_refused(ring, count):
    with pytest.raises(ConfigError, match="count"):
        ring.count_decrypts(count)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_age_s", 0.5),
        ("max_age_s", float("nan")),
        ("max_age_s", "1"),
        ("grace_s", -1),
        ("grace_s", float("inf")),
        ("max_seals", 2**32 + 1),
        ("max_seals", 0),
        ("max_decrypts", 0),
        ("max_decrypts", 1.5),
        ("seal_lease", 0),
        ("decrypt_lease", True),
    ],
)
def test_a_policy_out_of_range_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"RotationPolicy.{name} is"):
        RotationPolicy(**{name: value})


@pytest.mark.parametrize("reason", ["", "x" * 257, "two\nlines", 3])
def test_a_reason_is_a_short_text(ring, reason):
    with pytest.raises(ConfigError, match="reason"):
        ring.rotate(reason=reason)


# ------------------------------------------------------------------------------------------- kept secrets


def test_a_kept_secret_is_made_once_per_version_and_goes_with_it(ring, store):
    made = []

    def make():
        made.append(b"secret-%d" % len(made))
        return made[-1]

    other = ClientKeyring.load(store, kek=KEK)
    assert ring.kept_secret("ckks", make) == other.kept_secret("ckks", make) == b"secret-0"
    ring.rotate()
    assert other.kept_secret("ckks", make) == b"secret-1"
    assert ring.kept_secret("ckks", make, version=1) == b"secret-0"
    assert len(made) == 2
    ring.destroy_version(1)
    with pytest.raises(KeyDestroyedError):
        ring.kept_secret("ckks", make, version=1)
    assert b"secret-" not in store.read()[0]


def test_an_old_version_makes_no_secret(ring):
    ring.rotate()
    with pytest.raises(KeyringError, match="version 1 of tenant 'acme' keeps no secret 'ckks'"):
        ring.kept_secret("ckks", bytes, version=1)


def test_of_two_that_make_a_secret_at_once_both_get_the_same(ring, store):
    other = ClientKeyring.load(store, kek=KEK)

    def make():
        assert other.kept_secret("ckks", lambda: b"first") == b"first"
        return b"second"

    assert ring.kept_secret("ckks", make) == b"first"


def test_while_a_secret_is_made_other_threads_use_the_keyring_and_rotate_it(ring):
    sealed = seal(ring)

    def make():
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(reopen, ring, sealed).result(timeout=60) == b"forty-two"
            assert pool.submit(ring.rotate).result(timeout=60) == 2
        return b"secret"

    assert ring.kept_secret("ckks", make) == b"secret"
    assert ring.kept_secret("ckks", bytes) == b"secret"
    assert [len(each.kept) for each in ring.keyset.versions] == [0, 1], "it belongs to the primary of that moment"
