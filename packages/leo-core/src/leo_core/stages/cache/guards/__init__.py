"""Guards: reasons why two questions cannot have the same answer, whatever their embeddings say.

A guard compares what embeddings blur: numbers and units, dates, negation and antonyms, quantifiers, names, code,
quoted strings, the order of arguments, languages. It may turn a true paraphrase away, which costs a call; it never
lets anything through by itself.

What a guard knows to differ is a *conflict*: the pair is rejected. What it only does not know to be the same is a
*doubt*: an unknown word in another one's place, another name, a date or an identifier that one text alone has. A doubt
is left to the pair model, which needs good evidence to overrule it.
"""

from __future__ import annotations

from typing import NamedTuple

from leo_core.stages.cache.guards.calendar_days import fold_days
from leo_core.stages.cache.guards.clock import find_clock_conflict, fold_times
from leo_core.stages.cache.guards.comparison import find_comparison_conflict
from leo_core.stages.cache.guards.compounds import fold_compounds
from leo_core.stages.cache.guards.dates import find_date_conflict, read_dates
from leo_core.stages.cache.guards.foreign import fold_foreign
from leo_core.stages.cache.guards.groups import find_group_conflict, read_groups
from leo_core.stages.cache.guards.names import (
    find_code_conflict,
    find_name_conflict,
    find_operator_conflict,
    find_quote_conflict,
    read_code,
    read_names,
    read_quotes,
)
from leo_core.stages.cache.guards.numbers import Quantities, find_number_conflict, read_quantities
from leo_core.stages.cache.guards.order import find_code_swap, find_role_swap, find_swap
from leo_core.stages.cache.guards.phrases import fold_phrases
from leo_core.stages.cache.guards.polarity import (
    NEGATORS,
    find_antonyms,
    find_negation_conflict,
    find_opposites,
    is_negated,
    negates_opposite,
)
from leo_core.stages.cache.guards.script import find_language_conflict, read_language
from leo_core.stages.cache.guards.sequence import read_sequence
from leo_core.stages.cache.guards.slots import find_substitution
from leo_core.stages.cache.guards.tense import find_mood_conflict, find_tense_conflict
from leo_core.stages.cache.guards.wording import fold_wording
from leo_core.stages.cache.guards.words import Words, read_words, stem

__all__ = [
    "Profile",
    "find_conflict",
    "find_conflict_between",
    "find_doubt",
    "find_doubt_between",
    "read_profile",
]

_SIMILAR = 0.4
_LOOSE = 0.3
_FOLDED_WORDS = frozenset(
    {"with", "without", "included", "excluding", "including", "excluded", "come", "able", "unable"}
)
"""Opposites that may stand in phrases of one meaning: "with no", "not included", "unable to"."""
_AMOUNTS = {("how", "many"), ("how", "much")}
_REASONS = frozenset(
    """reason caus mak purpos point use for happen behind explain lead why motiv explanation ration number amount
    quantity much many pric cost valu count drov driv""".split()  # noqa: SIM905 - words read better as a text
)


class Profile(NamedTuple):
    """Everything of one text that the guards compare; read it once, compare it with many."""

    words: Words
    quantities: Quantities
    dates: dict[str, set[str]]
    negated: bool
    groups: dict[str, set[str]]
    names: frozenset[str]
    code: frozenset[str]
    quotes: frozenset[str]
    language: str
    folded: Words
    sequence: tuple[str, ...]


def read_profile(text: str) -> Profile:
    """Read what the guards compare."""
    words = read_words(text)
    plain = text
    for fold in (fold_wording, fold_compounds, fold_foreign, fold_days, fold_phrases, fold_times):
        plain = fold(plain, words.bag)
    folded = words if plain == text else read_words(plain)
    quantities, language = read_quantities(folded), read_language(words)
    return Profile(
        words=words,
        quantities=quantities,
        dates=read_dates(folded),
        negated=is_negated(folded),
        groups=read_groups(folded),
        names=frozenset() if language == "German" else read_names(folded),
        code=read_code(text),
        quotes=read_quotes(text),
        language=language,
        folded=folded,
        sequence=read_sequence(folded, quantities),
    )


def find_conflict(a: str, b: str) -> str | None:
    """Reason in words why two questions differ, such as "numbers differ: 2027, 2028"; ``None`` when none is found."""
    return None if a == b else find_conflict_between(read_profile(a), read_profile(b))


def find_doubt(a: str, b: str) -> str | None:
    """Reason in words why two questions may differ, such as "words differ: tofu, salmon"; ``None`` without doubt."""
    return None if a == b else find_doubt_between(read_profile(a), read_profile(b))


def find_conflict_between(a: Profile, b: Profile) -> str | None:
    """As :func:`find_conflict`, for texts that were read before; the figures of ``a`` are named first."""
    figures = _find_figure_conflict(a, b) or find_clock_conflict(
        a.quantities.times, b.quantities.times, a.quantities.values, b.quantities.values
    )
    if figures:
        return figures
    opposites = find_opposites(a.words, b.words)
    if opposites is not None and not _FOLDED_WORDS.isdisjoint(opposites):
        opposites = find_opposites(a.folded, b.folded)
    return (
        find_date_conflict(a.dates, b.dates, sure=True)
        or _find_polarity_conflict(a, b, opposites)
        or _find_group_conflict(a, b)
        or _find_code_conflict(a, b, sure=True)
        or find_quote_conflict(a.quotes, b.quotes, a.words.text, b.words.text)
        or find_operator_conflict(a.words.text, b.words.text)
        or _find_order_conflict(a, b, opposites)
        or _find_language_conflict(a, b)
        or _find_reason_conflict(a, b)
        or find_substitution(a.sequence, b.sequence, sure=True)
        or find_tense_conflict(a.words, b.words)
        or find_mood_conflict(a.sequence, b.sequence, a.words, b.words)
        or find_comparison_conflict(a.words, b.words)
    )


def find_doubt_between(a: Profile, b: Profile) -> str | None:
    """As :func:`find_doubt`, for texts that were read before; the figures of ``a`` are named first."""
    return (
        find_date_conflict(a.dates, b.dates, sure=False)
        or _find_code_conflict(a, b, sure=False)
        or find_name_conflict(a.names, b.names, a.words, b.words)
        or find_substitution(a.sequence, b.sequence, sure=False)
    )


def _find_figure_conflict(a: Profile, b: Profile) -> str | None:
    """A number that only one of two differently worded texts has is left to the pair model."""
    one_sided = bool(a.quantities.values) != bool(b.quantities.values)
    if one_sided and _overlap(a.sequence, b.sequence) < _LOOSE and not _halves(a, b) and not _halves(b, a):
        return None
    return find_number_conflict(a.quantities, b.quantities)


def _halves(a: Profile, b: Profile) -> bool:
    """Whether a text asks for half of what the other one names: "a half marathon", "a marathon"."""
    tokens = a.folded.lower
    return any(
        value == "0.5" and end < len(tokens) and stem(tokens[end]) in b.folded.stems
        for _, end, value in a.quantities.spans
    )


def _find_code_conflict(a: Profile, b: Profile, *, sure: bool) -> str | None:
    if bool(a.code) != bool(b.code) and _overlap(a.sequence, b.sequence) < _LOOSE:
        return None
    return find_code_conflict(a.code, b.code, a.words, b.words, sure=sure)


def _find_polarity_conflict(a: Profile, b: Profile, opposites: tuple[str, str] | None) -> str | None:
    """A negation and an opposite cancel each other: "not inactive" is "active". One word that is both does not."""
    if a.negated == b.negated:
        return find_antonyms(a.words, b.words, opposites)
    if _overlap(a.sequence, b.sequence) < _LOOSE:
        return None
    if opposites is not None and NEGATORS.isdisjoint(opposites):
        return None
    if negates_opposite(a.words, b.words):
        return None
    return find_negation_conflict(a=a.negated, b=b.negated)


def _find_order_conflict(a: Profile, b: Profile, opposites: tuple[str, str] | None) -> str | None:
    """Exchanged arguments, unless an opposite exchanges them back: "A is bigger than B", "B is smaller than A"."""
    if opposites is not None:
        return None
    return (
        find_swap(a.words, b.words)
        or find_role_swap(a.sequence, b.sequence, a.folded)
        or find_code_swap(a.words.text, b.words.text, a.code & b.code)
    )


def _find_group_conflict(a: Profile, b: Profile) -> str | None:
    """A plain "how" against another question word counts in texts about the same words only."""
    groups, others = a.groups, b.groups
    if not groups or not others or groups == others:
        return None
    if "how" in groups.get("asked", set()) | others.get("asked", set()) and _overlap(a.sequence, b.sequence) < _SIMILAR:
        groups = {group: members for group, members in groups.items() if group != "asked"}
    return find_group_conflict(groups, others)


def _find_language_conflict(a: Profile, b: Profile) -> str | None:
    if a.language == b.language:
        return None
    return find_language_conflict(a.language, b.language, _overlap(a.sequence, b.sequence))


def _find_reason_conflict(a: Profile, b: Profile) -> str | None:
    """Reason for "why" against a plain "what", "how many" against a plain "which"."""
    for one, two, flip in ((a.sequence, b.sequence, False), (b.sequence, a.sequence, True)):
        asked = one[0] if one[:1] == ("why",) else " ".join(one[:2]) if one[:2] in _AMOUNTS else ""
        other = two[0] if two else ""
        if (
            asked
            and other in ({"what", "which"} if asked == "why" else {"which"})
            and _REASONS.isdisjoint(two)
            and _overlap(one, two) >= _SIMILAR
        ):
            return f"asked differ: {other}, {asked}" if flip else f"asked differ: {asked}, {other}"
    return None


def _overlap(a: tuple[str, ...], b: tuple[str, ...]) -> float:
    """Share of common words, from 0 to 1."""
    one, two = set(a), set(b)
    return len(one & two) / max(len(one | two), 1)
