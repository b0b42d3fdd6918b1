"""Guards: reasons why two questions cannot have the same answer, whatever their embeddings say.

A guard compares what embeddings blur: numbers and units, dates, negation and antonyms, quantifiers, names, code,
quoted strings, the order of arguments, languages. It may turn a true paraphrase away, which costs a call; it never
lets anything through by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.stages.cache.guards.dates import find_date_conflict, read_dates
from leo_core.stages.cache.guards.groups import find_group_conflict, read_groups
from leo_core.stages.cache.guards.names import (
    find_code_conflict,
    find_name_conflict,
    find_quote_conflict,
    read_code,
    read_names,
    read_quotes,
)
from leo_core.stages.cache.guards.numbers import Quantities, find_number_conflict, read_quantities
from leo_core.stages.cache.guards.order import find_swap
from leo_core.stages.cache.guards.polarity import find_antonyms, find_negation_conflict, is_negated
from leo_core.stages.cache.guards.script import find_language_conflict, read_language
from leo_core.stages.cache.guards.words import Words, read_words

__all__ = ["Profile", "find_conflict", "find_conflict_between", "read_profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
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


def read_profile(text: str) -> Profile:
    """Read what the guards compare."""
    words = read_words(text)
    return Profile(
        words=words,
        quantities=read_quantities(words),
        dates=read_dates(words),
        negated=is_negated(words),
        groups=read_groups(words),
        names=read_names(words),
        code=read_code(text),
        quotes=read_quotes(text),
        language=read_language(words),
    )


def find_conflict(a: str, b: str) -> str | None:
    """Reason in words why two questions differ, such as "numbers differ: 2027, 2028"; ``None`` when none is found."""
    return None if a == b else find_conflict_between(read_profile(a), read_profile(b))


def find_conflict_between(a: Profile, b: Profile) -> str | None:
    """The same for texts that were read before; the figures of ``a`` are named first."""
    return (
        find_number_conflict(a.quantities, b.quantities)
        or find_date_conflict(a.dates, b.dates)
        or find_negation_conflict(a=a.negated, b=b.negated)
        or find_antonyms(a.words, b.words)
        or find_group_conflict(a.groups, b.groups)
        or find_code_conflict(a.code, b.code, a.words, b.words)
        or find_quote_conflict(a.quotes, b.quotes, a.words.text, b.words.text)
        or find_name_conflict(a.names, b.names, a.words, b.words)
        or find_swap(a.words, b.words)
        or find_language_conflict(a.language, b.language)
    )
