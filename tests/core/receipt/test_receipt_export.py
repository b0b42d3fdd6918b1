"""Exports for auditors: all of a period, provably, and nothing that was tampered with."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import NotAReceiptError, ReceiptError
from leo_core.stages.receipt.export import Period, export_period, verify_export
from leo_core.stages.receipt.keys import SigningKey
from leo_core.storage.receipt_log import InMemoryReceiptLog
from tests.core.receipt.examples import KEY, ORIGIN, build, request, small_answer

BEGIN = 1_800_000_000.0
HOUR = 3600.0


def make_log(times, key=KEY, asked=None):
    log = InMemoryReceiptLog(key, ORIGIN)
    for number, at in enumerate(times):
        log.append(*build(small_answer(id=f"a{number}"), asked, now=at))
    return log


def lines_of(log, since=None, until=None, **facts):
    return list(export_period(log, Period(since, until), **facts))


def verify(lines, **facts):
    return verify_export(lines, **{"public_key": KEY.public} | facts)


@pytest.fixture(scope="module")
def log():
    return make_log([BEGIN + HOUR * number for number in range(12)])


def test_a_period_comes_with_its_neighbours_and_verifies(log):
    lines = lines_of(log, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    assert len(lines) == 1 + 6, "one before; one at its end, and one that no clock can have brought from inside"
    found = verify(lines)
    assert (found.origin, found.size, found.start, found.stop, found.receipts) == (ORIGIN, 12, 3, 6, 3)
    assert found.refused == ()
    whole = verify(lines_of(log))
    assert (whole.start, whole.stop, whole.receipts) == (0, 12, 12)
    assert verify([line.decode() + "\n" for line in lines]) == found


@pytest.mark.parametrize(
    ("since", "until"), [(BEGIN + 3.2 * HOUR, BEGIN + 3.8 * HOUR), (None, BEGIN - HOUR), (BEGIN + 90 * HOUR, None)]
)
def test_a_period_without_receipts_is_shown_to_have_none(log, since, until):
    assert verify(lines_of(log, since, until)).receipts == 0


def test_an_empty_log_exports_nothing():
    found = verify(lines_of(make_log([])))
    assert (found.size, found.receipts) == (0, 0)


def header(lines, **changes):
    return [json.dumps(json.loads(lines[0]) | changes, separators=(",", ":")).encode(), *lines[1:]]


def test_nothing_can_be_left_out(log):
    since, until = BEGIN + 3 * HOUR, BEGIN + 6 * HOUR
    lines = lines_of(log, since, until)
    for cut in range(1, len(lines)):
        with pytest.raises(ReceiptError) as caught:
            verify(lines[:cut] + lines[cut + 1 :])
        assert caught.value.check == "sequence"
    narrowed = header([lines[0], *lines[2:]], start=3)
    shorter = header(lines[:-1], stop=6)
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    nothing = header(lines[:1], start=7, stop=7)
    at_the_end = header(lines[:1], start=12, stop=12)
    before = header(lines[:1], start=-5, stop=-5)
    for tampered in (narrowed, shorter, swapped, nothing, at_the_end, before, lines[:1], [*lines, lines[-1]]):
        with pytest.raises(ReceiptError) as caught:
            verify(tampered)
        assert caught.value.check == "sequence"


def test_an_edge_that_a_clock_could_have_moved_proves_nothing():
    """Receipts every 100 s: the neighbours of a period have to lie 300 s outside."""
    log = make_log([BEGIN + 100.0 * number for number in range(40)])
    since, until = BEGIN + 1500.0, BEGIN + 2500.0
    lines = lines_of(log, since, until)
    found = json.loads(lines[0])
    assert (found["start"], found["stop"]) == (11, 29)
    assert verify(lines).receipts == 10
    for tampered in (header([lines[0], *lines[2:]], start=12), header(lines[:-1], stop=28)):
        with pytest.raises(ReceiptError) as caught:
            verify(tampered)
        assert caught.value.check == "sequence"


def test_other_keys_logs_and_bytes_are_refused(log):
    lines = lines_of(log, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    other = make_log([BEGIN + HOUR * number for number in range(12)], SigningKey.generate())
    foreign = lines_of(other, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    for tampered, check in (
        (foreign, "checkpoint"),
        ([lines[0], foreign[1], *lines[2:]], "checkpoint"),
        ([*lines[:2], lines[2].replace(b'"payload":"ey', b'"payload":"eY'), *lines[3:]], "signature"),
        (header(lines, checkpoint=json.loads(foreign[0])["checkpoint"]), "checkpoint"),
    ):
        with pytest.raises(ReceiptError) as caught:
            verify(tampered)
        assert caught.value.check == check
    for broken in ([], [b""], [b"{}"], [b"[1]"], header(lines, format="leo-receipts/2"), header(lines, since="today")):
        with pytest.raises(NotAReceiptError):
            verify(broken)
    with pytest.raises(NotAReceiptError):
        verify([lines[0], b"not json"])


def test_a_later_checkpoint_over_the_same_receipts_is_not_mixed_in(log):
    grown = make_log([BEGIN + HOUR * number for number in range(13)])
    lines = lines_of(log, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    later = lines_of(grown, BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    with pytest.raises(ReceiptError) as caught:
        verify([lines[0], later[1], *lines[2:]])
    assert caught.value.check == "checkpoint"


def test_a_broken_promise_in_the_period_is_named_and_is_no_forgery():
    log = make_log([BEGIN, BEGIN + HOUR, BEGIN + 2 * HOUR], asked=request(max_cost_usd=0.0001))
    found = verify(lines_of(log, BEGIN + HOUR, None))
    assert found.refused == ((1, "lcs.cost"), (2, "lcs.cost"))
    assert found.receipts == 2


def test_a_log_that_grows_meanwhile_is_exported_again():
    log = make_log([BEGIN, BEGIN + HOUR, BEGIN + 2 * HOUR])
    lines = export_period(log, Period())
    next(lines)
    log.append(*build(small_answer(id="later"), now=BEGIN + 3 * HOUR))
    with pytest.raises(ReceiptError, match="again"):
        list(lines)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-300, 900), min_size=1, max_size=12), st.floats(0, 4000), st.floats(0, 3000))
def test_with_clocks_that_go_back_nothing_of_a_period_is_lost(steps, after, length):
    """Each receipt may lie up to the tolerance before any earlier one."""
    times, latest = [], BEGIN
    for step in steps:
        times.append(max(latest - 300, latest + step))
        latest = max(latest, times[-1])
    times = [float(round(at, 3)) for at in times]
    log = make_log(times)
    since, until = BEGIN + after, BEGIN + after + length
    found = verify(lines_of(log, since, until))
    stated = [at for at in times if since <= at < until]
    assert abs(found.receipts - len(stated)) <= sum(min(abs(at - since), abs(at - until)) < 0.002 for at in times)
