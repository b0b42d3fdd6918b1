"""Guards: minimal pairs are told apart, paraphrases survive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.stages.cache.guards import find_conflict, find_doubt, read_profile
from leo_core.stages.cache.guards.words import read_words, stem
from tests.core.cache.minimal_pairs import MUST_DIFFER, PARAPHRASES, notice


@pytest.mark.parametrize("kind", sorted(MUST_DIFFER))
def test_minimal_pairs_of_each_kind_conflict(kind: str) -> None:
    missed = [pair for pair in MUST_DIFFER[kind] if notice(*pair) is None or notice(*pair[::-1]) is None]
    assert not missed


def test_there_are_enough_pairs_and_kinds() -> None:
    assert len(MUST_DIFFER) >= 10
    assert sum(map(len, MUST_DIFFER.values())) >= 120
    assert len(PARAPHRASES) >= 40


def test_paraphrases_survive() -> None:
    lost = [(find_conflict(*pair), pair) for pair in PARAPHRASES if find_conflict(*pair)]
    assert len(lost) <= 0.07 * len(PARAPHRASES), lost


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("days in 2027", "days in 2028", "numbers differ: 2027, 2028"),
        ("run 5 km", "run 5 miles", "units differ: 5 km, 5 mile"),
        ("open on Monday?", "open on Friday?", "dates differ: monday, friday"),
        ("does it work", "does it not work", "negation differs: not negated, negated"),
        ("does it not work", "does it work", "negation differs: negated, not negated"),
        ("is it safe", "is it unsafe", "opposites: safe, unsafe"),
        ("is it edible", "is it inedible", "opposites: edible, inedible"),
        ("is it inedible", "is it edible", "opposites: inedible, edible"),
        ("the red car", "the blue car", "colours differ: red, blue"),
        ("what does foo_bar do", "what does it do", "code differs: foo_bar, none"),
        ("fly from rome to milan", "fly from milan to rome", "arguments swapped: rome and milan"),
        ("who is Ann", "who is Bob", "names differ: ann, bob"),
        ('say "yes"', 'say "maybe"', "quoted strings differ: 'yes', 'maybe'"),
        ("one tablet", "two tablets", "numbers differ: none, 2"),
        ("what is the way to the bank", "wie ist der Weg zu der Bank", "languages differ: English, German"),
    ],
)
def test_reasons_are_in_words(a: str, b: str, why: str) -> None:
    assert notice(a, b) == why


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("two hundred and five thousand people", "205000 people"),
        ("three million", "3m"),
        ("3.50 euros", "3.5 euros"),
        ("twenty one", "21"),
        ("a dozen eggs", "12 eggs"),
        ("the 2nd time", "the second time"),
        ("wait a second", "wait a sec"),
        ("call me in may be", "call me in may be soon"),
        ("I may go in May", "I could go in May"),
        ("What Is The Best Way To Do This", "what is the best way of doing this"),
        ("WHY IS THIS SO LOUD", "why is this so loud"),
        ("What about Japan?", "What about Japanese people?"),
        ("What is best of all time", "What is best of some time"),
        ("the usage of dataFrame", "the usage of data frame"),
        ("e.g. this", "this"),
        ('the word "yes"', "the word yes"),
        ("", ""),
        ("ok", ""),
    ],
)
def test_same_content_in_other_clothes_agrees(a: str, b: str) -> None:
    assert find_conflict(a, b) is None
    assert find_conflict(b, a) is None


def test_prefixes_are_opposites_of_real_words_only() -> None:
    assert find_doubt("is it inside", "is it side") == "words differ: insid, sid"
    assert find_conflict("are you able", "are you unable") == "negation differs: not negated, negated"


def test_odd_numbers_are_read() -> None:
    assert find_conflict("in a billion years", "in a million years") is not None
    assert find_conflict("every second counts", "every minute counts") == "units differ: second, minute"
    assert find_conflict("ring 12:30:15 k", "ring 12:30:15 m") is not None


@given(st.text(max_size=120))
def test_a_text_never_conflicts_with_itself_and_nothing_raises(text: str) -> None:
    assert find_conflict(text, text) is None
    assert find_conflict(text + " ", text) is None
    read_profile(text)


@given(st.text(max_size=60), st.text(max_size=60))
def test_conflicts_are_symmetric(a: str, b: str) -> None:
    assert (find_conflict(a, b) is None) == (find_conflict(b, a) is None)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_different_integers_always_conflict(a: int, b: int) -> None:
    assert (find_conflict(f"what is {a} plus x", f"what is {b} plus x") is None) == (a == b)


def test_sentence_starts_and_stems() -> None:
    words = read_words("First one. Second one")
    assert words.starts == {0, 3}
    assert (stem("running"), stem("cats"), stem("cities"), stem("bus"), stem("use")) == (
        "run",
        "cat",
        "city",
        "bus",
        "use",
    )
