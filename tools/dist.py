"""Build the wheels and sdists of all packages into ``dist/``, twice, and say whether they are the same bytes.

The second build sees a copy of the sources in another folder, with other times and rights. ``SOURCE_DATE_EPOCH`` is the
time of the last commit, unless it is set. Needs ``hatchling`` and ``twine`` (group ``dist``); run it by ``make dist``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("leo-core", "leo-langchain", "leo-llamaindex")
LICENCES = {"leo-core": ("LICENSE", "NOTICE"), "leo-langchain": ("LICENSE",), "leo-llamaindex": ("LICENSE",)}
THIRD_PARTY = "leo_core/stages/cache/guards/THESAURUS-LICENSE.txt"


def main() -> int:
    """Build, compare, check; the exit code is the number of what is wrong."""
    out = ROOT / "dist"
    shutil.rmtree(out, ignore_errors=True)
    environment = {"SOURCE_DATE_EPOCH": _last_commit(), **os.environ}
    with tempfile.TemporaryDirectory() as folder:
        copy, second = Path(folder, "copy"), Path(folder, "second")
        copy.mkdir()
        shutil.copyfile(ROOT / ".gitignore", copy / ".gitignore")  # sdists hold the one that is in force
        for package in PACKAGES:
            build(ROOT / "packages" / package, out, environment)
            shutil.copytree(ROOT / "packages" / package, copy / package, copy_function=shutil.copyfile)
            build(copy / package, second, environment)
        wrong = compare(out, second)
    wrong += [line for path in sorted(out.iterdir()) for line in check_licences(path)]
    twine = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *sorted(out.iterdir())], check=False)
    for path in sorted(out.iterdir()):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
    print("\n".join(wrong) or f"{len(list(out.iterdir()))} files, the same bytes in two builds, licences inside")
    return len(wrong) + (twine.returncode != 0)


def build(package: Path, out: Path, environment: dict[str, str]) -> None:
    """Wheel and sdist of a package, by its own build backend."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), "-t", "sdist", "-t", "wheel"]
    subprocess.run(command, cwd=package, env=environment, check=True, capture_output=True)


def compare(first: Path, second: Path) -> list[str]:
    """What differs between two folders of archives."""
    names = sorted({path.name for folder in (first, second) for path in folder.iterdir()})
    return [
        f"{name} is not the same in two builds"
        for name in names
        if not ((first / name).is_file() and (second / name).is_file())
        or (first / name).read_bytes() != (second / name).read_bytes()
    ]


def check_licences(archive: Path) -> list[str]:
    """Licence files that an archive should hold and does not."""
    package = archive.name.partition("-")[0].replace("_", "-")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            held = wheel.namelist()
    else:
        with tarfile.open(archive) as sdist:
            held = sdist.getnames()
    asked = [*LICENCES[package], *([THIRD_PARTY] if package == "leo-core" else [])]
    return [f"{archive.name} holds no {name}" for name in asked if not any(path.endswith(name) for path in held)]


def _last_commit() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
