"""Train the second, strict comparison of the pair network, on minimal pairs, and add it to the package's weights.

    uv sync --group distil
    python packages/leo-core/train/strict_comparison.py [pairs.jsonl.gz] [--minimal-pairs tests/data/minimal_pairs]
        [--without NAME ...] [--seed 0] [--output FILE] [--odds FILE]

The encoder that ``pair_network.py`` wrote stays as it is. A second alignment, over its last states and over each piece
as it was before the layers, is fitted to questions of the part to fit and to minimal pairs: nine sets of
``tests/data/minimal_pairs`` and those in ``data/small_changes``. ``fourth``, ``seventh`` and ``tenth`` are never read.
With ``--without``, the sets named are left out and measured: prints AUC of each, and of the part for choices of the
questions; ``--odds`` keeps the strict log-odds of their pairs, on which ``STRICTNESS`` in ``pair_model.py`` is chosen.
Afterwards: ``pair_model.py --calibrate``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from network import (
    align,
    attend,
    draw_matrix,
    in_batches,
    make_alignment,
    normalise,
    project,
    start_layers,
)
from pair_network import OUTPUT, WIDTH, Learner, Pairs, Parameters, Texts, ask, fit_pairs, longest, read_table, say
from paraphrase import DEFAULT_PAIRS, FIT, TUNE, read_pairs, split_by_component
from sklearn.metrics import roc_auc_score

from leo_core.stages.cache.pair_network import MOST_PIECES
from leo_core.stages.embed.static import StaticEmbedder

HERE = Path(__file__).resolve()
MINIMAL_PAIRS = HERE.parents[3] / "tests" / "data" / "minimal_pairs"
SMALL_CHANGES = HERE.parent / "data" / "small_changes"
SETS = ("dev", "held_out", "fresh", "unseen", "second", "fifth", "sixth", "eighth", "ninth")
"""What of ``MINIMAL_PAIRS`` may be trained on; ``fourth``, ``seventh`` and ``tenth`` stay out."""
WRITERS = tuple("abcdefghij")
"""Sets of ``SMALL_CHANGES``, one for each writer."""
QUESTIONS = 28_000
"""Pairs of questions that are fitted beside the minimal pairs."""
TIMES = 2
"""How often an epoch sees each minimal pair, in each direction."""
SURE_QUESTION, SURE_MINIMAL = 0.9, 0.97
"""What a label is worth as a probability; some of the questions' labels are wrong."""
_SIDES = ("different", "same")
PIECE, COMPARE, JUDGE = 64, 96, 48
KEPT = 0.9
WHOLE = ("share", "share_bias", "whole")
COMPARISON = (
    "compare",
    "compare_bias",
    "weight",
    "weight_bias",
    "judge",
    "judge_bias",
    "last",
    "last_bias",
    "sharpness",
)


def read_weights(arrays: dict[str, np.ndarray]) -> Parameters:
    """The parameters that ``pair_network.export`` made these arrays of."""
    flat = {
        name: jnp.asarray(each.astype(np.float32))
        for name, each in arrays.items()
        if name not in ("heads", "layers") and not name.startswith("strict.")
    }
    at: Parameters = {"align": {name: flat.pop(name) for name in COMPARISON}}
    at |= {name: flat.pop(name) for name in ("piece", "piece_bias", *WHOLE)}
    encoder: Parameters = {"input": jnp.concatenate([flat.pop("input"), flat.pop("input_length")[None]])}
    for name, each in flat.items():
        layer, _, inner = name.partition(".")
        if inner:
            encoder.setdefault(layer, {})[inner] = each
        else:
            encoder[name] = each
    return at | {"encoder": encoder}


def read_minimal(folder: Path, name: str) -> list[tuple[str, str, bool]]:
    """The minimal pairs of a set: two texts, and whether their answer is the same."""
    if name in WRITERS:
        return read_small_changes(SMALL_CHANGES / f"{name}.jsonl")
    rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["a"], row["b"], row["same"]) for row in rows]


def read_small_changes(path: Path) -> list[tuple[str, str, bool]]:
    """The same of a file whose lines hold a question, its different and its same variants."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row["a"], other, same) for row in rows for same in (False, True) for other in row[_SIDES[same]]]


def cut(texts: list[str], embedder: StaticEmbedder) -> Texts:
    """Texts as word pieces."""
    rows, count = np.zeros((len(texts), MOST_PIECES), dtype=np.int32), np.zeros(len(texts), dtype=np.int32)
    for at, text in enumerate(texts):
        pieces = embedder.cut_pieces(text)[:MOST_PIECES]
        count[at], rows[at, : len(pieces)] = len(pieces), pieces
    return Texts(texts=texts, rows=rows, count=count, fit=len(texts), questions=len(texts))


def compute_states(encoder: Parameters, texts: Texts, table: jax.Array) -> np.ndarray:
    """The last states of all pieces, one after the other, and beside each what the layers began with."""

    @jax.jit
    def read(rows: jax.Array, mask: jax.Array) -> jax.Array:
        first = start_layers(encoder, table[rows])
        last = normalise(attend(encoder, first, mask), encoder["gain"], encoder["shift"])
        return jnp.concatenate([last, first], -1)

    starts = texts.starts
    states = np.zeros((int(starts[-1]), 2 * WIDTH), dtype=np.float16)
    for part, length, _ in in_batches(texts.count, 512):
        mask = np.arange(length)[None] < texts.count[part][:, None]
        states[(starts[part][:, None] + np.arange(length))[mask]] = np.asarray(read(texts.rows[part, :length], mask))[
            mask
        ]
    return states


def make_strict(whole: Parameters, texts: Texts, states: np.ndarray) -> Learner:
    """An alignment over states that are given."""
    starts, width = texts.starts, states.shape[1]

    def pad(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        mask = np.arange(length)[None] < texts.count[places][:, None]
        rows = np.zeros((len(places), length, width), np.float32)
        rows[mask] = states[(starts[places][:, None] + np.arange(length))[mask]]
        return rows, mask

    def sum_up(rows: jax.Array, mask: jax.Array) -> jax.Array:
        last = rows[..., :WIDTH]
        share = jax.nn.softplus(last @ whole["share"] + whole["share_bias"]) * mask
        found = (share[..., None] * last).sum(1) @ whole["whole"]
        return found / jnp.sqrt((found * found).sum(-1, keepdims=True) + 1e-12)

    def batch(pairs: Pairs, length: int) -> tuple[np.ndarray, ...]:
        return (*pad(pairs.left, length), *pad(pairs.right, length))

    def forward(
        at: Parameters, one: jax.Array, mask_one: jax.Array, two: jax.Array, mask_two: jax.Array, key: Any = None
    ) -> jax.Array:
        cosine = (sum_up(one, mask_one) * sum_up(two, mask_two)).sum(-1)
        kept = jax.random.bernoulli(key, KEPT, (1, 1, width)) / KEPT if key is not None else 1.0
        pieces = project(at, one * kept), project(at, two * kept)
        return align(at["align"], pieces[0], mask_one, pieces[1], mask_two, 3.0 * cosine[:, None])

    return Learner(forward=forward, batch=batch, lengths=lambda pairs: longest(texts, pairs))


def start_strict(seed: int) -> Parameters:
    """A strict comparison that knows nothing."""
    one, two = jax.random.split(jax.random.PRNGKey(seed))
    return {
        "piece": draw_matrix(one, 2 * WIDTH, PIECE),
        "piece_bias": jnp.zeros(PIECE),
        "align": make_alignment(two, piece=PIECE, compare=COMPARE, judge=JUDGE, extra=1),
    }


def main() -> None:
    """Train, report, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pairs", nargs="?", type=Path, default=DEFAULT_PAIRS)
    arguments.add_argument("--minimal-pairs", type=Path, default=MINIMAL_PAIRS)
    arguments.add_argument(
        "--without", nargs="*", default=[], choices=SETS + WRITERS, help="sets to leave out and to measure"
    )
    arguments.add_argument("--epochs", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    arguments.add_argument("--odds", type=Path, help="where the log-odds of what is left out go, as JSON")
    options = arguments.parse_args()

    a, b, same = read_pairs(options.pairs)
    place = split_by_component(a, b, options.seed)
    fit = np.random.default_rng(options.seed).permutation(np.flatnonzero(place < FIT))[:QUESTIONS]
    tune = np.flatnonzero((place >= FIT) & (place < TUNE))
    named = {name: read_minimal(options.minimal_pairs, name) for name in SETS + WRITERS}
    used = [a[at] for at in (*fit, *tune)] + [b[at] for at in (*fit, *tune)]
    used += [text for pairs in named.values() for one, two, _ in pairs for text in (one, two)]
    embedder = StaticEmbedder()
    texts = cut(sorted(set(used)), embedder)
    home = {text: at for at, text in enumerate(texts.texts)}
    with np.load(OUTPUT) as file:
        arrays = dict(file)
    shipped = read_weights(arrays)
    strict = make_strict(shipped, texts, compute_states(shipped["encoder"], texts, read_table(embedder)))
    say("states", texts=len(texts.texts))

    def locate(pairs: list[tuple[str, str]]) -> Pairs:
        return Pairs(left=np.array([home[one] for one, _ in pairs]), right=np.array([home[two] for _, two in pairs]))

    minimal = [pair for name in named if name not in options.without for pair in named[name]]
    there, back = locate([(one, two) for one, two, _ in minimal]), locate([(two, one) for one, two, _ in minimal])
    asked = locate([(a[at], b[at]) for at in fit])
    pairs = Pairs(
        left=np.concatenate([asked.left, *[there.left, back.left] * TIMES]),
        right=np.concatenate([asked.right, *[there.right, back.right] * TIMES]),
    )
    alike = np.array([each for _, _, each in minimal])
    target = [np.where(same[fit], SURE_QUESTION, 1.0 - SURE_QUESTION)]
    target += [np.where(alike, SURE_MINIMAL, 1.0 - SURE_MINIMAL)] * (2 * TIMES)
    at = fit_pairs(
        strict, start_strict(options.seed), pairs, np.concatenate(target),
        epochs=options.epochs, size=128, rate=2e-3, seed=options.seed, name="strict",
    )  # fmt: skip
    found = {}
    for name in options.without:
        odds = ask(strict, at, locate([(one, two) for one, two, _ in named[name]]))
        found[name] = odds.round(4).tolist()
        say(name, auc=round(float(roc_auc_score([each for _, _, each in named[name]], odds)), 4))
    if options.odds:
        options.odds.write_text(json.dumps(found), encoding="utf-8")
    odds = ask(strict, at, locate([(a[each], b[each]) for each in tune]))
    say("questions", auc=round(float(roc_auc_score(same[tune], odds)), 4))
    kept = {name: each for name, each in arrays.items() if not name.startswith("strict.")}
    made = {"piece": at["piece"], "piece_bias": at["piece_bias"], **at["align"]}
    kept |= {f"strict.{name}": np.asarray(each, dtype=np.float16) for name, each in sorted(made.items())}
    np.savez_compressed(options.output, **kept)
    say("written", kilobytes=options.output.stat().st_size // 1024)


if __name__ == "__main__":
    main()
