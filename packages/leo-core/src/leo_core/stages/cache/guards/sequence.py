"""The canonical sequence of a question: contractions apart, phrases of one meaning folded, figures as values."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.ideographs import IDEOGRAPH, read_characters
from leo_core.stages.cache.guards.lexicon import AUXILIARIES, FREE, expand
from leo_core.stages.cache.guards.units import UNITS
from leo_core.stages.cache.guards.words import stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.numbers import Quantities
    from leo_core.stages.cache.guards.words import Words

__all__ = ["read_sequence"]

_VOWELS = re.compile(r"[aeiouyà-ÿ]")
_LEFT_OUT = frozenset({".", "a", "an", "the", "please", "", "hi", "hello", "hey", "thanks", "thank"})
_LETTER = "letter-a"
_JOINED = {"if": "even", "other": "every"}
"""Words that are one with the word before."""
_VERBS = {(verb,) for verb in AUXILIARIES}
_KEPT = AUXILIARIES.keys() | FREE | {"why", "where", "there", "this", "his", "as", "was", "has", "does", "whose"}


def read_sequence(words: Words, quantities: Quantities) -> tuple[str, ...]:
    """Stems in order; numbers as values, units by name, sentence ends left out."""
    out: list[str] = []
    for token in _with_values(_with_letters(words), quantities):
        if token in _JOINED and out and out[-1] == _JOINED[token]:
            out[-1] += token
        else:
            out += _read_token(token)
    return tuple(out)


@lru_cache(maxsize=1 << 15)
def _read_token(token: str) -> tuple[str, ...]:
    """What stands for one token: nothing, a stem, the name of a unit, the parts of a contraction, or characters."""
    out: list[str] = []
    for each in expand(token):
        if each in _LEFT_OUT:
            continue
        if not each.isascii() and IDEOGRAPH.match(each):
            out += read_characters(each)
        elif each in UNITS:
            out.append(UNITS[each].name)
        elif each in _KEPT:
            out.append(each)
        else:
            out.append(stem(each) if _VOWELS.search(each) else each)
    return tuple(out)


def _with_letters(words: Words) -> tuple[str, ...]:
    """The tokens, with the letter "A" told from the article, and without the words before "time" in "of all time".

    "A few" is one word, since "few" says the opposite.
    """
    tokens = words.lower
    if "few" in words.bag:
        before = ("", *tokens)
        tokens = tuple("afew" if pair == ("a", "few") else pair[1] for pair in zip(before, tokens, strict=False))
    if "A" in words.cased and not words.text.isupper():
        cased = words.cased
        tokens = tuple(
            _LETTER if cased[at] == "A" and (at or tokens[at + 1 : at + 2] in _VERBS) else token
            for at, token in enumerate(tokens)
        )
    if "time" in words.bag and not words.bag.isdisjoint({"all", "some"}):
        ends = (*tokens[1:], "")
        tokens = tuple(
            "" if after == "time" and token in {"all", "some"} else token
            for token, after in zip(tokens, ends, strict=True)
        )
    return tokens


def _with_values(tokens: tuple[str, ...], quantities: Quantities) -> tuple[str, ...]:
    if not quantities.spans:
        return tokens
    out: list[str] = []
    done = 0
    for start, end, value in quantities.spans:
        out += tokens[done:start]
        if out and out[-1] in UNITS and UNITS[out[-1]].dimension == "currency" and tokens[end : end + 1] != (out[-1],):
            out[-1:] = [value, out[-1]]
            done = end
            continue
        out.append(value)
        done = end
    out += tokens[done:]
    return tuple(out)
