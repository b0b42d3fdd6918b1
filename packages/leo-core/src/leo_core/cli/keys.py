"""``leo keys``: signing keys, keyrings of tenants, and the keys that wrap them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.cli import kek_keys, tenant_keys
from leo_core.cli.output import AsJson, print_json, report_errors
from leo_core.cli.resealing import reseal
from leo_core.cli.stores import key_path
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from leo_core.stages.receipt.keys import PublicKey

__all__ = ["app"]

_STORE_HEAD = b"SQLite format 3\0"

app = typer.Typer(help="Signing keys, keyrings of tenants, and the keys that wrap them.", no_args_is_help=True)
app.add_typer(tenant_keys.app, name="tenant")
app.add_typer(kek_keys.app, name="kek")
app.command()(reseal)


@app.command()
def new(path: Annotated[Path, typer.Argument(help="File to create (mode 0600).")], as_json: AsJson = False) -> None:
    """Create a signing key."""
    with report_errors(as_json=as_json):
        from leo_core.storage.keyfile import load_or_create_key  # noqa: PLC0415 - a command loads what it needs

        if path.exists():
            message = f"{path} exists already; choose another name"
            raise ConfigError(message)
        _print_public(load_or_create_key(path).public, as_json=as_json)


@app.command()
def public(
    path: Annotated[Path, typer.Argument(help="A key file, or a store whose key lies beside it.")],
    as_json: AsJson = False,
) -> None:
    """Print the public key (PEM), for those who verify."""
    with report_errors(as_json=as_json):
        from leo_core.storage.keyfile import load_key  # noqa: PLC0415 - a command loads what it needs

        _print_public(load_key(_find_key(path)).public, as_json=as_json)


@app.command()
def rotate(
    path: Annotated[Path, typer.Argument(help="A key file, or a store whose key lies beside it.")],
    as_json: AsJson = False,
) -> None:
    """Put a fresh key in the place of this one, which signs it; prints its public key (PEM).

    The old secret is gone for good. Who trusts the old public key verifies what the new one signs with
    `leo verify --handovers FILE`; the file lies beside the key.
    """
    with report_errors(as_json=as_json):
        from leo_core.storage.keyfile import rotate_key  # noqa: PLC0415 - a command loads what it needs

        _print_public(rotate_key(_find_key(path)).new, as_json=as_json)


def _find_key(path: Path) -> Path:
    """The key file: the one beside a store, or the path itself.

    Raises:
        ConfigError: It is a store without a key beside it.
    """
    beside = key_path(path)
    if beside.is_file():
        return beside
    if path.is_file():
        with path.open("rb") as stream:
            if stream.read(len(_STORE_HEAD)) == _STORE_HEAD:
                message = f"{path} is a store, and there is no key {beside.name} beside it; name the key file"
                raise ConfigError(message)
    return path


def _print_public(key: PublicKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"key_id": key.id, "public_key": key.to_pem()})
    else:
        typer.echo(key.to_pem(), nl=False)
