"""Looks for secrets in every byte of a folder, in each spelling in which a store could have written them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

_NUMBERS = 8
"""Neighbouring numbers of a vector that are looked for together: pages of a file may cut a vector anywhere."""


def read_folder(folder: Path) -> bytes:
    """Every byte of every file, and the names of the files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files
    return b"\n".join(str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes() for path in files)


def find_texts(haystack: bytes, texts: Iterable[str]) -> set[str]:
    """Those of the texts that stand there: as they are, in JSON, in UTF-16, in base64, in hex, or as a plain hash."""
    return {text for text in texts if any(spelling in haystack for spelling in _spell(text))}


def _spell(text: str) -> set[bytes]:
    raw = text.encode()
    digest = hashlib.sha256(raw)
    spelled = {raw, json.dumps(text)[1:-1].encode(), text.encode("utf-16-le"), raw.hex().encode()}
    return spelled | _spell_base64(raw) | {digest.digest(), digest.hexdigest().encode()}


def _spell_base64(raw: bytes) -> set[bytes]:
    """What stays of it in base64, wherever in a longer text it begins."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        whole = encoded[(0, 2, 3)[before] : (len(encoded) // 4 - 1) * 4]
        if len(whole) >= 8:
            found.add(whole)
    return found


def find_vectors(haystack: bytes, rows: npt.NDArray[np.float32]) -> dict[str, int]:
    """How many of the rows leave a trace there, by the form of the numbers."""
    forms = {
        "float32": rows.astype("<f4"),
        "float16": rows.astype("<f2"),
        "float64": rows.astype("<f8"),
        "int8": np.round(rows * 127).astype("i1"),
        "scaled int8": np.round(rows * (127 / np.abs(rows).max(axis=1, keepdims=True))).astype("i1"),
    }
    return {form: sum(_leaves_trace(haystack, row) for row in table) for form, table in forms.items()}


def _leaves_trace(haystack: bytes, row: npt.NDArray[np.generic]) -> bool:
    count = _NUMBERS if row.itemsize > 1 else 4 * _NUMBERS
    for start in range(0, len(row) - count + 1, count):
        piece = row[start : start + count].tobytes()
        if len(set(piece)) < count // 2:
            continue  # nearly all zeros: it says nothing
        if piece in haystack or any(spelling in haystack for spelling in _spell_base64(piece)):
            return True
    return False
