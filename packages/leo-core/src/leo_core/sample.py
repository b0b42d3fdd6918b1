"""A small handbook, and questions about it in many wordings: enough traffic to see a semantic cache at work offline.

The wordings were written for this purpose; no user asked them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["HANDBOOK", "QUESTIONS", "SampleQuestion"]

HANDBOOK: Final = """Answer from the context.

Context:
The ferry to Ulva leaves at 9:40. The ferry to Staffa leaves at 14:15. A day ticket costs 12 euros. A season ticket \
costs 85 euros. The kiosk opens at 8:30. The museum closes at 17:00. Luggage is kept in the cellar of the old mill. \
Bicycles are rented at the north pier. The last bus stops beside the chapel. The crossing to Ulva takes 25 minutes. \
The guided tour begins at the lighthouse. The harbour master is called Morag Sinclair."""
"""Twelve facts as a system message with a context, which the local reader quotes from."""

_FRAMES: Final = (
    "Please tell me {}.",
    "Do you know {}?",
    "Can you tell me {}?",
    "I want to know {}.",
    "Tell me {}, please.",
    "Can you say {}?",
    "I am asking {}.",
)

_TOPICS: Final = (
    (
        "9:40",
        "when the ferry to Ulva leaves",
        "When does the ferry to Ulva leave?",
        "When is the ferry to Ulva leaving?",
    ),
    (
        "14:15",
        "when the ferry to Staffa leaves",
        "When does the ferry to Staffa leave?",
        "When is the ferry to Staffa leaving?",
    ),
    ("12 euros", "what a day ticket costs", "What does a day ticket cost?", "How much does a day ticket cost?"),
    (
        "85 euros",
        "what a season ticket costs",
        "What does a season ticket cost?",
        "How much does a season ticket cost?",
    ),
    ("8:30", "when the kiosk opens", "When does the kiosk open?", "At what time does the kiosk open?"),
    ("17:00", "when the museum closes", "When does the museum close?", "At what time does the museum close?"),
    ("cellar", "where luggage is kept", "Where is luggage kept?", "In which place is luggage kept?"),
    ("north pier", "where bicycles are rented", "Where are bicycles rented?", "In which place are bicycles rented?"),
    ("chapel", "where the last bus stops", "Where does the last bus stop?", "In which place does the last bus stop?"),
    (
        "25 minutes",
        "how long the crossing to Ulva takes",
        "How long does the crossing to Ulva take?",
        "How long is the crossing to Ulva taking?",
    ),
    (
        "lighthouse",
        "where the guided tour begins",
        "Where does the guided tour begin?",
        "In which place does the guided tour begin?",
    ),
    (
        "Morag",
        "how the harbour master is called",
        "How is the harbour master called?",
        "What is the harbour master called?",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """A question about :data:`HANDBOOK`.

    Attributes:
        text: Its wording.
        fact: What every right answer holds, and no other sentence of the handbook.
    """

    text: str
    fact: str


def _word() -> tuple[SampleQuestion, ...]:
    """All topics in one wording, then all in the next."""
    by_topic = [
        (fact, (direct, *(frame.format(clause) for frame in _FRAMES), other)) for fact, clause, direct, other in _TOPICS
    ]
    return tuple(
        SampleQuestion(text=wordings[turn], fact=fact)
        for turn in range(len(_FRAMES) + 2)
        for fact, wordings in by_topic
    )


QUESTIONS: Final = _word()
"""Twelve topics in nine wordings: each topic once, then each again in other words, and so on."""
