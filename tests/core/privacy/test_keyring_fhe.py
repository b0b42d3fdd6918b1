"""The homomorphic secret of a key version."""

from __future__ import annotations

import pytest

from leo_core.errors import KeyDestroyedError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.keyring import ClientKeyring
from leo_core.privacy.keys.keyset_store import InMemoryKeysetStore

pytest.importorskip("tenseal", reason="the extra fhe is not installed: pip install 'leo-core[fhe]'")
params = pytest.importorskip("leo_core.privacy.ckks.params", reason="this LEO has no homomorphic encryption")

KEK = LocalKek(bytes(range(32)))
SCORE128, SCORE192 = (params.FheParams.preset(name) for name in ("score128", "score192"))


def test_each_version_and_each_set_of_parameters_has_one_secret_that_processes_share():
    store = InMemoryKeysetStore()
    ring = ClientKeyring.create(store, tenant="acme", kek=KEK)
    other = ClientKeyring.load(store, kek=KEK)
    first = ring.fhe_secret(SCORE128).to_bytes()
    assert other.fhe_secret(SCORE128).to_bytes() == first
    assert other.fhe_secret(SCORE192).to_bytes() != first
    ring.rotate()
    second = other.fhe_secret(SCORE128).to_bytes()
    assert second != first
    assert ring.fhe_secret(SCORE128, version=1).to_bytes() == first
    text = store.read()[0]
    for secret in (first, second):
        assert secret[-64:] not in text
    ring.destroy_version(1)
    with pytest.raises(KeyDestroyedError):
        other.fhe_secret(SCORE128, version=1)
