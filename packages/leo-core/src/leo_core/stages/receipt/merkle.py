"""The Merkle tree of RFC 6962, section 2.1 (the same as RFC 9162, section 2.1), over SHA-256.

Complete subtrees are named ``(level, position)``: level 0 holds the leaf hashes, and ``(level, position)``
covers the leaves from ``position · 2^level`` up to ``(position + 1) · 2^level``. They never change once they
are complete, so a log stores them and nothing else; every proof is made from O(log n) of them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leo_core.errors import ReceiptError

__all__ = [
    "EMPTY_RANGE",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "CompactRange",
    "Node",
    "NodeReader",
    "consistency_proof",
    "hash_children",
    "hash_leaf",
    "inclusion_proof",
    "tree_root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
"""Length of a hash."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""

Node = tuple[int, int, bytes]
"""Level, position and hash of a complete subtree."""

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree at a level and position."""


def hash_leaf(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """All that is needed to append to a tree: the roots of its maximal complete subtrees.

    Attributes:
        size: Number of leaves.
        hashes: One per set bit of ``size``, the largest subtree first.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> tuple[CompactRange, tuple[Node, ...]]:
        """The range with one more leaf hash, and the subtrees that it completes, lowest first."""
        level, position, node, left = 0, self.size, leaf, self.hashes
        completed: list[Node] = [(0, position, leaf)]
        while position & 1:
            level, position, node, left = level + 1, position >> 1, hash_children(left[-1], node), left[:-1]
            completed.append((level, position, node))
        return CompactRange(self.size + 1, (*left, node)), tuple(completed)

    @property
    def root(self) -> bytes:
        """Root of the tree."""
        return _fold(self.hashes)


EMPTY_RANGE = CompactRange()
"""The range of the tree without leaves."""


def tree_root(size: int, read: NodeReader) -> bytes:
    """Root of the tree of the first ``size`` leaves."""
    return _range_hash(0, size, read)


def inclusion_proof(index: int, size: int, read: NodeReader) -> tuple[bytes, ...]:
    """PATH(index, D[size]) of RFC 6962, section 2.1.1: siblings from the leaf up.

    Raises:
        ReceiptError: Not 0 <= index < size (``check="inclusion"``).
    """
    if not 0 <= index < size:
        message = f"there is no receipt {index} in a log of {size}"
        raise ReceiptError(message, check="inclusion")
    low, high, path = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, read))
            high = middle
        else:
            path.append(_range_hash(low, middle, read))
            low = middle
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, read: NodeReader) -> tuple[bytes, ...]:
    """PROOF(old_size, D[new_size]) of RFC 6962, section 2.1.2; empty when nothing or everything is old.

    Raises:
        ReceiptError: Not 0 <= old_size <= new_size (``check="consistency"``).
    """
    if not 0 <= old_size <= new_size:
        message = f"a log of {new_size} has no earlier state of {old_size}"
        raise ReceiptError(message, check="consistency")
    if old_size in {0, new_size}:
        return ()
    low, high, proof = 0, new_size, []
    while old_size != high:
        middle = low + _split(high - low)
        if old_size <= middle:
            proof.append(_range_hash(middle, high, read))
            high = middle
        else:
            proof.append(_range_hash(low, middle, read))
            low = middle
    if low > 0:
        proof.append(_range_hash(low, high, read))
    return tuple(reversed(proof))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at ``index`` of the tree (RFC 9162, section 2.1.3.2).

    Raises:
        ReceiptError: It does not, or the proof has the wrong length (``check="inclusion"``).
    """
    if not 0 <= index < size:
        message = f"position {index} is not in a log of {size}"
        raise ReceiptError(message, check="inclusion")
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            message = "the inclusion proof is too long"
            raise ReceiptError(message, check="inclusion")
        if position & 1 or position == last:
            node = hash_children(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = hash_children(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or not hmac.compare_digest(node, root):
        message = f"the proof does not lead from position {index} to the root of the log of {size}"
        raise ReceiptError(message, check="inclusion")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the old tree is a prefix of the new one (RFC 9162, section 2.1.4.2).

    Raises:
        ReceiptError: It is not, or the proof has the wrong length (``check="consistency"``).
    """
    if not 0 <= old_size <= new_size:
        message = f"a log of {new_size} cannot continue one of {old_size}"
        raise ReceiptError(message, check="consistency")
    if old_size in {0, new_size}:
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or not hmac.compare_digest(old_root, expected):
            message = f"the logs of {old_size} and {new_size} receipts differ"
            raise ReceiptError(message, check="consistency")
        return
    roots = _roots_from(old_size, new_size, old_root, proof)
    if roots is None or not (hmac.compare_digest(roots[0], old_root) and hmac.compare_digest(roots[1], new_root)):
        message = f"the log of {new_size} does not continue the log of {old_size}"
        raise ReceiptError(message, check="consistency")


def _roots_from(old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Old and new root that a consistency proof amounts to; ``None`` when its length is wrong."""
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        return None
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = hash_children(sibling, old), hash_children(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = hash_children(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _split(count: int) -> int:
    """Largest power of two below ``count``, for ``count`` > 1."""
    return 1 << ((count - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Root over complete subtrees of falling size."""
    if not hashes:
        return EMPTY_ROOT
    node = hashes[-1]
    for left in reversed(hashes[:-1]):
        node = hash_children(left, node)
    return node


def _range_hash(low: int, high: int, read: NodeReader) -> bytes:
    """MTH(D[low:high]), where ``low`` is a multiple of the least power of two that is not below the length."""
    hashes = []
    while low < high:
        level = (high - low).bit_length() - 1
        hashes.append(read(level, low >> level))
        low += 1 << level
    return _fold(hashes)
