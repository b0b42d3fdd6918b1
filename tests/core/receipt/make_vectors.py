"""Writes the frozen receipts: ``python -m tests.core.receipt.make_vectors``. Run on purpose only: they pin bytes."""

from __future__ import annotations

import base64
import copy
import json

from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.checkpoint import read_checkpoint, sign_checkpoint
from leo_core.stages.receipt.envelope import sign
from leo_core.stages.receipt.merkle import hash_leaf
from leo_core.stages.receipt.statement import statement_contents
from tests.core.receipt.examples import (
    IDENTITY,
    KEY,
    ORIGIN,
    OTHER_KEY,
    VECTORS,
    build_consensus,
    certify,
    consensus_answer,
    consensus_drafts,
    request,
    verdict,
)

ASKED = request(max_cost_usd=0.01, max_error=0.1, max_latency_s=10.0)


def valid():
    statement, openings = build_consensus(ASKED)
    document, _ = certify(statement)
    contents = statement_contents(ASKED, consensus_answer(), identity=IDENTITY, drafts=consensus_drafts())
    disclosed = {name: {"nonce": openings[name], "content": contents[name]} for name in ("question", "answer")}
    return {**document, "openings": disclosed}


def edited(document, *path, value):
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value(place[path[-1]]) if callable(value) else value
    return changed


def flip(text):
    """Another text of the same kind and length: the first character moved on within hex and base64."""
    return ("b" if text[0] == "a" else "a") + text[1:]


def with_payload(document, change, *, resign=False):
    """The document with other payload bytes; signed again where a dishonest signer is played."""
    payload = change(base64.b64decode(document["envelope"]["payload"]))
    envelope = sign(payload, KEY).to_json()
    if not resign:
        envelope["signatures"] = document["envelope"]["signatures"]
    return {**document, "envelope": envelope}


def resigned(**changes):
    """A receipt of a signer that writes what is not so."""
    answer = consensus_answer(verdict=verdict(**changes))
    return certify(build_consensus(ASKED, verdict=answer.verdict)[0])[0]


def rewritten(change):
    statement = build_consensus(ASKED)[0]
    change(statement)
    return certify(statement)[0]


def tampered():
    """Name of the flaw, the flawed document, the check that refuses it."""
    good = valid()
    head = read_checkpoint(good["log"]["checkpoint"])
    foreign = sign_checkpoint(ORIGIN, head.size, head.root, OTHER_KEY)
    other_root = sign_checkpoint(ORIGIN, head.size, hash_leaf(b"other"), KEY)
    log_of_other_name = sign_checkpoint("example.org/other", head.size, head.root, KEY)
    note = good["log"]["checkpoint"]
    yield "format-unknown", edited(good, "format", value="leo-receipt/2"), "format"
    yield "field-added", {**good, "comment": "harmless"}, "schema"
    yield "signature-doubled", edited(good, "envelope", "signatures", value=lambda s: s * 2), "schema"
    yield "payload-type-changed", edited(good, "envelope", "payloadType", value="text/plain"), "schema"
    yield "key-id-changed", edited(good, "envelope", "signatures", 0, "keyid", value=flip), "key"
    yield "signature-flipped", edited(good, "envelope", "signatures", 0, "sig", value=flip), "signature"
    yield (
        "cost-lowered",
        with_payload(good, lambda data: data.replace(b'"0.000310000"', b'"0.000300000"')),
        "signature",
    )
    yield "not-canonical", with_payload(good, lambda data: data.replace(b"{", b"{ ", 1), resign=True), "canonical"
    yield "float-in-statement", rewritten_bytes(good), "canonical"
    yield "version-unknown", rewritten(lambda s: s.update(version=2)), "statement"
    yield "field-missing", rewritten(lambda s: s.pop("audit")), "statement"
    yield "outcome-unknown", rewritten(lambda s: s["failures"][0].update(outcome="lost")), "statement"
    yield "failure-with-words", rewritten(lambda s: s["failures"][0].update(error="no such key: sk-1")), "statement"
    yield "loser-not-counted", rewritten(lambda s: s["usage"].update(cost_usd="0.000100000")), "statement"
    yield "cost-over-limit", certify(build_consensus(request(max_cost_usd=0.0001))[0])[0], "lcs.cost"
    yield "risk-over-limit", certify(build_consensus(request(max_error=0.01))[0])[0], "lcs.risk"
    yield "latency-over-limit", certify(build_consensus(request(max_latency_s=1.0))[0])[0], "lcs.latency"
    yield "constraint-dropped", rewritten(lambda s: s["lcs"].pop(0)), "lcs.cost"
    yield "posterior-invented", resigned(posterior=(0.9, 0.1), confidence=0.9), "lcs.posterior"
    yield "winner-swapped", resigned(winner=1, confidence=verdict().posterior[1], required=0.0, medoid=3), "lcs.winner"
    yield "loser-served", resigned(medoid=3), "lcs.served"
    yield "confidence-too-low", resigned(required=0.99), "lcs.required"
    yield "margin-overstated", resigned(certified_margin=2), "lcs.margin"
    unearned = {"wealth": "79.999999999"}
    yield "promotion-unearned", rewritten(lambda s: s["route"]["promotion"].update(unearned)), "lcs.promotion"
    yield "sigma-overstated", rewritten(lambda s: s.update(sigma="0.999000000")), "lcs.sigma"
    yield "inclusion-node-flipped", edited(good, "log", "inclusion", 0, value=flip), "inclusion"
    yield "index-moved", edited(good, "log", "index", value=1), "inclusion"
    yield "size-raised", edited(good, "log", "size", value=6), "inclusion"
    yield "checkpoint-of-other-tree", edited(good, "log", "checkpoint", value=other_root), "inclusion"
    yield "checkpoint-of-other-log", edited(good, "log", "checkpoint", value=log_of_other_name), "checkpoint"
    yield "checkpoint-of-other-key", edited(good, "log", "checkpoint", value=foreign), "checkpoint"
    yield (
        "checkpoint-signature-cut",
        edited(good, "log", "checkpoint", value=note[: note.index("\n\n") + 2]),
        "checkpoint",
    )
    yield "answer-swapped", edited(good, "openings", "answer", "content", value="It boils at 100."), "commitment.answer"
    yield (
        "question-as-answer",
        edited(good, "openings", "answer", value=good["openings"]["question"]),
        "commitment.answer",
    )
    yield "nonce-flipped", edited(good, "openings", "question", "nonce", value=flip), "commitment.question"


def rewritten_bytes(document):
    return with_payload(document, lambda data: data.replace(b'"0.000310000"', b"0.00031"), resign=True)


def main():
    VECTORS.mkdir(parents=True, exist_ok=True)
    for old in VECTORS.iterdir():
        old.unlink()
    statement, _ = build_consensus(ASKED)
    (VECTORS / "statement.json").write_bytes(canonical_bytes(statement))
    (VECTORS / "key.pem").write_text(KEY.public.to_pem(), encoding="utf-8")
    expected = {}
    for name, document, check in [("valid", valid(), None), *tampered()]:
        (VECTORS / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        expected[name] = check
    (VECTORS / "expected-checks.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
