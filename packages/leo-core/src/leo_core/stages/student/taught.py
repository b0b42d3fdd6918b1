"""The file of a student: one for all tenants that it was trained for.

Bytes: magic, version (1), length of the header (4, little-endian), the header (JSON), the arrays one after the other
(little-endian), and the SHA-256 of all before. No question is in it; answers, vectors, and ids of entries and receipts
are.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import StoreCorruptError, StoreMismatchError
from leo_core.records import EmbedderFingerprint
from leo_core.stages.student.student import Student

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

__all__ = ["Taught"]

MAGIC = b"LEO-STUDENT"
VERSION = 1
HEAD = struct.Struct("<11sBI")
_DIGEST = 32
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """Students of several tenants, and the embedder whose vectors they know.

    Attributes:
        embedder: Fingerprint of the embedder.
        students: By tenant.
    """

    embedder: EmbedderFingerprint
    students: Mapping[str, Student]

    def to_bytes(self) -> bytes:
        """The file's content; the same for the same students."""
        names = sorted(self.students)
        header = {
            "embedder": _write_fingerprint(self.embedder),
            "students": [{"tenant": name, **_describe(self.students[name])} for name in names],
        }
        told = json.dumps(header, sort_keys=True).encode()
        body = HEAD.pack(MAGIC, VERSION, len(told)) + told
        body += b"".join(array.tobytes() for name in names for array in _arrays(self.students[name]))
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Taught:
        """What :meth:`to_bytes` wrote.

        Raises:
            StoreCorruptError: The bytes are damaged or something else.
            StoreMismatchError: A newer LEO wrote them.
        """
        if len(data) < HEAD.size + _DIGEST or not data.startswith(MAGIC):
            message = f"these {len(data)} bytes are not a student"
            raise StoreCorruptError(message)
        _, version, length = HEAD.unpack_from(data)
        if version > VERSION:
            message = f"the student has version {version}, this LEO reads up to {VERSION}; update leo-core"
            raise StoreMismatchError(message)
        if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
            message = f"the student is damaged: its {len(data)} bytes have another SHA-256 than they say"
            raise StoreCorruptError(message)
        try:
            return _read(data[HEAD.size : HEAD.size + length], data[HEAD.size + length : -_DIGEST])
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            message = "the student is damaged: its header and its arrays do not fit"
            raise StoreCorruptError(message) from error


def _read(told: bytes, arrays: bytes) -> Taught:
    header = json.loads(told)
    embedder = EmbedderFingerprint(**header["embedder"])
    students, offset = {}, 0

    def take(kind: str, *shape: int) -> npt.NDArray[Any]:
        nonlocal offset
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(arrays, dtype=f"<{kind}", count=count, offset=offset).reshape(shape)
        offset += array.nbytes
        return array.astype(array.dtype.newbyteorder("="))

    for facts in header["students"]:
        rows, classes = int(facts["examples"]), int(facts["classes"])
        student = Student(
            vectors=take("f4", rows, embedder.dimension),
            labels=take("i4", rows),
            weights=take("f4", embedder.dimension, classes),
            intercepts=take("f4", classes),
            answers=tuple(facts["answers"]),
            entries=tuple(facts["entries"]),
            receipts=tuple(facts["receipts"]),
            temperature=float(facts["temperature"]),
            blend=float(facts["blend"]),
            calibration=tuple(float(each) for each in facts["calibration"]),
            floor=float(facts["floor"]),
            neighbours=int(facts["neighbours"]),
            least_probability=float(facts["least_probability"]),
        )
        _check(student)
        students[str(facts["tenant"])] = student
    if offset != len(arrays):
        message = f"{len(arrays)} bytes of arrays, {offset} expected"
        raise ValueError(message)
    return Taught(embedder=embedder, students=students)


def _check(student: Student) -> None:
    """Refuse what no training writes, whatever the checksum says."""
    rows, classes = len(student.labels), len(student.intercepts)
    texts = (*student.answers, *student.entries, *student.receipts)
    sound = (
        rows > 0
        and len(student.answers) <= classes <= len(student.answers) + 1
        and len(student.entries) == len(student.receipts) == rows
        and all(isinstance(text, str) for text in texts)
        and bool(np.all((student.labels >= 0) & (student.labels < classes)))
        and bool(np.all(np.abs(np.linalg.norm(student.vectors, axis=1) - 1.0) < _TOLERANCE))
        and all(bool(np.isfinite(array).all()) for array in (student.weights, student.intercepts))
        and len(student.calibration) == 3  # noqa: PLR2004 - an intercept and two features
        and bool(np.isfinite((*student.calibration, student.temperature, student.floor)).all())
        and 0.0 <= student.blend <= 1.0
        and 0.0 <= student.least_probability <= 1.0
        and student.neighbours >= 1
    )
    if not sound:
        message = "values that no training writes"
        raise ValueError(message)


def _arrays(student: Student) -> list[npt.NDArray[Any]]:
    kinds = ((student.vectors, "<f4"), (student.labels, "<i4"), (student.weights, "<f4"), (student.intercepts, "<f4"))
    return [np.ascontiguousarray(array, dtype=kind) for array, kind in kinds]


def _describe(student: Student) -> dict[str, Any]:
    return {
        "examples": len(student.labels),
        "classes": len(student.intercepts),
        "answers": list(student.answers),
        "entries": list(student.entries),
        "receipts": list(student.receipts),
        "temperature": student.temperature,
        "blend": student.blend,
        "calibration": list(student.calibration),
        "floor": student.floor,
        "neighbours": student.neighbours,
        "least_probability": student.least_probability,
    }


def _write_fingerprint(fingerprint: EmbedderFingerprint) -> dict[str, Any]:
    return {
        "name": fingerprint.name,
        "version": fingerprint.version,
        "dimension": fingerprint.dimension,
        "table_sha256": fingerprint.table_sha256,
    }
