"""Ten thousand altered envelopes at the server, half as many at one that scores real ciphertexts, and altered replies.

``make fuzz-index`` throws a million.
"""

from __future__ import annotations

import pytest

from tests.soak.fuzz_envelopes import Fuzzer
from tests.soak.fuzz_replies import ROWS, ReplyFuzzer


def fuzz(fuzzer, count):
    for _ in range(count):
        fuzzer.step()
    refusals = {outcome.partition(":")[0] for outcome in fuzzer.outcomes}
    assert {"EnvelopeMacError", "EnvelopeSizeError", "EnvelopeError", "answered"} <= refusals
    assert sum(times for outcome, times in fuzzer.outcomes.items() if outcome != "answered") > 0.8 * count
    # What is in the index still adds up, and can be read.
    (figures,) = fuzzer.wire.stats()["acme"].values()
    changes = fuzzer.wire.changes()
    in_blocks = sum(head.count for head in changes.blocks) - len(changes.dead)
    assert figures["rows"] == in_blocks + len(changes.tail)
    assert len(fuzzer.wire.fetch(changes.tail)) == len(changes.tail)


@pytest.mark.parametrize("seed", range(4))
def test_altered_envelopes_are_refused_or_answered(seed):
    fuzz(Fuzzer(seed), 2500)


@pytest.mark.parametrize("seed", range(2))
def test_a_server_of_real_ciphertexts_refuses_or_answers_too(seed):
    fuzzer = Fuzzer(seed, real=True)
    fuzz(fuzzer, 2500)
    assert fuzzer.outcomes["answered"] > 100, "altered ciphertexts of the right length have to reach the scorer"


@pytest.mark.parametrize("mode", ["query_private", "fully_encrypted"])
def test_altered_replies_are_refused_or_tell_what_is_true(mode):
    fuzzer = ReplyFuzzer(3, mode)
    for number in range(2500):
        fuzzer.step(number)
    fuzzer.end()
    assert fuzzer.liar.altered > 1000
    assert {"found", "nothing found", "written", "EnvelopeMacError:mac", "ScoreMismatchError:scores"} <= set(
        fuzzer.outcomes
    )
    # An honest server's index is in order after all that.
    fuzzer.honest.clear("t")
    fuzzer.honest.add("t", "s", "e1:k", ROWS[1], expires_at=None)
    (hit,) = fuzzer.honest.search("t", "s", ROWS[1], k=3, now=0.0)
    assert hit.question == "e1:k"
