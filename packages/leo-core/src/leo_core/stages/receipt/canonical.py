"""Exact bytes: canonical JSON (RFC 8785) and fixed-point decimals.

A statement holds no JSON floats: every figure is a string with :data:`DECIMALS` decimals, so that two
implementations cannot disagree about its bytes. Contents that are only committed to (a prompt, an answer, a
policy) may hold anything that JSON has; :func:`content_bytes` states what becomes of what RFC 8785 cannot carry.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

import rfc8785

from leo_core.errors import ReceiptError

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = [
    "DECIMALS",
    "LIMIT",
    "canonical_bytes",
    "checked_bytes",
    "content_bytes",
    "fixed",
    "fixed_or_none",
    "parse_canonical",
    "rfc3339",
]

DECIMALS = 9
"""Decimals of every figure in a statement."""

LIMIT = 10**15
"""Figures of a statement are smaller than this in size."""

_QUANTUM = Decimal(1).scaleb(-DECIMALS)
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_FORMAT = f"%.{DECIMALS}f"
_LESS_THAN_NOTHING = _FORMAT % -0.0
_SAFE_INTEGER = 2**53
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))


def fixed(value: float | Decimal) -> str:
    """The figure as a string with :data:`DECIMALS` decimals, rounded half to even from its exact binary value.

    Args:
        value: A finite number in (-:data:`LIMIT`, :data:`LIMIT`).

    Raises:
        ReceiptError: The value is not finite, is out of range, or is no number (``check="figure"``).
    """
    if type(value) is float:  # nearly every figure
        return _fixed_float(value)
    if isinstance(value, bool):
        message = f"{value!r} is not a figure"
        raise ReceiptError(message, check="figure")
    if not isinstance(value, Decimal):
        return _fixed_float(float(value))
    exact = value
    if not exact.is_finite() or exact.copy_abs() >= LIMIT:
        message = f"a figure must be finite and below 1e15 in size, got {value!r}"
        raise ReceiptError(message, check="figure")
    rounded = exact.quantize(_QUANTUM, context=_CONTEXT)
    return f"{rounded:f}" if rounded else f"{rounded.copy_abs():f}"


def _fixed_float(value: float) -> str:
    """:func:`fixed` of a float, which Python's own formatting rounds from the exact value, half to even."""
    if not -LIMIT < value < LIMIT:
        message = f"a figure must be finite and below 1e15 in size, got {value!r}"
        raise ReceiptError(message, check="figure")
    text = _FORMAT % value
    return text[1:] if text == _LESS_THAN_NOTHING else text


def fixed_or_none(value: float | None) -> str | None:
    """:func:`fixed`, with ``None`` and the infinite bound (no bound at all) left as ``None``."""
    if value is None or value == math.inf:
        return None
    return fixed(value)


def rfc3339(instant: float) -> str:
    """The instant (seconds since the epoch) as RFC 3339 in UTC with microseconds.

    Raises:
        ReceiptError: No instant of the years 1 to 9999 (``check="figure"``).
    """
    try:
        moment = dt.datetime.fromtimestamp(instant, tz=dt.UTC)
    except (OverflowError, OSError, ValueError) as error:
        message = f"{instant!r} is no instant"
        raise ReceiptError(message, check="figure") from error
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical_bytes(statement: Json) -> bytes:
    """RFC 8785 bytes of a statement.

    Raises:
        ReceiptError: The statement holds a float, an integer beyond ±(2^53 - 1), a lone surrogate or anything
            that is not JSON (``check="canonical"``).
    """
    if _is_simple(statement):  # so it holds no floats either
        return _ENCODER.encode(statement).encode()
    _refuse_floats(statement)
    try:
        return rfc8785.dumps(statement)
    except (rfc8785.CanonicalizationError, AttributeError, TypeError, UnicodeEncodeError) as error:
        message = "the statement cannot be written as canonical JSON (RFC 8785)"
        raise ReceiptError(message, check="canonical") from error


def checked_bytes(value: Json) -> bytes:
    """:func:`canonical_bytes` of a value in which each name is ASCII and no number is a float or beyond 53 bits.

    That is to be known of it, as it is of a statement whose form was checked.

    Raises:
        ReceiptError: As for :func:`canonical_bytes`.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, UnicodeEncodeError):  # a mapping that is no dict, a lone surrogate
        return canonical_bytes(value)


def parse_canonical(data: bytes) -> Json:
    """The JSON value whose canonical bytes these are.

    Raises:
        ReceiptError: They are not JSON, or not its one canonical spelling (``check="canonical"``).
    """
    try:
        value = json.loads(data)
        same = canonical_bytes(value) == data
    except (ValueError, RecursionError) as error:
        message = "the bytes are not JSON"
        raise ReceiptError(message, check="canonical") from error
    if not same:
        message = "the bytes are JSON, but not in the canonical form of RFC 8785"
        raise ReceiptError(message, check="canonical")
    return value


def content_bytes(content: Json) -> bytes:
    r"""RFC 8785 bytes of something that is committed to, total over what Python's ``json`` can read.

    What RFC 8785 cannot carry is written as a string: a lone surrogate as its escape (``\ud800``), an integer
    beyond ±(2^53 - 1) and a number that is not finite as their decimal form.

    Raises:
        ReceiptError: The content is not JSON (``check="content"``).
    """
    if _is_simple(content):
        return _ENCODER.encode(content).encode()
    return rfc8785.dumps(_plain(content))


def _is_simple(value: Json) -> bool:
    """Whether Python's encoder writes the bytes of RFC 8785, as it does many times faster.

    So it is where names sort the same by code points as by UTF-16 units, numbers are safe integers, and every part is
    exactly what JSON has.
    """
    kind = type(value)
    if kind is str:
        return value.isascii() or _is_encodable(value)
    if kind is dict:
        names = all(type(name) is str and name.isascii() for name in value)
        return names and all(map(_is_simple, value.values()))
    if kind is list:
        return all(map(_is_simple, value))
    return value is None or kind is bool or (kind is int and -_SAFE_INTEGER < value < _SAFE_INTEGER)


def _is_encodable(text: str) -> bool:
    """Whether there are no lone surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _refuse_floats(value: Json) -> None:
    if isinstance(value, float):
        message = "a statement holds no floats; write figures with fixed()"
        raise ReceiptError(message, check="canonical")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def _plain(value: Json) -> Json:
    """The value with only what RFC 8785 can carry."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return int(value) if abs(value) < _SAFE_INTEGER else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(item) for item in value]
    message = f"a {type(value).__name__} is not JSON and cannot be committed to"
    raise ReceiptError(message, check="content")


def _name(key: Json) -> str:
    if not isinstance(key, str):
        message = f"a {type(key).__name__} is not the name of a JSON member"
        raise ReceiptError(message, check="content")
    return key.encode("utf-8", "backslashreplace").decode()
