"""RFC 6962, section 2.1, as it is written there: recursive, slow, obvious."""

from __future__ import annotations

import hashlib


def split(n):
    """Largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def tree_root(entries):
    """MTH(D[n])."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + tree_root(entries[:k]) + tree_root(entries[k:])).digest()


def inclusion_proof(m, entries):
    """PATH(m, D[n])."""
    n = len(entries)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*inclusion_proof(m, entries[:k]), tree_root(entries[k:])]
    return [*inclusion_proof(m - k, entries[k:]), tree_root(entries[:k])]


def consistency_proof(m, entries):
    """PROOF(m, D[n])."""
    return _subproof(m, entries, whole=True)


def _subproof(m, entries, *, whole):
    n = len(entries)
    if m == n:
        return [] if whole else [tree_root(entries)]
    k = split(n)
    if m <= k:
        return [*_subproof(m, entries[:k], whole=whole), tree_root(entries[k:])]
    return [*_subproof(m - k, entries[k:], whole=False), tree_root(entries[:k])]
