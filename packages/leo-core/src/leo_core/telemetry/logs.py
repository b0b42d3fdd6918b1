"""Structured logs: one record for each request, in the standard library's logging."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from leo_core.records import Answer
from leo_core.telemetry.facts import answer_facts, error_type, event_facts
from leo_core.telemetry.pseudonyms import Pseudonyms
from leo_core.telemetry.tracer import Span

if TYPE_CHECKING:
    from leo_core.records import Event, Request
    from leo_core.telemetry.pseudonyms import Naming
    from leo_core.telemetry.tracer import Outcome

__all__ = ["JsonFormatter", "LogListener"]

_ALARMS: Final = frozenset({
    "background.closed", "budget.exceeded", "budget.expired", "cache.poisoned", "checker.failed", "circuit.opened",
    "comparator.failed", "embedder.failed", "journal.altered", "journal.failed", "ledger.failed", "receipt.failed",
    "risk.drifted", "route.demoted", "store.dropped", "store.failed", "trust.alarm",
})  # fmt: skip
"""Events that a person should see, whatever came of the request."""


class LogListener:
    """Logs one record for each request, and one for each event that somebody should see.

    A record's message is short and its facts are in ``record.leo``: a formatter of structured logs finds them there
    (:class:`JsonFormatter`, or python-json-logger, or an OpenTelemetry handler). There is no text of a request among
    them. An answered request is logged at ``INFO``, a failed one and an event at ``WARNING``.

    Args:
        logger: Where; by default ``logging.getLogger("leo.requests")``.
        names: How tenants are named: ``"none"``, ``"hashed"`` or ``"plain"``.
        names_key: The key of hashed names, 16 to 64 bytes.

    Raises:
        ConfigError: ``names`` is unknown, or the key is too short or too long.
    """

    def __init__(
        self, logger: logging.Logger | None = None, *, names: Naming = "none", names_key: bytes | None = None
    ) -> None:
        self._logger = logger or logging.getLogger("leo.requests")
        self._names = Pseudonyms(names, names_key)

    def begin_request(self, request: Request, *, stream: bool) -> Span:
        """Remember what is told of a request when it has ended."""
        tenant = self._names.write(request.tenant)
        facts = {"leo.stream": stream, **({} if tenant is None else {"leo.tenant": tenant})}
        return _RequestRecord(self._logger, facts)

    def notify(self, event: Event) -> None:
        """Log an event that somebody should see."""
        if event.name in _ALARMS:
            facts = {f"leo.{name}": value for name, value in event_facts(event).items()}
            self._logger.warning("%s", event.name, extra={"leo": {"leo.event": event.name, **facts}})


class _RequestRecord(Span):
    """The record of a request, to be."""

    __slots__ = ("_facts", "_logger")

    def __init__(self, logger: logging.Logger, facts: dict[str, Any]) -> None:
        self._logger, self._facts = logger, facts

    def begin_call(self, *_: object, **__: object) -> Span:
        return Span()

    def end(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            self._logger.info("request answered", extra={"leo": {**self._facts, **answer_facts(outcome)}})
        else:
            facts = {**self._facts, "error.type": error_type(outcome)}
            self._logger.warning("request not answered", extra={"leo": facts})


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: ``time``, ``level``, ``logger``, ``message``, and LEO's facts beside them.

    Of an exception it writes the class alone, since a message may quote what was asked.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = getattr(record, "leo", None)
        if isinstance(facts, dict):
            line.update(facts)
        if record.exc_info and record.exc_info[0] is not None:
            line["error.type"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False, default=str)
