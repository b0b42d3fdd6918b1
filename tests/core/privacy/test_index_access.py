"""Tokens of an index server, and what it keeps of them."""

from __future__ import annotations

import pickle

import pytest

from leo_core.errors import ConfigError, IndexAccessError
from leo_core.privacy.index.access import AccountAccess, IndexToken, check_account, read_bearer


def test_a_token_is_what_its_text_says():
    token = IndexToken.generate("acme")
    assert IndexToken.from_text(token.to_text() + "\n") == token
    assert token.to_text().startswith("leo-index-1.acme.")
    assert IndexToken.generate("acme") != token


def test_the_server_keeps_neither_token_nor_bearer_nor_mac_key():
    token = IndexToken.generate("acme")
    access = AccountAccess.of(token)
    kept = access.bearer_sha256 + access.wrapped_mac_key
    account, bearer = read_bearer(token.bearer())
    assert account == "acme"
    for secret in (token.secret, bearer, token.mac_key()):
        assert secret not in kept
    assert len({token.secret, bearer, token.mac_key()}) == 3
    assert access.open(bearer) == token.mac_key()


@pytest.mark.parametrize("wrong", ["another token", "another account", "a flipped bit", "the secret itself"])
def test_only_the_bearer_opens(wrong):
    token = IndexToken.generate("acme")
    access = AccountAccess.of(token)
    bearer = bytearray(read_bearer(token.bearer())[1])
    bearer[5] ^= 1
    secrets = {
        "another token": read_bearer(IndexToken.generate("acme").bearer())[1],
        "another account": read_bearer(IndexToken(account="other", secret=token.secret).bearer())[1],
        "a flipped bit": bytes(bearer),
        "the secret itself": token.secret,
    }
    with pytest.raises(IndexAccessError, match="not the one of an account") as caught:
        access.open(secrets[wrong])
    assert caught.value.check == "token"


def test_an_altered_row_opens_nothing():
    token = IndexToken.generate("acme")
    access = AccountAccess.of(token)
    secret = read_bearer(token.bearer())[1]
    wrapped = bytearray(access.wrapped_mac_key)
    wrapped[-1] ^= 1
    altered = AccountAccess(account="acme", bearer_sha256=access.bearer_sha256, wrapped_mac_key=bytes(wrapped))
    with pytest.raises(IndexAccessError):
        altered.open(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "leo-index-1",
        "leo-index-1.acme",
        "leo-index-1.acme.",
        "leo-index-2.acme." + "A" * 43,
        "leo-index-1.a b." + "A" * 43,
        "leo-index-1.acme." + "A" * 42,
        "leo-index-1.acme." + "A" * 44,
        "leo-index-1.acme." + "A" * 42 + "B",  # not the one way to write those bytes
        "leo-index-1.acme." + "ä" * 43,
        "leo-index-1.acme." + "A" * 20 + "." + "A" * 22,
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(text):
    with pytest.raises(IndexAccessError):
        read_bearer(text)
    with pytest.raises(ConfigError) as caught:
        IndexToken.from_text(text)
    assert "A" * 20 not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "a" * 65, "a*", "a.b"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ConfigError, match="no name of an account"):
        check_account(name)


def test_a_token_shows_and_pickles_nothing():
    token = IndexToken.generate("acme")
    assert repr(token) == "IndexToken(account='acme')"
    assert "wrapped" not in repr(AccountAccess.of(token))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(token)
