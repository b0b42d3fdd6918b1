"""The published JSON Schema of the statement: frozen, and of one mind with the check."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from leo_core import LEO
from leo_core.errors import ReceiptError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.receipt.schema import check_statement, statement_schema
from tests.core.receipt.examples import VECTORS

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "receipt-statement.schema.json"
GOLDEN = json.loads((VECTORS / "valid.json").read_text())
STATEMENT = json.loads(base64.b64decode(GOLDEN["envelope"]["payload"]))
POINTERS = {"winner", "medoid", "class", "abstained"}
"""What points at something, or says that nothing is pointed at: more than a schema can say."""
VALIDATOR = Draft202012Validator(statement_schema())


def leaves(value, path=()):
    """Paths of all values inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, item in items for leaf in leaves(item, (*path, key)))]


def replaced(path, new):
    document = copy.deepcopy(STATEMENT)
    place = document
    for key in path[:-1]:
        place = place[key]
    if new is None:
        del place[path[-1]]
    else:
        place[path[-1]] = new
    return document


def accepts(statement):
    try:
        check_statement(statement)
    except ReceiptError:
        return False
    return True


def test_it_is_published_as_it_is_and_is_a_schema():
    Draft202012Validator.check_schema(statement_schema())
    assert json.loads(PUBLISHED.read_text()) == statement_schema()


def test_the_golden_statement_and_real_ones_of_every_route_fit():
    assert VALIDATOR.is_valid(STATEMENT)
    members = [ScriptedModel(name, replies="29") for name in ("a", "b", "c", "d")]
    with LEO(small=members[0], large=members[1], jury=members) as leo:
        for route in ("small", "large", "cascade", "consensus", None):
            answer = leo.ask("How many days has February in 2028?", route=route, max_error=0.9)
            statement = read_statement(answer.receipt)
            assert list(VALIDATOR.iter_errors(statement)) == []
            assert accepts(statement)


@pytest.mark.parametrize("path", leaves(STATEMENT)[1:], ids=lambda path: ".".join(map(str, path)))
def test_whatever_is_of_another_kind_or_missing_is_refused_by_both(path):
    for new in ({"x": "y"}, 0.5, -7, "x" * 3 + "\n", True):
        tampered = replaced(path, new)
        if VALIDATOR.is_valid(tampered):
            assert accepts(tampered) or path[-1] in POINTERS, (path, new)
        else:
            assert not accepts(tampered), (path, new)
    if isinstance(path[-1], str):
        missing = replaced(path, None)
        assert not VALIDATOR.is_valid(missing)
        assert not accepts(missing)


def test_what_is_not_known_is_refused():
    assert not VALIDATOR.is_valid({**STATEMENT, "extra": 1})
    assert not VALIDATOR.is_valid({**STATEMENT, "usage": {**STATEMENT["usage"], "extra": 1}})
