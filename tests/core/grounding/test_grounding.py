"""What an answer stands on: passages, risks, objections."""

from __future__ import annotations

import pytest

from leo_core import ground
from leo_core.adapting.verifying import ABSTENTION, VerifiedText, check_verifying
from leo_core.errors import ConfigError, RequestError
from leo_core.records import Grounding, Source

SOURCES = {
    "hotel": "The Oberoi Group is a hotel company with its head office in Delhi. It was founded in 1934.",
    "river": "The Moselle rises in the Vosges. It is 544 kilometres long and joins the Rhine at Koblenz.",
    "tower": "The Eiffel Tower was finished in 1889. It is open every day. Visitors may climb to the second floor.",
}


def kinds(found: Grounding, at: int = 0) -> dict[str, tuple[str, ...]]:
    return {each.kind: each.found for each in found.sentences[at].objections}


def test_a_supported_sentence_is_found_where_it_stands() -> None:
    answer = "The company has its head office in Delhi. The river is 544 kilometres long."
    found = ground(answer, SOURCES, question="Where is the head office?")
    assert [sentence.risk < 0.3 for sentence in found.sentences] == [True, True]
    assert [sentence.spans[0].source_id for sentence in found.sentences] == ["hotel", "river"]
    span = found.sentences[0].spans[0]
    assert SOURCES["hotel"][span.start : span.end] == (
        "The Oberoi Group is a hotel company with its head office in Delhi."
    )
    assert answer[found.sentences[1].start : found.sentences[1].end] == "The river is 544 kilometres long."
    assert found.risk < 0.3


@pytest.mark.parametrize(
    ("claim", "kind", "words"),
    [
        ("The Eiffel Tower was finished in 1899.", "numbers", ("1899",)),
        ("The Oberoi Group has its head office in Mumbai.", "names", ("mumbai",)),
        ("The tower is not open every day.", "negation", ()),
        ("The Eiffel Tower is closed every day.", "opposites", ("closed", "open")),
        ("The Moselle rises in the Vosges and is polluted.", "words", ("polluted",)),
    ],
)
def test_what_speaks_against_a_sentence_is_said(claim: str, kind: str, words: tuple[str, ...]) -> None:
    found = ground(claim, SOURCES)
    assert kinds(found)[kind] == words
    assert found.risk > ground("The Eiffel Tower was finished in 1889.", SOURCES).risk


def test_changed_claims_count_as_unsupported() -> None:
    for claim in (
        "The Eiffel Tower was finished in 1899.",
        "The Oberoi Group is a hotel company with its head office in Mumbai.",
        "The Moselle does not rise in the Vosges.",
    ):
        assert ground(claim, SOURCES).risk > 0.5


def test_a_sentence_may_stand_on_two_sources() -> None:
    found = ground("The Oberoi Group was founded in 1934 and the Eiffel Tower was finished in 1889.", SOURCES)
    spans = found.sentences[0].spans
    assert {span.source_id for span in spans} == {"hotel", "tower"}
    assert [span.share for span in spans] == sorted(span.share for span in spans)
    assert spans[-1].share == pytest.approx(1.0)


def test_spelled_numbers_are_numbers() -> None:
    assert "numbers" not in kinds(ground("It runs 20 hotels.", ["The group runs twenty hotels in Asia."]))
    assert kinds(ground("It runs 21 hotels.", ["The group runs twenty hotels in Asia."]))["numbers"] == ("21",)


def test_the_question_needs_no_source() -> None:
    claim = "In 1950 Anna crossed the Moselle, which is 544 kilometres long."
    with_question = ground(claim, SOURCES, question="How long is the river that Anna crossed in 1950?")
    assert "numbers" not in kinds(with_question)
    assert kinds(ground(claim, SOURCES))["numbers"] == ("1950",)


def test_the_question_chooses_between_passages() -> None:
    sources = {"a": "Delhi hosted the games.", "b": "The head office is in Delhi.", "c": "Delhi has many parks."}
    asked = {"Who hosted the games?": "a", "Where is the head office?": "b", "Which city has parks?": "c"}
    for question, expected in asked.items():
        assert ground("Delhi", sources, question=question).sentences[0].spans[0].source_id == expected


def test_without_sources_nothing_is_supported() -> None:
    found = ground("The Moselle rises in the Vosges.", [])
    assert found.risk > 0.9
    assert found.sentences[0].spans == ()
    assert ground("", SOURCES) == Grounding(risk=0.0)
    assert ground("...", SOURCES).sentences == ()


def test_other_scripts() -> None:
    sources = {"zh": "本店营业时间为上午九点到晚上八点。周日休息。", "ru": "Магазин работает с девяти до восьми."}
    found = ground("周日休息。Магазин работает с девяти.", sources)
    assert [sentence.spans[0].source_id for sentence in found.sentences] == ["zh", "ru"]
    assert all(sentence.risk < 0.5 for sentence in found.sentences)


def test_long_texts_without_sentences_are_cut() -> None:
    table = " ".join(f"word{at} {at}" for at in range(400)) + " the harbour closes at noon"
    span = ground("The harbour closes at noon.", [table]).sentences[0].spans[0]
    assert table[span.start : span.end].endswith("the harbour closes at noon")
    assert span.end - span.start < len(table) / 2


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(RequestError, match="give a list"):
        ground("a", "b")
    with pytest.raises(RequestError, match="same id"):
        ground("a", [Source("x", "one"), Source("x", "two")])
    with pytest.raises(RequestError, match="not int"):
        ground("a", [3])
    with pytest.raises(RequestError, match="not NoneType"):
        ground(None, [])


# ------------------------------------------------------------------------------------------------- treatments

GOOD, BAD = "The Moselle rises in the Vosges.", "It tastes of strawberries and cream."


def verify(treatment: str, answer: str, size: int = 7) -> tuple[list[str], VerifiedText]:
    verified = VerifiedText([Source(*item) for item in SOURCES.items()], "", on_unsupported=treatment)
    pieces = [verified.feed(answer[at : at + size]) for at in range(0, len(answer), size)]
    return [*pieces, verified.finish()], verified


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_marked_row_of_a_table_stays_a_row(size: int) -> None:
    table = "| Moselle | Vosges |\n|---|---|\n| Taste | strawberries |\n\n"
    pieces, verified = verify("mark", f"{table}{GOOD}", size)
    marked = "| Moselle | Vosges |\n|---|---|\n| Taste | strawberries [unsupported] |\n\n"
    assert "".join(pieces) == f"{marked}{GOOD}"
    assert [row["supported"] for row in verified.describe()["sentences"]] == [True, False, True]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("treatment", "answer", "shown", "action"),
    [
        ("note", f"{GOOD} {BAD}", f"{GOOD} {BAD}", "kept"),
        ("mark", f"{GOOD} {BAD} {GOOD}", f"{GOOD} {BAD} [unsupported] {GOOD}", "marked"),
        ("mark", f"{GOOD} {GOOD}", f"{GOOD} {GOOD}", "kept"),
        ("drop", f"{GOOD} {BAD} {GOOD}", f"{GOOD} {GOOD}", "dropped"),
        ("drop", f"{BAD} {BAD}", ABSTENTION, "abstained"),
        ("abstain", GOOD, GOOD, "kept"),
        ("abstain", BAD, ABSTENTION, "abstained"),
    ],
)
def test_treatments_are_the_same_in_pieces(treatment: str, answer: str, shown: str, action: str, size: int) -> None:
    pieces, verified = verify(treatment, answer, size)
    assert "".join(pieces).strip() == shown
    assert verified.action == action
    facts = verified.describe()
    assert [row["supported"] for row in facts["sentences"]] == [
        part == GOOD for part in answer.replace(". ", ".|").split("|")
    ]


def test_a_stream_is_shown_sentence_by_sentence() -> None:
    pieces, _ = verify("drop", f"{GOOD} {BAD} {GOOD}", 1)
    shown = [piece for piece in pieces if piece]
    assert len(shown) >= 2
    assert shown[0].strip() == GOOD
    assert all(len(piece) <= 1 for piece in verify("note", GOOD, 1)[0])


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="note, mark, drop, abstain"):
        check_verifying("delete", 0.5)
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        check_verifying("drop", 1.5)
