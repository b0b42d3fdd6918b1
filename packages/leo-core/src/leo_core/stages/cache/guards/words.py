"""A text cut into what the guards compare."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["FUNCTION_WORDS", "Words", "read_words", "stem"]

_TOKEN = re.compile(
    r"[^\W\d_]+(?:['’][^\W\d_]+)*"
    r"|\d+(?:[.,:/]\d+)*(?:st|nd|rd|th)?(?![^\W_])"
    r"|\d+(?:[.,]\d+)*"
    r"|⌚\??\d+:\d\d"
    r"|[%$€£¥₹°+#&₺₽₩₪₫‰²¢₴₦₱₲₡₸₼₾฿₭₮₿₵៛৳]"
    r"|(?<![.!?:;])[.!?:;]+(?=\s|$)"
)
_SHORT = 3
_ENDS = frozenset(".!?:;")

FUNCTION_WORDS = frozenset(
    """a about am an and any are as at be been being but by can could did do does doing for from get had has have
    having he her hers him his how i if in into is it its itself just me my myself of on or our ours she should so
    some such than that the their them then there these they this those to too us very was we were what when where
    which while who whom whose why will with would you your yours please tell explain s d ll re ve m t hi hello
    thanks thank give need want know there's what's it's i'm i've how's who's that's let's""".split()  # noqa: SIM905 - words read better as a text
)
"""Words that carry no content of their own."""


class Words(NamedTuple):
    """A text cut into tokens.

    Attributes:
        text: The text itself.
        cased: Tokens as written: words, numbers, currency and percent signs; sentence ends are ``"."``.
        lower: The same in lower case, straight apostrophes.
        bag: The set of ``lower``.
        starts: Positions where a sentence starts.
    """

    text: str
    cased: tuple[str, ...]
    lower: tuple[str, ...]
    bag: frozenset[str]
    starts: frozenset[int]

    @property
    def stems(self) -> frozenset[str]:
        """The stems of the bag; made when asked for, since few comparisons need them."""
        return _read_stems(self.bag)


@lru_cache(maxsize=1 << 13)
def _read_stems(bag: frozenset[str]) -> frozenset[str]:
    return frozenset([stem(word) for word in bag])


def read_words(text: str) -> Words:
    """Cut a text."""
    cased = [token if token[0] not in _ENDS else "." for token in _TOKEN.findall(text)]
    lower = [token.lower() for token in cased]
    if "’" in text:
        lower = [token.replace("’", "'") for token in lower]
    starts = {0}
    if "." in cased:
        starts.update(at + 1 for at, token in enumerate(cased) if token == ".")  # noqa: S105 - no password: a token of text
    return Words(
        text=text,
        cased=tuple(cased),
        lower=tuple(lower),
        bag=frozenset(lower),
        starts=frozenset(starts),
    )


@lru_cache(maxsize=1 << 15)
def stem(word: str) -> str:
    """A word without its commonest English endings; crude on purpose, used for equality only."""
    size = len(word)
    if size <= _SHORT or word[-1] not in "gdsye" or not word.isalpha():
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    for ending, shortest in (("ing", 6), ("ed", 5), ("es", 6), ("ly", 6), ("s", 4), ("e", 4)):
        if size >= shortest and word.endswith(ending) and not (ending == "s" and word[-2] in "su"):
            root = word[: -len(ending)]
            doubled = len(root) > _SHORT and root[-1] == root[-2] and root[-1] not in "lsz"
            return root[:-1] if doubled else root.removesuffix("e")
    return word
