"""Arguments must not be swapped: "from A to B" is not "from B to A"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.words import FUNCTION_WORDS, stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_swap"]

_CONNECTORS = frozenset(
    """to into than from by before after over cause causes beat beats defeat defeated eat eats convert as for of in on
    with affect affects influence influenced against follow follows precede contain contains owe owes pay""".split()  # noqa: SIM905 - words read better as a text
)
_SYMMETRIC = frozenset({"vs", "versus", "or", "and", "between", "difference", "both", "compare", "with"})
_REACH = 6


def find_swap(a: Words, b: Words) -> str | None:
    """Reason in words when two shared words change sides around a shared connector."""
    shared = a.bag & b.bag & _CONNECTORS
    for connector in sorted(shared - _SYMMETRIC):
        found = _find_swap_around(connector, a.lower, b.lower)
        if found is not None:
            return f"arguments swapped: {found[0]} and {found[1]}"
    return _find_reversal(a, b)


def _find_swap_around(connector: str, a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, str] | None:
    sides_b = _sides(connector, b)
    for left_a, right_a in _sides(connector, a):
        for left_b, right_b in sides_b:
            to_right = (left_a & right_b) - right_a - left_b
            to_left = (right_a & left_b) - left_a - right_b
            if to_right and to_left:
                return min(to_right), min(to_left)
    return None


def _sides(connector: str, tokens: tuple[str, ...]) -> list[tuple[set[str], set[str]]]:
    """Content words before and after each occurrence; "from" and "to" reach to the other one only."""
    found = []
    for at, token in enumerate(tokens):
        if token == connector:
            before, after = tokens[max(0, at - _REACH) : at], tokens[at + 1 : at + 1 + _REACH]
            found.append(({each for each in before if _counts(each)}, {each for each in after if _counts(each)}))
    return found


def _find_reversal(a: Words, b: Words) -> str | None:
    """The same content words, with the outer two of three exchanged: "dogs chase cats", "cats chase dogs"."""
    if not _SYMMETRIC.isdisjoint(a.bag) or not _SYMMETRIC.isdisjoint(b.bag):
        return None
    first = [stem(token) for token in a.lower if _counts(token)]
    second = [stem(token) for token in b.lower if _counts(token)]
    if first == second or len(first) < 3 or sorted(first) != sorted(second):  # noqa: PLR2004
        return None
    place = {word: at for at, word in enumerate(second)}
    if len(place) < len(second):
        return None
    order = [place[word] for word in first]
    for middle in range(1, len(order) - 1):
        left = [at for at in range(middle) if order[at] > order[middle]]
        right = [at for at in range(middle + 1, len(order)) if order[at] < order[middle]]
        if left and right:
            return f"arguments swapped: {first[left[0]]} and {first[right[-1]]}"
    return None


def _counts(token: str) -> bool:
    return token not in FUNCTION_WORDS and token not in _CONNECTORS and token != "."  # noqa: S105 - no password: a token of text
