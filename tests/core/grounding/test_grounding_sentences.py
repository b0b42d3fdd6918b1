"""Where sentences begin and end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.grounding.words import read_numbers, read_tokens


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. J. K. Rowling paid $3.50 (approx. 3 euros).", ["Dr. J. K. Rowling paid $3.50 (approx. 3 euros)."]),
        ("He joined the U.S. Army. She left.", ["He joined the U.S. Army.", "She left."]),
        ("Nuts, bolts, etc. Then he left.", ["Nuts, bolts, etc.", "Then he left."]),
        ("Version 2.4 costs 1,000.50 today. Ok.", ["Version 2.4 costs 1,000.50 today.", "Ok."]),
        ("1. First item\n2. Second item\n- third", ["1. First item", "2. Second item", "- third"]),
        ("A paragraph wraps\nover lines. End", ["A paragraph wraps\nover lines.", "End"]),
        ("Heading\n\nText", ["Heading", "Text"]),
        ("all lower case . so it is cut .", ["all lower case .", "so it is cut ."]),
        ("Yahoo! announced it.", ["Yahoo! announced it."]),
        ("他在北京。她在上海！好吗？", ["他在北京。", "她在上海！", "好吗？"]),
        ("यह एक वाक्य है। दूसरा।", ["यह एक वाक्य है।", "दूसरा।"]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟", "نعم."]),
        ('"Really?" he said. Yes.', ['"Really?" he said.', "Yes."]),
        ("... --- !!!", []),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert cut(text) == sentences


@given(st.text(alphabet="aB1 .!?\n。-", max_size=60))
def test_spans_are_in_order_and_lose_no_word(text: str) -> None:
    spans = split_sentences(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    covered = "".join(text[start:end] for start, end in spans)
    assert [c for c in covered if c.isalnum()] == [c for c in text if c.isalnum()]


def test_words_are_folded_and_know_their_places() -> None:
    text = "Él pagó 1,000.50 € in Smith’s 東京"
    tokens = read_tokens(text)
    assert [token.text for token in tokens] == ["el", "pago", "1000.50", "in", "smith", "東", "京"]
    assert [text[token.start : token.end] for token in tokens] == [
        "Él",
        "pagó",
        "1,000.50",
        "in",
        "Smith’s",
        "東",
        "京",
    ]
    assert read_numbers(tokens) == {"1000.5"}
