"""Self-consistency: several samples of one model as a jury."""

from __future__ import annotations

import pytest

from leo_core import LEO, LEOConfig, Route, verify_receipt
from leo_core.errors import ConfigError
from leo_core.providers.sampled import samples_of
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Message, Request, Sampling
from leo_core.stages.consensus.config import ConsensusConfig

QUESTION = "How many days does February have in 2028?"


def sampled(replies, asked=None, **facts):
    """A model whose samples differ, told apart by what it is asked."""
    rest = iter(replies)

    def reply(request):
        if asked is not None:
            asked.append(request.sampling)
        return f"The answer is {next(rest)}."

    return ScriptedModel("openai:gpt-5-mini", replies=reply, family="gpt", **facts)


def ask(**sampling):
    return Request(messages=(Message(role="user", content=QUESTION),), sampling=Sampling(**sampling))


def test_samples_are_warm_where_a_request_says_otherwise_and_have_seeds_of_their_own():
    asked = []
    members = samples_of(sampled([29] * 20, asked), 3)
    for member in members:
        member.generate(ask())
        member.generate(ask(temperature=0.0, seed=5))
        member.generate(ask(temperature=1.5, top_p=0.5))
    assert [each.temperature for each in asked] == [None, 0.7, 1.5] * 3
    assert [each.seed for each in asked] == [None, 5, None, None, 6, None, None, 7, None]
    assert asked[2].top_p == 0.5
    left = []
    samples_of(sampled([29] * 2, left), 2, temperature=None)[0].generate(ask(temperature=0.1))
    assert left[0].temperature == 0.1


def test_each_sample_is_a_member_of_the_models_family():
    model = sampled([29] * 9, cost=0.5)
    members = samples_of(model, 3)
    assert [member.id for member in members] == [f"openai:gpt-5-mini*{number}" for number in (1, 2, 3)]
    assert {member.family for member in members} == {"gpt"}
    assert len({str(member.fingerprint) for member in [*members, *samples_of(model, 2, temperature=1.0)]}) == 5
    assert members[0].generate(ask()).member == "openai:gpt-5-mini*1"
    assert [chunk.draft.member for chunk in members[1].stream(ask()) if chunk.draft] == ["openai:gpt-5-mini*2"]
    usage = members[0].estimate(ask())
    assert usage == model.estimate(ask())
    assert members[0].price(usage) == model.price(usage)


def test_a_jury_of_samples_votes_and_says_so_in_a_receipt():
    model = sampled([29, 28, 29, 29, 29])
    with LEO(jury=samples_of(model, 5)) as leo:
        answer = leo.ask(QUESTION, route=Route.CONSENSUS)
        verify_receipt(answer.receipt, public_key=leo.public_key)
    assert "29" in answer.text
    assert len(answer.verdict.votes) == 5
    assert (
        sum(
            vote.answer_class == answer.verdict.votes[answer.verdict.medoid].answer_class
            for vote in answer.verdict.votes
        )
        == 4
    )


def test_samples_that_agree_are_worth_less_than_models_that_agree():
    with LEO(jury=samples_of(sampled([29] * 5), 5)) as leo:
        chorus = leo.ask(QUESTION, route=Route.CONSENSUS).verdict.confidence
    others = [ScriptedModel(f"model-{number}", replies="The answer is 29.") for number in range(5)]
    with LEO(jury=others) as leo:
        assert leo.ask(QUESTION, route=Route.CONSENSUS).verdict.confidence > chorus > 0.75


def test_asking_stops_when_the_outcome_cannot_change():
    asked = []
    config = LEOConfig(consensus=ConsensusConfig(early_stop=0.99))
    with LEO(jury=samples_of(sampled([29] * 9, asked), 7), config=config) as leo:
        answer = leo.ask(QUESTION, route=Route.CONSENSUS)
    assert answer.verdict.spared + len(asked) == 7
    assert 2 <= len(asked) < 7
    assert "29" in answer.text


def test_a_name_with_an_asterisk_means_samples(monkeypatch):
    model = sampled([29] * 9)
    with LEO(small=model, jury=["openai:gpt-5-mini*3", ScriptedModel("other", replies="29")]) as leo:
        answer = leo.ask(QUESTION, route=Route.CONSENSUS)
    assert [vote.member for vote in answer.verdict.votes] == [
        "openai:gpt-5-mini*1", "openai:gpt-5-mini*2", "openai:gpt-5-mini*3", "other"
    ]  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with LEO(jury=["openai:gpt-5-mini*2"]) as leo:
        assert [member.id for member in leo.members] == ["openai:gpt-5-mini*1", "openai:gpt-5-mini*2"]


@pytest.mark.parametrize("count", ["0", "1", "65", "99999"])
def test_numbers_of_samples_are_checked(count):
    with pytest.raises(ConfigError, match="samples"):
        LEO(small=sampled([29]), jury=[f"openai:gpt-5-mini*{count}"])


@pytest.mark.parametrize("temperature", [0.0, -1.0, 2.5, float("nan")])
def test_temperatures_are_checked(temperature):
    with pytest.raises(ConfigError, match="temperature"):
        samples_of(sampled([29]), 2, temperature=temperature)
