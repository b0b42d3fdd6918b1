"""Notice when members begin to answer differently, and put their records to the test.

Who agrees with whom says nothing about who is right, so trust is not learned from it. But a change in it says that what
was learned may hold no more: a member that turns bad cannot do so without agreeing with the others more or less than
before. For every pair of members the share of agreement among the last W votes is compared with that before them, as a
two-sample z statistic. The squares of a member's k pairs add up to χ²; the cube root of χ²/k is about normal (Wilson
and Hilferty 1931), and where a member's lies five standard deviations out, the committee is on alarm.

On alarm nothing is believed yet. The next audits are drawn ahead (``audit``), and what they say of a member is set
against its record, as a Bayes factor of Beta-binomial likelihoods (Kass and Raftery 1995, section 3): that it is a new
member, of which nothing is known, against that it is still the old one. When the factor is large and the member got
worse, its old record is dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AUDITS_AHEAD", "PairWatch", "Watch", "count_audit", "lowers", "watch_outcome", "watch_votes"]

WINDOW = 20
"""Votes that are compared with those before them."""
LEAST = 30
"""Votes before them, from which the comparison is made."""
ALARM = 5.0
"""Standard deviations of a member's χ² that set off an alarm."""
AUDITS_AHEAD = 8
"""Most audits that an alarm draws ahead of their time; four where no other audit is due."""
TRIAL = 20
"""Audits after which an alarm is over."""
REPLACED = 4.0
"""Bayes factor from which a record is dropped."""
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class PairWatch:
    """How often two members agreed.

    Attributes:
        agreed: How often, before the window.
        votes: In how many votes, before the window.
        recent: Whether they agreed, in the last votes, at most :data:`WINDOW`.
    """

    agreed: int = 0
    votes: int = 0
    recent: tuple[bool, ...] = ()

    def add(self, agrees: bool) -> PairWatch:  # noqa: FBT001 - the outcome itself
        """One more vote."""
        recent = (*self.recent, agrees)
        if len(recent) <= WINDOW:
            return replace(self, recent=recent)
        return PairWatch(agreed=self.agreed + recent[0], votes=self.votes + 1, recent=recent[1:])

    def deviation(self) -> float | None:
        """The z statistic; ``None`` while there are too few votes."""
        if self.votes < LEAST:
            return None
        before = (self.agreed + 0.5) / (self.votes + 1.0)
        variance = before * (1.0 - before) * (1.0 / WINDOW + 1.0 / self.votes)
        return (sum(self.recent) / WINDOW - before) / math.sqrt(variance + _ROUNDING)


@dataclass(frozen=True, slots=True)
class Watch:
    """What is seen of a committee, and its last alarm.

    Attributes:
        pairs: By the names of two members, in order.
        alarms: How many there were.
        trial: While an alarm lasts, by member: right and wrong answers in its record, and in the audits since. ``None``
            when all is calm; a member that was not known comes in when it is audited.
        replaced: Members on trial whose old record was dropped.
        audits: How many there were since the alarm.
    """

    pairs: Mapping[tuple[str, str], PairWatch] = field(default_factory=lambda: MappingProxyType({}))
    alarms: int = 0
    trial: Mapping[str, tuple[float, float, float, float]] | None = None
    replaced: frozenset[str] = frozenset()
    audits: int = 0

    @property
    def ahead(self) -> int:
        """How many audits may be drawn ahead now."""
        return 0 if self.trial is None else max(AUDITS_AHEAD - self.audits, 0)


def watch_votes(watch: Watch, classes: Mapping[str, int], records: Mapping[str, tuple[float, float]]) -> Watch:
    """See one vote; on alarm the records of the members that are on trial are taken down.

    Args:
        watch: What was seen before.
        classes: What each member answered; answers of one class are the same.
        records: Right and wrong answers of the members.
    """
    pairs = dict(watch.pairs)
    seen = list(combinations(sorted(classes), 2))
    for one, two in seen:
        pairs[one, two] = pairs.get((one, two), PairWatch()).add(classes[one] == classes[two])
    if not any(_is_strange(member, seen, pairs) for member in classes):
        return replace(watch, pairs=MappingProxyType(pairs))
    trial = {member: (*records.get(member, (0.0, 0.0)), 0.0, 0.0) for member in classes}
    return Watch(alarms=watch.alarms + 1, trial=MappingProxyType(trial))


def _is_strange(member: str, seen: list[tuple[str, str]], pairs: Mapping[tuple[str, str], PairWatch]) -> bool:
    found = [pairs[pair].deviation() for pair in seen if member in pair]
    squares = [each * each for each in found if each is not None]
    if not squares:
        return False
    count = len(squares)
    spread = 2.0 / (9.0 * count)
    return bool((math.cbrt(sum(squares) / count) - (1.0 - spread)) / math.sqrt(spread) > ALARM)


def watch_outcome(watch: Watch, member: str, agreement: float, prior: tuple[float, float]) -> Watch:
    """Count the audited answer of a member on trial, whose old record may have to be dropped now: ``replaced``.

    Args:
        watch: What was seen before.
        member: Who.
        agreement: How surely its answer is right, in [0, 1].
        prior: Right and wrong answers that every member is credited with.
    """
    if watch.trial is None:
        return watch
    right, wrong, good, bad = watch.trial.get(member, (0.0, 0.0, 0.0, 0.0))
    row = (right, wrong, good + agreement, bad + 1.0 - agreement)
    watch = replace(watch, trial=MappingProxyType({**watch.trial, member: row}))
    return replace(watch, replaced=watch.replaced | {member}) if _is_another(row, prior) else watch


def _is_another(row: tuple[float, float, float, float], prior: tuple[float, float]) -> bool:
    """Whether the audits since the alarm speak for a member that is not the old one any more, but a worse one.

    Worse means that it was right less often since than it was trusted to be, and that its trust falls when only these
    audits are left of its record.
    """
    right, wrong, good, bad = row[0] + prior[0], row[1] + prior[1], row[2], row[3]
    if good * wrong >= bad * right or not lowers(row[:2], (good, bad), prior):
        return False
    new = _log_beta(1.0 + good, 1.0 + bad) - _log_beta(1.0, 1.0)
    old = _log_beta(right + good, wrong + bad) - _log_beta(right, wrong)
    return new - old > math.log(REPLACED)


def lowers(old: tuple[float, float], new: tuple[float, float], prior: tuple[float, float]) -> bool:
    """Whether the share of right answers falls when of a record, ``old`` and ``new`` together, only ``new`` is left."""
    return old[0] * (prior[1] + new[1]) > old[1] * (prior[0] + new[0])


def count_audit(watch: Watch) -> Watch:
    """One more audit since the alarm; the last of the trial ends it."""
    if watch.trial is None:
        return watch
    if watch.audits + 1 >= TRIAL:
        return replace(watch, trial=None, replaced=frozenset(), audits=0)
    return replace(watch, audits=watch.audits + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
