"""Wordings of one meaning, folded before anything is read: exceptions, absence, conditions, amounts in words."""

from __future__ import annotations

import re

__all__ = ["fold_wording"]

_ALL = r"(?:all|every|everything|everyone|everybody|everywhere|any|anything|anyone|anybody|anywhere|each|no one|whole)"
_WORD = r"[^\W\d_][\w'’-]*"
_RULES: tuple[tuple[str, str, str], ...] = (
    # exceptions
    ("but", rf"\b({_ALL})((?: {_WORD}){{0,5}}?) but (?!(?:not|is|are|was|were|it|i|the rest|also)\b)", r"\1\2 except "),
    ("but", r"\b(?:none|nothing|nobody|no one|nowhere) but\b", "only"),
    ("barring", r"\bbarring\b", "except"),
    ("minus", rf"(?<=[a-z] )minus (?!(?:the |a )?(?:column|row|one|two|three|ten|\w)\b)(?={_WORD})", "except "),
    ("excluding", r"\bexcluding\b", "except"),
    ("excepting", r"\bexcepting\b", "except"),
    ("excluded", r", ([^,?.]{3,40}?) (?:excluded|excepted)\b", r" except \1"),
    ("excepted", r", ([^,?.]{3,40}?) excepted\b", r" except \1"),
    ("included", r", ([^,?.]{3,40}?) not included\b", r" except \1"),
    ("aside", r", ([^,?.]{3,40}?) aside\b", r" except \1"),
    ("apart", r", ([^,?.]{3,40}?) apart\b(?! from)", r" except \1"),
    ("save", r"(?<=[a-z] )save for\b", "except"),
    ("including", r"\bnot including\b", "except"),
    ("counting", r"\bnot counting\b", "except"),
    ("leaving", r",? (?:leaving|leave|while leaving) out\b", " except"),
    ("exception", r"\bwith (?:the )?exception of\b", "except"),
    ("inclusive", r"\binclusive of\b", "including"),
    ("except", r"\bexcept (?:if|when|where)\b", "unless"),
    ("except", r"\bexcept (?:in|for|during|on|at)\b(?=.)", "except"),
    ("in", r"\bother than (?:in|for|on|at)\b", "except"),
    # absence
    ("presence", r"\bin (?:the )?presence of\b", "with"),
    ("no", r"\bwith no\b(?! (?:more|less|fewer|later|earlier|one|matter|doubt)\b)", "without"),
    ("absence", r"\bin (?:the )?absence of\b", "without"),
    ("lacking", r"\blacking\b", "without"),
    ("lacked", r"\blacked\b(?: (?:a|an|any)\b)?", "had no"),
    ("lacks", r"\blacks\b(?: (?:a|an|any)\b)?", "has no"),
    ("any", r"\b(?:do not|don['’]t|does not|doesn['’]t|did not|didn['’]t) have any\b", "have no"),
    ("anyone", r"\b(?:hardly|scarcely|barely) (?:anyone|anybody)\b", "almost nobody"),
    ("anybody", r"\b(?:hardly|scarcely|barely) anybody\b", "almost nobody"),
    ("anything", r"\b(?:hardly|scarcely|barely) anything\b", "almost nothing"),
    ("any", r"\b(?:hardly|scarcely|barely) any\b", "almost no"),
    ("next", r"\bnext to (no|nothing)\b", r"almost \1"),
    ("virtually", r"\bvirtually (?=no|nobody|all|every)", "almost "),
    ("practically", r"\bpractically (?=no|nobody|all|every)", "almost "),
    ("one", r"\bno one\b", "nobody"),
    # small amounts
    ("much", r"\bnot (?:very )?much\b", "little"),
    ("much", rf"\b(?:do not|don['’]t|does not|doesn['’]t) ({_WORD}) (?:very )?much\b", r"\1 little"),
    ("many", r"\bnot (?:very )?many\b", "few"),
    ("calorie", r"\b(?:few|fewer)[ -]calories?\b", "low-calorie"),
    # amounts
    ("number", r"\ba number of\b", "several"),
    ("couple", r"\ba couple of\b", "two"),
    ("handful", r"\ba handful of\b", "a few"),
    ("deal", r"\ba (?:great|good) deal of\b", "many"),
    ("plenty", r"\bplenty of\b", "many"),
    ("upwards", r"\bupwards? of\b", "more than"),
    ("excess", r"\bin excess of\b", "more than"),
    ("single", r"\b(?:a|one) single\b", "one"),
    # conditions
    ("provided", r"(?<!is |be )(?<!are |was )(?<!were |been )\bprovided(?: that)?\b(?! (?:by|with|for|in|to)\b)", "if"),
    ("providing", r"\bproviding that\b", "if"),
    ("condition", r"\bon (?:the )?condition that\b", "if"),
    ("long", r"\b(?:so|as) long as\b(?! \d)", "if"),
    ("case", r"\bin case(?: that)?\b(?! of)", "if"),
    ("event", r"\bin the event that\b", "if"),
    ("whether", r"\bwhether or not\b", "regardless if"),
    # ability
    ("unable", rf"\b(?:am|is|are) ((?:{_WORD} ){{0,3}}?)unable to\b", r"can \1not"),
    ("able", rf"\b(?:am|is|are) ((?:{_WORD} ){{0,3}}?)able to\b", r"can \1"),
    # questions
    ("come", r"\bhow come\b", "why"),
    ("reason", r"\bfor (?:what|which) reason\b", "why"),
    ("means", r"\bby (?:what|which) means\b", "how"),
    ("manner", r"\bin (?:what|which) manner\b", "how"),
    ("are", r"\b(?:is|are) to be(?= \w+(?:ed|en|t|ught)\b)", "must be"),
    ("expected", r"\b(?:is|are|am|was|were) expected to\b", "supposed to"),
    ("needn't", r"\bneedn['’]t\b", "neednt not"),
    ("need", r"\bneed not\b", "neednt not"),
    ("need", r"\b(?:do|does)(?: not|n['’]t) need to\b", "neednt not"),
    ("have", r"\b(?:do|does)(?: not|n['’]t) have to\b", "neednt not"),
    ("last", r"\b(?:the )?(\w+) before last\b", r"beforelast \1"),
    ("too", r"\btoo (few|little|many|much)\b(?! more)", r"too\1"),
    ("wide", r"\b(county|city|state|country|company|campus|region|district|world|nation)-wide\b", r"\1wide"),
    # less than
    ("as", rf"\b(is|are|was|were)(?: not|n['’]t) (?:nearly |quite )?(?:as|so) ({_WORD}) as\b", r"\1 less \2 than"),
    ("as", rf"\bnot (?:nearly |quite )?(?:as|so) ({_WORD}) as\b", r"less \1 than"),
    # numbers in words
    ("baker's", r"\ba?\s?baker['’]s dozen\b", "13"),
    ("dozen", r"\bhalf (?:a )?dozen\b", "6"),
    ("k", r"\bk8s\b", "kubernetes"),
    ("18", r"\bi18n\b", "internationalization"),
    ("11", r"\ba11y\b", "accessibility"),
    ("py", r"\bpy ?(?=[23]\b)", "python "),
    ("k", r"\b(\d{1,3})k(\d)\b", r"\1.\2k"),
    ("marks", r"\bfull marks\b", "100%"),
)  # fmt: skip
_BY_WORD: dict[str, list[tuple[re.Pattern[str], str]]] = {}
for _word, _pattern, _meaning in _RULES:
    _BY_WORD.setdefault(_word, []).append((re.compile(_pattern, re.IGNORECASE), _meaning))
_VULGAR = {"½": ".5", "¼": ".25", "¾": ".75", "⅓": ".333333", "⅔": ".666667", "⅛": ".125", "⅜": ".375", "⅕": ".2"}
_FRACTION = re.compile(f"(\\d*) ?([{''.join(_VULGAR)}])")
_TELLING = frozenset(_BY_WORD)
_ORDER = {word: at for at, word in enumerate(_BY_WORD)}


def fold_wording(text: str, bag: frozenset[str]) -> str:
    """The text with phrases of one meaning in one wording.

    Args:
        text: Any text.
        bag: Its tokens in lower case.
    """
    if not text.isascii():
        text = _FRACTION.sub(lambda match: f"{match[1] or 0}{_VULGAR[match[2]]}", text)
    found = bag & _TELLING
    for word in sorted(found, key=_ORDER.__getitem__) if len(found) > 1 else found:
        for pattern, meaning in _BY_WORD[word]:
            text = pattern.sub(meaning, text)
    return text
