"""The path of a question that the cache does not know: what is measured is really that path."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leo_core.engine.assembly import load_pair_model
from leo_core.evaluation.path_bench import measure_path
from leo_core.stages.embed.load import load_static

VERBS = ("cancel", "change", "find", "lose", "paint", "sell")
THINGS = ("card", "order", "ticket", "phone", "boat")
PLACES = ("rome", "oslo", "lima", "cairo")
TEXTS = [f"how do i {verb} my {thing} in {place}" for verb in VERBS for thing in THINGS for place in PLACES]


class Watched:
    """The shipped pair model, which notes what it is asked about."""

    def __init__(self) -> None:
        self.model = load_pair_model()
        self.asked: list[tuple[float, str, str]] = []

    def probability_at(self, cosines: Any, a: Any, b: Any) -> Any:
        self.asked.append((cosines[0], a[0], b[0]))
        return self.model.probability_at(cosines, a, b)

    def leaves_open(self, cosine: float, a: str, b: str) -> bool:
        return self.model.leaves_open(cosine, a, b)


@pytest.mark.parametrize("size", [60, 150])
def test_each_question_is_compared_with_its_nearest_kept_one(size: int) -> None:
    watched, embedder = Watched(), load_static()
    found = measure_path(TEXTS, size, embedder=embedder, pair_model=watched)  # type: ignore[arg-type]  # has what is used
    assert found["rows"] == size
    assert len(watched.asked) == len(TEXTS) // 4
    questions = {question for _, _, question in watched.asked}
    kept = sorted(set(TEXTS) - questions)
    rows = embedder.embed(kept)
    for cosine, neighbour, question in watched.asked:
        assert neighbour not in questions
        likeness = rows @ embedder.embed([question])[0]
        if size > len(kept):  # all are kept, and jittered copies of them
            assert float(rows[kept.index(neighbour)] @ embedder.embed([question])[0]) > likeness.max() - 0.1
        assert cosine <= likeness.max() + 0.1
    opened = [watched.model.leaves_open(*each) for each in watched.asked]
    assert 0.0 < np.mean(opened) <= 1.0
    parts = found["embed_us"] + found["search_us"] + found["pair_us"]
    assert found["mean_us"] == pytest.approx(parts)
    assert found["p50_us"] <= found["p99_us"]
