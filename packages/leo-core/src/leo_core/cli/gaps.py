"""``leo gaps``: regions of the traffic in which every member fails."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.cli.output import AsJson, err, make_table, out, print_json, report_errors
from leo_core.cli.stores import open_guarded
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from leo_core.ports import Store as StorePort
    from leo_core.records import Gap

__all__ = ["gaps", "open_readable"]


def gaps(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file).")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None,
    below: Annotated[float, typer.Option(help="Share of right answers that is asked for.", min=0.01, max=0.99)] = 0.5,
    least: Annotated[int, typer.Option(help="Outcomes that have to be known of each member.", min=1)] = 20,
    examples: Annotated[int, typer.Option(help="Most questions shown of each region.", min=0)] = 3,
    seal_key: Annotated[
        Path | None, typer.Option(help="File of the key that entries are sealed with; by default beside the store.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Regions in which every member fails: what they cost, how often they err, and questions near their centre."""
    with report_errors(as_json=as_json), open_readable(store, seal_key, required=False) as kept:
        tenants = kept.tenants() if tenant is None else (tenant,)
        found = {name: _find(kept, name, below=below, least=least, examples=examples) for name in tenants}
        if as_json:
            print_json(
                {"below": below, "least": least, "tenants": {name: [*map(asdict, f)] for name, f in found.items()}}
            )
            return
        for name, rows in found.items():
            _print(name, rows)


def _print(tenant: str, rows: tuple[Gap, ...]) -> None:
    if not rows:
        out.print(f"{tenant}: no gaps")
        return
    out.print(_table(tenant, rows))
    for gap in rows:
        for question in gap.examples:
            out.print(f"region {gap.region}: {question}")


def _find(kept: StorePort, tenant: str, *, below: float, least: int, examples: int) -> tuple[Gap, ...]:
    from leo_core.engine.gaps import find_examples, find_gaps  # noqa: PLC0415 - the engine loads when it is used
    from leo_core.stages.novelty.state import NoveltyState  # noqa: PLC0415 - loads numpy

    found = find_gaps((each for _, each in kept.observations(tenant=tenant)), below=below, least=least)
    blob = kept.load_state(tenant, "novelty")
    if blob is None or examples < 1:
        return found
    centres = NoveltyState.from_bytes(blob).centres
    return tuple(
        replace(gap, examples=find_examples(kept.entries(tenant), centres, gap.region, examples)) for gap in found
    )


def _table(tenant: str, found: tuple[Gap, ...]) -> Table:
    table = make_table("region", "requests", "error", "95 % interval", "best", "at most right", "US$", title=tenant)
    for gap in found:
        low, high = gap.error_interval
        table.add_row(
            str(gap.region),
            str(gap.requests),
            f"{gap.error:.2f}",
            f"{low:.2f} to {high:.2f}",
            gap.best,
            f"{gap.best_upper:.2f}",
            f"{gap.cost_usd:.4f}",
        )
    return table


@contextmanager
def open_readable(store: Path, seal_key: Path | None, *, required: bool) -> Iterator[StorePort]:
    """The store in an existing file, behind its seal.

    Without the key, where that is allowed, no entry of it can be read: :class:`SealedStore` with a fresh key.
    """
    if not store.is_file():
        message = f"there is no store {store}"
        raise ConfigError(message)
    from leo_core.storage.keyfile import load_seal_key  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.sealed_store import SealedStore  # noqa: PLC0415 - loads numpy
    from leo_core.storage.sealing import SealKey  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.sqlite import SEAL_SUFFIX, SqliteStore  # noqa: PLC0415 - loads numpy

    beside = store.with_name(store.name + SEAL_SUFFIX)
    with SqliteStore(store) as kept:
        guarded = open_guarded(kept, store)
        if not isinstance(guarded, SqliteStore):
            yield guarded
            return
        if required or seal_key is not None or beside.is_file():
            yield SealedStore(kept, load_seal_key(seal_key or beside))
            return
        err.print("no seal key: questions are not shown", style="dim")
        yield SealedStore(kept, SealKey.generate())
