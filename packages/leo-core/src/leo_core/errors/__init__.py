"""The error tree of LEO.

::

    LEOError
    ├── ConfigError              a setting or an argument is wrong; the message says which and what to do
    │   ├── MissingExtraError    an optional part is not installed; names the ``pip install`` that brings it
    │   └── TenantRequiredError  the policy serves several tenants and the request names none
    ├── RequestError             the request itself cannot be answered as it stands (empty, malformed, too large)
    │   ├── CapabilityError      no member can do what the request needs (tools, images, …)
    │   └── PersonalDataError    it holds personal data, which the policy refuses; ``.counts`` by kind
    ├── ProviderError            a model's provider failed; ``.provider``, ``.model``, ``.retry_after_s``
    │   ├── ProviderTimeoutError     no answer within the time allowed
    │   ├── ProviderUnavailableError connection refused or reset, 5xx
    │   ├── RateLimitError           429
    │   ├── AuthenticationError      401, 403
    │   ├── InvalidRequestError      400, 404, 413, 422: retrying will not help
    │   ├── MalformedReplyError      the reply is not what the protocol promises (bad JSON, empty stream, …)
    │   ├── MemberSkippedError       LEO did not ask the member; ``.retry_after_s`` says when it may be asked
    │   │   ├── CircuitOpenError         too many of its last calls failed
    │   │   ├── LimitReachedError        its rate limit leaves no call now
    │   │   └── OutOfTimeError           the request's time was over before; also a ``ProviderTimeoutError``
    │   ├── CallAbandonedError       of two copies of a hedged call, the other one answered first
    │   └── MemberAbstainedError     the member does not know, and said nothing; the next one is asked
    ├── StreamInterruptedError   a stream died after its first token; ``.partial`` holds what was shown
    ├── NoAnswerError            every permitted route failed; ``.failures`` lists why, in the order tried
    │   └── AbstainedError       the members disagree too much for the confidence that was asked for
    ├── InProgressError          a request with the same idempotency key is still being answered; try again later
    ├── BudgetExceededError      the next call would cost more than allowed; ``.budget``, ``.ends_at``
    ├── PrivacyBudgetError       a release would cost more privacy than is left; ``.principal``, ``.spent``, ``.needed``
    ├── SecureSumError           a step of a secure sum was refused, or too few parties are there; names who is missing
    ├── StorageError             the store failed
    │   ├── StoreLockedError     another process held the store for too long
    │   ├── StoreCorruptError    the file is not a LEO store or is damaged; nothing was changed
    │   │   └── EntryCorruptError    one cache entry cannot be read; ``.entry_id`` names it
    │   ├── StoreFullError       no space left; what was acknowledged is safe
    │   ├── StoreUnavailableError    its server cannot be reached, or did not reply in time
    │   ├── StoreMismatchError   written by a newer LEO, or with another embedder
    │   └── PrivateIndexError    the encrypted index refused a request or a reply; ``.check`` names the check
    │       ├── EnvelopeError        the bytes are no envelope: magic, version, kind, a field, the payload
    │       │   ├── EnvelopeSizeError    cut off, longer than it says, or larger than allowed
    │       │   └── EnvelopeMacError     altered on the way, or made with another key
    │       ├── IndexAccessError     the token is not the one of an account of this server
    │       ├── IndexCertificateError  the server's certificate is not trusted; nothing was sent
    │       ├── ForeignAccountError  the envelope speaks for another account than the token does
    │       ├── UnknownIndexError    the account has no index of that name
    │       ├── ParametersError      other encryption parameters, dimension or mode than the index has
    │       ├── UnknownEvaluationKeyError  evaluation keys that were never registered
    │       ├── StaleEvaluationKeyError    evaluation keys that were rotated out
    │       ├── ReplayedWriteError   this write is in the index already
    │       ├── WriteConflictError   another client wrote first; ``.sequence`` is where the index is now
    │       ├── IndexQuotaError      the account or the index has no room for this
    │       ├── IndexRollbackError   the server shows an older state than it has shown before
    │       └── ScoreMismatchError   scores that do not fit what was fetched: one attacker, or a wrong key
    ├── KeyringError             the keys of the privacy layer refuse, or cannot be used
    │   ├── KekError                 the key that wraps a keyring is missing, is another one, or refuses
    │   │   └── KekUnavailableError      the service that holds it cannot be reached now
    │   ├── KeyringCorruptError      the file is no keyring, was altered, or was set back
    │   ├── KeyDisabledError         the key version, or the whole keyring, is disabled
    │   ├── KeyDestroyedError        the key version is destroyed; what it sealed stays sealed for good
    │   │   └── TenantDestroyedError     so are all keys of the tenant
    │   ├── KeyExhaustedError        the key version was used as often as it may be
    │   ├── KeyInUseError            a key version is not destroyed: records lie under it; ``.left`` counts them
    │   ├── ShareError               shares of a key are damaged, too few, or of different keys
    │   └── SealedDataError          what was sealed does not open
    │       ├── NotSealedError           it does not begin as sealed data does
    │       ├── SealedTruncatedError     it is shorter than sealed data can be
    │       ├── SealedAlteredError       a byte is another one, or it belongs elsewhere (purpose, AAD)
    │       ├── ForeignTenantError       another keyring sealed it
    │       ├── UnknownKeyError          the keyring has no key version of that number
    │       └── WrongKeyError            the key version of that number is another key
    ├── ReceiptError             a receipt, proof, checkpoint or log fails a check; ``.check`` names it
    │   ├── NotAReceiptError     the input is not a receipt at all
    │   └── SigningKeyError      a key is missing, unreadable or of the wrong kind
    └── CiphertextError          encrypted bytes are not what they have to be: truncated, oversized, of another kind
        ├── ParametersMismatchError  made with other parameters, or laid out for other keys
        ├── KeyMismatchError         made with another key
        └── ScoreRangeError          decrypted to what no score can be: altered, or of another key

Errors of other libraries are translated where they enter, with the original as ``__cause__``.
No message holds a prompt, an answer or a secret.
"""

from __future__ import annotations

from leo_core.errors.privacy import (
    CiphertextError,
    EnvelopeError,
    EnvelopeMacError,
    EnvelopeSizeError,
    ForeignAccountError,
    ForeignTenantError,
    IndexAccessError,
    IndexCertificateError,
    IndexQuotaError,
    IndexRollbackError,
    KekError,
    KekUnavailableError,
    KeyDestroyedError,
    KeyDisabledError,
    KeyExhaustedError,
    KeyInUseError,
    KeyMismatchError,
    KeyringCorruptError,
    KeyringError,
    NotSealedError,
    ParametersError,
    ParametersMismatchError,
    PrivateIndexError,
    ReplayedWriteError,
    ScoreMismatchError,
    ScoreRangeError,
    SealedAlteredError,
    SealedDataError,
    SealedTruncatedError,
    ShareError,
    StaleEvaluationKeyError,
    TenantDestroyedError,
    UnknownEvaluationKeyError,
    UnknownIndexError,
    UnknownKeyError,
    WriteConflictError,
    WrongKeyError,
)
from leo_core.errors.roots import ConfigError, LEOError, StorageError

__all__ = [
    "AbstainedError",
    "AuthenticationError",
    "BudgetExceededError",
    "CallAbandonedError",
    "CapabilityError",
    "CiphertextError",
    "CircuitOpenError",
    "ConfigError",
    "EntryCorruptError",
    "EnvelopeError",
    "EnvelopeMacError",
    "EnvelopeSizeError",
    "ForeignAccountError",
    "ForeignTenantError",
    "InProgressError",
    "IndexAccessError",
    "IndexCertificateError",
    "IndexQuotaError",
    "IndexRollbackError",
    "InvalidRequestError",
    "KekError",
    "KekUnavailableError",
    "KeyDestroyedError",
    "KeyDisabledError",
    "KeyExhaustedError",
    "KeyInUseError",
    "KeyMismatchError",
    "KeyringCorruptError",
    "KeyringError",
    "LEOError",
    "LimitReachedError",
    "MalformedReplyError",
    "MemberAbstainedError",
    "MemberSkippedError",
    "MissingExtraError",
    "NoAnswerError",
    "NotAReceiptError",
    "NotSealedError",
    "OutOfTimeError",
    "ParametersError",
    "ParametersMismatchError",
    "PersonalDataError",
    "PrivacyBudgetError",
    "PrivateIndexError",
    "ProviderError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "RateLimitError",
    "ReceiptError",
    "ReplayedWriteError",
    "RequestError",
    "ScoreMismatchError",
    "ScoreRangeError",
    "SealedAlteredError",
    "SealedDataError",
    "SealedTruncatedError",
    "SecureSumError",
    "ShareError",
    "SigningKeyError",
    "StaleEvaluationKeyError",
    "StorageError",
    "StoreCorruptError",
    "StoreFullError",
    "StoreLockedError",
    "StoreMismatchError",
    "StoreUnavailableError",
    "StreamInterruptedError",
    "TenantDestroyedError",
    "TenantRequiredError",
    "UnknownEvaluationKeyError",
    "UnknownIndexError",
    "UnknownKeyError",
    "WriteConflictError",
    "WrongKeyError",
]


class MissingExtraError(ConfigError, ImportError):
    """An optional part of LEO is not installed.

    Args:
        extra: Name of the extra, as in ``pip install leo-core[extra]``.
        needed_for: What the caller wanted to do.
        package: Whose extra it is.
    """

    def __init__(self, extra: str, needed_for: str, *, package: str = "leo-core") -> None:
        super().__init__(f"{needed_for} needs an optional part: pip install '{package}[{extra}]'")
        self.extra = extra


class TenantRequiredError(ConfigError):
    """The policy serves several tenants and the request names none."""


class RequestError(LEOError, ValueError):
    """The request cannot be answered as it stands."""


class CapabilityError(RequestError):
    """No member can do what the request needs."""


class PersonalDataError(RequestError):
    """The request holds personal data, and the policy refuses such requests.

    Attributes:
        counts: How many different values were found, by kind.
    """

    def __init__(self, message: str, *, counts: dict[str, int]) -> None:
        super().__init__(message)
        self.counts = counts


class ProviderError(LEOError):
    """A model's provider failed.

    Attributes:
        provider: Name of the provider, such as ``"openai"``.
        model: Name of the model.
        retry_after_s: Seconds that the provider asked to wait, if it said so.
        retryable: Whether the same call may succeed later.
    """

    retryable = False

    def __init__(self, message: str, *, provider: str, model: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.retry_after_s = retry_after_s


class ProviderTimeoutError(ProviderError, TimeoutError):
    """No answer within the time allowed."""

    retryable = True


class ProviderUnavailableError(ProviderError, ConnectionError):
    """The provider could not be reached, or answered with a 5xx status."""

    retryable = True


class RateLimitError(ProviderError):
    """The provider answered 429."""

    retryable = True


class AuthenticationError(ProviderError):
    """The provider refused the credentials (401 or 403)."""


class InvalidRequestError(ProviderError):
    """The provider refused the request (400, 404, 413, 422)."""


class MalformedReplyError(ProviderError):
    """The reply is not what the provider's protocol promises."""

    retryable = True


class MemberSkippedError(ProviderError):
    """LEO did not ask the member, so that nothing was spent; ``retry_after_s`` says when it may be asked."""

    retryable = True


class CircuitOpenError(MemberSkippedError):
    """Too many of the member's last calls failed; it is left alone for a while."""


class LimitReachedError(MemberSkippedError):
    """The member's rate limit, as it was set or as its provider last said, leaves no call now."""


class OutOfTimeError(MemberSkippedError, ProviderTimeoutError):
    """The request's time was over before the member was asked."""


class CallAbandonedError(ProviderError):
    """Of two copies of a hedged call, the other one answered first; this one was cancelled or left to itself."""


class MemberAbstainedError(ProviderError):
    """The member does not know: nothing is wrong with it, and nothing was said or spent. The next member is asked.

    Attributes:
        reason: Why, in one word, such as ``"novel"`` or ``"unsure"``.
    """

    def __init__(self, message: str, *, provider: str, model: str, reason: str) -> None:
        super().__init__(message, provider=provider, model=model)
        self.reason = reason


class StreamInterruptedError(LEOError):
    """A stream died after its first token was shown.

    Attributes:
        partial: The text that the caller has already seen.
    """

    def __init__(self, message: str, *, partial: str) -> None:
        super().__init__(message)
        self.partial = partial


class NoAnswerError(LEOError):
    """Every permitted route failed.

    Attributes:
        failures: The errors, in the order in which the members were tried.
    """

    def __init__(self, message: str, *, failures: tuple[LEOError, ...] = ()) -> None:
        super().__init__(message)
        self.failures = failures


class AbstainedError(NoAnswerError):
    """The members disagree too much for the confidence that was asked for."""


class InProgressError(LEOError):
    """A request with the same idempotency key is still being answered."""


class BudgetExceededError(LEOError):
    """The next call would cost more than allowed.

    Attributes:
        budget: Name of the budget that has no room; ``None`` where it is ``max_cost_usd``.
        ends_at: Instant at which the budget's period ends (seconds since the Unix epoch); ``None`` for never.
    """

    def __init__(self, message: str, *, budget: str | None = None, ends_at: float | None = None) -> None:
        super().__init__(message)
        self.budget, self.ends_at = budget, ends_at


class PrivacyBudgetError(LEOError):
    """A release would cost more privacy than is left; nothing was charged.

    Attributes:
        principal: Whose budget it is.
        spent: ε that is spent.
        needed: ε that would be spent with the release.
        epsilon: ε of the budget.
    """

    def __init__(self, message: str, *, principal: str, spent: float, needed: float, epsilon: float) -> None:
        super().__init__(message)
        self.principal, self.spent, self.needed, self.epsilon = principal, spent, needed, epsilon


class SecureSumError(LEOError):
    """A step of a secure sum was refused: a message is not what its sender signed, or too few parties are there."""


class StoreLockedError(StorageError):
    """Another process held the store for too long."""


class StoreCorruptError(StorageError):
    """The file is not a LEO store, or it is damaged."""


class EntryCorruptError(StoreCorruptError):
    """One cache entry cannot be read; the others can.

    Attributes:
        entry_id: Id of the entry.
    """

    def __init__(self, message: str, *, entry_id: str) -> None:
        super().__init__(message)
        self.entry_id = entry_id


class StoreFullError(StorageError):
    """No space is left on the device."""


class StoreUnavailableError(StorageError):
    """The store's server cannot be reached or did not reply in time, or its file was deleted or replaced while in use.

    Whether a server wrote is not known; to a file nothing was written.
    """


class StoreMismatchError(StorageError):
    """The store was written by a newer LEO, or with another embedder."""


class ReceiptError(LEOError):
    """A receipt, proof, checkpoint or log fails a check.

    Attributes:
        check: Short, stable name of the failed check, such as ``"signature"`` or ``"inclusion"``.
    """

    def __init__(self, message: str, *, check: str) -> None:
        super().__init__(message)
        self.check = check


class NotAReceiptError(ReceiptError):
    """The input is not a receipt at all."""

    def __init__(self, message: str) -> None:
        super().__init__(message, check="format")


class SigningKeyError(ReceiptError):
    """A key is missing, unreadable or of the wrong kind."""

    def __init__(self, message: str) -> None:
        super().__init__(message, check="key")
