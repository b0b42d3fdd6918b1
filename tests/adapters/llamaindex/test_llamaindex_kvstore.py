"""LEOKVStore: what a key-value store of LlamaIndex does, on LEO's store; ingestion and embeddings end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Document
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import TransformComponent
from llama_index.core.storage.kvstore import SimpleKVStore
from pydantic import PrivateAttr

from leo_core import LEOConfig
from leo_core.errors import StorageError, TenantRequiredError
from leo_core.stages.cache.config import CacheConfig
from leo_llamaindex import LEOEmbedding, LEOKVStore
from tests.contracts.event_loop import never_blocked

HIDDEN = "The ferry to Ulva leaves at 9:40."


@pytest.fixture(params=[":memory:", "file", "sealed"])
def kvstore(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    store = ":memory:" if request.param == ":memory:" else str(tmp_path / "leo.db")
    with LEOKVStore(store, privacy="sealed_local" if request.param == "sealed" else None) as made:
        yield made


async def test_it_does_what_llamaindexs_own_store_does(kvstore: LEOKVStore) -> None:
    """The same calls give the same replies from both; the other one is the reference."""
    simple = SimpleKVStore()
    value = {"list": [1, 2.5, None, True], "nested": {"text": "ü 😀"}, "empty": {}}
    for kv in (simple, kvstore):
        kv.put("a", value)
        kv.put("a", {"second": 2}, collection="other")
        await kv.aput("b", {"x": 1})
        kv.put_all([("c", {"x": 2}), ("d", {"x": 3})], batch_size=1)
        await kv.aput_all([("e", {"x": 4})], batch_size=1)
        kv.put("b", {"x": 5})
    for ask in (
        lambda kv: kv.get("a"),
        lambda kv: kv.get("a", collection="other"),
        lambda kv: kv.get("b"),
        lambda kv: kv.get("missing"),
        lambda kv: kv.get("b", collection="other"),
        lambda kv: kv.get_all(),
        lambda kv: kv.get_all(collection="other"),
        lambda kv: kv.get_all(collection="none"),
        lambda kv: kv.delete("c"),
        lambda kv: kv.delete("c"),
        lambda kv: kv.get("c"),
        lambda kv: sorted(kv.get_all()),
    ):
        assert ask(kvstore) == ask(simple)
    assert await kvstore.aget("a") == value
    assert await kvstore.aget_all("other") == {"a": {"second": 2}}
    assert (await kvstore.adelete("a"), await kvstore.adelete("a")) == (True, False)
    assert kvstore.get("a", collection="other") == {"second": 2}


def test_a_value_that_was_read_is_the_callers_own() -> None:
    with LEOKVStore() as kv:
        kv.put("a", {"x": [1]})
        kv.get("a")["x"].append(2)  # type: ignore[index]  # it is there
        assert kv.get("a") == {"x": [1]}


def test_tenants_do_not_share_values() -> None:
    with LEOKVStore(tenant="acme") as kv:
        kv.put("a", {"x": 1})
        with instrument_tags({"tenant": "other"}):
            assert kv.get("a") is None
            assert kv.get_all() == {}
            assert not kv.delete("a")
        assert kv.get("a") == {"x": 1}


def test_where_a_tenant_is_required_nothing_is_kept_for_nobody() -> None:
    with LEOKVStore(config=LEOConfig(require_tenant=True)) as kv:
        kv.put("a", {"x": 1})
        assert kv.get("a") is None
        assert kv.counts == {"put.failed": 1, "get.failed": 1}
        with pytest.raises(TenantRequiredError):
            kv.get_all()
        with instrument_tags({"tenant": "acme"}):
            kv.put("a", {"x": 2})
            assert kv.get("a") == {"x": 2}


def test_each_tenants_limits_hold() -> None:
    with LEOKVStore(config=LEOConfig(cache=CacheConfig(max_entries=20))) as kv:
        for number in range(128):
            for tenant in ("acme", "other"):
                with instrument_tags({"tenant": tenant}):
                    kv.put(str(number), {"x": number})
        assert [kv.leo.store.count_entries(tenant) for tenant in ("acme", "other")] == [20, 20]


def test_values_end() -> None:
    with LEOKVStore(ttl_s=0.0) as kv:
        kv.put("a", {"x": 1})
        assert kv.get("a") is None
        assert kv.get_all() == {}


async def test_the_event_loop_is_not_blocked(tmp_path: Path) -> None:
    kv = LEOKVStore(str(tmp_path / "leo.db"))
    with never_blocked():
        await kv.aput("a", {"x": 1})
        assert await kv.aget("a") == {"x": 1}
        assert await kv.aget_all() == {"a": {"x": 1}}
        assert await kv.adelete("a")
        await kv.aclose()


async def test_a_broken_store_is_a_miss(tmp_path: Path) -> None:
    broken = tmp_path / "leo.db"
    broken.write_bytes(b"this is no database" * 100)
    kv = LEOKVStore(str(broken))
    kv.put("a", {"x": 1})
    assert kv.get("a") is await kv.aget("a") is None
    assert kv.counts == {"put.failed": 1, "get.failed": 2}
    for ask in (kv.get_all, lambda: kv.delete("a")):
        with pytest.raises(StorageError):
            ask()


def test_what_is_no_json_is_dropped_and_counted() -> None:
    with LEOKVStore() as kv:
        kv.put("a", {"x": object()})
        assert kv.get("a") is None
        assert kv.counts["put.failed"] == 1


# ------------------------------------------------------------------------------------------------- end to end


class Counting(TransformComponent):
    """Counts the nodes that it was given."""

    _seen: list[str] = PrivateAttr(default_factory=list)

    def __call__(self, nodes: Any, **_: Any) -> Any:
        self._seen.extend(node.get_content() for node in nodes)
        return nodes

    def to_dict(self, **_: Any) -> dict[str, Any]:
        return {"class_name": "Counting"}


@pytest.mark.parametrize("privacy", [None, "sealed_local"])
def test_a_pipeline_does_not_work_twice_on_the_same_documents(tmp_path: Path, privacy: str | None) -> None:
    path = tmp_path / "leo.db"

    def run(document: Document, tenant: str = "acme") -> tuple[list[str], list[Any]]:
        counting = Counting()
        with LEOKVStore(str(path), tenant=tenant, privacy=privacy) as kv:
            steps = [SentenceSplitter(), counting, LEOEmbedding()]
            pipeline = IngestionPipeline(transformations=steps, cache=IngestionCache(cache=kv))
            return counting._seen, pipeline.run(documents=[document], show_progress=False)

    document = Document(text=HIDDEN, id_="one", metadata={"page": 7})
    first, made = run(document)
    second, again = run(document)
    assert (first, second) == ([HIDDEN], [])
    assert [node.model_dump() for node in again] == [node.model_dump() for node in made]
    assert len(again[0].embedding) == 256
    assert run(document, tenant="other")[0] == [HIDDEN]
    assert run(Document(text=HIDDEN + " Really.", id_="one"))[0] == [HIDDEN + " Really."]
    stored = b"".join(found.read_bytes() for found in tmp_path.glob("leo.db*") if found.is_file())
    assert (b"acme" in stored) == (privacy is None)
    assert b"Ulva" not in stored or privacy is None


def test_the_whole_ingestion_cache_can_be_cleared() -> None:
    with LEOKVStore() as kv:
        cache = IngestionCache(cache=kv)
        cache.put("key", [Document(text=HIDDEN)])
        kv.put("key", {"x": 1}, collection="elsewhere")
        assert cache.get("key")[0].get_content() == HIDDEN  # type: ignore[index]  # it is there
        cache.clear()
        assert cache.get("key") is None
        assert kv.get("key", collection="elsewhere") == {"x": 1}


def test_vectors_of_texts_are_kept_between_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "leo.db")
    with LEOKVStore(path) as kv:
        vector = LEOEmbedding(embeddings_cache=kv).get_text_embedding(HIDDEN)
    with LEOKVStore(path) as kv:
        (kept,) = kv.get_all(f"embeddings/{LEOEmbedding().model_name}/text").items()
    assert kept[0] == HIDDEN
    assert list(kept[1].values()) == [vector]
