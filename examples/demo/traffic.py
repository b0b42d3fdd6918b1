"""What the customers of the demo's bicycle shop ask: facts of the handbook, each asked for in several wordings."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["HELD_BACK", "NEAR_MISSES", "TOPICS", "Topic", "draw_questions", "has_fact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One fact that customers ask for.

    Attributes:
        fact: What the right answer must contain.
        wordings: Ways to ask.
    """

    fact: str
    wordings: tuple[str, ...]


TOPICS = (
    Topic(fact="opens at 8:00", wordings=(
        "When does the shop open on weekdays?",
        "When is the shop opening on weekdays?",
        "On weekdays, when does the shop open?",
        "When exactly does the shop open on weekdays?",
    )),
    Topic(fact="opens at 10:00", wordings=(
        "When does the shop open on Saturdays?",
        "When is the shop opening on Saturdays?",
        "On Saturdays, when does the shop open?",
        "When exactly does the shop open on Saturdays?",
    )),
    Topic(fact="89 euros", wordings=(
        "How much does a full service cost?",
        "How much does the full service cost?",
        "How much would a full service cost?",
        "What does a full service cost?",
    )),
    Topic(fact="3 working days", wordings=(
        "How many working days does a full service take?",
        "How many working days does the full service take?",
        "How many working days will a full service take?",
    )),
    Topic(fact="14 euros", wordings=(
        "How much does a puncture repair cost?",
        "How much does the puncture repair cost?",
        "How much would a puncture repair cost?",
        "What does a puncture repair cost?",
    )),
    Topic(fact="60 euros", wordings=(
        "How much does a membership cost a year?",
        "How much does the membership cost a year?",
        "How much does a membership cost per year?",
        "What does a membership cost a year?",
    )),
    Topic(fact="15 euros", wordings=(
        "How much does renting a city bike cost a day?",
        "How much does renting a city bike cost per day?",
        "What does renting a city bike cost a day?",
    )),
    Topic(fact="60 euros", wordings=(
        "How much does renting a cargo bike for 2 days cost?",
        "How much does it cost renting a cargo bike for 2 days?",
        "What does renting a cargo bike for 2 days cost?",
    )),
    Topic(fact="50 euros", wordings=(
        "How much is the deposit for a city bike?",
        "How high is the deposit for a city bike?",
        "How much is the city bike deposit?",
        "What is the deposit for a city bike?",
    )),
    Topic(fact="guarantee of 6 months", wordings=(
        "How many months of guarantee do repairs carry?",
        "How many months of guarantee does a repair carry?",
        "How many months of guarantee do the repairs carry?",
    )),
    Topic(fact="within 5 working days", wordings=(
        "Within how many working days are refunds paid?",
        "Within how many working days is a refund paid?",
        "Refunds are paid within how many working days?",
    )),
    Topic(fact="within 24 hours", wordings=(
        "Within how many hours are brake pads replaced?",
        "Within how many hours are the brake pads replaced?",
        "Brake pads are replaced within how many hours?",
    )),
    Topic(fact="22 kilograms", wordings=(
        "How many kilograms does the child seat carry?",
        "How many kilograms can the child seat carry?",
        "How many kilograms may the child seat carry?",
    )),
    Topic(fact="discount of 10 percent", wordings=(
        "What discount do members get on repairs?",
        "Which discount do members get on repairs?",
        "On repairs, what discount do members get?",
    )),
    Topic(fact="120 euros", wordings=(
        "How much is the deposit for a cargo bike?",
        "How high is the deposit for a cargo bike?",
        "How much is the cargo bike deposit?",
        "What is the deposit for a cargo bike?",
    )),
    Topic(fact="cannot be returned", wordings=(
        "Can helmets be returned once they have been worn?",
        "Can a helmet be returned once it has been worn?",
        "Once they have been worn, can helmets be returned?",
    )),
)  # fmt: skip

MANNERS = ("{}", "{}", "{}", "Hi, {}", "{} Thanks!", "Please: {}")

HELD_BACK = (
    "How much does one full service cost?",
    "How many kilograms could the child seat carry?",
    "How much would the puncture repair cost?",
    "When is the shop opening on weekdays, please?",
)
"""Paraphrases that are not among the wordings: what new customers may ask."""

NEAR_MISSES = (
    ("another number", "How much does renting a cargo bike for 7 days cost?", "160 euros"),
    ("a negation", "Can helmets not be returned once they have been worn?", "cannot be returned"),
    ("another day", "When does the shop open on Sundays?", "closed all day"),
)
"""What is different, the question, and the fact that its own answer must contain."""


def draw_questions(count: int, seed: int) -> list[tuple[Topic, str]]:
    """A seeded stream of questions: some topics are asked for more often, and people write differently."""
    chance = random.Random(seed)  # noqa: S311 - repeatable traffic, no secret
    popularity = [1 / (place + 4) for place in range(len(TOPICS))]
    topics = chance.choices(TOPICS, weights=popularity, k=count)
    return [(topic, _write(chance.choice(topic.wordings), chance)) for topic in topics]


def _write(wording: str, chance: random.Random) -> str:
    text = wording if chance.random() < 0.7 else wording[0].lower() + wording[1:]  # noqa: PLR2004 - habits of writers
    if chance.random() < 0.15:  # noqa: PLR2004 - a share of the questions
        return text.rstrip("?")
    return chance.choice(MANNERS).format(text)


def has_fact(topic: Topic, answer: str) -> bool:
    """Whether an answer holds the fact that was asked for."""
    return topic.fact in answer
