"""Arguments must not be swapped: "from A to B" is not "from B to A"; a passive or a converse swaps them back."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.lexicon import AUXILIARIES, FREE
from leo_core.stages.cache.guards.verbs import PRESENT_OF
from leo_core.stages.cache.guards.words import FUNCTION_WORDS, stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_code_swap", "find_role_swap", "find_swap", "is_converse"]

_CONNECTORS = frozenset(
    """to into than from by before after over cause causes beat beats defeat defeated eat eats convert as for of in on
    with affect affects influence influenced against follow follows precede contain contains owe owes pay""".split()  # noqa: SIM905 - words read better as a text
)
_LOOSE = frozenset({"of", "in", "on", "for", "with", "as", "by"})
_SYMMETRIC = frozenset({"vs", "versus", "or", "and", "between", "difference", "both", "compare", "with"})
_DIRECTED = _CONNECTORS - _SYMMETRIC - _LOOSE
_MUTUAL = frozenset(
    """vs versus or and between differenc both compar comparison marry married marri differ same similar common sibl
    meet distanc sum product multipl plus averag near equal cousin friend border together & either neither
    among altogether relat relation""".split()  # noqa: SIM905 - words read better as a text
)
_CONVERSE_VERBS = frozenset(
    """give get receive lend borrow buy sell teach learn before after above below over under parent child teacher
    student employer employee import export win lose send precede follow lead host guest""".split()  # noqa: SIM905 - words read better as a text
)
_PRONOUNS = {"her": "his", "him": "his", "hers": "his", "she": "he", "their": "his"}
_JOINING = frozenset({"and", "or", "&", "plus", "versus", "vs", "near", "either", "neither"})
_ASKING = frozenset(
    """how what which when where who quanto quantos quanta quantas quanti quante cuánto cuántos cuánta cuántas cuanto
    cuantos combien quel quell quels wie wieviel wieviele was welche welcher welches hoe hoeveel welke wat ile jaki jaka
    jakie co gdzie kiedy сколько какой какая какие где когда что kaç ne nerede""".split()  # noqa: SIM905 - words read better as a text
)
_ASKING |= {stem(word) for word in _ASKING}
"""What is asked for may stand first or last."""
_IN_TURN = frozenset({"first", "then", "next", "afterward", "later", "2"})
_ASKED = frozenset({"who", "whom", "which", "what"})
_DO = frozenset({"did", "do", "does"})
_HAVE = frozenset({"has", "have", "had"})
_HELPING = _DO | _HAVE
_PREPOSITIONS = frozenset(
    {"to", "by", "from", "of", "for", "with", "on", "at", "about", "after", "against", "over", "in"}
)
_FOCUS = frozenset({"only", "just", "even"})
_JOINED = _CONNECTORS | AUXILIARIES.keys()
"""Words that a query of keywords has none of."""
_ARROWS = frozenset(">→")
_MOVABLE = frozenset({"already", "still", "yet", "not", "also", "now", "today", "again", "then", "here", "too"})
"""Adverbs that may stand before or after what they belong to."""
_EMPTY = frozenset(word for word in FREE if len(word) > 1) - {
    "i",
    "me",
    "we",
    "us",
    "you",
    "he",
    "him",
    "she",
    "her",
    "they",
    "them",
}
_REACH = 6
_LONGEST = 14


def find_swap(a: Words, b: Words) -> str | None:
    """Reason in words when two shared words change sides around a shared connector."""
    for connector in sorted(a.bag & _DIRECTED & b.bag):
        found = _find_swap_around(connector, a.lower, b.lower)
        if found is not None and ("by" in a.bag) == ("by" in b.bag) and _MUTUAL.isdisjoint(a.bag | b.bag):
            return f"arguments swapped: {found[0]} and {found[1]}"
    return None


def find_role_swap(a: tuple[str, ...], b: tuple[str, ...], words: Words) -> str | None:
    """Reason in words when two parts of one wording change places, or agent and patient do across the voices.

    Args:
        a: Canonical sequence of one text.
        b: That of the other.
        words: The first text itself.
    """
    if a == b or not a or not b:
        return None
    if ("by" in a) != ("by" in b):
        passive, active = (a, b) if "by" in a else (b, a)
        return _compare_voices(passive, active)
    a, b = _without_gender(a), _without_gender(b)
    return None if a == b else _compare_asked(a, b) or _compare_places(a, b, words)


def _compare_places(a: tuple[str, ...], b: tuple[str, ...], words: Words) -> str | None:
    """Reason in words when the same words stand in two orders because two parts changed places."""
    if len(a) != len(b) or sorted(a) != sorted(b):
        return None
    start = next(at for at in range(len(a)) if a[at] != b[at])
    end = next(at for at in range(1, len(a) + 1) if a[-at] != b[-at]) - 1
    left, right = a[start : len(a) - end], b[start : len(b) - end]
    if len(left) > _LONGEST:
        return None
    found = _find_exchange(left, right, a)
    if found is None or (len(left) == 2 and _is_compound(left, words)):  # noqa: PLR2004 - two words and nothing between
        return None
    return f"arguments swapped: {' '.join(found[0])} and {' '.join(found[1])}"


def _is_compound(pair: tuple[str, ...], words: Words) -> bool:
    """Whether the two stand side by side, as in a query of keywords: "vienna concerts", "concerts vienna"."""
    if not _FOCUS.isdisjoint(pair) or not _ARROWS.isdisjoint(words.text) or not _JOINED.isdisjoint(words.bag):
        return False
    return any(tuple(map(stem, each)) == pair for each in pairwise(words.lower))


def find_code_swap(a: str, b: str, identifiers: frozenset[str]) -> str | None:
    """Reason in words when identifiers that both texts hold change places in one wording."""
    if len(identifiers) < 2:  # noqa: PLR2004 - two change places
        return None
    places = [sorted(identifiers, key=text.find) for text in (a, b)]
    if places[0] == places[1]:
        return None
    for identifier in identifiers:
        a, b = a.replace(identifier, ""), b.replace(identifier, "")
    if sorted(a.lower().split()) != sorted(b.lower().split()) or not _MUTUAL.isdisjoint(a.lower().split()):
        return None
    return f"arguments swapped: {' and '.join(places[0])}"


def is_converse(a: Words, b: Words, word_a: str, word_b: str) -> bool:
    """Whether opposites with exchanged arguments say the same: "A is bigger than B", "B is smaller than A"."""
    if not (_is_relation(word_a, a) and _is_relation(word_b, b)):
        return False
    before_a, after_a = _around(word_a, a)
    before_b, after_b = _around(word_b, b)
    return bool((before_a & after_b) - after_a and (after_a & before_b) - before_a) or bool(
        "than" not in a.bag and len(before_a & after_b) and len(after_a) and not before_b & before_a
    )


def _is_relation(word: str, words: Words) -> bool:
    return word in _CONVERSE_VERBS or stem(word) in _CONVERSE_VERBS or "than" in words.bag


def _around(word: str, words: Words) -> tuple[set[str], set[str]]:
    tokens = words.lower
    at = next((at for at, token in enumerate(tokens) if word in {token, stem(token)}), 0)
    return {stem(each) for each in tokens[:at] if _counts(each)}, {stem(each) for each in tokens[at:] if _counts(each)}


def _without_gender(sequence: tuple[str, ...]) -> tuple[str, ...]:
    """Pronouns follow their nouns when these change places: "his landlord", "her tenant"."""
    if _PRONOUNS.keys().isdisjoint(sequence):
        return sequence
    return tuple([_PRONOUNS.get(each, each) for each in sequence])


def _find_exchange(
    left: tuple[str, ...], right: tuple[str, ...], whole: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """``X M Y`` against ``Y M X``."""
    size = len(left)
    before = whole[: next((at for at in range(len(whole)) if whole[at : at + size] == left), 0)][-1:]
    in_turn = not _IN_TURN.isdisjoint(whole)
    for first in range(1, size):
        if right[size - first :] != left[:first]:
            continue
        for second in range(1, size - first + 1):
            if right[:second] != left[size - second :] or left[first : size - second] != right[second : size - first]:
                continue
            one, two, middle = left[:first], left[size - second :], left[first : size - second]
            if (
                _EMPTY.issuperset(one)
                or _EMPTY.issuperset(two)
                or _MOVABLE.issuperset(one)
                or _MOVABLE.issuperset(two)
                or _is_question(one)
                or _is_question(two)
                or not _MUTUAL.difference(_JOINING).isdisjoint(whole)
                or not (_JOINING - {"and"} if in_turn else _JOINING).isdisjoint((*middle, *before))
            ):
                return None
            if not middle and (len(one) > 1 or len(two) > 1):
                return None
            return one, two
    return None


def _is_question(part: tuple[str, ...]) -> bool:
    """Whether the part is what is asked for, which may stand first or last: "how many rupees"."""
    return part[0] in _ASKING


def _compare_asked(a: tuple[str, ...], b: tuple[str, ...]) -> str | None:
    """What is asked for is the object in one text ("who did Ann call") and the subject in the other ("who called Ann").

    Both have the same words but for the auxiliary. The asked is the object where "do" stands before the subject, or
    where a preposition is left at the end ("who was Schubert inspired by").
    """
    if a[0].removesuffix("m") != b[0].removesuffix("m") or a[0] not in _ASKED:
        return None
    left, right = ([each for each in side[1:] if each not in _HELPING] for side in (a, b))
    if len(left) != len(right) or _fold_verbs(left) != _fold_verbs(right):
        return None
    ones, others = ((not _DO.isdisjoint(each), each[-1] in _PREPOSITIONS) for each in (a, b))
    if ones == others or (ones[0] and others[0]) or (a[0] == "to" or b[0] == "to"):
        return None
    if ones[0] == others[0] and _HAVE.isdisjoint(a) and "by" not in a:
        return None
    roles = ("object", "subject") if any(ones) else ("subject", "object")
    return f"arguments swapped: {a[0]} as {roles[0]}, as {roles[1]}"


def _fold_verbs(words: list[str]) -> list[str]:
    """The words in order of the alphabet, verbs in the present."""
    return sorted([stem(PRESENT_OF.get(each, each)).removesuffix("e") for each in words])


def _compare_voices(passive: tuple[str, ...], active: tuple[str, ...]) -> str | None:
    """Agent and patient of the verb before "by", against the words around the same verb in the active."""
    at = passive.index("by")
    if at < 2 or at + 1 >= len(passive) or passive[at - 1] not in active or passive[at - 1] == "is":  # noqa: PLR2004 - a verb and its object come before "by"
        return None
    verb = passive[at - 1]
    if not {"is", "are", "was", "were", "been", "be", "got", "being"}.intersection(passive[: at - 1]):
        return None
    agent, patient = passive[at + 1], passive[at - 2]
    place = active.index(verb)
    before, after = set(active[max(0, place - 3) : place]), set(active[place + 1 : place + 4])
    if (patient in before and agent in after) and not (agent in before or patient in after):
        return f"arguments swapped: {patient} and {agent}"
    if patient in AUXILIARIES and agent in after and agent not in before:
        return f"arguments swapped: agent and patient of {verb}"
    return None


def _find_swap_around(connector: str, a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, str] | None:
    sides_b = _sides(connector, b)
    for left_a, right_a, next_a in _sides(connector, a):
        for left_b, right_b, next_b in sides_b:
            to_right = (left_a & right_b) - right_a - left_b
            to_left = (right_a & left_b) - left_a - right_b
            if to_right and to_left and (next_a in to_left or next_b in to_right):
                return min(to_right), min(to_left)
    return None


def _sides(connector: str, tokens: tuple[str, ...]) -> list[tuple[set[str], set[str], str]]:
    """Content words before and after each occurrence, and the first one after it."""
    found = []
    for at, token in enumerate(tokens):
        if token == connector:
            before, after = tokens[max(0, at - _REACH) : at], tokens[at + 1 : at + 1 + _REACH]
            right = [each for each in after if _counts(each)]
            found.append(({each for each in before if _counts(each)}, set(right), right[0] if right else ""))
    return found


def _counts(token: str) -> bool:
    return token not in FUNCTION_WORDS and token not in _CONNECTORS and token != "."  # noqa: S105 - no password: a token of text
