"""A loopback server that speaks the part of Vault's HTTP API that wraps keys: the transit engine.

::

    with VaultServer(token="hvs.test", keys=("leo",)) as server:
        kek = VaultKek(url=server.origin, token="hvs.test", key="leo")

Strict about paths, methods, the token's header and base64, with Vault's own error bodies. It encrypts with AES-256-GCM
under keys that never leave it, with versions. The token may ``update`` and not ``create``.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.servers.loopback import Fault, LoopbackServer, WireError

__all__ = ["VaultServer"]

_PATH = re.compile(r"/v1/(?P<mount>[\w./-]+)/(?P<what>encrypt|decrypt)/(?P<key>[\w.-]+)")
_CIPHERTEXT = re.compile(r"vault:v([1-9]\d*):([A-Za-z0-9+/]+={0,2})")
_FIELDS = {"encrypt": {"plaintext", "associated_data"}, "decrypt": {"ciphertext", "associated_data"}}


class VaultServer(LoopbackServer):
    """``POST /v1/<mount>/encrypt/<key>`` and ``POST /v1/<mount>/decrypt/<key>``.

    Args:
        token: The one that is let in.
        keys: Names of the keys.
        mount: Path of the engine.
        namespace: That the request has to name.
    """

    def __init__(self, *, token="hvs.test", keys=("leo",), mount="transit", namespace=None, **options: Any) -> None:
        super().__init__(**options)
        self.token, self.mount, self.namespace = token, mount, namespace
        self.least_version = 1
        self._keys = {name: [AESGCM.generate_key(256)] for name in keys}
        self._seen = threading.local()

    def rotate(self, name: str) -> None:
        """Add a version, which encrypts from now on."""
        self._keys[name].append(AESGCM.generate_key(256))

    def error_body(self, status: int, message: str) -> Mapping[str, Any]:
        """Vault's error body."""
        return {"errors": [message] if message else []}

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The token; the headers are kept for the answer."""
        self._seen.headers = headers
        return headers.get("x-vault-token", "")

    def get(self, path: str) -> Mapping[str, Any]:
        """Nothing of this is read."""
        self._let_in()
        raise WireError("1 error occurred:\n\t* unsupported operation\n\n", status=405)

    def post(self, path: str, body: Mapping[str, Any], fault: Fault) -> Mapping[str, Any]:
        """Encrypt or decrypt."""
        self._let_in()
        match = _PATH.fullmatch(path)
        if match is None or match["mount"] != self.mount:
            route = path.removeprefix("/v1/")
            raise WireError(f'no handler for route "{route}". route entry not found.', status=404)
        if set(body) - _FIELDS[match["what"]]:
            raise WireError(f"unexpected fields {sorted(body)}")
        versions = self._keys.get(match["key"])
        if match["what"] == "encrypt":
            if versions is None:
                raise WireError("1 error occurred:\n\t* permission denied\n\n", status=403)
            data = self._encrypt(versions, body)
        else:
            if versions is None:
                raise WireError("encryption key not found")
            data = self._decrypt(versions, body)
        rest = {"lease_id": "", "renewable": False, "lease_duration": 0, "wrap_info": None, "warnings": None}
        return {"request_id": "9f1c2a52-0000-4000-8000-000000000000", "data": data, "auth": None, **rest}

    def complete(self, body: Any) -> None:
        """Nothing is thought of here."""

    def _let_in(self) -> None:
        headers = self._seen.headers
        if headers.get("x-vault-request") != "true" or not headers.get("x-vault-token"):
            raise WireError("missing client token", status=400)
        if headers["x-vault-token"] != self.token or headers.get("x-vault-namespace") != self.namespace:
            raise WireError("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", status=403)

    def _encrypt(self, versions: list[bytes], body: Mapping[str, Any]) -> Mapping[str, Any]:
        if "plaintext" not in body:
            raise WireError("missing plaintext to encrypt")
        nonce = os.urandom(12)
        data, aad = _decode(body["plaintext"], "plaintext"), _decode(body.get("associated_data", ""), "associated_data")
        sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, data, aad)
        number = len(versions)
        return {"ciphertext": f"vault:v{number}:{base64.b64encode(sealed).decode()}", "key_version": number}

    def _decrypt(self, versions: list[bytes], body: Mapping[str, Any]) -> Mapping[str, Any]:
        text = body.get("ciphertext", "")
        if not text.startswith("vault:v"):
            raise WireError("invalid ciphertext: no prefix")
        match = _CIPHERTEXT.fullmatch(text)
        if match is None:
            raise WireError("invalid ciphertext: could not decode base64")
        number = int(match[1])
        if number > len(versions):
            raise WireError("invalid ciphertext: version is too new")
        if number < self.least_version:
            raise WireError("ciphertext or signature version is disallowed by policy (too old)")
        raw = base64.b64decode(match[2])
        try:
            data = AESGCM(versions[number - 1]).decrypt(
                raw[:12], raw[12:], _decode(body.get("associated_data", ""), "associated_data")
            )
        except (InvalidTag, ValueError):
            raise WireError("cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(data).decode()}


def _decode(text: Any, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise WireError(f"failed to base64-decode {what}") from None
