"""How an answer works its figures out: which numbers of the question it uses, and whether its steps hang together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from leo_core.stages.risk.tokens import numbers, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.stages.risk.arithmetic import Equation

__all__ = ["working_features"]

_READ = 4000
_SPOKEN = {word: float(value) for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - words read better as a text
)} | {
    "twice": 2.0, "double": 2.0, "half": 2.0, "thrice": 3.0, "triple": 3.0, "third": 3.0, "quarter": 4.0,
    "dozen": 12.0, "hundred": 100.0, "week": 7.0, "weeks": 7.0, "day": 24.0, "hour": 60.0, "hours": 60.0,
    "minutes": 60.0, "year": 12.0, "years": 12.0, "pair": 2.0, "both": 2.0, "percent": 100.0, "couple": 2.0,
}  # fmt: skip
"""Numbers that a word of the question brings along."""
_COMMON = frozenset(map(float, (0, 0.5, 1, 2, 3, 4, 5, 7, 10, 12, 16, 24, 30, 31, 52, 60, 100, 365, 1000)))
"""Numbers that need no source."""


def working_features(question: str, text: str, final: str, equations: Sequence[Equation]) -> dict[str, float]:
    """Features of the working, each 0 where there is none.

    ``unused_numbers``, ``unused_share``: numbers of the question that the answer never names; ``uncalculated``: that no
    equation calculates with; ``sourceless``: operands that neither the question nor an earlier step gives;
    ``dangling``: results that no later step uses; ``fractions``, ``below_zero``: of results; ``reused``: how often a
    number of the question is calculated with beyond once; ``not_last``: the final answer is not the last result;
    ``steps``, and ``steps_short``: fewer than the question has numbers; ``several_finals``; ``growth``: of the final
    answer over the largest number of the question, in powers of ten; ``divides``, ``subtracts``;
    ``question_fractions``; ``lines``.
    """
    asked = {float(number) for number in numbers(question[:_READ])}
    spoken = {_SPOKEN[word] for word in words(question[:_READ]) if word in _SPOKEN}
    operands = [value for equation in equations for value in equation.operands]
    stated = [equation.stated for equation in equations]
    finals = [float(number) for number in numbers(final)]
    single = finals[0] if len(finals) == 1 else None
    unused = asked - {float(number) for number in numbers(text)}
    operators = {operator for equation in equations for operator in equation.operators}
    return {
        "unused_numbers": math.log1p(len(unused)),
        "unused_share": len(unused) / max(len(asked), 1),
        "uncalculated": math.log1p(len(asked - set(operands))),
        "sourceless": math.log1p(_count_sourceless(equations, asked | spoken | _COMMON)),
        "dangling": math.log1p(len(_find_dangling(equations))),
        "fractions": math.log1p(sum(value % 1.0 != 0.0 for value in stated)),
        "below_zero": float(any(value < 0.0 for value in stated)),
        "reused": float(max((max(operands.count(value) - 1, 0) for value in asked), default=0)),
        "not_last": float(single is not None and bool(stated) and single != stated[-1]),
        "steps": math.log1p(len(set(stated))),
        "steps_short": math.log1p(len(asked | spoken)) - math.log1p(len(set(stated))),
        "several_finals": float(len(finals) > 1),
        "growth": 0.0 if single is None else math.log10(1.0 + single) - math.log10(1.0 + max(asked, default=1.0)),
        "divides": float("/" in operators),
        "subtracts": float("-" in operators),
        "question_fractions": float(any(value % 1.0 for value in asked)),
        "lines": math.log1p(text.count("\n")),
    }


def _count_sourceless(equations: Sequence[Equation], given: set[float] | frozenset[float]) -> int:
    known, count = set(given), 0
    for equation in equations:
        count += sum(value not in known for value in equation.operands)
        known.add(equation.stated)
    return count


def _find_dangling(equations: Sequence[Equation]) -> set[float]:
    """Results, but the last, that no later equation calculates with."""
    later: set[float] = set()
    found: set[float] = set()
    for place, equation in enumerate(reversed(equations)):
        if place and equation.stated not in later:
            found.add(equation.stated)
        later |= set(equation.operands)
    return found
