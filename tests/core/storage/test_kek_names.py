"""KEKs by name, and the loader of secrets in the environment."""

from __future__ import annotations

import pytest

from leo_core.errors import ConfigError, KekError
from leo_core.privacy.keys.environment import load_kek_from_environment
from leo_core.privacy.keys.kek import LocalKek
from leo_core.storage.kek_names import open_kek
from leo_core.storage.keyfile import load_or_create_kek
from tests.contracts.kek import KekContract

KEK = LocalKek(bytes(range(32)))


class TestFileKek(KekContract):
    @pytest.fixture
    def kek(self, tmp_path):
        return load_or_create_kek(tmp_path / "kek.key")

    @pytest.fixture
    def same(self, kek, tmp_path):
        return open_kek(f"file:{tmp_path / 'kek.key'}")

    @pytest.fixture
    def other(self, tmp_path):
        return load_or_create_kek(tmp_path / "other.key")


class TestEnvironmentKek(KekContract):
    @pytest.fixture
    def kek(self, monkeypatch):
        monkeypatch.setenv("ACME_KEK", f"{KEK.to_text()}\n")
        return open_kek("env:ACME_KEK")

    @pytest.fixture
    def same(self, kek):
        return load_kek_from_environment("ACME_KEK")

    @pytest.fixture
    def other(self):
        return LocalKek.generate()


@pytest.mark.parametrize("value", [None, "", "ab" * 32, "leo-kek:1:" + "ab" * 31])
def test_a_variable_without_a_kek_is_named_and_not_repeated(monkeypatch, value):
    monkeypatch.delenv("ACME_KEK", raising=False)
    if value is not None:
        monkeypatch.setenv("ACME_KEK", value)
    with pytest.raises(KekError, match="ACME_KEK") as refused:
        open_kek("env:ACME_KEK")
    assert "abab" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["", "kek.key", "file:", "env:", "env:A-B", "env:A B", "vault:leo", "vault:", "pkcs11:", "aws:arn", "FILE:kek.key"],
)
def test_a_name_of_no_known_form_lists_those_that_are_known(name):
    with pytest.raises(ConfigError, match='"file:<path>", "env:<variable>"'):
        open_kek(name)


def test_a_kek_in_the_place_of_its_name_is_not_repeated():
    kek = LocalKek.generate()
    for given in (kek.to_text(), kek.to_bytes().hex(), f"env={kek.to_text()}"):
        with pytest.raises(ConfigError, match="is not repeated") as refused:
            open_kek(given)
        assert kek.to_bytes().hex() not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=leo",
        "pkcs11:token=leo;object=kek",
        "pkcs11:token=;object=kek?module-path=/lib.so",
        "pkcs11:token=leo;object=kek;colour=red?module-path=/lib.so",
        "pkcs11:token=leo;token=leo;object=kek?module-path=/lib.so",
        "pkcs11:token=leo;object=kek;type=private?module-path=/lib.so",
    ],
)
def test_a_uri_that_lacks_a_part_or_has_another_is_refused(uri):
    with pytest.raises(ConfigError, match='no PKCS #11 URI of a KEK; it has the form "pkcs11:token'):
        open_kek(uri)


def test_a_pin_in_the_uri_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="pin-source") as refused:
        open_kek("pkcs11:token=leo;object=kek?module-path=/lib.so&pin-value=1234")
    assert "1234" not in str(refused.value)


def test_a_pin_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(KekError, match=r"PIN file .* cannot be read"):
        open_kek(f"pkcs11:token=leo;object=kek?module-path=/lib.so&pin-source=file:{tmp_path / 'pin'}")
