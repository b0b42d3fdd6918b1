"""Whether novelty fires as often as it says, and how well it finds intents that were never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.datasets import read_jsonl
from leo_core.evaluation.metrics import wilson_interval
from leo_core.evaluation.ranking import bootstrap_auroc, bootstrap_difference, measure_auroc

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

__all__ = ["run_novelty"]

FIRES_ABOVE = 0.95
HELD_OUT = 0.25
LEARNED = 4_000
NEIGHBOURS = (1, 10)
DRAWS = 100


def run_novelty(stream: Path, *, embedder: str = "default", seed: int = 0, splits: int = 5) -> dict[str, Any]:
    """The rate above 0.95 on an exchangeable stream, and the AUROC for requests of held-out intents.

    In each split a quarter of the intents is held out. Novelty learns 4,000 shuffled requests of the others, then
    scores the rest of them and the held-out ones; the distance to the k-th nearest of the same 4,000 requests stands
    beside it. ``difference`` is the AUROC of novelty less that of the score, its interval from the same resampled
    requests; like the others it is the mean over the splits.

    Args:
        stream: Requests, as ``{"text", "intent"}`` lines.
        embedder: Name of the embedder.
        seed: Of order and splits.
        splits: How many splits.

    Raises:
        ConfigError: The file lacks texts or intents.
    """
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba

    rows = [(str(row.get("text", "")), str(row.get("intent", ""))) for row in read_jsonl(stream)]
    intents = sorted({intent for _, intent in rows})
    if len(intents) < 4 or len(rows) < LEARNED:  # noqa: PLR2004 - two known intents and two unknown ones
        message = f"{stream.name} holds {len(rows)} requests of {len(intents)} intents; at least {LEARNED} are needed"
        raise ConfigError(message)
    encoder = load_embedder(embedder)
    vectors = np.asarray(encoder.embed([text for text, _ in rows]), dtype=np.float32)
    labels = np.array([intents.index(intent) for _, intent in rows])
    fired, asked = 0, 0
    for number in range(splits):
        one = _count_fired(vectors, np.random.default_rng([seed, 0, number]))
        fired, asked = fired + one[0], asked + one[1]
    found = [_find_held_out(vectors, labels, np.random.default_rng([seed, 1, number])) for number in range(splits)]
    return {
        "stream": stream.name,
        "requests": len(rows),
        "embedder": str(encoder.fingerprint.name),
        "seed": seed,
        "splits": splits,
        "rate_above_0.95": fired / asked,
        "rate_interval": wilson_interval(fired, asked),
        "scores": [
            {
                "score": name,
                "auroc": float(np.mean([one[name][0] for one in found])),
                "auroc_lowest": float(min(one[name][0] for one in found)),
                "auroc_interval": [float(np.mean([one[name][1][end] for one in found])) for end in (0, 1)],
                "difference": float(np.mean([one["novelty"][0] - one[name][0] for one in found])),
                "difference_interval": [float(np.mean([one[name][2][end] for one in found])) for end in (0, 1)],
            }
            for name in found[0]
        ],
    }


def _count_fired(vectors: Rows, random: np.random.Generator) -> tuple[int, int]:
    """Requests above 0.95 and requests scored, in one pass over the shuffled stream."""
    from leo_core.stages.novelty.config import NoveltyConfig  # noqa: PLC0415 - loads numba below
    from leo_core.stages.novelty.policy import NoveltyState, learn_novelty, score_novelty  # noqa: PLC0415 - loads numba

    config, state = NoveltyConfig(), NoveltyState.empty(vectors.shape[1])
    fired = asked = 0
    for row in random.permutation(len(vectors)):
        value = score_novelty(vectors[row], state, config).value
        asked += value is not None
        fired += value is not None and value > FIRES_ABOVE
        state = learn_novelty(vectors[row], state, config, float(random.random()))
    return fired, asked


def _find_held_out(
    vectors: Rows, labels: npt.NDArray[np.int64], random: np.random.Generator
) -> dict[str, tuple[float, tuple[float, float], tuple[float, float]]]:
    """AUROC of each score for "this intent was held out", its interval, and that of novelty's lead, in one split."""
    from leo_core.stages.novelty.config import NoveltyConfig  # noqa: PLC0415 - loads numba below
    from leo_core.stages.novelty.policy import NoveltyState, learn_novelty, score_novelty  # noqa: PLC0415 - loads numba

    intents = random.permutation(int(labels.max()) + 1)
    held_out = np.isin(labels, intents[: round(HELD_OUT * len(intents))])
    known = random.permutation(np.flatnonzero(~held_out))
    learned, asked = known[:LEARNED], np.concatenate([known[LEARNED:], np.flatnonzero(held_out)])
    config, state = NoveltyConfig(), NoveltyState.empty(vectors.shape[1])
    for row in learned:
        state = learn_novelty(vectors[row], state, config, float(random.random()))
    novelties = [score_novelty(vectors[row], state, config) for row in asked]
    cosines = vectors[asked] @ vectors[learned].T
    scores = {
        "novelty": np.array([one.value for one in novelties], dtype=np.float64),
        "entropy alone": np.array([one.entropy for one in novelties], dtype=np.float64),
        "deviation alone": np.array([one.deviation for one in novelties], dtype=np.float64),
        **{f"distance to neighbour {k}": -np.partition(cosines, -k, axis=1)[:, -k].astype(float) for k in NEIGHBOURS},
    }
    new = held_out[asked]
    return {
        name: (
            measure_auroc(one, new),
            bootstrap_auroc(one, new, draws=DRAWS),
            bootstrap_difference(scores["novelty"], one, new, draws=DRAWS),
        )
        for name, one in scores.items()
    }
