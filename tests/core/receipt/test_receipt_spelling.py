"""Statements recognised in their bytes: what the published schema accepts, and nothing else."""

from __future__ import annotations

import pytest

from leo_core import LEO
from leo_core.errors import ReceiptError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt import sealing
from leo_core.stages.receipt.canonical import canonical_bytes
from leo_core.stages.receipt.document import read_document
from leo_core.stages.receipt.sealing import LogHead, seal
from leo_core.stages.receipt.spelling import is_spelled
from tests.core.receipt.examples import KEY, ORIGIN
from tests.core.receipt.test_receipt_schema import STATEMENT, VALIDATOR, leaves, replaced

ODD = (
    *({"x": "y"}, {}, [], [1], ["x", "x"], True, False, "", "x", "x\n", 'x"', "x\\", "é\u2028\x00", "0" * 64),
    *(-7, -1, 0, 1, 10**15 - 1, "0.500000000", "1.000000001", "-0.500000000", "00.000000000", "small", "exact"),
)


def spelled(statement):
    return is_spelled(canonical_bytes(statement))


@pytest.mark.parametrize("path", leaves(STATEMENT)[1:], ids=lambda path: ".".join(map(str, path)))
def test_they_are_recognised_where_the_schema_accepts_them(path):
    for new in ODD:
        tampered = replaced(path, new)
        assert spelled(tampered) == VALIDATOR.is_valid(tampered), (path, new)
    if isinstance(path[-1], str):
        missing = replaced(path, None)
        assert spelled(missing) == VALIDATOR.is_valid(missing)


@pytest.mark.parametrize("path", leaves(STATEMENT), ids=lambda path: ".".join(map(str, path)))
def test_an_unknown_name_anywhere_is_not_recognised(path):
    for name in ("", "a", "zz"):
        extended = replaced((*path, name), 1) if isinstance(find(path), dict) else None
        assert extended is None or not spelled(extended)


def find(path):
    place = STATEMENT
    for key in path:
        place = place[key]
    return place


def test_bytes_in_another_spelling_are_not_recognised():
    payload = canonical_bytes(STATEMENT)
    assert is_spelled(payload)
    others = [
        payload + b"\n",
        b" " + payload,
        payload.replace(b":", b": ", 1),
        payload.replace(b'"version":1', b'"version":1.0'),
        payload.replace(b'"version":1', b'"version":1,"version":1'),
        payload[:-1] + b',"algorithms":{}}',
        payload.replace(b"true", b"True"),
    ]
    assert not any(map(is_spelled, others))


def test_every_statement_that_is_made_is_recognised(monkeypatch):
    looked_at = []
    check = sealing.check_statement
    monkeypatch.setattr(sealing, "check_statement", lambda statement: (looked_at.append(statement), check(statement)))
    members = [ScriptedModel(name, replies="29") for name in ("a", "b", "c", "d")]
    with LEO(small=members[0], large=members[1], jury=members) as leo:
        for route in ("small", "large", "cascade", "consensus", None, None):
            answer = leo.ask(f"How many days has February in 2028 \u00e0 la {route}?", route=route, max_error=0.9)
            assert is_spelled(read_document(answer.receipt).envelope.payload)
    assert looked_at == []


def test_a_statement_with_a_larger_integer_is_sealed_all_the_same():
    unlogged = {name: value for name, value in STATEMENT.items() if name != "log"}
    large = {**unlogged, "usage": {**unlogged["usage"], "input_tokens": 2**53 - 1}}
    sealed = seal(large, {}, head=LogHead(), origin=ORIGIN, key=KEY)
    assert not is_spelled(read_document(sealed.receipt).envelope.payload)
    with pytest.raises(ReceiptError, match=r"usage\.input_tokens"):
        seal({**large, "usage": {**large["usage"], "input_tokens": 2**53}}, {}, head=LogHead(), origin=ORIGIN, key=KEY)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"time": "2026-02-30T00:00:00.000000Z"}, "time"),
        ({"sigma": "1.000000001"}, "sigma"),
        ({"answer_id": 0.5}, "answer_id"),
        ({"answer_id": object()}, "answer_id"),
        ({"novelty": {}}, "novelty"),
        ({"é": 1}, "é"),
        ({"trust": [{"member": "m", "alpha": "0.000000000", "beta": "1.000000000", "mean": "0.000000000"}]}, "alpha"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_is_told_before_anything_is_signed(change, named):
    unlogged = {name: value for name, value in STATEMENT.items() if name != "log"}
    with pytest.raises(ReceiptError, match=named) as refused:
        seal({**unlogged, **change}, {}, head=LogHead(), origin=ORIGIN, key=KEY)
    assert refused.value.check == "statement"
