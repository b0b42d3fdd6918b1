"""Through the whole engine: a better small member becomes the default of its region, turns bad, and is demoted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, verify_receipt
from leo_core.errors import RequestError
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Route
from leo_core.stages.receipt.document import read_statement

MOST = 600


class Listener:
    """Notes what happened to defaults."""

    def __init__(self) -> None:
        self.heard = []

    def notify(self, event) -> None:
        if event.name in ("route.promoted", "route.demoted"):
            self.heard.append((event.name, dict(event.facts)))


class Stage:
    """Scripted members of which the small one can turn bad, and a checker who knows."""

    def __init__(self) -> None:
        self.small_right, self.large_right = 0.97, 0.95
        self.small = ScriptedModel("small", replies=lambda request: self.say("small", request), cost=0.0001)
        self.large = ScriptedModel("large", replies=lambda request: self.say("large", request), cost=0.02)
        self.asked = 0

    def say(self, name, request) -> str:
        share = self.large_right if name == "large" else self.small_right
        right = random.Random(f"{name} {request.question}").random() < share
        return f"The answer is {self.truth(request) if right else -1}."

    def truth(self, request) -> int:
        return 100 + int(request.question.split()[-1].rstrip("?"))

    def check(self, request, answer) -> bool:
        return f"The answer is {self.truth(request)}." == answer.text

    def open(self, listener=None, *, store=":memory:", **changes) -> LEO:
        config = LEOConfig(audit_rate=1.0)
        route = {"trial_rate": 0.5, "small_when_novel": True, "loss_usd": 0.02, "false_alarm_after": 200.0, **changes}
        config = replace(config, route=replace(config.route, **route), novelty=replace(config.novelty, centres=1))
        listeners = [] if listener is None else [listener]
        return LEO(self.small, self.large, config=config, checker=self.check, listeners=listeners, store=store, seed=5)

    def ask(self, leo):
        self.asked += 1
        answer = leo.ask(f"How much is one hundred and {self.asked}?", cache=False)
        leo.flush()
        return answer

    def ask_until(self, leo, done):
        """Ask until it is so; the answers on the way."""
        answers = []
        while not done():
            answers.append(self.ask(leo))
            assert len(answers) < MOST
        return answers


def test_a_better_small_member_is_promoted_and_demoted_when_it_turns_bad(tmp_path) -> None:
    stage, listener = Stage(), Listener()
    with stage.open(listener, store=tmp_path / "leo.db") as leo:
        before = stage.ask_until(leo, lambda: listener.heard)
        (promoted,) = leo.route_changes()
        region = promoted.region
        assert (promoted.change, promoted.route, promoted.why) == ("promoted", Route.SMALL, "test")
        assert listener.heard == [
            (
                "route.promoted",
                {
                    "tenant": "default",
                    "region": region,
                    "route": "small",
                    "default": "small",
                    "by": "test",
                    "wealth": promoted.wealth,
                },
            )
        ]
        reign = [stage.ask(leo) for _ in range(20)]
        stage.small_right = 0.2
        stage.ask_until(leo, lambda: len(listener.heard) > 1)
        after = stage.ask(leo)
        demoted = leo.route_changes()[-1]
        assert (demoted.change, demoted.route, demoted.region) == ("demoted", Route.SMALL, region)
        assert demoted.default is not Route.SMALL
        assert listener.heard[1][0] == "route.demoted"
        key = leo.public_key
        words = leo.explain(reign[0])["words"]
    assert any(line.startswith("default: small since ") for line in words)

    for answer in (*before, *reign, after):
        verify_receipt(answer.receipt, public_key=key)
    assert {read_statement(answer.receipt)["route"]["promotion"] is None for answer in before} == {True}
    for answer in reign:
        statement = read_statement(answer.receipt)
        stated = statement["route"]["promotion"]
        assert (stated["route"], stated["alpha"]) == ("small", "0.012500000")
        assert float(stated["wealth"]) == pytest.approx(promoted.wealth, abs=1e-8)
        assert [row["name"] for row in statement["lcs"]].count("promotion") == 1
        trial = statement["route"]["trial"]
        assert statement["route"]["chosen"] == "small" or trial is not None
        assert trial is None or statement["audit"]["chance"] == "1.000000000"
    assert any(read_statement(answer.receipt)["route"]["trial"] is None for answer in reign)

    with stage.open(store=tmp_path / "leo.db") as again:
        assert again.route_changes() == (promoted, demoted), "what was decided is found again"


def test_a_default_goes_by_hand_by_settings_and_not_twice(tmp_path) -> None:
    stage, listener = Stage(), Listener()
    path = tmp_path / "leo.db"
    with stage.open(listener, store=path) as leo:
        stage.ask_until(leo, lambda: listener.heard)
        region = leo.route_changes()[0].region
    with stage.open(listener, store=path, promote=False) as leo:
        answer = stage.ask(leo)
        assert (answer.decision.promotion, answer.decision.trial) == (None, None)
    with stage.open(listener, store=path) as leo:
        assert stage.ask(leo).decision.promotion.route is Route.SMALL
        change = leo.demote(region, why="the provider announced a new version")
        assert (change.change, change.default, change.why) == (
            "demoted",
            None,
            "the provider announced a new version",
        )
        assert stage.ask(leo).decision.promotion is None
        assert listener.heard[-1][1]["by"] == "caller"
        with pytest.raises(RequestError, match="has no default"):
            leo.demote(region)


def test_complaints_demote_a_default() -> None:
    stage, listener = Stage(), Listener()
    with stage.open(listener) as leo:
        stage.ask_until(leo, lambda: listener.heard)
        answers = [stage.ask(leo) for _ in range(10)]
        served = [answer for answer in answers if answer.route is Route.SMALL]
        for _ in range(8):
            for answer in served:
                leo.feedback(answer, wrong=True)
        assert leo.route_changes()[-1].why == "decline"
        assert listener.heard[-1][0] == "route.demoted"


def test_without_a_checker_there_are_no_trials_and_no_defaults() -> None:
    stage = Stage()
    config = LEOConfig(audit_rate=1.0)
    config = replace(config, route=replace(config.route, trial_rate=1.0, small_when_novel=True))
    with LEO(stage.small, stage.large, config=config, seed=5) as leo:
        answers = [stage.ask(leo) for _ in range(30)]
        assert {answer.decision.trial for answer in answers} == {None}
        assert leo.route_changes() == ()


def test_a_committee_shows_small_and_large_themselves() -> None:
    """Where the jury seats both, a trial of consensus asks once and compares both with what they said themselves."""
    stage, listener = Stage(), Listener()
    stage.large_right = 0.5
    other = ScriptedModel("other", replies=lambda request: stage.say("other", request), cost=0.02)
    config = LEOConfig(audit_rate=1.0)
    route = replace(config.route, trial_rate=0.5, small_when_novel=True, loss_usd=0.02)
    config = replace(config, route=route, novelty=replace(config.novelty, centres=1))
    jury = [stage.small, stage.large, other]
    with LEO(stage.small, stage.large, jury, config=config, checker=stage.check, listeners=[listener], seed=5) as leo:
        trials = [answer for answer in (stage.ask(leo) for _ in range(80)) if answer.decision.trial is not None]
        votes = [each for each in trials if each.decision.trial.challenger == "consensus"]
        assert votes
        assert all(each.decision.trial.paired and each.route is Route.CONSENSUS for each in votes)
        observed = [each.body for _, each in leo.store.observations() if each.kind == "promotion"]
        paired = [body for body in observed if body.get("challenger") == "consensus"]
        assert len(paired) == len(votes)
        assert all(set(body["outcomes"]) == {"challenger", "incumbent"} for body in paired)
        said = [next(draft.text for draft in each.drafts if draft.member == "large") for each in votes]
        right = [text != "The answer is -1." for text in said]
        assert {True, False} == set(right)
        assert [body["outcomes"]["incumbent"]["right"] for body in paired] == right
        assert {body["outcomes"]["challenger"]["cost_usd"] for body in paired} == {0.0401}
        assert {body["outcomes"]["incumbent"]["cost_usd"] for body in paired} == {0.02}


def test_trials_are_audited_whatever_they_bring_and_others_by_the_rate(tmp_path) -> None:
    stage = Stage()
    config = LEOConfig(audit_rate=0.2)
    route = replace(config.route, trial_rate=1.0, small_when_novel=True)
    config = replace(
        config,
        route=route,
        novelty=replace(config.novelty, centres=1),
        consensus=replace(config.consensus, audit_ahead=0),
    )
    with LEO(stage.small, stage.large, config=config, checker=stage.check, seed=5) as leo:
        answers = [stage.ask(leo) for _ in range(150)]
        audited = {each.body["answer_id"] for _, each in leo.store.observations() if each.kind == "audit"}
        learned = [each.body for _, each in leo.store.observations() if each.kind == "promotion"]
    trials = [answer for answer in answers if answer.decision.trial is not None]
    others = [answer for answer in answers if answer.decision.trial is None]
    assert 5 <= len(trials) <= 28  # half the audits at most: 15 are expected
    assert {read_statement(answer.receipt)["audit"]["chance"] for answer in trials} == {"1.000000000"}
    assert audited >= {answer.id for answer in trials}
    assert len(learned) == len(trials)
    assert any(float(read_statement(answer.receipt)["audit"]["chance"]) < 1.0 for answer in others)
    assert any(answer.id not in audited for answer in others)
