"""With privacy, LlamaIndex's traffic leaves nothing in the store; the setting survives being written down."""

from __future__ import annotations

import pytest

from leo_core import PrivacyConfig
from leo_core.errors import ConfigError
from leo_core.privacy.keys.kek import LocalKek
from leo_core.providers.scripted import ScriptedModel
from leo_llamaindex import LEOLLM
from tests.adapters.private_bytes import find_texts, read_folder

PROMPT, ANSWER = "Which river flows through Prague?", "The Vltava, verily."


def make_llm(store, **settings):
    return LEOLLM(small=ScriptedModel("scripted-xylophone", replies=[ANSWER]), store=str(store), **settings)


@pytest.mark.parametrize("privacy", [None, "sealed_local"])
def test_whoever_holds_the_store_finds_nothing_in_it(tmp_path, privacy):
    for route in ("small", "cache"):
        with make_llm(tmp_path / "leo.db", privacy=privacy, tenant="of-zanzibar") as llm:
            answer = llm.complete(PROMPT)
            assert answer.text == ANSWER
            assert answer.additional_kwargs["leo"]["route"] == route
    secrets = [PROMPT, ANSWER, "of-zanzibar", "scripted-xylophone"]
    assert find_texts(read_folder(tmp_path), secrets) == (set() if privacy else set(secrets))


def test_the_setting_survives_being_written_down_and_keys_are_not():
    kek = LocalKek.generate()
    for given in ("sealed_local", PrivacyConfig(keys="k", kek=kek)):
        dumped = make_llm(":memory:", privacy=given).to_dict()
        assert kek.kid not in str(dumped)
        again = LEOLLM.from_dict({**dumped, "small": "openai:gpt-5-mini"})
        assert again.privacy == (given if isinstance(given, str) else PrivacyConfig(keys="k"))


def test_a_misspelt_mode_is_told_at_once():
    with pytest.raises(ConfigError, match="sealed_local, query_private, fully_encrypted"):
        make_llm(":memory:", privacy="sealed")
