"""Budgets by themselves: settings, periods, accounts, amounts, and what a call is charged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.config import LEOConfig
from leo_core.errors import (
    AuthenticationError,
    ConfigError,
    InvalidRequestError,
    MalformedReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.records import Account, Balance, Draft, Failure, Message, Usage
from leo_core.stages.budget.config import Budget
from leo_core.stages.budget.policy import (
    describe_shortage,
    find_accounts,
    find_charge,
    find_period,
    find_tightest,
    to_nano,
)

NOON = datetime(2026, 11, 29, 12, 30, 15, tzinfo=UTC).timestamp()  # a Sunday


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"limit_usd": -1}, "limit_usd"),
        ({"limit_usd": float("nan")}, "limit_usd"),
        ({"limit_usd": float("inf")}, "limit_usd"),
        ({"limit_usd": 2e9}, "limit_usd"),
        ({"limit_usd": "10"}, "limit_usd"),
        ({"limit_usd": True}, "limit_usd"),
        ({"limit_usd": 1, "per": "team"}, "tenant, user, session, all"),
        ({"limit_usd": 1, "period": "year"}, "hour, day, week, month, total"),
        ({"limit_usd": 1, "name": "a\nb"}, "name"),
        ({"limit_usd": 1, "name": "x" * 65}, "name"),
        ({"limit_usd": 1, "name": 7}, "name"),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(settings, named):
    with pytest.raises(ConfigError, match=named):
        Budget(**settings)


def test_budgets_have_to_be_told_apart():
    one = Budget(limit_usd=1.0, per="user", period="day")
    with pytest.raises(ConfigError, match="'user/day'; give one of them another name="):
        LEOConfig(budgets=(one, replace(one, limit_usd=2.0)))
    two = LEOConfig(budgets=(one, replace(one, limit_usd=2.0, name="large users")))
    assert [budget.label for budget in two.budgets] == ["user/day", "large users"]
    assert two.to_dict()["budgets"][1]["name"] == "large users"


@pytest.mark.parametrize("budgets", [Budget(limit_usd=1.0), [Budget(limit_usd=1.0)], ("tenant",), "tenant"])
def test_budgets_are_a_tuple_of_budgets(budgets):
    with pytest.raises(ConfigError, match="budgets"):
        LEOConfig(budgets=budgets)


@pytest.mark.parametrize("seconds", [0.0, 59.0, float("inf"), float("nan")])
def test_reservations_live_for_a_while(seconds):
    with pytest.raises(ConfigError, match="reservation_ttl_s"):
        LEOConfig(reservation_ttl_s=seconds)


# -------------------------------------------------------------------------------------------------- periods


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ("hour", (2026, 11, 29, 12), (2026, 11, 29, 13)),
        ("day", (2026, 11, 29), (2026, 11, 30)),
        ("week", (2026, 11, 23), (2026, 11, 30)),
        ("month", (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period, begin, end):
    instants = tuple(datetime(*date, tzinfo=UTC).timestamp() for date in (begin, end))
    assert find_period(period, NOON) == instants


def test_total_never_ends():
    assert find_period("total", NOON) == (0.0, None)


@given(st.sampled_from(["hour", "day", "week", "month"]), st.floats(0.0, 4e9))
def test_periods_follow_each_other_without_a_gap(period, now):
    begin, end = find_period(period, now)
    assert begin <= now < end
    assert find_period(period, begin) == (begin, end)
    assert find_period(period, end)[0] == end
    first = datetime.fromtimestamp(begin, UTC)
    assert (first.minute, first.second, first.microsecond) == (0, 0, 0)
    assert end - begin <= timedelta(days=31).total_seconds()


# ------------------------------------------------------------------------------------------------- accounts


def accounts_of(*budgets, **who):
    who = {"tenant": "acme", "user": None, "session": None, "now": NOON} | who
    return find_accounts(budgets, **who)


def test_a_request_is_charged_to_each_budget():
    tenant, user, session, everybody = accounts_of(
        Budget(limit_usd=5.0),
        Budget(limit_usd=1.0, per="user", period="day"),
        Budget(limit_usd=0.5, per="session", period="total", name="chat"),
        Budget(limit_usd=9.0, per="all", period="total"),
        user="ann@example.org",
        session="s-1",
    )
    assert (tenant.budget, tenant.tenant, tenant.owner, tenant.limit) == ("tenant/month", "acme", "", 5 * 10**9)
    assert (user.tenant, user.owner.partition(":")[0]) == ("acme", "user")
    assert (session.budget, session.owner.partition(":")[0], session.ends_at) == ("chat", "session", None)
    assert (everybody.tenant, everybody.owner) == ("", "")
    assert "ann" not in repr((tenant, user, session, everybody))
    assert "s-1" not in repr(session)


def test_users_are_apart_and_belong_to_their_tenant():
    budget = Budget(limit_usd=1.0, per="user")
    owners = {
        accounts_of(budget, tenant=tenant, user=user)[0].key
        for tenant, user in [("acme", "ann"), ("acme", "bob"), ("globex", "ann"), ("acme\0ann", "x"), ("acme", None)]
    }
    assert len(owners) == 5
    assert accounts_of(budget, user="ann", session="a") == accounts_of(budget, user="ann", session="b")


# -------------------------------------------------------------------------------------------------- amounts


@given(st.integers(0, 10**15))
def test_what_is_written_in_nano_dollars_is_exact(nano):
    usd = float(f"{nano}e-9")
    if Fraction(repr(usd)) * 10**9 == nano:
        assert to_nano(usd) == to_nano(usd, up=False) == nano


@given(st.floats(0.0, 1e8))
def test_costs_are_rounded_up_and_limits_down(usd):
    exact = Fraction(repr(usd)) * 10**9
    assert to_nano(usd, up=False) <= exact <= to_nano(usd) <= exact + 1


def test_amounts_have_an_end():
    assert to_nano(1e300) == 10**18
    assert to_nano(0.0007) == 700_000
    assert to_nano(1e-30) == 1


# ------------------------------------------------------------------------------------------------- charges


def failure(kind, cause=None, shown=""):
    error = kind("x", provider="scripted", model="m")
    error.__cause__ = cause
    return Failure(member="m", error=error, shown=shown)


class StatusError(Exception):
    def __init__(self, status):
        self.status_code = status


class ConnectError(Exception):
    pass


class ReadError(Exception):
    pass


def after(outer, inner):
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("reply", "charged"),
    [
        (Draft(member="m", model="m", message=Message(role="assistant"), usage=Usage(cost_usd=0.0003)), 300_000),
        (Draft(member="m", model="m", message=Message(role="assistant"), usage=Usage(cost_usd=0.0)), 0),
        (Draft(member="m", model="m", message=Message(role="assistant"), usage=Usage(cost_usd=None)), 77),
        (failure(RateLimitError), 0),
        (failure(AuthenticationError), 0),
        (failure(InvalidRequestError), 0),
        (failure(ProviderUnavailableError, StatusError(503)), 0),
        (failure(ProviderUnavailableError, after(OSError(), ConnectError())), 0),
        (failure(ProviderUnavailableError, ConnectionRefusedError()), 0),
        (failure(ProviderUnavailableError, after(OSError(), ReadError())), 77),
        (failure(ProviderUnavailableError), 77),
        (failure(ProviderUnavailableError, StatusError(503), shown="Par"), 77),
        (failure(ProviderTimeoutError), 77),
        (failure(MalformedReplyError), 77),
    ],
)
def test_what_a_call_is_charged(reply, charged):
    assert find_charge(reply, 77) == charged


# --------------------------------------------------------------------------------------------------- words


ACCOUNT = Account(budget="team", tenant="acme", owner="", begins_at=0.0, ends_at=NOON, limit=10**10)


def test_a_shortage_is_told_in_full():
    balance = Balance(account=ACCOUNT, spent=9_990_000_000, reserved=5_000_000)
    text = describe_shortage(balance, "a call")
    for part in ("'team'", "'acme'", "$10,", "$9.99 is spent", "$0.005 reserved", "2026-11-29T12:30:15Z"):
        assert part in text
    assert "never ends" in describe_shortage(replace(balance, account=replace(ACCOUNT, ends_at=None)), "a call")
    assert "nothing is known" in describe_shortage(replace(balance, known=False), "a call")


def test_the_tightest_has_the_least_left():
    wide, tight = Balance(account=ACCOUNT, spent=1), Balance(account=replace(ACCOUNT, budget="b"), spent=2)
    assert find_tightest((wide, tight)) is tight
    unknown = Balance(account=ACCOUNT, known=False)
    assert find_tightest((tight, unknown)) is unknown
    assert unknown.has_room_for(0)
    assert not unknown.has_room_for(1)
    assert (wide.limit_usd, wide.spent_usd, wide.left) == (10.0, 1e-9, 10**10 - 1)
