"""A KEK in Vault, against a server on the loopback that speaks its protocol."""

from __future__ import annotations

import builtins

import pytest

from leo_core.errors import ConfigError, KekError, KekUnavailableError, MissingExtraError
from leo_core.privacy.keys.kek_vault import VaultKek
from leo_core.storage.kek_names import open_kek
from tests.contracts.kek import KEY, PLACE, KekContract
from tests.servers.loopback import Fault
from tests.servers.vault_server import VaultServer

TOKEN = "hvs.secret-token"


@pytest.fixture
def server():
    with VaultServer(token=TOKEN, keys=("leo", "other")) as running:
        yield running


def make(server, **more):
    return VaultKek(**{"url": server.origin, "token": TOKEN, "key": "leo", "timeout_s": 2.0, **more})


@pytest.fixture
def kek(server):
    return make(server)


class TestVaultKek(KekContract):
    @pytest.fixture
    def same(self, server):
        return make(server)

    @pytest.fixture
    def other(self, server):
        return make(server, key="other")


def test_what_is_asked_is_what_the_protocol_says(server, kek):
    kek.unwrap(kek.wrap(KEY, aad=PLACE), aad=PLACE)
    first, second = server.requests
    assert (first.method, first.path) == ("POST", "/v1/transit/encrypt/leo")
    assert (second.method, second.path) == ("POST", "/v1/transit/decrypt/leo")
    assert set(first.body) == {"plaintext", "associated_data"}
    assert set(second.body) == {"ciphertext", "associated_data"}


def test_a_key_that_vault_rotated_unwraps_what_it_wrapped_before(server, kek):
    wrapped = kek.wrap(KEY, aad=PLACE)
    server.rotate("leo")
    fresh = kek.wrap(KEY, aad=PLACE)
    assert (wrapped[:9], fresh[:9]) == (b"vault:v1:", b"vault:v2:")
    assert kek.unwrap(wrapped, aad=PLACE) == kek.unwrap(fresh, aad=PLACE) == KEY
    server.least_version = 2
    with pytest.raises(KekError, match="too old"):
        kek.unwrap(wrapped, aad=PLACE)


def test_mounts_and_namespaces_are_asked_for():
    with VaultServer(token=TOKEN, mount="teams/a/transit", namespace="acme") as server:
        kek = make(server, mount="teams/a/transit", namespace="acme")
        assert kek.unwrap(kek.wrap(KEY, aad=PLACE), aad=PLACE) == KEY
        assert kek.kid == "vault:teams/a/transit/leo"
        with pytest.raises(KekError, match="permission denied"):
            make(server, mount="teams/a/transit").wrap(KEY, aad=PLACE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token": "hvs.wrong"}, "permission denied"),
        ({"mount": "nowhere"}, "no handler for route"),
        ({"key": "nobody"}, "permission denied"),
    ],
)
def test_what_vault_refuses_is_said_with_its_words(server, arguments, message):
    with pytest.raises(KekError, match=message) as refused:
        make(server, **arguments).wrap(KEY, aad=PLACE)
    assert not isinstance(refused.value, KekUnavailableError)
    assert arguments.get("token", TOKEN) not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=500),
        Fault(status=429),
        Fault(status=502),
        Fault(status=501),
        Fault(delay_s=30),
        Fault(reset_after=0),
        Fault(reset_after=10),
    ],
    ids=lambda fault: str(fault.status or fault.delay_s or fault.reset_after),
)
def test_a_vault_that_is_away_may_be_asked_again(server, fault):
    kek = make(server, timeout_s=0.3)
    wrapped = kek.wrap(KEY, aad=PLACE)
    server.fault = fault
    for act in (lambda: kek.wrap(KEY, aad=PLACE), lambda: kek.unwrap(wrapped, aad=PLACE)):
        with pytest.raises(KekUnavailableError):
            act()
    server.fault = None
    assert kek.unwrap(wrapped, aad=PLACE) == KEY


def test_a_vault_that_is_not_there_is_named(server):
    kek = make(server)
    server.close()
    with pytest.raises(KekUnavailableError, match="vault:transit/leo: ConnectionError"):
        kek.wrap(KEY, aad=PLACE)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(malformed=True),
        Fault(empty=True),
        Fault(body=b'{"data": null}'),
        Fault(body=b'{"data": {"ciphertext": 7, "plaintext": 7}}'),
        Fault(body=b"[]"),
        Fault(body=b"<html>login</html>", content_type="text/html"),
        Fault(body=b'{"data": {"ciphertext": "plain", "plaintext": "not base64!"}}'),
    ],
)
def test_a_reply_that_the_protocol_does_not_promise_is_refused(server, kek, fault):
    wrapped = kek.wrap(KEY, aad=PLACE)
    server.fault = fault
    for act in (lambda: kek.wrap(KEY, aad=PLACE), lambda: kek.unwrap(wrapped, aad=PLACE)):
        with pytest.raises(KekError, match="reply for KEK vault:transit/leo"):
            act()


def test_the_token_is_not_sent_on_to_where_a_redirect_points(server, kek):
    with VaultServer(token=TOKEN) as elsewhere:
        server.fault = Fault(status=307, headers={"location": f"{elsewhere.origin}/v1/transit/encrypt/leo"})
        with pytest.raises(KekError, match="status 307"):
            kek.wrap(KEY, aad=PLACE)
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "http://vault.example:8200"}, "use https"),
        ({"url": "vault.example:8200"}, "vault.example"),
        ({"url": "https://user:password@vault.example"}, "vault.example"),
        ({"url": ""}, "address"),
        ({"token": ""}, "token"),
        ({"token": "two\nlines"}, "token"),
        ({"key": "a/b"}, "no path"),
        ({"key": "../sys"}, "no path"),
        ({"mount": "/transit"}, "no path"),
        ({"mount": "a/../b"}, "no path"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(server, arguments, message):
    with pytest.raises(ConfigError, match=message) as refused:
        make(server, **arguments)
    assert "password" not in str(refused.value)
    assert "two" not in str(refused.value)


def test_a_missing_library_names_the_extra(server, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "hvac":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"leo-core\[vault\]"):
        make(server)


def test_by_its_name_it_asks_the_vault_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", server.origin)
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(KekError, match="VAULT_TOKEN, which is not set"):
        open_kek("vault:transit/leo")
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    kek = open_kek("vault:transit/leo")
    assert kek.kid == "vault:transit/leo"
    assert kek.unwrap(kek.wrap(KEY, aad=PLACE), aad=PLACE) == KEY


def test_on_the_loopback_no_proxy_of_the_environment_sees_token_and_keys(server, monkeypatch):
    with VaultServer(token="the proxy's") as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        kek = make(server)
        assert kek.unwrap(kek.wrap(KEY, aad=PLACE), aad=PLACE) == KEY
        assert proxy.requests == []


def test_the_certificates_that_are_trusted_are_those_of_the_file(tmp_path):
    kek = VaultKek(url="https://vault.example", token=TOKEN, key="leo", ca_file=str(tmp_path / "ca.pem"))
    adapter = kek._transit._adapter
    assert (adapter._kwargs["verify"], adapter.session.verify) == (str(tmp_path / "ca.pem"), str(tmp_path / "ca.pem"))
    assert VaultKek(url="https://vault.example", token=TOKEN, key="leo")._transit._adapter._kwargs["verify"] is True
