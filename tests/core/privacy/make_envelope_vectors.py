"""Writes the vectors of envelopes by an independent writing of the layout in ``docs/privacy/service.md``.

Run ``python -m tests.core.privacy.make_envelope_vectors`` after the format has got another version.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "vectors" / "envelopes" / "envelopes.json"

SECRET = bytes(range(32))
ACCOUNT = "acme"


def hkdf(secret, info, length=32):
    """RFC 5869 with SHA-256 and no salt, in its own words."""
    key = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    out, last, counter = b"", b"", 1
    while len(out) < length:
        last = hmac.new(key, last + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + last, counter + 1
    return out[:length]


def derive(purpose):
    return hkdf(SECRET, f"leo.index.v1|{purpose}|{ACCOUNT}".encode())


def write(*, kind, request_id, sequence=0, params="", key="", tenant="", index="", payload=b""):
    def text(value):
        encoded = value.encode()
        return struct.pack(">B", len(encoded)) + encoded

    body = struct.pack(">4sBBQ16s", b"LEOX", 1, kind, sequence, request_id)
    body += text(params) + text(key) + text(tenant) + text(index) + struct.pack(">I", len(payload)) + payload
    return body + hmac.new(derive("envelope mac"), body, hashlib.sha256).digest()


CASES = {
    "changes": {"kind": 9, "request_id": "00" * 16, "tenant": "acme/t", "index": "i", "payload": "0000000000000007"},
    "changes_reply": {
        "kind": 137,
        "request_id": "00" * 16,
        "sequence": 9,
        "tenant": "acme/t",
        "index": "i",
        "payload": "0000" + "00000000" * 4,
    },
    "score": {
        "kind": 10,
        "request_id": "0f" * 16,
        "params": "a1b2c3d4e5f60708",
        "key": "k" * 32,
        "tenant": "acme",
        "index": "naïve",
        "payload": "ff00",
    },
    "write": {
        "kind": 4,
        "request_id": "a5" * 16,
        "sequence": 2**64 - 1,
        "tenant": "acme",
        "index": "i",
        "payload": "00000000",
    },
    "stats": {"kind": 14, "request_id": "01" * 16, "tenant": "acme"},
}


def make():
    envelopes = [
        {
            "name": name,
            "fields": fields,
            "bytes": write(
                **{
                    **fields,
                    "request_id": bytes.fromhex(fields["request_id"]),
                    "payload": bytes.fromhex(fields.get("payload", "")),
                }
            ).hex(),
        }
        for name, fields in CASES.items()
    ]
    return {
        "account": ACCOUNT,
        "secret": SECRET.hex(),
        "mac_key": derive("envelope mac").hex(),
        "bearer_secret": derive("bearer").hex(),
        "envelopes": envelopes,
    }


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
