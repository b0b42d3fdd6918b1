"""A coherence can be checked by anyone: what a solver found is certified, what is tampered with is refused."""

from __future__ import annotations

import copy
import itertools
import random
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.errors import ReceiptError
from leo_core.stages.consensus.coherence import measure_agreement
from leo_core.stages.receipt.agreement import recompute_coherence
from leo_core.stages.receipt.canonical import fixed
from leo_core.stages.receipt.lcs import check_constraints, derive_agreement
from leo_core.stages.receipt.schema import check_coherence
from tests.core.receipt.examples import build_consensus, coherence, verdict


def committee(seed, count, dimension=24, spread=0.6):
    """Unit vectors around one or two directions, weights as votes have them, and the statement's part about them."""
    source = np.random.default_rng(seed)
    centres = source.normal(size=(2, dimension))
    rows = centres[source.integers(0, 2, size=count)] + spread * source.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = [round(float(weight), 6) for weight in source.uniform(0.0, 4.0, size=count)]
    return rows.astype(np.float32), weights


def state(found):
    certificate = found.certificate
    return {
        "value": fixed(found.value),
        "certificate": {
            "kappa": fixed(certificate.kappa),
            "gram": [fixed(product) for product in certificate.gram],
            "centre": [fixed(part) for part in certificate.centre],
            "orthogonal_centre": [fixed(part) for part in certificate.orthogonal_centre],
        },
    }


def holds(stated, weights):
    return all(constraint.holds for constraint in derive_agreement(stated, [fixed(weight) for weight in weights]))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 11),
    kappa=st.sampled_from([0.05, 0.3, 0.7, 1.5]),
    spread=st.sampled_from([0.0, 0.1, 0.6, 3.0]),
)
def test_what_the_solver_finds_is_certified(seed, count, kappa, spread):
    vectors, weights = committee(seed, count, spread=spread)
    found = measure_agreement(vectors, weights, kappa)
    if found.certificate is None:  # nearly all weight on far points: allowed, but rare
        assert kappa < 0.3
        return
    assert holds(state(found), weights)


def test_nearly_every_coherence_is_certified():
    certified = 0
    for seed in range(200):
        vectors, weights = committee(seed, 2 + seed % 10)
        certified += measure_agreement(vectors, weights, 0.7).certificate is not None
    assert certified == 200


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 9))
def test_every_tampered_figure_is_refused(seed, count):
    """An inner product is moved where it matters most: between two votes that hardly weigh, it changes nothing."""
    vectors, weights = committee(seed, count)
    pairs = list(itertools.combinations(range(count), 2))
    heaviest = max(range(len(pairs)), key=lambda place: weights[pairs[place][0]] * weights[pairs[place][1]])
    stated = state(measure_agreement(vectors, weights, 0.7))
    chance = random.Random(seed)
    for name in ("value", "centre", "orthogonal_centre", "gram"):
        tampered = copy.deepcopy(stated)
        part = tampered if name == "value" else tampered["certificate"]
        if name == "value":
            part[name] = fixed(Decimal(part[name]) + Decimal(chance.choice(("0.0001", "-0.0001"))))
        else:
            place = heaviest if name == "gram" else chance.randrange(len(part[name]))
            part[name][place] = fixed(Decimal(part[name][place]) + Decimal(chance.choice(("0.05", "-0.05"))))
        assert not holds(tampered, weights), name


def test_the_gap_bounds_what_a_better_point_saves():
    """By the definition, in the vectors: no point of many that are tried lies further below than the gap says."""
    vectors, weights = committee(3, 6)
    kappa, source = 0.7, np.random.default_rng(0)
    shares = np.array([max(weight, 1e-6) for weight in weights])
    shares /= shares.sum()

    def value(point):
        distances = np.linalg.norm(vectors - point, axis=1)
        return float(shares @ np.where(distances <= kappa, distances**2 / 2, kappa * (distances - kappa / 2)))

    found = measure_agreement(vectors, weights, kappa)
    stated = state(found)["certificate"]
    best = min(value(mixture @ vectors) for mixture in source.dirichlet(np.ones(6), size=4000))
    for _ in range(20):  # a point that is no optimum, with the bound that is computed for it
        mixture = source.dirichlet(np.ones(6))
        stated["centre"] = [fixed(part) for part in mixture]
        again = recompute_coherence([Decimal(fixed(weight)) for weight in weights], stated)
        assert float(again.gap) >= value(mixture @ vectors) - best - 1e-6
        assert float(again.gap) > 1e-6


def test_inner_products_that_no_vectors_have_are_refused():
    """Three vectors cannot all be opposite to each other."""
    stated = {"value": "0.000000000", "certificate": {
        "kappa": "2.000000000",
        "gram": ["-1.000000000"] * 3,
        "centre": ["0.333333333"] * 3,
        "orthogonal_centre": ["0.333333333"] * 3,
    }}  # fmt: skip
    constraints = {c.name: c.holds for c in derive_agreement(stated, ["1.000000000"] * 3)}
    assert not constraints["coherence_vectors"]


def test_the_worked_example_is_exact():
    statement, _ = build_consensus()
    certificate = statement["coherence"]["certificate"]
    again = recompute_coherence([Decimal(vote["weight"]) for vote in statement["verdict"]["votes"]], certificate)
    assert (again.gap, again.orthogonal_gap) == (0, 0)
    assert abs(again.coherence - (1 - Decimal("0.16") / Decimal("0.35"))) < Decimal("1e-20")
    check_constraints(statement)


def test_a_coherence_that_its_certificate_does_not_show_is_stated_without_one():
    statement, _ = build_consensus(verdict=verdict(coherence=coherence(value=0.9)))
    assert statement["coherence"]["certificate"] is None
    check_constraints(statement)


def test_a_coherence_without_certificate_is_stated_as_such():
    statement, _ = build_consensus(verdict=verdict(coherence=replace(coherence(), certificate=None)))
    assert statement["coherence"]["certificate"] is None
    check_constraints(statement)


@pytest.mark.parametrize("name", ["gram", "centre", "orthogonal_centre"])
def test_a_figure_per_vote_and_pair(name):
    statement, _ = build_consensus()
    statement["coherence"]["certificate"][name].append("0.000000000")
    with pytest.raises(ReceiptError, match=name) as refused:
        check_coherence(statement)
    assert refused.value.check == "statement"


def test_kappa_is_positive_and_a_coherence_needs_a_verdict():
    statement, _ = build_consensus()
    without = {**statement, "verdict": None}
    with pytest.raises(ReceiptError, match="about a verdict"):
        check_coherence(without)
    statement["coherence"]["certificate"]["kappa"] = "0.000000000"
    with pytest.raises(ReceiptError, match="kappa"):
        check_coherence(statement)
