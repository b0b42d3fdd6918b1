"""With privacy, LangChain's traffic leaves nothing in the store: every byte of every file is looked at."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from langchain_core.outputs import Generation

from leo_core import LEOConfig, PrivacyConfig
from leo_core.errors import ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.budget.config import Budget
from leo_core.stages.embed.load import load_embedder
from leo_core.storage.chroma import ChromaStore
from leo_core.storage.keyrings import Keyrings
from leo_core.storage.private_store import PrivateStore
from leo_langchain import LEOCache, LEOChatModel, tenant
from tests.adapters.private_bytes import find_texts, find_vectors, read_folder
from tests.servers.chroma_server import ChromaServer

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = [
    "How many days has February in the year 2028?",
    "Which river flows through the old town of Prague?",
    "Who wrote the novel about the whale and the captain?",
    "At which temperature does water boil at sea level?",
    "Naïve question: où est la bibliothèque municipale?",
]
ANSWERS = {
    prompt: f"The answer is number {position}: quux-{position}-verily." for position, prompt in enumerate(PROMPTS)
}
NAMES = [
    "tenant-of-zanzibar",
    "user-ludmilla",
    "tag-confidential",
    "source-handbook-7",
    "session-quixote",
    "idem-key-99",
]
MEMBER = "scripted-member-xylophone"


def make_model(store: Any, **settings: Any) -> LEOChatModel:
    member = ScriptedModel(MEMBER, replies=lambda request: ANSWERS[request.question])
    budget = Budget(limit_usd=5.0, per="user", period="day")
    config = LEOConfig(budgets=(budget,))
    return LEOChatModel(small=member, store=store, config=config, engine_seed=7, **settings)


def run_traffic(store: Any, **settings: Any) -> tuple[list[str], list[str]]:
    """Ask everything twice, and some again after a restart; returns the routes, and the keys of the entries."""
    said, keys = [], []
    owner, user, tag, source, session, idem = NAMES
    for round_ in range(2):
        with make_model(store, **settings) as model, tenant(owner):
            for number, prompt in enumerate(PROMPTS * 2):
                message = model.invoke(
                    prompt,
                    end_user=user,
                    session=session,
                    entry_tags=[tag],
                    entry_sources=[source],
                    idempotency_key=f"{idem}-{round_}-{number}",
                )
                assert message.content == ANSWERS[prompt]
                said.append(message.response_metadata["leo"]["route"])
                model.leo.flush()
            assert model.leo.log is not None
            assert model.leo.log.audit() == len(said)
            kept = list(model.leo._world.store.entries(owner))
            assert {each.entry.text for each in kept} >= set(PROMPTS[:1])
            keys = [key for each in kept for key in (each.entry.exact_key, each.entry.scope_key)]
    return said, keys


def list_secrets(keys: list[str]) -> list[str]:
    return [*PROMPTS, *ANSWERS.values(), *NAMES, MEMBER, "user/day", *keys]


def run_beside_server(folder: Path, **settings: Any) -> tuple[list[str], list[str], bytes]:
    """Traffic over a Chroma server with a home in the folder; also every byte that the server wrote."""
    server = ChromaServer()
    try:
        said, keys = run_traffic(server.new_address(home=folder), **settings)
        server.kill()
        return said, keys, read_folder(server.folder)
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["sqlite", "chroma"])
def test_whoever_holds_the_store_finds_nothing_in_it(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = load_embedder("default").embed(PROMPTS)
    routes, elsewhere = {}, b""
    for name, settings in {"plain": {}, "private": {"privacy": PrivacyConfig(keys=tmp_path / "keys")}}.items():
        folder = tmp_path / name
        with caplog.at_level(logging.DEBUG):
            if kind == "sqlite":
                routes[name], keys = run_traffic(folder / "leo.db", **settings)
            else:
                routes[name], keys, elsewhere = run_beside_server(folder, **settings)
        found = read_folder(folder) + elsewhere
        texts, traces = find_texts(found, list_secrets(keys)), find_vectors(found, vectors)
        if name == "plain":
            assert texts >= {*PROMPTS, *ANSWERS.values(), NAMES[0], NAMES[5], MEMBER, *keys}, "or this finds nothing"
            assert traces["float32"] == len(PROMPTS)
        else:
            assert texts == set()
            assert set(traces.values()) == {0}
    assert routes["plain"] == routes["private"]
    assert routes["plain"][:10] == ["small"] * 5 + ["cache"] * 5
    assert find_texts(caplog.text.encode(), [*PROMPTS, *ANSWERS.values(), *NAMES]) == set()


def test_the_folder_of_the_keys_names_nobody_either(tmp_path: Path) -> None:
    run_traffic(tmp_path / "leo.db", privacy="sealed_local")
    assert find_texts(read_folder(tmp_path), [*PROMPTS, *ANSWERS.values(), *NAMES]) == set()


def test_the_search_for_traces_finds_them(tmp_path: Path) -> None:
    vectors = load_embedder("default").embed(PROMPTS[:2])
    for form, kind in {"float16": "<f2", "float64": "<f8"}.items():
        (tmp_path / "file").write_bytes(b"x" * 5 + vectors.astype(kind).tobytes())
        assert find_vectors(read_folder(tmp_path), vectors)[form] == 2
    (tmp_path / "file").write_bytes(np.round(vectors * 127).astype("i1").tobytes())
    assert find_vectors(read_folder(tmp_path), vectors)["int8"] == 2
    for spelled in (PROMPTS[4].encode("utf-16-le"), PROMPTS[4].encode().hex().encode()):
        (tmp_path / "file").write_bytes(spelled)
        assert find_texts(read_folder(tmp_path), PROMPTS) == {PROMPTS[4]}


def test_a_cache_for_every_model_leaves_nothing_and_answers_for_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "leo.db"
    one, two = (LEOCache(path, privacy="sealed_local") for _ in range(2))
    with one, two, tenant(NAMES[0]):
        one.update(PROMPTS[0], "some model", [Generation(text=ANSWERS[PROMPTS[0]])])
        one.flush()
        assert two.lookup(PROMPTS[0], "some model") == [Generation(text=ANSWERS[PROMPTS[0]])]
        assert two.lookup(PROMPTS[0], "another model") is None
        assert one.invalidate(where=lambda entry: entry.text == PROMPTS[0]) == 1
        assert two.lookup(PROMPTS[0], "some model") is None
    assert find_texts(read_folder(tmp_path), [PROMPTS[0], ANSWERS[PROMPTS[0]], NAMES[0]]) == set()


def test_a_mode_is_a_name_or_settings_and_a_misspelt_one_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sealed_local, query_private, fully_encrypted"):
        LEOChatModel(small=ScriptedModel("m", replies=["a"]), privacy="sealed")
    with pytest.raises(ConfigError):
        LEOCache(privacy="sealed")
    plain = LEOChatModel(small=ScriptedModel("m", replies=["a"]))
    private = LEOChatModel(small=ScriptedModel("m", replies=["a"]), privacy="sealed_local")
    assert plain._identifying_params["policy_sha256"] != private._identifying_params["policy_sha256"]
    with private:
        private.invoke("Hello?")
        with pytest.raises(ConfigError, match="privacy cannot be changed"):
            private.privacy = None


def test_an_embedded_chroma_is_refused_because_it_spills_memory(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="parts of this process's memory"):
        LEOCache(f"chroma:{tmp_path}/chroma", privacy="sealed_local").leo  # noqa: B018 - opens the store
    with ChromaStore("chroma::memory:") as store:
        assert not store.spills_memory
        assert PrivateStore(store, Keyrings.in_memory()).tenants() == ()
