"""The Chroma store keeps the contract, embedded and on a server."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest

from leo_core.errors import ConfigError, StorageError, StoreMismatchError, StoreUnavailableError
from leo_core.records import Observation
from leo_core.storage.chroma import ChromaStore
from leo_core.storage.chroma_client import ChromaAddress
from tests.contracts.store import StoreContract
from tests.contracts.store_samples import DIMENSION, FINGERPRINT, NOW, axis, find_ids, make_entry
from tests.servers.chroma_server import ChromaServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.ports import Store

ACTIONS = ["put", "alias", "remove", "tag", "source", "model", "clear", "state", "observe", "hit"]
PATIENT_S = 120.0


@pytest.fixture(scope="module")
def server() -> Iterator[ChromaServer]:
    server = ChromaServer()
    yield server
    server.close()


class ChromaContract(StoreContract):
    """The contract at the speed of Chroma: fewer entries, and a few drawn cases in the place of many."""

    many = 120
    cases = 3

    def test_search_is_exact(self, make_ready: Callable[[], Store]) -> None:
        draw = random.Random(self.cases)
        for seed in range(self.cases):
            count, aliases, k = draw.randint(1, 40), draw.randint(0, 20), draw.randint(1, 70)
            self.check_search(make_ready(), seed, count, aliases, k, draw.random() / 2, draw.random() / 2)

    def test_a_tenant_sees_what_it_would_see_alone(self, make_ready: Callable[[], Store]) -> None:
        draw = random.Random(self.cases)
        for _ in range(self.cases):
            steps = [(draw.choice(ACTIONS), draw.choice(["acme", "other"]), draw.randint(0, 4)) for _ in range(25)]
            self.check_isolation(make_ready, steps)


class TestChromaStoreEmbedded(ChromaContract):
    """The contract, in this process."""

    cases = 5

    @pytest.fixture
    def store(self) -> Iterator[ChromaStore]:
        with ChromaStore("chroma::memory:") as store:
            yield store

    @pytest.fixture
    def make_store(self) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore("chroma::memory:")


class TestChromaStoreOnServer(ChromaContract):
    """The contract, on a server."""

    many = 48
    cases = 1

    @pytest.fixture
    def store(self, server: ChromaServer) -> Iterator[ChromaStore]:
        with ChromaStore(server.new_address(), write_timeout_s=PATIENT_S) as store:
            yield store

    @pytest.fixture
    def make_store(self, server: ChromaServer) -> Callable[[], ChromaStore]:
        return lambda: ChromaStore(server.new_address(), write_timeout_s=PATIENT_S)


@pytest.fixture
def httpserver_that_says_no() -> Iterator[int]:
    class No(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(404, "no such page")

        def do_GET(self):
            self.send_error(404, "no such page")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), No) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served.server_port
        served.shutdown()
        thread.join()


# ------------------------------------------------------------------------------------------------ addresses


def test_addresses_are_read_whole():
    assert ChromaAddress.parse("chroma:some/folder") == ChromaAddress(path="some/folder", home="some/folder")
    assert ChromaAddress.parse("chroma://db:9000/shop?home=/var/leo&timeout_ms=100&tls=true") == ChromaAddress(
        host="db", port=9000, name="shop", home="/var/leo", timeout_s=0.1, tls=True
    )
    assert ChromaAddress.parse("chroma://db") == ChromaAddress(host="db", port=8000, name="leo", timeout_s=0.25)


@pytest.mark.parametrize(
    "address",
    [
        "chroma:", "leo.db", "chroma://", "chroma://db:port/x", "chroma://db:99999/x", "chroma://user:secret@db/x",
        "chroma://db/-x", "chroma://db/a/b", "chroma://db/x?unknown=1", "chroma://db/x?tls=perhaps",
        "chroma://db/x?timeout_ms=0", "chroma://db/x?timeout_ms=1.5", "chroma://db/x?home",
    ],
)  # fmt: skip
def test_addresses_that_say_nothing_are_refused(address):
    with pytest.raises(ConfigError) as caught:
        ChromaStore(address)
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- embedded


def test_a_folder_keeps_everything(tmp_path):
    address = f"chroma:{tmp_path}/chroma"
    with ChromaStore(address) as store:
        store.open_for(FINGERPRINT)
        store.put(make_entry("a", tags=("x",)), axis(0))
        store.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias")
        store.count_hit("acme", "id-a")
        store.observe([Observation(kind="cache", tenant="acme", body={}, at=NOW)])
        store.save_state("acme", "name", b"state")
    with ChromaStore(address) as store:
        assert store.get("acme", "id-a") == make_entry("a", tags=("x",), hits=1)
        with pytest.raises(StoreMismatchError):
            store.open_for(replace(FINGERPRINT, version="2"))
        store.open_for(FINGERPRINT)
        assert find_ids(store, axis(1)) == ["id-a"]
        assert len(list(store.observations())) == 1
        assert store.load_state("acme", "name") == b"state"


def test_stores_of_one_process_share_a_folder_and_other_processes_are_refused(tmp_path):
    address = f"chroma:{tmp_path}/chroma"
    open_it = (
        "import sys; from leo_core.storage.chroma import ChromaStore; from leo_core.errors import StoreLockedError\n"
        "try: ChromaStore(sys.argv[1]).count_entries()\n"
        "except StoreLockedError: sys.exit(7)"
    )
    with ChromaStore(address) as one:
        with ChromaStore(address) as two:
            one.open_for(FINGERPRINT)
            two.open_for(FINGERPRINT)
            one.put(make_entry("a"), axis(0))
            assert find_ids(two, axis(0)) == ["id-a"]
        assert subprocess.run([sys.executable, "-c", open_it, address], timeout=200).returncode == 7
        assert find_ids(one, axis(0)) == ["id-a"]


def test_a_folder_that_cannot_be_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        ChromaStore(f"chroma:{tmp_path}/file/chroma")


# --------------------------------------------------------------------------------------------- the two of them


@pytest.fixture
def pair(server: ChromaServer) -> Iterator[tuple[ChromaStore, ChromaStore]]:
    """Two stores over one server, each with a connection of its own, as two processes have."""
    address = server.new_address()
    with ChromaStore(address, write_timeout_s=PATIENT_S) as one, ChromaStore(address, write_timeout_s=PATIENT_S) as two:
        one.open_for(FINGERPRINT)
        two.open_for(FINGERPRINT)
        yield one, two


def test_stores_over_one_server_see_each_others_changes(pair):
    one, two = pair
    one.put(make_entry("a"), axis(0))
    one.put(make_entry("b"), axis(1))
    assert find_ids(two, axis(0)) == ["id-a", "id-b"]
    one.add_alias("acme", "id-b", "alias", axis(2), "key-alias")
    assert find_ids(two, axis(2)) == ["id-b", "id-a"]
    two.remove("acme", entry_ids=["id-b"])
    assert find_ids(one, axis(2)) == ["id-a"]
    one.put(make_entry("a"), axis(3))
    assert two.search("acme", "scope", axis(3), k=1, now=NOW)[0].cosine == 1.0
    one.clear()
    assert find_ids(two, axis(0)) == []


def test_observations_of_several_writers_have_no_gaps_and_are_not_lost(pair):
    one, two = pair
    batches = [[Observation(kind="cache", tenant="acme", body={"n": n}, at=NOW)] * 2 for n in range(6)]
    for number, batch in enumerate(batches):
        (one, two)[number % 2].observe(batch)
    seen = list(one.observations())
    assert [item.body["n"] for _, item in seen] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [item for _, item in two.observations(seen[6][0])] == [item for _, item in seen[7:]]


def test_a_batch_that_was_written_without_an_acknowledgement_is_not_written_twice(pair, monkeypatch):
    one, two = pair
    batch = [Observation(kind="cache", tenant="acme", body={"n": n}, at=NOW) for n in range(3)]
    read = one._log._read_nonce

    def lose(number):
        raise StoreUnavailableError("the answer was lost")

    monkeypatch.setattr(one._log, "_read_nonce", lose)
    with pytest.raises(StoreUnavailableError):
        one.observe(batch)
    monkeypatch.setattr(one._log, "_read_nonce", read)
    more = Observation(kind="cache", tenant="acme", body={"n": 3}, at=NOW)
    one.observe([*batch, more])
    assert [item.body["n"] for _, item in two.observations()] == [0, 1, 2, 3]


def test_a_vector_that_a_crash_left_without_its_entry_is_passed_over_and_deleted(pair, monkeypatch):
    one, two = pair
    one.put(make_entry("a"), axis(1))

    def crash(*_):
        raise StoreUnavailableError("killed between the two requests")

    monkeypatch.setattr(one._table, "entries", crash)
    with two._link.within(PATIENT_S):
        scope = two._table.entries().get(include=["metadatas"])["metadatas"][0]["scope"]
    with pytest.raises(StoreUnavailableError), one._link.within(PATIENT_S):
        one._table.add("0" * 20 + "f" * 12, {"scope": scope, "ends": 1e300}, None, axis(0))
    monkeypatch.undo()
    assert find_ids(one, axis(0)) == ["id-a"]
    with one._link.within(PATIENT_S):
        assert one._table.vectors().count() == 2
    one.put(make_entry("b"), None)
    with one._link.within(PATIENT_S):
        assert one._table.vectors().count() == 1


def test_what_chroma_filters_is_filtered_again(pair, monkeypatch):
    one, _ = pair
    one.put(make_entry("a", scope_key="other"), axis(0))
    one.put(make_entry("b"), axis(1))
    with one._link.within(PATIENT_S):
        rows = one._table.vectors().get(include=[])["ids"]
    monkeypatch.setattr(one._table, "find", lambda *_: (rows, -1.0))
    assert find_ids(one, axis(0), k=9) == ["id-b"]


def test_records_that_leo_did_not_write_are_passed_over(pair):
    one, two = pair
    one.put(make_entry("a"), axis(0))
    with two._link.within(PATIENT_S):
        (facts,) = two._table.entries().get(include=["metadatas"])["metadatas"]
        for number, change in enumerate(
            [{"scope": 5}, {"ends": "soon"}, {"text": "?"}, {"vector": "?"}, {"own": "yes"}, {"hits": "many"}]
        ):
            name = f"zz{number}"
            two._table.entries().add(ids=[name], embeddings=[[0.5]], metadatas=[facts | {"of": name} | change])
            place = {"scope": facts["scope"], "ends": facts["ends"]}
            two._table.vectors().add(ids=[name], embeddings=[axis(0)], metadatas=[place])
    assert find_ids(one, axis(0)) == ["id-a"]


def test_the_embedder_is_noted_with_the_vectors_and_another_is_refused(pair):
    one, two = pair
    other = replace(FINGERPRINT, dimension=DIMENSION * 2)
    two.open_for(other)
    two.put(make_entry("a"), np.eye(DIMENSION * 2, dtype=np.float32)[0])
    with pytest.raises(StoreMismatchError):
        one.open_for(FINGERPRINT)


def test_a_server_that_is_not_there_is_a_storage_error():
    with ChromaStore("chroma://127.0.0.1:9/none") as store:
        with pytest.raises(StoreUnavailableError):
            store.open_for(FINGERPRINT)
        with pytest.raises(StoreUnavailableError):
            store.get("acme", "id-a")


def test_a_server_that_is_no_chroma_is_a_storage_error(httpserver_that_says_no):
    store = ChromaStore(f"chroma://127.0.0.1:{httpserver_that_says_no}/none?timeout_ms=60000")
    with store, pytest.raises(StorageError):
        store.get("acme", "id-a")
