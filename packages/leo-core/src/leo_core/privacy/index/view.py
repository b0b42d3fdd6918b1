"""What a client knows of an index, folded from what its server tells. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import EnvelopeError, IndexRollbackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from leo_core.privacy.index.payloads import BlockHead, Changes, KeyHead, SealedRow
    from leo_core.privacy.index.rows import OpenedRow

__all__ = ["IndexView", "add_to_tail", "choose_merge", "fold_changes", "match_blocks", "pick_best"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexView:
    """An index as of one write.

    Attributes:
        sequence: Number of that write; 0 before the first.
        keys: Evaluation keys of the tenant that are not retired.
        blocks: By id, in the order of writing, with the ids of their rows.
        alive: For each block which of its rows are not removed, bool (rows,).
        tail: The rows of the tail that open, by id, in the order of writing.
        tail_size: Rows of the tail, those that do not open included.
    """

    sequence: int = 0
    keys: tuple[KeyHead, ...] = ()
    blocks: Mapping[bytes, BlockHead] = field(default_factory=dict)
    alive: Mapping[bytes, npt.NDArray[np.bool_]] = field(default_factory=dict)
    tail: Mapping[bytes, OpenedRow] = field(default_factory=dict)
    tail_size: int = 0

    def find_primary(self, params_id: str, dim: int) -> KeyHead | None:
        """The keys under which blocks are encrypted."""
        return next((key for key in self.keys if key.primary and (key.params_id, key.dim) == (params_id, dim)), None)

    def find_key(self, key_id: str) -> KeyHead | None:
        """The registered keys of this id."""
        return next((key for key in self.keys if key.id == key_id), None)

    def living(self, block: bytes) -> tuple[bytes, ...]:
        """Ids of the rows of a block that are not removed."""
        rows = self.blocks[block].rows or ()
        return tuple(row for row, alive in zip(rows, self.alive[block], strict=True) if alive)


def fold_changes(
    view: IndexView, changes: Changes, sequence: int, open_row: Callable[[SealedRow], OpenedRow | None]
) -> IndexView:
    """The view after what the server tells has changed since.

    Args:
        view: What was known.
        changes: What the server tells, asked for with ``view.sequence``.
        sequence: Number of the last write.
        open_row: Opens a row; ``None`` where it does not open.

    Raises:
        IndexRollbackError: The server is behind what it has told before.
        EnvelopeError: It leaves out what the client does not know.
    """
    if sequence < view.sequence:
        message = f"the server is at write {sequence} and has been at {view.sequence}: it was set back"
        raise IndexRollbackError(message, check="rollback")
    blocks = {head.id: head if head.rows is not None else _recall(view, head) for head in changes.blocks}
    dead = frozenset(changes.dead)
    alive = {head.id: _mark_alive(view.alive.get(head.id), head, dead) for head in blocks.values()}
    opened = {row.id: open_row(row) for row in changes.rows}
    rows = {row: view.tail.get(row) or opened.get(row) for row in changes.tail}
    return IndexView(
        sequence=sequence,
        keys=changes.keys,
        blocks=blocks,
        alive=alive,
        tail={row_id: row for row_id, row in rows.items() if row is not None},
        tail_size=len(changes.tail),
    )


def _recall(view: IndexView, head: BlockHead) -> BlockHead:
    known = view.blocks.get(head.id)
    if known is None or known.count != head.count:
        message = f"the server tells nothing of block {head.id.hex()}, which is new"
        raise EnvelopeError(message, check="payload")
    return known


def _mark_alive(known: npt.NDArray[np.bool_] | None, head: BlockHead, dead: frozenset[bytes]) -> npt.NDArray[np.bool_]:
    before = np.ones(head.count, dtype=np.bool_) if known is None else known
    if not dead:
        return before
    return before & np.fromiter((row not in dead for row in head.rows or ()), dtype=np.bool_, count=head.count)


def add_to_tail(view: IndexView, rows: Iterable[OpenedRow], sequence: int) -> IndexView:
    """The view after a write of this client's own put rows into the tail, directly after ``view.sequence``."""
    added = {row.id: row for row in rows}
    return replace(view, sequence=sequence, tail={**view.tail, **added}, tail_size=view.tail_size + len(added))


def match_blocks(view: IndexView, scored: Iterable[bytes], key_ids: Iterable[str]) -> bool:
    """Whether just the blocks were scored that the view has under these keys."""
    wanted = set(key_ids)
    return set(scored) == {head.id for head in view.blocks.values() if head.key_id in wanted}


def pick_best(
    view: IndexView, scores: Mapping[bytes, npt.NDArray[np.float64]], count: int
) -> list[tuple[bytes, float]]:
    """The rows in blocks with the best scores that are not removed, best first.

    Args:
        view: Names the rows.
        scores: Scores of the rows of each block.
        count: How many are wanted.

    Returns:
        Ids and scores, at most ``count``.
    """
    if not scores:
        return []
    blocks = list(scores)
    whole = np.concatenate([np.where(view.alive[block], scores[block], -np.inf) for block in blocks])
    starts = np.cumsum([0, *(len(scores[block]) for block in blocks)])
    most = min(count, int(np.isfinite(whole).sum()))
    best = np.argpartition(-whole, most - 1)[:most] if most else np.zeros(0, dtype=np.int64)
    found = []
    for at in best[np.argsort(-whole[best], kind="stable")].tolist():
        block = int(np.searchsorted(starts, at, side="right")) - 1
        rows = view.blocks[blocks[block]].rows or ()
        found.append((rows[at - int(starts[block])], float(whole[at])))
    return found


def choose_merge(view: IndexView, *, block_size: int, dead_share: float, key_id: str | None) -> tuple[bytes, ...]:
    """The blocks that the next block takes up besides the tail: those with the fewest rows, as long as they fit.

    A block is taken up when it has room, or when enough of its rows are removed. Full blocks stay as they are.

    Args:
        view: The index.
        block_size: Most rows of a block.
        dead_share: Share of removed rows from which on a full block is written anew.
        key_id: Keys under which a block is to be; those under others wait for the rotation. ``None`` for any.
    """
    sizes: list[tuple[int, bytes]] = []
    for head in view.blocks.values():
        living = int(view.alive[head.id].sum())
        worn = living <= (1 - dead_share) * head.count
        if (head.count < block_size or worn) and key_id in {None, head.key_id}:
            sizes.append((living, head.id))
    return _fill(sizes, block_size - len(view.tail))


def _fill(sizes: Sequence[tuple[int, bytes]], room: int) -> tuple[bytes, ...]:
    chosen = []
    for living, block in sorted(sizes):
        if living <= room:
            chosen.append(block)
            room -= living
    return tuple(chosen)
