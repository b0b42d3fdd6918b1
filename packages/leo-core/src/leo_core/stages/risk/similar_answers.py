"""What happened to answers like this one: how many were wrong, and how many of these a large model would have mended.

Answers of the small model are as similar as :mod:`leo_core.stages.risk.experience` says, by what the answer shows of
itself (its working, its form, what the shipped model makes of it) and by the embedding of the request. What is learned
from them corrects the risk of the small model's next answer, and says what asking the large model is worth there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from leo_core.stages.risk.answer_features import reasoning_features
from leo_core.stages.risk.linear import logit, sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from leo_core.records import Request, Vector
    from leo_core.stages.risk.experience import Experience

__all__ = [
    "RIDGE",
    "UNKNOWN",
    "ForeseenAnswer",
    "answer_names",
    "answer_spreads",
    "describe_answer",
    "foresee_answer",
    "place",
]

RIDGE = 2.0
"""Noise of an outcome; an answer tells more of it than a request does, so it is less than there."""
_COUNTED = 0.1
"""What a standard deviation of a feature counts in the distance of two answers."""
_EMBEDDED = 0.4
"""What the embeddings, of length 1, of their requests count beside it. All three were chosen on training halves."""
_MENDED = 0.7
"""Of the wrong answers, the share that the large model mends, less what it spoils, where nothing was seen of it."""
_LEAST_RATE = 0.002
_LEAST_MENDING, _MOST_MENDING = 0.25, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenAnswer:
    """What similar answers say of one.

    Attributes:
        shift: What they add to the log-odds of its being wrong; 0 where nothing is known.
        gain: By how much likelier the large model is right than this answer is, about in [−1, 1].
        mending: The share of a risk like this one's that the large model takes away, beside the usual share; in
            [1/4, 3/2], 1 where nothing is known.
    """

    shift: float
    gain: float
    mending: float


UNKNOWN = ForeseenAnswer(shift=0.0, gain=0.0, mending=1.0)
"""Nothing is known, nor looked at."""


def describe_answer(request: Request, text: str, form: float) -> dict[str, float]:
    """What answers are compared by, by name: the features of the answer, and the log-odds of its form.

    Args:
        request: What was asked.
        text: The answer.
        form: P(it is wrong) by itself (:func:`~leo_core.stages.risk.answer.measure_form`), in (0, 1).
    """
    return reasoning_features(request.question, text) | {"form": logit(form)}


def place(described: Mapping[str, float], vector: Vector) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """An answer as the experience takes it: vector (d,) and features (f,), in the order of :func:`answer_names`.

    Args:
        described: By :func:`describe_answer`; missing features are 0.
        vector: Embedding of the request, unit, (d,).
    """
    features = np.array([described.get(name, 0.0) for name in answer_names()])
    return np.float32(_EMBEDDED) * np.asarray(vector, dtype=np.float32), features


def foresee_answer(
    described: Mapping[str, float], vector: Vector | None, experience: Experience, strength: float
) -> ForeseenAnswer:
    """What similar answers say of one of the small model.

    Of n outcomes that are known, their rate on similar answers has a share n / (n + s) in P(wrong), and in the gain
    those that are known of both models, with s the ``strength``.

    Args:
        described: By :func:`describe_answer`.
        vector: The place of the request among past ones, unit, (d,); ``None`` where similar requests do not count.
        experience: Outcomes of past answers.
        strength: What the shipped model is worth, in outcomes; > 0.
    """
    form = sigmoid(described["form"])
    rates = None if vector is None or not experience.count else experience.read_rates(*place(described, vector))
    if rates is None:
        return ForeseenAnswer(shift=0.0, gain=_MENDED * form, mending=1.0)
    share = rates.small_count / (rates.small_count + strength)
    wrong = (1.0 - share) * form + share * min(max(rates.small_wrong, _LEAST_RATE), 1.0 - _LEAST_RATE)
    both = min(share, rates.large_count / (rates.large_count + strength))
    gain = (1.0 - both) * _MENDED * wrong + both * (rates.small_wrong - rates.large_wrong)
    mending = min(max(gain / (_MENDED * wrong), _LEAST_MENDING), _MOST_MENDING)
    return ForeseenAnswer(shift=logit(wrong) - logit(form), gain=gain, mending=mending)


@cache
def answer_names() -> tuple[str, ...]:
    """Names of what answers are compared by, in order."""
    return (*reasoning_features("", ""), "form")


@cache
def answer_spreads() -> npt.NDArray[np.float64]:
    """What one standard deviation of each counts beside the embedding, (f,)."""
    return np.full(len(answer_names()), _COUNTED)
