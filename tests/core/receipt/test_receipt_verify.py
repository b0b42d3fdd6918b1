"""The verifier's door: what it takes, what it says, and that it needs nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from leo_core.errors import NotAReceiptError, ReceiptError, SigningKeyError
from leo_core.records import Receipt
from leo_core.stages.receipt.checkpoint import sign_checkpoint
from leo_core.stages.receipt.document import disclose, parse_receipt, read_statement
from leo_core.stages.receipt.keys import Keyset
from leo_core.stages.receipt.merkle import consistency_proof, hash_leaf, tree_root
from leo_core.stages.receipt.verify import open_commitment, verify_extension, verify_receipt
from tests.core.receipt.examples import (
    ANSWER,
    KEY,
    ORIGIN,
    OTHER_KEY,
    QUESTION,
    VECTORS,
    build,
    build_consensus,
    certify,
    golden,
    tree_of,
)

STATEMENT, OPENINGS = build_consensus()
DOCUMENT, ID = certify(STATEMENT)
RECEIPT = Receipt(id=ID, document=DOCUMENT, openings=OPENINGS, log_index=2)


@pytest.mark.parametrize(
    "key",
    [
        KEY.public,
        KEY,
        KEY.public.to_pem(),
        KEY.public.to_pem().encode(),
        [OTHER_KEY.public, KEY.public],
        Keyset.of(KEY),
    ],
)
def test_any_way_to_name_the_key_will_do(key):
    verify_receipt(RECEIPT, public_key=key)
    verify_receipt(DOCUMENT, public_key=key)


def test_another_key_is_named_in_the_refusal():
    with pytest.raises(ReceiptError, match=OTHER_KEY.id) as refused:
        verify_receipt(RECEIPT, public_key=OTHER_KEY.public)
    assert refused.value.check == "key"
    with pytest.raises(SigningKeyError):
        verify_receipt(RECEIPT, public_key="no key")


def test_a_statement_signed_under_the_id_of_another_key_is_refused():
    forged, _ = certify(STATEMENT, key=OTHER_KEY)
    forged["envelope"]["signatures"][0]["keyid"] = KEY.id
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(forged, public_key=[KEY.public, OTHER_KEY.public])
    assert refused.value.check == "signature"


@pytest.mark.parametrize("changes", [{"id": "leo:rcpt:" + "0" * 64}, {"id": "ä"}, {"log_index": 1}])
def test_a_record_bears_the_id_and_place_of_what_it_holds(changes):
    fields = {"id": ID, "document": DOCUMENT, "openings": OPENINGS, "log_index": 2, **changes}
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(Receipt(**fields), public_key=KEY.public)
    assert refused.value.check == "id"


def test_contents_are_held_against_their_commitments():
    verify_receipt(RECEIPT, public_key=KEY.public, contents={"answer": ANSWER, "question": QUESTION, "tenant": "acme"})
    verify_receipt(DOCUMENT, public_key=KEY.public, contents={"answer": ANSWER}, openings=OPENINGS)
    wrong = [({"answer": "no"}, OPENINGS), ({"answer": ANSWER}, {}), ({"answer": ANSWER}, {"answer": "xyz"})]
    wrong += [({"answer": ANSWER}, {"answer": "00"}), ({"answer": ANSWER}, {"answer": OPENINGS["question"]})]
    for contents, openings in wrong:
        with pytest.raises(ReceiptError) as refused:
            verify_receipt(RECEIPT, public_key=KEY.public, contents=contents, openings=openings)
        assert refused.value.check == "commitment.answer"
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(RECEIPT, public_key=KEY.public, contents={"mood": "x"}, openings={"mood": "00" * 32})
    assert refused.value.check == "commitment.mood"


def test_disclosed_contents_are_checked_without_being_asked_for():
    shown = disclose(RECEIPT, {"answer": ANSWER})
    verify_receipt(shown, public_key=KEY.public)
    verify_receipt(shown, public_key=KEY.public, contents={"answer": ANSWER})
    for document, contents in ((disclose(RECEIPT, {"answer": "lie"}), {}), (shown, {"answer": "lie"})):
        with pytest.raises(ReceiptError) as refused:
            verify_receipt(document, public_key=KEY.public, contents=contents)
        assert refused.value.check == "commitment.answer"
    with pytest.raises(ReceiptError, match="erased"):
        disclose(Receipt(id=ID, document=DOCUMENT), {"answer": ANSWER})


def test_one_commitment_opens_alone():
    open_commitment(RECEIPT, "answer", ANSWER, nonce=OPENINGS["answer"])
    open_commitment(DOCUMENT, "draft.0", "97.5", nonce=OPENINGS["draft.0"])
    with pytest.raises(ReceiptError) as refused:
        open_commitment(DOCUMENT, "answer", "other", nonce=OPENINGS["answer"])
    assert refused.value.check == "commitment.answer"
    assert ANSWER not in str(refused.value)


@pytest.mark.parametrize("receipt", [{}, {"format": "x"}, None, [], "x"])
def test_what_is_no_receipt_is_called_so(receipt):
    with pytest.raises(NotAReceiptError) as refused:
        verify_receipt(receipt, public_key=KEY.public)
    assert refused.value.check == "format"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a":1,"a":2}', b"\xff\xfe\xfa", "[" * 100_000])
def test_files_that_are_no_receipt_are_called_so(text):
    with pytest.raises(NotAReceiptError):
        parse_receipt(text)


def test_a_receipt_file_reads_and_verifies():
    text = (VECTORS / "valid.json").read_bytes()
    assert parse_receipt(text) == golden()
    verify_receipt(parse_receipt(text), public_key=KEY.public)
    assert read_statement(parse_receipt(text))["answer_id"] == "answer-1"


MALFORMED = [
    (("log",), None),
    (("log", "index"), -1),
    (("log", "index"), True),
    (("log", "size"), "5"),
    (("log", "inclusion"), "ab"),
    (("log", "inclusion"), ["AB" * 32]),
    (("log", "inclusion"), ["ab" * 31]),
    (("log", "inclusion"), [3]),
    (("log", "checkpoint"), 3),
    (("log", "more"), 3),
    (("envelope",), []),
    (("envelope", "payload"), 3),
    (("envelope", "payload"), "?"),
    (("envelope", "signatures"), []),
    (("envelope", "signatures"), [{"sig": ""}]),
    (("openings",), []),
    (("openings",), {"answer": {"nonce": "00" * 32}}),
    (("openings",), {"answer": {"nonce": "00", "content": ""}}),
]


@pytest.mark.parametrize(("path", "value"), MALFORMED)
def test_malformed_documents_are_refused(path, value):
    document = json.loads(json.dumps(DOCUMENT))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(document, public_key=KEY.public)
    assert refused.value.check == "schema"


def test_a_signed_payload_that_is_no_object_is_refused():
    from leo_core.stages.receipt.envelope import sign

    document = {**DOCUMENT, "envelope": sign(b"[]", KEY).to_json()}
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(document, public_key=KEY.public)
    assert refused.value.check == "statement"
    with pytest.raises(ReceiptError) as refused:
        read_statement(document)
    assert refused.value.check == "schema"


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 9), (9, 0), (6, 7)])
def test_receipts_verify_wherever_they_stand(before, after):
    document, _ = certify(build()[0], before=before, after=after)
    verify_receipt(document, public_key=KEY.public)


def test_a_receipt_stands_where_its_statement_says():
    document, _ = certify(STATEMENT, claimed=1)
    with pytest.raises(ReceiptError, match="position 2") as refused:
        verify_receipt(document, public_key=KEY.public)
    assert refused.value.check == "inclusion"


def test_a_newer_checkpoint_must_continue_an_older_one():
    leaves = [hash_leaf(bytes([number])) for number in range(9)]
    _, read = tree_of(leaves)
    old = sign_checkpoint(ORIGIN, 4, tree_root(4, read), KEY)
    new = sign_checkpoint(ORIGIN, 9, tree_root(9, read), KEY)
    proof = [node.hex() for node in consistency_proof(4, 9, read)]
    verify_extension(old, new, proof, public_key=KEY.public)
    other = sign_checkpoint("example.org/x", 9, tree_root(9, read), KEY)
    rewritten = sign_checkpoint(ORIGIN, 4, hash_leaf(b"else"), KEY)
    foreign = sign_checkpoint(ORIGIN, 4, tree_root(4, read), OTHER_KEY)
    wrong = [
        (old, other, proof, "checkpoint"),
        (foreign, new, proof, "checkpoint"),
        (old, sign_checkpoint(ORIGIN, 9, tree_root(9, read), OTHER_KEY), proof, "checkpoint"),
        (rewritten, new, proof, "consistency"),
        (new, old, proof, "consistency"),
        (old, new, proof[:-1], "consistency"),
        (old, new, ["xyz"], "consistency"),
    ]
    for first, second, path, check in wrong:
        with pytest.raises(ReceiptError) as refused:
            verify_extension(first, second, path, public_key=KEY.public)
        assert refused.value.check == check


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'numpy', 'numba', 'scipy', 'sqlite3', 'pydantic'}:
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Blocker())
import json
from leo_core.stages.receipt.verify import verify_receipt, open_commitment
from leo_core.stages.receipt.config import ReceiptConfig
verify_receipt(json.load(open(sys.argv[1])), public_key=open(sys.argv[2]).read())
print('verified')
"""


def test_verification_needs_neither_numpy_nor_numba_nor_a_store():
    command = [sys.executable, "-c", BLOCKED, str(VECTORS / "valid.json"), str(VECTORS / "key.pem")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "verified\n", done.stderr
