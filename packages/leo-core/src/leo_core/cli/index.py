"""``leo index``: a server of encrypted indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leo_core.cli.output import AsJson, err, print_json, report_errors
from leo_core.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(help="A server of encrypted indexes.", no_args_is_help=True)
account = typer.Typer(help="Accounts of an index server.", no_args_is_help=True)
app.add_typer(account, name="account")

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_File = Annotated[Path, typer.Argument(help="File of the server; made where there is none (mode 0600).")]
_Name = Annotated[str, typer.Argument(help="Name of the account: letters, digits, '_' and '-'. The server sees it.")]


@app.command()
def serve(
    file: _File,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for any, which is printed.", min=0, max=65535)] = 8400,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="Something in front of it encrypts; listen without TLS.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Requests at work at once.", min=1)] = 4,
    max_envelope_mb: Annotated[int, typer.Option(help="Largest request.", min=1)] = 64,
    max_account_mb: Annotated[int, typer.Option(help="Most that an account may keep.", min=1)] = 4096,
) -> None:
    """Serve encrypted indexes until the process is told to end."""
    with report_errors(as_json=False):
        from leo_core.privacy.index.limits import IndexLimits  # noqa: PLC0415 - a command loads what it needs
        from leo_core.privacy.index.server import EncryptedIndexServer  # noqa: PLC0415 - as above
        from leo_core.privacy.index.service import ServiceConfig, run_service  # noqa: PLC0415 - as above

        if (tls_cert is None) != (tls_key is None):
            message = "TLS needs both, --tls-cert and --tls-key"
            raise ConfigError(message)
        if host not in _LOOPBACK and tls_cert is None and not behind_proxy:
            message = (
                f"--host {host} is reached from other machines, and tokens go with each request: give --tls-cert and "
                "--tls-key, or say --behind-proxy where something else encrypts"
            )
            raise ConfigError(message)
        limits = IndexLimits(max_envelope_bytes=max_envelope_mb * 2**20, max_account_bytes=max_account_mb * 2**20)
        server = EncryptedIndexServer(file, limits=limits)
        err.print(f"serving {file.name}; no key that decrypts is here", style="dim")
        run_service(
            server,
            host=host,
            port=port,
            config=ServiceConfig(threads=threads),
            tls_cert=None if tls_cert is None else str(tls_cert),
            tls_key=None if tls_key is None else str(tls_key),
        )


@account.command()
def add(file: _File, name: _Name, as_json: AsJson = False) -> None:
    """Make an account, or give one a new token, and print the token; it is kept nowhere."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.index.server import EncryptedIndexServer  # noqa: PLC0415 - a command loads what it needs

        with EncryptedIndexServer(file) as server:
            token = server.add_account(name)
        if as_json:
            print_json({"account": name, "token": token.to_text()})
        else:
            typer.echo(token.to_text())


@account.command()
def remove(file: _File, name: _Name, as_json: AsJson = False) -> None:
    """Remove an account with all its indexes."""
    with report_errors(as_json=as_json):
        from leo_core.privacy.index.server import EncryptedIndexServer  # noqa: PLC0415 - a command loads what it needs

        with EncryptedIndexServer(file) as server:
            found = server.remove_account(name)
        if not found:
            message = f"there is no account {name!r}"
            raise ConfigError(message)
        if as_json:
            print_json({"account": name, "removed": True})
        else:
            typer.echo(f"removed {name}")
