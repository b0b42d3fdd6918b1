"""Train the second, strict comparison of the pair network, on minimal pairs, and add it to the package's weights.

    uv sync --group distil
    python packages/leo-core/train/strict_comparison.py [pairs.jsonl.gz] [--minimal-pairs tests/data/minimal_pairs]
        [--without NAME ...] [--seed 0] [--output FILE]

The encoder that ``pair_network.py`` wrote stays as it is; a second alignment over its states starts from the first one
and is fitted to questions of the part to fit and to minimal pairs. ``fourth.jsonl`` and ``seventh.jsonl`` are never
read. With ``--without``,
the sets named are left out and measured; prints AUC of each, and of the part for choices of the questions. Afterwards:
``pair_model.py --calibrate``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from network import align, encode, in_batches, project
from pair_network import OUTPUT, WIDTH, Learner, Pairs, Parameters, Texts, ask, fit_pairs, longest, read_table, say
from paraphrase import DEFAULT_PAIRS, FIT, TUNE, read_pairs, split_by_component
from sklearn.metrics import roc_auc_score

from leo_core.stages.cache.pair_network import MOST_PIECES
from leo_core.stages.embed.static import StaticEmbedder

MINIMAL_PAIRS = Path(__file__).resolve().parents[3] / "tests" / "data" / "minimal_pairs"
SETS = ("dev", "held_out", "fresh", "unseen", "second", "fifth", "sixth", "eighth", "ninth")
"""What may be trained on; ``fourth`` and ``seventh`` stay out."""
QUESTIONS = 20_000
"""Pairs of questions that are fitted beside the minimal pairs."""
TIMES = 3
"""How often an epoch sees each minimal pair, in each direction."""
SURE_QUESTION, SURE_MINIMAL = 0.9, 0.97
"""What a label is worth as a probability; some of the questions' labels are wrong."""
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


def read_minimal(folder: Path, names: list[str]) -> tuple[list[str], list[str], np.ndarray]:
    """Minimal pairs of some sets."""
    rows = [
        json.loads(line)
        for name in names
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [row["a"] for row in rows], [row["b"] for row in rows], np.array([row["same"] for row in rows], dtype=bool)


def cut(texts: list[str], embedder: StaticEmbedder) -> Texts:
    """Texts as word pieces."""
    rows, count = np.zeros((len(texts), MOST_PIECES), dtype=np.int32), np.zeros(len(texts), dtype=np.int32)
    for at, text in enumerate(texts):
        pieces = embedder.cut_pieces(text)[:MOST_PIECES]
        count[at], rows[at, : len(pieces)] = len(pieces), pieces
    return Texts(texts=texts, rows=rows, count=count, fit=len(texts), questions=len(texts))


def compute_states(at: Parameters, texts: Texts, table: jax.Array) -> np.ndarray:
    """The encoder's states of all pieces, one after the other."""
    read = jax.jit(lambda rows, mask: encode(at["encoder"], table[rows], mask))
    starts = texts.starts
    states = np.zeros((int(starts[-1]), WIDTH), dtype=np.float16)
    for part, length, _ in in_batches(texts.count, 512):
        mask = np.arange(length)[None] < texts.count[part][:, None]
        found = np.asarray(read(texts.rows[part, :length], mask), dtype=np.float16)
        for row, text in enumerate(part):
            states[starts[text] : starts[text + 1]] = found[row, : texts.count[text]]
    return states


def make_strict(whole: Parameters, texts: Texts, states: np.ndarray) -> Learner:
    """An alignment over states that are given."""
    starts = texts.starts

    def pad(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        rows, mask = np.zeros((len(places), length, WIDTH), np.float32), np.zeros((len(places), length), bool)
        for row, text in enumerate(places):
            used = texts.count[text]
            rows[row, :used], mask[row, :used] = states[starts[text] : starts[text + 1]], True
        return rows, mask

    def sum_up(rows: jax.Array, mask: jax.Array) -> jax.Array:
        share = jax.nn.softplus(rows @ whole["share"] + whole["share_bias"]) * mask
        found = (share[..., None] * rows).sum(1) @ whole["whole"]
        return found / jnp.sqrt((found * found).sum(-1, keepdims=True) + 1e-12)

    def batch(pairs: Pairs, length: int) -> tuple[np.ndarray, ...]:
        return (*pad(pairs.left, length), *pad(pairs.right, length))

    def forward(
        at: Parameters, one: jax.Array, mask_one: jax.Array, two: jax.Array, mask_two: jax.Array, key: Any = None
    ) -> jax.Array:
        cosine = (sum_up(one, mask_one) * sum_up(two, mask_two)).sum(-1)
        kept = jax.random.bernoulli(key, KEPT, (1, 1, WIDTH)) / KEPT if key is not None else 1.0
        pieces = project(at, one * kept), project(at, two * kept)
        return align(at["align"], pieces[0], mask_one, pieces[1], mask_two, 3.0 * cosine[:, None])

    return Learner(forward=forward, batch=batch, lengths=lambda pairs: longest(texts, pairs))


def main() -> None:
    """Train, report, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pairs", nargs="?", type=Path, default=DEFAULT_PAIRS)
    arguments.add_argument("--minimal-pairs", type=Path, default=MINIMAL_PAIRS)
    arguments.add_argument("--without", nargs="*", default=[], choices=SETS, help="sets to leave out and to measure")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    options = arguments.parse_args()

    a, b, same = read_pairs(options.pairs)
    place = split_by_component(a, b, options.seed)
    fit = np.random.default_rng(options.seed).permutation(np.flatnonzero(place < FIT))[:QUESTIONS]
    tune = np.flatnonzero((place >= FIT) & (place < TUNE))
    named = {name: read_minimal(options.minimal_pairs, [name]) for name in SETS}
    used = [a[at] for at in (*fit, *tune)] + [b[at] for at in (*fit, *tune)]
    used += [text for one, two, _ in named.values() for text in (*one, *two)]
    embedder = StaticEmbedder()
    texts = cut(sorted(set(used)), embedder)
    home = {text: at for at, text in enumerate(texts.texts)}
    with np.load(OUTPUT) as file:
        arrays = dict(file)
    shipped = read_weights(arrays)
    strict = make_strict(shipped, texts, compute_states(shipped, texts, read_table(embedder)))
    say("states", texts=len(texts.texts))

    def locate(one: list[str], two: list[str]) -> Pairs:
        return Pairs(left=np.array([home[text] for text in one]), right=np.array([home[text] for text in two]))

    one, two, minimal = read_minimal(options.minimal_pairs, [name for name in SETS if name not in options.without])
    there, back = locate(one, two), locate(two, one)
    asked = locate([a[at] for at in fit], [b[at] for at in fit])
    pairs = Pairs(
        left=np.concatenate([asked.left, *[there.left, back.left] * TIMES]),
        right=np.concatenate([asked.right, *[there.right, back.right] * TIMES]),
    )
    target = [np.where(same[fit], SURE_QUESTION, 1.0 - SURE_QUESTION)]
    target += [np.where(minimal, SURE_MINIMAL, 1.0 - SURE_MINIMAL)] * (2 * TIMES)
    start = {"piece": shipped["piece"], "piece_bias": shipped["piece_bias"], "align": shipped["align"]}
    at = fit_pairs(
        strict, start, pairs, np.concatenate(target), epochs=4, size=128, rate=1e-3, seed=options.seed, name="strict"
    )
    for name in options.without:
        one, two, minimal = named[name]
        odds = ask(strict, at, locate(one, two))
        say(name, auc=round(float(roc_auc_score(minimal, odds)), 4))
    odds = ask(strict, at, locate([a[each] for each in tune], [b[each] for each in tune]))
    say("questions", auc=round(float(roc_auc_score(same[tune], odds)), 4))
    kept = {name: each for name, each in arrays.items() if not name.startswith("strict.")}
    made = {"piece": at["piece"], "piece_bias": at["piece_bias"], **at["align"]}
    kept |= {f"strict.{name}": np.asarray(each, dtype=np.float16) for name, each in sorted(made.items())}
    np.savez_compressed(options.output, **kept)
    say("written", kilobytes=options.output.stat().st_size // 1024)


if __name__ == "__main__":
    main()
