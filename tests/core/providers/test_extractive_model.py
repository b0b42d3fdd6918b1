"""The reader quotes what the context supports, and only that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.errors import CapabilityError, ConfigError, InvalidRequestError, RequestError
from leo_core.providers.context_reading import find_nearest, find_passage, find_support, split_sentences
from leo_core.providers.extractive import CANNOT_ANSWER, ExtractiveModel
from leo_core.providers.tool_filling import fill_arguments
from leo_core.records import Message, Request, ToolCall
from tests.contracts.model import ask

TOWER = "The Eiffel Tower stands in Paris. It is 330 metres tall. It was completed in 1889 by Gustave Eiffel's company."
HOW_TALL = "How tall is the Eiffel Tower?"

PROMPTS = {
    "llamaindex": "Context information is below.\n---------------------\n"
    f"file_path: a.txt\n\n{TOWER}\n---------------------\n"
    f"Given the context information and not prior knowledge, answer the query.\nQuery: {HOW_TALL}\nAnswer: ",
    "llamaindex refine": f"The original query is as follows: {HOW_TALL}\nWe have provided an existing answer: x\n"
    f"------------\n{TOWER}\n------------\nGiven the new context, refine.\nQuery: {HOW_TALL}\nRefined Answer: ",
    "llamaindex refine of a chat model": f"Refine answers.\nNew Context: {TOWER}\nQuery: {HOW_TALL}\n"
    "Original Answer: It has three floors.\nNew Answer: ",
    "llamaindex, rules inside": "Context information is below.\n---------------------\nTowers\n\n-----\n\n"
    f"---------------------\n{TOWER}\n\n-----\n\nOthers\n---------------------\nQuery: {HOW_TALL}\nAnswer: ",
    "a rule at the end": f"Context.\n-----\n{TOWER}\n-----\nQuery: {HOW_TALL}\n-----\n",
    "langchain": "You are an assistant for question-answering tasks. Use the following pieces of retrieved context to "
    f"answer the question.\nQuestion: {HOW_TALL} \nContext: {TOWER} \nAnswer:",
    "langchain first": f"Answer the question based only on the following:\n\nContext:\n{TOWER}\n\nQuestion: {HOW_TALL}",
    "tags": f"<context>\n{TOWER}\n</context>\n\n{HOW_TALL}",
    "plain": f"{TOWER} {HOW_TALL}",
    "passages": f"Passages:\n- {TOWER}\n- Bread is made of flour.\n\nQuestion: {HOW_TALL}",
}


def answer(prompt: str, **fields: object) -> str:
    """What the reader says."""
    return ExtractiveModel().generate(ask(prompt, **fields)).text


@pytest.mark.parametrize("form", PROMPTS)
def test_forms_of_prompts(form: str) -> None:
    """The context is found in every form, and the pronoun is understood."""
    assert answer(PROMPTS[form]) == "It is 330 metres tall."
    assert find_passage(ask(PROMPTS[form])).question == HOW_TALL


def test_the_answer_that_is_refined_is_quoted_without_its_label() -> None:
    """It stays where the new context holds nothing better."""
    prompt = (
        f"New Context: Bread is made of flour.\nQuery: {HOW_TALL}\nOriginal Answer: The Eiffel Tower is 330 m tall."
    )
    assert answer(f"{prompt}\nNew Answer: ") == "The Eiffel Tower is 330 m tall."


def test_system_context() -> None:
    """Context in the system prompt, labelled or after a paragraph that announces it."""
    for system in (
        f"Answer from the context.\n\nContext:\n{TOWER}",
        f"Use the given documents to answer.\n\n{TOWER}",
    ):
        request = Request(messages=(Message(role="system", content=system), Message(role="user", content=HOW_TALL)))
        assert ExtractiveModel().generate(request).text == "It is 330 metres tall."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When was the Eiffel Tower completed?", "It was completed in 1889 by Gustave Eiffel's company."),
        ("Where does the Eiffel Tower stand?", "The Eiffel Tower stands in Paris."),
        ("Who completed the Eiffel Tower?", "It was completed in 1889 by Gustave Eiffel's company."),
        ("What is the population of Berlin?", CANNOT_ANSWER),
        ("How do I bake bread?", CANNOT_ANSWER),
        ("What happened to the tower in 1944?", CANNOT_ANSWER),
    ],
)
def test_questions(question: str, expected: str) -> None:
    """The sentence that supports the answer, or that there is none."""
    assert answer(f"Context: {TOWER}\nQuestion: {question}") == expected


def test_numbers_decide() -> None:
    """Years that differ are not the same question."""
    context = "The budget of 2027 is 5 million euros. The budget of 2028 is 6 million euros."
    assert (
        answer(f"Context: {context}\nQuestion: What is the budget of 2028?") == "The budget of 2028 is 6 million euros."
    )
    assert (
        answer(f"Context: {context}\nQuestion: What is the budget of 2027?") == "The budget of 2027 is 5 million euros."
    )


def test_no_context() -> None:
    """Without a context there is nothing to quote."""
    assert answer(HOW_TALL) == CANNOT_ANSWER
    assert answer("Hello") == CANNOT_ANSWER
    draft = ExtractiveModel().generate(ask(HOW_TALL))
    assert draft.metadata["answered"] is False
    assert draft.usage.cost_usd == 0.0
    assert find_support("the of", "The of.") is None


def test_settings() -> None:
    """The threshold has a range and decides; structured output and malformed requests are refused."""
    with pytest.raises(ConfigError):
        ExtractiveModel(min_support=0)
    request = ask(PROMPTS["plain"])
    strict = ExtractiveModel(min_support=1.0, id="strict")
    assert strict.generate(request).text == CANNOT_ANSWER
    assert strict.id == "strict"
    assert strict.fingerprint != ExtractiveModel().fingerprint
    with pytest.raises(CapabilityError):
        answer("?", response_format={"type": "json_object"})
    with pytest.raises(RequestError):
        ExtractiveModel().generate(Request(messages=()))


def test_sentences() -> None:
    """Abbreviations, initials and decimals end no sentence; lists lose their marks."""
    text = 'Dr. J. Smith paid 3.5 euros. "Really?" he said.\n- One item\n2) Another item\n\nLast! 你好。再见'
    assert split_sentences(text) == [
        "Dr. J. Smith paid 3.5 euros.", '"Really?" he said.', "One item", "Another item", "Last!", "你好。再见",
    ]  # fmt: skip


@given(st.text(), st.text())
def test_any_text(context: str, question: str) -> None:
    """Support is a share, and the sentence is quoted from the context."""
    support = find_support(question, context)
    if support is not None:
        assert 0 <= support.score <= 1 + 1e-9
        assert support.sentence in context
    find_passage(ask(f"{context}\nQuestion: {question}"))


# ---------------------------------------------------------------------------------------------- tools

WEATHER = {
    "name": "get_weather",
    "description": "Weather at a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}
ADD = {
    "name": "add_numbers",
    "description": "Add.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
        "required": ["a", "b"],
    },
}


def calls(question: str, *tools: dict[str, object], **fields: object) -> list[tuple[str, dict[str, object]]]:
    """Tools that the reader calls."""
    draft = ExtractiveModel().generate(ask(question, tools=tools, **fields))
    assert (draft.finish_reason == "tool_calls") == bool(draft.message.tool_calls)
    return [(call.name, dict(call.arguments)) for call in draft.message.tool_calls]


def test_obvious_calls() -> None:
    """One tool, no context, a shared word, every argument given."""
    place = [("get_weather", {"place": "San Francisco, CA"})]
    assert calls("What is the weather in San Francisco, CA?", WEATHER) == place
    assert calls('The weather of "Rome"?', WEATHER) == [("get_weather", {"place": "Rome"})]
    assert calls("Can you add the numbers 3 and 4.5?", ADD) == [("add_numbers", {"a": 3, "b": 4.5})]


def test_no_obvious_call() -> None:
    """Two tools, a context, a missing argument, another subject, or no leave."""
    question = "What is the weather in Rome?"
    assert calls(question, WEATHER, ADD) == []
    assert calls(f"Context: It rains in Rome.\nQuestion: {question}", WEATHER) == []
    assert calls("What is the weather?", WEATHER) == []
    assert calls("Who lives in Rome?", WEATHER) == []
    assert calls(question, WEATHER, tool_choice="none") == []


def test_forced_calls() -> None:
    """A forced tool is called; a string may take the whole question, a number may not be invented."""
    assert calls("Hello!", ADD, WEATHER, tool_choice="any") == [("get_weather", {"place": "Hello!"})]
    assert calls("Add 1 and 2", WEATHER, ADD, tool_choice="add_numbers") == [("add_numbers", {"a": 1, "b": 2})]
    with pytest.raises(InvalidRequestError, match="add_numbers"):
        calls("Hello!", ADD, tool_choice="add_numbers")
    with pytest.raises(RequestError):
        calls("Hello!", ADD, tool_choice="other")
    one, two = (ExtractiveModel().generate(ask("Hello!", tools=(WEATHER,), tool_choice="any")) for _ in range(2))
    assert one.message == two.message


def test_answers_from_results() -> None:
    """After a tool has answered, the answer comes from its result."""
    request = Request(
        messages=(
            Message(role="user", content="What is the weather in Rome?"),
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="get_weather", arguments={"place": "Rome"}),)),
            Message(role="tool", tool_call_id="1", content="The weather in Rome is sunny. The moon is full."),
        ),
        tools=(WEATHER,),
    )
    assert ExtractiveModel().generate(request).text == "The weather in Rome is sunny."


def test_filling() -> None:
    """Enumerations, and types that cannot be filled."""
    unit = {"type": "object", "properties": {"unit": {"enum": ["celsius", "kelvin"]}}, "required": ["unit"]}
    assert fill_arguments(unit, "In Kelvin, please") == {"unit": "kelvin"}
    assert fill_arguments(unit, "In feet") is None
    flag = {"type": "object", "properties": {"flag": {"type": "boolean"}}, "required": ["flag"]}
    assert fill_arguments(flag, "yes", whole_question=True) is None
    assert fill_arguments({"required": ["x"], "properties": {"x": {"type": ["string", "null"]}}}, "for Ann") == {
        "x": "Ann"
    }
    assert fill_arguments({"required": ["x"]}, "for Ann") is None
    assert fill_arguments({}, "anything") == {}


# -------------------------------------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["words", "vectors", "letters"])
def test_every_method_quotes_what_fits_and_abstains_on_what_does_not(method: str) -> None:
    """In other words than those of the sentence, too; the methods share a family and no id."""
    from leo_core.sample import HANDBOOK, QUESTIONS

    reader = ExtractiveModel(method=method)
    abstained = 0
    for question in QUESTIONS:
        said = reader.generate(ask(f"{HANDBOOK}\n\nQuestion: {question.text}")).text
        abstained += said == CANNOT_ANSWER
        assert question.fact in said or said == CANNOT_ANSWER, question.text
    assert abstained <= 0.02 * len(QUESTIONS)
    for question in ("Who won the world cup in 1998?", "How do I bake bread?", "What is the capital of France?"):
        assert reader.generate(ask(f"{HANDBOOK}\n\nQuestion: {question}")).text == CANNOT_ANSWER
    assert reader.family == ExtractiveModel().family
    assert (reader.id == ExtractiveModel().id) == (method == "words")
    assert (reader.fingerprint == ExtractiveModel().fingerprint) == (method == "words")


def test_the_nearest_sentence_is_found_by_the_vectors_and_no_question_is_quoted() -> None:
    """The score is the cosine, never below 0; the earlier sentence wins a tie."""
    import numpy as np

    known = {"q": (1.0, 0.0), "Far.": (-1.0, 0.0), "Near.": (0.6, 0.8), "Near too.": (0.6, 0.8), "Really?": (1.0, 0.0)}

    def embed(texts: list[str]) -> np.ndarray:
        return np.array([known[text] for text in texts], dtype=np.float32)

    best = find_nearest("q", "Far. Near. Near too. Really?", embed)
    assert (best.sentence, round(best.score, 6), best.index, best.sentences) == ("Near.", 0.6, 1, 3)
    assert find_nearest("q", "Far.", embed).score == 0.0
    assert find_nearest("q", "Really?", embed) is None
    assert find_nearest("?", "Near.", embed) is None
