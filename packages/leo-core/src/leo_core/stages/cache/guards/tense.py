"""Tense and mood: "who leads" is not "who led", "does he live" not "did he use to live", "must I" not "may I"."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.lexicon import AUXILIARIES, FREE
from leo_core.stages.cache.guards.verbs import PRESENT_OF
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_mood_conflict", "find_tense_conflict"]

_BEFORE = frozenset({*AUXILIARIES, "to", "be", "been", "being", "ought", "let", "get", "got", "by", "not"})
_SUBJECTS = frozenset({"who", "which", "what", "that", "i", "we", "you", "they", "he", "she", "it"})
_WITHOUT_CONTENT = frozenset({"who", "when", "where", "why", "how", "not", "used", "use", "already", "yet", "need"})
_NO_CONTENT = _WITHOUT_CONTENT | AUXILIARIES.keys() | FREE
_ASKED_NOUN = frozenset({"which", "what", "whose"})
_NEAR = 6
_FURTHEST = 6
_LEAST_SHARED = 0.5
_LEAST_ALIKE = 0.6
_DO = frozenset({"do", "does", "did"})
_DIFFERENT = {
    frozenset(pair.split("/"))
    for pair in """past/future past/may past/can past/would past/must past/should perfect/must perfect/may
    perfect/future formerly/present formerly/future formerly/perfect formerly/must formerly/can must/may must/can
    progressive/past""".split()  # noqa: SIM905 - words read better as a text
}


def find_tense_conflict(a: Words, b: Words) -> str | None:
    """Reason in words when the first verb of two texts that begin alike is past in one and present in the other.

    A verb counts where a subject stands before it and no auxiliary, "to" or "by" does, so that participles
    ("houses built by") and infinitives do not.
    """
    one, two = a.lower, b.lower
    at = 0
    while at < min(len(one), len(two)) and one[at] == two[at]:
        at += 1
    if not 0 < at <= _FURTHEST or at >= min(len(one), len(two)):
        return None
    before = one[:at]
    if _SUBJECTS.isdisjoint(before) or not _BEFORE.isdisjoint(before) or any("'" in each for each in before):
        return None
    left, right = one[at], two[at]
    if one[at + 1 : at + 2] == ("by",) or two[at + 1 : at + 2] == ("by",):
        return None
    if _is_past_of(left, right):
        tenses = "past, present"
    elif _is_past_of(right, left):
        tenses = "present, past"
    else:
        return None
    rest, others = set(one[at + 1 :]), set(two[at + 1 :])
    if len(rest & others) < _LEAST_SHARED * max(len(rest), len(others)):
        return None
    return f"tense or mood differs: {tenses}"


def find_mood_conflict(a: tuple[str, ...], b: tuple[str, ...], words_a: Words, words_b: Words) -> str | None:
    """Reason in words when two questions about the same words are in moods or tenses that have different answers.

    Args:
        a: Canonical sequence of one text.
        b: That of the other.
        words_a: The text itself.
        words_b: The other.
    """
    if a[:1] != b[:1]:
        return None
    content_a, content_b = _content(a), _content(b)
    shared = content_a & content_b
    if len(shared) < _LEAST_ALIKE * (len(content_a) + len(content_b) - len(shared)):
        return None
    one, two = _read_mood(a, words_a.lower, shared), _read_mood(b, words_b.lower, shared)
    if frozenset((one, two)) not in _DIFFERENT:
        return None
    return f"tense or mood differs: {one}, {two}"


@lru_cache(maxsize=1 << 13)
def _content(sequence: tuple[str, ...]) -> frozenset[str]:
    return frozenset([stem(PRESENT_OF.get(each, each)) for each in sequence if each not in _NO_CONTENT])


def _read_mood(sequence: tuple[str, ...], tokens: tuple[str, ...], shared: frozenset[str]) -> str:
    """Mood of the first verb: what its auxiliary says, or whether it is in the past; empty where it cannot be told.

    "Progressive" is one of the shared words with "is" or "are" and an "ing".
    """
    at = next((at for at, token in enumerate(sequence) if token in AUXILIARIES), None)
    if at is None:
        return _read_tense(tokens)
    token, rest = sequence[at], sequence[at + 1 :]
    kind = AUXILIARIES[token]
    before = rest[rest.index("to") - 1] if token in _DO and "to" in rest else ""
    if before in {"have", "need"}:
        kind = "must"
    elif before in {"us", "use", "used"} and token == "did":  # noqa: S105 - no password: a token of text
        kind = "formerly"
    elif token in {"am", "is", "are"} and any(each.endswith("ing") and stem(each) in shared for each in tokens):
        kind = "progressive"
    elif kind == "can" and "have" in rest[:_NEAR]:
        kind = "may"
    return kind


def _read_tense(tokens: tuple[str, ...]) -> str:
    """The tense of the first verb of a text without auxiliaries; empty where it cannot be told."""
    if "used" in tokens and "to" in tokens:
        return "formerly"
    if any(before in _SUBJECTS and _looks_past(token) for before, token in pairwise(tokens)):
        return "past"
    if tokens[2:3] and tokens[0] in _ASKED_NOUN and _looks_past(tokens[2]):
        return "past"
    return "present" if tokens[1:2] and tokens[0] == "who" and tokens[1].endswith("s") else ""


def _looks_past(token: str) -> bool:
    return token in PRESENT_OF or token.endswith("ed")


def _is_past_of(past: str, present: str) -> bool:
    """Whether the words are one verb, in the past and in the present."""
    if past in PRESENT_OF:
        verb = PRESENT_OF[past]
        return present in {verb, f"{verb}s", f"{verb}es"} or stem(present) == stem(verb)
    ended = past.endswith("ed") and not present.endswith(("ed", "ing"))
    return ended and (stem(past) == stem(present) or past.removesuffix("ied") == present.removesuffix("ies"))
