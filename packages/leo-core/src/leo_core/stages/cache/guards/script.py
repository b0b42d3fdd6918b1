"""Both texts must be in one script and, where it can be told, in one language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = ["find_language_conflict", "read_language"]

_SCRIPTS = (
    ("Cyrillic", re.compile("[\u0400-\u052f]")),
    ("Greek", re.compile("[\u0370-\u03ff]")),
    ("Hebrew", re.compile("[\u0590-\u05ff]")),
    ("Arabic", re.compile("[\u0600-\u06ff]")),
    ("Devanagari", re.compile("[\u0900-\u097f]")),
    ("Thai", re.compile("[\u0e00-\u0e7f]")),
    ("Japanese kana", re.compile("[\u3040-\u30ff]")),
    ("Hangul", re.compile("[\uac00-\ud7af]")),
    ("Han", re.compile("[\u4e00-\u9fff]")),
)
_LANGUAGES: dict[str, frozenset[str]] = {
    "English": frozenset(
        """the is are what how do does can which why when where who you my of and to in for""".split()  # noqa: SIM905 - words read better as a text
    ),
    "Spanish": frozenset(
        """el la los las es qué que cómo como cuál cuánto dónde por para del una un está mi en y""".split()  # noqa: SIM905 - words read better as a text
    ),
    "French": frozenset(
        """le la les est que quelle quel comment pourquoi où des une un du je puis et dans pour mon""".split()  # noqa: SIM905 - words read better as a text
    ),
    "German": frozenset(
        """der die das ist was wie warum wo ein eine und ich kann mein nicht zu im von für den""".split()  # noqa: SIM905 - words read better as a text
    ),
    "Italian": frozenset("""il lo gli è che come perché dove di della un una per sono mio posso quale nel e""".split()),  # noqa: SIM905 - words read better as a text
    "Portuguese": frozenset("""o os as é que como qual onde por para do da um uma meu posso não em quanto e""".split()),  # noqa: SIM905 - words read better as a text
    "Dutch": frozenset("""de het is wat hoe waarom waar een en ik kan mijn niet van voor te met""".split()),  # noqa: SIM905 - words read better as a text
}
_NEEDED = 2


def read_language(words: Words) -> str:
    """Script, or the language of a Latin text when at least two of its commonest words tell it; else empty."""
    if words.text.isascii():
        return _latin_language(words.bag)
    for name, pattern in _SCRIPTS:
        if len(pattern.findall(words.text)) * 2 > sum(map(str.isalpha, words.text)):
            return name
    return _latin_language(words.bag)


def find_language_conflict(a: str, b: str) -> str | None:
    """Reason in words; unknown agrees with every Latin language, and with no other script."""
    if a == b:
        return None
    if (not a and b in _LANGUAGES) or (not b and a in _LANGUAGES):
        return None
    return f"languages differ: {a or 'Latin'}, {b or 'Latin'}"


def _latin_language(bag: frozenset[str]) -> str:
    english = len(bag & _LANGUAGES["English"])
    if english >= _NEEDED:
        return "English"
    best = max(_LANGUAGES, key=lambda language: len(bag & _LANGUAGES[language]))
    count = len(bag & _LANGUAGES[best])
    return best if count >= _NEEDED and count > english else ""
