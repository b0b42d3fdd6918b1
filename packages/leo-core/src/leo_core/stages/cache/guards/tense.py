"""Tense and mood: "who leads" is not "who led", "does he live" not "did he use to live", "must I" not "may I"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.lexicon import AUXILIARIES, FREE
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_mood_conflict", "find_tense_conflict"]

_PAST = """
arise:arose awake:awoke bear:bore beat:beat become:became begin:began bend:bent bind:bound bite:bit bleed:bled blow:blew
break:broke breed:bred bring:brought build:built burn:burnt buy:bought catch:caught choose:chose cling:clung come:came
creep:crept deal:dealt dig:dug draw:drew dream:dreamt drink:drank drive:drove dwell:dwelt eat:ate fall:fell feed:fed
feel:felt fight:fought find:found flee:fled fling:flung fly:flew forbid:forbade forget:forgot forgive:forgave
freeze:froze get:got give:gave go:went grind:ground grow:grew hang:hung have:had hear:heard hide:hid hold:held
keep:kept kneel:knelt know:knew lay:laid lead:led lean:leant learn:learnt leave:left lend:lent lie:lay light:lit
lose:lost make:made mean:meant meet:met mistake:mistook overcome:overcame oversee:oversaw overtake:overtook pay:paid
prove:proved ride:rode ring:rang rise:rose run:ran say:said see:saw seek:sought sell:sold send:sent sew:sewed
shake:shook shed:shed shine:shone shoot:shot show:showed shrink:shrank sing:sang sink:sank sit:sat sleep:slept
slide:slid sling:slung sow:sowed speak:spoke spend:spent spin:spun spring:sprang stand:stood steal:stole stick:stuck
sting:stung stink:stank stride:strode strike:struck strive:strove swear:swore sweep:swept swim:swam swing:swung
take:took teach:taught tear:tore tell:told think:thought throw:threw undergo:underwent understand:understood
undertake:undertook wake:woke wear:wore weave:wove weep:wept win:won wind:wound withdraw:withdrew withstand:withstood
write:wrote
"""
_PRESENT_OF = {past: verb for verb, past in (entry.split(":") for entry in _PAST.split())}
_BEFORE = frozenset({*AUXILIARIES, "to", "be", "been", "being", "ought", "let", "get", "got", "by", "not"})
_SUBJECTS = frozenset({"who", "which", "what", "that", "i", "we", "you", "they", "he", "she", "it"})
_ASKED_NOUN = frozenset({"which", "what", "whose"})
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
    if len(content_a & content_b) < _LEAST_ALIKE * len(content_a | content_b):
        return None
    shared = content_a & content_b
    one, two = _read_mood(a, words_a.lower, shared), _read_mood(b, words_b.lower, shared)
    if frozenset((one, two)) not in _DIFFERENT:
        return None
    return f"tense or mood differs: {one}, {two}"


def _content(sequence: tuple[str, ...]) -> set[str]:
    return {stem(_PRESENT_OF.get(each, each)) for each in sequence if each not in AUXILIARIES and each not in FREE and each not in _WITHOUT_CONTENT}


_WITHOUT_CONTENT = frozenset({"who", "when", "where", "why", "how", "not", "used", "use", "already", "yet", "need"})


def _read_mood(sequence: tuple[str, ...], tokens: tuple[str, ...], shared: set[str]) -> str:
    """Mood of the first verb: what its auxiliary says, or whether it is in the past; empty where it cannot be told.

    "Progressive" is one of the shared words with "is" or "are" and an "ing".
    """
    for at, token in enumerate(sequence):
        kind = AUXILIARIES.get(token)
        if kind is None:
            continue
        rest = sequence[at + 1 :]
        if token in _DO and "to" in rest:
            before = rest[rest.index("to") - 1]
            if before in {"have", "need"}:
                return "must"
            if before in {"us", "use", "used"} and token == "did":  # noqa: S105 - no password: a token of text
                return "formerly"
        if token in {"am", "is", "are"} and any(each.endswith("ing") and stem(each) in shared for each in tokens):
            return "progressive"
        if kind in {"can", "may"} and "have" in rest[:6]:
            return "may"
        return kind
    for before, token in zip(tokens, tokens[1:], strict=False):
        if token == "used" and "to" in tokens:  # noqa: S105 - no password: a token of text
            return "formerly"
        if before in _SUBJECTS and (token in _PRESENT_OF or token.endswith("ed")):
            return "past"
    if tokens and tokens[0] in _SUBJECTS and len(tokens) > 1:
        if tokens[1] in _PRESENT_OF or tokens[1].endswith("ed"):
            return "past"
        if tokens[2:3] and tokens[0] in _ASKED_NOUN and (tokens[2] in _PRESENT_OF or tokens[2].endswith("ed")):
            return "past"
        return "present" if tokens[0] == "who" and tokens[1].endswith("s") else ""
    return ""


def _is_past_of(past: str, present: str) -> bool:
    """Whether the words are one verb, in the past and in the present."""
    if past in _PRESENT_OF:
        verb = _PRESENT_OF[past]
        return present in {verb, f"{verb}s", f"{verb}es"} or stem(present) == stem(verb)
    ended = past.endswith("ed") and not present.endswith(("ed", "ing"))
    return ended and (stem(past) == stem(present) or past.removesuffix("ied") == present.removesuffix("ies"))
