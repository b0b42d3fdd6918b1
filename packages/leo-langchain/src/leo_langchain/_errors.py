"""Errors of providers' SDKs in LEO's tree.

LangChain's members raise the errors of many SDKs, none of which this package imports. They have in common an HTTP
status, or a name that says what happened.
"""

from __future__ import annotations

from collections.abc import Mapping

from leo_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    LEOError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.providers.sdk_errors import read_retry_after

__all__ = ["translate_error"]

_BY_STATUS: dict[int, type[ProviderError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: InvalidRequestError,
    408: ProviderTimeoutError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    504: ProviderTimeoutError,
}
_BY_NAME: tuple[tuple[str, type[ProviderError]], ...] = (
    ("timeout", ProviderTimeoutError),
    ("ratelimit", RateLimitError),
    ("quota", RateLimitError),
    ("authentication", AuthenticationError),
    ("permissiondenied", AuthenticationError),
    ("connect", ProviderUnavailableError),
    ("unavailable", ProviderUnavailableError),
    ("protocolerror", ProviderUnavailableError),
    ("readerror", ProviderUnavailableError),
    ("badrequest", InvalidRequestError),
    ("contextoverflow", InvalidRequestError),
    ("invalidrequest", InvalidRequestError),
)
_FIRST_SERVER_ERROR = 500


def translate_error(error: Exception, *, provider: str, model: str) -> LEOError:
    """The error of LEO's tree that says what happened; ``raise`` it ``from`` the original.

    The HTTP response of the original, where it has one, hangs on the new error too, because LangChain shows it to
    tracers. The message names the original's class only: its text may quote the prompt.
    """
    if isinstance(error, LEOError):
        return error
    kind = _kind_of(error)
    translated = kind(
        f"{provider} model {model!r} failed ({type(error).__module__.partition('.')[0]}.{type(error).__name__}"
        f"{_status_in_words(error)})",
        provider=provider,
        model=model,
        retry_after_s=_retry_after(error),
    )
    response = getattr(error, "response", None)
    if response is not None:
        translated.response = response  # type: ignore[attr-defined]  # read by langchain-core
    return translated


def _kind_of(error: Exception) -> type[ProviderError]:
    status = _status_of(error)
    if status is not None:
        return _BY_STATUS.get(status) or (
            ProviderUnavailableError if status >= _FIRST_SERVER_ERROR else InvalidRequestError
        )
    if isinstance(error, TimeoutError):
        return ProviderTimeoutError
    if isinstance(error, ConnectionError):
        return ProviderUnavailableError
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    return next((kind for part, kind in _BY_NAME if any(part in name for name in names)), ProviderError)


def _status_of(error: Exception) -> int | None:
    places = (error, getattr(error, "response", None))
    found = (getattr(place, name, None) for place in places for name in ("status_code", "http_status", "code"))
    return next((status for status in found if isinstance(status, int) and 400 <= status < 600), None)  # noqa: PLR2004 - HTTP's own borders


def _status_in_words(error: Exception) -> str:
    status = _status_of(error)
    return "" if status is None else f", status {status}"


def _retry_after(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return read_retry_after(headers) if isinstance(headers, Mapping) else None
