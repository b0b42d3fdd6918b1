"""AES-256-GCM and HKDF-SHA256 as their standards say them, in plain Python: slow, obvious, and open to timing."""

from __future__ import annotations

import hashlib
import hmac
from itertools import chain

__all__ = ["decrypt", "encrypt", "hkdf"]


def _times(left: int, right: int) -> int:
    """FIPS 197, section 4.2: multiply as polynomials, then take the remainder."""
    product = 0
    for bit in range(8):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << (bit - 8)
    return product


def _make_box() -> list[int]:
    """FIPS 197, section 5.1.1: the inverse, found by trying, and then the affine map."""
    box = []
    for value in range(256):
        inverse = next((other for other in range(256) if _times(value, other) == 1), 0)
        bits = [inverse >> at & 1 for at in range(8)]
        mapped = [
            bits[at]
            ^ bits[(at + 4) % 8]
            ^ bits[(at + 5) % 8]
            ^ bits[(at + 6) % 8]
            ^ bits[(at + 7) % 8]
            ^ (0x63 >> at & 1)
            for at in range(8)
        ]
        box.append(sum(bit << at for at, bit in enumerate(mapped)))
    return box


_BOX = _make_box()


def _expand(key: bytes) -> list[list[int]]:
    """FIPS 197, section 5.2, for eight words of key: sixty words."""
    words = [list(key[at : at + 4]) for at in range(0, 32, 4)]
    constant = 1
    for at in range(8, 60):
        word = list(words[-1])
        if at % 8 == 0:
            word = [_BOX[each] for each in (*word[1:], word[0])]
            word[0] ^= constant
            constant = _times(constant, 2)
        elif at % 8 == 4:
            word = [_BOX[each] for each in word]
        words.append([a ^ b for a, b in zip(words[at - 8], word, strict=True)])
    return words


def _block(words: list[list[int]], data: bytes) -> bytes:
    """FIPS 197, section 5.1: fourteen rounds over a column-major state."""
    state = [byte ^ each for byte, each in zip(data, chain(*words[:4]), strict=True)]
    for number in range(1, 15):
        state = [_BOX[each] for each in state]
        state = [state[(at + 4 * (at % 4)) % 16] for at in range(16)]
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                a = state[column : column + 4]
                b, c, d = a[1:] + a[:1], a[2:] + a[:2], a[3:] + a[:3]
                mixed += [_times(w, 2) ^ _times(x, 3) ^ y ^ z for w, x, y, z in zip(a, b, c, d, strict=True)]
            state = mixed
        state = [byte ^ each for byte, each in zip(state, chain(*words[4 * number : 4 * number + 4]), strict=True)]
    return bytes(state)


def _hash(subkey: int, aad: bytes, text: bytes) -> int:
    """GHASH of SP 800-38D, section 6.4, over both parts padded to blocks and their lengths in bits."""
    padded = b"".join(part + bytes(-len(part) % 16) for part in (aad, text))
    total = 0
    for at in range(0, len(padded) + 16, 16):
        block = padded[at : at + 16] or (8 * len(aad)).to_bytes(8, "big") + (8 * len(text)).to_bytes(8, "big")
        x, v, product = total ^ int.from_bytes(block, "big"), subkey, 0
        for bit in range(127, -1, -1):
            if x >> bit & 1:
                product ^= v
            v = (v >> 1) ^ (0xE1 << 120 if v & 1 else 0)
        total = product
    return total


def _stream(words: list[list[int]], nonce: bytes, data: bytes) -> bytes:
    out = b""
    for number, at in enumerate(range(0, len(data), 16), start=2):
        pad = _block(words, nonce + number.to_bytes(4, "big"))
        out += bytes(a ^ b for a, b in zip(data[at : at + 16], pad, strict=False))
    return out


def _tag(words: list[list[int]], nonce: bytes, aad: bytes, text: bytes) -> bytes:
    subkey = int.from_bytes(_block(words, bytes(16)), "big")
    first = int.from_bytes(_block(words, nonce + (1).to_bytes(4, "big")), "big")
    return (_hash(subkey, aad, text) ^ first).to_bytes(16, "big")


def encrypt(key: bytes, nonce: bytes, data: bytes, aad: bytes) -> bytes:
    """SP 800-38D, section 7.1, with a nonce of 12 bytes: ciphertext and tag."""
    words = _expand(key)
    text = _stream(words, nonce, data)
    return text + _tag(words, nonce, aad, text)


def decrypt(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
    """SP 800-38D, section 7.2; fails an assertion where the tag is another one."""
    words, text = _expand(key), sealed[:-16]
    assert sealed[-16:] == _tag(words, nonce, aad, text)
    return _stream(words, nonce, text)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, sections 2.2 and 2.3, with SHA-256."""
    drawn = hmac.new(salt, secret, hashlib.sha256).digest()
    out, last, number = b"", b"", 1
    while len(out) < length:
        last = hmac.new(drawn, last + info + bytes([number]), hashlib.sha256).digest()
        out, number = out + last, number + 1
    return out[:length]
