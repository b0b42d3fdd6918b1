"""ChaCha20 (RFC 8439, section 2.3) and HKDF-SHA256 (RFC 5869), as slowly and plainly as they are written there."""

from __future__ import annotations

import hashlib
import hmac
import struct


def hkdf(secret, salt, info, length):
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    out, block = b"", b""
    for number in range(1, 256):
        block = hmac.new(key, block + info + bytes([number]), hashlib.sha256).digest()
        out += block
        if len(out) >= length:
            return out[:length]
    raise ValueError(length)


def stream(key, length):
    """The key stream for the counter and nonce 0."""
    return b"".join(block(key, counter) for counter in range(-(-length // 64)))[:length]


def block(key, counter):
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8L", key), counter, 0, 0, 0]
    state = list(start)
    for _ in range(10):
        for a in range(4):
            quarter(state, a, a + 4, a + 8, a + 12)
        for a in range(4):
            quarter(state, a, 4 + (a + 1) % 4, 8 + (a + 2) % 4, 12 + (a + 3) % 4)
    return struct.pack("<16L", *((one + two) % 2**32 for one, two in zip(state, start, strict=True)))


def quarter(state, a, b, c, d):
    for one, two, three, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[one] = (state[one] + state[two]) % 2**32
        mixed = state[three] ^ state[one]
        state[three] = (mixed << turn | mixed >> (32 - turn)) % 2**32
