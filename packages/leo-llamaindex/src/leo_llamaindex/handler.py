"""What was spent, saved and found out while a handler watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr

from leo_core.adapting.settings import refuse_unknown
from leo_core.adapting.summary import Summary
from leo_core.adapting.tally import Tally
from leo_llamaindex.events import LEOCacheHitEvent, LEOProofEvent, LEORouteEvent, LEOVerifyEvent

if TYPE_CHECKING:
    from llama_index.core.instrumentation.events import BaseEvent

__all__ = ["LEOEventHandler", "LEOSummary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LEOSummary(Summary):
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
    verdicts: int = 0
    abstained: int = 0
    saved_tokens: int = 0

    def _answer_rows(self) -> list[tuple[str, str]]:
        return [
            ("answers", f"{self.answers}, {self.hits} from the cache, which saved {self.saved_tokens} tokens"),
            ("verdicts", f"{self.verdicts}, {self.abstained} abstained"),
        ]


class LEOEventHandler(BaseEventHandler):
    """Adds up LEO's events; safe to share between threads.

    As a context manager it hears everything that happens inside the block::

        with LEOEventHandler() as watch:
            engine.query("…")
        print(watch.summary())

    Otherwise give it to a dispatcher: ``get_dispatcher().add_event_handler(LEOEventHandler())``.
    """

    _tally: Tally = PrivateAttr(default_factory=Tally)

    def __init__(self, **settings: Any) -> None:
        """Refuse an argument: there are none."""
        refuse_unknown(settings, type(self).model_fields, owner="LEOEventHandler")
        super().__init__(**settings)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return "LEOEventHandler"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take note of an event; those that are not LEO's are passed over."""
        match event:
            case LEORouteEvent():
                self._add_answer(event)
            case LEOCacheHitEvent():
                self._tally.count(saved_tokens=event.saved_input_tokens + event.saved_output_tokens)
            case LEOVerifyEvent():
                self._tally.count(verdicts=1, abstained=int(event.abstained))
            case LEOProofEvent():
                self._tally.add_receipt(event.receipt_id)
            case _:
                pass

    def _add_answer(self, event: LEORouteEvent) -> None:
        self._tally.add_answer(
            route=event.route,
            model=event.model,
            hit=event.hit,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            cost_usd=event.cost_usd,
            saved_usd=event.saved_usd,
            risk=event.risk,
            answers=1,
        )

    def summary(self) -> LEOSummary:
        """What happened so far."""
        return LEOSummary(**self._tally.figures("answers", "verdicts", "abstained", "saved_tokens"))

    def __enter__(self) -> Self:
        get_dispatcher().add_event_handler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = get_dispatcher()
        root.event_handlers = [handler for handler in root.event_handlers if handler is not self]
