"""Settings of the student."""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["StudentConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentConfig:
    """What is taught, and when the student answers.

    Attributes:
        least_examples: Verified examples that an answer needs to be taught, at least 2.
        most_answers: Most answers that are taught to a tenant's student, those with most examples; at least 2.
        neighbours: Nearest examples that are asked, at least 1.
        least_probability: P(right) below which the student abstains, in [0, 1].
        novel_share: Share of the examples that lie too far from all others: how far they do is what the student calls
            novel, and there it abstains; in [0, 1).

    Raises:
        ConfigError: A value is out of range.
    """

    least_examples: int = 3
    most_answers: int = 500
    neighbours: int = 8
    least_probability: float = 0.8
    novel_share: float = 0.01

    def __post_init__(self) -> None:
        checks = (
            ("least_examples", self.least_examples >= 2, "at least 2"),  # noqa: PLR2004 - the range itself
            ("most_answers", self.most_answers >= 2, "at least 2"),  # noqa: PLR2004 - the range itself
            ("neighbours", self.neighbours >= 1, "at least 1"),
            ("least_probability", 0.0 <= self.least_probability <= 1.0, "between 0 and 1"),
            ("novel_share", 0.0 <= self.novel_share < 1.0, "at least 0 and below 1"),
        )
        for name, sound, wanted in checks:
            if not sound:
                message = f"StudentConfig.{name}={getattr(self, name)!r} must be {wanted}"
                raise ConfigError(message)
