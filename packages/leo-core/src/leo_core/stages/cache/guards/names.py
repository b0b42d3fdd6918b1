"""Named entities, code identifiers and quoted strings must agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leo_core.stages.cache.guards.numerals import ORDINALS
from leo_core.stages.cache.guards.spelling import are_spellings
from leo_core.stages.cache.guards.thesaurus import are_related
from leo_core.stages.cache.guards.units import SYMBOLS, UNITS
from leo_core.stages.cache.guards.words import FUNCTION_WORDS, stem

if TYPE_CHECKING:
    from leo_core.stages.cache.guards.words import Words

__all__ = [
    "find_code_conflict",
    "find_name_conflict",
    "find_operator_conflict",
    "find_quote_conflict",
    "read_code",
    "read_names",
    "read_quotes",
]

_CODE = re.compile(
    r"`([^`]+)`"
    r"|((?<![\w-])--?[A-Za-z][\w-]*)"
    r"|(\b[A-Za-z]\w*(?:\.[A-Za-z_]\w*)+(?:\(\))?)"
    r"|(\b[A-Za-z]\w*\(\))"
    r"|(\b[A-Za-z0-9]*_\w+)"
    r"|(\b[a-z]+[A-Z]\w*)"
    r"|(\b[A-Z][a-z0-9]+[A-Z][a-z]\w*)"
    r"|([A-Za-z]?\+\+|\b[A-Z]#)"
    r"|(\bv\d+(?:\.\d+)*\b)"
    r"|(\\[A-Za-z]\b)"
    r"|((?<![\w.])@[A-Za-z]\w*)"
)
_CODE_SIGN = re.compile(r"[`_#\\@+(.\-A-Z\d](?:(?<=[^A-Z\d])|(?<=[a-z][A-Z])|(?<=v\d))")
"""What every code identifier holds; looked for first, since it is found quickest."""
_MAYBE_CODE = re.compile(r"[`_#\\@]|\+\+|\(\)|[a-z][A-Z]|\w\.\w|(?<![\w-])--?[A-Za-z]|\bv\d")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_QUOTE = re.compile(r"[\"“”«'‘]")
_QUOTED = re.compile(r"[\"“”«]([^\"“”«»]+)[\"“”»]|(?:^|(?<=[\s(]))['‘]([^'‘’]+)['’](?=$|[\s.,;:!?)])")
_ABBREVIATIONS = frozenset({"e.g", "i.e", "a.m", "p.m", "u.s", "u.k", "u.s.a", "vs.the"})
_SAME_NAMES = {
    "usa": "us", "america": "us", "states": "us", "united": "us", "u.s": "us", "britain": "uk", "england": "uk",
    "kingdom": "uk", "british": "uk", "american": "us", "americans": "us", "indians": "indian", "bce": "bc", "ce": "ad",
}  # fmt: skip
_ORDINAL_NAMES = frozenset(ORDINALS) | {
    "first", "ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii", "xiii", "xiv", "xv", "xvi",
}  # fmt: skip
_IMPERATIVES = frozenset(
    """summarise summarize answer reply list show name give find translate convert write explain describe compare define
    fetch get tell print delete remove add open play call text email book order buy sell send set remind cancel
    calculate compute divide multiply solve draw make create render put say spell pronounce check search look turn start
    stop plan recommend suggest rank sort count share read copy paste replace rename move install update upgrade fix
    debug refactor help ask let do does did is are was were can could should would will has have had must may""".split()  # noqa: SIM905 - words read better as a text
)
"""Words that start a sentence with a capital and name nothing."""
_PEOPLES = {
    word: country
    for entry in """spain:spanish,spaniard,spaniards france:french netherlands:dutch,holland greece:greek,greeks
    switzerland:swiss denmark:danish,dane,danes sweden:swedish,swede,swedes finland:finnish,finn,finns
    norway:norwegian,norwegians turkey:turkish,turk,turks poland:polish,pole,poles wales:welsh thailand:thai,thais
    philippines:filipino,filipinos,filipina portugal:portuguese ireland:irish scotland:scottish,scots,scot
    germany:german,germans belgium:belgian,belgians peru:peruvian,peruvians england:english china:chinese
    japan:japanese lebanon:lebanese iraq:iraqi,iraqis pakistan:pakistani,pakistanis israel:israeli,israelis
    ukraine:ukrainian,ukrainians hungary:hungarian,hungarians czechia:czech,czechs slovakia:slovak,slovaks
    serbia:serb,serbs,serbian croatia:croat,croats,croatian kenya:kenyan,kenyans congo:congolese
    afghanistan:afghan,afghans kazakhstan:kazakh,kazakhs uzbekistan:uzbek,uzbeks mongolia:mongol,mongols,mongolian
    rome:roman,romans argentina:argentine,argentines,argentinian chile:chilean,chileans ecuador:ecuadorian
    venezuela:venezuelan bolivia:bolivian morocco:moroccan,moroccans cyprus:cypriot,cypriots malta:maltese
    madagascar:malagasy slovenia:slovene,slovenes,slovenian iceland:icelander,icelandic
    mars:martian,martians denmark:dane,danes,danish wales:welsh netherlands:dutch,holland norway:norwegian,norwegians
    switzerland:swiss philippines:filipino,filipinos,philippine thailand:thai peru:peruvian laos:lao,laotian
    lesotho:basotho botswana:motswana,tswana niger:nigerien monaco:monegasque""".split()  # noqa: SIM905 - words read better as a text
    for country, peoples in [entry.split(":")]
    for word in (country, *peoples.split(","))
}
"""Countries and their peoples."""
_ENDINGS = ("", "'s", "s", "n", "an", "ian", "ese", "ish")
_DEMONYM = re.compile(
    r"(?:'s|s|n|an|ans|ian|ians|ese|ish|i|is|y|ic|ia|ium|e|land|lands|and|ch|tish|ns|vian|vians|nese|a|erland)?"
)
_STEM = 4
_CALENDAR = frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday""".split()  # noqa: SIM905 - words read better as a text
)
_NOT_SHORT = frozenset({"uk", "us", "eu", "un", "uae", "ai", "it"})
_TITLE_SHARE = 0.7


def read_names(words: Words) -> frozenset[str]:
    """Capitalised words that do not start a sentence, and acronyms, in lower case.

    A text mostly in title case, or all in capitals, names nothing reliably and gives only acronyms or nothing.
    """
    if words.text[1:].islower():
        return frozenset()
    cased, lower = words.cased, words.lower
    alphabetic = [token for token in cased if token[0].isalpha() and len(token) > 1]
    capital = [token for token in alphabetic if token[0].isupper()]
    if not capital or all(token.isupper() for token in alphabetic):
        return frozenset()
    title = len(alphabetic) > 3 and len(capital) >= _TITLE_SHARE * len(alphabetic)  # noqa: PLR2004 - a heading has four words at least
    found = set()
    for at, token in enumerate(cased):
        if not token[0].isupper() or lower[at] in _CALENDAR or lower[at] in UNITS:
            continue
        acronym = len(token) > 1 and (token.isupper() or (len(token) > 2 and token[:-1].isupper()))  # noqa: PLR2004 - letters of an acronym in the plural
        if lower[at] in FUNCTION_WORDS and not acronym:
            continue
        if lower[at] in _ORDINAL_NAMES or (at in words.starts and lower[at] in _IMPERATIVES):
            continue
        if lower[at] == "no" and any(each[0].isdigit() for each in lower[at + 1 : at + 3]):
            continue
        inside = at not in words.starts or (at + 1 < len(cased) and cased[at + 1][0].isupper())
        if acronym or (inside and not title):
            name = lower[at].removesuffix("'s")
            if not name.isascii() and "'" in name:
                name = name.split("'")[0]
            found.add(_SAME_NAMES.get(name, name))
    return frozenset(found)


def find_name_conflict(a: frozenset[str], b: frozenset[str], words_a: Words, words_b: Words) -> str | None:
    """Reason in words when each text names something that the other does not mention at all."""
    only_a = {name for name in a - b if not _mentions(words_b, name)}
    if not only_a:
        return None
    only_b = {name for name in b - a if not _mentions(words_a, name)}
    if not only_b or _abbreviates(only_a, words_b) or _abbreviates(only_b, words_a):
        return None
    if len(only_a) == len(only_b) == 1 and _are_one_name(*only_a, *only_b):
        return None
    return f"names differ: {' and '.join(sorted(only_a))}, {' and '.join(sorted(only_b))}"


def _are_one_name(one: str, two: str) -> bool:
    """Whether two words are one name in two spellings, or no names but verbs that start a request."""
    return are_spellings(one, two) or are_related(stem(one), stem(two))


def read_code(text: str) -> frozenset[str]:
    """Code identifiers: in backticks, snake_case, camelCase, dotted, calls, flags, versions."""
    if _CODE_SIGN.search(text) is None or _MAYBE_CODE.search(text) is None:
        return frozenset()
    found = (next(group for group in match.groups() if group) for match in _CODE.finditer(text))
    return frozenset(each for each in found if not _is_no_code(each))


def _is_no_code(written: str) -> bool:
    low = written.lower().rstrip(".")
    return low in _ABBREVIATIONS or low in UNITS or written in SYMBOLS


_OPERATOR = re.compile(r"(?<![\w=<>!&|*/+%^~-])[=<>!&|*/+%^~-]{2,3}(?![\w=<>!&|*/+%^~-])|(?<=[\w)] )[%^&|*/](?= [\w(])")

_SIGN = re.compile(r"[=<>!&|^~*/%+-]")


def find_operator_conflict(a: str, b: str) -> str | None:
    """Reason in words when both texts hold operators, and not the same ones."""
    if not _SIGN.search(a) or not _SIGN.search(b):
        return None
    left, right = set(_OPERATOR.findall(a)), set(_OPERATOR.findall(b))
    if not left or not right or left == right:
        return None
    return f"operators differ: {' '.join(sorted(left))}, {' '.join(sorted(right))}"


def find_code_conflict(
    a: frozenset[str], b: frozenset[str], words_a: Words, words_b: Words, *, sure: bool
) -> str | None:
    """Reason in words when an identifier of one text is missing from the other, also in words.

    Args:
        a: Identifiers of one text, as :func:`read_code` gives them.
        b: Those of the other.
        words_a: The text itself.
        words_b: The other.
        sure: Whether it counts only where each text has one that the other lacks.
    """
    if a == b:
        return None
    only_a = {each for each in a - b if not _spelled_out(each, words_b)}
    only_b = {each for each in b - a if not _spelled_out(each, words_a)}
    if (not only_a or not only_b) if sure else (not only_a and not only_b):
        return None
    shown = (" and ".join(sorted(each)) if each else "none" for each in (only_a, only_b))
    return f"code differs: {', '.join(shown)}"


def read_quotes(text: str) -> frozenset[str]:
    """Quoted strings, in lower case without outer spaces and punctuation."""
    if not _QUOTE.search(text):
        return frozenset()
    found = ((one or two).strip(" .,;:!?").casefold() for one, two in _QUOTED.findall(text))
    return frozenset(each for each in found if each)


def find_quote_conflict(a: frozenset[str], b: frozenset[str], text_a: str, text_b: str) -> str | None:
    """Reason in words when a quoted string of one text does not occur in the other at all."""
    if a == b:
        return None
    low_a, low_b = text_a.casefold(), text_b.casefold()
    only_a = {each for each in a - b if each not in low_b}
    only_b = {each for each in b - a if each not in low_a}
    if not only_a and not only_b:
        return None
    shown = (" and ".join(repr(each) for each in sorted(side)) if side else "none" for side in (only_a, only_b))
    return f"quoted strings differ: {', '.join(shown)}"


def _mentions(words: Words, name: str) -> bool:
    """Whether the word, its plural, or the people of the place so named occur: "Japan" and "Japanese"."""
    if any(name + ending in words.bag for ending in _ENDINGS):
        return True
    if any(name.removesuffix(ending) in words.bag for ending in _ENDINGS[1:] if len(name) > len(ending) + 3):
        return True
    country = _PEOPLES.get(name)
    if country is not None and any(_PEOPLES.get(word) == country for word in words.bag):
        return True
    root = name[:_STEM]
    if not name.isascii() and len(root) == _STEM and any(word.startswith(root) for word in words.bag):
        return True
    return len(root) == _STEM and any(_is_of(name, word) for word in words.bag if word.startswith(root))


def _is_of(name: str, word: str) -> bool:
    """Whether both come from one place name: "Scotland" and "Scottish", "Germany" and "Germans"."""
    size = next((at for at, (one, two) in enumerate(zip(name, word, strict=False)) if one != two), None)
    size = min(len(name), len(word)) if size is None else size
    return _DEMONYM.fullmatch(name, size) is not None and _DEMONYM.fullmatch(word, size) is not None


def _abbreviates(names: set[str], words: Words) -> bool:
    """Whether one of the names is the initials of neighbouring words of the other text."""
    initials = "".join(token[0] for token in words.lower if token[0].isalpha())
    capitals = "".join(token[0].lower() for token in words.cased if token[0].isupper())
    return any(
        (len(name) > 3 and name[-1] == "s" and name[:-1] in capitals)  # noqa: PLR2004 - three initials in the plural
        or (len(name) > 1 and (name in capitals or (len(name) > 2 and name in initials) or _is_code_of(name, words)))  # noqa: PLR2004 - initials of three words at least
        for name in names
    )


def _is_code_of(name: str, words: Words) -> bool:
    """Whether a two-letter code abbreviates a capitalised word: "OR" for "Oregon", "TX" for "Texas"."""
    if len(name) != 2 or name in _NOT_SHORT:  # noqa: PLR2004 - a code of two letters
        return False
    return any(
        word[0] == name[0] and name[1] in word[1:] and words.cased[at][0].isupper() and len(word) > 3  # noqa: PLR2004 - a word that is worth abbreviating
        for at, word in enumerate(words.lower)
        if at
    )


def _spelled_out(identifier: str, words: Words) -> bool:
    low = identifier.lower()
    if low in words.bag or low in words.text.lower():
        return True
    if identifier[-1] in "+#" or identifier[0] == "v":
        return False
    parts = [part.lower() for part in _PARTS.findall(identifier)]
    return bool(parts) and all(part in words.bag or stem(part) in words.stems for part in parts)
