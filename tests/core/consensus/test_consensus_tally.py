from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leo_core.stages.consensus.tally import count_unseen, recompute, share_weights, weigh_vote

WEIGHTS = st.one_of(st.integers(0, 4).map(float), st.floats(0, 5).map(lambda weight: round(weight, 6)))
VOTES = st.lists(st.tuples(st.integers(0, 3), WEIGHTS), min_size=1, max_size=7)


def winner_of(votes: list[tuple[int, float]], classes: int) -> int:
    """The class that is strictly ahead, with exact sums; -1 for none."""
    totals = [sum(round(weight * 10**6) for place, weight in votes if place == index) for index in range(classes)]
    best = max(totals)
    return totals.index(best) if totals.count(best) == 1 else -1


def brute_margin(votes: list[tuple[int, float]], classes: int, winner: int) -> int:
    """Largest n such that no n supporters or fewer can change the winner, whichever rival they switch to."""
    supporters = [place for place, vote in enumerate(votes) if vote[0] == winner]
    for size in range(1, len(supporters) + 1):
        for switching in combinations(supporters, size):
            for rival in range(classes + 1):
                if rival != winner:
                    after = [(rival if i in switching else c, w) for i, (c, w) in enumerate(votes)]
                    if winner_of(after, classes + 1) != winner:
                        return size - 1
    return len(supporters)


@given(VOTES)
def test_certified_margin_is_what_brute_force_finds(votes: list[tuple[int, float]]) -> None:
    tally = recompute(votes, classes=4, required=0.0)
    assert tally.winner == winner_of(votes, 4)
    if tally.winner >= 0:
        assert tally.certified_margin == brute_margin(votes, 4, tally.winner)
        assert not tally.tied
    else:
        assert tally.certified_margin == 0
        assert tally.tied


@given(VOTES, st.floats(0, 1))
def test_posterior_and_abstention(votes: list[tuple[int, float]], required: float) -> None:
    tally = recompute(votes, classes=5, required=required)
    totals = [math.fsum(weight for place, weight in votes if place == index) for index in range(5)]
    whole = math.fsum(math.exp(total) for total in totals)
    assert tally.posterior == pytest.approx([math.exp(total) / whole for total in totals], abs=1e-9)
    assert math.fsum(tally.posterior) == pytest.approx(1)
    assert tally.confidence == tally.posterior[tally.leader] == max(tally.posterior)
    assert (tally.winner == tally.leader) == (not tally.tied and tally.confidence >= required)
    assert tally.winner in {-1, tally.leader}


@pytest.mark.parametrize("alternatives", [1, 2, 5])
@pytest.mark.parametrize("trust", [0.6, 0.8, 0.95])
def test_lone_answer_has_its_members_trust(trust: float, alternatives: int) -> None:
    weight = round(weigh_vote(trust, alternatives), 6)
    classes = 1 + count_unseen(1, alternatives)
    assert recompute([(0, weight)], classes=classes, required=0).confidence == pytest.approx(trust, abs=1e-6)


def test_posterior_is_the_one_coin_models() -> None:
    """Two for one answer and one for another, three possible answers: against Bayes' rule written out."""
    trusts, answers, k = (0.9, 0.7, 0.8), (0, 0, 1), 2
    joint = [
        math.prod(p if a == truth else (1 - p) / k for p, a in zip(trusts, answers, strict=True)) for truth in range(3)
    ]
    votes = [(a, round(weigh_vote(p, k), 6)) for p, a in zip(trusts, answers, strict=True)]
    found = recompute(votes, classes=2 + count_unseen(2, k), required=0)
    assert found.posterior == pytest.approx([value / sum(joint) for value in joint], abs=1e-6)


def test_weights() -> None:
    assert weigh_vote(0.8, 1) == pytest.approx(math.log(4))
    assert weigh_vote(0.8, 2) == pytest.approx(math.log(8))
    assert weigh_vote(1 / 3, 2) == pytest.approx(0, abs=1e-12)
    assert weigh_vote(0.1, 2) == 0


@given(
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abc")), min_size=1, max_size=7),
    st.floats(0, 0.95),
)
def test_family_is_bounded_by_its_best_member(members: list[tuple[float, str]], share: float) -> None:
    weights, families = [w for w, _ in members], [f for _, f in members]
    shared = share_weights(weights, families, share)
    for family in set(families):
        own = [w for w, name in members if name == family]
        total = sum(w for w, name in zip(shared, families, strict=True) if name == family)
        assert total <= max(own) / (1 - share) + 1e-5
        assert total >= max(own) - 1e-5
        if len(own) == 1:
            assert total == pytest.approx(own[0], abs=1e-6)
    for (w, f), (v, g) in combinations(list(zip(weights, families, strict=True)), 2):
        if f == g and w == v:
            assert shared[weights.index(w)] == shared[weights.index(v)]


def test_family_formula() -> None:
    assert share_weights([2.0, 1.0, 3.0], ["a", "a", "b"], 0.25) == (1.5, 0.75, 3.0)
    assert share_weights([2.0, 1.0], ["a", "a"], 0.0) == (1.333333, 0.666667)
    assert share_weights([0.0, 0.0], ["a", "a"], 0.5) == (0.0, 0.0)


def test_unseen_classes() -> None:
    assert [count_unseen(seen, 3) for seen in range(1, 6)] == [3, 2, 1, 1, 1]


def test_required_decides() -> None:
    votes = [(0, 2.0), (1, 1.0)]
    confidence = recompute(votes, classes=3, required=0).confidence
    assert recompute(votes, classes=3, required=confidence).winner == 0
    assert recompute(votes, classes=3, required=confidence + 1e-9).winner == -1


@pytest.mark.parametrize(
    ("votes", "classes"),
    [([], 1), ([(0, 1.0)], 0), ([(1, 1.0)], 1), ([(-1, 1.0)], 1), ([(0, -1.0)], 1), ([(0, math.nan)], 1)],
)
def test_refuses_what_cannot_be_counted(votes: list[tuple[int, float]], classes: int) -> None:
    with pytest.raises(ValueError, match="count"):
        recompute(votes, classes=classes, required=0.5)


def test_standard_library_only() -> None:
    script = (
        "import importlib.util, sys;"
        "spec = importlib.util.find_spec('leo_core.stages.consensus.tally'); before = set(sys.modules);"
        "module = importlib.util.module_from_spec(spec); sys.modules[spec.name] = module;"
        "spec.loader.exec_module(module);"
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - {'leo_core'};"
        "assert new <= set(sys.stdlib_module_names), new"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
