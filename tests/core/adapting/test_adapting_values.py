"""Plain values without secrets, tool choices, arguments, and keywords of native calls."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes, SecretStr

from leo_core.adapting.native_calls import sampling_options
from leo_core.adapting.plain import plain, public_address, without_user
from leo_core.adapting.settings import configure, refuse_unknown, reveal
from leo_core.adapting.tool_choice import to_tool_choice
from leo_core.config import LEOConfig
from leo_core.errors import ConfigError
from leo_core.records import Message, Request, Sampling


class Colour(Enum):
    RED = "red"


def test_plain_values_hold_no_secret():
    values = {
        "api_key": "s", "max_tokens": 3, "hidden": SecretStr("s"), "bytes": SecretBytes(b"s"), "path": Path("a/b"),
        "list": (1, b"x"), "url": "http://me:s@host/v1", "role": Colour.RED, "none": None, "inner": {"password": "s"},
        5: object(),
    }  # fmt: skip
    assert plain(values) == {
        "5": "<object>",
        "max_tokens": 3, "path": "a/b", "list": [1, "<bytes>"], "url": "http://host/v1", "role": "red", "none": None,
        "inner": {},
    }  # fmt: skip
    assert plain(SecretStr("s")) == "<SecretStr>"


@pytest.mark.parametrize(
    "name",
    ["hf_token", "token", "openai_api_key", "apiKey", "aws_access_key_id", "key", "signing_key", "accessToken",
     "client_secret", "Authorization", "default_headers", "credentials", "session_token"],
)  # fmt: skip
def test_names_of_secrets(name):
    assert plain({name: "s", "kept": 1}) == {"kept": 1}


def test_names_that_only_sound_secret_stay():
    names = {"stop_token_ids": [1], "max_tokens": 5, "token_limit": 7, "monkey": 1, "keyword": 2, "tokenizer": "x"}
    assert plain(names) == names


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_is_json_and_settles(value):
    once = plain(value)
    json.dumps(once)
    assert json.dumps(plain(once)) == json.dumps(once)


def test_addresses():
    assert without_user("see http://me:s@host/v1 and https://you@there") == "see http://host/v1 and https://there"
    assert without_user("me@example.org") == "me@example.org"
    assert public_address("http://me:s@host:1/v1/?token=s#part") == "http://host:1/v1"
    assert public_address("http://host/#s") == "http://host"


@pytest.mark.parametrize(
    ("choice", "neutral"),
    [
        (None, None),
        (False, None),
        (True, "any"),
        ("any", "any"),
        ("required", "any"),
        ("auto", "auto"),
        ("none", "none"),
        ("f", "f"),
        ({"type": "function", "function": {"name": "f"}}, "f"),
        ({"type": "tool", "name": "f"}, "f"),
        ({"name": "f"}, "f"),
        ({"type": "any"}, "any"),
        ({"type": "auto"}, "auto"),
        ({"type": "none"}, "none"),
    ],
)
def test_tool_choices(choice, neutral):
    assert to_tool_choice(choice) == neutral


def test_a_tool_may_be_called_like_a_choice():
    assert to_tool_choice("required", ["required"]) == "required"
    assert to_tool_choice("auto", ["auto"]) == "auto"


@pytest.mark.parametrize("wrong", [{}, 3, 7, {"type": "sometimes"}])
def test_an_unknown_tool_choice_is_refused(wrong):
    with pytest.raises(ConfigError, match="not understood"):
        to_tool_choice(wrong)


def test_the_promise_goes_into_the_settings():
    own = LEOConfig.preset("economy")
    assert configure(None, None) == LEOConfig()
    assert configure(own, None) is own
    assert configure(own, 0.02).cache.max_wrong_hits == 0.02
    assert configure(own, 0.02).route == own.route


def test_a_misspelt_argument_is_refused():
    refuse_unknown(["small", "large"], ["large", "small"], owner="X")
    with pytest.raises(ConfigError, match=re.escape("X has no argument 'smal'; did you mean 'small'?")):
        refuse_unknown(["smal"], ["large", "small"], owner="X")
    with pytest.raises(ConfigError, match=r"^X has no argument 7$"):
        refuse_unknown([7], ["large"], owner="X")


def test_keys_are_revealed_where_they_are_used():
    assert reveal(None) is None
    assert reveal(SecretStr("s")) == "s"
    assert reveal({"openai": SecretStr("s")}) == {"openai": "s"}


def test_only_what_is_given_becomes_a_keyword():
    messages = (Message(role="user", content="x"),)
    assert sampling_options(Request(messages=messages)) == {}
    sampling = Sampling(temperature=0.0, top_p=0.5, max_tokens=3, seed=0, stop=("x",))
    assert sampling_options(Request(messages=messages, sampling=sampling, model="m")) == {
        "temperature": 0.0, "top_p": 0.5, "max_tokens": 3, "seed": 0, "model": "m",
    }  # fmt: skip
