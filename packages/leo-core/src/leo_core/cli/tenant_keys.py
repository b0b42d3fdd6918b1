"""``leo keys tenant``: the keyrings of tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leo_core.cli.output import FAILED, AsJson, err, make_table, print_json, print_whole, report_errors
from leo_core.cli.resealing import destroy_in_store, find_store
from leo_core.errors import ConfigError, LEOError

if TYPE_CHECKING:
    from rich.table import Table

    from leo_core.privacy.keys.kek import KekProvider
    from leo_core.privacy.keys.keyring import ClientKeyring
    from leo_core.privacy.keys.keyset import Keyset
    from leo_core.storage.keyring_file import KeyringFile

__all__ = ["app"]

app = typer.Typer(help="Keyrings of tenants: what the privacy layer seals with.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="Folder of the keyrings.")]
Tenant = Annotated[str, typer.Argument(help="Whose keyring.")]
Kek = Annotated[str, typer.Option(help="What wraps the keys: file:PATH, env:NAME, vault:MOUNT/KEY or a pkcs11: URI.")]
Version = Annotated[int | None, typer.Option(help="Only this key version; by default the whole keyring.")]


@app.command()
def new(folder: Folder, tenant: Tenant, kek: Kek, as_json: AsJson = False) -> None:
    """Create the keyring of a tenant; refuses to overwrite one."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.keys.keyring import ClientKeyring  # noqa: PLC0415 - loads cryptography
        from leo_core.storage.keyring_folder import KeyringFolder  # noqa: PLC0415 - a command loads what it needs

        file = KeyringFolder(folder).file(tenant)
        _show(ClientKeyring.create(file, tenant=tenant, kek=_open_kek(kek)).keyset, file.path, as_json=as_json)


@app.command(name="list")
def list_keyrings(
    folder: Folder,
    kek: Annotated[str | None, typer.Option(help="Check with this KEK that no keyring was altered.")] = None,
    as_json: AsJson = False,
) -> None:
    """List keyrings and their versions, without any secret; exits with 1 if one cannot be read or is refused."""
    with report_errors(as_json=as_json):
        from leo_core.storage.keyring_folder import KeyringFolder  # noqa: PLC0415 - a command loads what it needs

        _check_folder(folder)
        wrapping = None if kek is None else _open_kek(kek)
        rows, faults = [], []
        for found in KeyringFolder(folder).find():
            fault = found.fault
            if found.keyset is not None:
                rows.append(_describe(found.keyset, found.file.path))
                fault = "" if wrapping is None else _check(found.file, found.keyset, wrapping)
            if fault:
                faults.append({"file": found.file.path.name, "why": fault})
        if as_json:
            print_json({"keyrings": rows, "faults": faults, "checked": kek is not None})
        else:
            print_whole(_tabulate(rows))
            for each in faults:
                err.print(f"{each['file']}: {each['why']}", style="red")
        if faults:
            raise typer.Exit(FAILED)


@app.command()
def rotate(
    folder: Folder,
    tenant: Tenant,
    kek: Kek,
    reason: Annotated[str, typer.Option(help="Why, in a few words; kept with the fresh version.")] = "asked",
    grace_days: Annotated[float, typer.Option(help="Days for which the old version opens at least.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Make a fresh key version the one that seals; the old one opens what it sealed."""
    with report_errors(as_json=as_json):
        ring = _open(folder, tenant, kek, grace_days=grace_days)
        ring.rotate(reason=reason)
        _show(ring.keyset, _file(folder, tenant).path, as_json=as_json)


@app.command()
def disable(folder: Folder, tenant: Tenant, kek: Kek, version: Version = None, as_json: AsJson = False) -> None:
    """Let an old version, or the whole keyring, do nothing until it is enabled again."""
    with report_errors(as_json=as_json):
        ring = _open(folder, tenant, kek)
        ring.disable(version)
        _show(ring.keyset, _file(folder, tenant).path, as_json=as_json)


@app.command()
def enable(folder: Folder, tenant: Tenant, kek: Kek, version: Version = None, as_json: AsJson = False) -> None:
    """Let a disabled version, or the whole keyring, work again."""
    with report_errors(as_json=as_json):
        ring = _open(folder, tenant, kek)
        ring.enable(version)
        _show(ring.keyset, _file(folder, tenant).path, as_json=as_json)


@app.command()
def destroy(
    folder: Folder,
    tenant: Tenant,
    kek: Annotated[str | None, typer.Option(help="Needed for one version; the whole keyring goes without.")] = None,
    version: Version = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Store whose records may need the version; by default the one beside the folder."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: what the keys sealed is lost for good.")] = False,
    as_json: AsJson = False,
) -> None:
    """Destroy the keys of a tenant, or of one old version: what they sealed never opens again.

    One version of a store's keyring only goes when nothing in the store needs it; 'leo keys reseal' sees to that.
    """
    with report_errors(as_json=as_json):
        if not yes:
            message = "this cannot be undone: what the keys sealed is lost for good; say --yes to do it"
            raise ConfigError(message)
        file = _file(folder, tenant)
        if version is None:
            from leo_core.privacy.keys.keyring import ClientKeyring  # noqa: PLC0415 - loads cryptography

            ClientKeyring.shred(file)
        elif kek is None:
            message = "one version is destroyed with the keyring's KEK: say which by --kek"
            raise ConfigError(message)
        else:
            ring, kept = _open(folder, tenant, kek), store or find_store(folder)
            if kept is None:
                ring.destroy_version(version)
            else:
                destroy_in_store(kept, folder, tenant, version, _open_kek(kek))
        from leo_core.privacy.keys.keyset_text import read_keyset  # noqa: PLC0415 - loads cryptography

        _show(read_keyset(file.read()[0]), file.path, as_json=as_json)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        message = f"there is no folder {folder}"
        raise ConfigError(message)


def _file(folder: Path, tenant: str) -> KeyringFile:
    from leo_core.storage.keyring_folder import KeyringFolder  # noqa: PLC0415 - a command loads what it needs

    _check_folder(folder)
    file = KeyringFolder(folder).file(tenant)
    if not file.path.is_file():
        message = f"there is no keyring of tenant {tenant!r} in {folder}; 'leo keys tenant new' makes one"
        raise ConfigError(message)
    return file


def _open(folder: Path, tenant: str, kek: str, *, grace_days: float = 30.0) -> ClientKeyring:
    from leo_core.privacy.keys.key_rotation import RotationPolicy  # noqa: PLC0415 - a command loads what it needs
    from leo_core.privacy.keys.keyring import ClientKeyring  # noqa: PLC0415 - loads cryptography

    file, policy = _file(folder, tenant), RotationPolicy(grace_s=grace_days * 86_400)
    return ClientKeyring.load(file, tenant=tenant, kek=_open_kek(kek), policy=policy)


def _open_kek(name: str) -> KekProvider:
    from leo_core.storage.kek_names import open_kek  # noqa: PLC0415 - a command loads what it needs

    return open_kek(name)


def _check(file: KeyringFile, keyset: Keyset, kek: KekProvider) -> str:
    """What is wrong with a keyring, as its KEK shows; empty when nothing is."""
    from leo_core.privacy.keys.keyring import ClientKeyring  # noqa: PLC0415 - loads cryptography

    if keyset.destroyed_at is not None:  # nothing is left to check it with
        return ""
    try:
        ClientKeyring.load(file, kek=kek)
    except LEOError as error:
        return str(error)
    return ""


def _describe(keyset: Keyset, path: Path) -> dict[str, Any]:
    state = "destroyed" if keyset.destroyed_at is not None else "disabled" if keyset.suspended else "enabled"
    return {
        "tenant": keyset.tenant,
        "file": path.name,
        "keyring": keyset.ring,
        "kek": keyset.kek,
        "state": state,
        "primary": keyset.primary or None,
        "destroyed_at": keyset.destroyed_at,
        "versions": [
            {
                "number": each.number,
                "key_id": each.kid,
                "state": each.state.value,
                "reason": each.reason,
                "created_at": each.created_at,
                "grace_ends_at": each.grace_ends_at,
                "seals": each.seals,
                "decrypts": each.decrypts,
            }
            for each in keyset.versions
        ],
    }


def _show(keyset: Keyset, path: Path, *, as_json: bool) -> None:
    row = _describe(keyset, path)
    if as_json:
        print_json(row)
    else:
        print_whole(_tabulate([row]))


def _tabulate(rows: list[dict[str, Any]]) -> Table:
    table = make_table("tenant", "key", "state", "made", "reason", "seals", "decrypts", "until", framed=False)
    for row in rows:
        for each in row["versions"]:
            state = each["state"] if row["state"] == "enabled" else row["state"]
            used = (str(each["seals"]), str(each["decrypts"]))
            ends = "" if each["grace_ends_at"] is None else _date(each["grace_ends_at"])
            version = str(each["number"]) + (" *" if each["number"] == row["primary"] else "")
            table.add_row(row["tenant"], version, state, _date(each["created_at"]), each["reason"], *used, ends)
    return table


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
