"""Ways to compare two answers, for the cache's explorations: which of them may stand for the other.

The promise of the cache is as good as this comparison. All run in the background, after the caller has the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leo_core.errors import ConfigError, LEOError
from leo_core.ports import AnswerComparator, Model
from leo_core.records import Constraints, Message, Request, Sampling
from leo_core.stages.cache.guards import find_conflict, find_doubt
from leo_core.stages.consensus.canonical_answers import canonicalise
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.questions import read_question

if TYPE_CHECKING:
    from collections.abc import Callable

    from leo_core.stages.cache.pair import PairModel
    from leo_core.stages.consensus.equivalence import Judge

__all__ = [
    "CanonicalComparator",
    "ExactComparator",
    "FunctionComparator",
    "JudgeComparator",
    "SimilarityComparator",
    "pick_comparator",
]

NAMES = ("canonical", "exact", "similarity")
LEAST_SIMILAR = 0.9
"""Probability from which two wordings count as one answer."""
_QUESTION = """Do these two answers to the same question say the same, so that either may be given for the other?

Question: {question}

First answer: {first}

Second answer: {second}

Reply with one word: yes, no or unsure."""
_VERDICTS = {"yes": True, "no": False}


class ExactComparator:
    """The same content and tool calls, to the letter."""

    def same(self, question: str, first: Message, second: Message) -> bool | None:  # noqa: ARG002 - the port's
        """Whether two answers are equal in everything but the ids of their calls."""
        return _plain(first) == _plain(second)


class CanonicalComparator:
    """The same value: numbers with units, choices, dates, JSON, tool calls, code, short texts (the default)."""

    def same(self, question: str, first: Message, second: Message) -> bool | None:
        """Whether two answers have the same canonical form; long free texts mostly do not."""
        return same_answer(first, second, question)


class SimilarityComparator:
    """The same value, or free texts that the pair model and the guards take for one.

    Args:
        pairs: The shipped pair model. It is calibrated on questions; on answers it is a measure of likeness.
        least: Probability from which two texts count as one answer, in (0, 1].
    """

    def __init__(self, pairs: PairModel, *, least: float = LEAST_SIMILAR) -> None:
        if not 0.0 < least <= 1.0:
            message = f"least={least!r} must be in (0, 1]"
            raise ConfigError(message)
        self._pairs, self._least = pairs, least

    def same(self, question: str, first: Message, second: Message) -> bool | None:
        """Whether two answers are equivalent, where only wording is left, by likeness."""
        return _judge_texts(question, first, second, self._judge)

    def _judge(self, _: str, first: str, second: str) -> bool | None:
        if find_conflict(first, second) is not None or find_doubt(first, second) is not None:
            return False
        return bool(self._pairs.probability([first], [second])[0] >= self._least)


class JudgeComparator:
    """The same value, or what a model takes for the same.

    Args:
        model: Asked about two free texts that the rules do not take for one; a call that fails counts as "cannot tell".
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def same(self, question: str, first: Message, second: Message) -> bool | None:
        """Whether two answers are equivalent, by the rules or else by the model."""
        return _judge_texts(question, first, second, self._judge)

    def _judge(self, question: str, first: str, second: str) -> bool | None:
        text = _QUESTION.format(question=question, first=first, second=second)
        request = Request(
            messages=(Message(role="user", content=text),),
            sampling=Sampling(temperature=0.0, max_tokens=8),
            constraints=Constraints(cache=False),
        )
        try:
            reply = self._model.generate(request).message.text
        except LEOError:
            return None
        words = reply.strip().strip("*_.!\"'").lower().split()
        return _VERDICTS.get(words[0].strip(",.:;!*") if words else "")


class FunctionComparator:
    """What a function of (question, first text, second text) says; ``None`` when it cannot tell."""

    def __init__(self, compare: Callable[[str, str, str], bool | None]) -> None:
        self._compare = compare

    def same(self, question: str, first: Message, second: Message) -> bool | None:
        """What the function says of the answers' texts."""
        return self._compare(question, first.text, second.text)


def pick_comparator(given: Any, pairs: PairModel) -> AnswerComparator:
    """The comparator that was asked for.

    Args:
        given: ``None`` or a name of :data:`NAMES`, a model as judge, a function of (question, first text, second
            text), or an :class:`leo_core.ports.AnswerComparator`.
        pairs: For ``"similarity"``.

    Raises:
        ConfigError: It is none of these.
    """
    match given:
        case None | "canonical":
            return CanonicalComparator()
        case "exact":
            return ExactComparator()
        case "similarity":
            return SimilarityComparator(pairs)
        case AnswerComparator():
            return given
        case Model():
            return JudgeComparator(given)
        case _ if callable(given):
            return FunctionComparator(given)
    message = (
        f"comparator={given!r} is none of {', '.join(NAMES)}, no model, no function of (question, first, second), "
        "and has no method same(question, first, second)"
    )
    raise ConfigError(message)


def _judge_texts(question: str, first: Message, second: Message, judge: Judge) -> bool | None:
    """What the rules say; where they find two free texts that are not one, what the judge says of them."""
    if same_answer(first, second, question):
        return True
    traits = read_question(question)
    free = all(canonicalise(message, traits).kind == "text" for message in (first, second))
    return judge(question, first.text, second.text) if free else False


def _plain(message: Message) -> tuple[Any, ...]:
    content = message.content if isinstance(message.content, str) else list(message.content)
    return content, [(call.name, dict(call.arguments)) for call in message.tool_calls]
