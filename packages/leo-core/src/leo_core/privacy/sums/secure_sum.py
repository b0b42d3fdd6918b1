"""The sum of the parties' figures, and nothing else of them: secure aggregation after Bonawitz et al. 2017 (CCS).

Every party masks its figures with a stream of its own and with one stream per other party, which that party subtracts.
In the sum over all the latter cancel. Shares of what the streams follow from are with the other parties, so that those
who stay can take away the masks of those who drop out, and the own masks of those who do not. The steps:

1. ``party.advertise()``: signed keys of this session, to everybody.
2. ``party.share(adverts)``: sealed shares, to everybody.
3. ``party.mask(values, shares)``: figures under masks, to the aggregator.
4. ``party.confirm(stayed)``: a signature over who stayed.
5. ``party.unmask(confirmations)``: shares of the own masks of those who stayed, and of the keys of those who did not.

The aggregator relays, and adds up (:class:`SumAggregator`). A party never gives both shares of the same party, and
answers every step once.

What it protects: the figures of an honest party, beyond the sum over those who stayed, against an aggregator that sees
everything it relays and against fewer than ``threshold`` parties that follow the steps and put together what they know;
with signed keys and confirmations also against an aggregator that lies about who is there, as long as fewer than
2 threshold - n parties help it. What it does not: the sum itself speaks (of n - 1 colluding parties the last one's
figures are what is left; add noise by ``noise=``), a party may send false figures, and an aggregator may announce a
false sum or refuse to announce any.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from leo_core.errors import SecureSumError, ShareError
from leo_core.privacy.keys.shamir import Share, combine_shares, split_key
from leo_core.privacy.publishing.noise import add_noise
from leo_core.privacy.sums.sum_masks import make_mask, mask_between, open_shares, public_bytes, read_words, seal_shares
from leo_core.privacy.sums.sum_session import Advert, MaskedValues, Shares, Unmasking, sign, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from leo_core.privacy.publishing.mechanisms import DiscreteGaussian, DiscreteLaplace
    from leo_core.privacy.sums.sum_session import Signer, SumSession

__all__ = ["SumAggregator", "SumParty"]

_STEPS: Final = ("advertise", "share", "mask", "confirm", "unmask")
_SECRET_BYTES: Final = 32
_OWN: Final = "own mask"
_FALSE_SHARE: Final = "the shares of the {} of {} do not give what it advertised: somebody gave a false share"
_WRAP: Final = 2**64


class SumParty:
    """One party of a session; good for one session and each step once. Its repr and pickles show no secret.

    Args:
        session: What all parties agreed on.
        name: Which of them this is.
        signer: Its Ed25519 key, the private part of the one in the session.
        entropy: Secret random bytes; another source than the system's is for tests.

    Raises:
        SecureSumError: The session has no party of that name, or knows it by another key.
    """

    def __init__(
        self, session: SumSession, name: str, signer: Signer, *, entropy: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        session.check_names((name,), 1, "party")
        self.session, self.name, self._signer = session, name, signer
        self._sealing, self._masking, self._seed = (entropy(_SECRET_BYTES) for _ in range(3))
        self._step = 0
        self._adverts: dict[str, Advert] = {}
        self._held: dict[str, tuple[str, str]] = {}
        self._among: tuple[str, ...] = ()
        self._stayed: tuple[str, ...] = ()
        verify(session, "proof", name, b"", sign(session, signer, "proof", name, b""))

    def __repr__(self) -> str:
        return f"SumParty({self.name!r}, next step {_STEPS[self._step] if self._step < len(_STEPS) else 'none'})"

    def __reduce__(self) -> str:
        message = f"a party of a secure sum holds secrets and is not pickled ({self.name})"
        raise TypeError(message)

    def advertise(self) -> Advert:
        """Step 1: this party's keys of the session, signed."""
        self._enter("advertise")
        unsigned = Advert(
            sender=self.name,
            sealing_key=public_bytes(self._sealing),
            masking_key=public_bytes(self._masking),
            seed_hash=hashlib.sha256(self._seed).digest(),
        )
        signature = sign(self.session, self._signer, "advert", self.name, unsigned.body)
        self._leave("advertise")
        return replace(unsigned, signature=signature)

    def share(self, adverts: Iterable[Advert]) -> Shares:
        """Step 2: shares of this party's masking key and seed, sealed for each party that advertised.

        Raises:
            SecureSumError: A key is not signed by its party, is there twice, or there are too few.
        """
        self._enter("share")
        self._adverts = check_adverts(self.session, adverts)
        if self.name not in self._adverts:
            message = f"the adverts leave out {self.name}, which advertised"
            raise SecureSumError(message)
        count, threshold = len(self.session.parties), self.session.threshold
        keys = [each.to_text() for each in split_key(self._masking, needed=threshold, shares=count)]
        seeds = [each.to_text() for each in split_key(self._seed, needed=threshold, shares=count)]
        sealed = {}
        for other, advert in self._adverts.items():
            place = self.session.point(other) - 1
            both = json.dumps([keys[place], seeds[place]]).encode()
            if other == self.name:
                self._held[other] = (keys[place], seeds[place])
            else:
                sealed[other] = seal_shares(self._sealing, self.name, advert.sealing_key, other, self.session, both)
        self._leave("share")
        return Shares(sender=self.name, sealed=sealed)

    def mask(
        self,
        values: Sequence[float] | NDArray[np.float64],
        shares: Iterable[Shares],
        *,
        noise: DiscreteGaussian | DiscreteLaplace | None = None,
    ) -> MaskedValues:
        """Step 3: the figures under masks.

        Args:
            values: The session's ``length`` figures, each at most its ``bound``.
            shares: The shares of all parties that made some, as the aggregator relays them.
            noise: Noise that this party adds to each figure, in units of 2^-fraction_bits; its sensitivity too.

        Raises:
            SecureSumError: Shares were altered, there are too few, or a figure is out of its range.
        """
        self._enter("mask")
        for each in shares:
            if each.sender != self.name:
                self._take(each)
        self._among = tuple(sorted(self._held))
        self.session.check_names(self._among, self.session.threshold, "shares")
        words = encode(values, self.session)
        if noise is not None:
            words += np.array([add_noise(0, noise) % _WRAP for _ in range(self.session.length)], dtype=np.uint64)
        words += make_mask(self._seed, self.session, _OWN)
        for other in self._among:
            if other != self.name:
                key = self._adverts[other].masking_key
                words += mask_between(self._masking, self.name, key, other, self.session)
        masked = MaskedValues(sender=self.name, among=self._among, words=words.astype("<u8").tobytes())
        signature = sign(self.session, self._signer, "figures", self.name, masked.body)
        self._leave("mask")
        return replace(masked, signature=signature)

    def confirm(self, stayed: Iterable[str]) -> bytes:
        """Step 4: a signature over who stayed; this party gives no other.

        Raises:
            SecureSumError: There are too few, one of them shared nothing, or this party is left out.
        """
        self._enter("confirm")
        self._stayed = tuple(sorted(set(stayed)))
        self.session.check_names(self._stayed, self.session.threshold, "masked figures")
        if not set(self._stayed) <= set(self._among) or self.name not in self._stayed:
            message = f"who is said to have stayed ({', '.join(self._stayed)}) does not fit what {self.name} saw"
            raise SecureSumError(message)
        self._leave("confirm")
        return sign(self.session, self._signer, "stayed", self.name, _listed(self._stayed))

    def unmask(self, confirmations: Mapping[str, bytes]) -> Unmasking:
        """Step 5: shares of the seeds of those who stayed, and of the masking keys of those who did not.

        Args:
            confirmations: Signatures over who stayed, by party.

        Raises:
            SecureSumError: Too few parties confirm what this one confirmed.
        """
        self._enter("unmask")
        self.session.check_names(confirmations, self.session.threshold, "confirmations")
        for sender, signature in confirmations.items():
            verify(self.session, "stayed", sender, _listed(self._stayed), signature)
        gone = set(self._among) - set(self._stayed)
        return Unmasking(
            sender=self.name,
            seeds={other: self._held[other][1] for other in self._stayed},
            keys={other: self._held[other][0] for other in sorted(gone)},
        )

    def _take(self, shares: Shares) -> None:
        """Open what another party sealed for this one."""
        advert = self._adverts.get(shares.sender)
        if advert is None or shares.sender in self._held or self.name not in shares.sealed:
            message = f"the shares of {shares.sender} for {self.name} are missing, twice there, or without keys"
            raise SecureSumError(message)
        sealed = shares.sealed[self.name]
        both = open_shares(self._sealing, self.name, advert.sealing_key, shares.sender, self.session, sealed)
        try:
            key, seed = json.loads(both)
            Share.from_text(key), Share.from_text(seed)
        except (ValueError, TypeError, AttributeError, ShareError) as error:
            message = f"what {shares.sender} sealed for {self.name} are no two shares"
            raise SecureSumError(message) from error
        self._held[shares.sender] = (key, seed)

    def _enter(self, step: str) -> None:
        """Begin a step; unless it is finished (:meth:`_leave`), this party's part in the session is over."""
        at = _STEPS.index(step)
        if at != self._step:
            message = f"{self.name} cannot {step} now; every step is taken once, in order, and none after an error"
            raise SecureSumError(message)
        self._step = len(_STEPS)

    def _leave(self, step: str) -> None:
        self._step = _STEPS.index(step) + 1


class SumAggregator:
    """Relays the messages of a session and adds up; holds no secret of a party.

    Args:
        session: What the parties agreed on.
    """

    def __init__(self, session: SumSession) -> None:
        self.session = session
        self._adverts: dict[str, Advert] = {}
        self._shared: tuple[str, ...] = ()
        self._words: dict[str, NDArray[np.uint64]] = {}

    def collect_adverts(self, adverts: Iterable[Advert]) -> tuple[Advert, ...]:
        """After step 1: the adverts to send to every party.

        Raises:
            SecureSumError: One is not signed by its party, or there are too few.
        """
        self._adverts = check_adverts(self.session, adverts)
        return tuple(self._adverts[name] for name in sorted(self._adverts))

    def collect_shares(self, shares: Iterable[Shares]) -> tuple[Shares, ...]:
        """After step 2: the shares to send to every party; each can open its own alone.

        Raises:
            SecureSumError: They are of a party without keys, or there are too few.
        """
        found = {each.sender: each for each in shares}
        self._shared = tuple(sorted(found))
        self.session.check_names(found, self.session.threshold, "shares")
        if not set(found) <= set(self._adverts):
            message = f"shares came from {', '.join(sorted(set(found) - set(self._adverts)))}, without keys"
            raise SecureSumError(message)
        return tuple(found[name] for name in self._shared)

    def collect_figures(self, figures: Iterable[MaskedValues]) -> tuple[str, ...]:
        """After step 3: who stayed, to be confirmed by every one of them.

        Raises:
            SecureSumError: Figures are not signed by their party, are masked among others, or there are too few.
        """
        for each in figures:
            verify(self.session, "figures", each.sender, each.body, each.signature)
            if each.among != self._shared or each.sender in self._words:
                message = f"the figures of {each.sender} are twice there, or masked among {', '.join(each.among)}"
                raise SecureSumError(message)
            self._words[each.sender] = read_words(each.words, self.session, each.sender)
        self.session.check_names(self._words, self.session.threshold, "masked figures")
        return tuple(sorted(self._words))

    def add_up(self, unmaskings: Iterable[Unmasking]) -> NDArray[np.float64]:
        """After step 5: float64 ``(length,)``, the sum of the figures of those who stayed.

        Raises:
            SecureSumError: Too few parties unmask, or their shares do not give what was advertised.
        """
        found = {each.sender: each for each in unmaskings}
        self.session.check_names(found, self.session.threshold, "unmasking")
        stayed = tuple(sorted(self._words))
        total = np.zeros(self.session.length, dtype=np.uint64)
        for name in stayed:
            total += self._words[name]
            seed = self._join({each.sender: each.seeds.get(name) for each in found.values()}, "seed", name)
            if hashlib.sha256(seed).digest() != self._adverts[name].seed_hash:
                raise SecureSumError(_FALSE_SHARE.format("seed", name))
            total -= make_mask(seed, self.session, _OWN)
        for name in sorted(set(self._shared) - set(stayed)):
            key = self._join({each.sender: each.keys.get(name) for each in found.values()}, "masking key", name)
            if public_bytes(key) != self._adverts[name].masking_key:
                raise SecureSumError(_FALSE_SHARE.format("masking key", name))
            for other in stayed:  # what those who stayed added for the one who did not is the negative of its own
                total += mask_between(key, name, self._adverts[other].masking_key, other, self.session)
        return decode(total, self.session)

    def _join(self, shares: Mapping[str, str | None], what: str, name: str) -> bytes:
        """The secret of a party from the shares that the others gave of it."""
        known = {sender: share for sender, share in shares.items() if share is not None}
        if len(known) < self.session.threshold:
            message = f"{len(known)} parties gave a share of {name}; {self.session.threshold} are needed"
            raise SecureSumError(message)
        try:
            return combine_shares([Share.from_text(known[sender]) for sender in sorted(known)])
        except ShareError as error:
            raise SecureSumError(_FALSE_SHARE.format(what, name)) from error


def check_adverts(session: SumSession, adverts: Iterable[Advert]) -> dict[str, Advert]:
    """Adverts by party, each signed by the key that its party is known by.

    Raises:
        SecureSumError: One is not, one is there twice, or there are too few.
    """
    found: dict[str, Advert] = {}
    for advert in adverts:
        verify(session, "advert", advert.sender, advert.body, advert.signature)
        if advert.sender in found:
            message = f"{advert.sender} advertised twice; a party has one pair of keys in a session"
            raise SecureSumError(message)
        found[advert.sender] = advert
    session.check_names(found, session.threshold, "keys")
    return found


def encode(values: Sequence[float] | NDArray[np.float64], session: SumSession) -> NDArray[np.uint64]:
    """uint64 ``(length,)``: figures as multiples of 2^-fraction_bits, modulo 2^64.

    Raises:
        SecureSumError: There are more or fewer, or one is above the bound or not finite.
    """
    figures = np.asarray(values, dtype=np.float64)
    if figures.shape != (session.length,) or not bool(np.all(np.abs(figures) <= session.bound)):
        message = f"figures of shape {figures.shape}: {session.length} are needed, each at most {session.bound:g}"
        raise SecureSumError(message)
    return np.rint(np.ldexp(figures, session.fraction_bits)).astype(np.int64).astype(np.uint64)


def decode(words: NDArray[np.uint64], session: SumSession) -> NDArray[np.float64]:
    """float64 ``(length,)``: the inverse of :func:`encode`, of sums as well."""
    return np.ldexp(words.astype(np.int64).astype(np.float64), -session.fraction_bits)


def _listed(names: tuple[str, ...]) -> bytes:
    return json.dumps(list(names)).encode()
