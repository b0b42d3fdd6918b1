"""``leo keys kek``: the keys that wrap keyrings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leo_core.cli.output import AsJson, out, print_json, report_errors
from leo_core.cli.stores import read_text
from leo_core.errors import ConfigError, KeyringError

if TYPE_CHECKING:
    from leo_core.privacy.keys.kek import KekProvider, LocalKek

__all__ = ["app"]

app = typer.Typer(help="KEKs: the keys that wrap keyrings.", no_args_is_help=True)


@app.command()
def new(
    kek: Annotated[str, typer.Argument(help="file:PATH (mode 0600), or the pkcs11: URI of a key to make in a module.")],
    as_json: AsJson = False,
) -> None:
    """Create a KEK; refuses to overwrite one."""
    with report_errors(as_json=as_json):
        kind, _, rest = kek.partition(":")
        if kind == "pkcs11":
            from leo_core.storage.kek_names import open_pkcs11_kek  # noqa: PLC0415 - a command loads what it needs

            made: KekProvider = open_pkcs11_kek(kek, make=True)
        elif kind == "file" and rest:
            from leo_core.privacy.keys.kek import LocalKek  # noqa: PLC0415 - loads cryptography

            made = _write(LocalKek.generate(), Path(rest))
        else:
            message = (
                f"a KEK {kek!r} is not made here: make one as file:PATH and put its text into the variable, "
                "or make Vault's with 'vault write -f transit/keys/NAME type=aes256-gcm96'"
            )
            raise ConfigError(message)
        _print(made, as_json=as_json)


@app.command()
def split(
    kek: Annotated[str, typer.Argument(help="file:PATH or env:NAME; other KEKs do not leave where they are.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the shares, a file each (mode 0600).")],
    needed: Annotated[int, typer.Option(help="Shares that make the KEK again.")],
    shares: Annotated[int, typer.Option(help="Shares to make.")],
    as_json: AsJson = False,
) -> None:
    """Split a KEK among people; the KEK itself stays where it is, for you to remove."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.keys.kek import LocalKek  # noqa: PLC0415 - loads cryptography
        from leo_core.privacy.keys.shamir import split_key  # noqa: PLC0415 - a command loads what it needs
        from leo_core.storage.kek_names import open_kek  # noqa: PLC0415 - a command loads what it needs

        found = open_kek(kek)
        if not isinstance(found, LocalKek):
            message = f"KEK {found.kid} does not leave where it is, so it cannot be split here"
            raise ConfigError(message)
        made = split_key(found.to_bytes(), needed=needed, shares=shares)
        names = [f"{made[0].set_id[:8]}-{each.point}-of-{shares}.share" for each in made]
        for name, each in zip(names, made, strict=True):
            _create(folder / name, each.to_text())
        if as_json:
            print_json({"kek": found.kid, "set": made[0].set_id, "needed": needed, "files": names})
        else:
            out.print("\n".join(names))


@app.command()
def combine(
    shares: Annotated[list[Path], typer.Argument(help="Files with a share each.")],
    to: Annotated[Path, typer.Option(help="File for the KEK (mode 0600).")],
    as_json: AsJson = False,
) -> None:
    """Make a KEK of its shares; refuses shares that are damaged, too few, or of different KEKs."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.keys.kek import LocalKek  # noqa: PLC0415 - loads cryptography
        from leo_core.privacy.keys.shamir import Share, combine_shares  # noqa: PLC0415 - a command loads what it needs

        key = combine_shares([Share.from_text(read_text(path)) for path in shares])
        _print(_write(LocalKek(key), to), as_json=as_json)


@app.command()
def rewrap(
    folder: Annotated[Path, typer.Argument(help="Folder of the keyrings.")],
    kek: Annotated[str, typer.Option(help="What wraps them now.")],
    to: Annotated[str, typer.Option(help="What is to wrap them.")],
    as_json: AsJson = False,
) -> None:
    """Wrap all keyrings with another KEK; what they sealed stays as it is. Can be run again when it was cut off."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.keys.keyring import ClientKeyring  # noqa: PLC0415 - loads cryptography
        from leo_core.storage.kek_names import open_kek  # noqa: PLC0415 - a command loads what it needs
        from leo_core.storage.keyring_folder import KeyringFolder  # noqa: PLC0415 - a command loads what it needs

        if not folder.is_dir():
            message = f"there is no folder {folder}"
            raise ConfigError(message)
        old, fresh = open_kek(kek), open_kek(to)
        done, before, gone = [], [], []
        for found in KeyringFolder(folder).find():
            if found.keyset is None:
                raise KeyringError(found.fault)
            name = found.keyset.tenant
            if found.keyset.destroyed_at is not None:
                gone.append(name)
            elif found.keyset.kek == fresh.kid:
                before.append(name)
            else:
                ClientKeyring.load(found.file, kek=old).rewrap(fresh)
                done.append(name)
        if as_json:
            print_json({"kek": fresh.kid, "rewrapped": done, "already": before, "destroyed": gone})
        else:
            out.print(f"{len(done)} keyrings are under {fresh.kid} now, {len(before)} were before")


def _write(kek: LocalKek, path: Path) -> LocalKek:
    _create(path, kek.to_text())
    return kek


def _create(path: Path, text: str) -> None:
    """A new file for a secret.

    Raises:
        ConfigError: It exists, or cannot be written.
    """
    from leo_core.storage.whole_file import create_file  # noqa: PLC0415 - a command loads what it needs

    try:
        made = create_file(path, f"{text}\n".encode())
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise ConfigError(message) from error
    if not made:
        message = f"{path} exists already; choose another name"
        raise ConfigError(message)


def _print(kek: KekProvider, *, as_json: bool) -> None:
    if as_json:
        print_json({"kek": kek.kid})
    else:
        out.print(kek.kid)
