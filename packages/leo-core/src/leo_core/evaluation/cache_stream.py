"""Streams of requests with known intents, and exact nearest neighbours among the questions kept so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]

__all__ = ["Kept", "Stream", "read_pair_stream", "read_stream", "resample_pairs"]

_LISTED = 512
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Requests with their intents; equal intents have the same answer.

    Attributes:
        texts: n requests.
        intents: Their intents.
        vectors: float32 (n, d), unit rows.
        listed: int32 (n, m): the m requests nearest to each, itself left out, best first.
        cosines: float32 (n, m): their inner products.
    """

    texts: Sequence[str]
    intents: Sequence[str]
    vectors: npt.NDArray[np.float32]
    listed: npt.NDArray[np.int32]
    cosines: npt.NDArray[np.float32]

    @classmethod
    def of(cls, texts: Sequence[str], intents: Sequence[str], embed: Embed) -> Stream:
        """Embed the requests and sort their neighbours.

        Raises:
            ConfigError: There are fewer than two requests.
        """
        if len(texts) < 2:  # noqa: PLR2004 - more than one
            message = f"{len(texts)} requests make no stream"
            raise ConfigError(message)
        vectors = np.ascontiguousarray(embed(texts), dtype=np.float32)
        count = min(_LISTED, len(texts) - 1)
        listed = np.empty((len(texts), count), dtype=np.int32)
        cosines = np.empty((len(texts), count), dtype=np.float32)
        for first in range(0, len(texts), _ROWS_AT_ONCE):
            products = vectors[first : first + _ROWS_AT_ONCE] @ vectors.T
            rows = np.arange(len(products))
            products[rows, first + rows] = -np.inf
            best = np.argpartition(-products, count - 1, axis=1)[:, :count]
            order = np.argsort(-np.take_along_axis(products, best, 1), axis=1, kind="stable")
            best = np.take_along_axis(best, order, 1)
            listed[first : first + len(products)] = best
            cosines[first : first + len(products)] = np.take_along_axis(products, best, 1)
        return cls(texts, intents, vectors, listed, cosines)

    def open(self) -> Kept:
        """Nothing kept yet."""
        return Kept(self)


class Kept:
    """The questions kept so far.

    Args:
        stream: Whose questions they are.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._inside = np.zeros(len(stream.texts), dtype=np.bool_)
        self._rows: list[int] = []

    def __len__(self) -> int:
        """Questions kept."""
        return len(self._rows)

    def add(self, row: int) -> None:
        """Keep a question."""
        if not self._inside[row]:
            self._inside[row] = True
            self._rows.append(row)

    def nearest(self, row: int) -> tuple[int, float] | None:
        """The kept question nearest to a request, and its cosine; ``None`` while nothing is kept."""
        listed = self._stream.listed[row]
        inside = self._inside[listed]
        first = int(inside.argmax())
        if inside[first]:
            return int(listed[first]), float(self._stream.cosines[row][first])
        rows, cosines = self._scan(row, 1) if self._rows else ([], [])
        return (rows[0], cosines[0]) if rows else None

    def near(self, row: int, count: int) -> tuple[list[int], list[float]]:
        """The ``count`` kept questions nearest to a request, best first, and their cosines."""
        stream = self._stream
        inside = np.flatnonzero(self._inside[stream.listed[row]])[:count]
        if len(inside) < min(count, len(self._rows)):
            return self._scan(row, count)
        return stream.listed[row][inside].tolist(), stream.cosines[row][inside].tolist()

    def _scan(self, row: int, count: int) -> tuple[list[int], list[float]]:
        rows = np.array(self._rows)
        cosines = self._stream.vectors[rows] @ self._stream.vectors[row]
        order = np.argsort(-cosines, kind="stable")
        order = order[rows[order] != row][:count]
        return rows[order].tolist(), cosines[order].tolist()


def read_stream(path: Path) -> tuple[list[str], list[str]]:
    """Texts and intents of a file of ``{"text", "intent"}`` lines; a text that comes again is left out.

    Raises:
        ConfigError: A line lacks one of them.
    """
    seen: dict[str, str] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        if not isinstance(row.get("text"), str) or not isinstance(row.get("intent"), str):
            message = f"line {number} of {path.name} lacks text or intent"
            raise ConfigError(message)
        seen.setdefault(row["text"], row["intent"])
    return list(seen), list(seen.values())


def read_pair_stream(path: Path) -> tuple[list[str], list[str]]:
    """Texts and intents from ``{"a", "b", "same"}`` lines: questions joined by ``same`` pairs share an intent.

    Raises:
        ConfigError: A line lacks one of them.
    """
    parent: dict[str, str] = {}

    def find(text: str) -> str:
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for number, row in enumerate(read_jsonl(path), 1):
        if not isinstance(row.get("a"), str) or not isinstance(row.get("b"), str) or "same" not in row:
            message = f"line {number} of {path.name} lacks a, b or same"
            raise ConfigError(message)
        for text in (row["a"], row["b"]):
            parent.setdefault(text, text)
        if row["same"]:
            parent[find(row["a"])] = find(row["b"])
    return list(parent), [find(text) for text in parent]


def resample_pairs(
    intents: Sequence[str], requests: int, repeats: float, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Rows of a stream in which a share of the requests repeats an intent that came before.

    Intents with several wordings give the repeats; what is missing comes from intents with one wording.

    Args:
        intents: Intent of each row.
        requests: How many rows are wanted.
        repeats: Share of requests whose intent came before, in [0, 1).
        random: Draws the rows.

    Returns:
        int64 (m,), m at most ``requests``, in random order.
    """
    groups: dict[str, list[int]] = {}
    for row, intent in enumerate(intents):
        groups.setdefault(intent, []).append(row)
    several = [group for group in groups.values() if len(group) > 1]
    single = [group[0] for group in groups.values() if len(group) == 1]
    wanted, chosen, repeated = round(requests * repeats), [], 0
    for at in random.permutation(len(several)).tolist():
        if repeated >= wanted:
            break
        group = several[at][: wanted - repeated + 1]
        chosen.extend(group)
        repeated += len(group) - 1
    missing = max(requests - len(chosen), 0)
    chosen.extend([single[at] for at in random.permutation(len(single))[:missing].tolist()])
    order: npt.NDArray[np.int64] = random.permutation(np.array(chosen, dtype=np.int64))
    return order
