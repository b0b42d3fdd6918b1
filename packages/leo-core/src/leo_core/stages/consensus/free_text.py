"""Free text: when two wordings certainly say the same, and when they certainly do not."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Wording", "normalise", "same_wording"]

_MAX_LENGTH = 20_000
_SHORT = 6
_OVERLAP = 0.9
_PAIR_OVERLAP = 0.75

_MARKED = re.compile(r"[*_`#>\\]")
_MARKUP = re.compile(r"[*_`#>]+|\\(?:text|textbf|mathrm)\s*")
_TOKEN = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[0-9]+(?:[.,:][0-9]+)*")
_PARTS = re.compile(f"({_TOKEN.pattern})")
_SHORTENED = re.compile(r"\b[^\W\d_]{2,12}n't\b|\bcannot\b", re.IGNORECASE)
_FULL = {"can't": "can", "cannot": "can", "won't": "will", "shan't": "shall"}
_SENTENCE_ENDS = frozenset(".!?:")
_FILLER_WORDS = (
    "a an the is are was were be been it its this that these those of to in on at for by and as with i you we he she "
    "they his her their our my your so then therefore thus hence answer final would will can do does did has have had "
    "there which who whom what"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_NEGATION_WORDS = (
    "not no never none nobody nothing neither nor without unlikely unable false incorrect fails failed except unless"
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
_OPPOSITES: dict[str, set[str]] = {}
for _pair in _PAIRS.split():
    _left, _right = (set(side.split("/")) for side in _pair.split("|"))
    for _words, _others in ((_left, _right), (_right, _left)):
        for _word in _words:
            _OPPOSITES.setdefault(_word, set()).update(_others)


class Wording:
    """A text as it is compared.

    Most texts are told apart by their words alone, so the rest is looked for when it is asked for.

    Args:
        plain: The text, normalised by :func:`normalise`.

    Attributes:
        tokens: Its words in lower case, without fillers, in order.
        bag: The set of ``tokens``.
    """

    __slots__ = ("_details", "_plain", "bag", "tokens")

    def __init__(self, plain: str) -> None:
        lower = plain.lower()
        if "n't" in lower or "cannot" in lower:
            plain = _SHORTENED.sub(lambda match: _FULL.get(match.group().lower(), match.group()[:-3]) + " not", plain)
        self._plain = plain
        self._details: _Details | None = None
        self.tokens = tuple([word for word in _split(_TOKEN.findall(plain)) if word not in _FILLERS])
        self.bag = frozenset(self.tokens)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its numbers, sorted."""
        return self._read_details().numbers

    @property
    def negations(self) -> int:
        """How many negations it has."""
        return self._read_details().negations

    @property
    def names(self) -> frozenset[str]:
        """Words written with a capital inside a sentence, in lower case."""
        return self._read_details().names

    def _read_details(self) -> _Details:
        if self._details is None:
            self._details = _read_details(self._plain)
        return self._details


@dataclass(frozen=True, slots=True, kw_only=True)
class _Details:
    """What two texts with the same words may still differ in."""

    numbers: tuple[str, ...]
    negations: int
    names: frozenset[str]


def _read_details(plain: str) -> _Details:
    parts = _PARTS.split(plain)  # what stands between words, and words, in turns
    words = _split(parts[1::2])
    return _Details(
        numbers=tuple(sorted([word for word in words if word[0].isdigit()])),
        negations=sum(map(_NEGATIONS.__contains__, words)),
        names=frozenset(
            word.casefold()
            for gap, word in zip(parts[2::2], parts[3::2], strict=False)
            if word[0].isupper() and word != "I" and gap.rstrip()[-1:] not in _SENTENCE_ENDS
        ),
    )


def _split(spelled: list[str]) -> list[str]:
    """Words in lower case, numbers without separators of thousands."""
    joined = " ".join(spelled).casefold()
    if "," not in joined:
        return joined.split()
    return [word.replace(",", "") if word[0].isdigit() else word for word in joined.split()]


def normalise(text: str) -> str:
    """Compatibility forms, case, markup and white space made alike; at most 20,000 characters."""
    plain = unicodedata.normalize("NFKC", text[:_MAX_LENGTH]).replace("\u2019", "'")
    return " ".join((_MARKUP.sub(" ", plain) if _MARKED.search(plain) else plain).split())


def same_wording(a: Wording, b: Wording, asked: frozenset[str]) -> bool | None:
    """Whether two texts say the same.

    Yes only if their numbers, their negations and their names agree and no word of one has its opposite in the
    other, and either their words are the same in the same order, or so once words of the question that only one
    of them repeats are left out, or one text has a few words more than the other. No if the words agree so far
    but numbers, negations, names or opposites do not, or if both are short.

    Args:
        a: One.
        b: The other.
        asked: Words of the question, in lower case.

    Returns:
        Yes, no, or ``None`` when words cannot tell.
    """
    if a.tokens == b.tokens and a.tokens:
        return not _conflicts(a, b, asked)
    if asked and _same_answering_words(a, b, asked):
        return not _conflicts(a, b, asked)
    less, more = len(a.tokens), len(b.tokens)
    if less > more:
        less, more = more, less
    if less > _SHORT and _may_overlap(a, b, less, more) and _overlap(a.tokens, b.tokens) >= _OVERLAP:
        return False if _conflicts(a, b, asked) else (True if _only_adds(a, b) else None)
    return False if more <= _SHORT else None


def _may_overlap(a: Wording, b: Wording, less: int, more: int) -> bool:
    """Whether the bags of words can share enough: each word that the other text lacks is one that they do not."""
    enough = _OVERLAP * more
    if less < enough:
        return False
    return len(a.bag & b.bag) + min(len(a.tokens) - len(a.bag), len(b.tokens) - len(b.bag)) >= enough


def _same_answering_words(a: Wording, b: Wording, asked: frozenset[str]) -> bool:
    """Whether the words that are not the question's agree, and those that are agree too or stand in one text only."""
    mine, theirs = (tuple(token for token in wording.tokens if token not in asked) for wording in (a, b))
    if mine != theirs or not mine:
        return False
    repeated = [tuple(token for token in wording.tokens if token in asked) for wording in (a, b)]
    return () in repeated or repeated[0] == repeated[1]


def _conflicts(a: Wording, b: Wording, asked: frozenset[str]) -> bool:
    theirs = b.bag - a.bag
    if any(not theirs.isdisjoint(_OPPOSITES[word]) for word in a.bag - b.bag if word in _OPPOSITES):
        return True
    if a.numbers != b.numbers and set(a.numbers) - asked != set(b.numbers) - asked:
        return True
    if a.negations % 2 != b.negations % 2:
        return True
    names = {name.removesuffix("'s") for name in (a.names ^ b.names) - asked}
    return any(name not in a.bag or name not in b.bag for name in names)


def _only_adds(a: Wording, b: Wording) -> bool:
    """Whether one text has the other's words and a few more, most neighbours still beside each other."""
    gaps = _subtract(a.tokens, b.tokens)
    pairs = [tuple(pairwise(wording.tokens)) for wording in (a, b)]
    return (min(gaps) >= 0 or max(gaps) <= 0) and _overlap(pairs[0], pairs[1]) >= _PAIR_OVERLAP


def _overlap(a: tuple[object, ...], b: tuple[object, ...]) -> float:
    """Shared share of the larger of two bags, in [0, 1]; one of them is not empty."""
    return (len(a) - sum([gap for gap in _subtract(a, b) if gap > 0])) / max(len(a), len(b))


def _subtract(a: tuple[object, ...], b: tuple[object, ...]) -> list[int]:
    """How many more of each of their elements one bag has than the other."""
    counts = dict.fromkeys((*a, *b), 0)
    for each in a:
        counts[each] += 1
    for each in b:
        counts[each] -= 1
    return list(counts.values())
