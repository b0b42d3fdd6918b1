"""Words of which a question can mean one only: quantifiers, colours, directions, languages, what is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.lexicon import AUXILIARIES
from leo_core.stages.cache.guards.units import UNITS

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_group_conflict", "read_groups"]

_GROUPS: dict[str, str] = {
    "quantifiers": "all=all,every,everyone,everybody,everything,entire,whole some=some,several,few "
    "none=none,nobody,nothing",
    "colours": "red=red blue=blue green=green yellow=yellow black=black white=white orange=orange purple=purple "
    "pink=pink brown=brown grey=grey,gray",
    "directions": "north=north,northern south=south,southern east=east,eastern west=west,western",
    "programming languages": "python=python java=java javascript=javascript,js typescript=typescript,ts rust=rust "
    "golang=golang ruby=ruby php=php kotlin=kotlin swift=swift scala=scala perl=perl haskell=haskell matlab=matlab "
    "sql=sql",
    "operating systems": "windows=windows linux=linux,ubuntu macos=macos android=android ios=ios",
    "languages": "english=english french=french german=german spanish=spanish italian=italian russian=russian "
    "chinese=chinese,mandarin japanese=japanese hindi=hindi arabic=arabic korean=korean portuguese=portuguese",
    "meals": "breakfast=breakfast lunch=lunch dinner=dinner,supper",
    "relatives": "mother=mother,mom,mum father=father,dad brother=brother sister=sister son=son daughter=daughter "
    "wife=wife husband=husband",
    "sexes": "male=male,man,men,boy,boys,guy,guys female=female,woman,women,girl,girls,lady,ladies",
    "planets": "mercury=mercury venus=venus,venusian earth=earth mars=mars,martian jupiter=jupiter,jovian "
    "saturn=saturn uranus=uranus neptune=neptune pluto=pluto",
    "animals": "dog=dog,dogs,puppy cat=cat,cats,kitten horse=horse,horses cow=cow,cows bird=bird,birds",
    "frequencies": "always=always,constantly,continually,alltime often=often,frequently,usually,regularly "
    "sometimes=sometimes,occasionally,onceinawhile rarely=rarely,seldom,hardlyever never=never",
    "bounds": "atleast=atleast atmost=atmost morethan=morethan lessthan=lessthan",
    "statistics": "average=average median=median sum=sum variance=variance",
}
_MEMBERS: dict[str, tuple[str, str]] = {
    word: (group, member.split("=")[0])
    for group, members in _GROUPS.items()
    for member in members.split()
    for word in member.split("=")[1].split(",")
}
_WORDS = frozenset(_MEMBERS)
_ASKED = frozenset({"who", "whom", "whose", "when", "where", "why"})
_HOW = frozenset(
    {"many", "much", "long", "far", "old", "often", "tall", "fast", "big", "deep", "heavy", "high", "large"}
)
_BEFORE = frozenset({"with", "for", "to", "by", "from", "of", "at", "in", "on", "and", "but", "so"})
_NOT_ALL = re.compile(r"\ball (?:right|over|about|time|the time)\b|\b(?:at|after|above) all\b", re.IGNORECASE)
_FEWER = frozenset({"all", "every", "any", "some", "few", "several", "no", "none"})
_MAY_BE_ONE = ({"how", "why"}, {"how", "where"})
_OVERLAP_AGREES = frozenset({"quantifiers", "sexes"})


def read_groups(words: Words) -> dict[str, set[str]]:
    """Members of exclusive groups in a text, and what is asked for."""
    found: dict[str, set[str]] = {}
    if "mostof" in words.bag or not words.bag.isdisjoint(_FEWER):
        found["majorities"] = {"most"} if "mostof" in words.bag else {"not said to be most"}
    for token in words.bag & _WORDS:
        if token != "all" or not _NOT_ALL.search(words.text):  # noqa: S105 - no password: a token of text
            group, member = _MEMBERS[token]
            found.setdefault(group, set()).add(member)
    asked = _read_asked(words.lower)
    if asked:
        found["asked"] = {asked}
    return found


def find_group_conflict(a: dict[str, set[str]], b: dict[str, set[str]]) -> str | None:
    """Reason in words when both texts name members of one group and not the same ones."""
    for group in sorted(a.keys() & b.keys()):
        if group == "asked" and a[group] | b[group] in _MAY_BE_ONE:
            continue
        if a[group].isdisjoint(b[group]) if group in _OVERLAP_AGREES else a[group] != b[group]:
            return f"{group} differ: {' and '.join(sorted(a[group]))}, {' and '.join(sorted(b[group]))}"
    return None


def _read_asked(tokens: tuple[str, ...]) -> str:
    """What the first question word asks for: a person, a time, a place, a reason, or an amount of some kind."""
    if not tokens:
        return ""
    if tokens[:2] in {("how", "come"), ("since", "when")}:
        return "why" if tokens[0] == "how" else "when"
    first = tokens[1] if tokens[0] in _BEFORE and len(tokens) > 1 else tokens[0]
    if first in _ASKED:
        return "who" if first in {"whom", "whose"} else first
    return _read_how(tokens[1], tokens[2:3]) if first == "how" and len(tokens) > 1 else ""


def _read_how(word: str, after: tuple[str, ...]) -> str:
    """What "how" asks for with the word behind it; an amount in some unit can be asked for in other words too."""
    if word in AUXILIARIES:
        return "how"
    if word not in _HOW or (word == "many" and after and after[0] in UNITS):
        return ""
    if word == "long" or (word == "much" and after == ("time",)):
        return "when" if after == ("ago",) else "how long"
    return "how often" if word == "many" and after == ("times",) else f"how {word}"
