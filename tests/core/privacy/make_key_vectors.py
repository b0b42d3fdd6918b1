"""Writes the golden vectors of the keys, with the oracles and the standard library alone.

::

    python -m tests.core.privacy.make_key_vectors

The formats are written here as the documentation says them; nothing of LEO is called.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

from tests.oracles import aes_gcm, shamir

__all__ = ["FILE", "make"]

FILE = Path(__file__).parents[2] / "vectors" / "keys" / "keys.json"

KEK = bytes(range(32))
RING = bytes.fromhex("0123456789abcdef")
LASTING = bytes(range(100, 132))
MASTERS = [bytes(range(200, 232)), bytes(range(50, 82))]
TENANT = "Zürich AG"


def _parts(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _derive(secret: bytes, use: str, salt: bytes = RING, length: int = 32) -> bytes:
    return aes_gcm.hkdf(secret, salt, b"LEO/1/" + use.encode(), length)


def _wrap(key: bytes, nonce: bytes, aad: bytes) -> str:
    wrapping = _derive(KEK, "kek/wrap", b"LEO local KEK")
    return base64.b64encode(nonce + aes_gcm.encrypt(wrapping, nonce, key, aad)).decode()


def _seal(version: int, purpose: str, use: str, data: bytes, aad: bytes) -> bytes:
    master = MASTERS[version - 1]
    head = b"LEOS" + bytes([1]) + RING + version.to_bytes(4, "big") + _derive(master, "kid", length=8)
    nonce = bytes([version]) * 12
    bound = head + _parts(b"LEO seal", TENANT.encode(), purpose.encode(), aad)
    return head + nonce + aes_gcm.encrypt(_derive(master, use), nonce, data, bound)


def _version(number: int, state: str, **more: object) -> dict[str, object]:
    kid = _derive(MASTERS[number - 1], "kid", length=8)
    return {
        "number": number,
        "kid": kid.hex(),
        "state": state,
        "reason": "new" if number == 1 else "age",
        "created_at": 1_700_000_000.0 + number,
        "grace_ends_at": None,
        "wrapped": _wrap(MASTERS[number - 1], bytes([number]) * 12, _parts(b"LEO master", RING, kid)),
        "seals": 4096 * number,
        "decrypts": 0,
        "kept": [],
        **more,
    }


def _keyring() -> str:
    kept = _seal(2, "kept/ckks", "kept/ckks", b"a secret of its own", b"")
    keyset = {
        "ring": RING.hex(),
        "tenant": TENANT,
        "kek": "local:" + _derive(KEK, "kek/id", b"LEO local KEK", 8).hex(),
        "lasting": _wrap(LASTING, b"lasting-once", _parts(b"LEO lasting", RING, TENANT.encode())),
        "primary": 2,
        "versions": [
            _version(1, "decrypt_only", grace_ends_at=1_800_000_000.0),
            _version(2, "enabled", kept=[{"name": "ckks", "sealed": base64.b64encode(kept).decode()}]),
        ],
        "revision": 3,
        "suspended": False,
        "destroyed_at": None,
    }
    body = json.dumps(keyset, separators=(",", ":")) + "\n"
    mac = hmac.new(_derive(LASTING, "keyset/mac"), body.encode(), hashlib.sha256).hexdigest()
    return f"leo-keyring:1:{mac}\n{body}"


def _shares() -> dict[str, object]:
    coefficients = [KEK, *(bytes((each * factor + 7) % 256 for each in range(32)) for factor in (3, 5))]
    salt = bytes.fromhex("a1b2c3d4e5f60718")
    set_id = (salt + hmac.new(KEK, b"LEO share set" + salt, hashlib.sha256).digest()[:8]).hex()
    lines = []
    for point in (1, 2, 3, 128, 255):
        line = f"leo-share:1:{set_id}:3:{point}:{shamir.share(coefficients, point).hex()}"
        lines.append(f"{line}:{hashlib.sha256(line.encode()).hexdigest()[:8]}")
    return {"key": KEK.hex(), "coefficients": [each.hex() for each in coefficients], "shares": lines}


def make() -> dict[str, object]:
    """All vectors."""
    answers = [("answer", b"forty-two", b"index/entry"), ("note", b"", b"")]
    pseudonym = hmac.new(_derive(LASTING, "pseudonym/user"), b"ada", hashlib.sha256).hexdigest()[:32]
    return {
        "kek": "leo-kek:1:" + KEK.hex(),
        "keyring": _keyring(),
        "tenant": TENANT,
        "kept": {"name": "ckks", "secret": b"a secret of its own".hex()},
        "pseudonym": {"purpose": "user", "text": "ada", "name": pseudonym},
        "sealed": [
            {
                "version": version,
                "purpose": purpose,
                "data": data.hex(),
                "aad": aad.hex(),
                "sealed": _seal(version, purpose, f"seal/{purpose}", data, aad).hex(),
            }
            for version in (1, 2)
            for purpose, data, aad in answers
        ],
        "shamir": _shares(),
    }


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
