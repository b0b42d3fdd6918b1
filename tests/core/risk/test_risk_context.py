"""What of a prompt is taken for the context that it supplies."""

from __future__ import annotations

import time

import pytest

from leo_core.records import Message, Request
from leo_core.stages.risk.context import find_context

FACT = "The ferry leaves at 9:40 every day."
QA = "Context information is below.\n-----------\n{context}\n-----------\nGiven the context, answer.\nQuery: {question}"
CITED = (
    "Cite sources. For example:\nSource 1:\nThe sky is red in the evening.\nQuery: When is it red?\nAnswer: In the "
    "evening [1].\nBelow are several numbered sources of information:\n------\n{context}\n------\nQuery: {question}"
)


def ask(text: str) -> Request:
    return Request(messages=(Message(role="user", content=text),))


@pytest.mark.parametrize("template", [QA, CITED, QA.replace("\n", "\r\n")])
@pytest.mark.parametrize(
    "context",
    [
        FACT,
        f"{FACT}\nA return ticket costs 20 euros.",
        f"{FACT}\nDogs: free;\nCats: free;\n",
        f"Islands of the north\n\n----\n\n{FACT}\n\n----\n\nDogs travel free.",
        f"{FACT}\nBackground: the company is old.",
        f"source: faq.md\n\nQuestion: When does the ferry leave?\nAnswer: {FACT}",
        f"<article>Islands of the north</article>\n{FACT}",
    ],
    ids=["plain", "return", "semicolons", "rules", "heading", "questions", "tags"],
)
def test_all_between_announced_rules_is_context_whatever_stands_there(template: str, context: str) -> None:
    found = find_context(ask(template.format(context=context, question="Who is the captain of the ferry?")))
    assert context.strip() in found
    assert "captain" not in found


def test_a_heading_before_rules_keeps_what_stands_before_them() -> None:
    found = find_context(ask(f"Context: {FACT}\n-----\nDogs travel free.\n-----\nThe end of it.\n\nQuestion: Who?"))
    assert found == f"{FACT}\n-----\nDogs travel free.\n-----\nThe end of it."


@pytest.mark.parametrize(
    "text",
    [
        "Choices are given below.\n-----\n(1) The ferry leaves at 9:40.\n-----\nUse them, and return a number.",
        "Here is the context of it: none.\n-----\nWhat does return mean in Python?",
    ],
    ids=["not announced", "one rule"],
)
def test_other_rules_beside_code_words_are_no_context(text: str) -> None:
    assert find_context(ask(text)) == ""


def test_many_rules_take_no_longer_than_their_text() -> None:
    text = "context\n" + "".join(f"{'-' * (4 + at % 50)}\n" for at in range(100_000))
    began = time.perf_counter()
    find_context(ask(text))
    assert time.perf_counter() - began < 5.0


REFINED_RULES = (
    "We have provided an existing answer: Dogs travel free.\nWe have the opportunity to refine it with more context "
    "below.\n------------\n{context}\n------------\nGiven the new context, refine it or return the original answer."
)
REFINED_HEADING = "Refine.\nNew Context: {context}\nQuery: When?\nOriginal Answer: Dogs travel free.\nNew Answer: "
REFINED_CHAT = (
    "Here are the relevant documents for the context:\n\n  {context}\n\n  Existing Answer:\n  Dogs travel free.\n\n"
    "  Instruction: Refine the existing answer."
)


@pytest.mark.parametrize("template", [REFINED_RULES, REFINED_HEADING, REFINED_CHAT], ids=["rules", "heading", "chat"])
def test_an_answer_that_is_to_be_refined_is_context_beside_the_new_one(template: str) -> None:
    found = find_context(ask(template.format(context=FACT)))
    assert FACT in found
    assert "Dogs travel free." in found
    assert not any(word in found for word in ("opportunity", "Query", "New Answer", "Instruction"))


def test_an_existing_answer_alone_is_no_context() -> None:
    assert find_context(ask("Improve this existing answer: The ferry leaves at 9:40 every day.")) == ""


def test_documents_that_a_sentence_announces_end_before_the_next_heading() -> None:
    assert find_context(ask(f"Here are the relevant documents:\n\n{FACT}\n\nInstruction: Answer from them.")) == FACT
    assert find_context(ask(f"Here are the documents:\n\n{FACT}\n\nWhat do they say?")) == ""


FAQ = "Question: When does the ferry leave?\nAnswer: At 9:40.\n\nQuestion: Do dogs pay?\nAnswer: Dogs travel free."


@pytest.mark.parametrize(
    "template",
    [
        "Context: {context}\n\nQuestion: What does it cost?\nAnswer:",
        "Here are the relevant documents for the context:\n\n{context}\n\nInstruction: Answer from the documents.",
        "Sources:\nIslands of the north.\n\n{context}\n\nQuery: What does it cost?",
    ],
)
def test_questions_that_stand_in_the_documents_end_no_context(template: str) -> None:
    found = find_context(ask(template.format(context=FAQ)))
    assert FAQ in found
    assert "cost" not in found
    assert "Instruction" not in found


def test_paragraphs_after_an_announcement_in_a_system_message_are_context() -> None:
    told = "You answer questions. Use the following pieces of retrieved context. Keep the answer concise."
    question = Message(role="user", content="When does the ferry leave?")
    request = Request(messages=(Message(role="system", content=f"{told}\n\n{FACT}\n\nDogs travel free."), question))
    assert find_context(request) == f"{FACT}\n\nDogs travel free."
    for other in (told, "You are kind, and follow the following rules.\n\nDo not speak of documents or passages."):
        assert find_context(Request(messages=(Message(role="system", content=other), question))) == ""
