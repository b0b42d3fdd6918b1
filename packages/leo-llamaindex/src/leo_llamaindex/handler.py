"""What was spent, saved and found out while a handler watched."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr

from leo_llamaindex.events import LEOCacheHitEvent, LEOProofEvent, LEORouteEvent, LEOVerifyEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.instrumentation.events import BaseEvent

__all__ = ["LEOEventHandler", "LEOSummary"]

MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LEOSummary:
    """What happened so far.

    Attributes:
        answers: Answers, hits included.
        hits: Answers from the cache.
        verdicts: Answers that a committee decided.
        abstained: Verdicts that missed the confidence asked for.
        routes: Answers by route.
        models: Answers by the model that is named as the author.
        input_tokens: Spent.
        output_tokens: Spent.
        saved_tokens: That the answers served from the cache had cost.
        spent_usd: Known costs.
        saved_usd: Known savings; a committee may cost more than the large model would have, so it may be negative.
        unpriced: Answers whose cost is unknown and so missing from ``spent_usd``.
        risks: P(wrong) of each answer, in order; the last 10,000.
        receipts: Ids of the receipts, in order; the last 10,000.
    """

    answers: int = 0
    hits: int = 0
    verdicts: int = 0
    abstained: int = 0
    routes: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    saved_tokens: int = 0
    spent_usd: float = 0.0
    saved_usd: float = 0.0
    unpriced: int = 0
    risks: tuple[float, ...] = ()
    receipts: tuple[str, ...] = ()

    @property
    def mean_risk(self) -> float | None:
        """Mean of the risks."""
        return sum(self.risks) / len(self.risks) if self.risks else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        facts = asdict(self)
        return {**facts, "risks": list(self.risks), "receipts": list(self.receipts), "mean_risk": self.mean_risk}

    def __str__(self) -> str:
        risk = "none" if self.mean_risk is None else f"mean {self.mean_risk:.3f}, highest {max(self.risks):.3f}"
        routes = ", ".join(f"{name} {count}" for name, count in sorted(self.routes.items())) or "none"
        rows = (
            ("answers", f"{self.answers}, {self.hits} from the cache"),
            ("routes", routes),
            ("tokens", f"{self.input_tokens} in, {self.output_tokens} out, {self.saved_tokens} saved by hits"),
            ("spent", f"${self.spent_usd:.6f}{f', {self.unpriced} of unknown price' if self.unpriced else ''}"),
            ("saved", f"${self.saved_usd:.6f}"),
            ("risk", risk),
            ("receipts", str(len(self.receipts))),
        )
        return "\n".join(f"{name:<10}{value}" for name, value in rows)


class LEOEventHandler(BaseEventHandler):
    """Adds up LEO's events; safe to share between threads.

    As a context manager it hears everything that happens inside the block::

        with LEOEventHandler() as watch:
            engine.query("…")
        print(watch.summary())

    Otherwise give it to a dispatcher: ``get_dispatcher().add_event_handler(LEOEventHandler())``.
    """

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _totals: Counter[str] = PrivateAttr(default_factory=Counter)
    _dollars: dict[str, float] = PrivateAttr(default_factory=lambda: {"spent": 0.0, "saved": 0.0})
    _routes: Counter[str] = PrivateAttr(default_factory=Counter)
    _models: Counter[str] = PrivateAttr(default_factory=Counter)
    _risks: deque[float] = PrivateAttr(default_factory=lambda: deque(maxlen=MOST_KEPT))
    _receipts: deque[str] = PrivateAttr(default_factory=lambda: deque(maxlen=MOST_KEPT))

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return "LEOEventHandler"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take note of an event; those that are not LEO's are passed over."""
        with self._lock:
            match event:
                case LEORouteEvent():
                    self._add_answer(event)
                case LEOCacheHitEvent():
                    self._totals["saved_tokens"] += event.saved_input_tokens + event.saved_output_tokens
                case LEOVerifyEvent():
                    self._totals.update(verdicts=1, abstained=int(event.abstained))
                case LEOProofEvent():
                    self._receipts.append(event.receipt_id)
                case _:
                    pass

    def _add_answer(self, event: LEORouteEvent) -> None:
        self._totals.update(
            answers=1,
            hits=int(event.hit),
            unpriced=int(event.cost_usd is None),
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
        )
        self._dollars["spent"] += event.cost_usd or 0.0
        self._dollars["saved"] += event.saved_usd or 0.0
        self._routes[event.route] += 1
        self._models[event.model] += 1
        self._risks.append(event.risk)

    def summary(self) -> LEOSummary:
        """What happened so far."""
        names = (
            "answers", "hits", "verdicts", "abstained", "input_tokens", "output_tokens", "saved_tokens", "unpriced",
        )  # fmt: skip
        with self._lock:
            return LEOSummary(
                **{name: self._totals[name] for name in names},
                routes=dict(self._routes),
                models=dict(self._models),
                spent_usd=self._dollars["spent"],
                saved_usd=self._dollars["saved"],
                risks=tuple(self._risks),
                receipts=tuple(self._receipts),
            )

    def __enter__(self) -> Self:
        get_dispatcher().add_event_handler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = get_dispatcher()
        root.event_handlers = [handler for handler in root.event_handlers if handler is not self]
