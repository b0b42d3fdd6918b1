"""The exact form of a statement, as a check and as JSON Schema.

A form raises :class:`ReceiptError` with the path of the first wrong field. Objects have exactly the fields that are
named here: what a verifier does not understand it does not accept.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, get_args

from leo_core.errors import ReceiptError
from leo_core.records import Route, StreamPolicy

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = [
    "ALGORITHMS",
    "LOG_FIELDS",
    "STATEMENT_VERSION",
    "check_coherence",
    "check_failures",
    "check_meaning",
    "check_statement",
    "check_verdict",
    "statement_schema",
]

STATEMENT_VERSION = 1
"""Version of the form of a statement."""

ALGORITHMS: Mapping[str, str] = {
    "canonical": "RFC8785",
    "figures": "decimal-9-half-even",
    "commitment": "SHA256/leo-commitment-1",
    "envelope": "DSSEv1",
    "signature": "Ed25519",
    "log": "RFC6962-SHA256",
    "vote": "sum-of-log-odds/1",
    "posterior": "softmax/1",
    "margin": "heaviest-supporters-switch/1",
    "coherence": "group-huber-duality-gap/1",
    "audit": "HMAC-SHA256/leo-audit-draw-1",
}
"""Names of the algorithms that a statement of this version stands on."""

_FIGURE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{9}")
_PROBABILITY = re.compile(r"0\.[0-9]{9}|1\.0{9}")
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]{0,99}Error")
_HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_MOST = 2**53 - 1
_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "calls")
_NOTHING = "0.000000000"
_ROUNDING = Decimal("0.000000001")
"""By how much the rounding of one cost can shift a sum."""


class _MisfitError(Exception):
    """A value that does not look as it has to. Never leaves this module.

    Attributes:
        expected: What it is not.
        path: Where it is, from where the error was met; put together on the way up.
    """

    def __init__(self, expected: str, path: str) -> None:
        super().__init__(expected)
        self.expected, self.path = expected, path


def _misfit(expected: str, path: str = "") -> _MisfitError:
    return _MisfitError(expected, path)


def _seen_from(above: str, error: _MisfitError) -> _MisfitError:
    """The error with the path from one level further up."""
    error.path = above + error.path if error.path[:1] in {"", "["} else f"{above}.{error.path}"
    return error


@dataclass(frozen=True, slots=True)
class Form:
    """What a value has to look like.

    Attributes:
        check: Raises an error for a value that does not, which :meth:`__call__` tells of.
        schema: The same as JSON Schema, as far as that can say it.
    """

    check: Callable[[Json], None]
    schema: Mapping[str, Json]

    def __call__(self, value: Json) -> None:
        """Check a value.

        Raises:
            ReceiptError: It does not fit.
        """
        try:
            self.check(value)
        except _MisfitError as error:
            raise _refuse(error.path, error.expected) from None


def _refuse(path: str, expected: str) -> ReceiptError:
    return ReceiptError(f"the statement's {path or 'top level'} is not {expected}", check="statement")


def _matching(pattern: re.Pattern[str], expected: str) -> Form:
    matches = pattern.fullmatch

    def check(value: Json) -> None:
        if not isinstance(value, str) or not matches(value):
            raise _misfit(expected)

    return Form(check, {"type": "string", "pattern": f"^(?:{pattern.pattern})$"})


def _check_text(value: Json) -> None:
    if not isinstance(value, str):
        raise _misfit(expected="a string")


def _check_flag(value: Json) -> None:
    if not isinstance(value, bool):
        raise _misfit(expected="true or false")


def _integer(least: int) -> Form:
    def check(value: Json) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
            raise _misfit(expected=f"an integer from {least}")

    return Form(check, {"type": "integer", "minimum": least, "maximum": _MOST})


def _one_of(*allowed: Json) -> Form:
    words = frozenset(item for item in allowed if isinstance(item, str))

    def check(value: Json) -> None:
        if not (value in words if isinstance(value, str) else any(value is item for item in allowed)):
            raise _misfit(expected=f"one of {', '.join(map(str, allowed))}")

    return Form(check, {"enum": list(allowed)})


def _constant(expected: Json) -> Form:
    kind = type(expected)

    def check(value: Json) -> None:
        if type(value) is not kind or value != expected:
            raise _misfit(expected=repr(expected))

    return Form(check, {"const": expected})


def _check_probability(value: Json) -> None:
    if not isinstance(value, str) or not _PROBABILITY.fullmatch(value):
        _figure.check(value)
        raise _misfit(expected="a probability")


def _optional(inner: Form) -> Form:
    fits = inner.check

    def check(value: Json) -> None:
        if value is not None:
            fits(value)

    return Form(check, {"anyOf": [{"type": "null"}, inner.schema]})


def _list(inner: Form, *, length: int | None = None) -> Form:
    fits = inner.check

    def check(value: Json) -> None:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise _misfit(expected="a list" if length is None else f"a list of {length}")
        position = 0
        try:
            for item in value:
                fits(item)
                position += 1
        except _MisfitError as error:
            raise _seen_from(above=f"[{position}]", error=error) from None

    size = {} if length is None else {"minItems": length, "maxItems": length}
    return Form(check, {"type": "array", "items": inner.schema, **size})


def _object(**fields: Form) -> Form:
    return _object_of(fields)


def _object_of(fields: Mapping[str, Form], may_lack: tuple[str, ...] = ()) -> Form:
    checks = [(name, inner.check) for name, inner in fields.items()]

    def check(value: Json) -> None:
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _misfit(expected="an object")
        if value.keys() != fields.keys():
            for name in sorted((fields.keys() ^ value.keys()) - ({*may_lack} - value.keys())):
                raise _misfit(expected="there" if name in fields else "known", path=name)
        name = ""
        try:
            for name, fits in checks:
                if name in value:
                    fits(value[name])
        except _MisfitError as error:
            raise _seen_from(name, error) from None

    properties = {name: inner.schema for name, inner in fields.items()}
    required = [name for name in fields if name not in may_lack]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Form(check, schema)


_text = Form(_check_text, {"type": "string"})
_flag = Form(_check_flag, {"type": "boolean"})
_probability = Form(_check_probability, {"type": "string", "pattern": f"^(?:{_PROBABILITY.pattern})$"})
_time = Form(
    _matching(_TIME, "an instant of RFC 3339 in UTC").check,
    {"type": "string", "pattern": f"^(?:{_TIME.pattern})$", "format": "date-time"},
)
_figure = _matching(_FIGURE, "a figure with 9 decimals")
_hash = _matching(_HASH, "a SHA-256 in hex")
_class = _matching(_CLASS, "the name of an error")
_count = _integer(0)
_maybe_figure = _optional(_figure)
_maybe_probability = _optional(_probability)
_route = _one_of(*(route.value for route in Route))
_way = _one_of(*(route.value for route in Route if route is not Route.CACHE))
_side = _one_of("router", *(route.value for route in Route if route is not Route.CACHE))
_usage = _object(
    input_tokens=_count,
    output_tokens=_count,
    cached_input_tokens=_count,
    reasoning_tokens=_count,
    calls=_count,
    cost_usd=_maybe_figure,
)
_interval = _list(_probability, length=2)
_coherence = _object(
    value=_figure,
    optimum=_figure,
    iterations=_count,
    primal_residual=_figure,
    dual_residual=_figure,
    converged=_flag,
    certificate=_optional(
        _object(kappa=_figure, gram=_list(_figure), centre=_list(_figure), orthogonal_centre=_list(_figure))
    ),
)

LOG_FIELDS: Form = _object(origin=_text, previous_size=_count)
"""Form of the part that the log fills in."""

_FIELDS: dict[str, Form] = {
    "version": _constant(STATEMENT_VERSION),
    "algorithms": _object(**{name: _constant(value) for name, value in ALGORITHMS.items()}),
    "answer_id": _text,
    "tenant": _hash,
    "commitments": _object(
        request=_hash, question=_hash, answer=_hash, identity=_hash, route_why=_hash, cache_why=_hash
    ),
    "members": _list(_object(member=_text, model=_optional(_text), draft=_optional(_hash))),
    "failures": _list(
        _object(
            member=_text,
            outcome=_one_of("failed", "skipped", "abandoned", "abstained"),
            error=_class,
            attempt=_integer(1),
            hedge=_flag,
            latency_s=_figure,
            usage=_usage,
        )
    ),
    "served": _object(route=_route, model=_text, finish_reason=_text),
    "constraints": _object(
        max_error=_maybe_figure,
        max_cost_usd=_maybe_figure,
        max_latency_s=_maybe_figure,
        route=_optional(_route),
        cache=_one_of(True, False, "exact", "renew"),  # noqa: FBT003 - the values that are allowed, side by side
    ),
    "route": _object(
        chosen=_route,
        explored=_flag,
        options=_list(
            _object(
                route=_route,
                expected_cost_usd=_maybe_figure,
                expected_error=_maybe_figure,
                objective=_maybe_figure,
                feasible=_flag,
            )
        ),
        promotion=_optional(_object(route=_route, since=_time, wealth=_figure, alpha=_probability)),
        trial=_optional(_object(challenger=_side, incumbent=_way, paired=_flag, chance=_probability)),
        request_risk=_optional(
            _object(
                small_wrong=_probability,
                small_wrong_interval=_interval,
                harmful=_probability,
                categories=_list(_object(category=_text, probability=_probability)),
            )
        ),
    ),
    "cache": _object(
        action=_one_of("serve", "explore", "miss", "off"),
        kind=_one_of("", "exact", "semantic"),
        entry_id=_optional(_text),
        cosine=_maybe_figure,
        probability=_maybe_probability,
        error_bound=_maybe_figure,
        allowance=_maybe_figure,
        trust=_maybe_probability,
        margin=_maybe_figure,
    ),
    "novelty": _object(
        value=_maybe_probability, entropy=_figure, deviation=_maybe_figure, region=_integer(-1), samples=_count
    ),
    "coherence": _optional(_coherence),
    "verdict": _optional(
        _object(
            winner=_integer(-1),
            classes=_list(_hash),
            posterior=_list(_probability),
            votes=_list(
                _object(
                    **{"member": _text, "class": _count, "weight": _figure, "trust": _probability, "outlier": _flag}
                )
            ),
            certified_margin=_count,
            medoid=_integer(-1),
            abstained=_flag,
            confidence=_probability,
            required=_probability,
            quorum=_count,
        )
    ),
    "sigma": _probability,
    "risk": _object(
        value=_probability,
        interval=_interval,
        action=_one_of("accept", "escalate", "abstain"),
        accepted=_optional(_probability),
        basis=_one_of("shipped", "audited", "conservative"),
    ),
    "trust": _list(_object(member=_text, alpha=_figure, beta=_figure, mean=_probability)),
    "audit": _object(rate=_probability, chance=_probability, seed=_hash),
    "usage": _usage,
    "saved": _usage,
    "latency_s": _figure,
    "own_s": _figure,
    "source_receipt": _optional(_text),
    "time": _time,
    "policy": _hash,
    "lcs": _list(
        _object(name=_text, value=_optional(_text), relation=_one_of("<=", ">=", ">", "="), bound=_optional(_text))
    ),
    "personal_data": _object(
        mode=_one_of("detect", "redact", "reversible"), found=_list(_object(kind=_text, count=_integer(1)))
    ),
    "stream": _object(
        policy=_one_of(*get_args(StreamPolicy)),
        corrected=_optional(_object(reason=_one_of("overruled", "interrupted"), member=_text, shown=_hash)),
    ),
    "log": LOG_FIELDS,
}
_STATEMENT = _object_of(_FIELDS, may_lack=("personal_data", "stream"))


def check_statement(statement: Json) -> None:
    """Check form, ranges and references of a completed statement.

    Raises:
        ReceiptError: The first field that is wrong (``check="statement"``).
    """
    _STATEMENT(statement)
    check_meaning(statement)


def check_meaning(statement: Mapping[str, Json]) -> None:
    """Check ranges, instants and references of what has the form of a completed statement.

    Raises:
        ReceiptError: The first field that is wrong (``check="statement"``).
    """
    _check_instant(statement["time"], path="time")
    for position, trust in enumerate(statement["trust"]):
        for name in ("alpha", "beta"):
            if trust[name].startswith("-") or not trust[name].strip("0."):
                raise _refuse(path=f"trust[{position}].{name}", expected="positive")
    promotion = statement["route"]["promotion"]
    if promotion is not None:
        _check_instant(promotion["since"], path="route.promotion.since")
        if not promotion["alpha"].strip("0."):
            raise _refuse(path="route.promotion.alpha", expected="positive")
    if statement["verdict"] is not None:
        check_verdict(statement["verdict"])
    check_coherence(statement)
    check_failures(statement)
    stream = statement.get("stream")
    if stream is not None and stream["corrected"] is not None and stream["policy"] != "optimistic":
        raise _refuse(path="stream.corrected", expected="null: nothing was shown that could be corrected")


def _check_instant(text: str, path: str) -> None:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        raise _refuse(path, expected="an instant that exists") from None


def statement_schema() -> dict[str, Json]:
    """The form of a completed statement as JSON Schema (draft 2020-12).

    What it cannot say is checked by :func:`check_statement` and by the verifier: that indices point at something, that
    a certificate has a figure for every vote and pair, that the instant exists, and all that is derived again.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:leo:receipt-statement:{STATEMENT_VERSION}",
        "title": f"LEO receipt statement, version {STATEMENT_VERSION}",
        **_STATEMENT.schema,
    }


def check_coherence(statement: Mapping[str, Json]) -> None:
    """Check that a coherence belongs to a verdict, and that its certificate has a figure for every vote and pair.

    Raises:
        ReceiptError: It does not (``check="statement"``).
    """
    coherence, verdict = statement["coherence"], statement["verdict"]
    if coherence is None:
        return
    if verdict is None:
        raise _refuse(path="coherence", expected="about a verdict")
    certificate, votes = coherence["certificate"], len(verdict["votes"])
    if certificate is None:
        return
    lengths = {"gram": votes * (votes - 1) // 2, "centre": votes, "orthogonal_centre": votes}
    for name, length in lengths.items():
        if len(certificate[name]) != length:
            raise _refuse(path=f"coherence.certificate.{name}", expected=f"a list of {length}")
    if certificate["kappa"].startswith("-") or not certificate["kappa"].strip("0."):
        raise _refuse(path="coherence.certificate.kappa", expected="positive")


def check_failures(statement: Mapping[str, Json]) -> None:
    """Check that calls without a draft are counted as they must be.

    Only a copy of a hedged call that was abandoned has a usage, and the answer's usage holds it. A cost that is unknown
    makes the answer's cost unknown.

    Raises:
        ReceiptError: They are not (``check="statement"``).
    """
    failures, total = statement["failures"], statement["usage"]
    for position, failure in enumerate(failures):
        if failure["latency_s"].startswith("-"):
            raise _refuse(path=f"failures[{position}].latency_s", expected="0 or more")
        used = any(failure["usage"][name] for name in _COUNTS) or failure["usage"]["cost_usd"] != _NOTHING
        if used and failure["outcome"] != "abandoned":
            raise _refuse(path=f"failures[{position}].usage", expected="that of a call that was not paid for")
    for name in _COUNTS:
        if sum(failure["usage"][name] for failure in failures) > total[name]:
            raise _refuse(path=f"usage.{name}", expected="at least that of the abandoned calls")
    costs = [failure["usage"]["cost_usd"] for failure in failures]
    if total["cost_usd"] is not None and (
        None in costs or sum(map(Decimal, costs), Decimal()) > Decimal(total["cost_usd"]) + _ROUNDING * len(costs)
    ):
        raise _refuse(path="usage.cost_usd", expected="at least that of the abandoned calls")


def check_verdict(verdict: Mapping[str, Json]) -> None:
    """Check that the indices of a verdict point at something, and that it lacks a winner only if it abstained.

    Raises:
        ReceiptError: They do not (``check="statement"``).
    """
    classes, votes = len(verdict["classes"]), verdict["votes"]
    if not classes or len(verdict["posterior"]) != classes:
        raise _refuse(path="verdict.posterior", expected="one share per class, of at least one class")
    if any(vote["class"] >= classes or vote["weight"].startswith("-") for vote in votes):
        raise _refuse(path="verdict.votes", expected="votes of weight 0 or more for classes that exist")
    if verdict["abstained"] != (verdict["winner"] == -1) or verdict["winner"] >= classes:
        raise _refuse(path="verdict.winner", expected="a class, or -1 when it abstained")
    if not -verdict["abstained"] <= verdict["medoid"] < len(votes):
        raise _refuse(path="verdict.medoid", expected="a vote")
