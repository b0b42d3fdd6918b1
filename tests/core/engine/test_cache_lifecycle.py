"""How long kept answers live: expiry, renewal, invalidation, feedback, files, past traffic, planted entries."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from leo_core import LEO, LEOConfig, Message, Request, Route
from leo_core.errors import ConfigError, ProviderUnavailableError, RequestError, StoreCorruptError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import ToolCall, Usage
from leo_core.stages.cache.config import CacheConfig
from leo_core.storage.sqlite import SqliteStore

QUESTION = "When does the ferry to the island leave?"


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


def counting(cost=0.5):
    """A member that says how often it was asked."""
    said = []

    def reply(request):
        said.append(request.question)
        return f"Departure number {len(said)}."

    return ScriptedModel("desk", replies=reply, cost=cost)


def constant(text="At 9:40."):
    return ScriptedModel("desk", replies=text, cost=0.5)


def configured(**settings):
    return LEOConfig(cache=CacheConfig(**settings))


def ask(leo, prompt=QUESTION, **settings):
    answer = leo.ask(prompt, **settings)
    leo.flush()
    return answer


# --------------------------------------------------------------------------------------------------- lifetime


def test_a_request_says_how_long_its_answer_lives():
    clock = Clock()
    with LEO(small=counting(), clock=clock, config=configured(ttl_s=1000.0)) as leo:
        ask(leo, ttl_s=60.0)
        clock.at += 60.0
        assert ask(leo).route is Route.CACHE
        clock.at += 0.1
        assert ask(leo).route is Route.SMALL
        clock.at += 999.0
        assert ask(leo).route is Route.CACHE
        clock.at += 2.0
        assert ask(leo).route is Route.SMALL


def test_a_policy_says_how_long_answers_live_and_may_fail(caplog):
    def lifetime(request, message):
        assert message.text.startswith("Departure")
        if "weather" in request.question:
            return 10.0
        if "fail" in request.question:
            raise ValueError(request.question)
        return None

    clock = Clock()
    with LEO(small=counting(), clock=clock, lifetime=lifetime, config=configured(ttl_s=500.0)) as leo:
        for prompt in ("How is the weather?", "Will it fail?", "Who wrote Faust?"):
            ask(leo, prompt)
        assert "Will it fail?" not in caplog.records[0].getMessage()
        clock.at += 11.0
        assert ask(leo, "Will it fail?").cache.hit
        assert not ask(leo, "How is the weather?").cache.hit
        clock.at += 1e6
        assert ask(leo, "Who wrote Faust?").cache.hit
        assert not ask(leo, "Will it fail?").cache.hit


def test_an_answer_that_expires_on_its_way_to_the_store_is_not_served():
    clock, gate = Clock(), threading.Event()
    with LEO(small=counting(), clock=clock) as leo:
        leo._world.background.submit(lambda: gate.wait(30))
        assert not leo.ask(QUESTION, ttl_s=5.0).cache.hit
        clock.at += 5.0
        assert leo.ask(QUESTION, ttl_s=5.0).cache.hit
        clock.at += 1.0
        assert not leo.ask(QUESTION, ttl_s=5.0).cache.hit
        gate.set()


@pytest.mark.parametrize("said", ["3600", timedelta(hours=1), float("nan"), 10**400])
def test_a_policy_that_says_no_number_costs_no_answer(said, caplog):
    """The answer was paid for, and keeps the settings' lifetime."""
    clock = Clock()
    with LEO(small=counting(), config=configured(ttl_s=10.0), lifetime=lambda *_: said, clock=clock) as leo:
        assert not ask(leo).cache.hit
        assert ask(leo).cache.hit
        clock.at += 11.0
        assert not ask(leo).cache.hit
    assert "the lifetime policy failed" in caplog.text


@pytest.mark.parametrize("ttl_s", [-1.0, float("nan"), "soon", True])
def test_a_lifetime_that_is_none_is_refused(ttl_s):
    with LEO(small=constant()) as leo, pytest.raises(RequestError, match="ttl_s"):
        leo.ask(QUESTION, ttl_s=ttl_s)


def test_size_counts_all_that_is_kept():
    request = Request(messages=(Message(role="user", content=QUESTION),))
    call = ToolCall(id="1", name="book", arguments={"x": "y" * 5000})
    with LEO(small=constant()) as leo:
        leo.cache.update(request, Message(role="assistant", tool_calls=(call,)), metadata={"more": "z" * 3000})
        leo.flush()
        ((kept,),) = [tuple(leo.store.entries("default"))]
        assert 8000 + kept.vector.nbytes < kept.entry.size_bytes < 10_000


def test_what_a_caller_does_to_an_answer_on_its_way_to_the_store_does_not_change_what_is_kept():
    request = Request(messages=(Message(role="user", content=QUESTION),))
    block, arguments = {"type": "text", "text": "so", "sources": [{"url": "u"}]}, {"deep": {"er": [1, (2,)]}}
    told = Message(role="assistant", content=(block,), tool_calls=(ToolCall(id="1", name="f", arguments=arguments),))
    go_on = threading.Event()
    with LEO(small=constant()) as leo:
        leo._world.background.submit(go_on.wait)  # what comes next waits for it
        leo.cache.update(request, told)
        block["sources"][0]["url"] = "other"
        arguments["deep"]["er"].append(3)
        go_on.set()
        leo.flush()
        _, entry = leo.cache.lookup(request)
    assert entry.message.content[0]["sources"] == [{"url": "u"}]
    assert entry.message.tool_calls[0].arguments == {"deep": {"er": [1, [2]]}}


def test_limits_keep_what_saves_most():
    clock = Clock()
    prices = {"dear": 1.0, "cheap": 0.001}
    member = ScriptedModel("desk", replies="29", cost=0.0)
    with LEO(small=member, clock=clock, config=configured(max_entries=8)) as leo:
        for number in range(8):
            for name, price in prices.items():
                leo.cache.update(
                    Request(messages=(Message(role="user", content=f"{name} question {number}"),)),
                    Message(role="assistant", content=f"{number}"),
                    usage=Usage(calls=1, cost_usd=price),
                )
            clock.at += 10.0
            leo.flush()
        texts = [kept.entry.text for kept in leo.store.entries("default")]
        assert len(texts) == 8
        assert sum(text.startswith("dear") for text in texts) == 8


def test_a_limit_holds_for_every_tenant_and_for_processes_that_write_once(tmp_path):
    """Of 128 entries, it is looked after at every second write: of each tenant, and not of all together."""

    def keep(leo, number, tenant):
        request = Request(messages=(Message(role="user", content=f"{number}"),), tenant=tenant)
        leo.cache.update(request, Message(role="assistant", content="29"))

    with LEO(config=configured(max_entries=128), store=tmp_path / "leo.db") as leo:
        for number in range(2 * 132):
            keep(leo, number, "ab"[number % 2])
        leo.flush()
        assert all(leo.store.count_entries(tenant) <= 129 for tenant in "ab")
    with LEO(config=configured(max_entries=None), store=tmp_path / "leo.db") as leo:
        for number in range(132):
            keep(leo, number, "c")
    with LEO(config=configured(max_entries=128), store=tmp_path / "leo.db") as leo:
        keep(leo, 132, "c")
        leo.flush()
        assert leo.store.count_entries("c") == 128


# ----------------------------------------------------------------------------------------------------- renewal


def test_a_stale_answer_is_served_at_once_and_renewed_once():
    clock, gate, asked = Clock(), threading.Event(), []

    def reply(request):
        asked.append(request.question)
        if len(asked) > 1:
            assert gate.wait(10)
        return f"Departure number {len(asked)}."

    with LEO(
        small=ScriptedModel("desk", replies=reply, cost=0.5), clock=clock, config=configured(ttl_s=60.0, stale_s=30.0)
    ) as leo:
        first = ask(leo, session="one")
        clock.at += 61.0
        stale = [leo.ask(QUESTION) for _ in range(5)]
        assert [(each.text, each.route, each.cache.stale) for each in stale] == [(first.text, Route.CACHE, True)] * 5
        assert "stale, being renewed" in stale[0].cache.why
        assert leo.explain(stale[0])["cache"]["stale"]
        gate.set()
        leo.flush()
        assert len(asked) == 2
        fresh = ask(leo)
        assert (fresh.text, fresh.route, fresh.cache.stale) == ("Departure number 2.", Route.CACHE, False)
        assert leo.store.count_entries() == 1
        assert leo.counts["cache.renewed"] == 1
        assert leo.log.size() == 1 + 5 + 1 + 1  # the renewal has its own receipt


def test_past_its_second_life_an_answer_is_gone():
    clock = Clock()
    with LEO(small=counting(), clock=clock, config=configured(ttl_s=60.0, stale_s=30.0)) as leo:
        ask(leo)
        clock.at += 90.1
        assert ask(leo).route is Route.SMALL


def test_a_failing_renewal_costs_nothing_and_rests(caplog):
    clock, broken = Clock(), []

    def reply(request):
        if broken:
            broken.append(request)
            raise ProviderUnavailableError("down", provider="scripted", model="desk")
        return "At 9:40."

    with LEO(
        small=ScriptedModel("desk", replies=reply), clock=clock, config=configured(ttl_s=60.0, stale_s=30.0)
    ) as leo:
        ask(leo)
        broken.append("from now on")
        clock.at += 61.0
        assert [ask(leo).text for _ in range(3)] == ["At 9:40."] * 3
        assert leo.counts["cache.renewal_failed"] == 1
        assert not caplog.records


@pytest.mark.parametrize("same", [True, False])
def test_a_renewed_entry_keeps_its_paraphrases_where_it_says_the_same(same):
    clock = Clock()
    member = constant() if same else counting()
    with LEO(small=member, clock=clock, config=configured(ttl_s=60.0, stale_s=30.0)) as leo:
        ask(leo)
        ((kept,),) = [tuple(leo.store.entries("default"))]
        leo.store.add_alias("default", kept.entry.id, "paraphrase", kept.vector, "key of a paraphrase")
        clock.at += 61.0
        ask(leo)
        ((renewed,),) = [tuple(leo.store.entries("default"))]
        assert renewed.entry.id != kept.entry.id
        assert [alias.text for alias in renewed.aliases] == (["paraphrase"] if same else [])
        assert leo.counts.get("cache.poisoned", 0) == 0


def test_a_request_may_ask_for_a_new_answer():
    with LEO(small=counting()) as leo:
        ask(leo)
        assert ask(leo).text == "Departure number 1."
        renewed = ask(leo, cache="renew")
        assert (renewed.text, renewed.route) == ("Departure number 2.", Route.SMALL)
        assert renewed.receipt is not None
        assert ask(leo).text == "Departure number 2."
        assert leo.store.count_entries() == 1


def test_without_members_one_caller_renews_and_the_others_are_served():
    clock = Clock()
    request = Request(messages=(Message(role="user", content=QUESTION),))
    with LEO(clock=clock, config=configured(ttl_s=60.0, stale_s=600.0)) as leo:
        leo.cache.update(request, Message(role="assistant", content="old"))
        leo.flush()
        clock.at += 61.0
        (decision, entry), (served, other) = leo.cache.lookup(request), leo.cache.lookup(request)
        assert (decision.action, decision.stale, entry) == ("miss", True, None)
        assert (served.action, served.stale, other.message.text) == ("serve", True, "old")
        leo.cache.update(request, Message(role="assistant", content="new"))
        leo.flush()
        decision, entry = leo.cache.lookup(request)
        assert (decision.hit, decision.stale, entry.message.text) == (True, False, "new")


# ------------------------------------------------------------------------------------------------ invalidation


def fill(leo):
    for tenant in ("acme", "other"):
        for name, sources, tags in [("one", ("doc-1",), ()), ("two", ("doc-1", "doc-2"), ("law",)), ("three", (), ())]:
            leo.ask(f"Question {name}?", tenant=tenant, sources=sources, tags=tags)
    leo.flush()


@pytest.mark.parametrize(
    ("criteria", "removed"),
    [
        ({"tenant": "acme", "sources": ["doc-1"]}, 2),
        ({"tenant": None, "sources": ["doc-2"]}, 2),
        ({"tenant": "acme", "tags": ["law"]}, 1),
        ({"tenant": None, "model": "desk"}, 6),
        ({"tenant": "nobody", "model": "desk"}, 0),
        ({"tenant": "acme", "where": lambda entry: "three" in entry.text}, 1),
        ({"tenant": None, "tags": ["law"], "where": lambda entry: entry.sources == ("doc-1",)}, 4),
    ],
)
def test_entries_are_invalidated(criteria, removed):
    with LEO(small=constant()) as leo:
        fill(leo)
        assert leo.cache.invalidate(**criteria) == removed
        assert leo.store.count_entries() == 6 - removed
        assert asyncio.run(leo.cache.ainvalidate(**criteria)) == 0


def test_invalidation_reaches_answers_that_are_on_their_way():
    with LEO(small=constant()) as leo:
        answer = leo.ask(QUESTION, sources=["doc-1"])
        assert leo.cache.invalidate(sources=["doc-1"]) == 1
        assert ask(leo).route is Route.SMALL
        assert leo.cache.invalidate(ids=[answer.id]) == 0


def test_invalidation_wants_to_know_what():
    with LEO(small=constant()) as leo, pytest.raises(ConfigError, match="clear"):
        leo.cache.invalidate(tenant="acme")


# ---------------------------------------------------------------------------------------------------- feedback


def test_feedback_reaches_entries_of_another_process(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=constant(), store=path) as leo:
        answer = ask(leo, tenant="acme")
    with LEO(small=counting(), store=path) as leo:
        with pytest.raises(RequestError):
            leo.feedback(answer.id, wrong=True, tenant="other")
        leo.feedback(answer.id, wrong=True, tenant="acme")
        leo.flush()
        assert leo.store.count_entries() == 0
        assert [item.kind for _, item in leo.store.observations(tenant="acme")].count("feedback") == 2
        assert ask(leo, tenant="acme").route is Route.SMALL


def test_feedback_on_a_hit_by_a_paraphrase_removes_the_entry_that_another_process_wrote(tmp_path):
    path = tmp_path / "leo.db"
    paraphrase = "When does the ferry leave to the island?"
    with LEO(small=constant(), store=path) as writer, LEO(small=constant(), store=path) as reader:
        ask(writer)
        explored = ask(reader, paraphrase)
        assert explored.cache.action == "explore"
        hit = ask(reader, paraphrase)
        assert (hit.cache.kind, writer.store.count_entries()) == ("exact", 1)
        reader.feedback(hit, wrong=True)
        assert writer.store.count_entries() == 0
        assert ask(writer).route is Route.SMALL


# ------------------------------------------------------------------------------------------- export and import


def test_an_export_is_imported_into_another_store(tmp_path):
    there, here, file = tmp_path / "there.db", tmp_path / "here.db", tmp_path / "cache.jsonl"
    with LEO(small=constant(), store=there) as leo:
        fill(leo)
        ((kept,),) = [tuple(leo.store.entries("acme", entry_ids=[next(iter(leo.store.entries("acme"))).entry.id]))]
        leo.store.add_alias("acme", kept.entry.id, "Question number one?", kept.vector, "key of a paraphrase")
        assert leo.cache.export(file, tenant="acme") == 3
        key = leo.cache.export_key.to_pem()
        before = [each.entry for each in leo.store.entries("acme")]
    assert file.stat().st_mode & 0o777 == 0o600
    with LEO(small=constant(), store=here) as leo:
        with pytest.raises(StoreCorruptError, match="another key"):
            leo.cache.load(file)
        seen = []
        assert leo.cache.load(file, key=key, progress=seen.append) == 3
        assert seen == [3]
        after = list(leo.store.entries("acme"))
        assert [each.entry.message for each in after] == [each.message for each in before]
        assert [(each.entry.id, each.entry.sources) for each in after] == [(each.id, each.sources) for each in before]
        assert [alias.text for alias in after[0].aliases] == ["Question number one?"]
        assert leo.ask("Question two?", tenant="acme").route is Route.CACHE
        assert leo.cache.load(file, key=key) == 0
        assert asyncio.run(leo.cache.aexport(tmp_path / "all.jsonl")) == 3


def test_an_import_passes_over_what_has_expired_or_is_older(tmp_path):
    clock, file = Clock(), tmp_path / "cache.jsonl"
    with LEO(small=counting(), store=tmp_path / "leo.db", clock=clock) as leo:
        ask(leo)
        ask(leo, "Who wrote Faust?", ttl_s=50.0)
        leo.cache.export(file)
        clock.at += 100.0
        ask(leo, cache="renew")
        assert leo.cache.load(file) == 0
        assert ask(leo).text == "Departure number 3."
        leo.cache.clear()
        assert leo.cache.load(file) == 1
        assert ask(leo).text == "Departure number 1."


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [line.replace(b"9:40", b"9:41") for line in lines],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"entries":3', b'"entries":2')],
        lambda lines: [*lines[:-1], lines[-1][:40]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0].replace(b'"created_at":', b'"created_at":1'), *lines[1:]],
    ],
)
def test_a_damaged_export_is_refused_whole(tmp_path, damage):
    file = tmp_path / "cache.jsonl"
    with LEO(small=constant(), store=tmp_path / "leo.db") as leo:
        fill(leo)
        leo.cache.export(file, tenant="acme")
        leo.cache.clear()
        whole = file.read_bytes().splitlines(keepends=True)
        assert damage(whole) != whole
        file.write_bytes(b"".join(damage(whole)))
        with pytest.raises(StoreCorruptError):
            leo.cache.load(file)
        assert leo.store.count_entries() == 0


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff", b"{}\n", b'{"format":"leo.cache.export","version":2}\n', b"[]\n"]
)
def test_what_is_no_export_is_refused(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    with LEO(small=constant()) as leo, pytest.raises((ConfigError, StoreCorruptError)):
        leo.cache.load(file)
    with LEO(small=constant()) as leo, pytest.raises(ConfigError):
        leo.cache.load(tmp_path / "none")


# ---------------------------------------------------------------------------------------------- past traffic


def test_past_answers_warm_the_cache(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [
        {"prompt": QUESTION, "answer": "At 9:40.", "model": "desk-1", "cost_usd": 0.25, "tags": ["ferry"]},
        {
            "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}],
            "answer": "Hello.",
        },
        {"prompt": "Book it.", "answer": {"content": "", "tool_calls": [{"id": "1", "name": "book", "arguments": {}}]}},
        {"prompt": "For others?", "answer": "Yes.", "tenant": "other"},
        {"prompt": "Nothing?", "answer": ""},
    ]
    log.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n", encoding="utf-8")
    member = constant("never said")
    with LEO(small=member, store=tmp_path / "leo.db") as leo:
        assert leo.cache.warm(log) == 4
        assert leo.cache.warm(log) == 0
        assert asyncio.run(leo.cache.awarm([("Who wrote Faust?", "Goethe.")], tags=("books",))) == 1
        hit = leo.ask(QUESTION)
        assert (hit.text, hit.route, hit.saved.cost_usd, hit.entry.tags) == ("At 9:40.", Route.CACHE, 0.25, ("ferry",))
        assert leo.ask("Book it.").message.tool_calls[0].name == "book"
        assert leo.ask("For others?", tenant="other").text == "Yes."
        assert leo.ask("Who wrote Faust?").entry.tags == ("books",)
        assert member.calls == 0
        paraphrase = leo.ask("When does the ferry leave to the island?")
        assert (paraphrase.cache.action, member.calls) == ("explore", 1)


@pytest.mark.parametrize(
    "line",
    [
        "no JSON",
        "[]",
        '{"prompt": "x"}',
        '{"prompt": "x", "answer": 7}',
        '{"prompt": "x", "answer": "y", "z": 1}',
        '{"prompt": "z", "answer": "y", "tenant": ""}',
        *(
            '{"prompt": "z", "answer": "y", "cost_usd": ' + cost + "}"
            for cost in ('"0.5"', "-3", "NaN", "1e999", "true")
        ),
    ],
)
def test_a_line_that_is_no_pair_is_named_and_those_before_it_are_kept(tmp_path, line):
    """A cost that is no number would be an entry that nothing can read, and with it the tenant's whole cache."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"prompt": "x", "answer": "y"}\n' + line + "\n", encoding="utf-8")
    with LEO(small=constant()) as leo:
        with pytest.raises(RequestError, match="line 2"):
            leo.cache.warm(log)
        assert [kept.entry.text for tenant in leo.store.tenants() for kept in leo.store.entries(tenant)] == ["x"]


# ----------------------------------------------------------------------------------------------------- planted


def plant(path, statement, *values):
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def test_a_planted_answer_is_not_served_and_an_event(tmp_path, caplog):
    path, member = tmp_path / "leo.db", counting()
    heard = []

    class Ear:
        def notify(self, event):
            heard.append(event)

    with LEO(small=member, store=path, listeners=[Ear()]) as leo:
        ask(leo)
        plant(path, "UPDATE entries SET body = replace(body, 'number 1', 'number 7')")
        with caplog.at_level(logging.WARNING, logger="leo_core"):
            answers = [ask(leo).text, ask(leo, "When does the ferry to the island depart?").text]
        assert answers[0] == "Departure number 2."
        assert "7" not in "".join(answers)
        events = [event for event in heard if event.name == "cache.poisoned"]
        assert (
            leo.counts["cache.poisoned"] == len(events) == 3
        )  # found by its key, near, and by its key before it leads
        assert {event.facts["why"] for event in events} == {"seal"}
        assert len(caplog.records) == 1
        assert leo.store.count_entries() == 2  # the new answer took the place of the planted one


def test_who_shares_the_key_is_believed_and_who_does_not_is_not(tmp_path):
    """As several processes do: each opens the file for itself."""
    path = tmp_path / "leo.db"
    with LEO(small=constant(), store=path) as leo:
        ask(leo)
        with LEO(small=counting(), store=path) as sharing:
            assert ask(sharing).text == "At 9:40."
        assert (tmp_path / "leo.db.seal").stat().st_mode & 0o777 == 0o600
        with LEO(small=constant("planted"), store=path, seal_key=tmp_path / "other.seal") as stranger:
            assert ask(stranger).text == "planted"
            assert stranger.counts["cache.poisoned"] == 3  # by its key, near, and by its key before it leads
        assert ask(leo).text == "At 9:40."
        assert leo.counts["cache.poisoned"] == 3
        assert ask(leo).route is Route.CACHE


def test_a_store_that_is_handed_on_keeps_its_key():
    store = SqliteStore(":memory:")
    one = LEO(small=constant(), store=store)
    ask(one)
    two = LEO(small=constant(), store=one.store)
    assert two.ask(QUESTION).route is Route.CACHE
    assert LEO(small=constant(), store=store).ask(QUESTION).route is Route.CACHE
    one.close()


def test_another_tenants_look_up_reads_none_of_the_first_ones_rows(tmp_path):
    """What a look-up of B costs cannot depend on what A keeps: none of its rows is read."""
    path = tmp_path / "leo.db"
    with LEO(small=constant(), store=path) as leo:
        for number in range(30):
            leo.ask(f"{QUESTION} {number}", tenant="a")
        leo.flush()
        read = []
        with leo.store.inner.database.read() as connection:
            connection.set_trace_callback(read.append)
        assert ask(leo, f"{QUESTION} 3", tenant="b").route is Route.SMALL
        with leo.store.inner.database.read() as connection:
            plans = [
                " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
                for statement in read
                if statement.lstrip().upper().startswith("SELECT")
                and ("questions" in statement or "entries" in statement)
            ]
        assert plans
        for plan in plans:
            assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", ""), plan
            assert "tenant=?" in plan or "rowid=?" in plan, plan
