"""Stream answers, synchronously and on an event loop: from a member first, then from the cache."""

import asyncio

from leo_core import LEO
from leo_core.providers.extractive import ExtractiveModel

CONTEXT = "Context: The ferry leaves at 7:15 in the morning. The crossing takes 45 minutes."


async def follow(leo: LEO, question: str) -> None:
    """Print the pieces of an answer as they come."""
    async for chunk in leo.astream(f"{CONTEXT}\n\nQuestion: {question}"):
        if chunk.text:
            print(chunk.text, end="|", flush=True)
        if chunk.answer is not None:
            print(f" [{chunk.answer.route}]")


async def ask_all(leo: LEO, questions: list[str]) -> None:
    """Several answers at the same time."""
    answers = await asyncio.gather(*(leo.aask(f"{CONTEXT}\n\nQuestion: {question}") for question in questions))
    for question, answer in zip(questions, answers, strict=True):
        print(f"{question} {answer.text} [{answer.route}]")


QUESTIONS = ["When does the ferry leave?", "How many minutes does the crossing take?"]

with LEO(small=ExtractiveModel()) as leo:
    for chunk in leo.stream(f"{CONTEXT}\n\nQuestion: {QUESTIONS[0]}"):
        print(chunk.text, end="|" if chunk.text else f" [{chunk.answer.route}]\n", flush=True)
    asyncio.run(follow(leo, QUESTIONS[0]))
    asyncio.run(ask_all(leo, QUESTIONS))
