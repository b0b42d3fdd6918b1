"""How answers are compared when the cache explores: by rules, likeness, a judge or the user's function."""

from __future__ import annotations

import pytest

from leo_core import LEO
from leo_core.engine.assembly import load_pair_model
from leo_core.engine.comparators import (
    CanonicalComparator,
    ExactComparator,
    FunctionComparator,
    JudgeComparator,
    SimilarityComparator,
    pick_comparator,
)
from leo_core.errors import ConfigError, ProviderUnavailableError
from leo_core.ports import AnswerComparator
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, ToolCall

QUESTION = "How do I reset my password?"


def say(text, *calls):
    return Message(role="assistant", content=text, tool_calls=calls)


def judge(reply, **settings):
    return ScriptedModel("judge", replies=reply, **settings)


@pytest.fixture(scope="module")
def pairs():
    return load_pair_model()


def test_all_are_comparators(pairs):
    made = [
        ExactComparator(),
        CanonicalComparator(),
        SimilarityComparator(pairs),
        JudgeComparator(judge("yes")),
        FunctionComparator(lambda *_: None),
    ]
    assert all(isinstance(each, AnswerComparator) for each in made)


def test_exact_is_to_the_letter_but_for_the_ids_of_calls():
    same = ExactComparator().same
    assert same(QUESTION, say("42"), say("42"))
    assert not same(QUESTION, say("42"), say("42.0"))
    first, second = ToolCall(id="1", name="f", arguments={"a": 1}), ToolCall(id="2", name="f", arguments={"a": 1})
    assert same(QUESTION, say("", first), say("", second))
    assert not same(QUESTION, say("", first), say("", ToolCall(id="1", name="f", arguments={"a": 2})))


def test_canonical_is_by_value():
    same = CanonicalComparator().same
    assert same("How far is it?", say("3 km"), say("3,000 m"))
    assert not same("How far is it?", say("3 km"), say("4 km"))
    assert not same(
        QUESTION, say("Open the settings and choose Reset."), say("Choose Reset after opening the settings.")
    )


def test_similarity_takes_wordings_for_one_answer_but_no_contradiction(pairs):
    same = SimilarityComparator(pairs).same
    assert same(QUESTION, say("How can I reset my password?"), say("How do I reset my password?"))
    assert not same(QUESTION, say("Is it safe to eat raw eggs?"), say("Is it unsafe to eat raw eggs?"))
    assert not same(QUESTION, say("Open the settings and choose Reset."), say("Call the bank in the morning."))
    with pytest.raises(ConfigError, match="least"):
        SimilarityComparator(pairs, least=0.0)


@pytest.mark.parametrize(
    ("reply", "expected"), [("yes", True), ("Yes.", True), ("**No**", False), ("unsure", False), ("", False)]
)
def test_a_judge_says_what_the_rules_leave_open(reply, expected):
    model = judge(reply)
    one, other = say("Open the settings and choose Reset."), say("Settings, then Reset, is the way to go.")
    assert bool(JudgeComparator(model).same(QUESTION, one, other)) is expected
    assert model.calls == 1


def test_a_judge_is_not_asked_what_the_rules_can_tell():
    model = judge("yes")
    assert JudgeComparator(model).same("How far is it?", say("3 km"), say("4 km")) is False
    assert JudgeComparator(model).same("How far is it?", say("3 km"), say("3 km")) is True
    assert model.calls == 0


def test_a_judge_that_fails_cannot_tell():
    model = judge("yes", fail=ProviderUnavailableError("gone", provider="scripted", model="judge"))
    assert not JudgeComparator(model).same(QUESTION, say("Open the settings."), say("Go to the settings page."))


def test_they_are_picked_by_name_kind_and_method(pairs):
    class Own:
        def same(self, question, first, second):
            return True

    own = Own()
    assert isinstance(pick_comparator(None, pairs), CanonicalComparator)
    assert isinstance(pick_comparator("canonical", pairs), CanonicalComparator)
    assert isinstance(pick_comparator("exact", pairs), ExactComparator)
    assert isinstance(pick_comparator("similarity", pairs), SimilarityComparator)
    assert isinstance(pick_comparator(judge("yes"), pairs), JudgeComparator)
    assert isinstance(pick_comparator(lambda *_: True, pairs), FunctionComparator)
    assert pick_comparator(own, pairs) is own
    for wrong in ("fuzzy", 3):
        with pytest.raises(ConfigError, match="comparator="):
            pick_comparator(wrong, pairs)


def explored(comparator):
    """What came of exploring a paraphrase, whose fresh answer has other words."""
    replies = {
        "How do I reset my password?": "Open the settings and choose Reset.",
        "How can I reset my password?": "Settings, then Reset, is the way to go.",
    }
    heard = []

    class Listener:
        def notify(self, event):
            heard.append((event.name, dict(event.facts)))

    with LEO(small=ScriptedModel("desk", replies=replies), comparator=comparator, listeners=[Listener()]) as leo:
        leo.ask("How do I reset my password?")
        leo.flush()
        assert leo.ask("How can I reset my password?").cache.action == "explore"
        leo.flush()
        again = leo.ask("How can I reset my password?")
    return [facts["same"] for name, facts in heard if name == "cache.compared"], again.text, [name for name, _ in heard]


def test_the_engine_learns_what_the_comparator_says():
    assert explored(lambda *_: True)[:2] == ([True], "Open the settings and choose Reset.")
    assert explored(lambda *_: None)[:2] == ([False], "Settings, then Reset, is the way to go.")
    assert explored("canonical")[:2] == ([False], "Settings, then Reset, is the way to go.")


def test_a_comparator_that_raises_costs_the_alias_only():
    def broken(*_):
        raise RuntimeError("no")

    compared, text, names = explored(broken)
    assert (compared, text) == ([False], "Settings, then Reset, is the way to go.")
    assert "comparator.failed" in names
