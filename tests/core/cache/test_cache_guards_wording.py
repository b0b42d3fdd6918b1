"""What the guards tell by the wording alone: tense, focus, bounds, who did it to whom; and what they must let pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from leo_core.stages.cache.guards import find_conflict
from tests.core.cache.minimal_pairs import notice

DIFFERENT = {
    "tense": [
        ("Who runs the bakery?", "Who ran the bakery?"),
        ("Which tribes live on the Nile?", "Which tribes lived on the Nile?"),
        ("Who might win on Saturday?", "Who won on Saturday?"),
        ("Where does she live now?", "Where did she use to live?"),
        ("How tall will the tower be?", "How tall was the tower?"),
        ("Who could replace the goalkeeper?", "Who replaced the goalkeeper?"),
    ],
    "which week": [
        ("Is there school this week?", "Is there school next week?"),
        ("What was sold last month?", "What will be sold next month?"),
        ("Is it due tomorrow?", "Is it due the day after tomorrow?"),
    ],
    "currency": [
        ("How much is 5 Kenyan shillings?", "How much is 5 Ugandan shillings?"),
        ("A ticket for 90\u00a2", "A ticket for 90\u20ba"),
        ("I pay 300 riel", "I pay 300 baht"),
    ],
    "unit": [
        ("The dose is 3 sieverts", "The dose is 3 rem"),
        ("Is 30 knots of wind too much?", "Is 30 km/h of wind too much?"),
        ("Up by 2 percent", "Up by 2 percentage points"),
    ],
    "negation": [
        ("Which jars are airtight?", "Which jars are anything but airtight?"),
        ("It starts when cold", "It fails to start when cold"),
        ("List sugar-free sodas", "List sugary sodas"),
        ("Which rules apply in Norway?", "Which rules apply everywhere but in Norway?"),
        ("Which seeds are unable to sprout?", "What seeds can sprout?"),
        ("Which seeds can not sprout?", "What seeds are able to sprout?"),
    ],
    "frequency": [("Is it safe all the time?", "Is it safe once in a while?"), ("I rarely swim", "I often swim")],
    "majority": [("Do most of the voters agree?", "Do any voters agree?")],
    "bound": [
        ("Bags of at least 8 kg", "Bags of no more than 8 kg"),
        ("Shelves with no fewer than 50 books", "Shelves with fewer than 50 books"),
        ("Rooms under 90 euros", "Rooms over 90 euros"),
    ],
    "focus": [("Is the shop still open?", "Is the shop already open?"), ("Only Ann pays", "Even Ann pays")],
    "asked": [
        ("Who taught Aristotle?", "Whom did Aristotle teach?"),
        ("What animals prey on seals?", "What animals do seals prey on?"),
        ("Who was Schubert inspired by?", "Who was inspired by Schubert?"),
        ("How long ago did it sink?", "How did it sink?"),
    ],
    "order": [
        ("Append list_b to list_a", "Append list_a to list_b"),
        ("Do I knit first and purl second?", "Do I purl first and knit second?"),
        ("How can a tenant sue his landlord?", "How can a landlord sue his tenant?"),
        ("Replace tabs with spaces", "Replace spaces with tabs"),
    ],
    "comparison": [("Is rayon as strong as nylon?", "Is rayon stronger than nylon?")],
    "script": [("\u660e\u5929\u5929\u6c14\u600e\u4e48\u6837", "\u6628\u5929\u5929\u6c14\u600e\u4e48\u6837")],
}
SAME = [
    ("What was Symphony No. 3?", "Which was symphony number 3?"),
    ("Was 29/02/1996 a Thursday?", "Was 29 February 1996 a Thursday?"),
    ("My lease began on 1.7.2021", "My lease began on 1 July 2021"),
    ("Where was it held in '82?", "Where was it held in 1982?"),
    ("Who reads at half past six?", "Who reads at half-past-six?"),
    ("The class ends at 19.20", "The class ends at 7:20 pm"),
    ("Bins on Boxing Day?", "Bins on 26 December?"),
    ("Is a fifth of 70 enough?", "Is one fifth of 70 enough?"),
    ("Set it to 180 Celsius", "Set it to 180 \u00b0C"),
    ("Who lived there in 200 BC?", "Who lived there in 200 BCE?"),
    ("What do Spaniards eat?", "What do people in Spain eat?"),
    ("Print at most ten pages", "Print no more than ten pages"),
    ("Which is the least expensive flat?", "Which is the cheapest flat?"),
    ("What is a plumber without a licence?", "What is an unlicensed plumber?"),
    ("Who was Henry VIII's third wife?", "Who was the third wife of Henry VIII?"),
    ("A flat for 2,000 zloty", "A flat for PLN 2,000"),
    ("Meet me in a fortnight", "Meet me in two weeks"),
    ("Why am I unable to pay?", "Why can I not pay?"),
    ("Which lamps are able to float?", "Which lamps can float?"),
]


@pytest.mark.parametrize("kind", DIFFERENT)
def test_the_wording_tells_them_apart_both_ways(kind: str) -> None:
    missed = [pair for pair in DIFFERENT[kind] if notice(*pair) is None or notice(*pair[::-1]) is None]
    assert not missed


def test_the_same_in_other_notations_agrees() -> None:
    stopped = [(pair, find_conflict(*pair)) for pair in SAME if find_conflict(*pair) is not None]
    assert not stopped


def test_a_degree_does_not_hide_the_opposite_that_it_turns_around():
    a, b = "What is the most painless way out?", "What is the cheapest, easiest, least painful way out?"
    assert find_conflict(a, b) is None
    assert find_conflict(b, a) is None


def test_reasons_are_the_same_in_every_process():
    """Sets are walked through in another order in each; which opposite is named, and found, must not depend on it."""
    pairs = [
        ("Who are more annoying: introverts or extroverts?", "How does an introvert become an extrovert?"),
        (
            "How do I answer an interviewer who asks for my hobby?",
            "Which questions does an interview about a hobby ask?",
        ),
        ("When should a null hypothesis be rejected or accepted?", "Is it better to reject or accept a hypothesis?"),
        ("What is the most painless way out?", "What is the cheapest, easiest, least painful way out?"),
        ("Is it connected, enabled or visible?", "Is it disconnected, disabled or invisible?"),
    ]
    program = (
        "import json, sys; from leo_core.stages.cache.guards import find_conflict;"
        "print(json.dumps([find_conflict(a, b) for a, b in json.load(sys.stdin)]))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(pairs),
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(1, 7)
    }
    assert len(printed) == 1
    assert json.loads(printed.pop())[0] == "opposites: introverts, extrovert"
