"""What is exported for fine-tuning: only what was found right, once, and without personal data."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from leo_core import LEO, LEOConfig
from leo_core.engine.verified_pairs import ExportTerms, export_pairs, write_hugging_face, write_openai
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import CacheDecision, CacheEntry, EmbedderFingerprint, Message, Route, ToolCall, Usage
from leo_core.stages.cache.observations import observe_feedback as cache_feedback
from leo_core.stages.consensus.observations import observe_audit, observe_feedback, observe_outcome
from leo_core.storage.in_memory import InMemoryStore

CONFIG = LEOConfig()


def entry(number, text=None, answer=None, **changes):
    fields = {
        "id": f"e{number}",
        "tenant": "t",
        "exact_key": f"k{number}",
        "scope_key": "s",
        "text": text or f"Question {number}?",
        "message": Message(role="assistant", content=answer or f"Answer {number}."),
        "members": ("m",),
        "model": "model-m",
        "route": Route.SMALL,
        "usage": Usage(),
        "receipt_id": f"leo:rcpt:{number:064x}",
        "created_at": float(number),
    }
    return CacheEntry(**{**fields, **changes})


def unit(place, tilt=0.0):
    vector = np.zeros(8, np.float32)
    vector[place], vector[7] = np.cos(tilt), np.sin(tilt)
    return vector


def audited(number, right=True):
    return observe_outcome(f"e{number}", right=right, tenant="t", at=1.0)


def said(number, wrong):
    return observe_feedback(members=["m"], region=0, wrong=wrong, tenant="t", at=1.0, answer_id=f"e{number}")


def export(rows, observations, **terms):
    store = InMemoryStore()
    dimension = next((len(vector) for _, vector in rows if vector is not None), 8)
    store.open_for(EmbedderFingerprint(name="hand", version="1", dimension=dimension, table_sha256="00"))
    for kept, vector in rows:
        store.put(kept, vector)
    store.observe(observations)
    return export_pairs(store, ["t"], ExportTerms(**terms), CONFIG)


def test_what_was_audited_right_or_confirmed_is_exported_and_the_rest_is_not() -> None:
    rows = [(entry(number), None) for number in range(6)]
    hit = cache_feedback(CacheDecision(action="serve", entry_id="e5"), wrong=False, tenant="t", at=1.0)
    found = export(rows, [audited(0), audited(1, False), said(2, False), said(3, True), said(3, False), hit])
    assert [(pair.entry, pair.basis) for pair in found.pairs] == [
        ("e0", "audited"),
        ("e2", "confirmed"),
        ("e5", "confirmed"),
    ]
    assert found.dropped == Counter({"found wrong": 2, "not verified": 1})
    assert found.pairs[0].receipt == f"leo:rcpt:{0:064x}"


def test_an_audit_outweighs_nothing_that_was_found_wrong() -> None:
    found = export([(entry(0), None)], [audited(0), said(0, True), audited(0)])
    assert not found.pairs


def test_trust_stands_in_only_where_it_is_asked_for_and_known() -> None:
    rows = [(entry(0), None), (entry(1, members=("m", "stranger")), None)]
    learned = [observe_audit(member="m", region=0, agreement=1.0, valid=True, tenant="t", at=1.0) for _ in range(60)]
    assert not export(rows, learned).pairs
    (pair,) = export(rows, learned, min_trust=0.95).pairs
    assert (pair.entry, pair.basis) == ("e0", "trusted")
    assert pair.trust >= 0.95
    assert pair.provenance["trust"] == pair.trust
    assert not export(rows, learned, min_trust=1.0).pairs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"receipt_id": ""}, "no receipt"),
        ({"message": Message(role="assistant", content="   ")}, "not plain text"),
        ({"message": Message(role="assistant", content=({"type": "image", "url": "x"},))}, "not plain text"),
        (
            {"message": Message(role="assistant", content="x", tool_calls=(ToolCall(id="1", name="f", arguments={}),))},
            "not plain text",
        ),
    ],
)
def test_what_is_no_plain_answer_with_a_receipt_is_left_out(changes, why) -> None:
    found = export([(entry(0, **changes), None)], [audited(0)])
    assert (found.pairs, found.dropped) == ([], Counter({why: 1}))


def test_repetitions_are_left_out_but_not_near_questions_with_another_answer() -> None:
    rows = [
        (entry(0, "How high is it?", "It is 12 m high."), unit(0)),
        (entry(1, "how  HIGH is it?", "12"), unit(1)),
        (entry(2, "What is its height?", "12 m"), unit(0, 0.1)),
        (entry(3, "How high is that?", "It is 15 m high."), unit(0, 0.1)),
        (entry(4, "How wide is it?", "It is 12 m high."), unit(0, 1.2)),
    ]
    found = export(rows, [audited(number) for number in range(5)])
    assert [pair.entry for pair in found.pairs] == ["e0", "e3", "e4"]
    assert found.dropped == Counter({"duplicate": 1, "near duplicate": 1})
    wider = export(rows, [audited(number) for number in range(5)], near=1.0)
    assert "e2" in [pair.entry for pair in wider.pairs]


def test_more_pairs_than_fit_at_first_are_compared_with_all_before() -> None:
    source = np.random.default_rng(3)
    vectors = source.normal(size=(600, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [(entry(number, answer="yes"), vector) for number, vector in enumerate(vectors)]
    rows.append((entry(600, answer="yes"), vectors[3]))
    found = export(rows, [audited(number) for number in range(601)])
    assert len(found.pairs) == 600
    assert found.dropped == Counter({"near duplicate": 1})


def test_personal_data_is_dropped_blacked_out_or_kept() -> None:
    rows = [(entry(0, "Who is anna@example.org?", "Ask 8.8.8.8."), None), (entry(1), None)]
    outcomes = [audited(0), audited(1)]
    assert export(rows, outcomes).dropped == Counter({"personal data": 1})
    blacked = export(rows, outcomes, personal="redact")
    assert (blacked.pairs[0].question, blacked.pairs[0].answer) == ("Who is [EMAIL]?", "Ask [IP_ADDRESS].")
    assert blacked.redacted == 1
    assert "anna@example.org" in export(rows, outcomes, personal="keep").pairs[0].question


def test_the_formats_are_json_lines_of_two_turns() -> None:
    pairs = export([(entry(0, "Größe?", "Zwölf."), None), (entry(1), None)], [audited(0), audited(1)]).pairs
    lines, sources = write_openai(pairs)
    rows = [json.loads(line) for line in lines.decode().splitlines()]
    assert rows[0] == {"messages": [{"role": "user", "content": "Größe?"}, {"role": "assistant", "content": "Zwölf."}]}
    assert [json.loads(line)["receipt"] for line in sources.decode().splitlines()] == [pair.receipt for pair in pairs]
    assert all(list(row) == ["messages"] for row in rows)
    columns = [json.loads(line) for line in write_hugging_face(pairs).decode().splitlines()]
    assert columns[0]["messages"] == rows[0]["messages"]
    assert columns[0]["basis"] == "audited"
    assert {tuple(row) for row in columns} == {("messages", "receipt", "entry", "basis", "trust", "model", "tenant")}


def test_through_the_engine_audits_and_words_verify() -> None:
    small = ScriptedModel("small", replies=lambda request: f"It is {len(request.question)}.")
    config = replace(LEOConfig(audit_rate=1.0), route=replace(CONFIG.route, promote=False))
    checker = lambda request, answer: True if "first" in request.question else None  # noqa: E731 - a user's function
    with LEO(small, config=config, checker=checker, seed=1) as leo:
        leo.ask("What is the first?")
        second = leo.ask("How many are the others then?")
        leo.ask("And who was never asked about?")
        leo.feedback(second, wrong=False)
        leo.flush()
        found = export_pairs(leo.store, ["default"], ExportTerms(), config)
        assert {pair.question: pair.basis for pair in found.pairs} == {
            "What is the first?": "audited",
            "How many are the others then?": "confirmed",
        }
        assert {pair.receipt for pair in found.pairs} <= {receipt.id for receipt in leo.log.receipts()}
