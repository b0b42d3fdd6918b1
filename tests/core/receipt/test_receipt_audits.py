"""Audits that can be checked: nobody chooses which answers are audited, and nobody leaves one out."""

from __future__ import annotations

import hashlib
import hmac
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from typer.testing import CliRunner

from leo_core import LEO, LEOConfig
from leo_core.cli.app import app
from leo_core.errors import NotAReceiptError, ReceiptError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.audit_report import find_span, verify_audit_report, write_report
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.stages.receipt.document import read_statement
from leo_core.stages.receipt.export import Period, export_period
from leo_core.stages.receipt.keys import SigningKey
from leo_core.stages.receipt.lottery import commit_seed, derive_seed, draw_audit, is_due
from leo_core.stages.receipt.statement import AuditTerms
from leo_core.storage.receipt_log import InMemoryReceiptLog
from tests.core.receipt.examples import KEY, ORIGIN, build, small_answer

DAY, NEXT = "2026-03-01", "2026-03-02"
NOON = find_span(DAY)[0] + 43_200


def make_log(chances, *, at=NOON, seed_day=DAY):
    log = InMemoryReceiptLog(KEY, ORIGIN)
    for number, chance in enumerate(chances):
        terms = AuditTerms(rate=0.1, chance=chance, seed=derive_seed(KEY, ORIGIN, seed_day))
        log.append(*build(small_answer(id=f"a{number}"), now=at + number, audit=terms))
    return log


def make_report(log, wrong=(), unknown=()):
    statements = [read_statement(receipt) for receipt in log.receipts()]
    outcomes = {each["answer_id"]: each["answer_id"] not in wrong for each in statements}
    outcomes = {name: right for name, right in outcomes.items() if name not in unknown}
    return write_report(statements, outcomes, origin=ORIGIN, day=DAY, seed=derive_seed(KEY, ORIGIN, DAY))


def verify(report, log, period=None):
    return verify_audit_report(report, export_period(log, period or Period(*find_span(DAY))), public_key=KEY.public)


def test_seed_commitment_and_draw_are_what_is_written():
    domain = b"leo/audit-seed/1\x00"
    seed = hashlib.sha256(domain + KEY.sign(domain + f"{ORIGIN}\n{DAY}".encode())).digest()
    assert derive_seed(KEY, ORIGIN, DAY) == seed
    assert commit_seed(seed) == hashlib.sha256(b"leo/audit-commitment/1\x00" + seed).hexdigest()
    digest = hmac.new(seed, b"leo/audit-draw/1\x00" + (7).to_bytes(8, "big"), hashlib.sha256).digest()
    assert draw_audit(seed, 7) == (int.from_bytes(digest[:8], "big") // 2**11) / 2**53
    others = {
        derive_seed(KEY, ORIGIN, NEXT),
        derive_seed(KEY, "other", DAY),
        derive_seed(SigningKey.generate(), ORIGIN, DAY),
    }
    assert len(others | {seed}) == 4


def test_draws_are_uniform():
    draws = [draw_audit(b"k" * 32, position) for position in range(5000)]
    assert kstest(draws, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.05


def test_a_report_of_what_was_drawn_is_valid_and_estimates_the_rate():
    log = make_log([0.3] * 60)
    due = [
        n for n, receipt in enumerate(log.receipts()) if is_due(read_statement(receipt), derive_seed(KEY, ORIGIN, DAY))
    ]
    assert 5 < len(due) < 35
    report = make_report(log, wrong={f"a{due[0]}", f"a{due[1]}"}, unknown={f"a{due[2]}"})
    assert sorted(map(int, report["outcomes"])) == due
    found = verify(report, log)
    assert (found.answers, found.due, found.known, found.wrong) == (60, len(due), len(due) - 1, 2)
    assert found.error_rate == pytest.approx(2 / (len(due) - 1))
    assert found.interval[0] < found.error_rate < found.interval[1]


def test_no_answer_can_be_left_out_added_or_drawn_by_another_seed():
    log = make_log([0.3] * 40)
    report = make_report(log)
    due = list(report["outcomes"])
    spare = next(str(number) for number in range(40) if str(number) not in due)
    without = {name: outcome for name, outcome in report["outcomes"].items() if name != due[0]}
    for changes, check in (
        ({"outcomes": without}, "audit_due"),
        ({"outcomes": report["outcomes"] | {spare: True}}, "audit_due"),
        ({"seed": "00" * 32}, "audit_seed"),
        ({"origin": "another/log"}, "audit_day"),
        ({"day": NEXT}, "audit_day"),
        ({"day": "some day"}, "audit_day"),
    ):
        with pytest.raises(ReceiptError) as caught:
            verify(report | changes, log)
        assert caught.value.check == check
    first, after = find_span(DAY)
    for period in (Period(first + 1, after), Period(first, after - 1), Period(NOON + 5, None)):
        with pytest.raises(ReceiptError) as caught:
            verify(report, log, period)
        assert caught.value.check == "audit_day"
    assert verify(report, log, Period()).due == len(due)


def test_statements_that_committed_to_another_seed_are_found():
    log = make_log([0.3] * 5, seed_day=NEXT)
    with pytest.raises(ReceiptError) as caught:
        verify(make_report(log), log)
    assert caught.value.check == "audit_seed"


def test_what_is_no_report_is_refused():
    log = make_log([1.0])
    report = make_report(log)
    for broken in (
        {}, report | {"more": 1}, report | {"format": "leo-audits/2"}, report | {"seed": "ab"}, report | {"seed": 1},
        report | {"outcomes": {"0": "yes"}}, report | {"outcomes": {"x": True}}, report | {"outcomes": []},
        report | {"outcomes": {"0": True, "00": True}},
    ):  # fmt: skip
        with pytest.raises(NotAReceiptError):
            verify(broken, log)


def test_without_audits_or_outcomes_nothing_is_claimed():
    log = make_log([0.0] * 5)
    found = verify(make_report(log), log)
    assert (found.due, found.known) == (0, 0)
    assert math.isnan(found.error_rate)
    assert found.interval == (0.0, 1.0)


def test_each_outcome_weighs_the_inverse_of_its_chance():
    log = make_log([1.0, 0.5] * 20)
    report = make_report(log)
    rare = [place for place in report["outcomes"] if int(place) % 2]
    often = [place for place in report["outcomes"] if not int(place) % 2]
    assert len(often) == 20
    assert rare
    one_wrong = report | {"outcomes": report["outcomes"] | {rare[0]: False}}
    assert verify(one_wrong, log).error_rate == pytest.approx(2.0 / (20 + 2 * len(rare)))
    one_wrong = report | {"outcomes": report["outcomes"] | {often[0]: False}}
    assert verify(one_wrong, log).error_rate == pytest.approx(1.0 / (20 + 2 * len(rare)))


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000))
def test_the_estimate_undoes_that_doubtful_answers_are_audited_more(seed):
    """Answers audited with 0.9 are wrong in half the cases, those audited with 0.3 in a tenth."""
    random = np.random.default_rng(seed)
    doubtful = random.random(120) < 0.5
    log = make_log(np.where(doubtful, 0.9, 0.3).tolist())
    wrong = random.random(120) < np.where(doubtful, 0.5, 0.1)
    found = verify(make_report(log, wrong={f"a{number}" for number in np.flatnonzero(wrong)}), log)
    low, high = found.interval
    assert low - 0.12 <= wrong.mean() <= high + 0.12


def test_the_engine_audits_what_was_drawn_and_nothing_else(tmp_path):
    """With a clock that stands in the past, so that the day is over for the command."""

    class Clock:
        at = NOON

        def now(self):
            Clock.at += 1.0
            return Clock.at

        def monotonic(self):
            return Clock.at

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    path, checked = tmp_path / "leo.db", []

    def check(request, answer):
        checked.append(answer.id)
        return "7" not in request.question

    config = LEOConfig(audit_rate=0.4)
    with LEO(
        small=ScriptedModel("small", replies="It is so."), store=path, checker=check, config=config, clock=Clock()
    ) as leo:
        answers = [leo.ask(f"What about number {number}?") for number in range(40)]
        leo.flush()
        statements = [read_statement(answer.receipt) for answer in answers]
        seed = leo.log.audit_seed(DAY)
    due = [each.id for each, stated in zip(answers, statements, strict=True) if is_due(stated, seed)]
    assert sorted(checked) == sorted(due)
    assert 5 < len(due) < 40
    export, report, key = tmp_path / "day.jsonl", tmp_path / "audits.json", tmp_path / "leo.pub"
    key.write_text(run("keys", "public", path).stdout)
    assert run("log", "export", path, export, "--since", DAY, "--until", NEXT).exit_code == 0
    said = run("log", "audits", path, report, "--day", DAY)
    assert said.exit_code == 0, said.output
    assert f"{len(due)} answers had to be audited, the outcomes of {len(due)}" in " ".join(said.stdout.split())
    found = json.loads(run("verify", export, "--key", key, "--audits", report, "--json").stdout)
    wrong = sum("7" in f"{number}" for number, answer in enumerate(answers) if answer.id in due)
    assert (found["due"], found["known"], found["wrong"]) == (len(due), len(due), wrong)
    assert "wrong answers, estimated" in run("verify", export, "--key", key, "--audits", report).stdout
    cut = json.loads(report.read_text())
    cut["outcomes"].popitem()
    report.write_text(json.dumps(cut))
    refused = run("verify", export, "--key", key, "--audits", report, "--json")
    assert (refused.exit_code, json.loads(refused.stdout)["check"]) == (1, "audit_due")
    assert run("log", "audits", path, report, "--day", "2999-01-01").exit_code == 2
    assert run("log", "audits", path, report, "--day", "soon").exit_code == 2


def test_without_receipts_audits_are_drawn_all_the_same():
    checked = []
    config = LEOConfig(audit_rate=1.0, receipts=ReceiptConfig(enabled=False))
    with LEO(
        small=ScriptedModel("small", replies="x"), checker=lambda *_: checked.append(1) or True, config=config
    ) as leo:
        leo.ask("What?")
        leo.flush()
    assert checked
