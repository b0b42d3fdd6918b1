"""What every store does.

Subclass :class:`StoreContract` and give it a fixture ``store``: an empty, open store. A fixture ``make_store`` that
makes further empty ones serves the property tests.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leo_core.errors import StorageError, StoreMismatchError
from leo_core.ports import Store
from leo_core.records import (
    CacheEntry,
    Message,
    Observation,
    Route,
    ToolCall,
    Usage,
)
from tests.contracts.store_samples import DIMENSION, FINGERPRINT, NOW, axis, find_ids, make_entry, make_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


RICH = Message(
    role="assistant",
    content=(
        {"type": "reasoning", "reasoning": "first …", "extras": {"signature": None}},
        {
            "type": "text",
            "text": "zwei \N{GREEK SMALL LETTER ALPHA}\x00 \ud83d",
            "annotations": [{"start": 0, "score": 0.1}],
        },
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
    ),
    tool_calls=(
        ToolCall(id="call-1", name="add", arguments={"a": 1, "b": [1.5, None, True, {"deep": -(2**70)}]}),
        ToolCall(id="call-2", name="nothing", arguments={}),
    ),
    tool_call_id="call-0",
    tool_error=True,
    name="calculator",
)
ODD_TEXTS = [
    "",
    "naïve \N{PILE OF POO}",
    "nul \x00 inside",
    "\ud800",
    "\ud83d\ude00",
    "\N{GRINNING FACE}",
    "back\\ud800slash",
]


class StoreContract:
    """The tests; see the module.

    Attributes:
        many: How many entries the tests of size write; 24 at least.
    """

    many = 600

    @pytest.fixture
    def ready(self, store: Store) -> Store:
        """The store, with its embedder declared."""
        store.open_for(FINGERPRINT)
        return store

    @pytest.fixture
    def make_ready(self, make_store: Callable[[], Store]) -> Callable[[], Store]:
        """Makes further empty stores with their embedder declared."""

        def make() -> Store:
            store = make_store()
            store.open_for(FINGERPRINT)
            return store

        return make

    def test_is_a_store(self, store: Store) -> None:
        assert isinstance(store, Store)

    # --------------------------------------------------------------------------------------- round trips

    def test_gives_back_the_whole_entry(self, ready: Store) -> None:
        entry = make_entry(
            "rich",
            message=RICH,
            usage=Usage(
                input_tokens=1, output_tokens=2, cached_input_tokens=1, reasoning_tokens=1, calls=3, cost_usd=None
            ),
            expires_at=NOW + 5,
            fresh_until=NOW + 2,
            tags=("law", "2028"),
            sources=("doc-1", "doc-2"),
            seal="0f" * 64,
            size_bytes=77,
            hits=3,
            route=Route.CONSENSUS,
            metadata={"finish": {"reason": "stop"}, "list": [1, 2.0, None]},
        )
        ready.put(entry, axis(0))
        assert ready.get("acme", entry.id) == entry
        assert ready.get_exact("acme", entry.exact_key, now=NOW) == entry
        assert ready.search("acme", "scope", axis(0), k=1, now=NOW)[0].entry == entry

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_any_text_survives_everywhere(self, ready: Store, text: str) -> None:
        entry = make_entry(
            "odd",
            id=f"i{text}",
            tenant=text,
            exact_key=f"k{text}",
            scope_key=text,
            text=text,
            model=text,
            tags=(text,),
            sources=(text,),
            message=Message(role="assistant", content=text),
            metadata={text: text},
        )
        ready.put(entry, axis(0))
        ready.add_alias(text, entry.id, text, axis(1), f"alias{text}")
        ready.observe([Observation(kind="served", tenant=text, body={text: text}, at=NOW)])
        ready.save_state(text, text, b"\x00\xff")
        assert ready.get(text, entry.id) == entry
        assert ready.get_exact(text, f"alias{text}", now=NOW) == entry
        assert [item.text for item in ready.search(text, text, axis(1), k=5, now=NOW)] == [text]
        assert [item.body for _, item in ready.observations(tenant=text)] == [{text: text}]
        assert ready.load_state(text, text) == b"\x00\xff"
        assert ready.tenants() == (text,)
        ((kept,),) = (list(ready.entries(text)),)
        assert (kept.entry, [(alias.exact_key, alias.text) for alias in kept.aliases]) == (
            entry,
            [(f"alias{text}", text)],
        )
        assert ready.remove(text, sources=[f"{text}?"]) == 0
        assert ready.remove(text, sources=[text]) == 1
        ready.put(entry, None)
        assert ready.remove(text, tags=[text]) == 1

    def test_texts_that_look_alike_stay_apart(self, ready: Store) -> None:
        for number, text in enumerate(ODD_TEXTS):
            ready.put(make_entry(str(number), tenant=text), None)
        assert ready.tenants() == tuple(sorted(ODD_TEXTS))
        assert all(ready.count_entries(text) == 1 for text in ODD_TEXTS)

    @pytest.mark.parametrize("value", [b"bytes", {1: "key is no text"}, {"set": {1}}, object()])
    def test_refuses_what_is_not_json(self, ready: Store, value: object) -> None:
        with pytest.raises(StorageError):
            ready.put(make_entry("bad", metadata={"value": value}), axis(0))
        with pytest.raises(StorageError):
            ready.observe(
                [
                    Observation(kind="cache", tenant="acme", body={}, at=NOW),
                    Observation(kind="cache", tenant="acme", body={"value": value}, at=NOW),
                ]
            )
        assert ready.count_entries() == 0
        assert list(ready.observations()) == []

    def test_nobody_outside_can_change_what_is_kept(self, ready: Store) -> None:
        metadata = {"list": [1]}
        block = {"type": "text", "text": "kept"}
        body = {"bin": 1}
        vector = axis(0).copy()
        entry = make_entry("mine", metadata=metadata, message=Message(role="assistant", content=(block,)))
        ready.put(entry, vector)
        ready.observe([Observation(kind="cache", tenant="acme", body=body, at=NOW)])
        metadata["list"].append(2)
        block["text"] = "changed"
        body["bin"] = 2
        vector[:] = axis(1)

        def check() -> CacheEntry:
            found = ready.search("acme", "scope", axis(0), k=1, now=NOW)[0]
            assert found.cosine == 1.0
            assert found.entry.metadata == {"list": [1]}
            assert found.vector is not None
            assert np.array_equal(found.vector, axis(0))
            assert found.entry.message.content == ({"type": "text", "text": "kept"},)
            ((_, seen),) = ready.observations()
            assert seen.body == {"bin": 1}
            seen.body["bin"] = 3
            return found.entry

        for given_out in (check(), ready.get("acme", entry.id), ready.get_exact("acme", entry.exact_key, now=NOW)):
            assert given_out is not None
            given_out.metadata["list"].append(3)
            given_out.message.content[0]["text"] = "changed"
        for given_out in (next(iter(ready.entries("acme"))), ready.search("acme", "scope", axis(0), k=1, now=NOW)[0]):
            given_out.entry.metadata["list"].append(4)
            if given_out.vector is not None and given_out.vector.flags.writeable:
                given_out.vector[:] = axis(2)
        check()

    # ------------------------------------------------------------------------------------ exact and alias

    def test_knows_nothing_at_first(self, ready: Store) -> None:
        assert ready.get_exact("acme", "key-a", now=NOW) is None
        assert ready.get("acme", "id-a") is None
        assert ready.search("acme", "scope", axis(0), k=3, now=NOW) == ()
        assert ready.load_state("acme", "novelty") is None
        assert list(ready.observations()) == []
        assert ready.tenants() == ()
        assert list(ready.entries("acme")) == []
        assert list(ready.entries("acme", entry_ids=["id-a"])) == []
        assert ready.remove("acme", entry_ids=["id-a"], tags=["x"], sources=["s"], model="m") == 0
        assert ready.clear() == 0
        ready.count_hit("acme", "id-a")
        ready.add_alias("acme", "id-a", "text", axis(0), "key-b")
        assert ready.count_entries() == 0

    def test_an_alias_answers_exactly_and_by_its_vector(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase of a", axis(1), "key-alias")
        found = ready.get_exact("acme", "key-alias", now=NOW)
        assert found is not None
        assert found.id == "id-a"
        (neighbour,) = ready.search("acme", "scope", axis(1), k=5, now=NOW)
        assert (neighbour.entry.id, neighbour.cosine, neighbour.text) == ("id-a", 1.0, "paraphrase of a")
        (neighbour,) = ready.search("acme", "scope", axis(0), k=5, now=NOW)
        assert neighbour.text == "question a"
        assert ready.count_entries() == 1

    def test_an_alias_stays_in_the_scope_of_its_entry(self, ready: Store) -> None:
        ready.put(make_entry("a", scope_key="other"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias")
        assert find_ids(ready, axis(1)) == []
        assert len(ready.search("acme", "other", axis(1), k=5, now=NOW)) == 1

    def test_an_alias_moves_to_the_entry_that_claimed_it_last(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.put(make_entry("b"), axis(1))
        ready.add_alias("acme", "id-a", "said of a", axis(2), "key-alias")
        ready.add_alias("acme", "id-b", "said of b", axis(3), "key-alias")
        found = ready.get_exact("acme", "key-alias", now=NOW)
        assert found is not None
        assert found.id == "id-b"
        assert [item.text for item in ready.search("acme", "scope", axis(2), k=1, now=NOW)] == ["question a"]
        assert [item.text for item in ready.search("acme", "scope", axis(3), k=1, now=NOW)] == ["said of b"]

    def test_an_alias_never_takes_an_entrys_own_key(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.put(make_entry("b"), axis(1))
        ready.add_alias("acme", "id-a", "question b", axis(1), "key-b")
        ready.add_alias("acme", "id-a", "question a again", axis(2), "key-a")
        found = ready.get_exact("acme", "key-b", now=NOW)
        assert found is not None
        assert found.id == "id-b"
        assert [item.text for item in ready.search("acme", "scope", axis(2), k=1, now=NOW)] == ["question a"]

    def test_a_new_entry_takes_its_key_from_an_alias(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-b")
        ready.put(make_entry("b"), axis(2))
        found = ready.get_exact("acme", "key-b", now=NOW)
        assert found is not None
        assert found.id == "id-b"
        assert [item.text for item in ready.search("acme", "scope", axis(1), k=9, now=NOW)] == [
            "question a",
            "question b",
        ]

    def test_aliases_go_with_their_entry(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias")
        assert ready.remove("acme", entry_ids=["id-a"]) == 1
        assert ready.get_exact("acme", "key-alias", now=NOW) is None
        assert find_ids(ready, axis(1)) == []

    # -------------------------------------------------------------------------------------------- seals

    def test_a_seal_stands_beside_its_question(self, ready: Store) -> None:
        entry = make_entry("a", seal="seal of a")
        ready.put(entry, axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias", seal="seal of the alias")
        ready.add_alias("acme", "id-a", "without", axis(2), "key-without")
        own, alias = (ready.get_exact("acme", key, now=NOW) for key in ("key-a", "key-alias"))
        assert own == alias == entry == ready.get("acme", "id-a")
        assert [each.seal for each in (own, alias, ready.get("acme", "id-a")) if each is not None] == [
            "seal of a",
            "seal of the alias",
            "seal of a",
        ]
        for vector, seal in [(axis(0), "seal of a"), (axis(1), "seal of the alias"), (axis(2), "")]:
            (found,) = ready.search("acme", "scope", vector, k=5, now=NOW)
            assert (found.entry, found.entry.seal) == (entry, seal)
            assert found.vector is not None
            assert np.array_equal(found.vector, vector)

    def test_a_seal_goes_with_its_question(self, ready: Store) -> None:
        ready.put(make_entry("a", seal="first"), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias", seal="alias of a")
        ready.put(make_entry("b", seal="other"), axis(2))
        ready.add_alias("acme", "id-b", "paraphrase", axis(1), "key-alias", seal="alias of b")
        ready.put(make_entry("a"), axis(0))
        ((first, second),) = [tuple(ready.entries("acme"))]
        assert (first.entry.seal, [each.seal for each in first.aliases]) == ("other", ["alias of b"])
        assert (second.entry.seal, second.aliases) == ("", ())
        found = [ready.get_exact("acme", key, now=NOW) for key in ("key-a", "key-alias")]
        assert [(each.id, each.seal) for each in found if each is not None] == [("id-a", ""), ("id-b", "alias of b")]

    # ------------------------------------------------------------------------------------------- listing

    def test_lists_entries_whole_in_the_order_of_writing(self, ready: Store) -> None:
        half = self.many // 2
        vectors = make_vectors(2 * half)
        for number in range(half):
            ready.put(make_entry(str(number), expires_at=NOW - 5, seal=f"seal {number}"), vectors[number])
        ready.put(make_entry("exact only"), None)
        ready.put(make_entry("of another", tenant="other"), axis(0))
        for number in (7, 7, 9):
            ready.add_alias("acme", f"id-{number}", f"alias {number}", vectors[half + number], f"a-{number}", seal="s")
        ready.add_alias("acme", "id-7", "second", axis(3), "second")
        ready.put(make_entry("0", seal="again"), vectors[0])
        ready.count_hit("acme", "id-9")
        found = list(ready.entries("acme"))
        assert [kept.entry.id for kept in found] == [
            *(f"id-{number}" for number in range(1, half)),
            "id-exact only",
            "id-0",
        ]
        by_id = {kept.entry.id: kept for kept in found}
        assert by_id["id-9"].entry == make_entry("9", expires_at=NOW - 5, hits=1)
        assert [(each.exact_key, each.text) for each in by_id["id-7"].aliases] == [
            ("a-7", "alias 7"),
            ("second", "second"),
        ]
        assert np.array_equal(by_id["id-7"].aliases[0].vector, vectors[half + 7])
        assert by_id["id-exact only"].vector is None
        assert np.array_equal(np.asarray(by_id[f"id-{half - 1}"].vector), vectors[half - 1])
        assert [kept.entry.id for kept in ready.entries("acme", entry_ids=["id-9", "nobody", "id-3", "id-9"])] == [
            "id-3",
            "id-9",
        ]
        assert list(ready.entries("acme", entry_ids=[])) == []

    def test_entries_may_be_removed_while_they_are_listed(self, ready: Store) -> None:
        for number in range(self.many):
            ready.put(make_entry(str(number)), axis(number % DIMENSION))
        seen = []
        for kept in ready.entries("acme"):
            seen.append(kept.entry.id)
            ready.remove("acme", entry_ids=[kept.entry.id])
        assert seen == [f"id-{number}" for number in range(self.many)]
        assert ready.count_entries() == 0

    # ------------------------------------------------------------------------------------------ replacing

    @pytest.mark.parametrize("changes", [{"id": "id-new"}, {"exact_key": "key-new"}, {}])
    def test_put_replaces_the_same_key_and_the_same_id(self, ready: Store, changes: dict[str, str]) -> None:
        ready.put(make_entry("a", tags=("old",)), axis(0))
        ready.add_alias("acme", "id-a", "paraphrase", axis(1), "key-alias")
        find_ids(ready, axis(0))
        new = make_entry("a", model="large-1", **changes)
        ready.put(new, axis(2))
        assert ready.count_entries() == 1
        assert ready.get("acme", new.id) == new
        assert ready.get_exact("acme", new.exact_key, now=NOW) == new
        assert ready.get_exact("acme", "key-alias", now=NOW) is None
        assert [item.cosine for item in ready.search("acme", "scope", axis(2), k=9, now=NOW)] == [1.0]
        assert ready.remove("acme", tags=["old"]) == 0

    def test_put_many_is_put_in_turn(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        first, second = make_entry("b"), make_entry("b", id="id-later")
        ready.put_many([])
        ready.put_many(
            [(make_entry("a", model="large-1"), axis(3)), (first, axis(1)), (make_entry("c"), None), (second, axis(2))]
        )
        assert ready.count_entries() == 3
        assert ready.get("acme", first.id) is None
        assert ready.get_exact("acme", "key-b", now=NOW) == second
        assert ready.get("acme", "id-c") == make_entry("c")
        assert sorted(find_ids(ready, axis(2))) == ["id-a", "id-later"]
        assert ready.search("acme", "scope", axis(3), k=1, now=NOW)[0].entry.model == "large-1"

    def test_put_many_writes_all_or_none(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        bad = np.full(len(axis(0)), np.nan, dtype=np.float32)
        with pytest.raises(StorageError):
            ready.put_many([(make_entry("b"), axis(1)), (make_entry("a", model="large-1"), bad)])
        assert find_ids(ready, axis(0)) == ["id-a"]
        assert ready.get("acme", "id-a") == make_entry("a")
        assert ready.get("acme", "id-b") is None

    def test_put_may_replace_two_at_once(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.put(make_entry("b"), axis(1))
        ready.put(make_entry("a", exact_key="key-b"), axis(2))
        assert ready.count_entries() == 1
        assert find_ids(ready, axis(0)) == ["id-a"]

    def test_an_entry_may_move_to_another_scope(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        assert find_ids(ready, axis(0)) == ["id-a"]
        ready.put(make_entry("a", scope_key="other"), axis(0))
        assert find_ids(ready, axis(0)) == []
        assert len(ready.search("acme", "other", axis(0), k=1, now=NOW)) == 1

    def test_an_entry_without_vector_is_found_exactly_only(self, ready: Store) -> None:
        ready.put(make_entry("a"), None)
        ready.put(make_entry("b"), axis(1))
        assert find_ids(ready, axis(0)) == ["id-b"]
        assert ready.get_exact("acme", "key-a", now=NOW) is not None
        ready.put(make_entry("b"), None)
        assert find_ids(ready, axis(0)) == []

    # ---------------------------------------------------------------------------------------------- time

    def test_serves_until_the_instant_of_expiry(self, ready: Store) -> None:
        ready.put(make_entry("a", expires_at=NOW), axis(0))
        ready.put(make_entry("b", expires_at=None), axis(1))
        ready.add_alias("acme", "id-a", "paraphrase", axis(2), "key-alias")
        for key in ("key-a", "key-alias"):
            assert ready.get_exact("acme", key, now=NOW) is not None
            assert ready.get_exact("acme", key, now=NOW + 0.001) is None
        assert find_ids(ready, axis(2), now=NOW) == ["id-a", "id-b"]
        assert find_ids(ready, axis(2), now=NOW + 0.001) == ["id-b"]
        assert find_ids(ready, axis(2), now=NOW) == ["id-a", "id-b"]
        assert ready.get("acme", "id-a") is not None
        assert ready.count_entries() == 2

    def test_refuses_an_expiry_that_is_no_number(self, ready: Store) -> None:
        with pytest.raises(StorageError):
            ready.put(make_entry("a", expires_at=float("nan")), axis(0))
        assert ready.count_entries() == 0

    def test_counts_hits(self, ready: Store) -> None:
        ready.put(make_entry("a", hits=2), axis(0))
        ready.count_hit("acme", "id-a")
        ready.count_hit("acme", "id-a")
        ready.count_hit("other", "id-a")
        found = ready.get("acme", "id-a")
        assert found == make_entry("a", hits=4)
        assert ready.search("acme", "scope", axis(0), k=1, now=NOW)[0].entry.hits == 4

    # --------------------------------------------------------------------------------------------- search

    @given(
        seed=st.integers(0, 2**32 - 1),
        count=st.integers(0, 60),
        aliases=st.integers(0, 60),
        k=st.integers(0, 70),
        expired=st.floats(0, 1),
        removed=st.floats(0, 1),
    )
    @FEW
    def test_search_is_exact(
        self,
        make_ready: Callable[[], Store],
        seed: int,
        count: int,
        aliases: int,
        k: int,
        expired: float,
        removed: float,
    ) -> None:
        self.check_search(make_ready(), seed, count, aliases, k, expired, removed)

    def check_search(
        self, store: Store, seed: int, count: int, aliases: int, k: int, expired: float, removed: float
    ) -> None:
        """Compare a search among random entries with the scores of all of them."""
        random = np.random.default_rng(seed)
        vectors = make_vectors(count + aliases + 1, seed)
        owners = [*range(count), *random.integers(0, max(count, 1), aliases)] if count else []
        late = random.random(count) < expired
        gone = random.random(count) < removed
        for number in range(count):
            store.put(make_entry(str(number), expires_at=NOW - 1 if late[number] else None), vectors[number])
        store.search("acme", "scope", vectors[-1], k=3, now=NOW)
        for number in range(count, len(owners)):
            store.add_alias("acme", f"id-{owners[number]}", f"alias {number}", vectors[number], f"key-alias-{number}")
        store.remove("acme", entry_ids=[f"id-{number}" for number in range(count) if gone[number]])

        best: dict[int, float] = {}
        for number, owner in enumerate(owners):
            if not late[owner] and not gone[owner]:
                cosine = float(np.dot(vectors[number].astype(float), vectors[-1].astype(float)))
                best[owner] = max(cosine, best.get(owner, -2.0))
        expected = sorted(best.items(), key=lambda item: -item[1])[:k]
        found = store.search("acme", "scope", vectors[-1], k=k, now=NOW)
        assert [item.entry.id for item in found] == [f"id-{owner}" for owner, _ in expected]
        assert [item.cosine for item in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-12)
        store.close()

    def test_equals_come_in_the_order_of_writing(self, ready: Store) -> None:
        names = [str(number) for number in range(40)]
        for name in names:
            ready.put(make_entry(name), axis(0))
        ready.put(make_entry("better"), axis(1))
        query = (axis(0) * np.float32(0.6) + axis(1) * np.float32(0.8)).astype(np.float32)
        assert find_ids(ready, query, k=30) == ["id-better", *(f"id-{name}" for name in names[:29])]

    def test_sees_what_was_written_after_the_last_search(self, ready: Store) -> None:
        for number in range(8):
            ready.put(make_entry(str(number)), axis(number))
            assert find_ids(ready, axis(number), k=1) == [f"id-{number}"]
        ready.remove("acme", entry_ids=["id-3"])
        assert "id-3" not in find_ids(ready, axis(3))

    def test_refuses_vectors_that_cannot_be_compared(self, ready: Store) -> None:
        with pytest.raises(StoreMismatchError):
            ready.put(make_entry("a"), np.ones(DIMENSION + 1, dtype=np.float32))
        with pytest.raises(StoreMismatchError):
            ready.search("acme", "scope", np.ones(DIMENSION - 1, dtype=np.float32), k=1, now=NOW)
        with pytest.raises(StorageError):
            ready.put(make_entry("a"), np.full(DIMENSION, np.nan, dtype=np.float32))
        assert ready.count_entries() == 0

    # --------------------------------------------------------------------------------------- the embedder

    def test_refuses_vectors_before_the_embedder_is_known(self, store: Store) -> None:
        with pytest.raises(StoreMismatchError):
            store.put(make_entry("a"), axis(0))
        store.put(make_entry("a"), None)
        assert store.count_entries() == 1

    @pytest.mark.parametrize(
        "changes", [{"name": "x"}, {"version": "2"}, {"dimension": DIMENSION * 2}, {"table_sha256": "cd" * 32}]
    )
    def test_refuses_another_embedder_while_vectors_are_inside(self, ready: Store, changes: dict[str, Any]) -> None:
        other = replace(FINGERPRINT, **changes)
        ready.put(make_entry("a"), axis(0))
        with pytest.raises(StoreMismatchError):
            ready.open_for(other)
        ready.open_for(FINGERPRINT)
        assert find_ids(ready, axis(0)) == ["id-a"]
        ready.clear()
        ready.open_for(other)
        vector = np.eye(other.dimension, dtype=np.float32)[0]
        ready.put(make_entry("a"), vector)
        assert find_ids(ready, vector) == ["id-a"]
        with pytest.raises(StoreMismatchError):
            ready.open_for(FINGERPRINT)

    # ------------------------------------------------------------------------------------------ isolation

    def test_tenants_share_nothing(self, ready: Store) -> None:
        ready.put(make_entry("a", tags=("tag",), sources=("doc",)), axis(0))
        assert ready.get("other", "id-a") is None
        assert ready.get_exact("other", "key-a", now=NOW) is None
        assert find_ids(ready, axis(0), tenant="other") == []
        ready.add_alias("other", "id-a", "text", axis(1), "key-alias")
        assert ready.get_exact("acme", "key-alias", now=NOW) is None
        assert list(ready.entries("other")) == []
        assert ready.remove("other", entry_ids=["id-a"], tags=["tag"], sources=["doc"], model="small-1") == 0
        assert ready.clear("other") == 0
        ready.put(make_entry("a", tenant="other", model="large-1"), axis(0))
        assert ready.count_entries() == 2
        mine = ready.get("acme", "id-a")
        assert mine is not None
        assert mine.model == "small-1"

    def test_scopes_share_nothing(self, ready: Store) -> None:
        ready.put(make_entry("a", scope_key="one"), axis(0))
        ready.put(make_entry("b", scope_key="two"), axis(0))
        assert [item.entry.id for item in ready.search("acme", "one", axis(0), k=9, now=NOW)] == ["id-a"]
        assert [item.entry.id for item in ready.search("acme", "two", axis(0), k=9, now=NOW)] == ["id-b"]
        assert ready.search("acme", "three", axis(0), k=9, now=NOW) == ()

    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(
                    ["put", "alias", "remove", "tag", "source", "model", "clear", "state", "observe", "hit"]
                ),
                st.sampled_from(["acme", "other"]),
                st.integers(0, 4),
            ),
            max_size=25,
        )
    )
    @FEW
    def test_a_tenant_sees_what_it_would_see_alone(
        self, make_ready: Callable[[], Store], steps: list[tuple[str, str, int]]
    ) -> None:
        self.check_isolation(make_ready, steps)

    def check_isolation(self, make_ready: Callable[[], Store], steps: list[tuple[str, str, int]]) -> None:
        """Compare what two tenants of one store see with what each would see in a store of its own."""
        shared, alone = make_ready(), {"acme": make_ready(), "other": make_ready()}
        for action, tenant, number in steps:
            assert _act(shared, action, tenant, number) == _act(alone[tenant], action, tenant, number)
        for tenant, store in alone.items():
            assert _look(shared, tenant) == _look(store, tenant)
        assert shared.count_entries() == sum(store.count_entries() for store in alone.values())
        for store in (shared, *alone.values()):
            store.close()

    # ------------------------------------------------------------------------------------------- removing

    def test_removes_by_source(self, ready: Store) -> None:
        for name, sources in [("a", ("doc-1", "doc-2")), ("b", ("doc-2",)), ("c", ()), ("d", ("doc-3", "doc-3"))]:
            ready.put(make_entry(name, sources=sources, tags=("doc-3",)), axis(0))
        ready.put(make_entry("a", tenant="other", sources=("doc-2",)), axis(0))
        assert ready.remove("acme", sources=["doc-4"]) == 0
        assert ready.remove("acme", sources=["doc-2", "doc-1"]) == 2
        assert ready.remove("acme", entry_ids=["id-c"], sources=["doc-3"]) == 2
        assert ready.count_entries("acme") == 0
        assert ready.count_entries("other") == 1
        ready.put(make_entry("a"), axis(0))
        assert ready.remove("acme", sources=["doc-1"]) == 0

    def test_removes_by_id_tag_and_model(self, ready: Store) -> None:
        for name, tags, model in [
            ("a", ("x", "y"), "m1"),
            ("b", ("y",), "m1"),
            ("c", (), "m2"),
            ("d", ("z",), "m2"),
            ("e", (), "m3"),
        ]:
            ready.put(make_entry(name, tags=tags, model=model), axis(0))
        assert ready.remove("acme") == 0
        assert ready.remove("acme", entry_ids=["id-e", "id-e", "nobody"]) == 1
        assert ready.remove("acme", tags=["x", "y"]) == 2
        assert ready.remove("acme", entry_ids=["id-c"], tags=["z"], model="m2") == 2
        assert ready.count_entries() == 0
        assert find_ids(ready, axis(0)) == []

    def test_trims_expired_entries_first_then_those_that_save_least(self, ready: Store) -> None:
        for name, expires_at in [("a", None), ("b", NOW - 1), ("c", None), ("d", None), ("e", NOW)]:
            ready.put(make_entry(name, expires_at=expires_at, size_bytes=10), axis(0))
        ready.put(make_entry("f", tenant="other"), axis(0))
        ready.count_hit("acme", "id-a")
        assert ready.trim("acme", max_entries=None, max_bytes=None, now=NOW) == 1
        assert ready.trim("acme", max_entries=3, max_bytes=None, now=NOW) == 1
        assert ready.get("acme", "id-c") is None
        assert ready.trim("acme", max_entries=3, max_bytes=20, now=NOW) == 1
        assert {name for name in "abcde" if ready.get("acme", f"id-{name}")} == {"a", "e"}
        assert sorted(find_ids(ready, axis(0))) == ["id-a", "id-e"]
        assert ready.trim("acme", max_entries=0, max_bytes=None, now=NOW) == 2
        assert ready.count_entries("other") == 1

    def test_trims_by_what_a_hit_saves_by_age_and_by_size(self, ready: Store) -> None:
        def put(name: str, cost_usd: float | None, *, size_bytes: int = 10, age_s: float = 10.0) -> None:
            usage = Usage(calls=1, cost_usd=cost_usd)
            ready.put(make_entry(name, usage=usage, size_bytes=size_bytes, created_at=NOW - age_s), axis(0))

        put("dear", 1.0)
        put("cheap", 0.9)
        put("old and dear", 1.0, age_s=1000.0)
        put("unknown", None)
        put("free", 0.0)
        assert ready.trim("acme", max_entries=4, max_bytes=None, now=NOW) == 1
        assert ready.get("acme", "id-free") is None
        assert ready.trim("acme", max_entries=3, max_bytes=None, now=NOW) == 1
        assert ready.get("acme", "id-old and dear") is None
        put("dear and large", 1.5, size_bytes=1000)
        assert ready.trim("acme", max_entries=None, max_bytes=1000, now=NOW) == 1
        assert ready.get("acme", "id-dear and large") is None
        assert ready.trim("acme", max_entries=1, max_bytes=None, now=NOW) == 2
        assert ready.get("acme", "id-dear") is not None

    def test_tags_given_twice_are_one(self, ready: Store) -> None:
        ready.put(make_entry("a", tags=("x", "x")), axis(0))
        assert ready.remove("acme", tags=["x", "x"]) == 1

    def test_clears_one_tenant_or_all(self, ready: Store) -> None:
        for tenant in ("acme", "other", "third"):
            for name in "ab":
                ready.put(make_entry(name, tenant=tenant), axis(0))
            ready.observe([Observation(kind="served", tenant=tenant, body={}, at=NOW)])
            ready.save_state(tenant, "novelty", b"state")
        assert ready.clear("acme") == 2
        assert [ready.count_entries(tenant) for tenant in ("acme", "other", "third", None)] == [0, 2, 2, 4]
        assert ready.clear() == 4
        assert find_ids(ready, axis(0), tenant="other") == []
        assert len(list(ready.observations())) == 3
        assert ready.load_state("acme", "novelty") == b"state"
        assert ready.tenants() == ("acme", "other", "third")

    # ---------------------------------------------------------------------------- observations and states

    def test_observations_keep_their_order(self, store: Store) -> None:
        made = [
            Observation(
                kind=("cache", "trust", "route", "served", "feedback", "audit", "promotion")[number % 7],
                tenant=("acme", "other")[number % 3 == 0],
                body={"number": number, "list": [number / 2, None]},
                at=NOW - number,
            )
            for number in range(1300)
        ]
        store.observe(made[:1])
        store.observe([])
        store.observe(made[1:])
        seen = list(store.observations())
        assert [item for _, item in seen] == made
        numbers = [number for number, _ in seen]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert [item for _, item in store.observations(numbers[599])] == made[600:]
        assert list(store.observations(numbers[-1])) == []
        assert [item for _, item in store.observations(numbers[599], tenant="other")] == [
            item for item in made[600:] if item.tenant == "other"
        ]

    def test_observations_may_be_made_while_reading(self, store: Store) -> None:
        store.observe([Observation(kind="cache", tenant="acme", body={"n": 0}, at=NOW)])
        reader = store.observations()
        next(reader)
        store.observe([Observation(kind="cache", tenant="acme", body={"n": 1}, at=NOW)])
        store.save_state("acme", "fold", b"1")
        last = max((number for number, _ in store.observations()), default=0)
        assert [item.body["n"] for _, item in store.observations(last - 1)] == [1]
        del reader

    def test_states_are_kept_by_name(self, store: Store) -> None:
        store.save_state("acme", "novelty", b"")
        store.save_state("acme", "novelty", bytes(range(256)) * 1000)
        store.save_state("acme", "routes", b"routes")
        store.save_state("other", "novelty", b"other")
        assert store.load_state("acme", "novelty") == bytes(range(256)) * 1000
        assert store.load_state("acme", "routes") == b"routes"
        assert store.load_state("other", "routes") is None
        assert store.tenants() == ("acme", "other")

    def test_tenants_are_those_with_any_row(self, ready: Store) -> None:
        ready.put(make_entry("a", tenant="with entry"), axis(0))
        ready.observe([Observation(kind="cache", tenant="with observation", body={}, at=NOW)])
        ready.save_state("with state", "name", b"")
        assert ready.tenants() == ("with entry", "with observation", "with state")
        ready.clear()
        assert ready.tenants() == ("with observation", "with state")

    # ------------------------------------------------------------------------------------ threads, closing

    def test_eight_threads_lose_nothing(self, ready: Store) -> None:
        steps = self.many // 24
        together = threading.Barrier(8)
        vectors = make_vectors(8 * steps)

        def work(worker: int) -> None:
            together.wait()
            for step in range(steps):
                name = f"{worker}-{step}"
                ready.put(make_entry(name), vectors[worker * steps + step])
                ready.add_alias("acme", f"id-{name}", "alias", axis(worker), f"alias-{name}")
                assert ready.get_exact("acme", f"key-{name}", now=NOW) is not None
                assert find_ids(ready, vectors[worker * steps + step], k=1) == [f"id-{name}"]
                ready.observe([Observation(kind="served", tenant="acme", body={"name": name}, at=NOW)])
                ready.save_state("acme", f"state-{worker}", name.encode())
                ready.count_hit("acme", f"id-{worker}-0")
                if step % 5 == 4:
                    assert ready.remove("acme", entry_ids=[f"id-{name}"]) == 1

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(work, worker) for worker in range(8)]:
                future.result()
        assert ready.count_entries() == 8 * (steps - steps // 5)
        assert len(find_ids(ready, axis(0), k=500)) == 8 * (steps - steps // 5)
        names = [item.body["name"] for _, item in ready.observations()]
        assert len(names) == 8 * steps
        for worker in range(8):
            assert [name for name in names if name.startswith(f"{worker}-")] == [
                f"{worker}-{step}" for step in range(steps)
            ]
            first = ready.get("acme", f"id-{worker}-0")
            assert first is not None
            assert first.hits == steps
            assert ready.load_state("acme", f"state-{worker}") == f"{worker}-{steps - 1}".encode()

    def test_hits_are_counted_by_many_threads(self, ready: Store) -> None:
        ready.put(make_entry("a"), None)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: ready.count_hit("acme", "id-a"), range(400)))
        found = ready.get("acme", "id-a")
        assert found is not None
        assert found.hits == 400

    def test_close_is_idempotent_and_final(self, ready: Store) -> None:
        ready.put(make_entry("a"), axis(0))
        ready.close()
        ready.close()
        with pytest.raises(StorageError):
            ready.get("acme", "id-a")
        with pytest.raises(StorageError):
            ready.put(make_entry("b"), axis(0))


def _act(store: Store, action: str, tenant: str, number: int) -> int | None:  # noqa: PLR0911 - one per step
    """Do one step with names that both tenants use."""
    entry = make_entry(
        str(number),
        tenant=tenant,
        tags=(f"tag-{number % 2}",),
        sources=(f"doc-{number % 3}",),
        model=f"model-{number % 3}",
    )
    match action:
        case "put":
            return store.put(entry, axis(number))
        case "alias":
            return store.add_alias(tenant, entry.id, f"alias {number}", axis(number + 5), f"alias-{number // 2}")
        case "remove":
            return store.remove(tenant, entry_ids=[entry.id])
        case "tag":
            return store.remove(tenant, tags=entry.tags)
        case "source":
            return store.remove(tenant, sources=entry.sources)
        case "model":
            return store.remove(tenant, model=entry.model)
        case "clear":
            return store.clear(tenant)
        case "state":
            return store.save_state(tenant, f"name-{number % 2}", str(number).encode())
        case "observe":
            return store.observe([Observation(kind="cache", tenant=tenant, body={"number": number}, at=NOW)])
        case _:
            return store.count_hit(tenant, entry.id)


def _look(store: Store, tenant: str) -> list[object]:
    """Everything that a tenant can see."""
    names = [str(number) for number in range(5)]
    query = make_vectors(1, 7)[0]
    return [
        [store.get(tenant, f"id-{name}") for name in names],
        [store.get_exact(tenant, f"{kind}-{name}", now=NOW) for name in names for kind in ("key", "alias")],
        list(store.entries(tenant)),
        [(item.entry, item.cosine, item.text) for item in store.search(tenant, "scope", query, k=99, now=NOW)],
        [item for _, item in store.observations(tenant=tenant)],
        [store.load_state(tenant, f"name-{number}") for number in range(2)],
        store.count_entries(tenant),
    ]
