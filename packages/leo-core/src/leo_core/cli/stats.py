"""``leo stats``: what a store says about spending, budgets, hits, the promise, routes and trust."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from leo_core.cli.output import AsJson, out, print_json, report_errors
from leo_core.cli.stores import open_existing

__all__ = ["stats"]


def stats(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file).")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    max_wrong_hits: Annotated[float, typer.Option(help="The promise that the store is used with.")] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Spent, saved, budgets, hits, wrong hits and their bound, routes, trust."""
    with report_errors(as_json=as_json), open_existing(store) as (kept, log):
        from leo_core.config import LEOConfig  # noqa: PLC0415 - the engine loads when it is used
        from leo_core.engine.assembly import open_ledger  # noqa: PLC0415 - as above
        from leo_core.evaluation.stats import collect_stats, list_balances  # noqa: PLC0415 - as above

        defaults = LEOConfig()
        config = replace(defaults, cache=replace(defaults.cache, max_wrong_hits=max_wrong_hits))
        found = collect_stats(kept, log, tenant, config=config)
        found["budgets"] = list_balances(open_ledger(kept).balances(now=time.time()), tenant)
        if as_json:
            print_json(found)
            return
        for name, facts in {"all (receipts)": found["traffic"], **found["tenants"]}.items():
            out.print(_table(name, facts))
        if found["budgets"]:
            out.print(_budgets(found["budgets"]))
        out.print(f"{found['receipts']} receipts")


def _table(name: str, facts: dict[str, Any]) -> Table:
    table = Table("figure", "value", title=name)
    for figure, value in facts.items():
        if isinstance(value, dict):
            for key, item in value.items():
                table.add_row(f"{figure}: {key}", _show(item))
        elif isinstance(value, list):
            for change in value:
                table.add_row(figure, _describe(change))
        else:
            table.add_row(figure, _show(value))
    return table


def _describe(change: dict[str, Any]) -> str:
    """A promotion or demotion in words."""
    test = "" if change["wealth"] is None else f", wealth {change['wealth']:.4g}"
    after = change["default"] or "the router"
    return (
        f"{change['at']}: {change['route']} {change['change']} in region {change['region']} ({change['why']}{test}); "
        f"default: {after}"
    )


def _budgets(rows: list[dict[str, Any]]) -> Table:
    table = Table("budget", "tenant", "owner", "limit", "spent", "reserved", "left", "ends at", title="budgets, USD")
    for row in rows:
        figures = (row[name] for name in ("limit_usd", "spent_usd", "reserved_usd", "left_usd"))
        whose = (row["budget"], row["tenant"] or "all", row["owner"] or "")
        table.add_row(*whose, *map(_show, figures), row["ends_at"] or "never")
    return table


def _show(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
