"""Errors of an index server on their way to its client: a status of HTTP (RFC 9110) and a JSON object.

``{"error": name, "message": text, "check": name, "sequence": number}``, the last two where the error has them.
"""

from __future__ import annotations

import json
from typing import Any, Final

from leo_core import errors
from leo_core.errors import LEOError, PrivateIndexError, StorageError, StoreUnavailableError, WriteConflictError

__all__ = ["read_error", "write_error"]

_STATUS: Final = {
    "EnvelopeError": 400,
    "EnvelopeMacError": 400,
    "EnvelopeSizeError": 413,
    "ForeignAccountError": 403,
    "IndexAccessError": 401,
    "IndexQuotaError": 507,
    "ParametersError": 422,
    "ReplayedWriteError": 409,
    "StaleEvaluationKeyError": 410,
    "UnknownEvaluationKeyError": 404,
    "UnknownIndexError": 404,
    "WriteConflictError": 409,
}
_FAILED: Final = 500
_UNAVAILABLE: Final = frozenset({408, 429, 502, 503, 504})
_LONGEST: Final = 2000
_LAST: Final = 2**63 - 2
"""The number after it still fits into an envelope."""


def write_error(error: LEOError) -> tuple[int, bytes]:
    """Status and body for an error. Of one that is not about the request only its name is told."""
    name = type(error).__name__
    told: dict[str, Any] = {"error": name}
    if name in _STATUS:
        told["message"] = str(error)
    if isinstance(error, PrivateIndexError):
        told["check"] = error.check
    if isinstance(error, WriteConflictError):
        told["sequence"] = error.sequence
    return _STATUS.get(name, _FAILED), json.dumps(told).encode()


def read_error(status: int, body: bytes) -> LEOError:
    """The error behind a reply that is none of success.

    Returns:
        The server's own error; ``StoreUnavailableError`` where it may do better later; ``StorageError`` otherwise.
    """
    try:
        told = json.loads(body[: 16 * 1024])
        name, message = str(told.get("error")), str(told.get("message", ""))[:_LONGEST]
        check, sequence = str(told.get("check", "")), int(told.get("sequence", 0))
    except (ValueError, AttributeError, TypeError, RecursionError, OverflowError):
        name, message, check, sequence = "", "", "", 0
    if name == "WriteConflictError":
        return WriteConflictError(message, check=check, sequence=min(max(sequence, 0), _LAST))
    if name in _STATUS:
        kind: type[PrivateIndexError] = getattr(errors, name)
        return kind(message, check=check)
    if status in _UNAVAILABLE:
        return StoreUnavailableError(f"the index server is too busy or out (status {status}); try again later")
    return StorageError(f"the index server failed (status {status}{', ' + name if name in errors.__all__ else ''})")
