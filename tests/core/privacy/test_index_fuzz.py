"""Ten thousand altered envelopes; ``make fuzz-index`` throws a million."""

from __future__ import annotations

import pytest

from tests.soak.fuzz_envelopes import Fuzzer


@pytest.mark.parametrize("seed", range(4))
def test_altered_envelopes_are_refused_or_answered(seed):
    fuzzer = Fuzzer(seed)
    for _ in range(2500):
        fuzzer.step()
    refusals = {outcome.partition(":")[0] for outcome in fuzzer.outcomes}
    assert {"EnvelopeMacError", "EnvelopeSizeError", "EnvelopeError", "answered"} <= refusals
    assert sum(times for outcome, times in fuzzer.outcomes.items() if outcome != "answered") > 2000
    # What is in the index still adds up, and can be read and scored.
    (figures,) = fuzzer.wire.stats()["acme"].values()
    changes = fuzzer.wire.changes()
    in_blocks = sum(head.count for head in changes.blocks) - len(changes.dead)
    assert figures["rows"] == in_blocks + len(changes.tail)
    assert len(fuzzer.wire.fetch(changes.tail)) == len(changes.tail)
