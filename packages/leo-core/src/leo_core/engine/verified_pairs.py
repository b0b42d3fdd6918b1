"""Questions with answers that were found right, for fine-tuning.

An entry is exported if its answer was audited and right, or confirmed by the caller, and nobody ever found it wrong. It
has to be plain text with a receipt, and must not repeat another one or hold personal data.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from leo_core.engine.knowledge import Known, fold
from leo_core.privacy.personal.personal_data import find_personal_data, redact
from leo_core.stages.consensus.equivalence import same_answer
from leo_core.stages.consensus.trust import estimate, is_known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from leo_core.config import LEOConfig
    from leo_core.ports import Store
    from leo_core.records import CacheEntry, Json, KeptEntry, Observation

__all__ = ["Export", "ExportTerms", "VerifiedPair", "export_pairs", "write_hugging_face", "write_openai"]

Basis = Literal["audited", "confirmed", "trusted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPair:
    """A question and its answer.

    Attributes:
        question: What was asked.
        answer: What was answered.
        basis: ``audited``: the checker found it right; ``confirmed``: the caller did; ``trusted``: nobody looked, but
            every member behind it is trusted at least as much as was asked for.
        trust: The least trust in the members behind it, where that is the basis.
        entry: Id of the entry.
        receipt: Id of the receipt: ``leo:rcpt:`` and the SHA-256 of the signed statement.
        model: The model that is named as the author.
        tenant: Whose.
        cost_usd: What the answer cost, in US dollars; ``None`` when not known.
    """

    question: str
    answer: str
    basis: Basis
    trust: float | None
    entry: str
    receipt: str
    model: str
    tenant: str
    cost_usd: float | None = None

    @property
    def messages(self) -> list[dict[str, Json]]:
        """The two turns in OpenAI's form."""
        return [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answer}]

    @property
    def provenance(self) -> dict[str, Json]:
        """Where it comes from."""
        facts: dict[str, Json] = {"receipt": self.receipt, "entry": self.entry, "basis": self.basis}
        return facts | {"trust": self.trust, "model": self.model, "tenant": self.tenant}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTerms:
    """What is exported.

    Attributes:
        min_trust: Also answers that nobody judged, if every member behind them is known and trusted at least so much
            (mean of the posterior over all requests), in [0, 1]; ``None`` for none.
        personal: What becomes of personal data and secrets: ``drop`` the pair, ``redact`` them, or ``keep`` them.
        near: Cosine from which two questions with the same answer are the same, in [0, 1].
    """

    min_trust: float | None = None
    personal: Literal["drop", "redact", "keep"] = "drop"
    near: float = 0.95


@dataclass(slots=True)
class Export:
    """What came of it.

    Attributes:
        pairs: What is exported.
        dropped: How many entries were left out, by reason.
        redacted: How many pairs had something blacked out.
    """

    pairs: list[VerifiedPair] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    redacted: int = 0


def export_pairs(
    store: Store,
    tenants: Iterable[str],
    terms: ExportTerms,
    config: LEOConfig,
    *,
    progress: Callable[[int], None] | None = None,
) -> Export:
    """The verified pairs of a store, tenant by tenant, in the order in which they were kept.

    Args:
        store: The store; a sealed one, so that nothing comes out that LEO did not write.
        tenants: Whose.
        terms: What is exported.
        config: Settings that the store is used with; trust depends on them.
        progress: Hears how many entries were looked at so far.
    """
    export, looked = Export(), 0
    for tenant in tenants:
        judge = _Judge(store.observations(tenant=tenant), config)
        seen = _Seen(terms.near)
        for kept in store.entries(tenant):
            looked += 1
            if progress is not None:
                progress(looked)
            found = _read_pair(kept.entry, judge, terms)
            if isinstance(found, str):
                export.dropped[found] += 1
            elif (repeated := seen.repeats(kept, found)) is not None:
                export.dropped[repeated] += 1
            elif (clean := _clean(found, terms)) is None:
                export.dropped["personal data"] += 1
            else:
                seen.add(kept, found)
                export.pairs.append(clean)
                export.redacted += clean != found
    return export


class _Judge:
    """What was ever said of a tenant's answers, and of its members."""

    def __init__(self, observations: Iterable[tuple[int, Observation]], config: LEOConfig) -> None:
        self._config = config
        self._known = Known.fresh(1)
        self._right: dict[str, Literal["audited", "confirmed"]] = {}
        self._wrong: set[str] = set()
        for _, observation in observations:
            self._known = fold(self._known, observation, config)
            self._hear(observation)

    def _hear(self, observation: Observation) -> None:
        body = observation.body
        answer = body.get("answer_id") or body.get("entry")
        if not isinstance(answer, str) or observation.kind not in ("audit", "feedback"):
            return
        if not (body["right"] if observation.kind == "audit" else not body["wrong"]):
            self._wrong.add(answer)
        elif observation.kind == "audit":
            self._right[answer] = "audited"
        else:
            self._right.setdefault(answer, "confirmed")

    def find_basis(self, entry: CacheEntry, min_trust: float | None) -> tuple[Basis, float | None] | str:
        """On what an entry stands; the reason in words where it does not."""
        if entry.id in self._wrong:
            return "found wrong"
        if entry.id in self._right:
            return self._right[entry.id], None
        if min_trust is None or not all(is_known(self._known.trust, member) for member in entry.members):
            return "not verified"
        policy = self._config.consensus
        trust = min((estimate(self._known.trust, member, -1, policy).mean for member in entry.members), default=0.0)
        return ("trusted", trust) if trust >= min_trust else "not verified"


def _read_pair(entry: CacheEntry, judge: _Judge, terms: ExportTerms) -> VerifiedPair | str:
    """The pair of an entry; the reason in words where there is none."""
    basis = judge.find_basis(entry, terms.min_trust)
    if isinstance(basis, str):
        return basis
    if not entry.receipt_id:
        return "no receipt"
    content = entry.message.content
    plain = isinstance(content, str) or all(block.get("type") == "text" for block in content)
    if entry.message.tool_calls or not plain or not entry.message.text.strip() or not entry.text.strip():
        return "not plain text"
    return VerifiedPair(
        question=entry.text,
        answer=entry.message.text,
        basis=basis[0],
        trust=basis[1],
        entry=entry.id,
        receipt=entry.receipt_id,
        model=entry.model,
        tenant=entry.tenant,
        cost_usd=entry.usage.cost_usd,
    )


def _clean(pair: VerifiedPair, terms: ExportTerms) -> VerifiedPair | None:
    """The pair without personal data; ``None`` where it is dropped."""
    if terms.personal == "keep" or not (find_personal_data(pair.question) or find_personal_data(pair.answer)):
        return pair
    if terms.personal == "drop":
        return None
    return replace(pair, question=redact(pair.question), answer=redact(pair.answer))


class _Seen:
    """The questions of a tenant that are exported already."""

    def __init__(self, near: float) -> None:
        self._near = near
        self._texts: set[str] = set()
        self._rows: npt.NDArray[np.float32] | None = None
        self._kept: list[tuple[KeptEntry, VerifiedPair]] = []

    def repeats(self, kept: KeptEntry, pair: VerifiedPair) -> str | None:
        """How a pair repeats an earlier one: the same question, or a near one with the same answer."""
        if _spell(pair.question) in self._texts:
            return "duplicate"
        if kept.vector is None or self._rows is None:
            return None
        cosines = self._rows[: len(self._kept)] @ kept.vector
        for place in np.flatnonzero(cosines >= self._near):
            other, earlier = self._kept[int(place)]
            if _spell(earlier.answer) == _spell(pair.answer) or same_answer(
                other.entry.message, kept.entry.message, pair.question
            ):
                return "near duplicate"
        return None

    def add(self, kept: KeptEntry, pair: VerifiedPair) -> None:
        """Take note of a pair that is exported."""
        self._texts.add(_spell(pair.question))
        if kept.vector is None:
            return
        if self._rows is None or len(self._rows) == len(self._kept):
            room = np.zeros((max(256, 2 * len(self._kept)), len(kept.vector)), dtype=np.float32)
            if self._rows is not None:
                room[: len(self._rows)] = self._rows
            self._rows = room
        self._rows[len(self._kept)] = kept.vector
        self._kept.append((kept, pair))


def _spell(text: str) -> str:
    return " ".join(text.casefold().split())


# ------------------------------------------------------------------------------------------------- formats


def write_openai(pairs: Iterable[VerifiedPair]) -> tuple[bytes, bytes]:
    """JSON lines of OpenAI's chat format, which allows no other keys, and as many of where each comes from."""
    kept = tuple(pairs)
    return _lines({"messages": pair.messages} for pair in kept), _lines(pair.provenance for pair in kept)


def write_hugging_face(pairs: Iterable[VerifiedPair]) -> bytes:
    """JSON lines of the conversational format of Hugging Face, with columns that say where each comes from."""
    return _lines({"messages": pair.messages, **pair.provenance} for pair in pairs)


def _lines(rows: Iterable[dict[str, Json]]) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode("utf-8", "surrogatepass")
