"""What a store says about its traffic, read from receipts and observations alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from leo_core.config import LEOConfig
from leo_core.engine.knowledge import Known, fold
from leo_core.stages.budget.policy import spell_instant
from leo_core.stages.cache.promise import bound_wrong_hits
from leo_core.stages.consensus.trust import estimate
from leo_core.stages.receipt.canonical import rfc3339
from leo_core.stages.receipt.document import read_statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leo_core.ports import ReceiptLog, Store
    from leo_core.records import Balance, RouteChange

__all__ = ["collect_stats", "list_balances"]


def collect_stats(
    store: Store, log: ReceiptLog, tenant: str | None = None, *, config: LEOConfig | None = None
) -> dict[str, Any]:
    """Spent, saved, routes, hits, the promise and trust.

    Money, routes and models come from the receipts, whose tenants are pseudonyms, so they are of all tenants
    together; hits, the promise and trust come from each tenant's observations.

    Args:
        store: The store.
        log: Its receipt log.
        tenant: Only this tenant's observations; ``None`` for all.
        config: Settings that the store is used with; the bounds depend on them.
    """
    names = store.tenants() if tenant is None else (tenant,)
    return {
        "receipts": log.size(),
        "traffic": _traffic(log),
        "tenants": {name: _tenant(store, name, config or LEOConfig()) for name in names},
    }


def list_balances(balances: Iterable[Balance], tenant: str | None = None) -> list[dict[str, Any]]:
    """Balances of budgets as plain values; of one tenant only where it is named, and then also those of all tenants."""
    return [
        {
            "budget": balance.account.budget,
            "tenant": balance.account.tenant or None,
            "owner": balance.account.owner or None,
            "limit_usd": balance.limit_usd,
            "spent_usd": balance.spent_usd,
            "reserved_usd": balance.reserved_usd,
            "left_usd": balance.left_usd,
            "expired_usd": balance.expired_usd,
            "ends_at": None if balance.account.ends_at is None else spell_instant(balance.account.ends_at),
        }
        for balance in balances
        if tenant is None or balance.account.tenant in (tenant, "")
    ]


def _traffic(log: ReceiptLog) -> dict[str, Any]:
    routes: Counter[str] = Counter()
    models: Counter[str] = Counter()
    spent, saved, unknown = 0.0, 0.0, 0
    for receipt in log.receipts():
        statement = read_statement(receipt)
        routes[statement["served"]["route"]] += 1
        models[statement["served"]["model"]] += 1
        cost = statement["usage"]["cost_usd"]
        unknown += cost is None
        spent += float(cost or 0)
        saved += float(statement["saved"]["cost_usd"] or 0)
    return {
        "spent_usd": spent,
        "saved_usd": saved,
        "unknown_prices": unknown,
        "routes": dict(routes),
        "models": dict(models),
    }


def _tenant(store: Store, tenant: str, config: LEOConfig) -> dict[str, Any]:
    known = Known.fresh(1)
    kinds: Counter[str] = Counter()
    members: set[str] = set()
    for _, observation in store.observations(tenant=tenant):
        known = fold(known, observation, config)
        if observation.kind == "served":
            kinds[observation.body["kind"]] += 1
        if observation.kind == "cache":
            kinds["explored_same" if observation.body["same"] else "explored_different"] += 1
        members |= {observation.body["member"]} if "member" in observation.body else set()
        members |= set(observation.body.get("members", ()))
    promise = known.promise
    return {
        "entries": store.count_entries(tenant),
        "requests": promise.requests,
        "hits": {"exact": kinds["exact"], "semantic": kinds["semantic"]},
        "explored": {"same": kinds["explored_same"], "different": kinds["explored_different"]},
        "wrong_hits_bound": bound_wrong_hits(promise, config.cache) / promise.requests if promise.requests else None,
        "max_wrong_hits": config.cache.max_wrong_hits,
        "defaults": {
            f"region {region}": str(standing.default.route)
            for region, standing in sorted(known.promotions.standings.items())
            if standing.default is not None
        },
        "route_changes": [_write_change(change) for change in known.promotions.changes],
        "trust": {member: estimate(known.trust, member, -1, config.consensus).mean for member in sorted(members)},
    }


def _write_change(change: RouteChange) -> dict[str, Any]:
    return asdict(change) | {"at": rfc3339(change.at)}
