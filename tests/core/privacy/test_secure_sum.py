"""The sum is exact for whoever stays; a single message says nothing; what is altered or swapped is refused."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, pearsonr

from leo_core.errors import ConfigError, SecureSumError, ShareError
from leo_core.privacy.keys.shamir import Share, combine_shares
from leo_core.privacy.publishing.mechanisms import DiscreteGaussian
from leo_core.privacy.sums.secure_sum import SumAggregator, SumParty, encode
from leo_core.privacy.sums.sum_masks import make_mask, mask_between, public_bytes
from leo_core.privacy.sums.sum_session import SumSession
from leo_core.stages.receipt.keys import SigningKey
from tests.oracles import chacha20

NAMES = ("anna", "bela", "cleo", "dora", "egon")
KEYS = {name: SigningKey.from_seed(bytes([number + 1]) * 32) for number, name in enumerate(NAMES)}


def make_session(names=NAMES, **changes):
    parties = {name: KEYS[name].public for name in names}
    return SumSession(**{"id": b"session 0000 0001", "parties": parties, "length": 3} | changes)


class Run:
    """A session by hand, so that a test can step in between."""

    def __init__(self, session, values):
        self.session, self.values = session, values
        self.parties = {name: SumParty(session, name, KEYS[name]) for name in session.parties}
        self.aggregator = SumAggregator(session)
        self.adverts = self.shares = self.masked = self.stayed = self.confirmations = None

    def advertise(self, without=()):
        self.adverts = self.aggregator.collect_adverts(
            party.advertise() for name, party in self.parties.items() if name not in without
        )
        return self

    def share(self, without=()):
        there = [each.sender for each in self.adverts if each.sender not in without]
        self.shares = self.aggregator.collect_shares([self.parties[name].share(self.adverts) for name in there])
        return self

    def mask(self, without=(), **more):
        there = [each.sender for each in self.shares if each.sender not in without]
        self.masked = [self.parties[name].mask(self.values[name], self.shares, **more) for name in there]
        return self

    def confirm(self, without=()):
        self.stayed = self.aggregator.collect_figures(self.masked)
        self.confirmations = {
            name: self.parties[name].confirm(self.stayed) for name in self.stayed if name not in without
        }
        return self

    def unmask(self, without=()):
        there = [name for name in self.confirmations if name not in without]
        return self.aggregator.add_up([self.parties[name].unmask(self.confirmations) for name in there])


def same(value=1.0, names=NAMES):
    return {name: [value] * 3 for name in names}


FIGURES = st.lists(st.integers(-(2**30), 2**30).map(lambda n: n / 1024), min_size=3, max_size=3)


@settings(max_examples=25, deadline=None)
@given(
    values=st.fixed_dictionaries(dict.fromkeys(NAMES, FIGURES)),
    leaving=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 4)), max_size=2, unique_by=lambda each: each[0]),
)
def test_the_sum_is_exact_for_whoever_stays(values, leaving):
    """A party may leave before any of the steps; its figures count once it has sent them."""
    session = make_session(threshold=3, bound=2.0**21)
    out = [{name for name, step in leaving if step <= at} for at in range(5)]
    run = Run(session, values).advertise(out[0]).share(out[1]).mask(out[2]).confirm(out[3])
    total = run.unmask(out[4])
    stayed = set(NAMES) - out[2]
    assert set(run.stayed) == stayed
    assert total.tolist() == [sum(values[name][at] for name in stayed) for at in range(3)]


@pytest.mark.parametrize("step", range(5))
def test_too_few_get_an_error_that_names_who_is_missing(step):
    run = Run(make_session(threshold=4), same())

    def run_all():
        for at, take in enumerate((run.advertise, run.share, run.mask, run.confirm, run.unmask)):
            take(("bela", "egon") if at == step else ())

    with pytest.raises(SecureSumError, match=r"3 of 5 parties .* 4 are needed; missing: bela, egon"):
        run_all()


def test_figures_come_back_rounded_to_the_grid():
    values = {"anna": [0.1, -0.1, 1e5], "bela": [0.2, -0.2, -1e5], "cleo": [0.3, 0.0, 1e-9]}
    run = Run(make_session(names=("anna", "bela", "cleo"), threshold=2), values)
    total = run.advertise().share().mask().confirm().unmask()
    assert total == pytest.approx([0.6, -0.3, 0.0], abs=3 * 2**-21)


def test_single_messages_are_uniform_and_unlike_their_figures():
    """Of equal figures in every place, the bytes and the correlations are those of chance."""
    length = 40_000
    session = make_session(length=length, threshold=3)
    figures = np.repeat([0.0, 1e6], length // 2)
    run = Run(session, dict.fromkeys(NAMES, figures)).advertise().share().mask()
    for masked in run.masked:
        counts = np.bincount(np.frombuffer(masked.words, dtype=np.uint8), minlength=256)
        assert chisquare(counts).pvalue > 1e-4
        words = np.frombuffer(masked.words, dtype="<u8").astype(np.float64)
        assert pearsonr(words, figures).pvalue > 1e-4
    first, second = (np.frombuffer(masked.words, dtype="<u8") for masked in run.masked[:2])
    assert chisquare(np.bincount((first - second).view(np.uint8), minlength=256)).pvalue > 1e-4


def test_partial_sums_of_messages_are_masked_too():
    """Without the masking key of the one who is left out, the others' masks stay in."""
    session = make_session(length=20_000, threshold=3)
    run = Run(session, {name: np.zeros(20_000) for name in NAMES}).advertise().share().mask()
    partial = sum((np.frombuffer(each.words, dtype="<u8") for each in run.masked[:4]), np.zeros(20_000, np.uint64))
    for name in NAMES[:4]:
        partial -= make_mask(run.parties[name]._seed, session, "own mask")
    assert chisquare(np.bincount(partial.view(np.uint8), minlength=256)).pvalue > 1e-4


def test_masks_are_the_stream_of_the_standards():
    session = make_session(length=20)
    secret = b"s" * 32
    key = chacha20.hkdf(secret, session.digest, b"leo secure sum v1 own mask", 32)
    assert make_mask(secret, session, "own mask").tobytes() == chacha20.stream(key, 160)
    one, two = b"1" * 32, b"2" * 32
    ours = mask_between(one, "anna", public_bytes(two), "bela", session)
    theirs = mask_between(two, "bela", public_bytes(one), "anna", session)
    assert ours.any()
    assert not (ours + theirs).any()


def test_the_oracle_is_the_standard():
    """RFC 8439, section 2.3.2 with another nonce is no test of nonce 0; appendix A.1, vectors 1 and 2 are."""
    assert chacha20.stream(bytes(32), 128).hex().startswith("76b8e0ada0f13d90405d6ae55386bd28")
    assert chacha20.block(bytes(32), 1).hex().startswith("9f07e7be5551387a98ba977c732d080d")


# ------------------------------------------------------------------------------------------------- what is refused


def test_an_aggregator_cannot_swap_keys():
    run = Run(make_session(), same()).advertise()
    other = Run(make_session(), same()).advertise()
    forged = replace(run.adverts[0], masking_key=other.adverts[0].masking_key)
    with pytest.raises(SecureSumError, match="advert of anna is not signed"):
        run.parties["bela"].share((forged, *run.adverts[1:]))
    mine = replace(run.adverts[0], signature=run.adverts[1].signature)
    with pytest.raises(SecureSumError, match="not signed"):
        run.parties["cleo"].share((mine, *run.adverts[1:]))
    with pytest.raises(SecureSumError, match="twice"):
        run.parties["dora"].share((run.adverts[0], *run.adverts))


@pytest.mark.parametrize(
    "changes", [{"id": b"session 0000 0002"}, {"threshold": 5}, {"bound": 5.0}, {"fraction_bits": 4}, {"length": 4}]
)
def test_messages_count_in_their_session_only(changes):
    run, other = Run(make_session(), same()).advertise(), Run(make_session(**changes), same())
    with pytest.raises(SecureSumError, match="for this session"):
        other.aggregator.collect_adverts(run.adverts)


def test_a_stranger_and_a_false_key_are_refused():
    with pytest.raises(SecureSumError, match="zoe is not of this session"):
        SumParty(make_session(), "zoe", KEYS["anna"])
    with pytest.raises(SecureSumError, match="not signed with the key that anna is known by"):
        SumParty(make_session(), "anna", KEYS["bela"])


def test_altered_shares_are_refused():
    run = Run(make_session(), same()).advertise().share()
    sealed = dict(run.shares[1].sealed)
    sealed["anna"] = bytes([sealed["anna"][0] ^ 1]) + sealed["anna"][1:]
    altered = (run.shares[0], replace(run.shares[1], sealed=sealed), *run.shares[2:])
    with pytest.raises(SecureSumError, match="from bela for anna were altered"):
        run.parties["anna"].mask([1.0] * 3, altered)
    with pytest.raises(SecureSumError, match="none after an error"):
        run.parties["anna"].mask([1.0] * 3, run.shares)
    swapped = (run.shares[0], replace(run.shares[1], sender="cleo"), replace(run.shares[2], sender="bela"))
    with pytest.raises(SecureSumError, match="altered on their way"):
        run.parties["dora"].mask([1.0] * 3, swapped)


def test_altered_figures_are_refused():
    run = Run(make_session(), same()).advertise().share().mask()
    words = run.masked[0].words
    altered = replace(run.masked[0], words=bytes([words[0] ^ 1]) + words[1:])
    with pytest.raises(SecureSumError, match="figures of anna is not signed"):
        run.aggregator.collect_figures([altered, *run.masked[1:]])
    again = Run(make_session(), same()).advertise().share().mask()
    with pytest.raises(SecureSumError, match="twice"):
        again.aggregator.collect_figures([*again.masked, again.masked[0]])


def test_an_aggregator_cannot_tell_two_stories_of_who_stayed():
    """With both stories confirmed it would learn both shares of a party, and so its figures."""
    run = Run(make_session(threshold=3), same()).advertise().share().mask()
    run.aggregator.collect_figures(run.masked)
    said = {name: run.parties[name].confirm(NAMES) for name in ("anna", "bela", "cleo")}
    said["dora"] = run.parties["dora"].confirm(("cleo", "dora", "egon"))
    with pytest.raises(SecureSumError, match="stayed of dora is not signed"):
        run.parties["anna"].unmask(said)
    with pytest.raises(SecureSumError, match="stayed of"):
        run.parties["dora"].unmask(said)
    with pytest.raises(SecureSumError, match="every step is taken once"):
        run.parties["bela"].confirm(("bela", "cleo", "dora"))
    with pytest.raises(SecureSumError, match="does not fit what egon saw"):
        run.parties["egon"].confirm(("anna", "bela", "cleo"))


def test_no_party_gives_both_shares_of_another():
    run = Run(make_session(threshold=3), same()).advertise().share().mask(("egon",)).confirm()
    for name in run.stayed:
        given = run.parties[name].unmask(run.confirmations)
        assert not set(given.seeds) & set(given.keys)
        assert set(given.seeds) == set(NAMES) - {"egon"}
        assert set(given.keys) == {"egon"}


@pytest.mark.parametrize("kind", ["seeds", "keys"])
def test_a_false_share_is_found_out(kind):
    run = Run(make_session(threshold=3), same()).advertise().share().mask(("egon",)).confirm()
    given = [run.parties[name].unmask(run.confirmations) for name in run.stayed]
    about = "egon" if kind == "keys" else "bela"
    false = dict(getattr(given[0], kind))
    share = Share.from_text(false[about])
    false[about] = replace(share, values=bytes([share.values[0] ^ 1]) + share.values[1:]).to_text()
    with pytest.raises(SecureSumError, match=f"of {about} do not give what it advertised"):
        run.aggregator.add_up([replace(given[0], **{kind: false}), *given[1:]])


def test_fewer_shares_than_the_threshold_say_nothing_of_a_seed():
    run = Run(make_session(threshold=3), same()).advertise().share().mask()
    shares = [Share.from_text(run.parties[name]._held["anna"][1]) for name in NAMES]
    seed = run.parties["anna"]._seed
    assert combine_shares([shares[at] for at in (1, 3, 4)]) == seed
    with pytest.raises(ShareError, match="3 are needed"):
        combine_shares([shares[at] for at in (1, 3)])
    assert hashlib.sha256(seed).digest() == run.adverts[0].seed_hash


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 2.0, 3e6], [1.0, 2.0, float("nan")], [[1.0], [2.0], [3.0]]])
def test_figures_out_of_range_are_refused(values):
    with pytest.raises(SecureSumError, match="3 are needed, each at most"):
        encode(values, make_session())


def test_noise_of_the_parties_is_in_the_sum():
    names = NAMES
    run = Run(make_session(length=400, threshold=3, fraction_bits=0), {name: [0.0] * 400 for name in names})
    total = run.advertise().share().mask(noise=DiscreteGaussian(sigma=20)).confirm().unmask()
    assert abs(float(total.mean())) < 5 * 20 * 5**0.5 / 20
    assert float(total.std()) == pytest.approx(20 * 5**0.5, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": b"short"}, "5 bytes"),
        ({"names": ("anna", "bela")}, "2 parties"),
        ({"threshold": 2}, "more than half"),
        ({"threshold": 6}, "at most all"),
        ({"length": 0}, "out of range"),
        ({"bound": float("nan")}, "out of range"),
        ({"bound": 1e13}, "leaves 64 bits"),
    ],
)
def test_bad_sessions_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        make_session(**changes)


def test_two_parties_with_one_key_are_refused():
    with pytest.raises(ConfigError, match="same key"):
        SumSession(id=b"0" * 16, parties=dict.fromkeys(NAMES, KEYS["anna"].public), length=1)


def test_secrets_are_neither_shown_nor_pickled():
    party = SumParty(make_session(), "anna", KEYS["anna"])
    assert repr(party) == "SumParty('anna', next step advertise)"
    with pytest.raises(TypeError, match="holds secrets"):
        pickle.dumps(party)
    run = Run(make_session(), same()).advertise().share().mask().confirm()
    given = run.parties["anna"].unmask(run.confirmations)
    assert "seeds" not in repr(given)
    assert "words" not in repr(run.masked[0])


def test_the_default_threshold_is_more_than_two_thirds():
    assert make_session().threshold == 4
    assert make_session(names=NAMES[:3]).threshold == 3
