"""Cheap signs that the guards look for first: what has none of them would not be changed, or found, anyway."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.stages.cache.guards import calendar_days, clock, names, read_profile, script
from leo_core.stages.cache.guards.words import read_words

if TYPE_CHECKING:
    from types import ModuleType

PIECES = [
    "a", "V", "v", "2", "12", "v3", "x_y", "`f`", "f()", "C++", "C#", "-v", "--help", "fooBar", "FooBar", "os.path",
    "@me", "\\n", "U.S.", "'82", "\u201982", "2024-03-05", "5.3.2024", "13/4/2024", "nineteen twenties", "1800s",
    "12/27", "expires", "March", "may", "5th", "last", "mon", "third quarter", "past decade", "two days ago",
    "the end of week", "Boxing Day", "New Year\u2019s", "Eve", "half past", "five", "ten-to-", "at 14.30", "4 to 6 pm",
    "16:00-18:00", "7 every morning", "8 tonight", "noon", "5 a.m.", "o'clock", "1530 hrs", "what", "is",
    "\u00e9t\u00e9", "\u4e94\u70b9",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=3).map(" ".join)
ANY = re.compile("")
GATES: tuple[tuple[ModuleType, str], ...] = ((names, "_CODE_SIGN"), (calendar_days, "_SIGN"), (clock, "_SIGN"))


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_a_text_without_the_signs_is_read_like_one_that_is_searched_all_the_same(text: str) -> None:
    found = read_profile(text)
    with pytest.MonkeyPatch.context() as patch:
        for module, gate in GATES:
            patch.setattr(module, gate, ANY)
        assert read_profile(text) == found


WORDS = sorted({word for words in script._LANGUAGES.values() for word in words})
SHARED = sorted(
    word for word in script._LANGUAGES["English"] if sum(word in own for own in script._LANGUAGES.values()) > 1
)


@given(st.lists(st.sampled_from(WORDS) | st.sampled_from([*SHARED, "house"]), max_size=5))
@settings(max_examples=500, deadline=None)
def test_the_language_is_the_one_with_the_most_of_its_words_if_two_and_no_other_has_as_many(words: list[str]) -> None:
    read = read_words(" ".join(words))
    counts = {language: len(read.bag & own) for language, own in script._LANGUAGES.items()}
    most = max(counts.values())
    leading = [language for language, count in counts.items() if count == most]
    expected = leading[0] if most >= 2 and len(leading) == 1 else ""
    assert script.read_language(read) == expected
