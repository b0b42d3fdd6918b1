"""Budgets through the whole engine: under concurrency, in every driver, in the background, and after a crash."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from leo_core import LEO, Budget, LEOConfig, Message, Route
from leo_core.errors import BudgetExceededError, ProviderUnavailableError, RateLimitError, RequestError
from leo_core.providers.openai import OpenAIModel
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Draft, Usage
from leo_core.stages.cache.config import CacheConfig
from tests.contracts.event_loop import never_blocked
from tests.core.engine import spending
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

QUESTION = "How many days does February have in 2028?"


class Clock:
    """A clock that goes when it is told to; it stands at 2026-11-29, 12:30 (UTC)."""

    def __init__(self, at=1_795_955_400.0):
        self.at = at

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


def parrot(name="parrot", cost=0.01, **settings):
    return ScriptedModel(name, replies=lambda request: request.question, cost=cost, **settings)


def limited(limit_usd, per="tenant", period="total", **settings):
    return LEOConfig(budgets=(Budget(limit_usd=limit_usd, per=per, period=period),), **settings)


def spent(leo, **who):
    balance = (leo.budgets(**who) if who else leo.budgets())[0]
    return balance.spent_usd, balance.reserved_usd


# --------------------------------------------------------------------------------------------- concurrency


@pytest.mark.parametrize("store", [":memory:", "leo.db"])
def test_of_two_hundred_threads_fifty_are_served(store, tmp_path):
    member = parrot(cost=0.0007)
    path = store if store == ":memory:" else tmp_path / store

    def ask(number):
        try:
            return leo.ask(f"question {number}?", cache=False).text
        except BudgetExceededError as error:
            return error

    with LEO(small=member, store=path, config=limited(0.035)) as leo:
        leo.warm_up()
        with ThreadPoolExecutor(200) as pool:
            outcomes = list(pool.map(ask, range(200)))
        check_fifty(leo, member, outcomes)


@pytest.mark.parametrize("store", [":memory:", "leo.db"])
async def test_of_two_hundred_tasks_fifty_are_served(store, tmp_path):
    member = parrot(cost=0.0007, delay_s=0.01)
    path = store if store == ":memory:" else tmp_path / store
    leo = LEO(small=member, store=path, config=limited(0.035))
    await asyncio.to_thread(leo.ask, "what is loaded once?", tenant="warm")
    with never_blocked("leo_core"):
        outcomes = await asyncio.gather(
            *(leo.aask(f"question {number}?", cache=False) for number in range(200)), return_exceptions=True
        )
    check_fifty(leo, member, [each if isinstance(each, BaseException) else each.text for each in outcomes], before=1)
    await asyncio.to_thread(leo.close)


def check_fifty(leo, member, outcomes, before=0):
    refused = [each for each in outcomes if not isinstance(each, str)]
    assert (len(outcomes) - len(refused), member.calls - before) == (50, 50)
    assert spent(leo) == (0.035, 0.0)
    for error in refused:
        assert isinstance(error, BudgetExceededError)
        assert (error.budget, error.ends_at) == ("tenant/total", None)
        assert "'tenant/total'" in str(error)
        assert "$0.035" in str(error)
        assert "it never ends" in str(error)
    assert leo.counts["budget.exceeded"] >= 150


def run_spending(*arguments, **settings):
    harness = Path(spending.__file__)
    return subprocess.Popen(
        [sys.executable, harness, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_of_four_processes_with_fifty_each_fifty_are_served(tmp_path):
    store = tmp_path / "leo.db"
    processes = [run_spending("spend", store, 50) for _ in range(4)]
    outcomes = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        outcomes.append(json.loads(out))
    assert sum(each["answered"] for each in outcomes) == 50
    assert sum(each["calls"] for each in outcomes) == 50
    assert {"'tenant/total'" in error for each in outcomes for error in each["errors"]} == {True}
    with LEO(small=parrot(), store=store, config=spending.CONFIG) as leo:
        assert spent(leo) == (spending.LIMIT, 0.0)
        assert leo.log.size() == 50


def test_a_killed_process_neither_frees_nor_hides_what_it_had_reserved(tmp_path):
    store = tmp_path / "leo.db"
    process = run_spending("hang", store)
    assert process.stdout.readline() == "called\n", process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    clock = Clock(time.time())
    config = replace(spending.CONFIG, budgets=(replace(spending.CONFIG.budgets[0], limit_usd=2 * spending.COST),))
    with LEO(small=parrot(cost=spending.COST), store=store, config=config, clock=clock) as leo:
        assert spent(leo) == (0.0, spending.COST)
        leo.ask(QUESTION)
        for wait_s in (0.0, 61.0, 1e6):
            clock.at += wait_s
            with pytest.raises(BudgetExceededError):
                leo.ask(QUESTION + " again")
        (balance,) = leo.budgets()
        assert (balance.spent_usd, balance.reserved_usd) == (2 * spending.COST, 0.0)
        assert balance.expired_usd == spending.COST
        assert leo.counts["budget.expired"] == 1


# ---------------------------------------------------------------------------------------- whose, and when


def test_each_user_has_a_budget_and_nobody_learns_the_name(tmp_path, caplog):
    caplog.set_level("DEBUG")
    heard = []

    class Listener:
        def notify(self, event):
            heard.append(event)

    config = limited(0.01, per="user", period="day")
    with LEO(small=parrot(), store=tmp_path / "leo.db", config=config, listeners=[Listener()]) as leo:
        receipt = leo.ask("one?", user="ann@example.org").receipt
        with pytest.raises(BudgetExceededError) as caught:
            leo.ask("two?", user="ann@example.org")
        leo.ask("two?", user="bob")
        leo.ask("three?", tenant="globex", user="ann@example.org")
        assert leo.ask("one?", user="bob").route is Route.CACHE, "who asks is part of no key"
        assert spent(leo, user="ann@example.org") == (0.01, 0.0)
        assert spent(leo, user="nobody") == (0.0, 0.0)
        assert len(leo.budgets()) == 3
    shown = "".join(map(repr, (receipt, heard, str(caught.value), caplog.text, leo.counts)))
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "ann@example.org" not in shown
    assert b"ann@example.org" not in kept


def test_requests_without_a_user_share_one_account():
    with LEO(small=parrot(), config=limited(0.015, per="user")) as leo:
        leo.ask("one?")
        with pytest.raises(BudgetExceededError, match="'user/total' of tenant 'default', user"):
            leo.ask("two?")
        leo.ask("two?", user="ann")
        with pytest.raises(RequestError, match="user"):
            leo.ask("three?", user="")


def test_all_budgets_have_to_have_room():
    budgets = (Budget(limit_usd=0.05, per="all"), Budget(limit_usd=0.02), Budget(limit_usd=0.03, per="session"))
    with LEO(small=parrot(), config=LEOConfig(budgets=budgets)) as leo:
        for tenant, served, budget in [("a", 2, "tenant/month"), ("b", 2, "tenant/month"), ("c", 1, "all/month")]:
            for number in range(served):
                leo.ask(f"question {number}?", tenant=tenant, session=f"{tenant}{number}")
            with pytest.raises(BudgetExceededError) as caught:
                leo.ask("one more?", tenant=tenant, session="another")
            assert caught.value.budget == budget
        assert [balance.spent_usd for balance in leo.budgets(tenant="a", session="a0")] == [0.05, 0.02, 0.01]


def test_a_new_period_begins_with_nothing_spent():
    clock = Clock()
    with LEO(small=parrot(), clock=clock, config=limited(0.01, period="day")) as leo:
        leo.ask("one?")
        with pytest.raises(BudgetExceededError, match="ends at 2026-11-30T00:00:00Z") as caught:
            leo.ask("two?")
        clock.at = caught.value.ends_at - 0.001
        with pytest.raises(BudgetExceededError):
            leo.ask("two?")
        clock.at = caught.value.ends_at
        leo.ask("two?")
        with pytest.raises(BudgetExceededError, match="ends at 2026-12-01T00:00:00Z"):
            leo.ask("three?")


def test_what_was_spent_is_known_after_a_restart(tmp_path):
    for question in ("one?", "two?"):
        with LEO(small=parrot(), store=tmp_path / "leo.db", config=limited(0.02)) as leo:
            leo.ask(question)
    with LEO(small=parrot(), store=tmp_path / "leo.db", config=limited(0.02)) as leo:
        assert leo.ask("one?").route is Route.CACHE
        with pytest.raises(BudgetExceededError):
            leo.ask("three?")


# ---------------------------------------------------------------------------------------- hits and routes


def test_hits_cost_nothing_and_always_work():
    member = parrot()
    with LEO(small=member, config=limited(0.01)) as leo:
        leo.ask(QUESTION)
        with pytest.raises(BudgetExceededError):
            leo.ask("Something else?")
        assert [leo.ask(QUESTION).route for _ in range(3)] == [Route.CACHE] * 3
        assert [chunk.answer.route for chunk in leo.stream(QUESTION) if chunk.answer] == [Route.CACHE]
        assert member.calls == 1


def test_a_route_that_does_not_fit_is_not_chosen_when_a_cheaper_fits():
    small, large = parrot("small", cost=0.001), parrot("large", cost=0.1)
    with LEO(small, large, config=limited(0.15)) as leo:
        assert leo.ask("one?", route="large").route is Route.LARGE
        answer = leo.ask("two?")
        assert (answer.route, large.calls) == (Route.SMALL, 1)
        assert "dearer routes are over the budget" in answer.decision.why
        with pytest.raises(BudgetExceededError, match=r"\$0\.1 does not fit"):
            leo.ask("three?", route="large")
        with pytest.raises(BudgetExceededError):
            leo.ask("three?", max_cost_usd=0.0001)


def test_a_route_that_somebody_else_took_the_room_of_gives_way_to_a_cheaper_one():
    small, large = parrot("small", cost=0.001), parrot("large", cost=0.1)
    with LEO(small, large, config=limited(0.15)) as leo:
        choose, reserved = leo._world.budgets.reserve, []

        def reserve(accounts, amount, life_s):
            if not reserved:
                reserved.append(choose(accounts, 100_000_000, life_s))
            return choose(accounts, amount, life_s)

        leo._world.budgets.reserve = reserve
        answer = leo.ask("one?", route="large")
        assert (answer.model, large.calls, small.calls) == ("small", 0, 1)


def test_a_cascade_goes_on_with_what_there_is():
    unsure = Message(role="assistant", content="I am not sure. I cannot answer this.")
    small, large = parrot("small", cost=0.01), parrot("large", cost=0.1)
    small.generate = lambda request: Draft(member="small", model="s", message=unsure, usage=Usage(cost_usd=0.06))
    with LEO(small, large, config=limited(0.15)) as leo:
        answer = leo.ask(QUESTION, route="cascade", max_error=0.01)
        assert (answer.members, large.calls, leo.counts["budget.exceeded"]) == (("small",), 0, 1)
        assert spent(leo) == (0.06, 0.0)


def test_a_jury_is_paid_for_together_or_not_at_all():
    jury = [parrot(name, cost=0.01) for name in "abc"]
    with LEO(jury=jury, config=limited(0.05)) as leo:
        assert leo.ask(QUESTION, route="consensus").usage.calls == 3
        with pytest.raises(BudgetExceededError):
            leo.ask(QUESTION + " again", route="consensus")
        assert sum(member.calls for member in jury) == 3
        assert spent(leo) == (0.03, 0.0)


def test_a_member_of_unknown_price_is_refused_and_told_what_to_give():
    free, unpriced = parrot("free", cost=0.0), parrot("dark", cost=None)
    with LEO(small=unpriced, config=limited(5.0)) as leo:
        with pytest.raises(BudgetExceededError, match="unknown: give prices="):
            leo.ask(QUESTION)
        with pytest.raises(BudgetExceededError, match="give prices="):
            leo.ask(QUESTION, route="small")
    with LEO(small=free, large=unpriced, config=limited(5.0)) as leo:
        assert leo.ask(QUESTION).route is Route.SMALL
        with pytest.raises(BudgetExceededError, match="give prices="):
            leo.ask(QUESTION + " again", route="large")
    assert unpriced.calls == 0


# -------------------------------------------------------------------------------------------- settlements


def test_a_call_is_settled_with_what_it_cost():
    member = parrot(cost=0.01)
    cost = iter([0.004, None, 0.02])
    member.generate = lambda request: Draft(
        member="parrot",
        model="p",
        message=Message(role="assistant", content="x"),
        usage=Usage(cost_usd=next(cost)),
    )
    with LEO(small=member, config=limited(0.05)) as leo:
        totals = []
        for number in range(3):
            leo.ask(f"question {number}?")
            totals.append(spent(leo)[0])
        assert totals == [0.004, 0.014, 0.034]


@pytest.mark.parametrize(
    ("kind", "charged"), [(RateLimitError, 0.0), (ProviderUnavailableError, 0.01)], ids=["refused", "cut off"]
)
def test_a_failed_call_is_charged_where_it_may_have_cost_something(kind, charged):
    member = parrot(fail=kind("x", provider="scripted", model="parrot"))
    with LEO(small=member, config=limited(0.05)) as leo:
        with pytest.raises(kind):
            leo.ask(QUESTION)
        assert spent(leo) == (charged, 0.0)


def test_streams_are_reserved_and_settled():
    member = parrot(cost=0.01)
    with LEO(small=member, config=limited(0.025)) as leo:
        for question in ("one two three?", "four five six?"):
            chunks = leo.stream(question)
            next(chunks)
            assert spent(leo)[1] == 0.01
            assert "".join(chunk.text for chunk in chunks)
        assert spent(leo) == (0.02, 0.0)
        with pytest.raises(BudgetExceededError):
            list(leo.stream("seven?"))
        assert member.calls == 2


class Stuck(ScriptedModel):
    """A member that never answers."""

    def __init__(self):
        super().__init__("stuck", replies="nothing", cost=0.01)
        self.called = asyncio.Event()

    async def agenerate(self, request):
        self.called.set()
        await asyncio.Event().wait()

    async def astream(self, request):
        await self.agenerate(request)
        yield None


async def go_away(task, once):
    await once.wait()
    once.clear()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_goes_away_pays_for_the_call_that_was_made():
    member = Stuck()
    leo = LEO(small=member, config=limited(0.025))
    chunks = leo.astream("one two three?")
    await go_away(asyncio.ensure_future(anext(chunks)), member.called)
    await chunks.aclose()
    await go_away(asyncio.ensure_future(leo.aask("four?")), member.called)
    assert await asyncio.to_thread(spent, leo) == (0.02, 0.0)
    with pytest.raises(BudgetExceededError):
        await leo.aask("five?")
    await asyncio.to_thread(leo.close)


def test_whoever_leaves_a_stream_pays_for_it():
    with LEO(small=parrot(cost=0.01), config=limited(0.025)) as leo:
        chunks = leo.stream("one two three?")
        next(chunks)
        chunks.close()
        assert spent(leo) == (0.01, 0.0)


async def test_a_reservation_that_nobody_waits_for_any_more_is_given_back():
    leo = LEO(small=parrot(cost=0.01), config=limited(0.01))
    loop, begun, may_go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    reserve = leo._world.budgets.reserve

    def reserve_slowly(accounts, amount, life_s):
        loop.call_soon_threadsafe(begun.set)
        may_go_on.wait()
        return reserve(accounts, amount, life_s)

    leo._world.budgets.reserve = reserve_slowly
    await go_away(asyncio.ensure_future(leo.aask("one?", cache=False)), begun)
    assert await asyncio.to_thread(leo.budgets) == ()
    may_go_on.set()
    while not leo.budgets() or spent(leo) != (0.0, 0.0):
        await asyncio.to_thread(leo.budgets)
    assert (await leo.aask("two?")).text == "two?"
    await asyncio.to_thread(leo.close)


# -------------------------------------------------------------------------------------------- background


def test_audits_are_paid_for_and_left_out_where_there_is_no_room():
    small, large = parrot("small", cost=0.001), parrot("large", cost=0.1)
    with LEO(small, large, config=limited(0.103, audit_rate=1.0)) as leo:
        for number in range(3):
            leo.ask(f"question {number}?", route="small")
            leo.flush()
        assert (small.calls, large.calls) == (3, 1)
        assert spent(leo) == (0.103, 0.0)
        assert leo.counts["audit.done"] == 1


def test_renewals_are_paid_for_and_left_out_where_there_is_no_room():
    clock, member = Clock(), parrot(cost=0.01)
    config = limited(0.02, cache=CacheConfig(ttl_s=60.0, stale_s=600.0))
    with LEO(small=member, clock=clock, config=config) as leo:
        for calls in (1, 2, 2):
            assert leo.ask(QUESTION).text == QUESTION
            leo.flush()
            assert member.calls == calls
            clock.at += 61.0
        assert spent(leo) == (0.02, 0.0)
        assert leo.counts["cache.renewal_failed"] == 1


def test_a_repeated_request_with_an_idempotency_key_costs_nothing():
    with LEO(small=parrot(), config=limited(0.01)) as leo:
        first, again = (leo.ask(QUESTION, idempotency_key="17", cache=False) for _ in range(2))
        assert (first.replayed, again.replayed) == (False, True)
        assert spent(leo) == (0.01, 0.0)


# ------------------------------------------------------------------------------------------- a real provider


def test_with_a_providers_sdk(tmp_path):
    prices = {"gpt-loopback": {"input": 1_000.0, "output": 1_000.0}}
    with OpenAIServer() as server:
        model = OpenAIModel("gpt-loopback", base_url=server.base_url, api_key="k", prices=prices, max_retries=0)
        with model, LEO(small=model, store=tmp_path / "leo.db", config=limited(0.1)) as leo:
            cost = leo.ask("Hello?", max_tokens=30).usage.cost_usd
            assert 0.0 < spent(leo)[0] - cost < 1e-9 or spent(leo)[0] == cost
            server.fault = Fault(status=503)
            with pytest.raises(ProviderUnavailableError):
                leo.ask("And again?", max_tokens=30)
            assert spent(leo)[0] == pytest.approx(cost)
            server.fault = None
            with pytest.raises(BudgetExceededError, match="tenant/total"):
                leo.ask("Without a limit 1,024 tokens are assumed")
            asked = 2
            while True:
                try:
                    leo.ask(f"And again, {asked}?", max_tokens=30)
                except BudgetExceededError:
                    break
                asked += 1
            assert len(server.requests) == asked
            assert spent(leo)[0] <= 0.1
