"""Keys, envelopes, checkpoints."""

from __future__ import annotations

import base64
import hashlib
import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import ReceiptError, SigningKeyError
from leo_core.stages.receipt.checkpoint import Checkpoint, note_key_hash, read_checkpoint, sign_checkpoint
from leo_core.stages.receipt.envelope import Envelope, decode_base64, pre_authentication_encoding, sign
from leo_core.stages.receipt.keys import Keyset, PublicKey, SigningKey
from tests.core.receipt.examples import KEY, ORIGIN, OTHER_KEY

KEYS = Keyset.of(KEY)
NOTE = sign_checkpoint(ORIGIN, 42, bytes(range(32)), KEY)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
ELLIPTIC_PRIVATE = ELLIPTIC.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
ELLIPTIC_PUBLIC = ELLIPTIC.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def test_rfc_8032_known_answer():
    key = SigningKey.from_seed(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_keys_survive_pem():
    again = SigningKey.from_pem(KEY.to_pem())
    assert again.public == KEY.public == PublicKey.from_pem(KEY.public.to_pem())
    assert again.id == hashlib.sha256(KEY.public.raw).hexdigest()[:32]
    assert SigningKey.generate().id != SigningKey.generate().id


def test_an_encrypted_key_opens_with_its_password():
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(KEY.to_pem().encode(), None)
    sealed = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    )
    assert SigningKey.from_pem(sealed, password=b"word").id == KEY.id
    for wrong in (None, b"other"):
        with pytest.raises(SigningKeyError):
            SigningKey.from_pem(sealed, password=wrong)


def test_no_secret_in_repr_and_no_pickle():
    assert repr(KEY) == f"SigningKey(id='{KEY.id}')"
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


@pytest.mark.parametrize("pem", ["", "junk", KEY.public.to_pem(), ELLIPTIC_PRIVATE])
def test_wrong_signing_keys_are_refused(pem):
    with pytest.raises(SigningKeyError):
        SigningKey.from_pem(pem)


@pytest.mark.parametrize("pem", ["", "junk", b"\xff", KEY.to_pem(), ELLIPTIC_PUBLIC, (), Keyset(()), [b"junk"]])
def test_wrong_public_keys_are_refused(pem):
    with pytest.raises(SigningKeyError) as refused:
        Keyset.of(Keyset.of(pem).keys)
    assert "PRIVATE KEY-----\n" not in str(refused.value)


def test_keys_of_the_wrong_length_are_refused():
    with pytest.raises(SigningKeyError):
        PublicKey(bytes(31))
    with pytest.raises(SigningKeyError):
        SigningKey.from_seed(bytes(33))


def test_a_keyset_takes_whatever_names_keys():
    both = KEY.public.to_pem() + "\n# the new one\n" + OTHER_KEY.public.to_pem()
    for keys in (both, both.encode(), [KEY.public, OTHER_KEY], (KEY.public.to_pem(), OTHER_KEY.public)):
        keyset = Keyset.of(keys)
        assert keyset.keys == (KEY.public, OTHER_KEY.public)
        assert keyset.find(OTHER_KEY.id) == OTHER_KEY.public
        assert keyset.find("0" * 32) is None


def test_a_key_that_is_no_point_verifies_nothing():
    assert not PublicKey(b"\xff" * 32).verifies(bytes(64), b"x")


def test_pre_authentication_encoding_is_that_of_the_dsse_specification():
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("ä", b"") == "DSSEv1 2 ä 0 ".encode()


@given(st.binary(max_size=64), st.integers(0, 511))
def test_a_signature_is_of_its_payload_key_and_type_only(payload, bit):
    envelope = sign(payload, KEY)
    envelope.verify(KEYS)
    flipped = bytearray(envelope.signature)
    flipped[bit // 8] ^= 1 << bit % 8
    wrong = [
        (Envelope(payload=payload, key_id=KEY.id, signature=bytes(flipped)), "signature"),
        (Envelope(payload=payload + b"x", key_id=KEY.id, signature=envelope.signature), "signature"),
        (Envelope(payload=payload, key_id=OTHER_KEY.id, signature=envelope.signature), "key"),
        (Envelope(payload=payload, key_id=KEY.id, signature=envelope.signature, payload_type="x"), "schema"),
    ]
    for bad, check in wrong:
        with pytest.raises(ReceiptError) as refused:
            bad.verify(KEYS)
        assert refused.value.check == check


@pytest.mark.parametrize("text", ["a", "YQ", "YR==", "YQ==\n", "Y Q==", "-_-_", "ä"])
def test_base64_has_one_spelling(text):
    with pytest.raises(ReceiptError):
        decode_base64(text)


def test_checkpoint_is_a_signed_note():
    lines = NOTE.split("\n")
    assert lines[:4] == [ORIGIN, "42", base64.b64encode(bytes(range(32))).decode(), ""]
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")
    assert lines[5:] == [""]
    checkpoint = read_checkpoint(NOTE)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (ORIGIN, 42, bytes(range(32)))
    assert checkpoint.signatures[0][1] == hashlib.sha256(f"{ORIGIN}\n\x01".encode() + KEY.public.raw).digest()[:4]
    checkpoint.verify(KEYS)
    checkpoint.verify(Keyset.of([OTHER_KEY, KEY]))


def test_extensions_are_signed_and_witnesses_passed_over():
    body = f"{ORIGIN}\n7\n{base64.b64encode(bytes(32)).decode()}\nsome extension\n"
    own = base64.b64encode(note_key_hash(ORIGIN, KEY.public) + KEY.sign(body.encode())).decode()
    witness = base64.b64encode(b"abcd" + bytes(72)).decode()
    note = f"{body}\n\u2014 witness.example/w {witness}\n\u2014 {ORIGIN} {own}\n"
    checkpoint = read_checkpoint(note)
    checkpoint.verify(KEYS)
    assert checkpoint.extensions == ("some extension",)
    with pytest.raises(ReceiptError):
        read_checkpoint(note.replace("some ext", "some other ext")).verify(KEYS)


def test_a_checkpoint_of_another_key_or_name_is_refused():
    with pytest.raises(ReceiptError) as refused:
        read_checkpoint(NOTE).verify(Keyset.of(OTHER_KEY))
    assert refused.value.check == "checkpoint"
    renamed = NOTE.replace(f"\u2014 {ORIGIN}", "\u2014 example.org/other")
    with pytest.raises(ReceiptError):
        read_checkpoint(renamed).verify(KEYS)


def test_one_wrong_signature_of_the_logs_own_key_spoils_the_checkpoint():
    wrong = base64.b64encode(note_key_hash(ORIGIN, KEY.public) + bytes(64)).decode()
    with pytest.raises(ReceiptError, match="wrong"):
        read_checkpoint(NOTE + f"\u2014 {ORIGIN} {wrong}\n").verify(KEYS)


@given(st.integers(0, 8 * len(NOTE.encode()) - 1))
def test_any_bit_flip_of_a_checkpoint_is_refused(bit):
    flipped = bytearray(NOTE.encode())
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((ReceiptError, UnicodeDecodeError)):
        read_checkpoint(flipped.decode()).verify(KEYS)


BODY, SIGNATURE = NOTE.split("\n\n")


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        BODY,
        BODY + "\n",
        BODY + "\n\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("\n42\n", "\n042\n"),
        NOTE.replace("\n42\n", "\n+42\n"),
        NOTE.replace("\n42\n", "\n\uff14\uff12\n"),
        NOTE.replace("\n42\n", "\n" + "4" * 5000 + "\n"),
        NOTE.replace("\n42\n", "\n"),
        NOTE.replace("\n42\n", "\n\n42\n"),
        NOTE.replace("=\n", "\n", 1),
        NOTE.replace(BODY.split("\n")[2], "AAAA"),
        NOTE.replace("\u2014 ", "- "),
        NOTE.replace(f"\u2014 {ORIGIN} ", "\u2014 "),
        NOTE.replace(f"\u2014 {ORIGIN} ", "\u2014  "),
        NOTE.replace(f"\u2014 {ORIGIN} ", "\u2014 a+b "),
        f"{BODY}\n\n\u2014 {ORIGIN} AAAA\n",
        f"{BODY}\n\n\u2014 {ORIGIN} !\n",
        NOTE.replace(ORIGIN, "a\tb", 1),
    ],
)
def test_malformed_notes_are_refused(note):
    with pytest.raises(ReceiptError) as refused:
        read_checkpoint(note)
    assert refused.value.check == "checkpoint"


def test_body_of_a_checkpoint_reads_back():
    checkpoint = Checkpoint(origin="a", size=0, root=bytes(32), extensions=("b",))
    assert checkpoint.body == b"a\n0\n" + base64.b64encode(bytes(32)) + b"\nb\n"
