"""Frozen bytes, good and tampered; and every field of a receipt, tampered in turn."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from leo_core.errors import ReceiptError
from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.verify import verify_receipt
from tests.core.receipt.examples import ANSWER, KEY, QUESTION, VECTORS, build_consensus, golden
from tests.core.receipt.make_vectors import ASKED, tampered, valid, with_payload

EXPECTED = json.loads((VECTORS / "expected-checks.json").read_text(encoding="utf-8"))
PEM = (VECTORS / "key.pem").read_text(encoding="utf-8")
FLAWED = sorted(name for name, check in EXPECTED.items() if check)


def test_the_same_answer_makes_the_frozen_statement_bytes():
    statement, _ = build_consensus(ASKED)
    assert canonical_bytes(statement) == (VECTORS / "statement.json").read_bytes()


def test_the_same_answer_makes_the_frozen_receipt():
    assert valid() == golden()
    assert KEY.public.to_pem() == PEM


def test_frozen_receipt_verifies():
    verify_receipt(golden(), public_key=PEM)


def test_no_plaintext_and_no_secret_in_statement_bytes():
    data = base64.b64decode(golden()["envelope"]["payload"])
    seed = bytes(range(32))
    for secret in (QUESTION, ANSWER, "Be terse", "acme", "2027", "cheapest", "97.5", IDENTITY_KEY):
        assert secret.encode() not in data
    assert seed.hex().encode() not in data


IDENTITY_KEY = "e" * 64


@pytest.mark.parametrize("name", FLAWED)
def test_frozen_tampered_receipt_is_refused(name):
    document = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(document, public_key=PEM)
    assert refused.value.check == EXPECTED[name]


def test_frozen_tampered_receipts_are_those_that_the_flaws_make():
    made = {name: (document, check) for name, document, check in tampered()}
    assert sorted(made) == FLAWED
    for name, (document, check) in made.items():
        assert document == json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
        assert check == EXPECTED[name]


def leaves(value, path=()):
    """Path of every scalar in a JSON value."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    else:
        yield path


def changed(value):
    """A value of the same kind that differs."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("1" if value[-1:] != "1" else "2")


def with_change(document, path):
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = changed(place[path[-1]])
    return copy


STATEMENT = json.loads(base64.b64decode(golden()["envelope"]["payload"]))


@pytest.mark.parametrize("path", list(leaves(STATEMENT)), ids=lambda path: ".".join(map(str, path)))
def test_any_changed_field_of_the_statement_is_refused(path):
    document = with_payload(golden(), lambda _: canonical_bytes(with_change(STATEMENT, path)))
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(document, public_key=PEM)
    assert refused.value.check == "signature"


@pytest.mark.parametrize("path", list(leaves(golden())), ids=lambda path: ".".join(map(str, path)))
def test_any_changed_field_of_the_document_is_refused(path):
    with pytest.raises(ReceiptError):
        verify_receipt(with_change(golden(), path), public_key=PEM)


@pytest.mark.parametrize(
    "path", [("format",), ("envelope",), ("log",), *[("envelope", n) for n in golden()["envelope"]]]
)
def test_a_missing_part_is_refused(path):
    document = golden()
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(document, public_key=PEM)
    assert refused.value.check in {"format", "schema"}


def test_every_bit_of_the_signature_counts():
    sig = base64.b64decode(golden()["envelope"]["signatures"][0]["sig"])
    for bit in range(8 * len(sig)):
        document = golden()
        flipped = bytearray(sig)
        flipped[bit // 8] ^= 1 << bit % 8
        document["envelope"]["signatures"][0]["sig"] = base64.b64encode(flipped).decode()
        with pytest.raises(ReceiptError) as refused:
            verify_receipt(document, public_key=PEM)
        assert refused.value.check == "signature"


def test_second_implementation_accepts_signature_log_and_id():
    """DSSE, RFC 6962 and the checkpoint by hand, from their specifications, with ``cryptography`` alone."""
    document = golden()
    payload = base64.b64decode(document["envelope"]["payload"])
    kind = document["envelope"]["payloadType"]
    encoded = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload])
    key = load_pem_public_key(PEM.encode())
    key.verify(base64.b64decode(document["envelope"]["signatures"][0]["sig"]), encoded)
    raw = key.public_bytes_raw()
    assert document["envelope"]["signatures"][0]["keyid"] == hashlib.sha256(raw).hexdigest()[:32]
    body, _, tail = document["log"]["checkpoint"].partition("\n\n")
    name, blob = tail.removeprefix("\u2014 ").split()
    blob = base64.b64decode(blob)
    assert blob[:4] == hashlib.sha256(name.encode() + b"\n\x01" + raw).digest()[:4]
    key.verify(blob[4:], (body + "\n").encode())
    sorted_bytes = json.dumps(document["envelope"], sort_keys=True, separators=(",", ":")).encode()
    node, (first, second, third) = (
        hashlib.sha256(b"\x00" + sorted_bytes).digest(),
        map(bytes.fromhex, document["log"]["inclusion"]),
    )
    node = hashlib.sha256(b"\x01" + node + first).digest()  # leaf 2 of 5: right sibling, left pair, right rest
    node = hashlib.sha256(b"\x01" + second + node).digest()
    node = hashlib.sha256(b"\x01" + node + third).digest()
    assert base64.b64encode(node).decode() == body.split("\n")[2]
