"""What every journal does. Subclass :class:`JournalContract` and give it a fixture ``make_journal``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leo_core.ports import Journal
from leo_core.records import Intent

INTENT = Intent(tenant="acme", key="order-17", digest="d" * 64, began_at=100.0)
ODD = replace(INTENT, tenant="caf\ud800é", key="\ud83d line\nbreak")


class JournalContract:
    """``make_journal()`` gives a view of the same journal each time it is called in one test."""

    @pytest.fixture
    def journal(self, make_journal):
        return make_journal()

    def test_is_a_journal(self, journal):
        assert isinstance(journal, Journal)
        assert journal.find("acme", "order-17") is None
        assert journal.unsettled() == ()

    @pytest.mark.parametrize("intent", [INTENT, ODD], ids=["plain", "odd"])
    def test_an_intent_goes_its_way(self, journal, make_journal, intent):
        journal.begin(intent)
        assert make_journal().find(intent.tenant, intent.key) == intent
        assert journal.unsettled() == ()
        journal.keep(intent.tenant, intent.key, '{"text": "29 \ud800"}')
        kept = replace(intent, result='{"text": "29 \ud800"}')
        assert make_journal().find(intent.tenant, intent.key) == kept
        assert journal.unsettled() == (kept,)
        journal.settle(intent.tenant, intent.key, "leo:rcpt:1")
        assert make_journal().find(intent.tenant, intent.key) == replace(kept, receipt_id="leo:rcpt:1")
        assert journal.unsettled() == ()

    def test_begun_again_it_starts_anew(self, journal):
        journal.begin(INTENT)
        journal.keep("acme", "order-17", "{}")
        again = replace(INTENT, digest="e" * 64, began_at=200.0)
        journal.begin(again)
        assert journal.find("acme", "order-17") == again

    def test_only_what_came_to_nothing_is_dropped(self, journal):
        journal.begin(INTENT)
        journal.drop("acme", "order-17")
        assert journal.find("acme", "order-17") is None
        journal.begin(INTENT)
        journal.keep("acme", "order-17", "{}")
        journal.drop("acme", "order-17")
        assert journal.find("acme", "order-17") is not None

    def test_tenants_and_keys_are_apart(self, journal):
        for tenant, key in (("acme", "order-17"), ("acme", "order-18"), ("other", "order-17")):
            journal.begin(replace(INTENT, tenant=tenant, key=key, digest=(tenant[0] + key[-1]) * 32))
        journal.keep("acme", "order-17", "{}")
        journal.settle("acme", "nothing", "leo:rcpt:1")
        assert journal.find("other", "order-17").result is None
        assert journal.find("acme", "order-18").digest == "a8" * 32

    def test_what_is_old_is_forgotten(self, journal):
        for at in (10.0, 20.0, 30.0):
            journal.begin(replace(INTENT, key=f"at-{at}", began_at=at))
            journal.keep("acme", f"at-{at}", "{}")
        assert [each.began_at for each in journal.unsettled()] == [10.0, 20.0, 30.0]
        assert journal.trim(20.0) == 1
        assert [each.began_at for each in journal.unsettled()] == [20.0, 30.0]
