"""Find the context in a prompt, and the sentence in it that answers a question best. Pure, without a model."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from leo_core.records import Message, Request

__all__ = ["Passage", "Support", "find_nearest", "find_passage", "find_support", "split_sentences"]

_RULE: Final = re.compile(r"^[ \t]*(?:-{5,}|={5,}|<{3,}|>{3,})[ \t]*$", re.MULTILINE)
_TAGGED: Final = re.compile(
    r"<(context|contexts|documents|passages|sources)>((?:(?!<\1>).)*?)</\1>", re.DOTALL | re.IGNORECASE
)
_LABEL: Final = re.compile(
    r"^[ \t*#]*(?P<name>(?:retrieved |new )?context(?: information)?|passages?|documents?|sources?|background|"
    r"user question|original query|question|query|(?:original |new |helpful |final |refined )?answer|instructions?)"
    r"(?P<is_below>[^\n:.]{0,40}\bbelow)?[ \t*]*[:.][ \t*]*",
    re.IGNORECASE | re.MULTILINE,
)
_CONTEXT_LABELS: Final = (
    "retrieved context", "new context", "original answer", "context", "passage", "document", "source", "background"
)  # fmt: skip
_QUESTION_LABELS: Final = ("user question", "original query", "question", "query")
_INTRODUCTION: Final = re.compile(r"\b(?:context|documents?|passages?|sources?)\b", re.IGNORECASE)

_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?\u3002\uff01\uff1f])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[^\sa-z])|\n+"
)
_ABBREVIATION: Final = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|vs|etc|approx|e\.g|i\.e|cf|Fig|[A-Z])\.)$")
_WORD: Final = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)?", re.UNICODE)
_PRONOUN: Final = re.compile(r"^(?:it|its|he|she|they|his|her|their|this|that|these|those)\b", re.IGNORECASE)
_ASKS_NUMBER: Final = re.compile(
    r"\b(?:how (?:many|much|long|old|tall|high|far|big|large|often|fast|deep|heavy)|when|"
    r"what (?:year|date|time|percent|number|price|amount)|which (?:year|date))\b",
    re.IGNORECASE,
)
_ASKS_NAME: Final = re.compile(r"\b(?:who|whom|whose|where|which (?:city|country|person|company))\b", re.IGNORECASE)
_STOPWORDS: Final = frozenset(
    """a an and any are as at be been being but by can could did do does for from had has have he her here him
    his how i if in into is it its just may me might more most much many must my no nor not of on one only or
    our out over own please shall she should so some such tell than that the their them then there these they
    this those to too under up us use using was we were what when where which while who whom whose why will with
    would you your give say know according following given based context question answer query information""".split()  # noqa: SIM905 - words read better as a text
)
_ENDINGS: Final = (
    ("ies", "y"),
    ("sses", "ss"),
    ("ing", ""),
    ("ied", "y"),
    ("ed", ""),
    ("es", ""),
    ("s", ""),
    ("e", ""),
)
_SHORTEST_STEM: Final = 3
_NUMBER_WEIGHT: Final = 3.0
_NAME_WEIGHT: Final = 2.0
_REFERENCE_SHARE: Final = 0.85
_KIND_BONUS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What a prompt asks, and the context that it gives for the answer; ``context`` is empty when it gives none."""

    question: str
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The best-supported sentence.

    Attributes:
        sentence: The sentence, as it stands in the context.
        score: How well it fits, in [0, 1]: the share of the question's weight of words that it covers, or a cosine.
        index: Its position among the sentences.
        sentences: How many there are.
    """

    sentence: str
    score: float
    index: int
    sentences: int


# ------------------------------------------------------------------------------------------- passages


def find_passage(request: Request) -> Passage:
    """Split a request into its question and its context.

    Looked at in this order, and the first that has a context wins: tool results after the last user turn; tags such as
    ``<context>``; text between two rules (``-----``), as LlamaIndex writes it; labels such as ``Context:`` and
    ``Question:`` at the start of lines, as LangChain writes them; the paragraphs that follow one which speaks of
    context or documents in a system message; the sentences of the last user turn that are not its question.
    """
    results = _tool_results(request.messages)
    if results:
        return Passage(question=_own_question(request.question), context=results)
    system = "\n\n".join(message.text for message in request.messages if message.role == "system")
    for text in (request.question, system):
        passage = _tagged(text) or _ruled(text) or _labelled(text)
        if passage is not None:
            question = passage.question or _own_question(request.question)
            return Passage(question=question, context=passage.context)
    introduced = _introduced(system)
    if introduced:
        return Passage(question=_own_question(request.question), context=introduced)
    return _plain(request.question)


def _tool_results(messages: Sequence[Message]) -> str:
    texts: list[str] = []
    for message in reversed(messages):
        if message.role == "user":
            break
        if message.role == "tool":
            texts.append(message.text)
    return "\n".join(reversed(texts)) if messages and messages[-1].role == "tool" else ""


def _tagged(text: str) -> Passage | None:
    found = [match.group(2).strip() for match in _TAGGED.finditer(text)]
    if not any(found):
        return None
    rest = _TAGGED.sub("\n", text)
    return Passage(question=_labelled_question(rest) or _own_question(rest), context="\n".join(found))


def _ruled(text: str) -> Passage | None:
    rules = list(_RULE.finditer(text))
    if len(rules) < 2:  # noqa: PLR2004 - one before and one after
        return None
    ends = len(text.rstrip())
    alike = [rule for rule in rules[1:] if rule[0].strip() == rules[0][0].strip()]
    followed = [rule for rule in alike if rule.end() < ends]
    closing = (followed or alike or rules[1:2])[-1]  # rules may stand in the context too, as they do in Markdown
    context = text[rules[0].end() : closing.start()].strip()
    if not context:
        return None
    after = _RULE.sub("", text[closing.end() :])
    rest = "\n".join([text[: rules[0].start()], after])
    return Passage(question=_labelled_question(rest) or _own_question(after), context=context)


def _sections(text: str) -> list[tuple[str, str]]:
    """Labelled sections as (label, text)."""
    marks = list(_LABEL.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return [(mark.group("name").lower(), text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)]


def _labelled(text: str) -> Passage | None:
    sections = _sections(text)
    context = "\n".join(body for label, body in sections if label.startswith(_CONTEXT_LABELS) and body)
    return Passage(question=_labelled_question(text), context=context) if context else None


def _labelled_question(text: str) -> str:
    asked = [body for label, body in _sections(text) if label in _QUESTION_LABELS and body]
    return asked[-1].split("\n\n")[0].strip() if asked else ""


def _introduced(system: str) -> str:
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", system) if paragraph.strip()]
    start = next((at for at, paragraph in enumerate(paragraphs) if _INTRODUCTION.search(paragraph)), None)
    return "" if start is None else "\n".join(paragraphs[start + 1 :])


def _own_question(text: str) -> str:
    """The last sentence that asks; the whole text when none does."""
    asking = [
        sentence for sentence in split_sentences(text) if sentence.rstrip("\"'\u201d\u2019 ").endswith(("?", "\uff1f"))
    ]
    return asking[-1] if asking else text.strip()


def _plain(text: str) -> Passage:
    sentences = split_sentences(text)
    question = _own_question(text)
    rest = [sentence for sentence in sentences if sentence != question and not sentence.endswith(("?", "\uff1f"))]
    return Passage(question=question, context="\n".join(rest) if question in sentences else "")


# ------------------------------------------------------------------------------------------ sentences


def split_sentences(text: str) -> list[str]:
    """Sentences and lines of a text, without list marks; abbreviations, initials and decimals end none."""
    sentences: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        piece = text[start : match.start()]
        if "\n" not in match.group() and _ABBREVIATION.search(piece.rstrip()):
            continue
        sentences.append(_bare(text[start : match.end()]))
        start = match.end()
    return [sentence for sentence in [*sentences, _bare(text[start:])] if sentence]


def _bare(sentence: str) -> str:
    return re.sub(r"^\s*(?:[-*•·]|\[\d+\]|\d+[.)])\s+", "", sentence).strip()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("\u2019", "'"))


def _stem(word: str) -> str:
    """A word without the commonest English endings, in lower case."""
    word = word.lower().removesuffix("'s")
    for ending, stem in _ENDINGS:
        long_enough = len(word) - len(ending) + len(stem) >= _SHORTEST_STEM
        if word.endswith(ending) and long_enough and not word.endswith("ss"):
            return word.removesuffix(ending) + stem
    return word


def _terms(text: str) -> set[str]:
    return {_stem(word) for word in _words(text) if word.lower() not in _STOPWORDS}


# -------------------------------------------------------------------------------------------- support


def find_support(question: str, context: str) -> Support | None:
    """The sentence of a context that covers a question best; ``None`` when either has no word to compare.

    Every content word of the question weighs its IDF over the sentences, ln((N + 1) / (df + 0.5)) + 0.1, numbers three
    times and names twice as much. A sentence's score is the share of the weight that it covers; one that begins with a
    pronoun also covers 0.85 of what the last sentence before it without one covers. Among sentences, one that holds
    what is asked for (a number for "how many", a name for "who") is preferred by 0.1; the earlier one wins a tie.
    """
    sentences = [sentence for sentence in split_sentences(context) if not sentence.endswith("?")]
    bags = [_terms(sentence) for sentence in sentences]
    weights = _weights(question, bags)
    total = sum(weights.values())
    if not bags or total <= 0:
        return None
    heads = _heads(sentences)
    scores = [_score(bag, bags[head], weights) / total for bag, head in zip(bags, heads, strict=True)]
    ranks = [
        score + _bonus(question, sentence) * (score > 0) for score, sentence in zip(scores, sentences, strict=True)
    ]
    best = max(range(len(ranks)), key=lambda index: (ranks[index], -index))
    return Support(sentence=sentences[best], score=scores[best], index=best, sentences=len(sentences))


def find_nearest(question: str, context: str, embed: Callable[[list[str]], npt.NDArray[np.float32]]) -> Support | None:
    """The sentence of a context whose vector has the largest cosine with that of a question; ``None`` without both.

    The score is that cosine, at least 0. The earlier sentence wins a tie. Questions in the context are left out.

    Args:
        question: The question.
        context: The context.
        embed: Gives unit rows, one per text.
    """
    sentences = [sentence for sentence in split_sentences(context) if not sentence.endswith("?")]
    if not sentences or not _words(question):
        return None
    rows = embed([question, *sentences])
    cosines = rows[1:] @ rows[0]
    best = int(cosines.argmax())
    return Support(sentence=sentences[best], score=max(0.0, float(cosines[best])), index=best, sentences=len(sentences))


def _weights(question: str, bags: Sequence[set[str]]) -> dict[str, float]:
    frequency = Counter(term for bag in bags for term in bag)
    weights: dict[str, float] = {}
    for position, word in enumerate(_words(question)):
        if word.lower() in _STOPWORDS:
            continue
        term = _stem(word)
        rarity = math.log((len(bags) + 1) / (frequency[term] + 0.5)) + 0.1
        kind = _NUMBER_WEIGHT if word[0].isdigit() else _NAME_WEIGHT if position and word[0].isupper() else 1.0
        weights[term] = max(weights.get(term, 0.0), kind * rarity)
    return weights


def _heads(sentences: Sequence[str]) -> list[int]:
    """For every sentence, the one that names what it speaks of: itself, or the last before it without a pronoun."""
    heads: list[int] = []
    for index, sentence in enumerate(sentences):
        heads.append(heads[-1] if heads and _PRONOUN.match(sentence) else index)
    return heads


def _score(own: set[str], head: set[str], weights: dict[str, float]) -> float:
    said = sum(weight for term, weight in weights.items() if term in own)
    return said + _REFERENCE_SHARE * sum(weight for term, weight in weights.items() if term in head - own)


def _bonus(question: str, sentence: str) -> float:
    asked = {word.lower() for word in _words(question)}
    new = [word for word in _words(sentence)[1:] if word.lower() not in asked]
    wants_number = bool(_ASKS_NUMBER.search(question)) and any(word[0].isdigit() for word in _words(sentence))
    wants_name = bool(_ASKS_NAME.search(question)) and any(word[0].isupper() for word in new)
    return _KIND_BONUS if wants_number or wants_name else 0.0
