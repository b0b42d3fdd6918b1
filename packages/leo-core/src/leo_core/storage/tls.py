"""What an index server has to show before anything is sent to it: a certificate that is trusted, or the very one."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    import os

__all__ = ["find_certificate_fault", "make_tls_context"]

_PIN = re.compile(r"[0-9a-f]{64}")
_DEEPEST = 16


def make_tls_context(ca_file: str | os.PathLike[str] | None, pin: str | None) -> ssl.SSLContext | None:
    """The settings of TLS; ``None`` for those of the system, which trust its authorities.

    Args:
        ca_file: File with the certificates (PEM) of the authorities that are trusted, in the place of the system's.
        pin: SHA-256 of the server's certificate, 64 hex digits, with or without colons. Without ``ca_file`` it alone is
            what the certificate is known by, so that nobody need have signed it; with it, both have to fit.

    Raises:
        ConfigError: The file holds no certificate, or cannot be read, or the pin is no SHA-256.
    """
    if ca_file is None and pin is None:
        return None
    context = ssl.create_default_context() if ca_file is None else _trust(ca_file)
    if pin is not None:
        if ca_file is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the pin takes the place of both
        _pin(context, _read_pin(pin))
    return context


def find_certificate_fault(error: BaseException) -> str:
    """What is wrong with the server's certificate, where that is why a connection failed; empty otherwise."""
    found: BaseException | None = error
    for _ in range(_DEEPEST):
        if isinstance(found, ssl.SSLCertVerificationError):
            return str(getattr(found, "verify_message", "") or found.args[-1])
        found = None if found is None else found.__cause__ or found.__context__
    return ""


def _trust(ca_file: str | os.PathLike[str]) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=Path(ca_file).expanduser())
    except (OSError, ssl.SSLError) as error:
        message = f"{str(ca_file)!r} cannot be used as ca_file: give a file with certificates (PEM)"
        raise ConfigError(message) from error


def _read_pin(pin: str) -> bytes:
    plain = pin.replace(":", "").lower()
    if not _PIN.fullmatch(plain):
        message = (
            f"pin is {pin!r}; it is the SHA-256 of the server's certificate, 64 hex digits: "
            "'openssl x509 -in cert.pem -noout -fingerprint -sha256' prints it"
        )
        raise ConfigError(message)
    return bytes.fromhex(plain)


def _pin(context: ssl.SSLContext, pin: bytes) -> None:
    """Let a handshake fail with any other certificate: before it is over nothing of a request is sent."""

    def check(certificate: bytes | None) -> None:
        if certificate is None or not hmac.compare_digest(hashlib.sha256(certificate).digest(), pin):
            message = "it is not the one that is pinned"
            raise ssl.SSLCertVerificationError(message)

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's signature
            super().do_handshake(block)
            check(self.getpeercert(binary_form=True))

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self.getpeercert(binary_form=True))

    context.sslsocket_class, context.sslobject_class = PinnedSocket, PinnedObject
