"""Looking for bytes where they must not be: in the memory of a process and in files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["scan_files", "scan_process"]

_AT_ONCE = 16 * 1024 * 1024


def scan_process(pid: int, needles: Mapping[str, bytes]) -> dict[str, int]:
    """How often each needle lies in the memory that a process can write to. Linux only.

    Args:
        pid: The process; the caller must have the right to trace it.
        needles: What is looked for, by name; each at most 64 KiB.

    Raises:
        ConfigError: Its memory cannot be read here.
    """
    found = dict.fromkeys(needles, 0)
    try:
        regions = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for region in regions:
                span, rights = region.split()[:2]
                if rights.startswith("rw"):
                    first, last = (int(each, 16) for each in span.split("-"))
                    _count(_read_region(memory.fileno(), first, last), needles, found)
    except OSError as error:
        message = (
            f"the memory of process {pid} cannot be read: {error.strerror}; it needs Linux and the right to trace it"
        )
        raise ConfigError(message) from error
    return found


def scan_files(folder: Path, needles: Mapping[str, bytes]) -> dict[str, int]:
    """How often each needle lies in the files of a folder, those in folders below it included."""
    found = dict.fromkeys(needles, 0)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            _count(iter([file.read_bytes()]), needles, found)
    return found


def _read_region(memory: int, first: int, last: int) -> Iterator[bytes]:
    """The bytes of a region; those that cannot be read are left out."""
    for start in range(first, last, _AT_ONCE):
        try:
            yield os.pread(memory, min(_AT_ONCE, last - start), start)
        except OSError:
            return


def _count(pieces: Iterator[bytes], needles: Mapping[str, bytes], found: dict[str, int]) -> None:
    """Count what lies in pieces that follow on each other; what lies across two of them is counted too."""
    longest = max(map(len, needles.values()), default=1)
    before = b""
    for piece in pieces:
        whole = before + piece
        for name, needle in needles.items():
            found[name] += whole.count(needle) - before.count(needle)
        before = whole[-(longest - 1) :] if longest > 1 else b""
