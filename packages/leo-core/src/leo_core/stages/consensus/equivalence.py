"""Equivalence classes of answers: which replies say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from leo_core.records import Message
from leo_core.stages.consensus.canonical_answers import CanonicalAnswer, canonicalise
from leo_core.stages.consensus.free_text import same_wording
from leo_core.stages.consensus.quantities import same_quantity
from leo_core.stages.consensus.questions import QuestionTraits, read_question

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Judge", "classify", "contradict", "same_answer", "sort_answers", "spell_answer"]

Judge = Callable[[str, str, str], bool | None]
"""Asked for what words cannot tell: (question, one reply, the other) -> the same, different, or unknown."""

_SILENT = frozenset({"none", "refusal"})
_MAX_FORM = 400
_SHORT, _LONG = 2_000, 100_000
"""Characters up to which many, and up to which few texts are remembered."""
_NO_QUESTION = QuestionTraits()


def same_answer(a: Message, b: Message, question: str = "", *, judge: Judge | None = None) -> bool:
    """Whether two replies give the same answer.

    Symmetric and, but for replies without an answer, reflexive. What the rules leave open is the judge's to say;
    without one, or when it does not know, the answers count as different.

    Args:
        a: One reply.
        b: The other.
        question: What was asked; tells whether a number, a letter, yes or no, or a program's value is due.
        judge: Decides what the rules leave open.
    """
    if not question and judge is None:
        return bool(_compare(_remember(a), _remember(b), _NO_QUESTION))
    traits = read_question(question)
    one, two = canonicalise(a, traits), canonicalise(b, traits)
    return _same(one, two, traits, judge and (lambda: judge(question, a.text, b.text)))


def contradict(a: Message, b: Message, question: str = "") -> bool:
    """Whether two replies certainly give different answers.

    Longer free text leaves it open, and so does a reply that gives no answer.

    Args:
        a: One reply.
        b: The other.
        question: What was asked.
    """
    traits = read_question(question)
    one, two = canonicalise(a, traits), canonicalise(b, traits)
    return not {one.kind, two.kind} & _SILENT and _compare(one, two, traits) is False


def sort_answers(messages: Sequence[Message]) -> list[int]:
    """A number for each reply to no question in particular; replies with one number give the same answer.

    Each reply gets the number of the first one before it that it equals, among those that have numbers of their own.
    """
    if len(messages) == 1:
        return [0]
    answers = [_remember(message) for message in messages]
    numbers: list[int] = []
    firsts: list[int] = []
    for at, answer in enumerate(answers):
        for first in firsts:
            if _compare(answers[first], answer, _NO_QUESTION):
                numbers.append(first)
                break
        else:
            firsts.append(at)
            numbers.append(at)
    return numbers


def _remember(message: Message) -> CanonicalAnswer:
    """What a reply to no question in particular says: the cache compares what it keeps, many times."""
    text = message.content
    if message.tool_calls or not isinstance(text, str):
        return canonicalise(message, _NO_QUESTION)
    if len(text) <= _SHORT:
        return _remember_short(text)
    return _remember_long(text) if len(text) <= _LONG else _canonicalise(text)


@lru_cache(maxsize=4096)
def _remember_short(text: str) -> CanonicalAnswer:
    return _canonicalise(text)


@lru_cache(maxsize=32)
def _remember_long(text: str) -> CanonicalAnswer:
    return _canonicalise(text)


def _canonicalise(text: str) -> CanonicalAnswer:
    return canonicalise(Message(role="assistant", content=text), _NO_QUESTION)


def classify(
    messages: Sequence[Message], question: str = "", *, judge: Judge | None = None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Sort replies into classes of the same answer.

    Replies with one canonical form make a group; the groups, largest first and then by form, join the first class
    all of whose groups they equal. So the classes do not depend on the order of the replies, and "300" cannot
    bring "300 miles" and "300 km" together.

    Args:
        messages: The replies.
        question: What was asked.
        judge: Decides what the rules leave open.

    Returns:
        The class of each reply, numbered in the order in which the classes appear, and the canonical form of each
        class, like ``number: 64``. The form of replies without an answer is empty.
    """
    traits = read_question(question)
    answers = [canonicalise(message, traits) for message in messages]
    texts = {answer: message.text for answer, message in zip(reversed(answers), reversed(messages), strict=True)}
    sizes = {answer: answers.count(answer) for answer in texts}
    groups = sorted(texts, key=lambda answer: (-sizes[answer], answer.kind, answer.form))
    classes: list[list[CanonicalAnswer]] = []
    for group in groups:
        for others in classes:
            if all(_same(other, group, traits, _ask(judge, question, texts, other, group)) for other in others):
                others.append(group)
                break
        else:
            classes.append([group])
    home = {answer: number for number, members in enumerate(classes) for answer in members}
    numbers = list(dict.fromkeys(home[answer] for answer in answers))
    indices = tuple(numbers.index(home[answer]) for answer in answers)
    return indices, tuple(_spell(classes[number][0]) for number in numbers)


def spell_answer(message: Message, question: str = "") -> str:
    """What a reply finally says, in one spelling; its whole text where it gives no answer.

    This is what coherence is measured on: two long replies are alike whatever they conclude.
    """
    return canonicalise(message, read_question(question)).form or message.text


def _ask(
    judge: Judge | None, question: str, texts: dict[CanonicalAnswer, str], a: CanonicalAnswer, b: CanonicalAnswer
) -> Callable[[], bool | None] | None:
    return judge and (lambda: judge(question, texts[a], texts[b]))


def _same(
    a: CanonicalAnswer, b: CanonicalAnswer, traits: QuestionTraits, ask: Callable[[], bool | None] | None
) -> bool:
    decided = _compare(a, b, traits)
    if decided is None and ask is not None:
        decided = ask()
    return bool(decided)


def _compare(a: CanonicalAnswer, b: CanonicalAnswer, traits: QuestionTraits) -> bool | None:
    """Yes, no, or ``None`` when the rules cannot tell: free text beside another text or another kind."""
    if a.wording is not None and b.wording is not None:
        return a.form == b.form or same_wording(a.wording, b.wording, traits.words)
    if a.kind in _SILENT or b.kind in _SILENT:
        return a.kind == b.kind == "refusal"
    if a == b:
        return True
    if a.quantity is not None and b.quantity is not None:
        return same_quantity(a.quantity, b.quantity, numeric=traits.numeric, percent=traits.percent)
    return None if (a.kind == "text" or b.kind == "text") and not traits.options else False


def _spell(answer: CanonicalAnswer) -> str:
    """The canonical form of a class; long ones are cut and end in a SHA-256 of the whole."""
    if answer.kind in _SILENT:
        return ""
    form = f"{answer.kind}: {answer.form}"
    if len(form) <= _MAX_FORM:
        return form
    digest = hashlib.sha256(form.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{form[: _MAX_FORM - 80]}… sha256:{digest}"
