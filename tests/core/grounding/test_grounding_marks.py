"""Citations and the numbers of a list's items claim nothing; numbers that look like them do."""

from __future__ import annotations

import pytest

from leo_core import ground
from leo_core.adapting.verifying import VerifiedText
from leo_core.records import Source
from leo_core.stages.grounding.sentences import split_sentences
from leo_core.stages.marks import blank_citations, blank_list_numbers

SOURCES = {
    "hotel": "The Oberoi Group is a hotel company with its head office in Delhi. It was founded in 1934.",
    "river": "The Moselle rises in the Vosges. It is 544 kilometres long and joins the Rhine at Koblenz.",
}
OFFICE, LENGTH = "The head office is in Delhi", "The Moselle is 544 kilometres long"
MARKS = ["[1]", "[12]", "[1, 2]", "[1,2,3]", "[2-4]", "[2–4]", "[1; 3]", "[^1]", "[Source 2]", "[doc 3]", "【1†notes】"]


def objections(found) -> list[str]:
    return [objection.kind for sentence in found.sentences for objection in sentence.objections]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("form", ["{0} {1}. {2} {1}.", "{0}{1}. {2}{1}.", "{0}.{1} {2}.{1}", "{0}. {1} {2}. {1}"])
def test_citations_change_no_risk(mark: str, form: str) -> None:
    found, bare = ground(form.format(OFFICE, mark, LENGTH), SOURCES), ground(f"{OFFICE}. {LENGTH}.", SOURCES)
    assert [sentence.risk for sentence in found.sentences] == pytest.approx([each.risk for each in bare.sentences])
    assert found.risk == pytest.approx(bare.risk)
    assert objections(found) == []


@pytest.mark.parametrize(
    "answer",
    [
        f"1. {OFFICE}.\n2. {LENGTH}.",
        f"1) {OFFICE}\n2) {LENGTH}",
        f"(1) {OFFICE}.\n(2) {LENGTH}.",
        f"**1.** {OFFICE}.\n\n**2.** {LENGTH}.",
        f"  1. {OFFICE}.\n     1. {LENGTH}.",
    ],
)
def test_numbers_of_items_change_no_risk(answer: str) -> None:
    found, bare = ground(answer, SOURCES), ground(f"{OFFICE}. {LENGTH}.", SOURCES)
    risks = [sentence.risk for sentence in found.sentences]
    assert risks == pytest.approx([each.risk for each in bare.sentences], abs=0.01)  # stars and stops are embedded too
    assert objections(found) == []


def test_a_long_list_counts_on() -> None:
    answer = "\n".join(f"{at}. {OFFICE if at % 2 else LENGTH}." for at in range(1, 13))
    assert objections(ground(answer, SOURCES)) == []


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("42. That is how many hotels there are.", ("42",)),
        ("The hotels are in Delhi:\n7. That is all.", ("7",)),
        ("The head office has 12 floors [1].", ("12",)),
        ("The length lies in the interval [3, 5].", ("3", "5")),
        ("The lengths are in [3, 5].", ("3", "5")),
        ("The values are: [3, 5].", ("3", "5")),
        ("The list [3] holds it.", ("3",)),
        ("The Moselle has a depth of [7, 9].", ("7", "9")),
        ("It was finished [1899].", ("1899",)),
        ("The share lies in [0, 1].", ("0", "1")),
    ],
)
def test_other_numbers_need_a_source(answer: str, numbers: tuple[str, ...]) -> None:
    found = [each for sentence in ground(answer, SOURCES).sentences for each in sentence.objections]
    assert numbers in [each.found for each in found if each.kind == "numbers"]


def test_a_changed_number_beside_a_mark_is_still_seen() -> None:
    found = ground("1. The Moselle is 545 kilometres long.[2]", SOURCES)
    assert [each.found for each in found.sentences[0].objections] == [("545",)]
    assert found.risk > 0.5


def test_marks_of_a_source_bear_nothing_out_and_spans_stay_where_they_are() -> None:
    source = "The river is long.[77] It rises in the Vosges.[78]"
    assert [source[begin:end] for begin, end in split_sentences(source)] == [
        "The river is long.[77]",
        "It rises in the Vosges.[78]",
    ]
    found = ground("It rises in the Vosges.", [source]).sentences[0]
    assert source[found.spans[0].start : found.spans[0].end] == "It rises in the Vosges.[78]"
    claimed = ground("The river has 77 locks.", [source]).sentences[0]
    assert ("77",) in [each.found for each in claimed.objections if each.kind == "numbers"]


def test_numbers_of_a_source_s_list_are_facts() -> None:
    found = ground("Mumbai is number 2.", ["Cities by size:\n1. Delhi\n2. Mumbai"])
    assert "numbers" not in objections(found)


def test_a_sentence_of_marks_alone_is_passed_over() -> None:
    assert ground("[1] [2]", SOURCES).sentences == ()
    assert len(ground(f"{OFFICE}.\n\n[1], [2]", SOURCES).sentences) == 1


@pytest.mark.parametrize("text", ["One [1] two.", "1. One\n2. Two", "【1†a】\n**3.** x\n1) y [2, 3]"])
def test_every_character_stays_where_it_is(text: str) -> None:
    for blank in (blank_citations, blank_list_numbers):
        kept = blank(text)
        assert len(kept) == len(text)
        assert all(new in (old, " ") for old, new in zip(text, kept, strict=True))


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("treatment", ["mark", "drop"])
def test_a_list_that_is_streamed_is_shown_whole(treatment: str, size: int) -> None:
    answer = f"1. {OFFICE}.[1]\n2. {LENGTH} [2].\n3. {OFFICE}.\n"
    verified = VerifiedText([Source(*item) for item in SOURCES.items()], "", on_unsupported=treatment)
    shown = "".join([verified.feed(answer[at : at + size]) for at in range(0, len(answer), size)]) + verified.finish()
    assert shown.strip() == answer.strip()
    assert verified.action == "kept"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_unsupported_in_a_streamed_list_is_dropped(size: int) -> None:
    wrong = "2. It tastes of strawberries and cream."
    answer = f"1. {OFFICE}.\n{wrong}\n3. {LENGTH}."
    verified = VerifiedText([Source(*item) for item in SOURCES.items()], "", on_unsupported="drop")
    shown = "".join([verified.feed(answer[at : at + size]) for at in range(0, len(answer), size)]) + verified.finish()
    assert shown == f"1. {OFFICE}.\n3. {LENGTH}."
