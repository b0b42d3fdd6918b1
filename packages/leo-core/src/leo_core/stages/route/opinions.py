"""What other members' opinions of the small member's answers were worth: the fold of the cascades.

In a cascade other jurors answer after the small member, and each of them agrees with it, differs, or leaves it open.
Those letters in a row are a *pattern*: ``""`` before anybody was asked, ``"+"`` where the first agreed, ``"+-"`` where
the second then differed. Where the large member was asked in the end, it sided with the small answer or overruled it.
So without any audit a region shows how often jurors agree there, and how often a contradiction was right.

What is wrong although a juror agrees is not seen. It is in proportion to what is wrong and was contradicted: of the
wrong answers of a member, another one repeats a share that differs little between kinds of questions
(:data:`REPEATED`; ``train/opinions.py`` prints it).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from leo_core.records import Route
from leo_core.stages.route.odds import log_odds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from leo_core.records import Json, Observation
    from leo_core.stages.route.config import RouteConfig

__all__ = ["AGREES", "DIFFERS", "OPEN", "Beliefs", "OpinionState", "update_opinions"]

AGREES, DIFFERS, OPEN = "+", "-", "?"

REPEATED: Final = {"+": 0.18, "++": 0.65, "-+": 0.12}
"""Wrong answers that a juror repeated, per one that it contradicted: the first juror, and the second by what the first
said."""
_AGREEMENT: Final = {"": 0.8, "+": 0.93, "-": 0.35}
"""Share of the second opinions that agree, by the pattern before."""
_OVERRULED: Final = {"-": 0.6, "+-": 0.2, "--": 0.8}
"""Share of the contradicted answers that the large member overrules."""
_OPEN: Final = 0.05
_PRIOR: Final = 8.0
"""What these figures are worth, in cascades."""
_POOLED: Final = 20.0
"""What all regions together are worth beside one, in cascades of that region."""
_UNSEEN: Final = 32.0
"""What P(wrong) of an answer that jurors agree with is worth, as it follows from the others, beside audits of such."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Cascades that came through a pattern, discounted.

    Attributes:
        seen: All of them.
        judged: Those in which the large member was asked right then, and said clearly the same or another thing.
        overruled: Those of them in which it said another thing.
        audited: Weight of the audits of the small answer, served on this pattern.
        wrong: Weight of those that found it wrong.
    """

    seen: float = 0.0
    judged: float = 0.0
    overruled: float = 0.0
    audited: float = 0.0
    wrong: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionRecord:
    """Cascades of a region, or of all.

    Attributes:
        tallies: By pattern.
        form: Of the log-odds of the small answers' risk, read alone: their sum and number.
        before: The same of P(small wrong) as the request alone had told it.
    """

    tallies: Mapping[str, Tally] = field(default_factory=lambda: MappingProxyType({}))
    form: tuple[float, float] = (0.0, 0.0)
    before: tuple[float, float] = (0.0, 0.0)

    def tally(self, pattern: str) -> Tally:
        """Of a pattern; an empty one where it was never seen."""
        return self.tallies.get(pattern, Tally())


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionState:
    """The fold of the cascades.

    Attributes:
        everywhere: All regions together.
        regions: Each by itself.
        costs: By member, the sum of what its calls cost, in US dollars, and their number.
    """

    everywhere: OpinionRecord = field(default_factory=OpinionRecord)
    regions: Mapping[int, OpinionRecord] = field(default_factory=lambda: MappingProxyType({}))
    costs: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def fresh(cls) -> OpinionState:
        """Nothing observed."""
        return cls()

    def price(self, member: str, estimate: float, config: RouteConfig) -> float:
        """What a call of the member costs, in US dollars: its estimate, and what earlier ones did cost."""
        total, count = self.costs.get(member, (0.0, 0.0))
        return (config.estimate_weight * estimate + total) / (config.estimate_weight + count)

    def beliefs(self, region: int) -> Beliefs:
        """What is to be believed in a region."""
        return Beliefs(everywhere=self.everywhere, here=self.regions.get(region, OpinionRecord()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """What opinions are worth in a region: its own cascades, beside those of all and what ships.

    Attributes:
        everywhere: The record of all regions.
        here: That of the region.
    """

    everywhere: OpinionRecord
    here: OpinionRecord
    _found: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def agreement(self, pattern: str) -> float:
        """P(the next juror agrees | it says anything clear), in (0, 1)."""
        return self._rate(
            _AGREEMENT[pattern],
            lambda record: (record.tally(pattern + AGREES).seen, record.tally(pattern + DIFFERS).seen),
        )

    def openness(self, pattern: str) -> float:
        """P(the next juror leaves it open), in (0, 1)."""
        return self._rate(
            _OPEN,
            lambda record: (
                record.tally(pattern + OPEN).seen,
                record.tally(pattern + AGREES).seen + record.tally(pattern + DIFFERS).seen,
            ),
        )

    def wrong(self, pattern: str) -> float:
        """P(the small answer is wrong | pattern) of a typical answer, in (0, 1).

        After a contradiction it is the share that the large member overrules. After an agreement it follows from that
        of the contradicted ones, and from audits.
        """
        if pattern not in self._found:  # one decision asks for the same ones many times
            self._found[pattern] = self._find_wrong(pattern)
        return self._found[pattern]

    def _find_wrong(self, pattern: str) -> float:
        match pattern:
            case "":
                return self._expect(pattern)
            case "-":
                later = self.wrong("-+"), self.wrong("--")
                return self._rate(_OVERRULED[pattern], lambda record: _count_overruled(record.tallies, pattern, later))
            case "--" | "+-":
                return self._rate(_OVERRULED[pattern], lambda record: _count_overruled(record.tallies, pattern, None))
        before = pattern[:-1]
        agreed = self.agreement(before)
        found = min(REPEATED[pattern] * self.wrong(before + DIFFERS) * (1.0 - agreed) / agreed, 0.5)
        if pattern == AGREES:
            asked = self.everywhere.tally("++").seen + self.everywhere.tally("+-").seen
            found = (_UNSEEN * found + asked * self._expect(pattern)) / (_UNSEEN + asked)
        for tally in (self.everywhere.tally(pattern), self.here.tally(pattern)):
            found = (_UNSEEN * found + tally.wrong) / (_UNSEEN + tally.audited)
        return found

    def _expect(self, pattern: str) -> float:
        """P(wrong) as it follows from what the next juror may say."""
        agreed = self.agreement(pattern)
        return agreed * self.wrong(pattern + AGREES) + (1.0 - agreed) * self.wrong(pattern + DIFFERS)

    def shift(self, form: float) -> float:
        """How much likelier than a typical one an answer of this form is wrong, in log-odds.

        Args:
            form: Its risk, read alone, in [0, 1].
        """
        return _find_shift(form, self.everywhere.form, self.here.form)

    def shift_before(self, prior: float) -> float:
        """The same before the small member was asked.

        Args:
            prior: P(small wrong) by the request alone, in [0, 1].
        """
        return _find_shift(prior, self.everywhere.before, self.here.before)

    def _rate(self, prior: float, read: Callable[[OpinionRecord], tuple[float, float]]) -> float:
        """Share of the first of two kinds: what ships, then all regions, then this one."""
        first, second = read(self.everywhere)
        pooled = (_PRIOR * prior + first) / (_PRIOR + first + second)
        first, second = read(self.here)
        return (_POOLED * pooled + first) / (_POOLED + first + second)


def _count_overruled(
    tallies: Mapping[str, Tally], pattern: str, later: tuple[float, float] | None
) -> tuple[float, float]:
    """Contradicted answers that were wrong, and right; ``later`` is P(wrong) where another juror was asked."""
    ended = tallies.get(pattern, Tally())
    wrong, right = ended.overruled, ended.judged - ended.overruled
    if later is not None:
        for letter, share in zip((AGREES, DIFFERS), later, strict=True):
            seen = tallies.get(pattern + letter, Tally()).seen
            wrong, right = wrong + share * seen, right + (1.0 - share) * seen
    return wrong, right


def _find_shift(value: float, everywhere: tuple[float, float], here: tuple[float, float]) -> float:
    """Log-odds of the value less their mean, as far as that is known."""
    total, count = everywhere
    if not count:
        return 0.0
    usual = (_POOLED * total / count + here[0]) / (_POOLED + here[1])
    return count / (count + _PRIOR) * (log_odds(value) - usual)


def update_opinions(state: OpinionState, observation: Observation, config: RouteConfig) -> OpinionState:
    """Fold a ``"route"`` observation of a cascade; others change nothing.

    Reads the body: ``opinions`` (the pattern), ``overruled`` (what the large member said, where it was asked), ``form``
    (the small answer's risk, read alone), ``before`` (P(small wrong) by the request alone), ``spent`` (US dollars by
    member); and, of an audit, ``right`` and ``weight``
    where the small answer was served.
    """
    body = observation.body
    if observation.kind != "route" or body.get("route") != Route.CASCADE or body.get("opinions") is None:
        return state
    region = int(body.get("region", -1))
    fold = _fold_audit if body.get("audited") else _fold_cascade
    here = state.regions.get(region, OpinionRecord())
    costs = dict(state.costs)
    for member, cost in body.get("spent", {}).items():
        total, count = costs.get(member, (0.0, 0.0))
        costs[member] = (config.forgetting * total + cost, config.forgetting * count + 1.0)
    return OpinionState(
        everywhere=fold(state.everywhere, body, config.forgetting),
        regions=MappingProxyType({**state.regions, region: fold(here, body, config.forgetting)}),
        costs=MappingProxyType(costs),
    )


def _fold_cascade(record: OpinionRecord, body: Mapping[str, Json], keep: float) -> OpinionRecord:
    """All patterns of the region are discounted together, so that their shares stay comparable."""
    pattern, overruled = str(body["opinions"]), body.get("overruled")
    tallies = {name: _discount(tally, keep) for name, tally in record.tallies.items()}
    for length in range(len(pattern) + 1):
        passed = tallies.get(pattern[:length], Tally())
        tallies[pattern[:length]] = replace(passed, seen=passed.seen + 1.0)
    if overruled is not None:
        last = tallies[pattern]
        tallies[pattern] = replace(last, judged=last.judged + 1.0, overruled=last.overruled + float(overruled))
    return OpinionRecord(
        tallies=MappingProxyType(tallies),
        form=_add(record.form, body.get("form"), keep),
        before=_add(record.before, body.get("before"), keep),
    )


def _add(mean: tuple[float, float], value: Json, keep: float) -> tuple[float, float]:
    return mean if value is None else (keep * mean[0] + log_odds(float(value)), keep * mean[1] + 1.0)


def _fold_audit(record: OpinionRecord, body: Mapping[str, Json], _: float) -> OpinionRecord:
    right, weight, pattern = body.get("right"), max(float(body.get("weight", 1.0)), 0.0), str(body["opinions"])
    if right is None:
        return record
    tally = record.tally(pattern)
    found = replace(tally, audited=tally.audited + weight, wrong=tally.wrong + (0.0 if right else weight))
    return replace(record, tallies=MappingProxyType({**record.tallies, pattern: found}))


def _discount(tally: Tally, keep: float) -> Tally:
    return Tally(
        keep * tally.seen, keep * tally.judged, keep * tally.overruled, keep * tally.audited, keep * tally.wrong
    )
