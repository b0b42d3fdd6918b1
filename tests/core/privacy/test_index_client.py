"""The client of an encrypted index, against a plain one, against other clients, and against a server that lies."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from leo_core.errors import (
    ConfigError,
    EnvelopeError,
    IndexQuotaError,
    IndexRollbackError,
    KekUnavailableError,
    KeyExhaustedError,
    ScoreMismatchError,
    StoreUnavailableError,
    TenantDestroyedError,
    WriteConflictError,
)
from leo_core.ports import PrivateIndex
from leo_core.privacy.index.config import PrivateIndexConfig
from leo_core.privacy.index.envelope import Kind, open_envelope, seal_envelope
from leo_core.privacy.index.framing import FramingReader
from leo_core.privacy.index.payloads import Changes, Scores, pack_rows, read_rows
from leo_core.privacy.index.transport import InProcessTransport
from leo_core.privacy.keys.key_rotation import RotationPolicy
from tests.core.privacy.index_parts import make_client, make_rings, make_server, unit_rows

MODES = ["query_private", "fully_encrypted"]
ROWS = unit_rows(200)
BOTH = pytest.mark.parametrize("mode", MODES)


class World:
    """A server with one account, the keyrings, and what a plain index would hold."""

    def __init__(self, mode="fully_encrypted", *, policy=None, server=None, token=None, **config):
        self.server = server or make_server()
        self.token = token or self.server.add_account("acme")
        self.rings = make_rings(policy)
        self.config = {"mode": mode, **config}
        self.kept: dict[str, np.ndarray] = {}

    def client(self, transport=None, **more):
        return make_client(self.server, self.token, self.rings, transport=transport, **{**self.config, **more})

    def add(self, client, number, *, question=None, row=None, expires_at=None):
        question = question or f"e{number}:k{number}"
        vector = ROWS[number] if row is None else row
        client.add("t", "s", question, vector, expires_at=expires_at)
        self.kept[question] = vector

    def remove(self, client, *questions):
        client.remove("t", "s", list(questions))
        for question in questions:
            self.kept.pop(question, None)

    def nearest(self, query, k):
        scored = sorted(((float(row @ query), name) for name, row in self.kept.items()), reverse=True)
        best: dict[str, tuple[str, float]] = {}
        for cosine, name in scored:
            best.setdefault(name.partition(":")[0], (name, round(cosine, 5)))
        return list(best.values())[:k]

    def check(self, client, number=0, k=4):
        query = ROWS[number]
        found = client.search("t", "s", query, k=k, now=0.0)
        assert [(hit.question, round(hit.cosine, 5)) for hit in found] == self.nearest(query, k)


class Spy:
    """A transport that notes what goes over it, and lets a test change it on the way, as the server could."""

    def __init__(self, world, change=None, *, before=None):
        self.inner, self.key = InProcessTransport(world.server, world.token), world.token.mac_key()
        self.change, self.before = change, before
        self.asked, self.replies = [], []

    def send(self, request):
        asked = open_envelope(request, self.key, most_bytes=2**30)
        self.asked.append(asked)
        if self.before is not None:
            self.before(asked)
        reply = open_envelope(self.inner.send(request), self.key, most_bytes=2**30)
        self.replies.append(reply)
        if self.change is not None:
            reply = self.change(asked, reply)
        return seal_envelope(reply, self.key)

    async def asend(self, request):
        return await asyncio.to_thread(self.send, request)

    def close(self):
        pass

    def kinds(self):
        return [asked.kind for asked in self.asked]


def test_it_is_a_private_index():
    client = World().client()
    assert isinstance(client, PrivateIndex)
    assert client.max_error <= 1e-9
    assert client.mode == "fully_encrypted"
    assert "acme" in repr(client)


@BOTH
def test_it_finds_what_a_plain_index_finds(mode):
    world = World(mode)
    client = world.client()
    world.check(client)
    for number in range(30):
        world.add(client, number)
        if number in {0, 6, 7, 8, 20}:
            world.check(client, number)
    (figures,) = client.stats("t").values()
    assert (figures["rows"], figures["blocks"]) == (30, 1)
    assert figures["tail"] < 8
    for number in range(100, 140):
        world.check(client, number)


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_writes_by_two_clients_leaves_what_a_plain_index_holds(mode, seed):
    world, draw = World(mode), random.Random(seed)
    clients = [world.client(), world.client()]
    fresh = iter(unit_rows(400, seed=1000 + seed))
    for step in range(120):
        client = draw.choice(clients)
        kind = draw.random()
        if kind < 0.6 or not world.kept:
            world.add(client, draw.randrange(200), row=next(fresh))
        elif kind < 0.75:
            world.remove(client, *draw.sample(sorted(world.kept), min(3, len(world.kept))))
        elif kind < 0.8:
            client.compact("t", "s")
        elif kind < 0.85:
            client.flush("t", "s")
        elif kind < 0.9:
            clients[draw.randrange(2)] = world.client()  # a restart
        elif kind < 0.93:
            with suppress(IndexQuotaError):  # earlier keys are retired in the background, which may not have come to it
                client.rotate("t", wait=True)
        else:
            world.add(client, 0, question=draw.choice(sorted(world.kept)), row=next(fresh))
        if step % 7 == 0:
            world.check(draw.choice(clients), draw.randrange(200))
    for client in clients:
        world.check(client, 5, k=30)
        client.close()


@BOTH
def test_what_one_client_writes_the_other_one_finds_at_once(mode):
    world = World(mode)
    one, two = world.client(), world.client()
    for number in range(20):
        world.add(one if number % 2 else two, number)
        world.check(two if number % 2 else one, number)
    world.remove(one, "e3:k3", "e19:k19")
    world.check(two, 3)
    world.check(two, 19)


def test_a_question_that_comes_again_takes_the_place_of_the_earlier_one():
    world = World()
    client = world.client()
    for number in range(10):
        world.add(client, number)
    world.add(client, 50, question="e0:k0")
    world.add(client, 51, question="e9:k9")
    world.check(client, 0)
    world.check(client, 50)
    world.check(world.client(), 51)
    assert client.stats("t").popitem()[1]["rows"] == 10


def test_several_questions_of_an_entry_are_one_hit_with_kin():
    world = World()
    client = world.client()
    for number, name in enumerate(["a:1", "a:2", "b:1", "a:3"]):
        client.add("t", "s", name, ROWS[number], expires_at=None)
    query = (ROWS[0] + 0.5 * ROWS[1]) / np.linalg.norm(ROWS[0] + 0.5 * ROWS[1])
    hits = client.search("t", "s", query.astype(np.float32), k=5, now=0.0)
    assert {hit.question.partition(":")[0] for hit in hits} == {"a", "b"}
    (of_a,) = (hit for hit in hits if hit.question.startswith("a"))
    cosines = sorted((float(row @ query) for row in (ROWS[0], ROWS[1], ROWS[3])), reverse=True)
    assert [of_a.cosine, *of_a.kin] == pytest.approx(cosines, abs=1e-6)
    (alone,) = client.search("t", "s", query.astype(np.float32), k=1, now=0.0)
    assert alone.kin == ()  # only what is as near as the last entry


def test_what_has_expired_is_not_found_and_goes_with_the_next_write():
    world = World()
    client = world.client()
    for number in range(9):
        client.add("t", "s", f"e{number}:k", ROWS[number], expires_at=100.0 if number < 4 else None)
    found = {hit.question for hit in client.search("t", "s", ROWS[0], k=9, now=100.0)}
    assert found == {f"e{number}:k" for number in range(9)}
    found = {hit.question for hit in client.search("t", "s", ROWS[0], k=9, now=100.5)}
    assert found == {f"e{number}:k" for number in range(4, 9)}
    client.add("t", "s", "e9:k", ROWS[9], expires_at=None)
    assert client.stats("t").popitem()[1]["rows"] == 6


def test_scopes_and_tenants_are_apart():
    world = World()
    client = world.client()
    client.add("t", "s", "a:1", ROWS[0], expires_at=None)
    client.add("t", "s2", "b:1", ROWS[0], expires_at=None)
    client.add("t2", "s", "c:1", ROWS[0], expires_at=None)
    for tenant, scope, question in (("t", "s", "a:1"), ("t", "s2", "b:1"), ("t2", "s", "c:1")):
        assert [hit.question for hit in client.search(tenant, scope, ROWS[0], k=9, now=0.0)] == [question]
    client.clear("t")
    assert client.search("t", "s", ROWS[0], k=9, now=0.0) == ()
    assert client.search("t", "s2", ROWS[0], k=9, now=0.0) == ()
    assert len(client.search("t2", "s", ROWS[0], k=9, now=0.0)) == 1
    client.clear()
    assert client.search("t2", "s", ROWS[0], k=9, now=0.0) == ()
    client.add("t", "s", "d:1", ROWS[1], expires_at=None)
    assert [hit.question for hit in world.client().search("t", "s", ROWS[0], k=9, now=0.0)] == ["d:1"]


@pytest.mark.parametrize("told", [3, 2**64 - 1, 2**70, -3])
def test_clearing_ends_although_a_server_says_each_time_that_others_wrote(told):
    world = World()
    world.add(world.client(), 0)

    def refuse(asked):
        if asked.kind is Kind.DROP_INDEX:
            message = "others wrote first"
            raise WriteConflictError(message, check="sequence", sequence=told)

    client = world.client(Spy(world, before=refuse))
    with pytest.raises((WriteConflictError, EnvelopeError)) as caught:
        client.clear("t")
    assert caught.value.check in {"attempts", "sequence"}
    assert client._transport.kinds().count(Kind.DROP_INDEX) == (64 if told == 3 else 1)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"acme": 1}', b'{"acme": {"i": {"rows": 1e400}}}', b'{"acme": {"i": {"rows": "x"}}}']
)
def test_figures_that_are_none_are_refused(payload):
    world = World()
    client = world.client(Spy(world, lambda _, reply: replace(reply, payload=payload)))
    with pytest.raises(EnvelopeError, match="figures"):
        client.stats("t")


def test_removing_from_an_index_that_is_not_there_does_nothing():
    client = World().client()
    client.remove("t", "s", ["a:1"])
    assert client.compact("t", "s") == 0
    client.flush("t", "s")
    assert client.stats("t") == {}


# ----------------------------------------------------------------------------------------- blocks of the tail


@BOTH
def test_a_full_tail_goes_into_the_block_that_has_room(mode):
    world = World(mode)
    spy = Spy(world)
    client = world.client(spy)
    for number in range(24):
        world.add(client, number)
    uploads = [kind for kind in spy.kinds() if kind in {Kind.APPEND_ENCRYPTED_BLOCK, Kind.APPEND_PLAIN_BLOCK}]
    assert len(uploads) == 3
    (figures,) = client.stats("t").values()
    assert (figures["blocks"], figures["tail"], figures["rows"], figures["dead"]) == (1, 0, 24, 0)


def test_a_full_block_stays_as_it_is(monkeypatch):
    world = World()
    client = world.client()
    monkeypatch.setattr(type(client._params), "block_size", 12, raising=True)
    for number in range(40):
        world.add(client, number)
        world.check(client, number)
    (figures,) = client.stats("t").values()
    assert (figures["rows"], figures["blocks"]) == (40, 5)


def test_compaction_leaves_out_what_was_removed_and_joins_blocks():
    world = World()
    client = world.client()
    for number in range(32):
        world.add(client, number)
    world.remove(client, *[f"e{number}:k{number}" for number in range(0, 32, 2)])
    assert client.stats("t").popitem()[1]["dead"] == 16
    assert client.compact("t", "s") == 1
    (figures,) = client.stats("t").values()
    assert (figures["dead"], figures["rows"], figures["blocks"]) == (0, 16, 1)
    for number in range(8):
        world.check(client, number)
        world.check(world.client(), number)


def test_a_worn_block_is_written_anew_with_the_next_full_tail():
    world = World(compact_share=0.25)
    client = world.client()
    for number in range(8):
        world.add(client, number)
    world.remove(client, "e0:k0", "e1:k1", "e2:k2")
    for number in range(8, 16):
        world.add(client, number)
    (figures,) = client.stats("t").values()
    assert (figures["dead"], figures["rows"], figures["blocks"]) == (0, 13, 1)


def test_a_lost_acknowledgement_loses_and_doubles_nothing():
    world = World()

    class Twice(Spy):
        """Each request arrives twice; the client gets the second answer, as after a retry."""

        def send(self, request):
            if open_envelope(request, self.key, most_bytes=2**30).kind.writes:
                self.inner.send(request)
            return self.inner.send(request)

    client = world.client(Twice(world))
    for number in range(20):
        world.add(client, number)
    world.remove(client, "e3:k3")
    world.check(client, 3)
    world.check(world.client(), 3)
    assert client.stats("t").popitem()[1]["rows"] == 19


def test_a_write_that_always_comes_second_says_so():
    world = World(attempts=3)
    other = world.client()
    rows = iter(range(100, 200))

    def first(asked):
        if asked.kind is Kind.APPEND_TAIL:
            world.add(other, next(rows))

    world.add(other, 99)
    client = world.client(Spy(world, before=first))
    with pytest.raises(WriteConflictError, match="3 times in a row") as caught:
        client.add("t", "s", "mine:1", ROWS[0], expires_at=None)
    assert caught.value.check == "attempts"
    world.check(other, 0)


@BOTH
def test_eight_clients_at_once_lose_nothing(mode):
    world = World(mode, tail_rows=16)
    clients = [world.client() for _ in range(8)]

    def work(number):
        for each in range(15):
            row = number * 15 + each
            clients[number].add("t", "s", f"e{row}:k{row}", ROWS[row], expires_at=None)
            hits = clients[number].search("t", "s", ROWS[row], k=1, now=0.0)
            assert hits[0].question == f"e{row}:k{row}"
            if each % 5 == 4:
                clients[number].remove("t", "s", [f"e{row}:k{row}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    world.kept = {f"e{row}:k{row}": ROWS[row] for row in range(120) if row % 5 != 4}
    for client in (*clients, world.client()):
        world.check(client, 0, k=40)
    assert clients[0].stats("t").popitem()[1]["rows"] == 96


def test_threads_may_share_a_client():
    world = World()
    client = world.client()

    def work(number):
        for each in range(10):
            row = number * 10 + each
            client.add("t", "s", f"e{row}:k{row}", ROWS[row], expires_at=None)
            assert client.search("t", "s", ROWS[row], k=1, now=0.0)[0].cosine > 0.99

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    world.kept = {f"e{row}:k{row}": ROWS[row] for row in range(40)}
    world.check(client, 3, k=40)


async def test_the_asynchronous_ways_do_the_same():
    world = World()
    client = world.client()
    for number in range(12):
        await client.aadd("t", "s", f"e{number}:k{number}", ROWS[number], expires_at=None)
    await client.aremove("t", "s", ["e4:k4"])
    hits = await client.asearch("t", "s", ROWS[3], k=1, now=0.0)
    assert hits[0].question == "e3:k3"
    assert await client.asearch("t", "s", ROWS[4], k=12, now=0.0) == client.search("t", "s", ROWS[4], k=12, now=0.0)


# ------------------------------------------------------------------------------------- what the server can see


@BOTH
def test_as_many_rows_are_fetched_whether_there_is_a_hit_or_not(mode):
    world = World(mode, fetch_rows=5)
    client = world.client()
    for number in range(16):
        world.add(client, number)
    spy = Spy(world)
    client = world.client(spy)
    for number in (0, 1, 150, 151):  # there, there, not there, not there
        client.search("t", "s", ROWS[number], k=2, now=0.0)
    fetches = [asked for asked in spy.asked if asked.kind is Kind.FETCH]
    assert len(fetches) == 4
    assert {len(FramingReader(asked.payload, "ids").ids(99)) for asked in fetches} == {5}
    replies = {len(reply.payload) for reply in spy.replies if reply.kind is Kind.FETCH}
    assert len(replies) == 1
    client.search("t", "s", ROWS[0], k=4, now=0.0)
    assert len(FramingReader(spy.asked[-1].payload, "ids").ids(99)) == 8


def test_requests_for_hits_and_misses_have_the_same_kinds_and_sizes():
    world = World(fetch_rows=4)
    client = world.client()
    for number in range(8):
        world.add(client, number)
    spy = Spy(world)
    client = world.client(spy)
    client.search("t", "s", ROWS[0], k=1, now=0.0)
    shapes = []
    for number in (0, 190):
        spy.asked.clear()
        client.search("t", "s", ROWS[number], k=1, now=0.0)
        shapes.append([(asked.kind, len(asked.payload)) for asked in spy.asked])
    assert shapes[0] == shapes[1]
    assert [kind for kind, _ in shapes[0]] == [Kind.SCORE, Kind.FETCH]


def test_the_best_row_is_not_first_among_those_that_are_fetched():
    world = World(fetch_rows=8)
    client = world.client()
    for number in range(16):
        world.add(client, number)
    spy = Spy(world)
    client = world.client(spy)
    places = set()
    for _ in range(40):
        client.search("t", "s", ROWS[0], k=1, now=0.0)
        wanted = FramingReader(spy.asked[-1].payload, "ids").ids(99)
        prefix = next(iter(client._sessions.values())).sealer.find_prefix("e0:k0")
        places |= {at for at, row in enumerate(wanted) if row.startswith(prefix)}
    assert len(places) > 3


def test_nothing_readable_goes_over_the_wire():
    world = World()
    spy = Spy(world)
    client = world.client(spy)
    for number in range(10):
        client.add("tenant-name", "scope-name", f"entry{number}:key{number}", ROWS[number], expires_at=None)
    client.search("tenant-name", "scope-name", ROWS[3], k=3, now=0.0)
    for asked in spy.asked:
        sent = seal_envelope(asked, spy.key)
        for told in (b"tenant-name", b"scope-name", b"entry3", b"key3"):
            assert told not in sent
        if asked.kind in {Kind.APPEND_TAIL, Kind.RESEAL}:
            assert ROWS[3].tobytes() not in sent


def test_a_client_of_other_keys_opens_nothing():
    world = World()
    client = world.client()
    for number in range(4):
        world.add(client, number)
    name = client._name_tenant("t")
    other = World(server=world.server, token=world.token).client()
    other._name_tenant = lambda tenant: name
    ring = world.rings.of("t")
    index = ring.pseudonym("index", "s")
    session = other._session_of("t", name, index)
    other._run(session.catch_up())
    assert session.view.tail == {}
    assert (session.refused, session.view.tail_size) == (4, 4)


# ------------------------------------------------------------------------------------------ a server that lies


def swap_rows(asked, reply):
    """The records of two rows change places."""
    if asked.kind is not Kind.FETCH:
        return reply
    rows = read_rows(reply.payload, most_rows=99, most_bytes=2**20)
    first, second, *rest = rows
    swapped = (replace(first, sealed=second.sealed), replace(second, sealed=first.sealed), *rest)
    return replace(reply, payload=pack_rows(swapped))


def shift_scores(asked, reply):
    """The scores are turned by one row: each row gets another one's."""
    if asked.kind is not Kind.SCORE:
        return reply
    scores = Scores.read(reply.payload)
    head, body = scores.scores[:26], scores.scores[26:]
    sizes, values = body[:4], body[4:]
    return replace(reply, payload=Scores(blocks=scores.blocks, scores=head + sizes + values[8:] + values[:8]).pack())


def lying(change, **config):
    world = World(fetch_rows=4, alarm_after=10_000, **config)
    client = world.client()
    for number in range(8):
        world.add(client, number)
    return world, world.client(Spy(world, change))


def test_rows_that_were_swapped_are_not_served():
    _, client = lying(swap_rows)
    hits = client.search("t", "s", ROWS[0], k=2, now=0.0)
    assert len(hits) == 2
    for hit in hits:
        assert hit.cosine == pytest.approx(float(ROWS[int(hit.question[1])] @ ROWS[0]), abs=1e-6)


def test_scores_that_do_not_fit_the_rows_are_not_served():
    _, client = lying(shift_scores)
    hits = client.search("t", "s", ROWS[0], k=2, now=0.0)
    assert client.mismatches >= 3
    for hit in hits:
        assert hit.cosine == pytest.approx(float(ROWS[int(hit.question[1])] @ ROWS[0]), abs=1e-6)


def test_a_mismatch_is_not_asked_about_again():
    _, client = lying(shift_scores)
    spy = client._transport
    client.search("t", "s", ROWS[0], k=4, now=0.0)
    spy.asked.clear()
    client.search("t", "s", ROWS[0], k=4, now=0.0)
    assert spy.kinds() == [Kind.SCORE, Kind.FETCH]


def test_mismatches_raise_an_alarm_and_rotate_the_keys():
    world, heard = World(fetch_rows=4, alarm_after=6), []
    client = world.client()
    for number in range(8):
        world.add(client, number)
    version = world.rings.of("t").version
    victim = world.client(Spy(world, shift_scores), on_alarm=lambda tenant, count: heard.append((tenant, count)))
    while not heard:
        victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert heard[0][0] == "t"
    assert heard[0][1] >= 6
    assert world.rings.of("t").version > version
    victim.close()
    still = World(fetch_rows=4, alarm_after=1, rotate_on_alarm=False)
    for number in range(8):
        still.add(still.client(), number)
    still.client(Spy(still, shift_scores)).search("t", "s", ROWS[0], k=4, now=0.0)
    assert still.rings.of("t").version == 1


def test_the_alarm_is_raised_again_where_nobody_rotates():
    world, heard = World(fetch_rows=4, alarm_after=3, rotate_on_alarm=False), []
    for number in range(8):
        world.add(world.client(), number)
    spy = Spy(world, spoil_scores("cut off"))
    victim = world.client(spy, on_alarm=lambda tenant, count: heard.append((tenant, count)))
    for _ in range(7):
        with pytest.raises(ScoreMismatchError):
            victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert heard == [("t", 3), ("t", 3)]


def test_an_alarm_whose_rotation_failed_comes_again(monkeypatch, caplog):
    world, heard = World(fetch_rows=4, alarm_after=2), []
    for number in range(8):
        world.add(world.client(), number)
    spy = Spy(world, spoil_scores("cut off"))
    victim = world.client(spy, on_alarm=lambda tenant, count: heard.append((tenant, count)))

    def rotate(**_):
        raise KekUnavailableError("away")

    ring = world.rings.of("t")
    with monkeypatch.context() as away:
        away.setattr(ring, "rotate", rotate)
        for _ in range(3):
            with pytest.raises(ScoreMismatchError):
                victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert heard == [("t", 2), ("t", 3)]
    assert "KekUnavailableError" in caplog.text
    assert ring.version == 1
    with pytest.raises(ScoreMismatchError):
        victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert ring.version == 2
    victim.close()


def test_an_alarm_that_fails_does_not_keep_the_keys_from_being_rotated():
    world = World(fetch_rows=4, alarm_after=1)
    for number in range(8):
        world.add(world.client(), number)

    def fail(*_):
        raise ZeroDivisionError

    victim = world.client(Spy(world, spoil_scores("cut off")), on_alarm=fail)
    with pytest.raises(ZeroDivisionError):
        victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert world.rings.of("t").version == 2
    victim.close()


SPOILED = {
    "cut off": lambda scores: scores[:-1],
    "of another key": lambda scores: scores[:4] + bytes(16) + scores[20:],
    "of another kind": lambda scores: b"x" + scores[1:],
}


def spoil_scores(fault):
    def spoil(asked, reply):
        if asked.kind is not Kind.SCORE:
            return reply
        scores = Scores.read(reply.payload)
        return replace(reply, payload=Scores(blocks=scores.blocks, scores=SPOILED[fault](scores.scores)).pack())

    return spoil


@pytest.mark.parametrize("fault", SPOILED)
def test_scores_that_cannot_be_decrypted_are_refused_and_the_server_does_not_see_it(fault):
    world, client = lying(spoil_scores(fault))
    spy = client._transport
    for tries in range(1, 3):
        spy.asked.clear()
        with pytest.raises(ScoreMismatchError, match="cannot be decrypted"):
            client.search("t", "s", ROWS[0], k=2, now=0.0)
        assert client.mismatches == tries
        kinds = spy.kinds()
        assert [kind for kind in kinds if kind is not Kind.CHANGES] == [Kind.SCORE, Kind.FETCH]
    rows = FramingReader(spy.asked[-1].payload, "ids").ids(most=64)
    assert len(rows) == 4, "as many as are fetched where scores can be decrypted"
    assert world.rings.of("t").version == 1


COUNTED_WRONG = {
    "fewer rows": lambda blocks: [(block, 1) for block, _ in blocks],
    "more rows": lambda blocks: [(block, count + 1) for block, count in blocks],
    "more rows than a block has": lambda blocks: [(block, 5000) for block, _ in blocks],
    "a block twice": lambda blocks: [*blocks, *blocks],
}


def list_otherwise(change):
    def list_them(asked, reply):
        if asked.kind is not Kind.SCORE:
            return reply
        scores = Scores.read(reply.payload)
        return replace(reply, payload=Scores(blocks=tuple(change(scores.blocks)), scores=scores.scores).pack())

    return list_them


def count_decrypts(world):
    return sum(each.decrypts for each in world.rings.of("t").keyset.versions)


@pytest.mark.parametrize("fault", COUNTED_WRONG)
def test_scores_of_other_numbers_of_rows_are_a_mismatch_and_nothing_of_them_is_decrypted(fault):
    world, client = lying(list_otherwise(COUNTED_WRONG[fault]))
    before = count_decrypts(world)
    with pytest.raises(ScoreMismatchError):
        client.search("t", "s", ROWS[0], k=2, now=0.0)
    assert client.mismatches == 1
    assert client._transport.kinds()[-2:] == [Kind.SCORE, Kind.FETCH]
    assert len(FramingReader(client._transport.asked[-1].payload, "ids").ids(most=64)) == 4
    assert count_decrypts(world) == before


def test_a_server_cannot_use_up_the_decryptions_of_a_key_by_blocks_that_are_not_there():
    invented = [(number.to_bytes(16, "big"), 1) for number in range(1000)]
    world, client = lying(list_otherwise(lambda _: invented))
    before = count_decrypts(world)
    assert client.search("t", "s", ROWS[0], k=2, now=0.0) == ()
    assert client._transport.kinds()[-1] is Kind.FETCH
    assert count_decrypts(world) == before


def test_replies_that_cannot_be_decrypted_raise_the_alarm_and_rotate_the_keys():
    world, heard = World(fetch_rows=4, alarm_after=3), []
    for number in range(8):
        world.add(world.client(), number)
    victim = world.client(
        Spy(world, spoil_scores("of another key")), on_alarm=lambda tenant, count: heard.append((tenant, count))
    )
    for _ in range(3):
        assert heard == []
        with pytest.raises(ScoreMismatchError):
            victim.search("t", "s", ROWS[0], k=4, now=0.0)
    assert heard == [("t", 3)]
    assert world.rings.of("t").version == 2
    victim.close()


def test_a_server_that_never_lets_an_index_be_dropped_is_not_asked_for_ever():
    world = World()
    client = world.client()
    world.add(client, 0)

    def refuse(asked):
        if asked.kind is Kind.DROP_INDEX:
            raise WriteConflictError("another was first", check="sequence", sequence=asked.sequence)

    spy = Spy(world, before=refuse)
    client._transport = spy
    with pytest.raises(WriteConflictError, match="64 times in a row"):
        client.clear("t")
    assert spy.kinds().count(Kind.DROP_INDEX) == 64


def test_a_server_that_was_set_back_is_found_out(tmp_path):
    old = tmp_path / "old.db"
    server = make_server(tmp_path / "index.db")
    world = World(server=server)
    client = world.client()
    for number in range(3):
        world.add(client, number)
    with server._database.read() as connection:
        connection.execute("VACUUM INTO ?", (str(old),))
    for number in range(3, 6):
        world.add(client, number)
    client._transport = InProcessTransport(make_server(old), world.token)
    with pytest.raises(IndexRollbackError, match="at write 3 and has been at 6"):
        client.search("t", "s", ROWS[0], k=1, now=0.0)


@pytest.mark.parametrize("field", ["request_id", "kind", "tenant", "index", "key_id", "is_reply"])
def test_a_reply_to_another_request_is_refused(field):
    other = {"request_id": bytes(16), "kind": Kind.STATS, "is_reply": False}

    def exchange(asked, reply):
        return replace(reply, **{field: other.get(field, "x")})

    _, client = lying(exchange)
    with pytest.raises(EnvelopeError, match="another request") as caught:
        client.search("t", "s", ROWS[0], k=1, now=0.0)
    assert caught.value.check == "reply"


def withhold(asked, reply):
    return replace(reply, payload=pack_rows(())) if asked.kind is Kind.FETCH else reply


def spoil_rows(asked, reply):
    if asked.kind is not Kind.FETCH:
        return reply
    rows = read_rows(reply.payload, most_rows=99, most_bytes=2**20)
    return replace(
        reply, payload=pack_rows([replace(row, sealed=row.sealed[:-1] + bytes([row.sealed[-1] ^ 1])) for row in rows])
    )


def refuse_rows(asked, reply):
    if asked.kind is Kind.FETCH:
        raise IndexQuotaError("too many", check="bytes")
    return reply


def garble_rows(asked, reply):
    return replace(reply, payload=reply.payload[:-1]) if asked.kind is Kind.FETCH else reply


def answer_another_request(asked, reply):
    return replace(reply, request_id=bytes(16)) if asked.kind is Kind.FETCH else reply


@pytest.mark.parametrize("hide", [withhold, spoil_rows, refuse_rows, garble_rows, answer_another_request])
def test_a_server_that_keeps_back_the_rows_that_its_scores_led_to_causes_misses_and_is_counted(hide):
    """Which rows are asked for says something of the secret, where the scores were made up."""
    _, client = lying(hide)
    assert client.search("t", "s", ROWS[0], k=2, now=0.0) == ()
    assert client.mismatches == 4


def test_made_up_scores_raise_the_alarm_whether_or_not_their_rows_come():
    world, heard = World(fetch_rows=4, alarm_after=3), []
    for number in range(8):
        world.add(world.client(), number)

    def lie(asked, reply):
        return withhold(asked, shift_scores(asked, reply))

    victim = world.client(Spy(world, lie), on_alarm=lambda tenant, count: heard.append((tenant, count)))
    victim.search("t", "s", ROWS[0], k=2, now=0.0)
    assert heard == [("t", 4)]
    assert world.rings.of("t").version == 2
    victim.close()


@pytest.mark.parametrize("cut", [StoreUnavailableError("out"), KeyboardInterrupt()], ids=["outage", "interrupt"])
def test_a_server_that_is_out_whenever_rows_are_fetched_scores_nothing_else_and_is_found_out(cut):
    world, heard, out = World(fetch_rows=4, alarm_after=3), [], [True]
    for number in range(8):
        world.add(world.client(), number)

    def lie(asked, reply):
        if asked.kind is Kind.FETCH and out[0]:
            raise cut
        return shift_scores(asked, reply)

    spy = Spy(world, lie)
    victim = world.client(spy, on_alarm=lambda tenant, count: heard.append((tenant, count)))
    for _ in range(3):
        with pytest.raises(type(cut)):
            victim.search("t", "s", ROWS[0], k=2, now=0.0)
    assert spy.kinds().count(Kind.SCORE) == 1
    fetches = [asked.payload for asked in spy.asked if asked.kind is Kind.FETCH]
    assert len(fetches) == 3
    assert len(set(fetches)) == 1, "the same rows, in the same order: nothing more is told"
    out[0] = False
    victim.search("t", "s", ROWS[1], k=2, now=0.0)
    assert heard
    assert heard[0][1] >= 6
    victim.close()


def test_scores_that_cannot_be_decrypted_count_also_where_the_server_is_out_then():
    world, out = World(fetch_rows=4), [True]
    for number in range(8):
        world.add(world.client(), number)

    def lie(asked, reply):
        if asked.kind is Kind.FETCH and out[0]:
            raise StoreUnavailableError("out")
        return spoil_scores("cut off")(asked, reply) if out[0] else reply

    victim = world.client(Spy(world, lie))
    with pytest.raises(StoreUnavailableError):
        victim.search("t", "s", ROWS[0], k=2, now=0.0)
    assert victim.mismatches == 0
    out[0] = False
    world.check(victim, 0, k=2)
    assert victim.mismatches == 1


def test_after_an_outage_a_search_finds_what_it_finds_and_nothing_is_counted():
    world, out = World(fetch_rows=4), [True]
    client = world.client()
    for number in range(8):
        world.add(client, number)

    def fail(asked):
        if asked.kind is Kind.FETCH and out[0]:
            raise StoreUnavailableError("out")

    victim = world.client(Spy(world, before=fail))
    with pytest.raises(StoreUnavailableError):
        victim.search("t", "s", ROWS[0], k=2, now=0.0)
    out[0] = False
    world.remove(client, "e0:k0")
    world.check(victim, 1, k=2)
    world.check(victim, 2, k=2)
    assert victim.mismatches == 0
    assert victim._transport.kinds()[-2:] == [Kind.SCORE, Kind.FETCH]


async def test_whoever_gives_up_while_rows_are_fetched_leaves_them_to_be_checked():
    world, entered = World(fetch_rows=4), asyncio.Event()
    for number in range(8):
        world.add(world.client(), number)

    class Slow(Spy):
        stalls = True

        async def asend(self, request):
            reply = await super().asend(request)
            if self.stalls and self.asked[-1].kind is Kind.FETCH:
                entered.set()
                await asyncio.sleep(60)
            return reply

    spy = Slow(world, shift_scores)
    victim = world.client(spy, rotate_on_alarm=False)
    asked = asyncio.ensure_future(victim.asearch("t", "s", ROWS[0], k=2, now=0.0))
    await entered.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    spy.stalls, spy.change = False, None
    await victim.asearch("t", "s", ROWS[0], k=2, now=0.0)
    assert victim.mismatches >= 3


def test_rows_that_others_removed_between_score_and_fetch_are_no_mismatch():
    world = World(fetch_rows=4)
    client, other = world.client(), world.client()
    for number in range(8):
        world.add(client, number)

    def remove(asked):
        if asked.kind is Kind.FETCH:
            world.remove(other, "e0:k0", "e1:k1")

    victim = world.client(Spy(world, before=remove))
    hits = victim.search("t", "s", ROWS[0], k=2, now=0.0)
    assert victim.mismatches == 0
    assert {hit.question for hit in hits} <= {*world.kept}


def test_a_server_that_says_that_the_rows_were_removed_is_counted_as_well():
    """Its scores are made up, and it claims that others removed just those rows; then it lists them again."""
    world, heard = World(fetch_rows=4, alarm_after=3), []
    for number in range(8):
        world.add(world.client(), number)
    wanted, sequence = [()], [0]

    def lie(asked, reply):
        if asked.kind is Kind.FETCH:
            wanted[0] = FramingReader(asked.payload, "ids").ids(most=64)
            return withhold(asked, reply)
        if asked.kind is Kind.CHANGES and wanted[0]:
            told, dead = Changes.read(reply.payload), wanted[0]
            wanted[0], sequence[0] = (), sequence[0] + 1
            return replace(reply, payload=replace(told, dead=dead).pack(), sequence=reply.sequence + sequence[0])
        return replace(shift_scores(asked, reply), sequence=reply.sequence + sequence[0])

    victim = world.client(Spy(world, lie), on_alarm=lambda tenant, count: heard.append((tenant, count)))
    for _ in range(8):
        session = next(iter(victim._sessions.values()), None)
        if session is not None:  # as a block that was written anew would have it
            view = session.view
            session.view = replace(view, alive={each: np.ones_like(alive) for each, alive in view.alive.items()})
        victim.search("t", "s", ROWS[0], k=2, now=0.0)
        if heard:
            break
    assert heard == [("t", 3)]
    victim.close()


def test_rows_under_a_destroyed_key_count_as_ones_that_vanished():
    world = World("query_private", fetch_rows=4)
    client = world.client(rotate_on_alarm=False)
    for number in range(8):
        world.add(client, number)
    client.search("t", "s", ROWS[0], k=2, now=0.0)
    client.close()
    ring = world.rings.of("t")
    ring.rotate(reason="test")
    ring.destroy_version(1)
    late = world.client()
    assert late.search("t", "s", ROWS[0], k=2, now=0.0) == ()
    assert late.mismatches == 1, "for all four of them"
    late.close()


# ---------------------------------------------------------------------------------------------------- rotation


@BOTH
def test_after_a_rotation_nothing_is_lost_and_nothing_is_left_under_old_keys(mode):
    world = World(mode)
    client, other = world.client(), world.client()
    for number in range(20):
        world.add(client, number)
    ring = world.rings.of("t")
    client.rotate("t", reason="test", wait=True)
    assert ring.version == 2
    for number in range(5):
        world.check(client, number)
        world.check(other, number)
    wait_for(lambda: len(heads_of(client)) == 1)
    client.close()
    ring.destroy_version(1)
    fresh = world.client()
    for number in range(20):
        world.check(fresh, number)
        world.check(other, number)


@BOTH
def test_rows_that_others_put_into_a_block_while_keys_are_rotated_are_sealed_anew_too(mode):
    world = World(mode)
    other = world.client()
    for number in range(12):
        world.add(other, number)  # eight in a block, four in the tail
    flushed = []

    def flush(asked):
        """Before the first block is read: its rows, and those of the tail, go into another block."""
        if asked.kind is Kind.BLOCK_ROWS and not flushed:
            flushed.append(1)
            other.flush("t", "s")

    client = world.client(Spy(world, before=flush))
    world.rings.of("t").rotate(reason="test")
    client.rewrite("t")
    world.rings.of("t").destroy_version(1)
    for number in range(12):
        world.check(client, number, k=1)
        world.check(world.client(), number, k=1)


def test_a_block_with_a_row_that_does_not_open_is_told_and_stays():
    world = World()
    client = world.client()
    for number in range(8):
        world.add(client, number)

    def spoil(asked, reply):
        if asked.kind is not Kind.BLOCK_ROWS:
            return reply
        first, *rest = read_rows(reply.payload, most_rows=99, most_bytes=2**20)
        return replace(reply, payload=pack_rows((replace(first, sealed=first.sealed[:-1] + b"x"), *rest)))

    spy = Spy(world, spoil)
    world.rings.of("t").rotate(reason="test")
    with pytest.raises(WriteConflictError, match="1 blocks could not be written anew") as caught:
        world.client(spy).rewrite("t")
    assert caught.value.check == "attempts"
    assert spy.kinds().count(Kind.BLOCK_ROWS) <= 4, "it does not try for ever"
    world.check(client, 3)


@BOTH
def test_a_client_that_slept_while_others_rotated_finds_everything_under_the_new_keys(mode):
    world = World(mode)
    sleeper, other = world.client(), world.client()
    for number in range(20):
        world.add(other, number)
    world.check(sleeper, 3)
    other.rotate("t", reason="test", wait=True)
    world.rings.of("t").destroy_version(1)
    world.check(sleeper, 3)
    world.check(sleeper, 19)
    sleeper.close()
    other.close()


def heads_of(client):
    session = next(iter(client._sessions.values()))
    client._run(session.catch_up())
    return session.view.keys


def wait_for(holds, seconds=20.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_queries_and_writes_go_on_while_keys_are_rotated():
    world = World(tail_rows=16)
    client, other = world.client(), world.client()
    for number in range(60):
        world.add(client, number)
    stopped, failed = threading.Event(), []

    def ask(number):
        while not stopped.is_set():
            hits = other.search("t", "s", ROWS[number], k=1, now=0.0)
            failed.extend([number] if [hit.question for hit in hits] != [f"e{number}:k{number}"] else [])

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 31, 59)]
    for thread in threads:
        thread.start()
    for round_ in range(4):
        client.rotate("t", wait=True)
        for number in range(60 + 10 * round_, 70 + 10 * round_):
            world.add(other, number)
    stopped.set()
    for thread in threads:
        thread.join()
    assert failed == []
    for number in range(0, 100, 9):
        world.check(client, number)
        world.check(other, number)
    client.close()
    other.close()


def test_a_rotation_that_was_cut_off_is_finished_by_whoever_searches_next():
    world = World()
    client = world.client(grace_s=1000.0)
    for number in range(8):
        world.add(client, number)
    before = heads_of(client)
    world.rings.of("t").rotate(reason="elsewhere")
    other = world.client()
    world.check(other, 0)
    wait_for(lambda: len(heads_of(other)) == 1 and heads_of(other) != before)
    head = heads_of(other)[0]
    assert head.primary
    assert all(block.key_id == head.id for block in next(iter(other._sessions.values())).view.blocks.values())
    world.check(client, 1)
    client.close()
    other.close()


def test_a_destroyed_key_serves_nothing():
    world = World()
    client = world.client()
    for number in range(12):
        world.add(client, number)
    ring = world.rings.of("t")
    ring.rotate(reason="test")
    ring.destroy_version(1)
    for each in (client, world.client()):
        spy = Spy(world)
        each._transport = spy
        hits = each.search("t", "s", ROWS[0], k=12, now=0.0)
        assert Kind.SCORE not in spy.kinds()
        assert all(hit.question not in {f"e{number}:k{number}" for number in range(8)} for hit in hits)
        each.close()
    assert world.client().search("t", "s", ROWS[0], k=12, now=0.0) == ()


def test_a_destroyed_tenant_is_refused():
    world = World()
    client = world.client()
    world.add(client, 0)
    world.rings.of("t").destroy()
    with pytest.raises(TenantDestroyedError):
        client.search("t", "s", ROWS[0], k=1, now=0.0)
    with pytest.raises(TenantDestroyedError):
        client.add("t", "s", "a:1", ROWS[0], expires_at=None)


def test_a_key_version_decrypts_so_often_and_then_no_more():
    policy = RotationPolicy(max_decrypts=40, decrypt_lease=1, automatic=False)
    world = World(policy=policy)
    client = world.client()
    for number in range(8):
        world.add(client, number)
    for _ in range(40):
        client.search("t", "s", ROWS[0], k=1, now=0.0)
    with pytest.raises(KeyExhaustedError):
        client.search("t", "s", ROWS[0], k=1, now=0.0)
    world.rings.of("t").rotate(reason="exhausted")
    client.rewrite("t")
    world.check(client, 0)


def test_a_key_version_that_has_decrypted_enough_is_rotated_by_itself():
    world = World(policy=RotationPolicy(max_decrypts=64, decrypt_lease=1))
    client = world.client()
    for number in range(8):
        world.add(client, number)
    for number in range(70):
        world.check(client, number % 8)
        wait_for(lambda: not any(thread.is_alive() for thread in client._rotating.values()))
    assert world.rings.of("t").version == 2
    client.close()


# ---------------------------------------------------------------------------------------------------- refusals


def test_no_room_is_told():
    world = World(server=make_server(max_rows=3))
    client = world.client()
    for number in range(3):
        world.add(client, number)
    with pytest.raises(IndexQuotaError):
        world.add(client, 4)


def test_a_server_out_of_reach_is_told():
    world = World()

    def out(_):
        message = "out"
        raise StoreUnavailableError(message)

    client = world.client(Spy(world, before=out))
    with pytest.raises(StoreUnavailableError):
        client.search("t", "s", ROWS[0], k=1, now=0.0)
    with pytest.raises(StoreUnavailableError):
        client.add("t", "s", "a:1", ROWS[0], expires_at=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "sealed_local"),
        ("expected", 0),
        ("tail_rows", 0),
        ("fetch_rows", -1),
        ("tolerance", 0.0),
        ("tolerance", 3.0),
        ("alarm_after", True),
        ("compact_share", 0.0),
        ("compact_share", 1.5),
        ("grace_s", -1.0),
        ("grace_s", float("inf")),
        ("attempts", 1.5),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"PrivateIndexConfig.{name} is"):
        PrivateIndexConfig(**{name: value})
