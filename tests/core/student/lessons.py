"""Small intents with wordings of their own, and a teacher who knows what to say to them."""

from __future__ import annotations

import random

import numpy as np

from leo_core.engine.teaching import make_examples
from leo_core.engine.verified_pairs import VerifiedPair
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.student.config import StudentConfig
from leo_core.stages.student.fit import fit_student
from leo_core.stages.student.taught import Taught

INTENTS = {
    "Open the app and choose Replace card.": (
        "my card was stolen",
        "I lost my bank card",
        "the card is gone, I need a new card",
        "someone took my card",
    ),
    "Transfers take one working day.": (
        "when will the transfer arrive",
        "my transfer is still pending",
        "how long does a money transfer take",
        "the transfer has not arrived",
    ),
    "Change the PIN at any cash machine.": (
        "how do I change my PIN",
        "I forgot the PIN code",
        "set a new PIN number",
        "where can I change the PIN",
    ),
    "The exchange rate is that of the day.": (
        "which exchange rate do you use",
        "what is the rate for foreign currency",
        "how is the exchange rate for euros found",
        "exchange rate for dollars today",
    ),
}
STARTS = ("", "Hello, ", "Please help: ", "Quick question, ", "Hi there, ", "Excuse me, ", "Sorry, ", "Good morning, ")
ENDS = ("?", " please?", " now?", ", thanks?", " in the app?", " today?", " again?", ", can you tell me?")


def list_questions(seed: int = 0) -> list[tuple[str, str]]:
    """Questions with the answers due, 1,024 of them, in an order drawn by the seed."""
    rows = [
        (f"{start}{wording}{end}", answer)
        for answer, wordings in INTENTS.items()
        for wording in wordings
        for start in STARTS
        for end in ENDS
    ]
    random.Random(seed).shuffle(rows)
    return rows


def make_pairs(rows: list[tuple[str, str]], tenant: str = "default") -> list[VerifiedPair]:
    """Verified pairs, as a store would give them."""
    return [
        VerifiedPair(
            question=question,
            answer=answer,
            basis="audited",
            trust=None,
            entry=f"entry-{number}",
            receipt=f"leo:rcpt:{number:064x}",
            model="teacher",
            tenant=tenant,
            cost_usd=0.01,
        )
        for number, (question, answer) in enumerate(rows)
    ]


def shuffle_answers(rows: list[tuple[str, str]], seed: int = 1) -> list[tuple[str, str]]:
    """The same questions with each other's answers."""
    answers = [answer for _, answer in rows]
    random.Random(seed).shuffle(answers)
    return [(question, answer) for (question, _), answer in zip(rows, answers, strict=True)]


def train(rows: list[tuple[str, str]], **settings: object) -> Taught:
    """A student of one tenant."""
    embedder = load_embedder()
    examples = make_examples(make_pairs(rows), embedder)
    assert np.isin(np.arange(5), examples.folds).all()
    return Taught(embedder=embedder.fingerprint, students={"default": fit_student(examples, StudentConfig(**settings))})
