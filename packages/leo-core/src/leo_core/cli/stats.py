"""``leo stats``: what a store says about spending, budgets, hits, the promise, routes and trust."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leo_core.cli.output import AsJson, make_table, out, print_json, report_errors
from leo_core.cli.stores import open_existing
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from leo_core.evaluation.published_stats import Unit

__all__ = ["stats"]


def stats(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file).")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    max_wrong_hits: Annotated[float, typer.Option(help="The promise that the store is used with.")] = 0.01,
    private: Annotated[bool, typer.Option("--private", help="Figures to publish: clipped, with noise.")] = False,
    epsilon: Annotated[float, typer.Option(help="With --private: what this publication may cost.")] = 0.5,
    budget_epsilon: Annotated[float, typer.Option(help="With --private: what all of them together may cost.")] = 3.0,
    delta: Annotated[float, typer.Option(help="With --private: δ of the budget.")] = 1e-6,
    unit: Annotated[str, typer.Option(help="With --private: what is protected, tenant or request.")] = "tenant",
    contribution: Annotated[int, typer.Option(help="With --private: requests of a tenant that count.")] = 1000,
    ledger: Annotated[
        Path | None, typer.Option(help="With --private: file of the budget; by default beside STORE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Spent, saved, budgets, hits, wrong hits and their bound, routes, trust; or what of it may be published."""
    with report_errors(as_json=as_json), open_existing(store) as (kept, log):
        if private:
            from leo_core.evaluation.published_stats import PublishTerms, publish_stats  # noqa: PLC0415 - as below
            from leo_core.privacy.publishing.accountant import PrivacyAccountant  # noqa: PLC0415 - as below

            terms = PublishTerms(epsilon=epsilon, unit=_read_unit(unit), contribution=contribution)
            path = ledger or store.with_name(store.name + ".privacy")
            accountant = PrivacyAccountant(epsilon=budget_epsilon, delta=delta, path=path)
            published = publish_stats(kept, accountant, terms, tenant=tenant)
            if as_json:
                print_json(published)
            else:
                _show_published(published)
            return
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


def _read_unit(name: str) -> Unit:
    if name == "tenant":
        return "tenant"
    if name == "request":
        return "request"
    message = f"--unit is {name!r}; there are tenant and request"
    raise ConfigError(message)


def _show_published(published: dict[str, Any]) -> None:
    table = make_table("figure", "value", "95 % interval of the noise", title=published["principal"])
    for name, figure in published["figures"].items():
        table.add_row(name, _show(figure["value"]), " to ".join(map(_show, figure["interval"])))
    out.print(table)
    out.print(
        f"epsilon {published['epsilon']:g} at delta {published['delta']:g}; spent {published['spent_epsilon']:.4g} "
        f"of {published['budget_epsilon']:g}; noise sigma {published['sigma']:.4g}"
    )


def _table(name: str, facts: dict[str, Any]) -> Table:
    table = make_table("figure", "value", title=name)
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
    table = make_table(
        "budget", "tenant", "owner", "limit", "spent", "reserved", "left", "ends at", title="budgets, USD"
    )
    for row in rows:
        figures = (row[name] for name in ("limit_usd", "spent_usd", "reserved_usd", "left_usd"))
        whose = (row["budget"], row["tenant"] or "all", row["owner"] or "")
        table.add_row(*whose, *map(_show, figures), row["ends_at"] or "never")
    return table


def _show(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
