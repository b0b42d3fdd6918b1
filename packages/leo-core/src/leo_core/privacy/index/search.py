"""The flow that searches an index: scores from the server, the tail on the client, all that is fetched checked."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leo_core.errors import (
    CiphertextError,
    PrivateIndexError,
    StaleEvaluationKeyError,
    UnknownEvaluationKeyError,
    UnknownIndexError,
)
from leo_core.privacy.index.envelope import Kind
from leo_core.privacy.index.framing import pack_ids
from leo_core.privacy.index.limits import IndexLimits
from leo_core.privacy.index.payloads import Scores, read_rows
from leo_core.privacy.index.session import OpenSearch
from leo_core.privacy.index.view import match_blocks, pick_best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from leo_core.privacy.index.flow import Flow
    from leo_core.privacy.index.payloads import KeyHead, SealedRow
    from leo_core.privacy.index.rows import OpenedRow
    from leo_core.privacy.index.session import IndexSession
    from leo_core.privacy.index.view import IndexView
    from leo_core.records import Vector

__all__ = ["Found", "SearchOutcome", "multiply_rows", "search_index"]

_log = logging.getLogger("leo_core")
_ROUNDS = 4
_AT_ONCE = IndexLimits().max_fetch
"""Ids in a request, as a server allows by default."""
_MOST_ROWS = 2**16
_MOST_BYTES = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row that was found.

    Attributes:
        row: The row.
        cosine: Its inner product with the query, computed in the clear.
    """

    row: OpenedRow = field(repr=False)
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        found: Rows, best first, of equals the older one; expired ones included.
        mismatches: Rows whose score was not their inner product, that were asked for by their score and did not come,
            or that do not open, all of which are left out; and replies whose scores could not be decrypted.
        undecryptable: How many of these replies there were.
        rotated: Whether the evaluation keys, or a block, are of another secret than the keyring's present one.
    """

    found: tuple[Found, ...]
    mismatches: int = 0
    undecryptable: int = 0
    rotated: bool = False


def search_index(session: IndexSession, vector: Vector, k: int) -> Flow[SearchOutcome]:
    """The nearest rows: those of the tail, and of those in blocks the ones with the best scores.

    ``fetch_rows`` of the latter are fetched, or ``2 k`` where that is more: several may belong to one entry. As many
    are fetched, at random, where the scores cannot be decrypted: whether they can depends on the secret, so that a
    server that makes up scores must not see it. Before other scores are asked for, the rows of an earlier search that
    did not come are fetched and checked: its mismatches are among those of this one.

    Raises:
        KeyExhaustedError: The key version has decrypted as often as it may.
    """
    earlier = yield from _settle(session)
    view, told = session.view, _no_replies()
    for _ in range(_ROUNDS):
        if not session.view.blocks or not _can_read(session, len(vector)):
            yield from session.catch_up()
        keys = _choose_keys(session, len(vector))
        if session.view.blocks and not session.encrypted and not keys:
            keys = [(yield from session.register_keys(len(vector)))]
        told, newest = yield from _ask_scores(session, keys, vector)
        if newest != session.view.sequence:
            yield from session.catch_up()
        view = session.view
        listed = [block for _, scores in told for block, _ in scores.blocks]
        if match_blocks(view, listed, _name_keys(session, len(vector))):
            break
    else:  # what is not of this state of the index is not decrypted
        told = _no_replies()
    scores, broken = _decrypt(session, view, told)
    count = max(session.config.fetch_rows, 2 * k)
    best = pick_best(view, scores, count)
    wanted = _choose_rows(view, [row for row, _ in best], count)
    open_search = OpenSearch(vector=vector, scores=dict(best), wanted=wanted, broken=broken)
    checked, mismatches = yield from _fetch_and_check(session, open_search)
    near = [row for row in view.tail.values() if row.vector.shape == vector.shape]
    tail = [Found(row=row, cosine=cosine) for row, cosine in zip(near, multiply_rows(near, vector), strict=True)]
    found = sorted((*_sort_by_age(view, checked), *tail), key=lambda each: -each.cosine)
    return SearchOutcome(
        found=tuple(found),
        mismatches=earlier + mismatches,
        undecryptable=broken,
        rotated=_is_rotated(session, len(vector)),
    )


def _no_replies() -> list[tuple[KeyHead, Scores]]:
    return []


def _choose_keys(session: IndexSession, dim: int) -> list[KeyHead]:
    """The keys under which there are blocks, and whose secrets the keyring still has."""
    view = session.view
    used = {head.key_id for head in view.blocks.values()}
    if not session.encrypted:
        fit = [key for key in view.keys if (key.params_id, key.dim) == (session.params_id, dim)]
        usable = [key for key in reversed(fit) if session.secrets.holds(key.secret_id)] if used else []
        return usable[:1]
    return [key for key in view.keys if key.id in used and session.secrets.holds(key.secret_id)]


def _name_keys(session: IndexSession, dim: int) -> list[str]:
    """Under which keys blocks can be scored: plain ones under none, if there is any that can be used."""
    keys = [key.id for key in _choose_keys(session, dim)]
    return [*keys, ""] if keys else []


def _can_read(session: IndexSession, dim: int) -> bool:
    """Whether there are keys for every block that is known; otherwise others may have encrypted some anew since."""
    known = _name_keys(session, dim)
    return all(head.key_id in known for head in session.view.blocks.values())


def _ask_scores(
    session: IndexSession, keys: Sequence[KeyHead], vector: Vector
) -> Flow[tuple[list[tuple[KeyHead, Scores]], int]]:
    """What the server tells of the rows in blocks under these keys, and the number of the last write it knows of."""
    told, newest = _no_replies(), session.view.sequence
    for key in keys:
        query = session.secrets.encrypt_query(key.secret_id, vector)
        try:
            reply = yield session.ask(Kind.SCORE, query, key_id=key.id)
        except (StaleEvaluationKeyError, UnknownEvaluationKeyError, UnknownIndexError):
            return _no_replies(), -1
        told.append((key, Scores.read(reply.payload)))
        newest = max(newest, reply.sequence)
    return told, newest


def _decrypt(
    session: IndexSession, view: IndexView, told: Sequence[tuple[KeyHead, Scores]]
) -> tuple[dict[bytes, npt.NDArray[np.float64]], int]:
    """The scores of the rows of each block, and how many replies have none: theirs are left out.

    Decryptions are counted by blocks, and a key version has so many of them: a reply that lists other blocks than the
    index has, or other numbers of rows, is no reply, and costs none.
    """
    found: dict[bytes, npt.NDArray[np.float64]] = {}
    broken = 0
    for key, scores in told:
        if not scores.blocks:
            continue
        listed = dict(scores.blocks)
        if len(listed) < len(scores.blocks) or any(view.blocks[each].count != listed[each] for each in listed):
            broken += 1
            continue
        try:
            decrypted = session.secrets.decrypt_scores(key.secret_id, scores.scores, list(listed.values()))
        except CiphertextError:
            broken += 1
            continue
        found |= dict(zip(listed, decrypted, strict=True))
    return found, broken


def _settle(session: IndexSession) -> Flow[int]:
    """Check the rows of earlier searches that were cut off when they were fetched; returns the mismatches.

    Which rows are asked for follows from the scores, and from made-up ones a server would learn of the secret. It is
    found out by the rows. It must not get out of that by being out of order: until they are there, nothing else is
    scored.
    """
    mismatches = 0
    while session.unsettled:
        try:
            cut_off = session.unsettled.pop()
        except IndexError:  # another thread was faster
            break
        mismatches += (yield from _fetch_and_check(session, cut_off))[1]
    return mismatches


def _fetch_and_check(session: IndexSession, search: OpenSearch) -> Flow[tuple[list[Found], int]]:
    """The rows of a search whose inner products are what the scores said, and all that was wrong with it."""
    try:
        fetched = yield from _fetch(session, search.wanted)
        withheld, gone = yield from _count_missing(session, [row for row in search.scores if row not in fetched])
    except BaseException:  # also where a caller gives up: the server has the request
        session.unsettled.append(search)
        raise
    found, mismatches, lost = _check(session, search.vector, search.scores, fetched)
    vanished = session.count_vanished(gone + lost, len(search.wanted))
    return found, mismatches + withheld + vanished + search.broken


def _choose_rows(view: IndexView, best: Sequence[bytes], count: int) -> tuple[bytes, ...]:
    """The best rows, and as many drawn at random as are missing, in an order that says nothing."""
    wanted = list(best)
    short = count - len(wanted)
    if short > 0 and view.blocks:
        taken = set(wanted)
        pool = [row for block in view.blocks for row in view.living(block) if row not in taken]
        wanted += secrets.SystemRandom().sample(pool, min(short, len(pool)))
    return tuple(secrets.SystemRandom().sample(wanted, len(wanted)))


def _fetch(session: IndexSession, wanted: Sequence[bytes]) -> Flow[dict[bytes, tuple[SealedRow, OpenedRow | None]]]:
    """The rows with these ids, ``None`` for those that do not open."""
    found: dict[bytes, tuple[SealedRow, OpenedRow | None]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        try:
            reply = yield session.ask(Kind.FETCH, pack_ids(wanted[start : start + _AT_ONCE]))
            rows = read_rows(reply.payload, most_rows=_MOST_ROWS, most_bytes=_MOST_BYTES)
        except PrivateIndexError as error:  # a refusal is one more way to keep rows back
            _log.warning("an encrypted index refused rows that are in it (%s)", type(error).__name__)
            continue
        found |= {row.id: (row, session.open_row(row)) for row in rows}
    return found


def _count_missing(session: IndexSession, missing: Sequence[bytes]) -> Flow[tuple[int, int]]:
    """Of rows that did not come, how many are in the index still, and how many are said to have gone from it."""
    if not missing:
        return 0, 0
    view = yield from session.catch_up()
    living = {*view.tail, *(row for block in view.blocks for row in view.living(block))}
    withheld = sum(row in living for row in missing)
    return withheld, len(missing) - withheld


def _check(
    session: IndexSession,
    vector: Vector,
    scores: Mapping[bytes, float],
    fetched: Mapping[bytes, tuple[SealedRow, OpenedRow | None]],
) -> tuple[list[Found], int, int]:
    """The fetched rows whose inner product is what the score said, and how many others there were.

    Last, how many say that they were sealed under a key that is disabled or destroyed by now.
    """
    near: list[OpenedRow] = []
    wrong = lost = 0
    for sealed, row in (fetched[each] for each in scores if each in fetched):
        if row is not None and row.vector.shape == vector.shape:
            near.append(row)
        elif row is None and session.sealer.is_out_of_reach(sealed):
            lost += 1
        else:
            wrong += 1
    found = [
        Found(row=row, cosine=cosine)
        for row, cosine in zip(near, multiply_rows(near, vector), strict=True)
        if abs(cosine - scores[row.id]) <= session.config.tolerance
    ]
    mismatches = wrong + len(near) - len(found)
    if mismatches:
        _log.warning("%d scores of an encrypted index do not fit their rows; they are left out", mismatches)
    return found, mismatches, lost


def multiply_rows(rows: Sequence[OpenedRow], vector: Vector) -> list[float]:
    """Exact inner products. Not a matrix product, which may sum equal rows in different orders."""
    if not rows:
        return []
    products: list[float] = (
        np.multiply(np.stack([row.vector for row in rows]), vector, dtype=np.float64).sum(axis=1).tolist()
    )
    return products


def _sort_by_age(view: IndexView, found: Sequence[Found]) -> list[Found]:
    """Rows in blocks, in the order of writing."""
    wanted = {each.row.id: each for each in found}
    order = (row for head in view.blocks.values() for row in head.rows or () if row in wanted)
    return [wanted[row] for row in order]


def _is_rotated(session: IndexSession, dim: int) -> bool:
    if not session.view.blocks:
        return False
    primary = session.view.find_primary(session.params_id, dim)
    if primary is None or primary.secret_id != session.secrets.find_primary():
        return True
    return session.encrypted and any(head.key_id != primary.id for head in session.view.blocks.values())
