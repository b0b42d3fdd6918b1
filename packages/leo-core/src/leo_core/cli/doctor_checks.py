"""The checks of ``leo doctor``. None of them reaches a network, shows a secret, or leaves anything behind."""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final, Literal

from leo_core._version import __version__
from leo_core.errors import (
    ConfigError,
    LEOError,
    SigningKeyError,
    StoreCorruptError,
    StoreLockedError,
    StoreMismatchError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["EXTRAS", "Finding", "check_all"]

EXTRAS: Final = {
    "openai": ("openai", "members like openai:gpt-5-mini, and servers that speak OpenAI's protocol"),
    "anthropic": ("anthropic", "members like anthropic:claude-sonnet-4-5"),
    "chroma": ("chromadb", "stores in Chroma"),
    "fhe": ("tenseal", "scores under encryption"),
    "index": ("httpx2", "the client of an encrypted index"),
    "server": ("starlette", "leo index serve"),
    "otel": ("opentelemetry", "spans and metrics"),
    "prometheus": ("prometheus_client", "counters for Prometheus"),
    "pkcs11": ("pkcs11", "keys in a PKCS #11 module"),
    "vault": ("hvac", "keys in Vault"),
    "bench": ("matplotlib", "figures of leo bench"),
}
"""What each extra of leo-core is recognised by, and what it enables."""

_KEYS: Final = {
    "OPENAI_API_KEY": "members openai:…",
    "ANTHROPIC_API_KEY": "members anthropic:…",
    "LEO_API_KEY": "LEOChatModel's members given by name",
}
_ADAPTERS: Final = {"leo-langchain": "langchain-core", "leo-llamaindex": "llama-index-core"}
_PATIENCE_S: Final = 1.0
_REINSTALL: Final = f"pip install --force-reinstall --no-deps leo-core=={__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was looked at.
        state: ``ok``; ``note``, where something is merely absent; or ``failed``.
        found: What was found; no secret.
        fix: What to do; empty where nothing is to be done.
    """

    name: str
    state: Literal["ok", "note", "failed"]
    found: str
    fix: str = ""


def check_all(store: Path | None) -> list[Finding]:
    """Every finding, in the order in which they are shown."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]], str]] = [
        ("versions", _check_versions, _REINSTALL),
        ("extras", _check_extras, _REINSTALL),
        ("keys", _check_keys, ""),
        ("tables", _check_tables, _REINSTALL),
        ("kernels", _check_kernels, "pip install --force-reinstall numba"),
        ("answer", _check_answer, _REINSTALL),
    ]
    findings = [finding for name, check, fix in checks for finding in _run(name, check, fix)]
    return findings if store is None else [*findings, _check_store(store)]


def _run(name: str, check: Callable[[], Iterator[Finding]], fix: str) -> list[Finding]:
    """The findings of a check; one that breaks off is a failure too, whatever broke it."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - a doctor does not die of what the patient has
        return [Finding(name=name, state="failed", found=f"{type(error).__name__}: {error}", fix=fix)]


# ----------------------------------------------------------------------------------------------- what is installed


def _check_versions() -> Iterator[Finding]:
    yield Finding(name="python", state="ok", found=f"{platform.python_version()}, {platform.system()}")
    yield Finding(name="leo-core", state="ok", found=__version__)
    for adapter, framework in _ADAPTERS.items():
        own, theirs = _version_of(adapter), _version_of(framework)
        if own is None:
            yield Finding(name=adapter, state="note", found="not installed", fix=f"pip install {adapter}")
        elif own != __version__:
            found = f"{own}, but leo-core is {__version__}"
            yield Finding(name=adapter, state="failed", found=found, fix=f"pip install {adapter}=={__version__}")
        elif theirs is None:
            found = f"{own}, without {framework}"
            yield Finding(name=adapter, state="failed", found=found, fix=f"pip install {framework}")
        else:
            yield Finding(name=adapter, state="ok", found=f"{own}, with {framework} {theirs}")


def _check_extras() -> Iterator[Finding]:
    for extra, (module, enables) in EXTRAS.items():
        name, fix = f"extra {extra}", f'pip install "leo-core[{extra}]"'
        asked = list(_requirements(extra))
        absent = [package for package, found, _ in asked if found is None]
        old = [f"{package} {found} < {least}" for package, found, least in asked if found and _is_older(found, least)]
        if importlib.util.find_spec(module) is None or absent:
            yield Finding(name=name, state="note", found=f"not installed: {enables}", fix=fix)
        elif old:
            yield Finding(name=name, state="failed", found=f"too old: {', '.join(old)}", fix=f"{fix} --upgrade")
        else:
            yield Finding(name=name, state="ok", found=enables)


def _requirements(extra: str) -> Iterator[tuple[str, str | None, str]]:
    """Packages of an extra: name, installed version or ``None``, and the lowest version that leo-core asks for."""
    for line in metadata.requires("leo-core") or ():
        match = re.match(rf"([\w.-]+)>=([\d.]+).*extra == ['\"]{extra}['\"]", line)
        if match:
            yield match[1], _version_of(match[1]), match[2]


def _is_older(version: str, least: str) -> bool:
    return _numbers(version) < _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without zeros at the end: 2.0 is 2."""
    numbers = [int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part]  # type: ignore[index]  # it matches the empty string
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check_keys() -> Iterator[Finding]:
    from leo_core.privacy.keys.environment import find_variable  # noqa: PLC0415 - a check loads what it needs

    for name, serves in _KEYS.items():
        if find_variable(name) is None:
            yield Finding(name=name, state="note", found=f"not set: {serves}")
        else:
            yield Finding(name=name, state="ok", found=f"set (not tried): {serves}")


# ---------------------------------------------------------------------------------------------------- what works


def _check_tables() -> Iterator[Finding]:
    from leo_core.engine.assembly import load_pair_model  # noqa: PLC0415 - loads numba
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    rows = load_embedder("static").embed(["When does the ferry leave?", "At what time does the ferry leave?"])
    same = float(load_pair_model().probability(["When does it leave?"], ["When does it leave?"])[0])
    found = f"embedder of {rows.shape[1]} dimensions, cosine of two wordings {rows[0] @ rows[1]:.2f}, pair model"
    sound = 0.5 < rows[0] @ rows[1] <= 1.001 and same > 0.5  # noqa: PLR2004 - wordings of one question are alike
    state: Literal["ok", "failed"] = "ok" if sound else "failed"
    yield Finding(name="tables", state=state, found=found, fix="" if sound else _REINSTALL)


def _check_kernels() -> Iterator[Finding]:
    from leo_core.kernels.warm import compile_for_requests, find_cache  # noqa: PLC0415 - loads numba

    compile_for_requests()
    folder, kept = find_cache()
    if kept:
        yield Finding(name="kernels", state="ok", found=f"compiled; machine code of {kept} kernels is kept in {folder}")
    else:
        fix = "set NUMBA_CACHE_DIR to a folder that can be written"
        yield Finding(name="kernels", state="note", found="compiled anew in every process, nothing is kept", fix=fix)


def _check_answer() -> Iterator[Finding]:
    """Ask, verify the receipt, ask again, all in memory."""
    from leo_core import LEO, OFFLINE_JURY, verify_receipt  # noqa: PLC0415 - loads the engine

    prompt = "Context: The ferry leaves at 9:40. Dogs travel free.\n\nQuestion: When does the ferry leave?"
    with LEO(jury=OFFLINE_JURY) as leo:
        answer, again = leo.ask(prompt), leo.ask(prompt)
        if answer.receipt is not None:
            verify_receipt(answer.receipt, public_key=leo.public_key)
        wrong = [
            what
            for what, holds in (
                ("the answer", "9:40" in answer.text),
                ("the verdict", answer.verdict is not None and not answer.verdict.abstained),
                ("the receipt", answer.receipt is not None),
                ("the cache hit", again.cache.hit),
            )
            if not holds
        ]
    if wrong:
        yield Finding(name="answer", state="failed", found=f"not as expected: {', '.join(wrong)}", fix=_REINSTALL)
    else:
        yield Finding(name="answer", state="ok", found="asked, verdict, receipt verified, served again from the cache")


# -------------------------------------------------------------------------------------------------------- a store


def _check_store(path: Path) -> Finding:
    """Whether a store opens, and can be written; one that is not there is not made."""
    from leo_core.cli.stores import open_existing  # noqa: PLC0415 - a check loads what it needs
    from leo_core.storage.database import Database  # noqa: PLC0415 - a check loads what it needs
    from leo_core.storage.private_store import PrivateStore  # noqa: PLC0415 - a check loads what it needs

    name = "store"
    if str(path).startswith(("chroma:", ":memory:")):
        return Finding(name=name, state="note", found=f"{path} is no file: not looked at")
    if not path.exists():
        return Finding(name=name, state="note", found=f"{path} is not there yet; it is made when it is first used")
    try:
        database = Database(path, busy_timeout_s=_PATIENCE_S)
        try:
            with database.write():  # nothing is written; only that it could be
                pass
        finally:
            database.close()
        with open_existing(path) as (store, log):
            tenants, receipts = store.tenants(), log.size()
            entries = 0 if isinstance(store, PrivateStore) else sum(store.count_entries(each) for each in tenants)
    except LEOError as error:
        return Finding(name=name, state="failed", found=f"{type(error).__name__}: {error}", fix=_fix_store(error, path))
    opens = f"{path} opens: {receipts} receipts, {len(tenants)} tenants"
    return _check_seal(path, opens, entries) if entries else Finding(name=name, state="ok", found=opens)


def _check_seal(path: Path, opens: str, entries: int) -> Finding:
    """Whether the key is there that the entries of a store are sealed with."""
    from leo_core.storage.keyfile import load_seal_key  # noqa: PLC0415 - a check loads what it needs
    from leo_core.storage.sqlite import SEAL_SUFFIX  # noqa: PLC0415 - a check loads what it needs

    seal = path.with_name(path.name + SEAL_SUFFIX)
    if not seal.exists():
        found = f"{opens}; without its seal key none of the {entries} entries is served"
        return Finding(name="store", state="note", found=found, fix=f"{_fix_key(seal)}, or give it as seal_key")
    try:
        load_seal_key(seal)
    except LEOError as error:
        return Finding(name="store", state="failed", found=f"{type(error).__name__}: {error}", fix=_fix_key(seal))
    return Finding(name="store", state="ok", found=opens)


def _fix_store(error: LEOError, path: Path) -> str:
    if isinstance(error, StoreLockedError):
        return f"end the process that writes to it: fuser {path}" if sys.platform != "win32" else "end its writer"
    if isinstance(error, StoreCorruptError):
        return "restore a copy, or choose another path"
    if isinstance(error, StoreMismatchError):
        return "pip install --upgrade leo-core, or choose another path"
    if isinstance(error, SigningKeyError):
        return _fix_key(path.with_name(path.name + ".key"))
    if isinstance(error, ConfigError) and path.is_file():
        return f"put its keyrings back beside it: {path}.keys"
    return "check the path, the rights of file and folder, and the room on the disk"


def _fix_key(file: Path) -> str:
    """What to do about a key file that is absent, open to others, or no key."""
    if not file.exists():
        return f"put its key back beside it: {file}"
    return f"chmod 600 {file}" if file.stat().st_mode & 0o077 else f"restore {file} from a copy"
