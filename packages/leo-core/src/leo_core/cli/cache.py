"""``leo cache``: what a store keeps for reuse: export, import, warm, invalidate, check."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.cli.output import FAILED, AsJson, err, out, print_json, report_errors, show_progress
from leo_core.cli.stores import find_keyrings, open_guarded, read_text
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from leo_core.engine.leo import LEO
    from leo_core.storage.private_store import PrivateStore
    from leo_core.storage.sealed_store import SealedStore
    from leo_core.storage.sqlite import SqliteStore

__all__ = ["app"]

app = typer.Typer(help="What a store keeps for reuse.", no_args_is_help=True)
Store = Annotated[Path, typer.Argument(help="The store (a SQLite file).")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant.")]
SealKeyFile = Annotated[
    Path | None, typer.Option(help="File of the key that entries are sealed with; by default the one beside the store.")
]
Embedder = Annotated[str | None, typer.Option(help="Embedder that the store is used with.")]


@app.command(name="export")
def export_entries(
    store: Store,
    file: Annotated[Path, typer.Argument(help="File to write (JSON lines, signed, mode 0600).")],
    tenant: Tenant = None,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the entries to a signed file; prints the key that it is checked with."""
    with report_errors(as_json=as_json), _open_sealed(store, seal_key) as kept:
        from leo_core.storage.cache_file import write_cache_file  # noqa: PLC0415 - this command alone needs it

        key = kept.derive_export_key()
        owners = kept.tenants() if tenant is None else (tenant,)
        entries = (each for owner in owners for each in kept.entries(owner))
        count = write_cache_file(file, entries, key, now=_now())
        if as_json:
            print_json({"entries": count, "refused": kept.refused, "public_key": key.public.to_pem()})
            return
        out.print(f"{count} entries")
        typer.echo(key.public.to_pem(), nl=False)


@app.command(name="import")
def import_entries(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file), made when absent.")],
    file: Annotated[Path, typer.Argument(help="A file that 'leo cache export' wrote.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key (PEM) of the store that it comes from; by default this store's.")
    ] = None,
    embedder: Embedder = None,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep the entries of an export; refuses one that is cut off, altered, or signed with another key."""
    with report_errors(as_json=as_json), _open_engine(store, embedder, seal_key) as leo:
        pem = None if key is None else read_text(key)
        _report(lambda progress: leo.cache.load(file, key=pem, progress=progress), "importing", as_json=as_json)


@app.command()
def warm(
    store: Annotated[Path, typer.Argument(help="The store (a SQLite file), made when absent.")],
    log: Annotated[Path, typer.Argument(help='JSON lines: {"prompt": …, "answer": …, "model"?, "cost_usd"?, …}.')],
    small: Annotated[str | None, typer.Option(help="The small member that the store is used with.")] = None,
    large: Annotated[str | None, typer.Option(help="The large member that the store is used with.")] = None,
    jury: Annotated[list[str] | None, typer.Option(help="A member of the jury; may be repeated.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose answers they are, where a line does not say.")] = "default",
    embedder: Embedder = None,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Keep answers of past traffic. The members are part of every key: name those that the store is used with."""
    with (
        report_errors(as_json=as_json),
        _open_engine(store, embedder, seal_key, small=small, large=large, jury=tuple(jury or ())) as leo,
    ):
        _report(lambda progress: leo.cache.warm(log, tenant=tenant, progress=progress), "warming", as_json=as_json)


@app.command()
def invalidate(
    store: Store,
    tenant: Tenant = None,
    entry: Annotated[list[str] | None, typer.Option(help="Id of an entry; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Id of a document; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(help="The model named as the author.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All entries (of the tenant).")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove entries that have one of the ids, tags or sources, or the model."""
    with report_errors(as_json=as_json):
        if not (entry or tag or source or model or everything):
            message = "say which entries: --entry, --tag, --source, --model or --all"
            raise ConfigError(message)
        with _open_existing(store) as kept:
            owners = kept.tenants() if tenant is None else (tenant,)
            if everything:
                removed = sum(kept.clear(owner) for owner in owners)
            else:
                removed = sum(
                    kept.remove(owner, entry_ids=entry or (), tags=tag or (), sources=source or (), model=model)
                    for owner in owners
                )
            if as_json:
                print_json({"removed": removed})
            else:
                out.print(f"{removed} entries removed")


@app.command()
def check(
    store: Store,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is refused.")] = False,
    seal_key: SealKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Check the seal of every entry and paraphrase; exits with 1 if any is refused."""
    with report_errors(as_json=as_json), _open_sealed(store, seal_key) as kept:
        refused: dict[tuple[str, str], str] = {}
        kept.on_refused = lambda tenant, entry_id, why: refused.update({(tenant, entry_id): why})
        whole = sum(1 for tenant in kept.tenants() for _ in kept.entries(tenant))
        if remove:
            for tenant, entry_id in refused:
                kept.remove_rows(tenant, [entry_id])
        rows = [{"tenant": tenant, "entry": entry_id, "why": why} for (tenant, entry_id), why in refused.items()]
        if as_json:
            print_json({"readable": whole, "refused": rows, "removed": len(rows) if remove else 0})
        else:
            for row in rows:
                err.print(f"refused: {row['entry']} of {row['tenant']}: {row['why']}", style="red")
            out.print(f"{whole} entries can be served, {len(rows)} were refused{' and removed' if remove else ''}")
        if rows:
            raise typer.Exit(FAILED)


def _now() -> float:
    from leo_core.engine.world import SystemClock  # noqa: PLC0415 - the engine loads when it is used

    return SystemClock().now()


def _report(act: Callable[[Callable[[int], None]], int], what: str, *, as_json: bool) -> None:
    with show_progress(as_json=as_json) as progress:
        task = progress.add_task(what, total=None)
        kept = act(lambda seen: progress.update(task, completed=seen))
    if as_json:
        print_json({"kept": kept})
    else:
        out.print(f"{kept} entries kept")


@contextmanager
def _open_existing(store: Path) -> Iterator[SqliteStore | PrivateStore]:
    """The store in an existing file; a private one with the keyrings beside it."""
    if not store.is_file():
        message = f"there is no store {store}"
        raise ConfigError(message)
    from leo_core.storage.sqlite import SqliteStore  # noqa: PLC0415 - loads numpy

    with SqliteStore(store) as kept:
        yield open_guarded(kept, store)


@contextmanager
def _open_sealed(store: Path, seal_key: Path | None) -> Iterator[SealedStore | PrivateStore]:
    """The store in an existing file with its existing key, for what needs neither members nor an embedder."""
    from leo_core.storage.keyfile import load_seal_key  # noqa: PLC0415 - loads cryptography
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - loads numpy
    from leo_core.storage.sealed_store import SealedStore  # noqa: PLC0415 - loads numpy
    from leo_core.storage.sqlite import SEAL_SUFFIX  # noqa: PLC0415 - loads numpy

    with _open_existing(store) as kept:
        if isinstance(kept, PrivateStore):
            yield kept
        else:
            yield SealedStore(kept, load_seal_key(seal_key or store.with_name(store.name + SEAL_SUFFIX)))


@contextmanager
def _open_engine(
    store: Path,
    embedder: str | None,
    seal_key: Path | None,
    *,
    small: str | None = None,
    large: str | None = None,
    jury: tuple[str, ...] = (),
) -> Iterator[LEO]:
    from leo_core import LEO, LEOConfig, PrivacyConfig  # noqa: PLC0415 - the engine loads when it is used

    defaults = LEOConfig()
    privacy = None if find_keyrings(store) is None else PrivacyConfig()
    config = replace(defaults, receipts=replace(defaults.receipts, enabled=False), privacy=privacy)
    with LEO(small, large, jury, config=config, store=store, embedder=embedder, seal_key=seal_key) as leo:
        yield leo
