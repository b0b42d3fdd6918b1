"""The file of a student: whole or refused, and without a question in it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import StoreCorruptError, StoreMismatchError
from leo_core.stages.student.taught import HEAD, MAGIC, Taught
from tests.core.student.lessons import list_questions, train

ROWS = list_questions()[:120]
TAUGHT = train(ROWS)
DATA = TAUGHT.to_bytes()


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def test_what_was_written_is_read() -> None:
    again = Taught.from_bytes(DATA)
    assert again.to_bytes() == DATA
    assert again.embedder == TAUGHT.embedder
    vector = TAUGHT.students["default"].vectors[3]
    assert again.students["default"].judge(vector) == TAUGHT.students["default"].judge(vector)


def test_no_question_is_in_it() -> None:
    assert not any(question.encode() in DATA for question, _ in ROWS)
    assert all(answer.encode() in DATA for _, answer in ROWS)


@given(at=st.integers(0, len(DATA) - 1), change=st.integers(1, 255))
def test_every_changed_byte_is_found(at: int, change: int) -> None:
    damaged = DATA[:at] + bytes([DATA[at] ^ change]) + DATA[at + 1 :]
    with pytest.raises((StoreCorruptError, StoreMismatchError)):
        Taught.from_bytes(damaged)


@pytest.mark.parametrize("data", [b"", b"something else", DATA[:-1], DATA + b"x", DATA[: len(DATA) // 2]])
def test_what_is_no_student_is_refused(data: bytes) -> None:
    with pytest.raises(StoreCorruptError):
        Taught.from_bytes(data)


def test_a_newer_one_is_refused_and_says_so() -> None:
    newer = sealed(HEAD.pack(MAGIC, 9, 2) + b"{}")
    with pytest.raises(StoreMismatchError, match="version 9"):
        Taught.from_bytes(newer)


@pytest.mark.parametrize("header", [b"{}", b"[]", b'{"embedder": {}, "students": []}', b"\xff"])
def test_headers_that_nothing_writes_are_refused(header: bytes) -> None:
    with pytest.raises(StoreCorruptError):
        Taught.from_bytes(sealed(HEAD.pack(MAGIC, 1, len(header)) + header))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": float("nan")},
        {"neighbours": 0},
        {"blend": 2.0},
        {"least_probability": -1.0},
        {"entries": ("one",)},
        {"calibration": (0.0,)},
        {"labels": np.full(len(TAUGHT.students["default"].labels), 99, dtype=np.int32)},
        {"vectors": 2.0 * TAUGHT.students["default"].vectors},
    ],
)
def test_values_that_no_training_writes_are_refused(changes) -> None:
    odd = replace(TAUGHT, students={"default": replace(TAUGHT.students["default"], **changes)})
    with pytest.raises(StoreCorruptError):
        Taught.from_bytes(odd.to_bytes())
