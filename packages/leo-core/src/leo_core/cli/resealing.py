"""``leo keys reseal``, and the check before one key version of a store is destroyed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import TextColumn

from leo_core.cli.output import AsJson, err, make_table, print_json, print_whole, report_errors, show_progress
from leo_core.errors import ConfigError, KeyInUseError, StorageError, TenantDestroyedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.storage.private_store import PrivateStore

__all__ = ["destroy_in_store", "find_store", "reseal"]

_ROOT = "store"


def reseal(
    store: Annotated[Path, typer.Argument(help="The SQLite file of a private store.")],
    keys: Annotated[Path | None, typer.Option(help="Folder of its keyrings; by default the one beside it.")] = None,
    kek: Annotated[
        str | None, typer.Option(help="What wraps the keyrings; by default the key in their folder.")
    ] = None,
    destroy: Annotated[
        bool,
        typer.Option("--destroy", help="Then destroy old key versions that nothing needs and whose grace is over."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Seal anew whatever in a store lies under old key versions; can be run again when it was cut off.

    Entries, observations, states, journal, names of accounts, receipts: the store may be in use meanwhile.
    """
    with report_errors(as_json=as_json):
        from leo_core.storage.kek_names import open_kek  # noqa: PLC0415 - a command loads what it needs
        from leo_core.storage.keyrings import KEYS_SUFFIX  # noqa: PLC0415 - a command loads what it needs

        folder = keys or store.with_name(store.name + KEYS_SUFFIX)
        with _open(store, folder, None if kek is None else open_kek(kek)) as private:
            names = (None, *private.tenants())
            rows = [_reseal(private, name, destroy=destroy, quiet=as_json) for name in names]
        if as_json:
            print_json({"keyrings": rows})
        else:
            print_whole(_tabulate(rows))


def find_store(folder: Path) -> Path | None:
    """The store beside which a folder of keyrings lies; ``None`` where there is none."""
    from leo_core.storage.keyrings import KEYS_SUFFIX  # noqa: PLC0415 - a command loads what it needs

    store = folder.with_name(folder.name.removesuffix(KEYS_SUFFIX))
    return store if folder.name.endswith(KEYS_SUFFIX) and store.is_file() else None


def destroy_in_store(store: Path, folder: Path, name: str, version: int, kek: KekProvider) -> None:
    """Destroy one key version of the keyring of this name, if nothing in the store needs it.

    Raises:
        KeyInUseError: Something does, or may yet.
        KeyringError: The keyring refuses.
    """
    with _open(store, folder, kek) as private:
        tenant = None if name == _ROOT else private.directory.find(name)
        if name != _ROOT and tenant is None:
            message = f"{store} knows no tenant of keyring {name!r}: is it the store of these keyrings?"
            raise ConfigError(message)
        private.destroy_version(version, tenant=tenant)


@contextmanager
def _open(store: Path, folder: Path, kek: KekProvider | None) -> Iterator[PrivateStore]:
    from leo_core.storage.database import Database  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.keyrings import Keyrings  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - a command loads what it needs
    from leo_core.storage.sqlite import SqliteStore  # noqa: PLC0415 - a command loads what it needs

    for path, there in ((store, store.is_file()), (folder, folder.is_dir())):
        if not there:
            message = f"there is no {path}"
            raise ConfigError(message)
    with Database(store) as database:
        private = PrivateStore(SqliteStore(database), Keyrings.in_folder(folder, kek=kek))
        private.directory.mark()
        yield private


def _reseal(private: PrivateStore, tenant: str | None, *, destroy: bool, quiet: bool) -> dict[str, Any]:
    """What came of one keyring."""
    name = _ROOT if tenant is None else private.rows.name_tenant(tenant)
    try:
        words = TextColumn("{task.description}: {task.completed} records, {task.fields[fresh]} sealed anew")
        with show_progress(words, as_json=quiet) as progress:
            task = progress.add_task(name, total=None, fresh=0)
            done = private.reseal(tenant, report=lambda met, fresh: progress.update(task, completed=met, fresh=fresh))
        gone = _destroy_old(private, tenant) if destroy else []
        counted = private.count_sealed(tenant)
    except StorageError as error:
        if not isinstance(error.__cause__, TenantDestroyedError):
            raise
        return {"keyring": name, "state": "destroyed"}
    return {
        "keyring": name,
        "state": "enabled",
        "records": done.met,
        "resealed": done.resealed,
        "unreadable": sum(done.unreadable.values()),
        "by_version": {str(version): parts for version, parts in counted.items()},
        "destroyed": gone,
    }


def _destroy_old(private: PrivateStore, tenant: str | None) -> list[int]:
    ring = private.rows.rings.root if tenant is None else private.rows.rings.of(tenant)
    gone = []
    for version in ring.keyset.versions:
        if version.state == "decrypt_only":
            try:
                private.destroy_version(version.number, tenant=tenant)
            except KeyInUseError as error:
                err.print(f"{ring.tenant}: {error}", style="yellow")
            else:
                gone.append(version.number)
    return gone


def _tabulate(rows: list[dict[str, Any]]) -> Table:
    table = make_table("keyring", "records", "sealed anew", "unreadable", "under version", "destroyed", framed=False)
    for row in rows:
        if row["state"] == "destroyed":
            table.add_row(row["keyring"], "", "", "", "", "all")
            continue
        under = ", ".join(f"{version}: {sum(parts.values())}" for version, parts in row["by_version"].items())
        figures = (str(row[name]) for name in ("records", "resealed", "unreadable"))
        table.add_row(row["keyring"], *figures, under, ", ".join(map(str, row["destroyed"])))
    return table
