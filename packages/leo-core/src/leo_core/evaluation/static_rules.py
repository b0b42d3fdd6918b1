"""Rules that need no LEO, over recorded answers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from leo_core.evaluation.study_metrics import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from leo_core.evaluation.datasets import RecordedQuestion

    Floats = npt.NDArray[np.float64]
    Costs = Mapping[str, Floats | None]

__all__ = ["find_best_single", "list_static_rules"]

SHARES = (0.25, 0.5, 0.75)


def list_static_rules(
    questions: Sequence[RecordedQuestion],
    costs: Costs,
    *,
    small: str | None,
    large: str | None,
    jury: Sequence[str],
) -> list[Tally]:
    """Every rule that the roles make possible, questions in the order given.

    Args:
        questions: The questions.
        costs: Per recorded model, US dollars of each question's answer, float64 (n,), or ``None``.
        small: Model in the small role.
        large: Model in the large role.
        jury: Models of the jury.
    """
    named = {name for name in (small, large, *jury) if name}
    rules = [_always(model, questions, costs, member=model in named) for model in costs]
    if small and large:
        rules += _mixes(small, large, questions, costs)
        known = [(float(cost.mean()), model) for model in jury if (cost := costs[model]) is not None]
        others = sorted((price, model) for price, model in known if model not in (small, large))
        rules += [_agreement_cascade(small, other, large, questions, costs) for _, other in others[:2]]
    if jury:
        rules.append(_majority(jury, questions, costs))
    return rules


def find_best_single(models: Sequence[str], rules: Sequence[Tally]) -> Tally:
    """The model that is right most often, in hindsight; the one named first of several."""
    alone = {rule.note: rule for rule in rules if rule.name.startswith("always ")}
    return max((alone[model] for model in models), key=lambda rule: float(rule.right.mean()))


def _right(model: str, questions: Sequence[RecordedQuestion]) -> Floats:
    return np.array([question.correct[model] for question in questions], dtype=np.float64)


def _always(model: str, questions: Sequence[RecordedQuestion], costs: Costs, *, member: bool) -> Tally:
    return Tally(name=f"always {model}", right=_right(model, questions), cost=costs[model], note=model, member=member)


def _mixes(small: str, large: str, questions: Sequence[RecordedQuestion], costs: Costs) -> list[Tally]:
    """A random share to the large model, in expectation; and the longest questions to it."""
    lengths = np.array([len(question.question) for question in questions])
    ranks = np.argsort(np.argsort(-lengths, kind="stable"), kind="stable")
    weights = {f"random {share:.0%} large": np.full(len(questions), share) for share in SHARES}
    weights |= {
        f"longest {share:.0%} large": (ranks < round(share * len(questions))).astype(np.float64) for share in SHARES
    }
    low, high = _right(small, questions), _right(large, questions)
    cheap, dear = costs[small], costs[large]
    return [
        Tally(
            name=name,
            right=(1.0 - weight) * low + weight * high,
            cost=None if cheap is None or dear is None else (1.0 - weight) * cheap + weight * dear,
            note="the rest to small",
        )
        for name, weight in weights.items()
    ]


def _agreement_cascade(
    small: str, other: str, large: str, questions: Sequence[RecordedQuestion], costs: Costs
) -> Tally:
    """Two cheap models always; where their final answers are equal that one, otherwise the large model's."""
    agree = np.array([question.final[small] == question.final[other] for question in questions])
    first, second, dear = costs[small], costs[other], costs[large]
    cost = None
    if first is not None and second is not None and dear is not None:
        cost = first + second + np.where(agree, 0.0, dear)
    return Tally(
        name=f"small and {other}, large if they differ",
        right=np.where(agree, _right(small, questions), _right(large, questions)),
        cost=cost,
        note=f"equal on {agree.mean():.0%}",
    )


def _majority(jury: Sequence[str], questions: Sequence[RecordedQuestion], costs: Costs) -> Tally:
    """The most frequent final answer; ties go to the juror named first."""
    right = []
    for question in questions:
        counts = Counter(question.final[model] for model in jury)
        most = max(counts.values())
        winner = next(model for model in jury if counts[question.final[model]] == most)
        right.append(question.correct[winner])
    known = [cost for model in jury if (cost := costs[model]) is not None]
    total = np.sum(known, axis=0) if len(known) == len(jury) else None
    return Tally(name="plain majority", right=np.array(right, dtype=np.float64), cost=total, note=", ".join(jury))
