from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leo_core.records import Message
from leo_core.stages.consensus import extraction, free_text, quantities
from leo_core.stages.consensus.dates import read_moment
from leo_core.stages.consensus.extraction import extract_answer
from leo_core.stages.consensus.literals import read_literal, spell_json, spell_literal, spell_number
from leo_core.stages.consensus.programs import spell_program
from leo_core.stages.consensus.quantities import last_quantity, read_quantity
from leo_core.stages.consensus.questions import QuestionTraits, read_question
from leo_core.stages.consensus.units import find_unit

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_reads_every_repr(value: object) -> None:
    found = read_literal(repr(value))
    assert found is not None
    assert spell_literal(found, typed=True) == spell_literal(read_literal(f"  {value!r}\n") or found, typed=True)


@given(VALUES, VALUES)
def test_spelling_tells_values_apart(a: object, b: object) -> None:
    one, two = read_literal(repr(a)), read_literal(repr(b))
    assert one is not None and two is not None  # noqa: PT018 - for the type checker, not for the test
    same = spell_literal(one, typed=True) == spell_literal(two, typed=True)
    if same:
        assert ast.literal_eval(repr(a)) == ast.literal_eval(repr(b))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("{3, 1, 3}", "set(1, 3)"),
        ("set()", "set()"),
        ("{}", "{}"),
        ("()", "()"),
        ("(1)", "1"),
        ("(1,)", "(1)"),
        ("[1, [2, (3, 4)],]", "[1, [2, (3, 4)]]"),
        ("{'b': 1, \"a\": 2}", "{'a': 2, 'b': 1}"),
        ("[true, False, null, NaN, -inf]", "[true, false, null, nan, -inf]"),
        ("1_000.50", "1000.5"),
        ("-2e-3", "-0.002"),
        ("r'\\n'", "'\\\\n'"),
        ("'\\x41\\u0042\\d\\n'", "'AB\\\\d\\n'"),
        ("5.", "5"),
    ],
)
def test_literal_spelling(text: str, spelled: str) -> None:
    found = read_literal(text)
    assert found is not None
    assert spell_literal(found, typed=True) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[1",
        "1]",
        "[1 2]",
        "{1: 2, 3}",
        "{1: 2 3: 4}",
        "{1:}",
        "1 2",
        "'a",
        "f(1)",
        "1+1",
        "set(1)",
        "[,]",
        ":",
        "1a",
        "9" * 301,
        "1e999",
        "[" * 100 + "]" * 100,
        "[" + "1," * 20000 + "]",
    ],
)
def test_no_literal(text: str) -> None:
    assert read_literal(text) is None


def test_untyped_spelling_is_lenient() -> None:
    one, two = read_literal("('A  b', 1)"), read_literal("['a b', 1.0]")
    assert one is not None and two is not None  # noqa: PT018 - for the type checker, not for the test
    assert spell_literal(one, typed=False) == spell_literal(two, typed=False)
    assert spell_literal(one, typed=True) != spell_literal(two, typed=True)


@given(st.fractions())
def test_number_spelling_is_exact(value: Fraction) -> None:
    assert Fraction(spell_number(value)) == value


def test_json_spelling() -> None:
    assert spell_json({"b": [1, 2.0], "a": None}) == spell_json({"a": None, "b": (1.0, 2)})
    assert spell_json({"a": "1"}) != spell_json({"a": 1})
    assert spell_json({"a": True}) != spell_json({"a": 1})
    assert spell_json([[], []]) != spell_json([[[]]])
    assert spell_json(float("nan")) == "nan"
    assert spell_json([0] * 200_000) is None


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("7", 7, ""),
        ("-7.50", Fraction(-15, 2), ""),
        ("-$7", -7, "$"),
        ("$-7", -7, "$"),
        ("minus 7", -7, ""),
        ("1 1/2", Fraction(3, 2), ""),
        ("1/4 cup", Fraction(1, 4), "cup"),
        ("½", Fraction(1, 2), ""),
        ("1½", Fraction(3, 2), ""),
        ("12 %", 12, "%"),
        ("12\\%", 12, "%"),
        ("3k", 3000, ""),
        ("$2 billion", 2 * 10**9, "$"),
        ("1.000.000,5", Fraction(10_000_005, 10), ""),
        ("about 3 miles of", 3, "miles of"),
        ("total: 9", 9, ""),
        ('67"', 67, '"'),
        ("two million", 2_000_000, ""),
        ("twenty-one days", 21, "days"),
        ("5 feet 6 inches", Fraction(381, 1250) * Fraction(11, 2), "(length)"),
        ("1\\text{ hour}", 1, "hour"),
    ],
)
def test_quantities(text: str, value: Fraction, unit: str) -> None:
    found = read_quantity(text)
    assert found is not None
    assert found.value == value
    assert found.unit == unit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "5 or 6",
        "5 not 6",
        "3 to",
        "1/0",
        "4th",
        "3D",
        "--5",
        "-$-5",
        "1e999",
        "9" * 350,
        "9" * 500,
        "5 hours, 3 kg",
        "one two and",
        "hundred",
        "5 a b c d e f g",
        "5 (approx)",
        "1 hour 5 kg",
        "2024-03-05",
        "4:30",
        "1.2.3",
        "and",
    ],
)
def test_no_quantity(text: str) -> None:
    assert read_quantity(text) is None


def test_last_quantity() -> None:
    found = last_quantity("First 5, then $1,200 in all.")
    assert found is not None
    assert (found.value, found.unit) == (1200, "$")
    assert last_quantity("none at all, see a1b") is None


PIECES = [
    "about ", "total: ", "x = ", "minus ", "-", "+ ", "$", "€ ", "us$", "USD ", "rs. ", "five", "forty-two", "1",
    "1,000", "1.000,5", "3,5", "1 000", "½", " 1/2", " km", "%", " apples", ".", "\\frac{1}{2}", "\\text{five}", "{,}",
    "**", "`", "\u2212", "> ", "answer", "an\u017fwer", "ANSWER", " to the question", " to the quest\u0131on",
    " \u0131s ", " \u0130S ", " was ", ":", "\n", "word", "no",
]  # fmt: skip
"""Parts of answers with what is looked for, and what looks like it."""


@given(st.lists(st.sampled_from(PIECES), max_size=5).map("".join))
@example("+ 5 km")
@example("`code` and *more*")
@example("It is long, but the answer to the quest\u0131on is 5")
@example("It is long, but the an\u017fwer \u0131s 5")
@settings(max_examples=300, deadline=None)
def test_what_the_first_look_turns_away_would_not_be_found(text: str) -> None:
    readers = (
        (quantities, "_START", read_quantity),
        (extraction, "_MAYBE_PHRASE", lambda written: extract_answer(written, QuestionTraits())),
        (free_text, "_MARKED", free_text.normalise),
    )
    for module, gate, read in readers:
        found = read(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, gate, re.compile(""))
            assert read(text) == found


def test_units() -> None:
    assert find_unit("KM") == ("length", Fraction(1000))
    assert find_unit("apples") is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-03-05", "2024-03-05"),
        ("2024-03-05T00:00:00Z", "2024-03-05"),
        ("Tuesday, March 5th, 2024.", "2024-03-05"),
        ("the 5 of Mar. 2024", "2024-03-05"),
        ("Sept 9", "--09-09"),
        ("29 February", "--02-29"),
        ("13/05/2024", "2024-05-13"),
        ("05/13/2024", "2024-05-13"),
        ("05.05.2024", "2024-05-05"),
        ("05/06/2024", None),
        ("29 February 2023", None),
        ("0000-01-01", None),
        ("2024-13-01", None),
        ("13/13/2024", None),
        ("May", None),
        ("5" * 80, None),
    ],
)
def test_dates(text: str, day: str | None) -> None:
    assert read_moment(text) == (("date", day) if day is not None else None)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("3:30 PM", "15:30"),
        ("at 12 a.m.", "00:00"),
        ("12pm", "12:00"),
        ("3:05 in the afternoon", "15:05"),
        ("23:59:07", "23:59:07"),
        ("09:00:00", "09:00"),
        ("13 pm", None),
        ("24:00", None),
        ("5", None),
        ("5:61", None),
        ("noon", None),
    ],
)
def test_times(text: str, time: str | None) -> None:
    assert read_moment(text) == (("time", time) if time is not None else None)


def test_programs() -> None:
    assert spell_program("def f(x):\n  return x+1") == spell_program("# c\ndef f(x):\n    'Doc.'\n    return (x + 1)\n")
    assert spell_program("x = 1") != spell_program("x = 2")
    assert spell_program("x=1\ny=2") == spell_program("x = 1\n\ny = 2")
    assert spell_program("let x = 1;\n  y();") == spell_program("let  x = 1;\n\n    y();  ")
    assert spell_program("if (a) {\n  b\n}") != spell_program("if (a) {\nb\n}")
    assert spell_program("x = '\\d'") == spell_program("x  =  '\\d'")
    assert spell_program("") == ""
    deep = "[" * 200 + "]" * 200
    assert spell_program(deep) == "0 " + deep
    chain = "1+" * 900 + "1"
    assert spell_program("x = " + chain) == spell_program("x =  " + chain)
    assert spell_program("x = " + chain) != spell_program("x = 1+" + chain)
    assert spell_program("'just a docstring'") != spell_program("'another'")


def test_programs_never_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in ("x = '\\d'", "x = 1or 2", "x = '\\777'", "assert (1, 'a')", "1 is 1"):
            spell_program(source)


NUMERIC = QuestionTraits(numeric=True)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('{"answer": "1"} and then {"answer": "2"}', "2"),
        ('{"reasoning": "the \\"answer\\": 3", "answer": 4}', "4"),
        ('{"final_answer": true}', "true"),
        ('{"answer": {"a": 1}}', '{"a": 1}'),
        ('{"answer": "un"finished"}\n```', 'un"finished'),
        ('{"answer": ""}', ""),
        ("\\boxed{1} so \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("#### 5\n#### 6 apples", "6 apples"),
        ("The answer is: **Paris**. It is big.", "Paris**"),
        ("Answer: 5", "5"),
        ("the answer to the question was 5.5. Good.", "5.5"),
    ],
)
def test_explicit_answers(reply: str, found: str) -> None:
    answer = extract_answer(reply, NUMERIC)
    assert answer.explicit
    assert answer.text == found


@pytest.mark.parametrize(
    "reply", ["\\boxed{", "nothing marked", '{"answer":', "the answer is\n", "the answer is ```x```"]
)
def test_nothing_explicit(reply: str) -> None:
    assert not extract_answer(reply, NUMERIC).explicit


def test_fences() -> None:
    assert extract_answer("```json\n{}\n```", NUMERIC).text == "{}"
    assert extract_answer("see ```\nx\n``` there", NUMERIC).text == "see ```\nx\n``` there"
    found = extract_answer("a ```python\nx=1\n``` b ```python\ny=2\n```", NUMERIC)
    assert found.program
    assert "x=1" in found.text
    assert "y=2" in found.text


def test_letters() -> None:
    traits = read_question("Which?\n(A) x\n(B) y")
    assert extract_answer("I think the correct option is B because", traits).text == "B"
    assert extract_answer("A. x", traits).text == "A"
    assert extract_answer("So it has to be **B**", traits).text == "B"
    assert not extract_answer("C. z", traits).explicit


def test_questions() -> None:
    assert read_question("How many are left?").numeric
    assert read_question("What is the total cost of 3 pens?").numeric
    assert not read_question("Who wrote it?").numeric
    assert read_question("He left. Is it old?").polar
    assert read_question("Given that, is it old?").polar
    assert read_question("Answer yes or no: old").polar
    assert not read_question("What is it?").polar
    assert read_question("Which? (A) one (B) two").options == (("A", "one"), ("B", "two"))
    assert read_question("A) one\nC) two").options == ()
    assert read_question("def f(x):\n  return 1").code


def test_value_readers_need_no_numpy() -> None:
    script = (
        "import sys; import leo_core.stages.consensus.equivalence, leo_core.stages.consensus.vote,"
        "leo_core.stages.consensus.config, leo_core.stages.consensus.observations;"
        "assert 'numpy' not in sys.modules and 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "text",
    [
        "I cannot answer from the given context.",
        "I'm sorry, but I can't help with that.",
        "Sorry, I do not know.",
        "Unable to answer.",
        "The context does not mention it.",
    ],
)
def test_a_refusal_is_no_answer(text):
    from leo_core.stages.consensus.canonical_answers import canonicalise
    from leo_core.stages.consensus.questions import read_question

    assert canonicalise(Message(role="assistant", content=text), read_question("Who?")).kind == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "I cannot say exactly, about 42.",
        "You cannot return helmets.",
        "I do, and the answer is Paris.",
        "Sorry is an album.",
    ],
)
def test_an_answer_that_sounds_like_a_refusal_is_one(text):
    from leo_core.stages.consensus.canonical_answers import canonicalise
    from leo_core.stages.consensus.questions import read_question

    assert canonicalise(Message(role="assistant", content=text), read_question("Who?")).kind != "refusal"
