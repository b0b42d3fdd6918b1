"""How much of an answer stands in the context it was given."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from leo_core.stages.marks import blank_citations, blank_list_numbers
from leo_core.stages.risk.tokens import content_words, numbers, sentences, words
from leo_core.stages.risk.topics import fold_word

__all__ = ["grounding_features"]

_READ_CONTEXT = 24000
_READ_ANSWER = 6000
_MOST_SENTENCES = 40
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+")
_PERSONAL = frozenset("i i'm i've i'd i'll me my we our you your".split())  # noqa: SIM905 - words read better as a text
_NGRAMS = (2, 3)


def grounding_features(answer: str, context: str, question: str) -> dict[str, float]:
    """Support of an answer by its context; shares lie in [0, 1], counts are log(1 + n).

    An answer without any word is fully supported by convention: nothing in it is unsupported. Citations and the numbers
    of a list's items say nothing that a context would have to hold, unless they are all that the answer says.
    """
    unmarked = blank_list_numbers(blank_citations(answer))
    answer = unmarked if words(unmarked) else answer
    reply, source = words(answer[:_READ_ANSWER]), words(context[:_READ_CONTEXT])
    folded, held = [fold_word(word) for word in reply], {fold_word(word) for word in source}
    asked = {fold_word(word) for word in words(question[:_READ_ANSWER])}
    content = content_words(reply)
    content_folded = [fold_word(word) for word in content]
    support = _sentence_support(answer[:_READ_ANSWER], held)
    features = {
        "word_support": _share(folded, held),
        "content_support": _share(content_folded, held),
        "content_from_question": _share([word for word in content_folded if word not in held], asked, empty=0.0),
        "unsupported_words": math.log1p(sum(word not in held for word in content_folded)),
        "least_sentence_support": min(support, default=1.0),
        "mean_sentence_support": sum(support) / len(support) if support else 1.0,
        "unsupported_numbers": math.log1p(_missing(numbers(answer), [*numbers(context), *numbers(question)])),
        "unsupported_names": math.log1p(_missing(_names(answer), [*source, *words(question)])),
        "longest_run": _longest_run(reply, source) / max(len(reply), 1) if reply else 1.0,
        "context_cover": _share(sorted(held), set(folded)),
        "personal": math.log1p(sum(word in _PERSONAL for word in reply)),
        "asks_back": float("?" in answer),
        "size": math.log1p(len(reply)) - 3.0,
    }
    return features | {f"{n}gram_support": _ngram_support(reply, source, n) for n in _NGRAMS}


def _share(found: list[str], held: set[str], *, empty: float = 1.0) -> float:
    return sum(item in held for item in found) / len(found) if found else empty


def _missing(found: list[str], held: list[str]) -> int:
    return len(set(found) - set(held))


def _names(answer: str) -> list[str]:
    return [word for name in _NAME.findall(answer) for word in words(name)]


def _sentence_support(answer: str, held: set[str]) -> list[float]:
    parts = (content_words(words(sentence)) for sentence in sentences(answer)[:_MOST_SENTENCES])
    return [_share([fold_word(word) for word in part], held) for part in parts if part]


def _ngram_support(reply: list[str], source: list[str], size: int) -> float:
    held = set(zip(*(source[start:] for start in range(size)), strict=False))
    found = list(zip(*(reply[start:] for start in range(size)), strict=False))
    return sum(gram in held for gram in found) / len(found) if found else 1.0


def _longest_run(reply: list[str], source: list[str]) -> int:
    """Length of the longest run of words of the reply that stands in the source, by pairs of following words."""
    held = set(pairwise(source))
    longest = run = int(any(word in source for word in reply[:1]))
    for pair in pairwise(reply):
        run = run + 1 if pair in held else 1
        longest = max(longest, run)
    return longest if longest > 1 or set(reply) & set(source) else 0
