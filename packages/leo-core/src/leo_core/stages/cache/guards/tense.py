"""Tense that the verb alone shows: "who leads" is not "who led"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.lexicon import AUXILIARIES
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_tense_conflict"]

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
_FURTHEST = 6
_LEAST_SHARED = 0.5


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


def _is_past_of(past: str, present: str) -> bool:
    """Whether the words are one verb, in the past and in the present."""
    if past in _PRESENT_OF:
        return present in {_PRESENT_OF[past], f"{_PRESENT_OF[past]}s", f"{_PRESENT_OF[past]}es"} or (
            stem(present) == stem(_PRESENT_OF[past])
        )
    ended = past.endswith("ed") and not present.endswith(("ed", "ing"))
    return ended and (stem(past) == stem(present) or past.removesuffix("ied") == present.removesuffix("ies"))
