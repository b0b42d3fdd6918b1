"""Does a retrieved text try to give orders to the model that reads it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.records import InjectionRisk
from leo_core.stages.grounding.injection_signals import STRONG, read_signals
from leo_core.stages.grounding.model import shipped_logistic
from leo_core.stages.grounding.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["score_injection"]

_WINDOW = 3
"""Sentences that are read together; a long text is as risky as its worst window, so that length does not dilute."""
_LONGEST = 4000
"""Characters of a window: a text without sentences is cut."""


def score_injection(text: str) -> InjectionRisk:
    """Calibrated P(the text carries orders for a model), and the signs that speak for it.

    Args:
        text: A retrieved passage. Read in windows of three sentences; the riskiest counts.
    """
    model = shipped_logistic("injection", "passage")
    worst = InjectionRisk(risk=0.0)
    for start, end in _windows(text):
        signals = read_signals(text[start:end])
        risk = model.probability(signals)
        if risk > worst.risk:
            signs = tuple(name for name in STRONG if signals[name] > 0.0)
            hidden = ("hidden_characters",) if signals["hidden_characters"] > 0.0 else ()
            worst = InjectionRisk(risk=risk, start=start, end=end, signs=signs + hidden)
    return worst


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Spans of three sentences, two steps apart, so that neighbours share one; a short text is one span."""
    spans = split_sentences(text)
    if len(spans) <= _WINDOW and len(text) <= _LONGEST:
        yield 0, len(text)
        return
    for at in range(0, max(len(spans) - 1, 1), _WINDOW - 1):
        start = 0 if at == 0 else spans[at][0]
        last = at + _WINDOW >= len(spans)
        end = len(text) if last else spans[at + _WINDOW - 1][1]
        for begin in range(start, max(end, start + 1), _LONGEST):
            yield begin, min(begin + _LONGEST, end)
        if last:
            return
