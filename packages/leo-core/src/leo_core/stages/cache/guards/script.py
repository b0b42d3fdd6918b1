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
    language: frozenset(words.split())
    for language, words in {
        "English": "the is are what how do does can which why when where who you my of and to in for was did has with "
        "from by on at this that it if should i",
        "Spanish": "el la los las es qué que cómo como cuál cuánto cuánta cuántos cuántas dónde cuándo quién por para "
        "del una un está mi en y se con hay puedo puede son a",
        "French": "le la les est que quelle quel quels comment pourquoi où des une un du je puis et dans pour mon au "
        "aux sur avec sont qui combien quand peut",
        "German": "der die das ist was wie warum wo ein eine und ich kann mein nicht zu im von für den dem des mit auf "
        "wann welche welcher welches wird man darf sind aus bei in",
        "Italian": "il lo gli è che come perché dove di della del una un per sono mio posso quale nel e in la i le con "
        "quando quanto cosa si può al un'",
        "Portuguese": "o os as é que como qual onde por para do da um uma meu posso não em quanto quantas quantos e a "
        "no na com quando pode se",
        "Dutch": "de het is wat hoe waarom waar een en ik kan mijn niet van voor te met in op om wanneer welke mag "
        "zijn",
    }.items()
}
_TELLING: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, words in _LANGUAGES.items() if word in words)
    for word in frozenset().union(*_LANGUAGES.values())
}
"""The languages of which a word is one of the commonest."""
_WORDS = frozenset(_TELLING)
_ENGLISH = _LANGUAGES["English"]
_SHARED = frozenset().union(*[words for language, words in _LANGUAGES.items() if language != "English"])
_NEEDED = 2
_ONE_LANGUAGE = 0.25
_JAPANESE = {"Japanese kana", "Han"}


def read_language(words: Words) -> str:
    """Script, or the language of a Latin text when at least two of its commonest words tell it; else empty."""
    if words.text.isascii():
        return _latin_language(words.bag)
    for name, pattern in _SCRIPTS:
        if len(pattern.findall(words.text)) * 2 > sum(map(str.isalpha, words.text)):
            return name
    return _latin_language(words.bag)


def find_language_conflict(a: str, b: str, alike: float) -> str | None:
    """Reason in words; unknown agrees with every Latin language, and with no other script.

    Args:
        a: Language or script of one text, as :func:`read_language` gives it.
        b: That of the other.
        alike: Share of the words that both texts have, from 0 to 1: texts with many in common are in one language,
            whatever their few function words say.
    """
    if a == b:
        return None
    latin = (not a or a in _LANGUAGES) and (not b or b in _LANGUAGES)
    if latin and (not a or not b or alike >= _ONE_LANGUAGE):
        return None
    if {a, b} == _JAPANESE and alike >= _ONE_LANGUAGE:
        return None
    return f"languages differ: {a or 'Latin'}, {b or 'Latin'}"


def _latin_language(bag: frozenset[str]) -> str:
    """The language with the most of its commonest words in the text, if at least two and more than any other has."""
    found = bag & _WORDS
    if found <= _ENGLISH and not found <= _SHARED:  # English has them all, and no other language does
        return "English" if len(found) >= _NEEDED else ""
    counts = dict.fromkeys(_LANGUAGES, 0)
    for word in found:
        for language in _TELLING[word]:
            counts[language] += 1
    second, most = sorted(counts.values())[-2:]
    return max(counts, key=counts.__getitem__) if most >= _NEEDED and most > second else ""
