"""Risk after the answer: evidence, arithmetic, grounding, attributions, actions."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.records import Draft, Message, Request, ToolCall, Verdict, Vote
from leo_core.stages.risk.answer import answer_features, score_answer
from leo_core.stages.risk.answer_features import agreement_of, final_answer
from leo_core.stages.risk.arithmetic import evaluate, find_equations
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.context import find_context
from leo_core.stages.risk.grounding import grounding_features
from leo_core.stages.risk.linear import logit, sigmoid
from leo_core.stages.risk.shipped import shipped_linear

CONFIG = RiskConfig()
SUM = "Tom has 3 boxes with 4 apples each and eats 2. How many apples are left?"
RIGHT = "3 * 4 = 12 apples. 12 - 2 = 10 apples are left. The answer is 10."
WRONG = "3 * 4 = 14 apples. 14 - 2 = 12 apples are left. The answer is 12."
CONTEXT = "The Oberoi Group is a hotel company. It was founded in 1934 and has its head office in Delhi."
RAG = f"Context:\n{CONTEXT}\n\nQuestion: Where is the head office of the Oberoi Group?"
OPEN = "Why do people like the sea?"


def ask(text: str, **facts: object) -> Request:
    return Request(messages=(Message(role="user", content=text),), **facts)


def reply(text: str, **facts: object) -> Draft:
    return Draft(member="small", model="m", message=Message(role="assistant", content=text), **facts)


def score(question: str, answer: str | Draft, **facts):
    draft = reply(answer) if isinstance(answer, str) else answer
    return score_answer(ask(question), draft, config=facts.pop("config", CONFIG), **facts)


def verdict(classes: tuple[int, ...], weights: tuple[float, ...]) -> Verdict:
    votes = tuple(
        Vote(member="small" if index == 0 else f"m{index}", answer_class=kind, weight=weight, trust=0.8)
        for index, (kind, weight) in enumerate(zip(classes, weights, strict=True))
    )
    return Verdict(
        winner=0,
        classes=("a", "b"),
        posterior=(0.9, 0.1),
        votes=votes,
        certified_margin=0,
        medoid=0,
        abstained=False,
        confidence=0.9,
        required=0.8,
    )


@given(
    answer=st.text(max_size=300),
    agreement=st.one_of(st.none(), st.floats(0, 1)),
    question=st.sampled_from([SUM, RAG, OPEN]),
)
def test_attributions_add_up_to_the_log_odds(answer: str, agreement: float | None, question: str) -> None:
    found = score(question, answer, other_agreement=agreement, other_drafts=(reply("x"),) * 3)
    assert sum(found.attributions.values()) == pytest.approx(logit(found.value), abs=1e-6)
    assert 0.0 < found.interval[0] < found.value < found.interval[1] < 1.0


def test_a_wrong_equation_raises_the_risk() -> None:
    right, wrong = score(SUM, RIGHT), score(SUM, WRONG)
    blamed = [found.attributions["wrong_equations"] + found.attributions["wrong_share"] for found in (right, wrong)]
    assert wrong.value > right.value + 0.05
    assert blamed[1] > blamed[0] + 0.4


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 8))
def test_agreement_never_raises_the_risk(first: float, second: float, others: int) -> None:
    drafts = (reply("x"),) * others
    low, high = sorted((first, second))
    risks = [score(SUM, RIGHT, other_agreement=share, other_drafts=drafts).value for share in (low, high)]
    assert risks[1] <= risks[0] + 1e-12


def test_more_agreeing_drafts_count_for_more() -> None:
    few, many = (score(SUM, RIGHT, other_agreement=1.0, other_drafts=(reply("x"),) * n).value for n in (1, 6))
    assert many < few < score(SUM, RIGHT).value


def test_the_verdict_speaks_where_no_agreement_is_given() -> None:
    draft = reply(RIGHT)
    alone, with_it, against = verdict((0, 1, 1), (1.0, 1.0, 1.0)), verdict((0, 0, 0), (1.0, 1.0, 1.0)), None
    assert agreement_of(draft, alone, (), None) == (0.0, 2.0)
    assert agreement_of(draft, with_it, (), None) == (2.0, 0.0)
    assert agreement_of(draft, verdict((0, 0, 1), (1.0, 3.0, 1.0)), (), None) == (1.5, 0.5)
    assert agreement_of(draft, against, (), None) == (0.0, 0.0)
    assert agreement_of(draft, verdict((0, 1), (1.0, -1.0)), (), None) == (0.0, 0.0)
    assert agreement_of(replace(draft, member="stranger"), with_it, (), None) == (0.0, 0.0)
    assert agreement_of(draft, alone, (draft, draft), 1.0) == (2.0, 0.0)
    assert agreement_of(draft, None, (), 0.25) == (0.25, 0.75)
    assert score(SUM, RIGHT, verdict=with_it).value < score(SUM, RIGHT, verdict=alone).value


@given(st.lists(st.floats(-5, 0), min_size=1, max_size=20))
def test_surprised_tokens_raise_the_risk(logprobs: list[float]) -> None:
    sure = score(SUM, reply(RIGHT, logprobs=(-0.001,) * 5)).value
    doubtful = score(SUM, reply(RIGHT, logprobs=tuple(logprobs))).value
    assert doubtful >= sure - 1e-9 or sum(logprobs) / len(logprobs) > -0.001
    assert sure < score(SUM, RIGHT).value


@pytest.mark.parametrize(
    "worse",
    [
        reply(RIGHT, finish_reason="length"),
        reply("I'm sorry, I cannot answer that."),
        reply(""),
    ],
)
def test_cut_off_and_refused_answers_are_riskier(worse: Draft) -> None:
    assert score(SUM, worse).value > score(SUM, RIGHT).value


def test_a_tool_call_without_text_is_no_refusal() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments={}),))
    draft = Draft(member="small", model="m", message=call)
    assert answer_features(ask(SUM), draft)[1]["refusal"] == 0.0


def test_a_missed_format_is_riskier_only_when_it_was_asked_for() -> None:
    asked = ask(SUM, response_format={"type": "json_object"})
    plain, right = reply("10"), reply('{"answer": 10}')
    assert answer_features(asked, plain)[1]["format_missed"] == 1.0
    assert answer_features(asked, right)[1]["format_missed"] == 0.0
    assert answer_features(ask(SUM), plain)[1]["format_missed"] == 0.0
    assert answer_features(ask("Reply in JSON: " + SUM), plain)[1]["format_missed"] == 1.0


def test_a_trusted_member_is_less_risky() -> None:
    low, none, high = (score(SUM, RIGHT, trust=trust).value for trust in (0.4, None, 0.97))
    assert high < none < low


def test_an_uninformative_answer_is_near_the_base_rate_with_a_wide_interval() -> None:
    base = sigmoid(shipped_linear("answer", "reasoning").base)
    found = score(OPEN, "People like the sea for its sound and its light.")
    assert abs(found.value - base) < 0.25
    assert found.interval[1] - found.interval[0] > 0.4
    assert found.value != score(OPEN, "Perhaps it is the light, I think, but maybe it is something else").value


def test_settings_decide_how_an_unfamiliar_question_is_shrunk() -> None:
    full = RiskConfig(unfamiliar_shrinkage=1.0, unfamiliar_variance=0.0)
    answer = "Maybe, perhaps, I am not sure. However, wait: a mistake"
    shrunk, whole = score(OPEN, answer), score(OPEN, answer, config=full)
    assert shrunk.attributions["hedges"] == pytest.approx(0.6 * whole.attributions["hedges"])
    assert shrunk.interval[1] - shrunk.interval[0] > whole.interval[1] - whole.interval[0]


@pytest.mark.parametrize(
    ("max_error", "config", "action"),
    [
        (1.0, CONFIG, "accept"),
        (0.0, CONFIG, "escalate"),
        (0.0, RiskConfig(abstain_above=0.0), "abstain"),
        (None, RiskConfig(accept_below=1.0), "accept"),
        (None, RiskConfig(accept_below=0.0), "escalate"),
    ],
)
def test_actions(max_error: float | None, config: RiskConfig, action: str) -> None:
    assert score(SUM, RIGHT, max_error=max_error, config=config).action == action


def test_the_upper_bound_is_the_stricter_comparison() -> None:
    found = score(SUM, RIGHT)
    between = (found.value + found.interval[1]) / 2
    assert score(SUM, RIGHT, max_error=between).action == "accept"
    assert score(SUM, RIGHT, max_error=between, config=RiskConfig(accept_on="upper")).action == "escalate"


@pytest.mark.parametrize(
    ("answer", "worse"),
    [
        ("The head office is in Delhi.", "The head office is in Mumbai, the financial capital."),
        ("It was founded in 1934.", "It was founded in 1951."),
        ("The Oberoi Group is a hotel company.", "I love going there with my friends, do you?"),
    ],
)
def test_what_the_context_does_not_hold_is_riskier(answer: str, worse: str) -> None:
    assert answer_features(ask(RAG), reply(answer))[0] == "grounded"
    assert score(RAG, worse).value > score(RAG, answer).value


@pytest.mark.parametrize(
    "marked",
    [
        "It was founded in 1934 [1]. The head office is in Delhi [2][3].",
        "It was founded in 1934. [1, 2] The head office is in Delhi [^3].",
        "It was founded in 1934 [Source 1]. The head office is in Delhi 【2†group】.",
        "1. It was founded in 1934.\n2. The head office is in Delhi.",
    ],
)
def test_citations_and_numbers_of_a_list_need_no_context(marked: str) -> None:
    bare = score(RAG, "It was founded in 1934. The head office is in Delhi.").value
    assert score(RAG, marked).value == pytest.approx(bare, abs=0.02)
    assert score(RAG, marked.replace("1934", "1951")).value > bare + 0.1


def test_numbers_in_brackets_are_no_citations_where_the_answer_says_nothing_else() -> None:
    found = grounding_features("[1951]", CONTEXT, "When was it founded?")
    assert found == grounding_features("1951", CONTEXT, "When was it founded?")
    assert grounding_features("[12, 15]", CONTEXT, "Where?")["unsupported_numbers"] == pytest.approx(math.log(3))


def test_agreement_moves_a_grounded_answer_too() -> None:
    against, with_it = (score(RAG, "In Delhi.", other_agreement=share).value for share in (0.0, 1.0))
    assert with_it < against


def test_grounding_counts() -> None:
    found = grounding_features("The group was founded in 1951 by Smith. Delhi.", CONTEXT, "Who founded it?")
    assert found["unsupported_numbers"] == pytest.approx(math.log(2))
    assert found["unsupported_names"] == pytest.approx(math.log(2))
    assert found["least_sentence_support"] == pytest.approx(0.5)
    assert found["mean_sentence_support"] == pytest.approx(0.75)
    copied = grounding_features(CONTEXT, CONTEXT, "")
    assert copied["word_support"] == copied["longest_run"] == copied["3gram_support"] == copied["context_cover"] == 1.0
    nothing = grounding_features("", CONTEXT, "")
    assert nothing["word_support"] == nothing["2gram_support"] == nothing["longest_run"] == 1.0
    assert grounding_features("zebra", CONTEXT, "")["longest_run"] == 0.0


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        (RAG, CONTEXT),
        (f"<context>{CONTEXT}</context> Where is it?", CONTEXT),
        (f'Answer from this text: """{CONTEXT}""" Where is it?', CONTEXT),
        (f"{'The hotel stands in Delhi. ' * 20}\n\nWhere is it?", ("The hotel stands in Delhi. " * 20).strip()),
        ("Where is the head office?", ""),
        ("Context: none.", ""),
        ("def f(x):\n    return x\n\n" + "word " * 100 + "\n\nassert f(1) == ??", ""),
        (f"Sources:\n{CONTEXT}", CONTEXT),
    ],
)
def test_contexts_are_found(prompt: str, found: str) -> None:
    assert find_context(ask(prompt)) == found


def test_results_of_tools_and_marked_system_prompts_are_context() -> None:
    messages = (
        Message(role="system", content=f"You answer from the passages.\n\nPassages:\n{CONTEXT}"),
        Message(role="user", content="Where?"),
        Message(role="tool", content="The weather in Delhi is fine today.", tool_call_id="1"),
        Message(role="tool", content="The connection was refused, sorry.", tool_call_id="2", tool_error=True),
    )
    found = find_context(Request(messages=messages))
    assert CONTEXT in found
    assert "weather" in found
    assert "refused" not in found
    assert (
        find_context(Request(messages=(Message(role="system", content="Be brief and kind to everyone, always."),)))
        == ""
    )


@pytest.mark.parametrize(
    ("text", "checked"),
    [
        ("3 + 4 = 7 eggs daily. 9 eggs * $2/egg = $18", [True, True]),
        ("$<<9*2=18>>18", [True]),
        ("16 - 3 - 4 = 10", [False]),
        ("2 x 3 = 6, and 1,200 / 4 = 300", [True, True]),
        ("20% of 50 = 10", [True]),
        ("(3+4)*2 = 15", [False]),
        ("10/3 = 3.33", [True]),
        ("10/3 = 3.35", [False]),
        ("3 sprints * 60 meters/sprint = 180 meters", [True]),
        ("3/4 = 75%", [True]),
        (r"5 \times 6 = 30 and 8 ÷ 2 = 4", [True, True]),
        ("-3 + +5 = 2", [True]),
        ("5/0 = 3; f = 3; 12 - 2*(3 = 4; 3x = 12; total is 3 = 3; 4 + = 4; ( = 1; 2 + 3 = many", []),
        ("4 * 125 - 2 = 500 - 2 = 498", [True, True]),
        ("4 * 125 - 2 = 500 - 3 = 497", [False, True]),
        ("(1/2)(2x/3 - 2) = 5 and x - 3 = 4", []),
        ("3 + 4 = 5 + (2", []),
        ("3 + 5² = 28, 2 + ² = 3 and 3 + 4 = 5 * 2²", []),
        ("In total there are ten 3 + 4 = 7", [True]),
        ("2 3 + 4 = 7", [True]),
    ],
)
def test_equations_are_checked(text: str, checked: list[bool]) -> None:
    assert [equation.right for equation in find_equations(text)] == checked


@given(st.one_of(st.text(alphabet="0123456789+-*/()=%. x$²³½٣", max_size=200), st.text(max_size=100)))
def test_any_text_can_be_checked(text: str) -> None:
    assert all(math.isfinite(equation.stated) for equation in find_equations(text))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from("+-*"))
def test_true_equations_are_right_and_false_ones_wrong(a: int, b: int, operator: str) -> None:
    value = {"+": a + b, "-": a - b, "*": a * b}[operator]
    assert find_equations(f"{a} {operator} {b} = {value}")[0].right
    assert not find_equations(f"{a} {operator} {b} = {value + 1 + abs(value) // 1000}")[0].right


def test_malformed_expressions_have_no_value() -> None:
    assert [evaluate(tokens) for tokens in ([], ["("], ["2", "3"], ["2", "*"], ["-"], ["(", "2"], [")"])] == [None] * 7
    assert evaluate(["2", "*", "(", "3", "+", "50", "%", ")"]) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ('{"reasoning": "…", "answer": "18"}', "18"),
        ('{"answer": 18, "x": 1}', "18"),
        ("so 9 * 2 = 18\n#### 18", "18"),
        ("**Answer:** 42 apples.", "42 apples"),
        ("First 3, then 4, so 7", "7"),
        ("no idea", ""),
    ],
)
def test_final_answers(text: str, final: str) -> None:
    assert final_answer(text) == final


def test_features_of_the_final_answer() -> None:
    odd = answer_features(ask(SUM), reply("3 * 4 = 12, so the answer is -2.5"))[1]
    assert odd["final_fractional"] == odd["final_negative"] == odd["final_underived"] == 1.0
    assert answer_features(ask(SUM), reply("The answer is 4"))[1]["final_repeats"] == 1.0
    assert answer_features(ask(SUM), reply("no idea"))[1]["final_missing"] == 1.0


def test_no_two_informative_answers_get_a_constant_risk() -> None:
    answers = [RIGHT, WRONG, "10", "I think maybe 10 or 12.", "3 + 4 = 7, so 7"]
    assert len({round(score(SUM, answer).value, 6) for answer in answers}) == len(answers)
