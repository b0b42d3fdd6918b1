"""What the arguments of the public classes may be: one rule for each name, the same wherever the name is used.

A rule says in words what an argument is, so that each error tells what to give instead. Values of arguments that may
be secrets are never shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from os import PathLike
from typing import Any, Final, Literal, get_args

from leo_core.config import LEOConfig
from leo_core.errors import ConfigError
from leo_core.ports import AnswerComparator, Model
from leo_core.records import Route, StreamPolicy

__all__ = ["check_argument", "check_arguments"]

_COMPARATORS: Final = ("canonical", "exact", "similarity")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an argument is.

    Attributes:
        words: In words, without ``None``.
        holds: Whether a value is that.
        kind: ``"secret"``: a value that is not must not be shown. ``"number"``, ``"switch"`` and ``"record"``: what
            pydantic reads from other values too.
    """

    words: str
    holds: Callable[[Any], bool]
    kind: Literal["", "number", "record", "secret", "switch"] = ""


def _is_number(value: Any, least: float, most: float, *, open_at: tuple[float, ...] = (), whole: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        return False
    figure: Any = value  # is compared as it is: a whole number may be longer than any float
    return -math.inf < figure < math.inf and least <= figure <= most and figure not in open_at


def _number(words: str, least: float = 0.0, most: float = math.inf, *, open_at: tuple[float, ...] = ()) -> _Rule:
    return _Rule(words, partial(_is_number, least=least, most=most, open_at=open_at), "number")


def _whole(words: str, least: float = -math.inf) -> _Rule:
    return _Rule(words, partial(_is_number, least=least, most=math.inf, whole=True), "number")


def _one_of(*known: str) -> _Rule:
    return _Rule(f"one of {', '.join(known)}", lambda value: isinstance(value, str) and value in known)


def _is_positive(value: Any) -> bool:
    """Whether it is a number above 0, which may be infinite."""
    return not isinstance(value, bool) and isinstance(value, Real) and float(value) > 0.0


def _has(method: str) -> Callable[[Any], bool]:
    return lambda value: callable(getattr(value, method, None))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_path(value: Any) -> bool:
    return _is_name(value) or isinstance(value, PathLike)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (_is_list(value) and isinstance(value, Collection) and all(map(_is_text, value)))


def _is_listeners(value: Any) -> bool:
    return _is_list(value) and isinstance(value, Collection) and all(map(_has("notify"), value))


def _is_cache(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value in {"exact", "renew"})


def _is_comparator(value: Any) -> bool:
    named = isinstance(value, str) and value in _COMPARATORS
    return named or isinstance(value, AnswerComparator | Model) or callable(value)


_SWITCH: Final = _Rule("True or False", lambda value: isinstance(value, bool), "switch")
_TEXT: Final = _Rule("a text", _is_text)
_NAME: Final = _Rule("a text that is not empty", _is_name)
_TEXTS: Final = _Rule("a text or a list of texts", _is_texts)
_SHARE: Final = _number("a share in [0, 1]", most=1.0)
_PROBABILITY: Final = _number("a probability in [0, 1]", most=1.0)
_SECONDS: Final = _number("seconds, at least 0")
_COUNT: Final = _whole("a whole number, at least 1", 1)

_RULES: Final[Mapping[str, _Rule]] = {
    "abstention": _TEXT,
    "agreement": _SHARE,
    "cache": _Rule("True, False, 'exact' or 'renew'", _is_cache),
    "checker": _Rule("a function of (request, answer)", callable),
    "comparator": _Rule(
        f"one of {', '.join(_COMPARATORS)}, a model, a function of (question, first, second), or an AnswerComparator",
        _is_comparator,
    ),
    "clock": _Rule(
        "an object with methods now() and monotonic()", lambda value: _has("now")(value) and _has("monotonic")(value)
    ),
    "config": _Rule("a LEOConfig", lambda value: isinstance(value, LEOConfig), "record"),
    "context_window": _COUNT,
    "dimension": _COUNT,
    "duplicate_cosine": _Rule("a cosine greater than 0", _is_positive, "number"),
    "embedder": _Rule(
        "a name like 'default', or an embedder of leo_core", lambda value: _is_name(value) or _has("embed")(value)
    ),
    "engine_seed": _whole("a whole number"),
    "entry_sources": _TEXTS,
    "entry_tags": _TEXTS,
    "family": _NAME,
    "hold_tokens": _SWITCH,
    "id": _NAME,
    "jury": _Rule("a list of members", _is_list),
    "lifetime": _Rule("a function of (request, message)", callable),
    "listeners": _Rule("a list of listeners, each with a method notify(event)", _is_listeners),
    "mark": _TEXT,
    "max_cost_usd": _number("US dollars, at least 0"),
    "max_error": _PROBABILITY,
    "max_injection_risk": _Rule("a risk greater than 0", _is_positive, "number"),
    "max_retries": _whole("a whole number, at least 0", 0),
    "max_risk": _PROBABILITY,
    "max_tokens": _COUNT,
    "max_wrong_hits": _number("a share in [0, 1), less than 1", most=1.0, open_at=(1.0,)),
    "namespace": _TEXT,
    "num_output": _COUNT,
    "options": _Rule("a mapping of options by name", _is_mapping),
    "prices": _Rule("a mapping of prices by the name of the model", _is_mapping),
    "route": _one_of(*(route.value for route in Route if route is not Route.CACHE)),
    "seal_key": _Rule("the path of a key file", _is_path, "secret"),
    "seed": _whole("a whole number"),
    "semantic": _SWITCH,
    "signing_key": _Rule(
        "a signing key, or the path of a key file", lambda value: _is_path(value) or _has("sign")(value), "secret"
    ),
    "single_flight_wait_s": _SECONDS,
    "stop": _TEXTS,
    "store": _Rule(
        "a path, ':memory:', or a store of leo_core", lambda value: _is_path(value) or _has("open_for")(value)
    ),
    "stream_policy": _one_of(*get_args(StreamPolicy)),
    "streaming": _SWITCH,
    "temperature": _number("a number, at least 0"),
    "tenant": _NAME,
    "timeout": _number("seconds, more than 0", open_at=(0.0,)),
    "tools": _Rule("a list of tools", _is_list),
    "top_n": _COUNT,
    "top_p": _SHARE,
    "ttl_s": _SECONDS,
    "use_cache": _Rule("True, False or 'exact'", lambda value: _is_cache(value) and value != "renew"),
}


def check_arguments(given: Mapping[str, object], *, owner: str, by_pydantic: bool = False) -> None:
    """Refuse values that an argument of that name cannot have; ``None`` and names without a rule pass.

    Args:
        given: Arguments by name.
        owner: Whose arguments they are, for the message.
        by_pydantic: Whether pydantic reads them afterwards: numbers that it reads from a text, switches, and records
            that it reads from a mapping are its business.

    Raises:
        ConfigError: A value is of the wrong type or outside its range; the message says what the argument is.
    """
    for name, value in given.items():
        rule = _RULES.get(name)
        if rule is None or value is None or (by_pydantic and _is_read(value, rule)):
            continue
        check_argument(name, value, owner=owner)


def check_argument(name: str, value: object, *, owner: str) -> None:
    """:func:`check_arguments` of one argument that is not ``None``.

    Raises:
        ConfigError: It is of the wrong type or outside its range.
    """
    rule = _RULES[name]
    if not rule.holds(value):
        shown = isinstance(value, str | int | float) and rule.kind != "secret"
        message = f"{owner}: {name} is {rule.words}, not {repr(value) if shown else type(value).__name__}"
        raise ConfigError(message)


def _is_read(value: object, rule: _Rule) -> bool:
    return (
        rule.kind == "switch"
        or (rule.kind == "number" and isinstance(value, str))
        or (rule.kind == "record" and isinstance(value, Mapping))
    )
