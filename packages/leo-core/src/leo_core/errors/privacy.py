"""Errors of the privacy layer: keys, ciphertexts, encrypted indexes."""

from __future__ import annotations

from leo_core.errors.roots import LEOError, StorageError

__all__ = [
    "CiphertextError",
    "EnvelopeError",
    "EnvelopeMacError",
    "EnvelopeSizeError",
    "ForeignAccountError",
    "ForeignTenantError",
    "IndexAccessError",
    "IndexCertificateError",
    "IndexQuotaError",
    "IndexRollbackError",
    "KekError",
    "KekUnavailableError",
    "KeyDestroyedError",
    "KeyDisabledError",
    "KeyExhaustedError",
    "KeyInUseError",
    "KeyMismatchError",
    "KeyringCorruptError",
    "KeyringError",
    "NotSealedError",
    "ParametersError",
    "ParametersMismatchError",
    "PrivateIndexError",
    "ReplayedWriteError",
    "ScoreMismatchError",
    "ScoreRangeError",
    "SealedAlteredError",
    "SealedDataError",
    "SealedTruncatedError",
    "ShareError",
    "StaleEvaluationKeyError",
    "TenantDestroyedError",
    "UnknownEvaluationKeyError",
    "UnknownIndexError",
    "UnknownKeyError",
    "WriteConflictError",
    "WrongKeyError",
]


class PrivateIndexError(StorageError):
    """The encrypted index refused a request, or its client refused a reply.

    Attributes:
        check: Short, stable name of the failed check, such as ``"mac"`` or ``"sequence"``.
    """

    def __init__(self, message: str, *, check: str) -> None:
        super().__init__(message)
        self.check = check


class EnvelopeError(PrivateIndexError):
    """The bytes are no envelope, or its payload is not what its kind promises."""


class EnvelopeSizeError(EnvelopeError):
    """An envelope is cut off, longer than it says, or larger than allowed."""


class EnvelopeMacError(EnvelopeError):
    """An envelope was altered on the way, or made with another key."""


class IndexAccessError(PrivateIndexError):
    """The token is not the one of an account of this server."""


class IndexCertificateError(PrivateIndexError):
    """The certificate of the index server is not trusted; nothing was sent."""


class ForeignAccountError(PrivateIndexError):
    """The envelope speaks for another account than the token does."""


class UnknownIndexError(PrivateIndexError):
    """The account has no index of that name."""


class ParametersError(PrivateIndexError):
    """Other encryption parameters, dimension or mode than the index has."""


class UnknownEvaluationKeyError(PrivateIndexError):
    """Evaluation keys that the account never registered."""


class StaleEvaluationKeyError(PrivateIndexError):
    """Evaluation keys that were rotated out."""


class ReplayedWriteError(PrivateIndexError):
    """This write is in the index already."""


class WriteConflictError(PrivateIndexError):
    """Another client wrote first.

    Attributes:
        sequence: Number of the last write in the index.
    """

    def __init__(self, message: str, *, check: str, sequence: int = 0) -> None:
        super().__init__(message, check=check)
        self.sequence = sequence


class IndexQuotaError(PrivateIndexError):
    """The account or the index has no room for this."""


class IndexRollbackError(PrivateIndexError):
    """The server shows an older state than it has shown before."""


class ScoreMismatchError(PrivateIndexError):
    """Scores that do not fit the records that were fetched: altered by the server, or made under a wrong key."""


class KeyringError(LEOError):
    """The keys of the privacy layer refuse, or cannot be used."""


class KekError(KeyringError):
    """The key that wraps a keyring's keys is missing, is another one, or refuses."""


class KekUnavailableError(KekError):
    """The service that holds the wrapping key cannot be reached now; the same call may succeed later."""


class KeyringCorruptError(KeyringError):
    """The file is no keyring, was altered without its keys, or an older one took its place."""


class KeyDisabledError(KeyringError):
    """The key version, or the whole keyring, is disabled; nothing is lost."""


class KeyDestroyedError(KeyringError):
    """The key version is destroyed; what it sealed stays sealed for good."""


class TenantDestroyedError(KeyDestroyedError):
    """All keys of the tenant are destroyed."""


class KeyExhaustedError(KeyringError):
    """The key version was used as often as it may be."""


class KeyInUseError(KeyringError):
    """The key version is not destroyed, because records lie under it, or may yet.

    Attributes:
        left: How many records of each part lie under it; empty where that is only to be feared.
    """

    def __init__(self, message: str, *, left: dict[str, int]) -> None:
        super().__init__(message)
        self.left = left


class ShareError(KeyringError):
    """Shares of a key are damaged, too few, or of different keys."""


class SealedDataError(KeyringError):
    """What was sealed does not open."""


class NotSealedError(SealedDataError):
    """It does not begin as sealed data does, or a newer LEO sealed it."""


class SealedTruncatedError(SealedDataError):
    """It is shorter than sealed data can be."""


class SealedAlteredError(SealedDataError):
    """A byte is another one than was sealed, or it was sealed for another purpose or place."""


class ForeignTenantError(SealedDataError):
    """Another keyring sealed it: that of another tenant, or an earlier one of this tenant."""


class UnknownKeyError(SealedDataError):
    """The keyring has no key version of that number."""


class WrongKeyError(SealedDataError):
    """The key version of that number is another key than it was sealed with."""


class CiphertextError(LEOError, ValueError):
    """Encrypted bytes are not what they have to be: truncated, oversized, of another kind or version, or damaged."""


class ParametersMismatchError(CiphertextError):
    """The bytes were made with other parameters, or laid out for other evaluation keys."""


class KeyMismatchError(CiphertextError):
    """The bytes were made with another key."""


class ScoreRangeError(CiphertextError):
    """What was decrypted can be no score: the bytes were altered, or belong to another key."""
