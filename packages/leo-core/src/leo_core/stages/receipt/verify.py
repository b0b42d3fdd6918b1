"""Verifying a receipt: offline, without the store, needing only ``cryptography`` and ``rfc8785``."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from leo_core.errors import ReceiptError
from leo_core.records import Receipt
from leo_core.stages.receipt.canonical import parse_canonical
from leo_core.stages.receipt.checkpoint import read_checkpoint
from leo_core.stages.receipt.commitment import NONCE_BYTES, opens
from leo_core.stages.receipt.document import read_document, read_statement
from leo_core.stages.receipt.keys import Keyset
from leo_core.stages.receipt.lcs import check_constraints
from leo_core.stages.receipt.merkle import hash_leaf, verify_consistency, verify_inclusion
from leo_core.stages.receipt.schema import check_statement
from leo_core.stages.receipt.statement import list_commitments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leo_core.records import Json
    from leo_core.stages.receipt.document import Document
    from leo_core.stages.receipt.keys import PublicKeys

__all__ = ["open_commitment", "verify_extension", "verify_logged", "verify_receipt"]


def verify_receipt(
    receipt: Receipt | Mapping[str, Json],
    *,
    public_key: PublicKeys,
    contents: Mapping[str, Json] | None = None,
    openings: Mapping[str, str] | None = None,
) -> None:
    """Check a receipt; return nothing when every check passes.

    Checks, in this order, each with its own ``ReceiptError.check``:

    1. ``format``: it says that it is a receipt; ``schema``: exactly the known fields, well formed.
    2. ``key``: the key id is one of ``public_key``; ``signature``: the signature is that key's.
    3. ``canonical``: the statement is in its one canonical spelling; ``statement``: its fields are well formed.
    4. ``id``: a ``Receipt`` record bears the id, and the log position, of what it holds.
    5. ``lcs.<name>``: what the statement promises follows from its own figures, and holds.
    6. ``inclusion``: it is in the log at the position it states; ``checkpoint``: the log's head is signed.
    7. ``commitment.<name>``: every content that is given, or disclosed in the document, is what was committed to.

    Args:
        receipt: A receipt, or its document.
        public_key: PEM text, a public key, or several of them when keys were rotated.
        contents: Contents to hold against their commitments, by name, such as ``{"answer": "42"}``.
        openings: Nonces (hex) for ``contents``; by default those of the receipt.

    Raises:
        ReceiptError: The first check that fails.
        SigningKeyError: ``public_key`` is no Ed25519 public key.
    """
    keys = Keyset.of(public_key)
    document = read_document(receipt)
    document.envelope.verify(keys)
    statement = parse_canonical(document.envelope.payload)
    check_statement(statement)
    if isinstance(receipt, Receipt):
        _check_record(receipt, document)
    check_constraints(statement)
    _check_log(document, statement, keys)
    nonces = openings if openings is not None else (receipt.openings if isinstance(receipt, Receipt) else {})
    _check_contents(statement, document.openings)
    _check_contents(statement, _with_nonces(contents or {}, nonces, document))


def verify_logged(document: Mapping[str, Json], *, public_key: PublicKeys) -> Mapping[str, Json]:
    """Check that a document is the receipt that its log holds, as :func:`verify_receipt` does; give its statement.

    Whether the statement keeps what it promises is not checked: ``lcs.check_constraints`` does that.

    Raises:
        ReceiptError: The first check that fails.
        SigningKeyError: ``public_key`` is no Ed25519 public key.
    """
    keys, read = Keyset.of(public_key), read_document(document)
    read.envelope.verify(keys)
    statement: Mapping[str, Json] = parse_canonical(read.envelope.payload)
    check_statement(statement)
    _check_log(read, statement, keys)
    return statement


def open_commitment(receipt: Receipt | Mapping[str, Json], name: str, content: Json, *, nonce: str) -> None:
    """Check that a content is what a receipt committed to. Says nothing about the receipt: verify it first.

    Args:
        receipt: A receipt, or its document.
        name: Name of the commitment: ``request``, ``question``, ``answer``, ``tenant``, ``draft.0``, ``class.0``, …
        content: What it is said to commit to; a plain text message is its text.
        nonce: The opening (hex), from ``Receipt.openings``.

    Raises:
        ReceiptError: It is not, or nothing was committed to under this name (``check="commitment.<name>"``).
    """
    _check_contents(read_statement(receipt), {name: (_nonce(name, nonce), content)})


def verify_extension(old: str, new: str, proof: Sequence[str], *, public_key: PublicKeys) -> None:
    """Check that the log of a newer checkpoint begins with all that an older checkpoint covers.

    Args:
        old: The older checkpoint, as it was kept.
        new: The newer one.
        proof: ``ReceiptLog.consistency_proof(old size, new size)``.
        public_key: As for :func:`verify_receipt`.

    Raises:
        ReceiptError: A signature or the origin is wrong (``check="checkpoint"``), or something was removed or
            changed (``check="consistency"``).
    """
    keys = Keyset.of(public_key)
    first, second = read_checkpoint(old), read_checkpoint(new)
    first.verify(keys)
    second.verify(keys)
    if first.origin != second.origin:
        message = f"the checkpoints are of two logs, {first.origin!r} and {second.origin!r}"
        raise ReceiptError(message, check="checkpoint")
    try:
        path = [bytes.fromhex(node) for node in proof]
    except ValueError as error:
        message = "the consistency proof is not a list of hashes in hex"
        raise ReceiptError(message, check="consistency") from error
    verify_consistency(first.size, first.root, second.size, second.root, path)


def _check_record(receipt: Receipt, document: Document) -> None:
    if not hmac.compare_digest(receipt.id.encode(), document.id.encode()):
        message = f"the receipt is called {receipt.id!r}, its statement has the id {document.id!r}"
        raise ReceiptError(message, check="id")
    if receipt.log_index != document.index:
        message = f"the receipt says position {receipt.log_index}, its document {document.index}"
        raise ReceiptError(message, check="id")


def _check_log(document: Document, statement: Mapping[str, Json], keys: Keyset) -> None:
    checkpoint = read_checkpoint(document.checkpoint)
    if document.index != statement["log"]["previous_size"] or document.size != checkpoint.size:
        message = (
            f"position {document.index} of {document.size} is not what the statement "
            f"({statement['log']['previous_size']} before it) and the checkpoint ({checkpoint.size}) say"
        )
        raise ReceiptError(message, check="inclusion")
    leaf = hash_leaf(document.envelope.to_bytes())
    verify_inclusion(leaf, document.index, document.size, document.inclusion, checkpoint.root)
    if checkpoint.origin != statement["log"]["origin"]:
        message = f"the checkpoint is of log {checkpoint.origin!r}, the statement of {statement['log']['origin']!r}"
        raise ReceiptError(message, check="checkpoint")
    checkpoint.verify(keys)


def _check_contents(statement: Mapping[str, Json], openings: Mapping[str, tuple[bytes, Json]]) -> None:
    commitments = list_commitments(statement)
    for name, (nonce, content) in openings.items():
        if name not in commitments:
            message = f"the statement commits to nothing called {name!r}"
            raise ReceiptError(message, check=f"commitment.{name}")
        if not opens(commitments[name], name, nonce, content):
            message = f"this {name} is not the one that the statement commits to"
            raise ReceiptError(message, check=f"commitment.{name}")


def _with_nonces(
    contents: Mapping[str, Json], nonces: Mapping[str, str], document: Document
) -> dict[str, tuple[bytes, Json]]:
    """Nonce and content for everything that the caller supplies."""
    found = {}
    for name, content in contents.items():
        if name in nonces:
            found[name] = (_nonce(name, nonces[name]), content)
        elif name in document.openings:
            found[name] = (document.openings[name][0], content)
        else:
            message = f"there is no nonce to open {name!r} with: it was not disclosed, or it was erased"
            raise ReceiptError(message, check=f"commitment.{name}")
    return found


def _nonce(name: str, text: str) -> bytes:
    try:
        nonce = bytes.fromhex(text)
    except ValueError as error:
        message = f"the nonce of {name!r} is not hex"
        raise ReceiptError(message, check=f"commitment.{name}") from error
    if len(nonce) != NONCE_BYTES:
        message = f"the nonce of {name!r} has {len(nonce)} bytes, expected {NONCE_BYTES}"
        raise ReceiptError(message, check=f"commitment.{name}")
    return nonce
