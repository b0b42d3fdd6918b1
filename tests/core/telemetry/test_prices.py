"""Prices are dated data; an unknown price is unknown."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ConfigError
from leo_core.records import Usage
from leo_core.telemetry.cost import cost_of
from leo_core.telemetry.prices import Price, PriceTable, load_prices

TABLE = PriceTable().with_prices(
    {
        "m": {"input": 2.0, "output": 10.0, "cached_input": 0.5, "cache_write": 3.0},
        "plain": Price(input=1.0, output=4.0),
    }
)


def test_shipped_table() -> None:
    """Every price is dated, has its source, and is lower for cached input."""
    table = load_prices()
    assert len(table.prices) > 40
    for name, price in table.prices.items():
        assert name == name.lower()
        assert date(2024, 1, 1) <= date.fromisoformat(price.as_of) <= date.fromisoformat(table.version)
        assert price.source.startswith("https://")
        assert price.cached_input is None or price.cached_input <= price.input
        assert price.output >= price.input


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("openai:gpt-5", "gpt-5"),
        ("openai/GPT-5", "gpt-5"),
        ("gpt-4-0613", "gpt-4"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("Meta-Llama-3.1-8B-Instruct", "meta-llama-3.1-8b-instruct"),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "meta-llama-3.1-70b-instruct"),
        ("gpt-5.4-pro", None),
        ("gpt-5-mini-next", None),
        ("claude-opus-4-9", None),
        ("ft:gpt-4o-mini-2024-07-18:house::abc", None),
        ("house-model", None),
        ("", None),
    ],
)
def test_find(name: str, key: str | None) -> None:
    """Dated names match the longest undated one; other models do not."""
    table = load_prices()
    assert table.find(name) is (None if key is None else table.prices[key])


def test_own_prices_go_on_top() -> None:
    """In any case of letters, without changing the shipped table."""
    shipped = load_prices()
    own = shipped.with_prices({"GPT-5": {"input": 0, "output": 0}})
    found = own.find("gpt-5")
    assert found is not None
    assert found.input == 0
    assert shipped.find("gpt-5") != found


@pytest.mark.parametrize("amount", [-1, -0.01, math.nan, math.inf, "1", None, True])
@pytest.mark.parametrize("name", ["input", "output", "cached_input", "cache_write"])
def test_bad_prices(name: str, amount: object) -> None:
    """Negative, not a number, not finite."""
    fields = {"input": 1.0, "output": 1.0, name: amount}
    if amount is None and name.startswith("cache"):
        assert Price(**fields).input == 1.0
        return
    with pytest.raises(ConfigError, match=name):
        Price(**fields)
    with pytest.raises(ConfigError, match="'m'"):
        PriceTable().with_prices({"m": fields})


def test_unknown_fields() -> None:
    """A field that is misspelt is not ignored."""
    with pytest.raises(ConfigError, match="'m'"):
        PriceTable().with_prices({"m": {"input": 1, "ouptut": 2}})


def test_cost() -> None:
    """Each kind of token at its own price."""
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_input_tokens=400_000, reasoning_tokens=50_000)
    assert cost_of(usage, "m", TABLE) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 10)
    assert cost_of(usage, "m", TABLE, cache_write_tokens=100_000) == pytest.approx(
        0.5 * 2 + 0.4 * 0.5 + 0.1 * 3 + 0.1 * 10
    )
    assert cost_of(usage, "plain", TABLE, cache_write_tokens=100_000) == pytest.approx(1.0 + 0.4)
    assert cost_of(usage, "other", TABLE) is None
    assert cost_of(Usage(), "m", TABLE) == 0.0


COUNTS = st.integers(min_value=0, max_value=10**9)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_cost_is_never_negative(inputs: int, outputs: int, cached: int, written: int) -> None:
    """Whatever a provider reports, and more tokens never cost less."""
    usage = Usage(input_tokens=inputs, output_tokens=outputs, cached_input_tokens=cached)
    cost = cost_of(usage, "m", TABLE, cache_write_tokens=written)
    more = cost_of(Usage(input_tokens=inputs + 1, output_tokens=outputs + 1, cached_input_tokens=cached), "m", TABLE,
                   cache_write_tokens=written)  # fmt: skip
    assert cost is not None
    assert more is not None
    assert 0 <= cost <= more


def test_longest_name_wins() -> None:
    """Of two names that a dated one continues, the longer is meant."""
    table = PriceTable().with_prices({"m": {"input": 1, "output": 1}, "m-v1": {"input": 2, "output": 2}})
    assert table.find("m-v1:123") is table.prices["m-v1"]
    assert table.find("m-v2:123") is table.prices["m"]


def test_looking_a_name_up_again_gives_the_same_and_names_are_not_kept_without_end() -> None:
    table = PriceTable(prices={"gpt-x": Price(input=1.0, output=2.0)})
    for _ in range(2):
        assert table.find("gpt-x-2024-07-18") == Price(input=1.0, output=2.0)
        assert table.find("gpt-y") is None
    for number in range(3_000):
        assert table.find(f"unknown-{number}") is None
    assert len(table._found) <= 1024
    assert table.find("GPT-X") == Price(input=1.0, output=2.0)
    assert table.with_prices({"gpt-y": {"input": 3, "output": 4}}).find("gpt-y") == Price(input=3, output=4)
