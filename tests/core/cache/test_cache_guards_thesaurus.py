"""General knowledge of the guards: synonyms and opposites of WordNet, spellings, shares, dates, hours, negation."""

from __future__ import annotations

import pytest

from leo_core.stages.cache.guards import find_conflict
from leo_core.stages.cache.guards.spelling import are_spellings
from leo_core.stages.cache.guards.thesaurus import are_opposed, are_related
from tests.core.cache.minimal_pairs import notice

SAME = [
    ("Which trees shed in autumn to conserve water?", "Which trees shed in autumn to save water?"),
    ("How do I assemble the shelf?", "How do I put together the shelf?"),
    ("Why was the proposal declined?", "Why was the proposal turned down?"),
    ("How do I organise my wardrobe?", "How do I organize my wardrobe?"),
    ("What is the colour of saffron?", "What is the color of saffron?"),
    ("Is 30% of the lake frozen?", "Is 0.3 of the lake frozen?"),
    ("What was sold in Q2 2019?", "What was sold in the second quarter of 2019?"),
    ("Who was born on 7 June?", "Who was born on Jun 7?"),
    ("Who sat in seat forty-first?", "Who sat in seat 41st?"),
    ("Is the pool open 2 to 5 pm?", "Is the pool open 14:00-17:00?"),
    ("Can I sail with no permit?", "Can I sail without a permit?"),
    ("Which villages lack a well?", "Which villages have no well?"),
    ("Sweep all rooms but the attic", "Sweep all rooms except the attic"),
    ("Is a mule weaker than an ox?", "Is a mule less strong than an ox?"),
    ("Hat der Zug zwölf Wagen?", "Hat der Zug 12 Wagen?"),
    ("Fecha às quinze horas?", "Fecha às 15h?"),
]
DIFFERENT = [
    ("Which glues harden in water?", "Which glues soften in water?"),
    ("Which metal is in brass, zinc?", "Which metal is in brass, tin?"),
    ("Is 30% of the lake frozen?", "Is 0.4 of the lake frozen?"),
    ("What was sold in Q2 2019?", "What was sold in the third quarter of 2019?"),
    ("Who was born on 7 June?", "Who was born on Jun 8?"),
    ("Is the pool open 2 to 5 pm?", "Is the pool open 14:00-18:00?"),
    ("Can I sail with no permit?", "Can I sail with a permit?"),
    ("Sweep all rooms but the attic", "Sweep all rooms and the attic"),
    ("Hat der Zug zwölf Wagen?", "Hat der Zug 13 Wagen?"),
    ("Is the smallest island inhabited?", "Is the smaller island inhabited?"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_another_wording_of_the_same_is_no_conflict(one: str, other: str) -> None:
    assert find_conflict(one, other) is None
    assert find_conflict(other, one) is None


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_meaning_is_noticed(one: str, other: str) -> None:
    assert notice(one, other) is not None
    assert notice(other, one) is not None


def test_the_thesaurus_knows_synonyms_opposites_and_degrees() -> None:
    assert are_related("conserv", "sav")
    assert are_related("reject", "turn_down")
    assert are_related("bigger", "larger")
    assert not are_related("bigger", "largest")
    assert not are_related("copper", "zinc")
    assert are_opposed("harden", "soften")
    assert not are_opposed("harden", "copper")


def test_two_spellings_are_one_word_and_two_words_are_not() -> None:
    assert are_spellings("harbour", "harbor")
    assert are_spellings("sulphid", "sulfid")
    assert are_spellings("approx", "approximately")
    assert not are_spellings("latter", "later")
    assert not are_spellings("desert", "dessert")
