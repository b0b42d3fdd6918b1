"""What an answer shows of itself, and what others say about it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from leo_core.stages.risk.arithmetic import find_equations
from leo_core.stages.risk.request_features import question_features
from leo_core.stages.risk.tokens import numbers, words
from leo_core.stages.risk.working import working_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Draft, Request, Verdict

__all__ = ["agreement_of", "evidence_features", "final_answer", "reasoning_features"]

_JSON_FIELD = re.compile(r'"(?:answer|final_answer|result)"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\n]+)')
_SAID = re.compile(r"(?i)(?:####|\banswer(?: is|:)|\\boxed\{|\[ANSWER\])\s*:?\s*\**\s*([^\n]+)")
_ASKS_JSON = re.compile(r"(?i)\bjson\b")
_HEDGE = re.compile(
    r"(?i)\b(?:might|maybe|perhaps|possibly|probably|not (?:entirely )?(?:sure|certain)|unclear|i think|i believe|"
    r"it seems|appears to be|assum(?:e|ing)|approximately|hard to say|cannot be determined|not enough information)\b"
)
_REFUSAL = re.compile(
    r"(?i)\b(?:i (?:can ?not|can't|am unable to|am not able to|won't)|i'm (?:sorry|unable|not able)|as an ai\b|"
    r"i do(?: not|n't) (?:know|have (?:access|enough)))"
)
_CORRECTS = re.compile(r"(?i)\b(?:wait|correction|let'?s re-?(?:check|evaluate|calculate)|mistake|actually|however)\b")
_CLOSED = re.compile(r"[.!?)\]}\"'`*>|\d%]\s*$")
_QUESTION_FEATURES = (
    "size", "digits", "numbers", "reasoning_words", "word_length", "code", "maths", "multiple_choice", "foreign_script"
)  # fmt: skip
_READ = 12000
_TYPICAL_LOGPROB = -0.25
_WORST_LOGPROB = -4.0


def agreement_of(
    draft: Draft, verdict: Verdict | None, other_drafts: tuple[Draft, ...], other_agreement: float | None
) -> tuple[float, float]:
    """How many others gave the same answer and how many another one, as (agreed, disagreed), both ≥ 0.

    ``other_agreement`` is believed first: the share of the others that agree, in [0, 1]. Otherwise the verdict's votes
    decide, each counting in proportion to its weight. With neither, nothing is known: (0, 0).
    """
    if other_agreement is not None:
        count = max(len(other_drafts), 1)
        return other_agreement * count, (1.0 - other_agreement) * count
    own = next((vote for vote in verdict.votes if vote.member == draft.member), None) if verdict is not None else None
    if verdict is None or own is None:
        return 0.0, 0.0
    others = [vote for vote in verdict.votes if vote is not own]
    weights = [max(vote.weight, 0.0) for vote in others]
    if not sum(weights):
        return 0.0, 0.0
    same = sum(weight for vote, weight in zip(others, weights, strict=True) if vote.answer_class == own.answer_class)
    return len(others) * same / sum(weights), len(others) * (1.0 - same / sum(weights))


def evidence_features(
    request: Request, draft: Draft, *, agreed: float, disagreed: float, record: float | None, base: float
) -> dict[str, float]:
    """Features that mean the same whether or not a context was supplied; each is 0 when nothing is known.

    Args:
        request: The request.
        draft: The answer.
        agreed: Others with the same answer.
        disagreed: Others with another answer.
        record: The member's own rate of right answers, where it is known.
        base: The rate that ``record`` is compared with.
    """
    known = draft.logprobs is not None and len(draft.logprobs) > 0
    logprobs = draft.logprobs if known and draft.logprobs is not None else (_TYPICAL_LOGPROB,)
    mean = sum(logprobs) / len(logprobs)
    return {
        "agreed": math.log1p(agreed),
        "disagreed": math.log1p(disagreed),
        "compared": float(agreed + disagreed > 0.0),
        "record": 0.0 if record is None else _log_odds(record) - _log_odds(base),
        "token_surprise": min(_TYPICAL_LOGPROB - mean, 3.0) if known else 0.0,
        "worst_token": max(_WORST_LOGPROB - min(logprobs), -4.0) / 4.0 if known else 0.0,
        "cut_off": float(draft.finish_reason in {"length", "content_filter"}),
        "format_missed": float(_misses_format(request, draft.text)),
        "refusal": float(
            bool(_REFUSAL.search(draft.text[:_READ])) or not (draft.text.strip() or draft.message.tool_calls)
        ),
    }


def reasoning_features(question: str, answer: str) -> dict[str, float]:
    """Features of an answer without a context: its arithmetic and working, its form, its final answer, the question."""
    text, asked = answer[:_READ], question_features(question[:4000])
    tokens, equations, final = words(text), find_equations(text), final_answer(text)
    wrong = sum(not equation.right for equation in equations)
    size = math.log1p(len(tokens)) - 4.0
    features = {
        "equations": math.log1p(len(equations)),
        "wrong_equations": math.log1p(wrong),
        "wrong_share": wrong / len(equations) if equations else 0.0,
        "answer_size": size,
        "answer_size_squared": size * size,
        "hedges": math.log1p(len(_HEDGE.findall(text))),
        "self_correction": math.log1p(len(_CORRECTS.findall(text))),
        "unfinished": float(bool(text.strip()) and not _CLOSED.search(text[-40:])),
        "repetition": 1.0 - len(set(tokens)) / len(tokens) if tokens else 0.0,
    }
    working = working_features(question, text, final, equations)
    return features | _final_features(question, final, equations) | working | _asked(asked)


def final_answer(text: str) -> str:
    """The final answer that a text names: a JSON field, a marked answer, or its last number; else empty."""
    fields = _JSON_FIELD.findall(text)
    if fields:
        return str(fields[-1]).strip().strip('"').strip()
    said = _SAID.findall(text)
    if said:
        return str(said[-1]).strip().strip("*`. }")
    found = numbers(text[-400:])
    return found[-1] if found else ""


def _final_features(question: str, final: str, equations: tuple[object, ...]) -> dict[str, float]:
    values, asked = numbers(final), numbers(question[:4000])
    single = values[0] if len(values) == 1 else None
    stated = {float(getattr(equation, "stated", math.nan)) for equation in equations}
    return {
        "final_missing": float(not final),
        "final_size": math.log1p(len(final)) - 1.5,
        "final_underived": float(single is not None and bool(stated) and float(single) not in stated),
        "final_repeats": float(single is not None and single in asked),
        "final_fractional": float(single is not None and "." in single and not any("." in number for number in asked)),
        "final_negative": float(final.lstrip("$ ").startswith("-")),
    }


def _asked(asked: Mapping[str, float]) -> dict[str, float]:
    return {f"question_{name}": asked[name] for name in _QUESTION_FEATURES}


def _misses_format(request: Request, text: str) -> bool:
    wants = request.response_format is not None or bool(_ASKS_JSON.search(request.question[:_READ]))
    return wants and not ("{" in text and "}" in text and text.rfind("}") > text.find("{"))


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, 0.02), 0.98)
    return math.log(clipped / (1.0 - clipped))
