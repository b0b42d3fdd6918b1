"""Two questions that are worded alike but for one slot differ, unless the words in it mean the same."""

from __future__ import annotations

from leo_core.stages.cache.guards.degrees import compare_degrees
from leo_core.stages.cache.guards.lexicon import AUXILIARIES, FREE, PHRASES, are_synonyms
from leo_core.stages.cache.guards.spelling import are_spellings
from leo_core.stages.cache.guards.thesaurus import are_opposed, are_related
from leo_core.stages.cache.guards.units import DIMENSIONS, name_unit
from leo_core.stages.cache.guards.verbs import PRESENT_OF
from leo_core.stages.cache.guards.words import stem

__all__ = ["find_substitution", "is_alike"]

_LONGEST_SLOT = 5
_OPEN_SLOT = 3
_SHARE = 0.5
_WH = frozenset({"who", "when", "where", "why", "how", "what", "which", "whom", "whose"})
_SAME_WH = ({"what", "which"}, {"who", "which"}, {"who", "what"}, {"who", "whom"}, {"what", "why"})
_RESTRICTING = frozenset(
    """only nearly almost nautical not never no without except unless gross net anymore twice
    half double metric imperial domestic international annual monthly weekly daily hourly per non anti pre post ex
    everyother adult child left right upper lower minimum maximum average median used former future past next previous
    north south east west""".split()  # noqa: SIM905 - words read better as a text
)
_RESTRICTING |= {stem(word) for word in _RESTRICTING}
_FOCUS = {
    "still": "still", "already": "already", "ever": "ever", "even": "even", "just": "only", "only": "only",
    "mere": "only", "merely": "only", "too": "too", "also": "too", "alone": "only", "yet": "already",
}  # fmt: skip
_NARROWLY = frozenset({"near", "nearly", "almost"})
_GRADES = frozenset({"most", "least", "more", "less", "only", "all", "every", "each", "whol", "if", "none"})
_QUANTIFIERS = {
    "all": "all", "every": "all", "each": "all", "everyon": "all", "everybody": "all", "any": "any", "some": "some",
    "several": "some", "most": "most", "no": "no", "non": "no", "none": "no", "neither": "no", "nobody": "no",
    "both": "both", "either": "either", "many": "many", "few": "few", "only": "only", "also": "also",
    "mostof": "most", "everyth": "all", "everything": "all", "anyon": "any", "anyone": "any", "anybody": "any",
    "anyth": "any", "enough": "enough",
    "toofew": "too few", "toolittle": "too few", "toomany": "too many", "toomuch": "too many", "single": "one",
    "singl": "one",
    "1": "one", "afew": "some", "everyother": "other",
    "somebody": "some", "someon": "some", "always": "always", "never": "no", "rar": "few", "sometim": "some",
}  # fmt: skip
_NEAR = ({"some", "any"}, {"some", "many"}, {"many", "most"}, {"any", "either"}, {"one", "some"}, {"one", "any"})
_OPPOSED = frozenset(
    frozenset(form(word) for word in pair.split("/"))
    for form in (str, stem)
    for pair in [
        "in/out",
        "in/outof",
        "in/off",
        "on/off",
        "up/down",
        "to/from",
        "into/outof",
        "into/from",
        "before/after",
        "with/without",
        "over/under",
        "if/evenif",
        "if/unless",
        "if/onlyif",
        "in/outside",
        "besides/insteadof",
        "except/besides",
        "above/below",
        "he/she",
        "his/her",
        "him/her",
        "his/their",
        "above/under",
        "over/below",
        "before/during",
        "after/during",
        "for/against",
        "until/from",
        "since/until",
        "since/before",
        "by/after",
        "onto/off",
        "inside/outside",
        "within/outof",
        "at/until",
        "at/after",
        "at/before",
        "by/until",
        "from/until",
        "until/after",
        "since/for",
        "atleast/atmost",
        "atleast/exactly",
        "atmost/exactly",
        "along/across",
        "inside/beside",
        "under/beside",
        "behind/before_place",
        "like/unlike",
        "despite/dueto",
        "insteadof/with",
        "except/with",
        "except/only",
        "besides/like",
        "except/like",
        "except/besides",
        "by/to",
        "by/for",
        "overall/per",
        "total/per",
        "regardless/if",
        "neednt/must",
        "her/my",
        "his/my",
        "my/their",
        "your/their",
    ]
)
_TENSES = (
    {"past", "present"}, {"past", "future"}, {"present", "future"}, {"must", "can"}, {"should", "can"},
    {"must", "should"}, {"perfect", "present"}, {"perfect", "should"}, {"would", "past"}, {"perfect", "future"},
    {"would", "present"}, {"must", "present"}, {"may", "should"}, {"may", "must"}, {"may", "future"}, {"can", "past"},
    {"can", "perfect"}, {"past", "should"}, {"past", "must"}, {"should", "future"}, {"past", "perfect"},
    {"would", "perfect"}, {"must", "perfect"}, {"may", "perfect"}, {"must", "future"}, {"must", "would"},
    {"may", "past"}, {"would", "should"},
)  # fmt: skip
_SAME_VERB = frozenset({"do", "does", "did"})
_ALIKE = {
    frozenset(pair.split("/"))
    for pair in """no/without lack/no lack/without no/not non/not has/with have/with apartfrom/except
    apartfrom/besides beside/apartfrom
    1/singl when/where onc/after nil/no most/mostof""".split()  # noqa: SIM905 - words read better as a text
}
"""Function words that mean the same in one slot."""
_APART = {
    frozenset(pair.split("/"))
    for pair in """study/work seat/sit averag/total averag/sum general/particular general/specific
    overall/per total/per if/regardless""".split()  # noqa: SIM905 - words read better as a text
}
"""Words with a sense in common that ask for two things all the same."""
_DERIVED = frozenset(
    """ al ally ation ations ing ment ments ity ness ist ists ism y ion ions ive ed ly able ful d s es en r ic ical ance
    ence ous ant ent c e ian tion ate ated isation ization ise ize ry""".split(" ")  # noqa: SIM905 - words read better as a text
)
_PREFIX = 5
_FIGURES = frozenset("0123456789⌚")
_HOW = frozenset({"how", "where"})
_MILD = frozenset({"can", "should", "present", "would", "must"})
_LONG = 7
_LONGEST_TYPO = 5


def find_substitution(a: tuple[str, ...], b: tuple[str, ...], *, sure: bool) -> str | None:
    """Reason in words when the questions share their wording but for one slot with different words in it.

    Args:
        a: Words of one question in order, as ``read_sequence`` gives them.
        b: Those of the other.
        sure: Whether only words count that are known to mean something else, or also all that are not known to mean the
            same.
    """
    if a == b:
        return None
    size_a, size_b = len(a), len(b)
    shortest = min(size_a, size_b)
    start = 0
    while start < shortest and a[start] == b[start]:
        start += 1
    end = 0
    while end < shortest - start and a[size_a - 1 - end] == b[size_b - 1 - end]:
        end += 1
    shared = start + end
    if shared == 0 or shared < _SHARE * max(size_a, size_b) - 1:
        return None
    left, right = a[start : size_a - end], b[start : size_b - end]
    if len(left) > _LONGEST_SLOT or len(right) > _LONGEST_SLOT or not ((left and right) or len(left + right) == 1):
        return None
    if len(left) != len(right) and are_related("_".join(left), "_".join(right)):
        return None
    left, right = _fold_phrases(left), _fold_phrases(right)
    return _compare(left, right, a, sure=sure) or (_compare_tenses(left, right) if a[0] != "how" else None)


def is_alike(a: str, b: str) -> bool:
    """Whether two stems are one word: synonyms, or one of them mistyped."""
    if a == b or are_synonyms(a, b) or _is_derived(a, b) or _is_typo(a, b) or are_spellings(a, b):
        return True
    return a in _QUANTIFIERS and _QUANTIFIERS[a] == _QUANTIFIERS.get(b)


def _compare(left: tuple[str, ...], right: tuple[str, ...], a: tuple[str, ...], *, sure: bool) -> str | None:
    if len(left) == len(right):
        pairs = [(one, two) for one, two in zip(left, right, strict=True) if one != two]
        if len(pairs) == 1 or (len(pairs) == 2 and pairs[0] != pairs[1][::-1]):  # noqa: PLR2004 - two words that did not change places
            found = next(((one, two) for one, two in pairs if _differs(one, two, a, sure=sure)), None)
            return f"words differ: {found[0]}, {found[1]}" if found else None
    ours = [each for each in left if each not in right]
    theirs = [each for each in right if each not in left]
    found = None
    lengths = sorted((len(left), len(right)))
    if lengths[1] <= _OPEN_SLOT:
        pairs = [(one, two) for one in ours for two in theirs if frozenset((one, two)) in _OPPOSED]
        found = pairs[0] if pairs else None
    ours, theirs = ([each for each in dict.fromkeys(side) if each not in FREE] for side in (ours, theirs))
    if lengths == [1, 2] and compare_degrees(left, right):
        return None
    close = lengths[1] <= min(_OPEN_SLOT, lengths[0] + 1)
    if found is None and _is_told_apart(ours, theirs, a, close=close, sure=sure):
        found = " and ".join(sorted(ours)) or "none", " and ".join(sorted(theirs)) or "none"
    return f"words differ: {found[0]}, {found[1]}" if found else None


def _is_told_apart(ours: list[str], theirs: list[str], a: tuple[str, ...], *, close: bool, sure: bool) -> bool:
    """Whether what only one side has asks for another thing."""
    if len(ours) == len(theirs) == 1 and close:
        return _differs(ours[0], theirs[0], a, sure=sure)
    either = {*ours, *theirs}
    if either == {"unless", "if", "not"}:
        return False
    if len(either) == 1:
        return not either.isdisjoint(_RESTRICTING)
    if not ours or not theirs or len(ours) + len(theirs) > _OPEN_SLOT or either.isdisjoint(_GRADES):
        return False
    return not any(is_alike(one, two) for one in ours for two in theirs)


def _compare_tenses(left: tuple[str, ...], right: tuple[str, ...]) -> str | None:
    """Reason in words when the slots hold the same verbs in another tense or mood."""
    ours = [AUXILIARIES[each] for each in left if each in AUXILIARIES]
    theirs = [AUXILIARIES[each] for each in right if each in AUXILIARIES]
    if not ours or not theirs or not set(ours).isdisjoint(theirs):
        return None
    one, two = ours[-1], theirs[-1]
    if {one, two} == {"present", "future"}:
        return None
    content = {each for each in left + right if each not in AUXILIARIES and each not in FREE}
    shared = {each for each in left if each in right} & content
    if {one, two} in _TENSES and (len(content - shared) <= 1 or shared):
        return f"tense or mood differs: {one}, {two}"
    return None


def _differs(one: str, two: str, a: tuple[str, ...], *, sure: bool) -> bool:  # noqa: C901, PLR0911, PLR0912 - one rule a line
    """Whether two words in one slot ask for different things; where ``sure``, unknown words do not."""
    if one in _WH and two in _WH:
        return {one, two} not in _SAME_WH
    if frozenset((one, two)) in _ALIKE:
        return False
    if one in _QUANTIFIERS and two in _QUANTIFIERS:
        kinds = {_QUANTIFIERS[one], _QUANTIFIERS[two]}
        return len(kinds) > 1 and kinds not in _NEAR
    if one in AUXILIARIES and two in AUXILIARIES:
        kinds = {AUXILIARIES[one], AUXILIARIES[two]}
        if a[0] in _HOW and kinds <= _MILD and (len(a) == 1 or a[1] in AUXILIARIES):
            return False
        if kinds == {"present", "future"}:
            return a[0] != "how" and _SAME_VERB.isdisjoint((one, two))
        if kinds == {"past", "perfect"} and not _SAME_VERB.isdisjoint((one, two)):
            return a[:2] == ("how", "long")
        return kinds in _TENSES
    if frozenset((one, two)) in _OPPOSED or frozenset((one, two)) in _APART:
        return True
    if (one[0] in _FIGURES and two[0] in _FIGURES) or (one in DIMENSIONS and DIMENSIONS[one] == DIMENSIONS.get(two)):
        return False
    if one in _FOCUS and two in _FOCUS:
        return _FOCUS[one] != _FOCUS[two]
    if (one in _NARROWLY) != (two in _NARROWLY):
        return True
    if (unit := name_unit(one)) and unit == name_unit(two):
        return False
    if one in FREE or two in FREE or one in AUXILIARIES or two in AUXILIARIES or one in _WH or two in _WH:
        return False
    if sure or are_opposed(one, two):
        return are_opposed(one, two)
    return not (is_alike(one, two) or (are_related(one, two) and not _is_inflected(one, two)))


def _is_inflected(one: str, two: str) -> bool:
    """Whether both are forms of one verb in two tenses: "run", "ran"."""
    return PRESENT_OF.get(one, one) == PRESENT_OF.get(two, two)


def _is_derived(a: str, b: str) -> bool:
    """Whether both have one root of five letters or more: "education", "educational"."""
    if a[:_PREFIX] != b[:_PREFIX]:
        return False
    size = next((at for at, (one, two) in enumerate(zip(a, b, strict=False)) if one != two), min(len(a), len(b)))
    return a[size:] in _DERIVED and b[size:] in _DERIVED


def _is_typo(a: str, b: str) -> bool:
    """Neighbouring letters exchanged, or one inner letter missing or wrong in a long word."""
    if a[0] != b[0] or not a.isalpha() or not b.isalpha():
        return False
    if len(a) == len(b):
        places = [at for at in range(len(a)) if a[at] != b[at]]
        if len(places) == 2 and len(a) >= _LONGEST_TYPO and places[1] == places[0] + 1:  # noqa: PLR2004 - two neighbouring letters
            return a[places[0]] == b[places[1]] and a[places[1]] == b[places[0]]
        return len(places) == 1 and len(a) > _LONG and a[places[0]] in "aeiou" and b[places[0]] in "aeiou"
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    if len(longer) != len(shorter) + 1 or len(longer) < _LONG or longer[-2:] != shorter[-2:]:
        return longer.endswith("ly") and longer.removesuffix("ly") == shorter
    at = next((at for at in range(len(shorter)) if longer[at] != shorter[at]), len(shorter))
    return longer[at + 1 :] == shorter[at:]


def _fold_phrases(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Phrases replaced by the word that means the same; the longest phrase wins."""
    if PHRASES.keys().isdisjoint(tokens):
        return tokens
    out: list[str] = []
    at, size = 0, len(tokens)
    while at < size:
        for rest, meaning in PHRASES.get(tokens[at], ()):
            end = at + 1 + len(rest)
            if end <= size and tuple(tokens[at + 1 : end]) == rest:
                out += meaning
                at = end
                break
        else:
            out.append(tokens[at])
            at += 1
    return tuple(out)
