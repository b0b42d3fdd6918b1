"""The server of encrypted indexes: what it does, and each thing that it refuses."""

from __future__ import annotations

import inspect
import logging
import secrets
import sqlite3

import numpy as np
import pytest

from leo_core import errors
from leo_core.errors import (
    ConfigError,
    EnvelopeError,
    EnvelopeMacError,
    EnvelopeSizeError,
    ForeignAccountError,
    IndexAccessError,
    IndexQuotaError,
    ParametersError,
    ReplayedWriteError,
    StaleEvaluationKeyError,
    StoreCorruptError,
    StoreMismatchError,
    UnknownEvaluationKeyError,
    UnknownIndexError,
    WriteConflictError,
)
from leo_core.privacy.index import server as index_server
from leo_core.privacy.index.access import IndexToken
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.framing import pack_ids, pack_u64
from leo_core.privacy.index.limits import IndexLimits
from leo_core.privacy.index.payloads import BlockUpload, SealedRow, pack_rows
from leo_core.privacy.index.server import EncryptedIndexServer
from tests.core.privacy.index_parts import DIM, FakeSecret, make_server, unit_rows
from tests.core.privacy.index_wire import ENCRYPTED, PLAIN, Wire


@pytest.fixture
def server():
    with make_server() as made:
        yield made


@pytest.fixture
def wire(server):
    return Wire(server, server.add_account("acme"))


def other_of(wire, **fields):
    return Wire(wire.server, wire.token, secret=wire.secret, **fields)


# ------------------------------------------------------------------------------------------------ what it does


@pytest.mark.parametrize("mode", [PLAIN, ENCRYPTED])
def test_rows_go_from_the_tail_into_a_block_and_are_scored_there(wire, mode):
    wire.start(mode)
    ids, rows = wire.append(5), unit_rows(5)
    assert [row.id for row in wire.changes().rows] == ids
    assert wire.score(rows[0]) == {}
    block = wire.block(ids, rows=rows, plain=mode == PLAIN)
    scores = wire.score(rows[2])
    np.testing.assert_allclose(scores[block], rows @ rows[2], atol=1e-6)
    changes = wire.changes()
    assert (changes.tail, changes.rows) == ((), ())
    assert [(head.id, head.rows, head.sequence) for head in changes.blocks] == [(block, tuple(ids), 2)]
    assert [row.id for row in wire.fetch(ids[:2])] == ids[:2]


def test_a_client_that_knows_a_part_is_told_the_rest(wire):
    wire.start()
    first = wire.append(2)
    block = wire.block(first)
    second = wire.append(1)
    changes = wire.changes(after=2)
    assert [(head.id, head.rows) for head in changes.blocks] == [(block, None)]
    assert [row.id for row in changes.rows] == list(changes.tail) == second
    assert wire.changes(after=3).rows == ()
    assert wire.changes(after=3).tail == tuple(second)
    wire.remove([first[0]])
    assert wire.changes(after=3).dead == (first[0],)
    assert wire.changes(after=4).dead == ()


def test_what_is_removed_is_gone_from_tail_disk_and_block(server, wire):
    wire.start()
    ids = wire.append(3, sealed=b"to be forgotten")
    block = wire.block(ids)
    more = wire.append(1, sealed=b"to be forgotten")
    assert wire.remove([ids[0], more[0], secrets.token_bytes(16)]) == 2
    assert wire.remove([ids[0]]) == 0
    assert wire.fetch([ids[0], more[0], ids[1]])[0].id == ids[1]
    assert wire.stats()["acme"]["i"] | {"bytes": 0, "sequence": 0} == {
        "rows": 2,
        "dead": 1,
        "tail": 0,
        "blocks": 1,
        "bytes": 0,
        "sequence": 0,
    }
    assert wire.remove(ids) == 2
    assert wire.changes().blocks == ()
    assert wire.score(unit_rows(1)[0]) == {}
    assert block not in wire.score(unit_rows(1)[0])


def find_on_disk(folder, word):
    return sum(file.read_bytes().count(word) for file in folder.iterdir())


def test_what_is_removed_is_in_no_file_of_the_server(tmp_path):
    word = b"to be forgotten"
    with make_server(tmp_path / "index.db") as server:
        wire = Wire(server, server.add_account("acme")).start()
        tail = wire.append(9, sealed=word)
        assert find_on_disk(tmp_path, word) == 9
        wire.remove(tail)
        assert find_on_disk(tmp_path, word) == 0
        wire.block(wire.append(3, sealed=word))
        wire.ask(Kind.DROP_INDEX)
        assert find_on_disk(tmp_path, word) == 0
        wire.open()
        wire.append(3, sealed=word)
        assert server.remove_account("acme")
        assert find_on_disk(tmp_path, word) == 0


def test_nothing_of_a_removed_account_stays_in_memory():
    with make_server() as server:
        acme, other = server.add_account("acme"), server.add_account("acme2")
        for token, tenant in ((acme, "acme"), (acme, "acme/a"), (other, "acme2/a")):
            wire = Wire(server, token, tenant=tenant).start()
            wire.block(wire.append(2))
            wire.score(unit_rows(1)[0])
        server.remove_account("acme")
        assert [tenant for tenant, _ in server._loaded._keys] == ["acme2/a"]
        assert [owner for owner, _, _ in server._loaded._blocks] == [3]
        assert len(wire.score(unit_rows(1)[0])) == 1


def test_vectors_of_removed_rows_go_with_the_plain_block_that_is_written_anew(tmp_path):
    rows = unit_rows(4)
    with make_server(tmp_path / "index.db") as server:
        wire = Wire(server, server.add_account("acme")).start(PLAIN)
        ids = wire.append(4)
        block = wire.block(ids, rows=rows, plain=True)
        wire.remove(ids[:1])
        assert find_on_disk(tmp_path, rows[0].astype("<f4").tobytes()) > 0
        wire.block(ids[1:], rows=rows[1:], replaces=[block], plain=True)
        assert find_on_disk(tmp_path, rows[0].astype("<f4").tobytes()) == 0
        assert find_on_disk(tmp_path, rows[1].astype("<f4").tobytes()) == 1


def test_a_block_takes_the_place_of_others_with_all_that_lives_in_them(wire):
    wire.start()
    first, second = wire.append(2), []
    one = wire.block(first)
    second = wire.append(2)
    wire.remove([first[1]])
    two = wire.block([first[0], *second], replaces=[one])
    assert [head.id for head in wire.changes().blocks] == [two]
    assert wire.stats()["acme"]["i"]["dead"] == 0
    assert set(wire.score(unit_rows(1)[0])) == {two}


def test_rows_that_are_sealed_anew_take_the_old_ones_place(wire):
    wire.start()
    ids = wire.append(2)
    rows = [SealedRow(id=ids[0], sealed=b"anew"), SealedRow(id=secrets.token_bytes(16), sealed=b"nobody's")]
    assert int.from_bytes(wire.ask(Kind.RESEAL, pack_rows(rows)).payload, "big") == 1
    assert [row.sealed for row in wire.fetch(ids)] == [b"anew", b"sealed"]


def test_indexes_and_tenants_of_an_account_are_apart(server, wire):
    wire.start()
    wire.append(1)
    other = Wire(server, wire.token, tenant="acme/t2", secret=wire.secret).start()
    other.append(2)
    third = other_of(wire, index="j")
    third.open()
    third.append(3)
    stats = wire.stats()
    assert {name: {index: each["rows"] for index, each in found.items()} for name, found in stats.items()} == {
        "acme": {"i": 1, "j": 3},
        "acme/t2": {"i": 2},
    }
    assert set(other.stats()) == {"acme/t2"}


def test_two_accounts_share_nothing(server, wire):
    wire.start()
    ids = wire.append(1)
    other = Wire(server, server.add_account("other"), secret=wire.secret, index="i")
    with pytest.raises(UnknownIndexError):
        other.fetch(ids)
    other.start()
    assert other.fetch(ids) == ()
    assert other.changes().tail == ()


def test_it_goes_on_where_it_was_after_a_restart(tmp_path):
    with make_server(tmp_path / "index.db") as first:
        wire = Wire(first, first.add_account("acme")).start()
        ids, rows = wire.append(3), unit_rows(3)
        block = wire.block(ids, rows=rows)
        wire.remove([ids[2]])
    assert (tmp_path / "index.db").stat().st_mode & 0o777 == 0o600
    with make_server(tmp_path / "index.db") as second:
        wire.server = second
        np.testing.assert_allclose(wire.score(rows[0])[block], rows @ rows[0], atol=1e-6)
        assert wire.changes().dead == (ids[2],)
        wire.append(1)
        assert wire.sequence == 4


def test_a_removed_account_is_gone_and_a_new_token_replaces_the_old(server, wire):
    wire.start()
    wire.append(1)
    old, wire.token = wire.token, server.add_account("acme")
    assert wire.changes().tail != ()
    with pytest.raises(IndexAccessError):
        server.admit(old.bearer())
    assert server.remove_account("acme")
    assert not server.remove_account("acme")
    with pytest.raises(IndexAccessError):
        wire.changes()
    wire.token = server.add_account("acme")
    assert wire.stats() == {}
    wire.open()
    with pytest.raises(UnknownEvaluationKeyError):
        wire.score(unit_rows(1)[0])


# ------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("bearer", ["", "nonsense", "unknown account", "another secret"])
def test_a_wrong_token_is_refused_in_the_same_words(server, wire, bearer):
    given = {
        "unknown account": IndexToken.generate("nobody").bearer(),
        "another secret": IndexToken.generate("acme").bearer(),
    }.get(bearer, bearer)
    with pytest.raises(IndexAccessError, match="not the one of an account of this index server"):
        server.answer(given, wire.make(Kind.STATS))


def test_a_wrong_key_is_refused(server, wire):
    token = server.add_account("other")
    with pytest.raises(EnvelopeMacError):
        server.answer(token.bearer(), wire.make(Kind.STATS))


@pytest.mark.parametrize("tenant", ["other", "acme2", "other/acme", ""])
def test_a_foreign_tenant_is_refused(server, wire, tenant):
    server.add_account("other")
    with pytest.raises(ForeignAccountError, match="of account"):
        wire.ask(Kind.STATS, tenant=tenant)


def test_foreign_keys_are_refused(server, wire):
    wire.start()
    other = Wire(server, server.add_account("other")).start()
    ids = wire.append(1)
    with pytest.raises(UnknownEvaluationKeyError, match=other.keys.key_id):
        wire.score(unit_rows(1)[0], key_id=other.keys.key_id)
    with pytest.raises(UnknownEvaluationKeyError, match=other.keys.key_id):
        wire.block(ids, key_id=other.keys.key_id)


def test_a_ciphertext_of_another_secret_is_refused(server, wire):
    wire.start()
    ids = wire.append(1)
    wire.block(ids)
    with pytest.raises(UnknownEvaluationKeyError, match="another key"):
        wire.ask(Kind.SCORE, FakeSecret(b"x").encrypt_query(unit_rows(1)[0]), key_id=wire.keys.key_id)
    upload = wire.make_block(wire.append(1))
    foreign = BlockUpload(
        id=upload.id, rows=upload.rows, replaces=(), data=FakeSecret(b"x").encrypt_block(unit_rows(1))
    )
    with pytest.raises(UnknownEvaluationKeyError, match="another key"):
        wire.ask(Kind.APPEND_ENCRYPTED_BLOCK, foreign.pack(), key_id=wire.keys.key_id)


def test_wrong_parameters_are_refused(wire):
    wire.start()
    wire.block(wire.append(1))
    wrong = {"params_id": "0" * 16}
    with pytest.raises(ParametersError) as caught:
        wire.score(unit_rows(1)[0], **wrong)
    assert caught.value.check == "parameters"
    for make in (
        lambda: wire.open(**wrong),
        lambda: wire.register(**wrong),
        lambda: wire.open(mode=PLAIN),
        lambda: wire.open(dim=DIM + 1),
        lambda: wire.block(wire.append(1), plain=True),
        lambda: wire.register(key_id="0" * 32),
    ):
        with pytest.raises(ParametersError):
            make()


def test_keys_for_another_dimension_are_refused(wire):
    wire.start()
    wire.block(wire.append(1))
    other = wire.secret.evaluation_keys(dim=DIM * 2)
    wire.register(other)
    with pytest.raises(ParametersError, match="dimension"):
        wire.score(unit_rows(1)[0], key_id=other.key_id)


def test_a_block_with_another_number_of_rows_than_ids_is_refused(wire):
    wire.start()
    ids = wire.append(3)
    with pytest.raises(ParametersError, match="rows"):
        wire.block(ids, rows=unit_rows(2))
    with pytest.raises(ParametersError, match="1 to 4096 rows, got 0"):
        wire.block([], rows=unit_rows(1))


def test_a_write_that_comes_again_is_known(wire):
    wire.start()
    ids = wire.append(2)
    tail = wire.last
    with pytest.raises(ReplayedWriteError, match="write 1 is in the index already"):
        wire.send(tail)
    wire.block(ids)
    block = wire.last
    wire.remove(ids)
    for replayed in (tail, block):
        with pytest.raises(ReplayedWriteError):
            wire.send(replayed)
    assert wire.changes().tail == ()
    assert wire.changes().blocks == ()


def test_a_write_that_comes_again_after_the_index_was_dropped_is_known(wire):
    wire.start()
    wire.append(1)
    old = wire.last
    wire.ask(Kind.DROP_INDEX)
    with pytest.raises(UnknownIndexError):
        wire.send(old)
    wire.open()
    with pytest.raises(ReplayedWriteError):
        wire.send(old)
    assert wire.changes().tail == ()
    wire.append(1)
    assert wire.sequence == 3


def test_another_write_with_a_number_that_is_taken_is_a_conflict(wire):
    wire.start()
    wire.append(1)
    other = other_of(wire)
    with pytest.raises(WriteConflictError) as caught:
        other.append(1)
    assert (caught.value.check, caught.value.sequence) == ("sequence", 1)
    other.sequence = 5
    with pytest.raises(WriteConflictError):
        other.append(1)
    other.sequence = 2**64 - 2
    with pytest.raises(WriteConflictError):
        other.append(1)
    assert len(wire.changes().tail) == 1


def test_keys_that_were_rotated_out_are_refused_for_good(wire):
    wire.start()
    ids = wire.append(1)
    block = wire.block(ids)
    old, wire.keys = wire.keys, wire.secret.evaluation_keys(dim=DIM)
    wire.register(expected=old.key_id)
    assert set(wire.score(unit_rows(1)[0], key_id=old.key_id)) == {block}
    assert wire.score(unit_rows(1)[0]) == {}
    with pytest.raises(StaleEvaluationKeyError) as caught:
        wire.block(wire.append(1), key_id=old.key_id)
    assert caught.value.check == "grace"
    with pytest.raises(WriteConflictError, match="1 blocks are encrypted under them"):
        wire.ask(Kind.RETIRE_KEYS, key_id=old.key_id)
    wire.block(ids, replaces=[block])
    wire.ask(Kind.RETIRE_KEYS, key_id=old.key_id)
    wire.ask(Kind.RETIRE_KEYS, key_id=old.key_id)
    for again in (
        lambda: wire.score(unit_rows(1)[0], key_id=old.key_id),
        lambda: wire.block(ids, key_id=old.key_id),
        lambda: wire.register(old, expected=wire.keys.key_id),
    ):
        with pytest.raises(StaleEvaluationKeyError) as caught:
            again()
        assert caught.value.check == "retired"
    with pytest.raises(WriteConflictError, match="primary"):
        wire.ask(Kind.RETIRE_KEYS, key_id=wire.keys.key_id)


def test_keys_that_are_retired_while_a_query_begins_are_told_as_such(server, wire, monkeypatch):
    """The client then takes the present ones; keys without a byte would be the client's own fault."""
    wire.start()
    old, wire.keys = wire.keys, wire.secret.evaluation_keys(dim=DIM)
    wire.register(expected=old.key_id)
    read = server._read_keys

    def retire_first(tenant, key_id):
        if key_id == old.key_id:
            wire.ask(Kind.RETIRE_KEYS, key_id=old.key_id)
        return read(tenant, key_id)

    monkeypatch.setattr(server, "_read_keys", retire_first)
    with pytest.raises(StaleEvaluationKeyError) as caught:
        wire.score(unit_rows(1)[0], key_id=old.key_id)
    assert caught.value.check == "retired"


def test_of_two_clients_that_register_at_once_one_is_told(wire):
    wire.start()
    wire.register()  # the same again is nothing new
    with pytest.raises(WriteConflictError, match="another client registered first") as caught:
        wire.register(wire.secret.evaluation_keys(dim=DIM), expected="")
    assert caught.value.check == "primary"


def test_an_unknown_index_is_refused(wire):
    wire.register()
    for ask in (
        lambda: wire.append(1),
        lambda: wire.remove([bytes(16)]),
        lambda: wire.block([bytes(16)]),
        lambda: wire.score(unit_rows(1)[0]),
        lambda: wire.fetch([bytes(16)]),
        lambda: wire.ask(Kind.BLOCK_ROWS, bytes(16)),
        wire.changes,
        lambda: wire.ask(Kind.DROP_INDEX),
    ):
        with pytest.raises(UnknownIndexError, match="no index 'i'"):
            ask()


@pytest.mark.parametrize("kind", Kind)
def test_a_payload_that_is_cut_off_or_too_long_is_refused(wire, kind):
    wire.start()
    row, block = SealedRow(id=bytes(16), sealed=b"x"), wire.make_block([bytes(16)])
    whole = {
        Kind.REGISTER_KEYS: b"\0" + len(wire.keys.to_bytes()).to_bytes(4, "big") + wire.keys.to_bytes(),
        Kind.OPEN_INDEX: b"\x02\x00\x10",
        Kind.APPEND_TAIL: pack_rows([row]),
        Kind.APPEND_PLAIN_BLOCK: block.pack(),
        Kind.APPEND_ENCRYPTED_BLOCK: block.pack(),
        Kind.REMOVE: pack_ids([bytes(16)]),
        Kind.RESEAL: pack_rows([row]),
        Kind.CHANGES: pack_u64(0),
        Kind.FETCH: pack_ids([bytes(16)]),
        Kind.BLOCK_ROWS: bytes(16),
    }.get(kind, b"")
    if kind is Kind.SCORE:
        wire.block(wire.append(1))
        whole = wire.secret.encrypt_query(unit_rows(1)[0])
    for payload in (whole[:-1], whole + b"\0") if whole else (b"\0",):
        with pytest.raises(EnvelopeError):
            wire.ask(kind, payload, key_id=wire.keys.key_id)


def test_a_request_that_is_too_large_is_refused():
    with make_server(max_envelope_bytes=2000) as server:
        wire = Wire(server, server.add_account("acme")).start()
        wire.append(1, sealed=bytes(1000))
        with pytest.raises(EnvelopeSizeError, match="at most 2000"):
            wire.append(1, sealed=bytes(2000))


def test_a_reply_is_no_request(wire):
    with pytest.raises(EnvelopeError, match="reply") as caught:
        wire.ask(Kind.STATS, is_reply=True)
    assert caught.value.check == "kind"


def test_limits_hold(tmp_path):
    limits = {"max_indexes": 1, "max_keys": 2, "max_rows": 6, "max_tail": 4, "max_row_bytes": 100, "max_fetch": 3}
    with make_server(tmp_path / "index.db", **limits) as server:
        wire = Wire(server, server.add_account("acme")).start()
        for make, match in (
            (lambda: other_of(wire, index="j").open(), "1 indexes"),
            (lambda: wire.append(5), "at most 4"),
            (lambda: wire.append(1, sealed=bytes(101)), "101 bytes where at most 100"),
            (lambda: wire.fetch([secrets.token_bytes(16) for _ in range(4)]), "at most 3"),
        ):
            with pytest.raises((IndexQuotaError, EnvelopeSizeError), match=match):
                make()
        ids = wire.append(4)
        with pytest.raises(IndexQuotaError, match="4 rows lie in the tail"):
            wire.append(1)
        wire.block(ids)
        ids += wire.append(2)
        with pytest.raises(IndexQuotaError, match="6 rows, removed ones included") as caught:
            wire.append(1)
        assert caught.value.check == "rows"
        wire.remove(ids[4:])
        wire.append(1)
        second = wire.secret.evaluation_keys(dim=DIM)
        wire.register(second, expected=wire.keys.key_id)
        with pytest.raises(IndexQuotaError, match="2 evaluation keys"):
            wire.register(wire.secret.evaluation_keys(dim=DIM), expected=second.key_id)


def test_an_account_has_room_for_so_many_bytes_over_all_its_tenants():
    with make_server(max_account_bytes=5000) as server:
        token = server.add_account("acme")
        one, two = (Wire(server, token, tenant=f"acme/{name}").start() for name in ("a", "b"))
        ids = one.append(2, sealed=bytes(1000))
        two.append(2, sealed=bytes(1000))
        with pytest.raises(IndexQuotaError, match="do not fit into 5000") as caught:
            two.append(1, sealed=bytes(1000))
        assert caught.value.check == "bytes"
        one.remove(ids)
        two.append(1, sealed=bytes(1000))


def test_evaluation_keys_of_all_tenants_of_an_account_take_room_too():
    with make_server(max_account_bytes=100) as server:
        token, other = server.add_account("acme"), server.add_account("other")
        one, two, three, four = (Wire(server, token, tenant=f"acme/{name}") for name in "abcd")
        for each in (one, two, three):
            each.register()  # 30 bytes
        with pytest.raises(IndexQuotaError, match="90 bytes are used and 30 more do not fit into 100") as caught:
            four.register()
        assert caught.value.check == "bytes"
        one.register()  # those that are there already take none
        three.open()
        with pytest.raises(IndexQuotaError, match="do not fit into 100"):
            three.append(1, sealed=bytes(20))
        Wire(server, other, tenant="other/a").start().append(1, sealed=bytes(20))
        fresh = one.secret.evaluation_keys(dim=DIM + 1)
        with pytest.raises(IndexQuotaError):
            one.register(fresh)
        server.remove_account("acme")
        Wire(server, server.add_account("acme"), tenant="acme/a").register()


@pytest.mark.parametrize("name", ["max_rows", "max_tail"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9"])
def test_limits_that_nothing_could_pass_are_refused(name, value):
    with pytest.raises(ConfigError, match=f"IndexLimits.{name}"):
        IndexLimits(**{name: value})


def test_a_block_cannot_lose_or_invent_rows(wire):
    wire.start()
    first = wire.append(2)
    block = wire.block(first)
    second = wire.append(1)
    for ids, replaces, check in (
        ([first[0], *second], [block], "rows"),  # a living row would be nowhere
        ([*first, *second, bytes(16)], [block], "rows"),  # a row that is not there
        ([*first], [], "rows"),  # rows of a block that stays
    ):
        with pytest.raises(EnvelopeError) as caught:
            wire.block(ids, replaces=replaces)
        assert caught.value.check == check
    with pytest.raises(WriteConflictError) as caught:
        wire.block(second, replaces=[secrets.token_bytes(16)])
    assert caught.value.check == "block"
    assert [head.id for head in wire.changes().blocks] == [block]
    assert wire.changes().tail == tuple(second)


def test_an_id_is_used_once(wire):
    wire.start()
    row = SealedRow(id=bytes(16), sealed=b"x")
    wire.ask(Kind.APPEND_TAIL, pack_rows([row]))
    with pytest.raises(EnvelopeError, match="ids are used once"):
        wire.ask(Kind.APPEND_TAIL, pack_rows([row]))
    with pytest.raises(EnvelopeError, match="twice"):
        wire.ask(Kind.APPEND_TAIL, pack_rows([row, row]))


def test_a_write_that_is_refused_changes_nothing(wire):
    wire.start()
    wire.append(1)
    before = wire.stats()
    row = wire.changes().rows[0]
    with pytest.raises(EnvelopeError):
        wire.ask(Kind.APPEND_TAIL, pack_rows([SealedRow(id=bytes(16), sealed=b"new"), row]))
    assert wire.stats() == before
    wire.append(1)


# --------------------------------------------------------------------------------------------------- its file


def test_a_file_of_something_else_is_left_alone(tmp_path):
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE things (a)")
    connection.close()
    with pytest.raises(StoreCorruptError, match="not the file of an index server"):
        make_server(file)
    (tmp_path / "text").write_text("no database at all, but long enough to look at" * 40, encoding="utf-8")
    with pytest.raises(StoreCorruptError):
        make_server(tmp_path / "text")


def test_a_file_of_a_newer_leo_is_left_alone(tmp_path):
    make_server(tmp_path / "index.db").close()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreMismatchError, match="newer LEO"):
        make_server(tmp_path / "index.db")


def test_a_block_that_was_altered_on_disk_is_not_scored(tmp_path):
    with make_server(tmp_path / "index.db") as first:
        wire = Wire(first, first.add_account("acme")).start()
        wire.block(wire.append(2))
    with sqlite3.connect(tmp_path / "index.db") as connection:
        data = bytearray(connection.execute("SELECT data FROM blocks").fetchone()[0])
        data[-1] ^= 1
        connection.execute("UPDATE blocks SET data = ?", (bytes(data),))
    connection.close()
    with make_server(tmp_path / "index.db") as second:
        wire.server = second
        with pytest.raises(StoreCorruptError, match="not what was written"):
            wire.score(unit_rows(1)[0])


def test_a_closed_file_says_so(tmp_path):
    server = make_server(tmp_path / "index.db")
    token = server.add_account("acme")
    server.close()
    with pytest.raises(errors.StorageError, match="failed"):
        server.admit(token.bearer())


# -------------------------------------------------------------------------------------------- what it cannot do


def test_nothing_of_the_server_decrypts_or_takes_a_secret():
    names = {name for name, _ in inspect.getmembers(EncryptedIndexServer)}
    names |= set(vars(index_server))
    assert not [name for name in names if "decrypt" in name.lower() or "secret" in name.lower()]
    assert "keyring" not in inspect.getsource(index_server).lower()
    takes = inspect.signature(EncryptedIndexServer.answer).parameters
    assert [each.annotation for each in takes.values()][1:] == ["str", "bytes"]


def test_logs_hold_kinds_and_sizes_only(wire, caplog):
    caplog.set_level(logging.DEBUG, logger="leo_core.index")
    wire.start()
    wire.append(1, sealed=b"what must not be logged")
    assert "APPEND_TAIL" in caplog.text
    for told in (wire.token.bearer(), "what must not be logged", wire.token.to_text(), "acme"):
        assert told not in caplog.text


def test_a_request_as_the_server_holds_it_does_not_show_its_key(wire, monkeypatch):
    seen = []
    monkeypatch.setitem(wire.server._answers, Kind.STATS, lambda request: seen.append(request) or (b"", 0))
    wire.ask(Kind.STATS)
    (request,) = seen
    assert request.mac_key == wire.token.mac_key()
    assert repr(request.mac_key) not in repr(request)
