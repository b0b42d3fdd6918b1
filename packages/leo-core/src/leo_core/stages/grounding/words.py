"""Words of a text with their places; scripts without spaces are read character by character."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["STOP_WORDS", "Token", "fold", "read_numbers", "read_tokens"]

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    rf"\d+(?:[.,:/]\d+)*|[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W\d_])+(?:['’](?:(?![{_UNSPACED}])[^\W\d_])+)*"
)
_MARKS = re.compile("[\u0300-\u036f]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
STOP_WORDS = frozenset(
    """a an the and or but of to in on at for with from by as is are was were be been being am do does did have has
    had he she it they we you i his her its their our your my me him them us this that these those there here not
    no so if then than too very can could will would should may might must also just about into over under out up
    down what which who whom when where why how s t well oh yes yeah der die das und ein eine ist sind war von zu
    im mit für auf nicht le la les un une et est sont de du des en que qui el los las y es son por con para il lo
    gli di che e per não o os um uma 是 的 了 在 和 は が を に の で と も""".split()  # noqa: SIM905 - words read better as a text
)
"""Words that carry no content of their own."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a number.

    Attributes:
        text: Folded: lower case, no accents on Latin letters, no separators of thousands.
        start: Its first character.
        end: The character after it.
        capital: Whether it is written with a capital.
    """

    text: str
    start: int
    end: int
    capital: bool


def fold(word: str) -> str:
    """Lower case, compatibility forms made plain, Latin accents and separators of thousands taken away."""
    plain = word.lower().replace("’", "'")
    if not plain.isascii():
        plain = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", plain)))
    return _THOUSANDS.sub("", plain) if plain[:1].isdigit() else plain.removesuffix("'s")


def read_tokens(text: str) -> list[Token]:
    """Words and numbers in order."""
    return [Token(fold(match[0]), match.start(), match.end(), match[0][0].isupper()) for match in _TOKEN.finditer(text)]


def read_numbers(tokens: list[Token]) -> set[str]:
    """Numbers among tokens, without trailing zeros of decimals."""
    return {
        token.text.rstrip("0").rstrip(".") if "." in token.text else token.text.lstrip("0") or "0"
        for token in tokens
        if token.text[0].isdigit()
    }
