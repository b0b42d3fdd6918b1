"""The settings of privacy: one API of three modes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, PrivacyConfig
from leo_core.errors import ConfigError
from leo_core.privacy.config import pick_privacy
from leo_core.privacy.keys.kek import LocalKek
from leo_core.privacy.keys.key_rotation import RotationPolicy
from leo_core.providers.scripted import ScriptedModel
from leo_core.storage.chroma import ChromaStore
from leo_core.storage.in_memory import InMemoryStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_core.storage.sqlite import SqliteStore
from tests.core.storage.test_private_store import LyingIndex

PARROT = ScriptedModel("parrot", replies=lambda request: request.question)


def test_by_default_everything_is_sealed_and_searched_here():
    assert PrivacyConfig().mode == "sealed_local"
    assert LEOConfig().privacy is None
    assert pick_privacy("sealed_local") == PrivacyConfig()
    assert pick_privacy(None) is None
    given = PrivacyConfig(keys="keys")
    assert pick_privacy(given) is given


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "sealed"},
        {"mode": "sealed_local", "index": LyingIndex()},
        {"mode": "query_private"},
        {"mode": "fully_encrypted"},
        {"keys": 3},
        {"index_bytes": 0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings):
    with pytest.raises(ConfigError):
        PrivacyConfig(**settings)


@pytest.mark.parametrize("given", [3, "sealed", True, {"mode": "sealed_local"}])
def test_what_is_no_mode_is_refused(given):
    with pytest.raises(ConfigError):
        pick_privacy(given)
    with pytest.raises(ConfigError):
        LEOConfig(privacy=given)


def test_settings_become_plain_values_without_keys():
    kek = LocalKek.generate()
    config = LEOConfig(privacy=PrivacyConfig(keys="k", kek=kek, rotation=RotationPolicy(max_age_s=9.0)))
    plain = config.to_dict()["privacy"]
    assert (plain["mode"], plain["keys"], plain["rotation"]["max_age_s"]) == ("sealed_local", "k", 9.0)
    text = json.dumps(config.to_dict(), default=str)
    assert kek.kid not in text
    assert kek.kid not in repr(config)
    assert config.to_dict() != replace(config, privacy=None).to_dict()


def store_of(leo):
    return leo._world.store


def test_a_leo_takes_its_keys_from_beside_the_store_or_where_it_is_told(tmp_path):
    with LEO(small=PARROT, config=LEOConfig(privacy=PrivacyConfig()), store=tmp_path / "leo.db") as leo:
        leo.ask("Hello?")
        assert isinstance(store_of(leo), PrivateStore)
    assert (tmp_path / "leo.db.keys" / "kek").is_file()
    assert not (tmp_path / "leo.db.seal").exists(), "there is no second seal"
    kek, elsewhere = LocalKek.generate(), tmp_path / "else" / "keys"
    (tmp_path / "kek.key").touch(mode=0o600)
    (tmp_path / "kek.key").write_text(kek.to_text())
    for given in (kek, f"file:{tmp_path / 'kek.key'}"):
        config = LEOConfig(privacy=PrivacyConfig(keys=elsewhere, kek=given))
        with LEO(small=PARROT, config=config, store=tmp_path / "two.db") as leo:
            leo.ask("Hello?")
    assert config.to_dict()["privacy"]["kek"] == given
    assert (elsewhere / "store.ring").is_file()
    assert not (elsewhere / "kek").exists()
    assert not (tmp_path / "two.db.keys").exists()


def test_stores_of_this_process_need_no_folder_and_others_do():
    config = LEOConfig(privacy=PrivacyConfig())
    for store in (":memory:", InMemoryStore(), SqliteStore(":memory:"), "chroma::memory:"):
        with LEO(small=PARROT, config=config, store=store) as leo:
            assert leo.ask("Hello?").text == "Hello?"
    with pytest.raises(ConfigError, match="no folder for keys"):
        LEO(small=PARROT, config=config, store=ChromaStore("chroma://127.0.0.1:9/x"))


def test_a_private_store_may_be_handed_over(tmp_path):
    rings = Keyrings.in_folder(tmp_path / "keys")
    with LEO(small=PARROT, store=PrivateStore(SqliteStore(tmp_path / "leo.db"), rings)) as leo:
        leo.ask("Hello?")
        leo.flush()
        assert store_of(leo).rows.rings is rings
        assert leo.log is not None
        assert leo.log.audit() == 1
    assert b"Hello?" not in (tmp_path / "leo.db").read_bytes()


def test_a_seal_key_has_no_use_there(tmp_path):
    config = LEOConfig(privacy=PrivacyConfig())
    with pytest.raises(ConfigError, match="seal_key has no use"):
        LEO(small=PARROT, config=config, store=tmp_path / "leo.db", seal_key=tmp_path / "seal")


@pytest.mark.parametrize("mode", ["query_private", "fully_encrypted"])
def test_the_other_modes_take_an_index_or_what_makes_it(tmp_path, mode):
    index = LyingIndex()
    made: list[object] = []

    def make(rings):
        made.append(rings)
        return index

    for given in (index, make):
        config = LEOConfig(privacy=PrivacyConfig(mode=mode, index=given))
        with LEO(small=PARROT, config=config, store=tmp_path / f"{len(made)}.db") as leo:
            leo.ask("Hello?")
            leo.flush()
            assert store_of(leo).index is index
        assert index.added
    assert [isinstance(each, Keyrings) for each in made] == [True]
    with pytest.raises(ConfigError, match="a PrivateIndex or a function"):
        LEO(small=PARROT, config=LEOConfig(privacy=PrivacyConfig(mode=mode, index="https://example.com")))
