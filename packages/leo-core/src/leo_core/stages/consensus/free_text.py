"""Free text: when two wordings certainly say the same, and when they certainly do not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

__all__ = ["Wording", "read_wording", "same_wording"]

_MAX_LENGTH = 20_000
_SHORT = 6
_OVERLAP = 0.9
_PAIR_OVERLAP = 0.75

_MARKUP = re.compile(r"[*_`#>]+|\\(?:text|textbf|mathrm)\s*")
_TOKEN = re.compile(r"[0-9]+(?:[.,:][0-9]+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_SPLIT = re.compile(r"[.!?:\n]\s*$")
_FILLER_WORDS = (
    "a an the is are was were be been it its this that these those of to in on at for by and as with i you we he she "
    "they his her their our my your so then therefore thus hence answer final would will can do does did has have had "
    "there which who whom what"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_NEGATION_WORDS = (
    "not no never none nobody nothing neither nor without cannot can't won't isn't aren't wasn't weren't don't doesn't "
    "didn't hasn't haven't hadn't shouldn't wouldn't couldn't mustn't unlikely unable false incorrect fails failed "
    "except unless"
)
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_PAIRS = (
    "safe|unsafe/dangerous increase/increases/increased/rise/rises|decrease/decreases/decreased/fall/falls "
    "more|less/fewer before|after above|below higher|lower larger/bigger|smaller first|last true|false yes|no "
    "legal|illegal possible|impossible valid|invalid likely|unlikely always|sometimes/never all/every|some/most/none "
    "minimum|maximum left|right north|south east|west buy|sell open|closed/close hot|cold win/won|lose/lost "
    "positive|negative even|odd up|down enable/enabled|disable/disabled allow/allowed|forbid/forbidden/denied "
    "inside|outside early|late"
)
_OPPOSITES = tuple(
    tuple(frozenset(side.split("/")) for side in pair.split("|"))
    for pair in _PAIRS.split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A text as it is compared.

    Attributes:
        tokens: Its words in lower case, without fillers, in order.
        numbers: Its numbers, sorted.
        negations: How many negations it has.
        names: Words written with a capital inside a sentence, in lower case.
    """

    tokens: tuple[str, ...]
    numbers: tuple[str, ...]
    negations: int
    names: frozenset[str]


def normalise(text: str) -> str:
    """Compatibility forms, case, markup and white space made alike; at most 20,000 characters."""
    plain = unicodedata.normalize("NFKC", text[:_MAX_LENGTH]).replace("’", "'")
    return " ".join(_MARKUP.sub(" ", plain).split())


def read_wording(text: str) -> Wording:
    """Split a text into what is compared."""
    plain = normalise(text)
    words: list[str] = []
    names: set[str] = set()
    end = 0
    for match in _TOKEN.finditer(plain):
        word = match.group()
        opens = end == 0 or bool(_SPLIT.search(plain[max(0, end - 1) : match.start()]))
        if word[:1].isupper() and not opens and word != "I":
            names.add(word.casefold())
        words.append(word.casefold().replace(",", "") if word[0].isdigit() else word.casefold())
        end = match.end()
    return Wording(
        tokens=tuple(word for word in words if word not in _FILLERS),
        numbers=tuple(sorted(word for word in words if word[0].isdigit())),
        negations=sum(word in _NEGATIONS for word in words),
        names=frozenset(names),
    )


def same_wording(a: Wording, b: Wording, asked: frozenset[str]) -> bool | None:
    """Whether two texts say the same.

    Yes only if their numbers, their negations and their names agree and no word of one has its opposite in the
    other, and either their words are the same in the same order, or the same in the same order once the words of
    the question are left out, or nearly all words and pairs of neighbours are shared. No if the words agree so far
    but numbers, negations, names or opposites do not, or if both are short.

    Args:
        a: One.
        b: The other.
        asked: Words of the question, in lower case.

    Returns:
        Yes, no, or ``None`` when words cannot tell.
    """
    conflict = _conflicts(a, b, asked)
    if a.tokens == b.tokens and a.tokens:
        return not conflict
    left = tuple(token for token in a.tokens if token not in asked)
    right = tuple(token for token in b.tokens if token not in asked)
    if left == right and left:
        return not conflict
    if _overlap(a.tokens, b.tokens) >= _OVERLAP and len(a.tokens) > _SHORT:
        near = _overlap(
            tuple(zip(a.tokens, a.tokens[1:], strict=False)), tuple(zip(b.tokens, b.tokens[1:], strict=False))
        )
        return False if conflict else (True if near >= _PAIR_OVERLAP else None)
    return False if max(len(a.tokens), len(b.tokens)) <= _SHORT else None


def _conflicts(a: Wording, b: Wording, asked: frozenset[str]) -> bool:
    if a.numbers != b.numbers and set(a.numbers) - asked != set(b.numbers) - asked:
        return True
    if a.negations % 2 != b.negations % 2:
        return True
    names = {name.removesuffix("'s") for name in (a.names ^ b.names) - asked}
    if any(name not in a.tokens or name not in b.tokens for name in names):
        return True
    mine, theirs = set(a.tokens) - set(b.tokens), set(b.tokens) - set(a.tokens)
    return any((mine & one and theirs & two) or (mine & two and theirs & one) for one, two in _OPPOSITES)


def _overlap(a: tuple[object, ...], b: tuple[object, ...]) -> float:
    """Shared share of the larger of two bags, in [0, 1]."""
    if not a or not b:
        return 0.0
    return (Counter(a) & Counter(b)).total() / max(len(a), len(b))
