"""``leo bench route``: routers before the call and the cascade, on questions that a small and a large model answered.

Routers learn from one part of the questions and are judged on another one; LEO's scores are those of the risk stage,
fed by observations as the engine writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.errors import ConfigError
from leo_core.evaluation.minilm import MiniLM
from leo_core.evaluation.route_data import read_routed, split_questions
from leo_core.evaluation.route_metrics import find_cpt, find_pgr, measure_apgr, trace_pgr
from leo_core.evaluation.route_routers import (
    find_gain,
    learn_outcomes,
    rank_by_neighbours,
    score_cascade,
    score_foreseen,
    score_gains,
)
from leo_core.providers.replay import Recording
from leo_core.stages.embed.load import load_embedder
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.risk.state import RiskState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from leo_core.evaluation.route_data import RoutedQuestion
    from leo_core.records import EmbedderFingerprint

    Floats = npt.NDArray[np.float64]
    Vectors = npt.NDArray[np.float32]

__all__ = ["PUBLISHED", "RouteSettings", "run_route"]

PUBLISHED: Mapping[str, tuple[float, float]] = {"gsm8k": (0.622, 0.336), "mmlu": (0.603, 0.354)}
"""Best APGR and CPT(50%) that RouteLLM's authors published, by data set; their routers were trained on other data."""
_NEIGHBOURS = 50
_DRAWS = 500
_BASELINE = "length"
_SHARES = tuple(step / 40.0 for step in range(41))
"""Shares of strong calls at which curves are written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """What is compared.

    Attributes:
        train: Questions to learn from.
        test: Questions to judge; the same file is split by question.
        seeds: Splits; each is a seed, from ``first_seed`` on.
        first_seed: The first of them.
        embedder: ``"static"``, ``"hashed"`` or ``"minilm"``.
        replay: Recorded answers of other models to the same questions; ``None`` for none.
        weak: Models of the recording whose agreement the cascade may look at.
        config: Settings of the risk.
    """

    train: Path
    test: Path
    seeds: int = 5
    first_seed: int = 0
    embedder: str = "static"
    replay: Path | None = None
    weak: tuple[str, ...] = ()
    config: RiskConfig = field(default_factory=RiskConfig)

    def __post_init__(self) -> None:
        if self.seeds < 1:
            message = f"seeds is {self.seeds}; it must be at least 1"
            raise ConfigError(message)
        if bool(self.weak) != (self.replay is not None):
            message = "name the weak models and the file of their recorded answers together, or neither"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """The judged part of one split: rows of the file, their gain, and the scores of each router."""

    rows: npt.NDArray[np.int64]
    gain: Floats
    scores: Mapping[str, Floats]


def run_route(settings: RouteSettings, *, report: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Let every router learn from and judge each split.

    Returns:
        ``routers``, each with means over the seeds of ``apgr``, ``cpt50``, ``cpt80``, ``accuracy`` (with half of the
        questions sent to the large model), ``best_accuracy`` (with any share) and ``pgr`` (the gap recovered at each of
        the ``shares`` of strong calls), 95 % intervals (bootstrap over the
        questions, the same ones in every split and for every router), and the difference of the APGR to that of the
        length, paired; ``always`` with the accuracies of both models; ``published`` where the data set is known.

    Raises:
        ConfigError: A file or a setting is wrong.
    """
    test = read_routed(settings.test)
    same = settings.train.resolve() == settings.test.resolve()
    train = test if same else read_routed(settings.train)
    report(f"{settings.test.name}: {len(test):,} rows; embedding with {settings.embedder}")
    asked, fingerprint = _embed(test, settings.embedder)
    learned = asked if same else _embed(train, settings.embedder)[0]
    fixed = _score_fixed(test, settings, report)
    fixed["leo_prior"] = score_gains(test, asked, RiskState.fresh(), settings.config, fingerprint)
    splits = []
    for seed in range(settings.first_seed, settings.first_seed + settings.seeds):
        inside, judged = split_questions(train, test, seed, same=same)
        report(f"seed {seed}: {len(inside):,} to learn from, {len(judged):,} judged")
        gain = find_gain([test[at] for at in judged])
        scores = {name: values[judged] for name, values in fixed.items()}
        scores["random"] = np.random.default_rng([seed, 1]).random(len(judged))
        scores["oracle"] = gain
        scores["neighbours"] = rank_by_neighbours(
            learned[inside], find_gain([train[at] for at in inside]), asked[judged], _NEIGHBOURS
        )
        state = learn_outcomes([train[at] for at in inside], learned[inside], settings.config)
        rows = [test[at] for at in judged]
        scores["leo_learned"] = score_gains(rows, asked[judged], state, settings.config, fingerprint)
        if state.answers.count and "leo_cascade" in fixed:
            scores["leo_foreseen"] = score_foreseen(rows, asked[judged], state, settings.config)
        splits.append(_Judged(rows=judged, gain=gain, scores=scores))
    report("resampling questions")
    small = float(np.mean([_accuracy(test, split, large=False) for split in splits]))
    large = float(np.mean([_accuracy(test, split, large=True) for split in splits]))
    questions = np.unique([row.question for row in test], return_inverse=True)[1]
    return {
        "benchmark": "route",
        "train": settings.train.name,
        "test": settings.test.name,
        "embedder": settings.embedder,
        "seeds": settings.seeds,
        "first_seed": settings.first_seed,
        "learned_from": len(inside),
        "judged": len(judged),
        "weak": list(settings.weak),
        "always": {"small": small, "large": large},
        "shares": list(_SHARES),
        "routers": _summarise(splits, questions, small, large),
        "published": _find_published(settings.test.name),
    }


def _embed(rows: Sequence[RoutedQuestion], name: str) -> tuple[Vectors, EmbedderFingerprint | None]:
    """Embeddings (n, d), and who made them, where the shipped models may know it."""
    texts = [row.question for row in rows]
    if name == "minilm":
        return np.asarray(MiniLM().embed(texts), dtype=np.float32), None
    encoder = load_embedder(name)
    return np.asarray(encoder.embed(texts), dtype=np.float32), encoder.fingerprint


def _score_fixed(
    rows: Sequence[RoutedQuestion], settings: RouteSettings, report: Callable[[str], None]
) -> dict[str, Floats]:
    """Scores that do not depend on the split."""
    report("scores of the questions and of the small model's answers")
    found = {
        "length": np.array([float(len(row.question)) for row in rows]),
    }
    if all(row.small_text for row in rows):
        found["leo_cascade"] = score_cascade(rows, None, settings.config)
        if settings.replay is not None:
            found["leo_agreement"] = score_cascade(rows, _read_others(rows, settings), settings.config)
    return found


def _read_others(rows: Sequence[RoutedQuestion], settings: RouteSettings) -> dict[str, list[str]]:
    """What the weak models answered, by question.

    Raises:
        ConfigError: One of them answered none of the questions.
    """
    recording = Recording(settings.replay or "")
    found: dict[str, list[str]] = {}
    for name in settings.weak:
        texts = {row.question: recording.find(row.question, name) for row in rows}
        if not any(texts.values()):
            message = f"{recording.path.name} holds no answer of {name!r}; it has {', '.join(recording.models)}"
            raise ConfigError(message)
        for question, text in texts.items():
            if text is not None:
                found.setdefault(question, []).append(text)
    return found


def _accuracy(rows: Sequence[RoutedQuestion], split: _Judged, *, large: bool) -> float:
    return float(np.mean([rows[at].large_right if large else rows[at].small_right for at in split.rows]))


def _summarise(
    splits: Sequence[_Judged], questions: npt.NDArray[np.int64], small: float, large: float
) -> list[dict[str, Any]]:
    """One row per router, from worst to best."""
    random = np.random.default_rng(0)
    count = int(questions.max()) + 1
    draws = [np.bincount(random.integers(0, count, count), minlength=count).astype(float) for _ in range(_DRAWS)]
    rows = []
    resampled = {name: _resample(splits, questions, draws, name) for name in splits[0].scores}
    for name in splits[0].scores:
        pairs = [(split.scores[name], split.gain) for split in splits]
        apgr = [measure_apgr(scores, gain) for scores, gain in pairs]
        half = float(np.mean([find_pgr(scores, gain, 0.5) for scores, gain in pairs]))
        rows.append(
            {
                "name": name,
                "apgr": float(np.mean(apgr)),
                "apgr_interval": _ends([each[0] for each in resampled[name]]),
                "apgr_by_seed": apgr,
                "cpt50": float(np.mean([find_cpt(scores, gain, 0.5) for scores, gain in pairs])),
                "cpt50_interval": _ends([each[1] for each in resampled[name]]),
                "cpt80": float(np.mean([find_cpt(scores, gain, 0.8) for scores, gain in pairs])),
                "accuracy": small + half * (large - small),
                "pgr": np.mean(
                    [np.interp(_SHARES, *trace_pgr(scores, gain)) for scores, gain in pairs], axis=0
                ).tolist(),
                "best_accuracy": small + (large - small) * float(np.mean([_find_best(*pair) for pair in pairs])),
                "over_length": float(np.mean(apgr))
                - float(np.mean([measure_apgr(split.scores[_BASELINE], split.gain) for split in splits])),
                "over_length_interval": _ends(
                    [own[0] - other[0] for own, other in zip(resampled[name], resampled[_BASELINE], strict=True)]
                ),
            }
        )
    return sorted(rows, key=lambda row: (row["apgr"], row["name"]))


def _resample(
    splits: Sequence[_Judged], questions: npt.NDArray[np.int64], draws: Sequence[Floats], name: str
) -> list[tuple[float, float]]:
    """APGR and CPT(50%), means over the splits, for each draw of the questions."""
    found = []
    for draw in draws:
        both = []
        for split in splits:
            weights = draw[questions[split.rows]]
            if float(weights @ split.gain) > 0.0:
                scores = split.scores[name]
                both.append((measure_apgr(scores, split.gain, weights), find_cpt(scores, split.gain, 0.5, weights)))
        mean = np.mean(both, axis=0) if both else np.full(2, np.nan)
        found.append((float(mean[0]), float(mean[1])))
    return found


def _ends(values: Sequence[float]) -> list[float]:
    low, high = np.nanquantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def _find_best(scores: Floats, gain: Floats) -> float:
    """The most of the gap that any share of strong calls recovers; above 1 the two together beat the large model."""
    return max(find_pgr(scores, gain, share) for share in np.linspace(0.0, 1.0, 101))


def _find_published(name: str) -> dict[str, Any] | None:
    for known, (apgr, cpt50) in PUBLISHED.items():
        if known in name:
            return {"name": "RouteLLM", "apgr": apgr, "cpt50": cpt50, "note": "published, other training data"}
    return None
