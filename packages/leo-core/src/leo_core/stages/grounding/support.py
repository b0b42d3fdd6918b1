"""Which passages bear a claim out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leo_core.stages.grounding.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from leo_core.stages.grounding.reading import Claim, Knowledge, Passage, Reading

__all__ = ["Evidence", "Library"]

_MOST_SPANS = 3
_LEAST_GAIN = 0.1
"""Share of a claim's content that another passage has to add to be named as well."""
_ORDER = 0.3
"""Weight of pairs of neighbouring words against single words, when passages are compared."""
_QUESTION = 0.25
"""Weight of the question's words in the passage, and again in its whole source, when passages are compared."""
_HOME = 0.15
"""What a further passage of another source has to bring more than one of the same source."""


class Evidence:
    """The passages that bear a claim out best, the best one first, and the share of its content they hold so far."""

    __slots__ = ("passages", "shares")

    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.shares: list[float] = []


class Library:
    """Passages of all sources, read once for all claims of an answer.

    Args:
        passages: Sentences of the sources, in order.
        question: What was asked; helps to choose between passages.
        knowledge: What is known of words.
    """

    def __init__(self, passages: Sequence[Passage], question: str, knowledge: Knowledge) -> None:
        self.passages = passages
        self.asked: Reading = read(question, knowledge)
        self.stems: frozenset[str] = frozenset(stem for passage in passages for stem in passage.reading.stems)
        self.numbers: frozenset[str] = frozenset(n for passage in passages for n in passage.reading.numbers)
        self._knowledge = knowledge
        self._holders: dict[str, list[int]] = {}
        for number, passage in enumerate(passages):
            for stem in set(passage.reading.stems):
                self._holders.setdefault(stem, []).append(number)
        self._pairs = [frozenset(zip(p.reading.stems, p.reading.stems[1:], strict=False)) for p in passages]
        self._asked_at = self._weigh_by_passage(self.asked.content)
        self._asked_in = self._weigh_by_source(self.asked.content)
        self._asked_all = sum(knowledge.weigh(stem) for stem in self.asked.content) or 1.0

    def find(self, claim: Claim) -> Evidence:
        """Greedily, the passage that adds most of the claim's content, then the next, at most three."""
        found = Evidence()
        wanted = claim.reading.content or dict.fromkeys(claim.reading.stems, "")
        whole = sum(self._knowledge.weigh(stem) for stem in wanted) or 1.0
        missing, used = dict(wanted), set[int]()
        for _ in range(_MOST_SPANS):
            best = self._pick(claim, missing, whole, used, found)
            if best is None:
                break
            passage = self.passages[best]
            used.add(best)
            gained = [stem for stem in missing if stem in self._stems_of(best)]
            for stem in gained:
                del missing[stem]
            found.passages.append(passage)
            found.shares.append(1.0 - sum(self._knowledge.weigh(stem) for stem in missing) / whole)
            if not missing:
                break
        return found

    def _pick(self, claim: Claim, missing: dict[str, str], whole: float, used: set[int], found: Evidence) -> int | None:
        """Number of the passage that adds most, or ``None`` when none adds enough."""
        gains = self._weigh_by_passage(missing)
        first = not found.passages
        pairs = frozenset(zip(claim.reading.stems, claim.reading.stems[1:], strict=False))
        best, most = None, -1.0
        for number, gain in gains.items():
            if number in used or (not first and gain / whole < _LEAST_GAIN):
                continue
            value = gain / whole
            if first:
                value += _ORDER * len(pairs & self._pairs[number]) / max(len(pairs), 1)
                asked = self._asked_at.get(number, 0.0) + self._asked_in.get(self.passages[number].source, 0.0)
                value += _QUESTION * asked / self._asked_all
            elif self.passages[number].source != found.passages[0].source:
                value -= _HOME
            if value > most:
                best, most = number, value
        return best if first or most > 0.0 else None

    def _stems_of(self, number: int) -> frozenset[str]:
        return frozenset(self.passages[number].reading.stems)

    def _weigh_by_source(self, stems: Iterable[str]) -> dict[int, float]:
        """The same for each source, by its number."""
        found: dict[int, float] = {}
        for stem in stems:
            weight = self._knowledge.weigh(stem)
            for source in {self.passages[number].source for number in self._holders.get(stem, ())}:
                found[source] = found.get(source, 0.0) + weight
        return found

    def _weigh_by_passage(self, stems: Iterable[str]) -> dict[int, float]:
        """Weight of the given words that each passage has, by its number; passages without one are left out."""
        found: dict[int, float] = {}
        for stem in stems:
            weight = self._knowledge.weigh(stem)
            for number in self._holders.get(stem, ()):
                found[number] = found.get(number, 0.0) + weight
        return found
