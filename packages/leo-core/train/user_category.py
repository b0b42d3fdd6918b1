"""How well a category given by examples is found: each shipped one in turn, as if it were the user's own.

    python packages/leo-core/train/user_category.py

Twenty (or fifty) examples are drawn from the questions of a category that ``category_risk.py`` trains on, ten times;
the model that they give, and the default threshold, are tested on the held-out questions of the category and of none.
Nothing is chosen here. The shipped embedder makes the vectors.
"""

from __future__ import annotations

import numpy as np
from category_risk import CATEGORIES, read_questions, show
from fitting import trains

from leo_core.stages.embed.load import load_static
from leo_core.stages.risk.config import UserCategory
from leo_core.stages.risk.examples import background_questions, fit_category

DRAWS = 10


def main() -> None:
    """Print recall, and false alarms on questions of no category and on the hard ones among them."""
    embedder = load_static()
    rows = read_questions()
    background = embedder.embed(background_questions()).astype(np.float64)
    held = [row for row in rows if trains(row["text"])]
    vectors = embedder.embed([row["text"] for row in held]).astype(np.float64)
    labels = np.array([row["category"] for row in held])
    hard = np.array([row.get("hard", False) for row in held])
    for count in (20, 50):
        print(f"{count} examples, {DRAWS} draws, {len(held)} held-out questions")
        for name in CATEGORIES:
            texts = [row["text"] for row in rows if row["category"] == name and not trains(row["text"])]
            found = np.zeros(len(held), dtype=int)
            for draw in range(DRAWS):
                chosen = np.random.default_rng(draw).permutation(len(texts))[:count]
                category = UserCategory(name=f"own {name}", examples=tuple(texts[at] for at in chosen))
                model = fit_category(category, embedder.embed, embedder.fingerprint, background)
                found += vectors @ model.weights + model.intercept >= 0.0
            for title, part in (
                ("recall", labels == name),
                ("false alarms on none", labels == "none"),
                ("of these, hard", hard),
                ("taken of the other categories", (labels != name) & (labels != "none")),
            ):
                print(f"  {name:10s}{title:30s} {show_mean(found[part])}")


def show_mean(found: np.ndarray) -> str:
    """Mean share over the draws; the interval counts every question once."""
    return show(round(found.sum() / DRAWS), len(found))


if __name__ == "__main__":
    main()
