from __future__ import annotations

import gzip
import hashlib
import json
from itertools import combinations, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.records import Message, ToolCall
from leo_core.stages.consensus import equivalence
from leo_core.stages.consensus.equivalence import classify, contradict, same_answer, sort_answers

OPTIONS = "Which one?\nA) Paris\nB) Lyon\nC) Nice"
CODE = "[PYTHON]\ndef f(x): ...\nassert f(1) == ??\n[/PYTHON]"
REPLAY = Path(__file__).resolve().parents[4] / "shared" / "data" / "replay"


def say(text: str) -> Message:
    return Message(role="assistant", content=text)


SAME = [
    ("The answer is 42.", "#### 42", ""),
    ("\\boxed{\\frac{3}{4}}", "0.75", ""),
    ("\\boxed{2\\frac{1}{2}}", "2.5", ""),
    ("$1,450.00", "1450 dollars", ""),
    ("300 cents", "$3", ""),
    ("3 km", "3000 m", ""),
    ("5 lbs", "5 pounds", ""),
    ("5 pounds", "£5", ""),
    ("March 5, 2024", "2024-03-05", ""),
    ("5th of March 2024", "2024/3/5", ""),
    ("3:30 PM", "15:30", ""),
    ("Paris", "The capital of France is Paris.", "What is the capital of France?"),
    ("B", "The answer is (B).", OPTIONS),
    ("Lyon", "B) Lyon", OPTIONS),
    ("**B**", "I would say option B", OPTIONS),
    ("Yes", "Yes, because it is old.", "Is it old?"),
    ("true", "yes", ""),
    ("[1, 2]", "[1,2]", ""),
    ('{"a": 1, "b": [true, null]}', "{'b': [True, None], 'a': 1.0}", ""),
    ("forty-two", "42", ""),
    ("three hundred and five apples", "305 apples", ""),
    ("20%", "0.2", "What is the probability?"),
    ("20%", "20", "What percent?"),
    ("20 %", "20", ""),
    ("1 hour 30 minutes", "90 minutes", ""),
    ("2/3", "0.667", ""),
    ("5 apples", "5", ""),
    ("<think>The answer is 5.</think>7", "7", ""),
    ("**__`5`__**", "5", ""),
    ("5 apples", "5 oranges", "How many fruits are there?"),
    ("The total is $64 after all", "64", "How much is it?"),
    ("8 - 4 = 4", "4", ""),
    ("I don't know", "I do not know", ""),
    ("**Final Answer:** 12 miles", "12", ""),
    ("Final answer: x = 5", "5", ""),
    ("2.5 million", "2,500,000", ""),
    ("1.234,56", "1234.56", ""),
    ("12,5", "12.5", ""),
    ("-3", "\u22123", ""),
    ("1e3", "1 000", ""),
    ("1.5 \u00d7 10^3", "1500", ""),
    ("approximately 7", "7", ""),
    ('{"reasoning": "6 or\n7", "answer": "7"}', "7", ""),
    ('{"reasoning": "cut", "answer": 7', '```json\n{"answer": 7.0}\n```', ""),
    ('{"reasoning": "r", "answer": [1, 2]}', "[1, 2]", ""),
    ("<think>5</think>The final answer is **7**", "7", ""),
    ("'hi'", "hi", CODE),
    ('{"answer": "\'hi\'"}', '"hi"', CODE),
    ("assert f(1) == [1,2]", "[1, 2]", CODE),
    ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", CODE),
    (
        "```python\ndef f(x):\n    '''Add.'''\n    return x+1 # a\n```",
        "Here:\n```py\ndef f(x):\n  return (x + 1)\n```",
        "",
    ),
    ("```js\nlet a  = 1;\n\n// one\n```", "```javascript\nlet a = 1;\n```", ""),
    (
        "The river flows from the high mountains through seven old towns into the northern sea.",
        "The river flows from high mountains through seven old towns, into the northern sea",
        "",
    ),
]

DIFFERENT = [
    ("5", "6", ""),
    ("5 kg", "5 km", ""),
    ("€5", "$5", ""),
    ("5 apples", "5 oranges", ""),
    ("366", "366.4", ""),
    ("0.67", "0.7", ""),
    ("3.33", "3.338", ""),
    (
        "Members of the old club may enter the garden through the small gate after every long winter.",
        "Members of the old club may not enter the garden through the small gate after every long winter.",
        "",
    ),
    ("0.05", "0.046", ""),
    ("20%", "0.2", "What percent?"),
    ("20%", "0.5", ""),
    ("03/05/2024", "2024-03-05", ""),
    ("Lyon", "The capital of France is Paris.", "What is the capital of France?"),
    ("A", "B", OPTIONS),
    ("Nice", "Lyon", OPTIONS),
    ("Yes, it is safe.", "No", "Is it safe?"),
    ("It is safe.", "It is not safe.", ""),
    ("It is safe.", "It is unsafe.", ""),
    ("Brazil beat Germany", "Germany beat Brazil", "Who won, Brazil or Germany?"),
    ("Brazil beat them", "Germany beat them", "Who won, Brazil or Germany?"),
    ("'816'", "816", CODE),
    ("'True'", "True", CODE),
    ("POO", "poo", CODE),
    ("' x'", "'x'", CODE),
    ("(1, 2)", "[1, 2]", CODE),
    ("1", "True", CODE),
    ("```python\na = 1\n```", "```python\na = 2\n```", ""),
    ("", "", ""),
    ("", "5", ""),
    (
        "The river flows from the high mountains through seven old towns into the northern sea.",
        "The river flows from the high mountains through eight old towns into the northern sea.",
        "",
    ),
    (
        "The law was signed by president Lincoln before the end of the long war in spring.",
        "The law was signed by president Johnson before the end of the long war in spring.",
        "",
    ),
    (
        "The pressure increases when the valve is opened slowly during the first test run.",
        "The pressure decreases when the valve is opened slowly during the first test run.",
        "",
    ),
]


@pytest.mark.parametrize(("a", "b", "question"), SAME)
def test_same(a: str, b: str, question: str) -> None:
    assert same_answer(say(a), say(b), question)
    assert same_answer(say(b), say(a), question)


@pytest.mark.parametrize(("a", "b", "question"), DIFFERENT)
def test_different(a: str, b: str, question: str) -> None:
    assert not same_answer(say(a), say(b), question)
    assert not same_answer(say(b), say(a), question)


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(id=f"id-{len(arguments)}", name=name, arguments=arguments)


def test_tool_calls_compare_by_name_and_arguments() -> None:
    one = Message(role="assistant", content="I call", tool_calls=(call("f", x=1, y=[1, 2.5]), call("g")))
    two = Message(role="assistant", tool_calls=(call("g"), call("f", y=[1.0, 2.5], x=1)))
    assert same_answer(one, two)
    assert not same_answer(one, Message(role="assistant", tool_calls=(call("f", x=2, y=[1, 2.5]), call("g"))))
    assert not same_answer(one, Message(role="assistant", tool_calls=(call("f", x=1, y=[1, 2.5]),)))
    assert not same_answer(Message(role="assistant", tool_calls=(call("f", x="1"),)), say("f(x=1)"))


def test_deep_and_large_arguments() -> None:
    deep: object = 1
    for _ in range(5_000):
        deep = [deep]
    huge = Message(role="assistant", tool_calls=(call("f", x=list(range(60_000))),))
    nested = Message(role="assistant", tool_calls=(call("f", x=deep, y=10**5000, z=float("nan")),))
    assert same_answer(nested, nested)
    assert not same_answer(huge, huge)  # too large to be spelled: no answer


def test_blocks_without_text() -> None:
    image = {"type": "image", "base64": "AA", "id": "1"}
    one = Message(role="assistant", content=({"type": "reasoning", "reasoning": "r"}, image))
    two = Message(role="assistant", content=({**image, "id": "2"},))
    other = Message(role="assistant", content=({**image, "base64": "AB"},))
    assert same_answer(one, two)
    assert not same_answer(one, other)
    assert not same_answer(Message(role="assistant", content=({"type": "reasoning"},)), one)


def test_text_blocks_are_the_text() -> None:
    blocks = Message(
        role="assistant", content=({"type": "text", "text": "The answer is "}, {"type": "text", "text": "4."})
    )
    assert same_answer(blocks, say("4"))


def test_judge_decides_only_what_words_leave_open() -> None:
    asked: list[tuple[str, str, str]] = []

    def judge(question: str, a: str, b: str) -> bool | None:
        asked.append((question, a, b))
        return None if "unknown" in a + b else True

    long_a = "Cells divide in order to grow, to repair tissue and to reproduce themselves over time"
    long_b = "Growth, healing of wounds and reproduction are what makes it necessary that new cells appear"
    assert not same_answer(say(long_a), say(long_b), "Why?")
    assert same_answer(say(long_a), say(long_b), "Why?", judge=judge)
    assert not same_answer(say(long_a), say(long_b + " unknown"), "Why?", judge=judge)
    assert len(asked) == 2
    assert asked[0] == ("Why?", long_a, long_b)
    assert not same_answer(say("5"), say("6"), judge=judge)
    assert len(asked) == 2
    rises = "The pressure increases when the valve is opened slowly during the first two long test runs"
    assert not same_answer(say(rises), say(rises.replace("increases", "decreases")), judge=judge)
    assert len(asked) == 2
    assert classify([say(long_a), say(long_b)], "Why?", judge=judge)[0] == (0, 0)


def test_classes_and_forms() -> None:
    replies = [say("7 km"), say("12"), say("#### 7"), say(""), say("The answer is $12"), say("")]
    classes, forms = classify(replies)
    assert classes == (0, 1, 0, 2, 1, 2)
    assert forms == ("number: 7", "number: 12", "")
    assert classify([]) == ((), ())


def test_six_layers_of_marks_are_taken_off() -> None:
    assert same_answer(say("**__`$\\([5]\\)$`__**"), say("[5]"))
    assert not same_answer(say('**__`$\\(\\["5"\\]\\)$`__**'), say("5"))


def test_bare_number_does_not_bridge_units() -> None:
    replies = [say("300"), say("300 miles"), say("300 km")]
    for order in permutations(range(3)):
        classes, _ = classify([replies[place] for place in order])
        by_reply = dict(zip(order, classes, strict=True))
        assert by_reply[1] != by_reply[2]


def test_long_forms_are_cut_and_hashed() -> None:
    text = "word " * 500
    _, (form,) = classify([say(text)])
    assert len(form) < 420
    assert "sha256:" in form
    assert form != classify([say(text + "more")])[1][0]


ANSWERS = st.sampled_from(
    [
        "5",
        "5 km",
        "5000 m",
        "5 apples",
        "five",
        "5%",
        "0.05",
        "3.33",
        "3.333",
        "10/3",
        "yes",
        "Yes.",
        "no",
        "",
        "[1]",
        "[1.0]",
        "Paris",
        "It is Paris",
        "the city of Paris",
        "not Paris",
        "```python\nx=1\n```",
        "2024-01-02",
        "2 January 2024",
    ]
)


@given(st.lists(ANSWERS, max_size=7), st.randoms(use_true_random=False))
def test_classes_do_not_depend_on_the_order(texts: list[str], shuffler: object) -> None:
    classes, forms = classify([say(text) for text in texts], "What is it?")
    order = list(range(len(texts)))
    shuffler.shuffle(order)
    again, _ = classify([say(texts[place]) for place in order], "What is it?")
    assert sorted(set(classes)) == list(range(len(forms)))
    assert list(dict.fromkeys(classes)) == list(range(len(forms)))
    for i, j in combinations(range(len(texts)), 2):
        assert (again[i] == again[j]) == (classes[order[i]] == classes[order[j]])


WEIRD = st.one_of(
    st.text(st.characters(), max_size=80),
    st.text("0123456789,.-+eE/%$ '\"()[]{}:\\\n", max_size=60),
    st.lists(
        st.sampled_from(
            [
                "```",
                "python\n",
                "answer",
                '"answer":',
                "{",
                "}",
                "\\boxed{",
                "####",
                " is ",
                "(A)",
                "\n",
                "'",
                '"',
                "\\",
                "1",
                "�",
                "\x00",
                "assert f() ==",
                "=",
                "and",
                "hundred",
                "</think>",
                "not",
                "9" * 400,
                "1e9999",
                "0/0",
            ]
        ),
        max_size=14,
    ).map("".join),
)


LONG_REPLIES = (
    "The pressure increases when the valve is opened slowly during the first two long test runs",
    "The pressure decreases when the valve is opened slowly during the first two long test runs",
    "the pressure increases when a valve is opened slowly during the first two long test runs, always",
)


@settings(max_examples=300, deadline=None)
@given(WEIRD, WEIRD, st.sampled_from(["", OPTIONS, CODE, "How many?", "Is it?", "\ud800"]))
def test_never_raises_symmetric_reflexive(a: str, b: str, question: str) -> None:
    assert same_answer(say(a), say(b), question) == same_answer(say(b), say(a), question)
    _, forms = classify([say(a), say(b)], question)
    assert len(forms) in {1, 2}
    if classify([say(a)], question)[1] != ("",):
        assert same_answer(say(a), say(a), question)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["5", "5.0", "5 km", "5 miles", "five", "", "I cannot answer.", "Yes.", "true", *LONG_REPLIES])
        | WEIRD,
        max_size=6,
    )
)
def test_sorting_joins_each_reply_to_the_first_that_it_equals(texts: list[str]) -> None:
    messages = [say(text) for text in texts] + [Message(role="assistant", tool_calls=(call("f", x=1),))] * 2
    numbers: list[int] = []
    for at, message in enumerate(messages):
        homes = [first for first in range(at) if numbers[first] == first and same_answer(messages[first], message)]
        numbers.append(homes[0] if homes else at)
    assert sort_answers(messages) == numbers
    assert sort_answers(messages[:1]) == [0]
    assert sort_answers([]) == []


HOSTILE = [
    "answer" + " " * 100_000,
    "```" + "a" * 100_000,
    "[" * 100_000,
    '{"answer": ' * 10_000,
    '{"answer": ' + "[" * 50_000,
    "\n" * 100_000 + "x",
    "\n" * 49_000 + '"answer"',
    "```python\n" + "-" * 19_000 + "1\n```",
    "```python\n" + "a." * 9_000 + "b\n```",
    "```python\n" + "1+" * 9_000 + "1\n```",
    "```python\n" + "\n" * 19_000 + "x = 1\n```",
    "(A) " * 20_000,
    "1," * 50_000,
    "9" * 100_000,
    "\\boxed{" * 10_000,
    ". " * 40_000,
    "'" * 40_000,
    "\ufdfa" * 40_000,
    "the answer is " * 8_000,
    "one hundred " * 8_000,
    "what " * 20_000,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_replies_end_soon(text: str) -> None:
    for question in ("", CODE, OPTIONS, "How many?", text):
        classify([say(text), say("5"), say(text + "!")], question)


@pytest.mark.parametrize(("name", "least"), [("gsm", 0.995), ("crux", 0.975)])
def test_agrees_with_recorded_grades(name: str, least: float) -> None:
    path = REPLAY / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"recorded answers are not there: {path.name}")
    agree = pairs = 0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if int(hashlib.sha256(row["question"].encode()).hexdigest(), 16) % 5 == 0:
                continue
            answers = list(row["answers"].values())
            classes, _ = classify([say(answer["text"]) for answer in answers], row["question"])
            for i, j in combinations(range(len(answers)), 2):
                right = answers[i]["correct"] + answers[j]["correct"]
                if right:
                    pairs += 1
                    agree += (classes[i] == classes[j]) == (right == 2)
    assert agree / pairs >= least


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It is 3 km.", "It is 3 miles.", False),
        ("It is 3 km.", "It is 3000 m.", True),
        ("It takes 2 hours.", "It takes 120 minutes.", True),
        ("It takes 2 hours.", "It takes 2 days.", False),
        ("It is 20°C.", "It is 20 °F.", False),
        ("It is 12 in.", "It is 12 inches.", True),
        ("There are 12 in total.", "It is 12.", True),
        ("The walk is 2 miles long.", "It is a 2-mile walk.", True),
        ("She has 5 apples left.", "She has 5.", True),
    ],
)
def test_the_unit_of_a_number_in_a_sentence_counts(one: str, other: str, same: bool) -> None:
    first, second = (Message(role="assistant", content=text) for text in (one, other))
    assert same_answer(first, second, "How far is it?") is same


WINDS = (
    "Wind blows because warm air over the land rises and cooler air from elsewhere flows in to take its place. "
    "The larger the difference in pressure between two places, the stronger the wind that blows between them."
)
SUNS = (
    "The sun heats the ground unevenly, since dark fields take up more of its light than lakes or forests do. "
    "Pressure falls where it is hot, and the air that moves towards these places is what we call wind."
)


@pytest.mark.parametrize(
    ("one", "two", "question", "expected"),
    [
        ("The answer is 12.", "It is 13.", "How many are left?", True),
        ("The answer is 12.", "It is 12.0.", "How many are left?", False),
        ("Paris", "Lyon", "What is the capital of France?", True),
        (WINDS, SUNS, "Why does wind blow?", False),
        ("The answer is 12.", "", "How many are left?", False),
        ("The answer is 12.", "I'm sorry, I can't help with that.", "How many are left?", False),
    ],
)
def test_only_answers_that_certainly_differ_contradict(one: str, two: str, question: str, expected: bool) -> None:
    a, b = (Message(role="assistant", content=text) for text in (one, two))
    assert contradict(a, b, question) is contradict(b, a, question) is expected


@pytest.mark.parametrize("length", [1_500, 30_000, 150_000])
def test_long_replies_are_the_same_by_what_they_say_and_read_once(length: int, monkeypatch) -> None:
    read: list[str] = []
    real = equivalence.canonicalise
    monkeypatch.setattr(
        equivalence, "canonicalise", lambda message, traits: read.append(message.text) or real(message, traits)
    )
    body = " ".join(f"word{number}x" for number in range(length // 9))
    marked = f"{body} {length}"
    one, same, other = (f"{marked}\nThe answer is {value}." for value in ("42", "42.0", "43"))
    assert same_answer(say(one), say(same))
    assert not same_answer(say(one), say(other))
    assert same_answer(say(same), say(one))
    assert len(read) == (3 if length < 100_000 else 6)


def test_names_numbers_and_negations_are_looked_at_where_the_words_agree() -> None:
    told = "It was Anna Smith who paid the large bill for the whole house in town on that day."
    assert same_answer(say(told), say(told.replace("large", "quite large")))
    assert not same_answer(say(told), say(told.replace("Smith", "Smith Jones")))
    assert not same_answer(say(told), say(told.replace("paid", "never paid")))
    assert not same_answer(say(told), say(told.replace("large", "12 large")))
