"""Errors of the providers' SDKs in our own tree.

Both SDKs come from one generator and share the shape of their errors, so one translation reads it: by status, by the
``type`` in the provider's error body, and by the class's name. Messages name the provider, the model and the
provider's own error code; the provider's text, which may quote the prompt or a part of the key, stays in
``__cause__``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from leo_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    LEOError,
    MalformedReplyError,
    MissingExtraError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.providers.names import nearest_models

__all__ = ["read_retry_after", "sdk_errors", "translate_sdk_error"]

_BY_STATUS: Final[Mapping[int, type[ProviderError]]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    408: ProviderTimeoutError,
    409: ProviderUnavailableError,
    425: ProviderUnavailableError,
    429: RateLimitError,
}
_BY_TYPE: Final[Mapping[str, type[ProviderError]]] = {
    "authentication_error": AuthenticationError,
    "permission_error": AuthenticationError,
    "rate_limit_error": RateLimitError,
    "rate_limit_exceeded": RateLimitError,
    "timeout_error": ProviderTimeoutError,
    "invalid_request_error": InvalidRequestError,
    "not_found_error": InvalidRequestError,
    "request_too_large": InvalidRequestError,
}
_KEYS: Final[Mapping[str, str]] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_TRANSPORTS: Final = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "anyio", "h11", "h2", "ssl"})
_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError)


@contextmanager
def sdk_errors(provider: str, model: str) -> Iterator[None]:
    """Translate every error that leaves the block."""
    try:
        yield
    except LEOError:
        raise
    except ImportError as error:
        raise MissingExtraError(provider, f"asking the model {model!r}") from error
    except Exception as error:
        raise translate_sdk_error(error, provider=provider, model=model) from error


def translate_sdk_error(error: Exception, *, provider: str, model: str) -> ProviderError:
    """The error of our tree that says what an SDK's error says."""
    names = {kind.__name__ for kind in type(error).__mro__}
    kind, what = _classify(error, names)
    detail = _detail(error)
    message = f"{provider}, model {model!r}: {what}{f' ({detail})' if detail else ''}{_advise(error, provider, model)}"
    return kind(message, provider=provider, model=model, retry_after_s=read_retry_after(_headers(error)))


def _classify(error: Exception, names: set[str]) -> tuple[type[ProviderError], str]:  # noqa: PLR0911 - one per kind
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:  # noqa: PLR2004 - HTTP's own border
        return _by_status(status), f"answered with status {status}"
    if names & {"APITimeoutError", "TimeoutException"} or isinstance(error, TimeoutError):
        return ProviderTimeoutError, "no answer within the time allowed"
    if names & {"APIResponseValidationError", "DecodingError", "JSONDecodeError", "ValidationError"}:
        return MalformedReplyError, "the reply is not what the protocol promises"
    if _error_body(error):
        return _BY_TYPE.get(_error_body(error).get("type", ""), ProviderUnavailableError), "failed inside the stream"
    transport = {kind.__module__.partition(".")[0] for kind in type(error).__mro__} & _TRANSPORTS
    if "APIConnectionError" in names or transport or isinstance(error, OSError):
        return ProviderUnavailableError, f"the connection failed ({type(error).__name__})"
    if isinstance(error, _UNREADABLE):
        return MalformedReplyError, f"the reply is not what the protocol promises ({type(error).__name__})"
    return ProviderUnavailableError, f"failed ({type(error).__name__})"


def _advise(error: Exception, provider: str, model: str) -> str:
    """What to do where the key or the model's name is refused; empty for every other error."""
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        variable = _KEYS.get(provider)
        return "; check the key: api_key=…" + (f" or the environment variable {variable}" if variable else "")
    if status == 404:  # noqa: PLR2004 - HTTP's own number
        known = [name for name in nearest_models(model) if name != model]
        return "; check the model's name" + (f": near it are {', '.join(known)}" if known else "")
    return ""


def _by_status(status: int) -> type[ProviderError]:
    if status >= 500:  # noqa: PLR2004 - HTTP's own border
        return ProviderUnavailableError
    return _BY_STATUS.get(status, InvalidRequestError)


def _error_body(error: Exception) -> Mapping[str, Any]:
    """The provider's error object: ``{"type", "code", "param", "message"}``."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    return body if isinstance(body, Mapping) else {}


def _detail(error: Exception) -> str:
    """Type, code and parameter of the error, which are the provider's own short words."""
    body = _error_body(error)
    words = (body.get(name) for name in ("type", "code", "param"))
    return ", ".join(dict.fromkeys(str(word)[:60] for word in words if isinstance(word, str | int) and word))


def _headers(error: Exception) -> Mapping[str, str]:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return headers if headers is not None else {}


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait (``retry-after-ms``, or ``Retry-After`` as seconds or as a date).

    Returns:
        At least 0; ``None`` when it asks for nothing or says it in no known form.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name) or "nan") * unit
        except ValueError:
            wait = math.nan
        if math.isfinite(wait):
            return max(0.0, wait)
    return _until(headers.get("retry-after") or "")


def _until(date: str) -> float | None:
    try:
        instant = parsedate_to_datetime(date)
    except ValueError:
        return None
    return max(0.0, (instant.replace(tzinfo=instant.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
