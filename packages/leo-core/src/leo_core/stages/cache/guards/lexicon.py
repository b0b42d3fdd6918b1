"""Word knowledge of the guards: synonym groups, phrases of one meaning, words that say nothing of their own."""

from __future__ import annotations

import json
from importlib.resources import files

from leo_core.stages.cache.guards.words import stem

__all__ = ["AUXILIARIES", "FREE", "PHRASES", "SYNONYMS", "TYPOS", "are_synonyms"]

_NONE: frozenset[int] = frozenset()
_EXPANDED = {
    "what's": "what is", "who's": "who is", "where's": "where is", "when's": "when is", "how's": "how is",
    "why's": "why is", "that's": "that is", "there's": "there is", "here's": "here is", "it's": "it is",
    "he's": "he is", "she's": "she is", "let's": "let us", "i'm": "i am", "cannot": "can not", "can't": "can not",
    "won't": "will not", "shan't": "shall not", "ain't": "is not", "gonna": "going to", "wanna": "want to",
    "gotta": "got to", "whats": "what is", "hows": "how is", "wheres": "where is", "whos": "who is",
    "dont": "do not", "doesnt": "do not", "didnt": "did not", "cant": "can not", "wont": "will not",
    "isnt": "is not", "arent": "are not", "u": "you", "ur": "your", "pls": "please", "plz": "please", "im": "i am",
    "someone's": "someone", "phd": "ph.d", "taught": "teach",
    "caught": "catch", "bought": "buy", "sold": "sell", "told": "tell", "gave": "give", "given": "give", "took": "take",
    "taken": "take", "wrote": "write", "written": "write", "ate": "eat", "eaten": "eat", "bit": "bite",
    "bitten": "bite", "beaten": "beat", "led": "lead", "paid": "pay", "sent": "send", "met": "meet",
    "seen": "see", "knew": "know", "known": "know", "chose": "choose", "chosen": "choose", "fought": "fight",
    "shot": "shoot", "lost": "lose", "made": "make", "found": "find", "drove": "drive",
    "spoke": "speak", "sang": "sing", "stole": "steal", "stolen": "steal", "lent": "lend", "overtook": "overtake",
    "overthrew": "overthrow", "succeeded": "succeed", "brought": "bring", "built": "build", "drew": "draw",
    "hid": "hide", "held": "hold", "kept": "keep", "chased": "chase", "flew": "fly",
}  # fmt: skip
_ASKING = frozenset({"what", "which", "how"})
_ARTICLES = frozenset({"a", "an", "the"})
_ENDINGS = (("n't", "not"), ("'re", "are"), ("'ll", "will"), ("'ve", "have"), ("'d", "would"), ("'s", ""), ("'", ""))
_COMMON = """what which when where while would should could does have with from that this there their about because are
    the and how why who did was were will can many much long between your you not for has been is do
    best different difference better without before after people first""".split()  # noqa: SIM905 - words read better as a text
_REAL = frozenset(
    """form won now hose her were here then thee than tan hot ear era cold loud bean ton no on od si saw fro tow own
    cab nac hwo_ ti ot swell god dog has ash had dad how who was wets stew hat tat tht_ eth hen ten doe does dose hitch
    whit whine wail loin lung log lone long tis hits hist thin think whet wheat hath bout abut cloud clod mush
    man many may any hare heir there three tree hers fist beast bets bet rest""".split()  # noqa: SIM905 - words read better as a text
)
AUXILIARIES: dict[str, str] = {
    "is": "present", "are": "present", "am": "present", "do": "present", "does": "present", "was": "past",
    "were": "past", "did": "past", "had": "past", "has": "perfect", "have": "perfect", "will": "future",
    "shall": "should", "would": "would", "can": "can", "could": "can", "may": "can", "might": "may",
    "must": "must", "should": "should", "formerly": "past", "ought": "should",
}  # fmt: skip
"""Auxiliary verbs and what they say about time or duty."""


def expand(token: str) -> list[str]:
    """The parts of a contraction or possessive; a mistyped function word right; else the token itself."""
    plain = TYPOS.get(token, token)
    whole = _EXPANDED.get(plain)
    if whole is not None:
        return whole.split()
    for ending, word in _ENDINGS if "'" in plain else ():
        if plain.endswith(ending):
            return [plain.removesuffix(ending), word] if word else [plain.removesuffix(ending)]
    return [plain]


def are_synonyms(a: str, b: str) -> bool:
    """Whether two stems share a group."""
    return not SYNONYMS.get(a, _NONE).isdisjoint(SYNONYMS.get(b, _NONE))


def _read_typos() -> dict[str, str]:
    """Mistyped common words: neighbours exchanged, or one letter left out of a longer word."""
    found: dict[str, str] = {}
    known = _REAL | set(_COMMON)
    for word in _COMMON:
        forms = [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)]
        if len(word) > 3:  # noqa: PLR2004 - a shorter word with a letter missing is another word
            forms += [word[:at] + word[at + 1 :] for at in range(1, len(word) - 1)]
        for form in forms:
            if form not in known:
                found.setdefault(form, word)
    return found


def _read_lexicon() -> tuple[
    dict[str, frozenset[int]], dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]], frozenset[str]
]:
    source = json.loads((files(__package__) / "synonyms.json").read_text(encoding="utf-8"))
    groups: dict[str, set[int]] = {}
    for number, group in enumerate(source["groups"]):
        for word in group.split():
            groups.setdefault(word, set()).add(number)
            groups.setdefault(stem(word), set()).add(number)
    phrases: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
    for phrase, meaning in source["phrases"].items():
        words = tuple(word for word in phrase.split() if word not in _ARTICLES)
        if len(words) == 1 or words[0] in _ASKING:
            words = tuple(phrase.split())
        stems = words if words[0] in _ASKING else tuple(word if word in AUXILIARIES else stem(word) for word in words)
        for first, *rest in {words, stems}:
            phrases.setdefault(first, []).append((tuple(rest), tuple(meaning.split())))
    for each in phrases.values():
        each.sort(key=lambda entry: -len(entry[0]))
    return {word: frozenset(numbers) for word, numbers in groups.items()}, phrases, frozenset(source["free"].split())


TYPOS = _read_typos()
SYNONYMS, PHRASES, FREE = _read_lexicon()
