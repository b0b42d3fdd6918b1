"""Settings of the risk stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leo_core.errors import ConfigError

__all__ = ["RiskConfig", "UserCategory"]

_FEWEST_EXAMPLES = 5
_SHIPPED = ("medical", "legal", "financial", "safety")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCategory:
    """A high-risk category of the user's own, given by examples.

    Attributes:
        name: Its name; not that of a shipped category.
        examples: Questions that belong to it, at least 5; 20 or more that differ in topic and words are better.
        counter_examples: Questions that do not, though they look like it.
        harm_above: From this probability on, a request counts as high risk, in [0, 1]. At 1/2 a request is as much
            like the examples as it is unlike everything else.
    """

    name: str
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...] = ()
    harm_above: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a category without a name, with too few examples, or with empty ones.

        Raises:
            ConfigError: Names the category and what is wrong.
        """
        if not self.name.strip() or self.name in _SHIPPED:
            message = f"UserCategory.name is {self.name!r}; it must not be empty or one of {', '.join(_SHIPPED)}"
            raise ConfigError(message)
        given: tuple[object, ...] = (self.examples, self.counter_examples)
        if any(isinstance(texts, str) for texts in given):
            message = f"the examples of the category {self.name!r} are one text; give a tuple of texts"
            raise ConfigError(message)
        if len(set(self.examples)) < _FEWEST_EXAMPLES:
            message = f"the category {self.name!r} has fewer than {_FEWEST_EXAMPLES} different examples"
            raise ConfigError(message)
        if not all(text.strip() for text in (*self.examples, *self.counter_examples)):
            message = f"the category {self.name!r} has an empty example"
            raise ConfigError(message)
        if set(self.examples) & set(self.counter_examples):
            message = f"the category {self.name!r} has the same text as example and counter-example"
            raise ConfigError(message)
        if not 0.0 <= self.harm_above <= 1.0:
            message = f"UserCategory.harm_above is {self.harm_above!r}; it must lie in [0, 1]"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """How risk is judged, before and after the call.

    Attributes:
        prior_strength: What the shipped prior is worth, in observed outcomes, against a region's own record; > 0.
        similar_strength: The same against the rate on similar requests, or answers, in outcomes of any; > 0.
        novel_strength: The same for a request that is novel or of unknown novelty: it is pulled to the prior; > 0.
        novel_above: Novelty above which a request counts as novel, in [0, 1].
        novel_variance: Variance added to the log-odds of a novel request; ≥ 0.
        forgetting: Factor on a region's record at each outcome of that region, in (0, 1]; 0.998 remembers some 500.
        accept_below: Error accepted when the request sets no ``max_error``, in [0, 1].
        accept_on: What is compared with it before there are audits: the ``"value"``, or its ``"upper"`` 95 % bound.
        accept_confidence: With which confidence at most a share ``max_error`` of the answers accepted is wrong, once
            enough of them were audited; in (0, 1).
        outcomes_kept: Audited answers that count, the latest; at least 1.
        drift_window: Scores that are compared at a time, to see whether the traffic has changed; at least 20.
        drift_level: Chance of a false alarm at each comparison, in (0, 1).
        abstain_above: An answer is unfit to serve, whatever the route, when the lower 95 % bound reaches this; in [0,
            1].
        unfamiliar_shrinkage: Share of the score that remains for a question without numbers, code or context, which the
            training did not hold; in [0, 1].
        unfamiliar_variance: Variance added to the log-odds of such an answer; ≥ 0.
        categories: High-risk categories of your own, beside the shipped ones.
        keep_vectors: Whether an outcome is stored with the embedding of its request and with what the small model's
            answer showed, so that P(small wrong) is learned from similar requests, and answers, too. An embedding
            tells something of its text and outlives ``leo log erase``.
    """

    prior_strength: float = 12.0
    similar_strength: float = 100.0
    novel_strength: float = 40.0
    novel_above: float = 0.95
    novel_variance: float = 0.5
    forgetting: float = 0.998
    accept_below: float = 0.25
    accept_on: Literal["value", "upper"] = "value"
    accept_confidence: float = 0.95
    outcomes_kept: int = 500
    drift_window: int = 200
    drift_level: float = 0.001
    abstain_above: float = 0.8
    unfamiliar_shrinkage: float = 0.6
    unfamiliar_variance: float = 1.0
    categories: tuple[UserCategory, ...] = ()
    keep_vectors: bool = False

    def __post_init__(self) -> None:
        """Refuse settings outside their range.

        Raises:
            ConfigError: Names the setting, its value and its range.
        """
        for name in ("novel_above", "accept_below", "abstain_above", "unfamiliar_shrinkage"):
            _check(name, getattr(self, name), low=0.0, high=1.0)
        for name in ("novel_variance", "unfamiliar_variance"):
            _check(name, getattr(self, name), low=0.0, high=100.0)
        for name in ("prior_strength", "similar_strength", "novel_strength"):
            _check(name, getattr(self, name), low=1e-9, high=1e9)
        _check("forgetting", self.forgetting, low=1e-9, high=1.0)
        _check("accept_confidence", self.accept_confidence, low=1e-9, high=1.0 - 1e-9)
        _check("drift_level", self.drift_level, low=1e-12, high=1.0 - 1e-12)
        _check("outcomes_kept", self.outcomes_kept, low=1, high=100_000)
        _check("drift_window", self.drift_window, low=20, high=10_000)
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            message = f"RiskConfig.categories has two categories of one name: {', '.join(sorted(names))}"
            raise ConfigError(message)
        if self.accept_on not in ("value", "upper"):
            message = f"RiskConfig.accept_on is {self.accept_on!r}; it must be 'value' or 'upper'"
            raise ConfigError(message)


def _check(name: str, value: float, *, low: float, high: float) -> None:
    if not low <= value <= high:
        message = f"RiskConfig.{name} is {value!r}; it must lie in [{low:g}, {high:g}]"
        raise ConfigError(message)
