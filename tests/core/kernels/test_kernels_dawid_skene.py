"""The one-coin model against its definition, and on answers whose truth is known."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leo_core.kernels import dawid_skene
from tests.oracles import dawid_skene as oracle


def draw_answers(accuracies: list[float], items: int, choices: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n,), and answers (n, m) of independent answerers."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, choices, items)
    wrong = (truth[:, None] + random.integers(1, choices, (items, len(accuracies)))) % choices
    return truth, np.where(random.random((items, len(accuracies))) < accuracies, truth[:, None], wrong)


@given(
    rows=st.integers(1, 5).flatmap(
        lambda m: st.lists(st.lists(st.integers(-1, 3), min_size=m, max_size=m), min_size=1, max_size=6)
    ),
    extra=st.integers(0, 3),
    right=st.floats(0.5, 20),
    wrong=st.floats(0.5, 20),
    steps=st.integers(1, 6),
)
@settings(deadline=None, max_examples=60)
def test_is_the_definition(rows: list[list[int]], extra: int, right: float, wrong: float, steps: int) -> None:
    choices = [max(2, len({a for a in row if a >= 0})) + extra for row in rows]
    found = dawid_skene.fit_accuracies(np.array(rows), np.array(choices), right, wrong, -1.0, steps)
    accuracy, posterior = oracle.fit(rows, choices, right, wrong, steps)
    assert found.iterations == steps
    assert not found.converged
    np.testing.assert_allclose(found.accuracy, accuracy, rtol=1e-9)
    np.testing.assert_allclose(found.posterior, posterior, rtol=1e-7, atol=1e-12)


def test_finds_the_accuracies_without_the_truth() -> None:
    real = [0.95, 0.8, 0.7, 0.55, 0.35]
    truth, answers = draw_answers(real, 2_000, 4, seed=0)
    found = dawid_skene.fit_accuracies(answers, np.full(2_000, 4), 4.0, 2.0, 1e-6, 500)
    assert found.converged
    np.testing.assert_allclose(found.accuracy, real, atol=0.03)
    served = np.take_along_axis(answers, found.posterior.argmax(axis=1)[:, None], axis=1)[:, 0]
    majority = np.array([np.bincount(row).argmax() for row in answers])
    assert (served == truth).mean() > (majority == truth).mean()


def test_members_may_be_renamed_and_classes_relabelled(mode: str) -> None:
    items = 300 if mode == "compiled" else 40
    _, answers = draw_answers([0.9, 0.7, 0.5], items, 3, seed=1)
    choices = np.full(items, 3)
    plain = dawid_skene.fit_accuracies(answers, choices, 2.0, 1.0, 1e-9, 50)
    turned = dawid_skene.fit_accuracies((answers[:, ::-1] + 1) % 3, choices, 2.0, 1.0, 1e-9, 50)
    np.testing.assert_allclose(plain.accuracy, turned.accuracy[::-1], rtol=1e-9)
    np.testing.assert_allclose(plain.posterior, turned.posterior[:, ::-1], rtol=1e-9)


def test_online_learning_comes_near_the_batch() -> None:
    real = [0.9, 0.75, 0.6]
    _, answers = draw_answers(real, 3_000, 4, seed=2)
    right, wrong = np.full(3, 4.0), np.full(3, 2.0)
    for row in answers:
        posterior = dawid_skene.learn_item(row, 4, right, wrong, 0.999)
        assert np.all((posterior >= 0) & (posterior <= 1))
    np.testing.assert_allclose(right / (right + wrong), real, atol=0.05)


def test_who_does_not_answer_learns_nothing() -> None:
    right, wrong = np.array([2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0])
    expected = oracle.weigh([1, -1, 1], 5, [2 / 3, 3 / 4, 4 / 5])
    posterior = dawid_skene.learn_item(np.array([1, -1, 1]), 5, right, wrong, 0.5)
    np.testing.assert_allclose(posterior, expected, rtol=1e-12)
    assert (right[1], wrong[1]) == (3.0, 1.0)
    np.testing.assert_allclose(right[[0, 2]], np.array([1.0, 2.0]) + posterior[[0, 2]])
    np.testing.assert_allclose(wrong[[0, 2]], 0.5 + 1.0 - posterior[[0, 2]])
