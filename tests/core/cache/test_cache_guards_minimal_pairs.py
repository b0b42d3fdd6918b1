"""Guards on hand-written question pairs that differ in one word, number or order, and on paraphrases of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from leo_core.stages.cache.guards import find_conflict
from tests.core.cache.minimal_pairs import notice

_FILE = Path(__file__).parents[2] / "data" / "minimal_pairs" / "dev.jsonl"
_PAIRS = [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]


def _tally(*, same: bool) -> tuple[float, str]:
    """Share of the pairs that are decided rightly, and the figures of each kind."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for pair in _PAIRS:
        if pair["same"] is same:
            total[pair["kind"]] += 1
            right[pair["kind"]] += (notice(pair["a"], pair["b"]) is None) is same
    lines = "\n".join(f"{kind}: {right[kind]}/{total[kind]}" for kind in sorted(total))
    return right.total() / total.total(), lines


def test_different_questions_are_noticed() -> None:
    share, lines = _tally(same=False)
    assert share >= 0.98, lines


def test_paraphrases_survive() -> None:
    share, lines = _tally(same=True)
    assert share >= 0.93, lines


def test_the_order_of_the_two_does_not_matter() -> None:
    assert not [
        pair
        for pair in _PAIRS
        if (find_conflict(pair["a"], pair["b"]) is None) != (find_conflict(pair["b"], pair["a"]) is None)
        or (notice(pair["a"], pair["b"]) is None) != (notice(pair["b"], pair["a"]) is None)
    ]


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("Is the shop open at 3 pm?", "Is the shop open at 4 pm?", "times differ: 15:00, 16:00"),
        ("Is the shop open at noon?", "Is the shop open at midnight?", "times differ: 12:00, 0:00"),
        ("Is the bus at half past six?", "Is the bus at quarter past six?", "times differ: 6:30, 6:15"),
        ("How do I grill tofu?", "How do I grill salmon?", "words differ: tofu, salmon"),
        ("How do I slide in?", "How do I slide out?", "words differ: in, out"),
        ("Why does Kim envy Lou?", "Why does Lou envy Kim?", "arguments swapped: kim and lou"),
        ("Was Kim hired by Lou?", "Did Kim hire Lou?", "opposites"),
        ("What is 50 dollars in yen?", "What is 50 dollars in euros?", "units differ: jpy and usd, eur and usd"),
        ("What does a && b mean?", "What does a || b mean?", "operators differ: &&, ||"),
        ("Which pills must I take?", "Which pills can I take?", "words differ: must, can"),
        ("What is rust?", "Why is rust a problem?", "asked differ: what, why"),
    ],
)
def test_each_mechanism_gives_its_reason(a: str, b: str, why: str) -> None:
    if why == "opposites":
        assert find_conflict(a, b) == "arguments swapped: kim and lou"
    else:
        assert notice(a, b) == why
    assert notice(b, a) is not None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Does the shop close at 3 pm?", "Is 15:00 when the shop closes?"),
        ("Does it close at half past nine in the evening?", "Does it close at 21:30?"),
        ("Does it close at quarter to nine?", "Does it close at 8:45?"),
        ("What is due on 2025-03-01?", "What is due on 1 March 2025?"),
        ("What can I cook in an hour and a half?", "What can I cook in 90 minutes?"),
        ("What can I cook in half an hour?", "What can I cook in 30 minutes?"),
        ("Is the Nile longer than the Rhine?", "Is the Rhine shorter than the Nile?"),
        ("Did Kim hire Lou?", "Was Lou hired by Kim?"),
        ("Which seats are not occupied?", "Which seats are unoccupied?"),
        ("How do I purchase a bike?", "How do I buy a bike?"),
        ("What is two thirds of 90?", "What is 2 thirds of 90?"),
        ("Is 5 kW enough?", "Is 5 kilowatts enough?"),
        ("Is $20 a lot?", "Is 20 dollars a lot?"),
        ("Is 20 mph fast?", "Is 20 miles per hour fast?"),
        ("Wich planet is the largset?", "Which planet is the largest?"),
        ("Are A and B equal?", "Are B and A equal?"),
        ("Where can I find the education report?", "Where can I find the educational report?"),
    ],
)
def test_each_kind_of_paraphrase_survives(a: str, b: str) -> None:
    assert find_conflict(a, b) is None
    assert find_conflict(b, a) is None
