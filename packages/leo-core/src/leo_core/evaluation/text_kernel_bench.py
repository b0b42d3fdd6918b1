"""The kernels that read texts, compare pairs of them and search sketches, beside Python, NumPy and libraries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leo_core.evaluation import text_peers
from leo_core.evaluation.network_peers import NumpyNetwork
from leo_core.evaluation.paired import compare, find_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leo_core.evaluation.paired import Comparison

__all__ = ["compare_text_kernels"]

MANY = 200
FEATURES = 2**18
WORDS_A, WORDS_B = 9, 7
TREES, DEPTH, COLUMNS = 200, 5, 35
SKETCHES, WANTED, NEAREST = 10_000, 64, 8
CROWD, CROWD_SHARE = 10, 0.3
SLOW_ROUNDS = 15


def compare_text_kernels(texts: Sequence[str], random: np.random.Generator) -> list[Comparison]:
    """Rows of the table; ``texts``: at least 200 in plain English."""
    return [
        *_compare_hashing(texts),
        *_compare_pieces(texts),
        *_compare_categories(texts),
        *_compare_letters(texts),
        *_compare_alignment(random),
        *_compare_readings(texts),
        *_compare_trees(random),
        *_compare_sketches(random),
    ]


def _compare_hashing(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.stages.embed.hashed import GAINS  # noqa: PLC0415 - loads numba
    from leo_core.stages.embed.load import load_embedder  # noqa: PLC0415 - loads numba
    from leo_core.stages.embed.words import (  # noqa: PLC0415 - as above
        FUNCTION_WEIGHT,
        FUNCTION_WORDS,
        QUESTION_WEIGHT,
        QUESTION_WORDS,
    )

    embedder, gains = load_embedder("hashed"), np.array(GAINS)
    common = dict.fromkeys(FUNCTION_WORDS, FUNCTION_WEIGHT) | dict.fromkeys(QUESTION_WORDS, QUESTION_WEIGHT)
    text_module, pipelines = find_module("sklearn.feature_extraction.text"), find_module("sklearn.pipeline")
    projections = find_module("sklearn.random_projection")
    rows = []
    for count in (1, MANY):
        few = [text.casefold() for text in texts[:count]]
        add = partial(compare, f"hashed n-grams, sparse JL: {count} texts", kernel="hashing.embed_codes")
        own = partial(embedder.embed, few)
        peer = partial(text_peers.embed_hashed, few, common, gains, embedder.fingerprint.dimension)
        rows.append(add("numpy, the same features", own, peer, rounds=SLOW_ROUNDS))
        if text_module is None or pipelines is None or projections is None:
            continue
        vectorizer = partial(text_module.HashingVectorizer, n_features=FEATURES)
        union = pipelines.FeatureUnion(
            [
                ("words", vectorizer(analyzer="word", ngram_range=(1, 2))),
                ("letters", vectorizer(analyzer="char_wb", ngram_range=(3, 5))),
            ]
        )
        projection = projections.SparseRandomProjection(256, dense_output=True, random_state=0)
        model = pipelines.make_pipeline(union, projection).fit(texts[:MANY])
        name = "sklearn HashingVectorizer + SparseRandomProjection"
        rows.append(add(name, own, partial(model.transform, few), rounds=SLOW_ROUNDS))
    return rows


def _compare_pieces(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.stages.embed.static import StaticEmbedder, read_arrays  # noqa: PLC0415 - loads numba

    arrays = read_arrays()
    embedder, peer = StaticEmbedder(arrays=arrays), text_peers.PieceTable(arrays)
    tokenizer = _make_tokenizer(peer.pieces)
    rows = []
    for count in (1, MANY):
        few = list(texts[:count])
        add = partial(compare, f"word pieces, cut and pooled: {count} texts", kernel="word_pieces.embed_pieces")
        own = partial(embedder.embed, few)
        rows.append(add("Python dictionary + numpy", own, partial(peer.embed, few)))
        if tokenizer is not None:
            rows.append(add("Hugging Face tokenizers + numpy", own, partial(_embed_cut, tokenizer, peer, few)))
    few = list(texts[:MANY])
    add = partial(compare, f"word pieces, cut: {MANY} texts", kernel="word_pieces.cut_texts")
    cut = partial(embedder.cut, few)
    rows.append(add("Python dictionary", cut, lambda: [peer.cut(text) for text in few]))
    if tokenizer is not None:
        encode = partial(tokenizer.encode_batch_fast, few, add_special_tokens=False)
        rows.append(add("Hugging Face tokenizers", cut, encode))
    rows.append(
        compare(
            "embedder made from its table, index and hash",
            "Python dictionaries and a table in float32",
            lambda: StaticEmbedder(arrays=arrays),
            lambda: text_peers.PieceTable(arrays),
            rounds=SLOW_ROUNDS,
        )
    )
    return rows


def _make_tokenizer(pieces: Sequence[str]) -> Any | None:
    """The same vocabulary in Hugging Face's tokenizers, where they are installed."""
    module = find_module("tokenizers")
    if module is None:
        return None
    vocabulary = {piece: row for row, piece in enumerate([*pieces, "[UNK]"])}
    tokenizer = module.Tokenizer(module.models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a piece's name
    tokenizer.normalizer = module.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = module.pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _embed_cut(tokenizer: Any, table: text_peers.PieceTable, texts: Sequence[str]) -> object:
    return table.pool([cut.ids for cut in tokenizer.encode_batch_fast(texts, add_special_tokens=False)])


def _compare_categories(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.kernels import categories  # noqa: PLC0415 - loads numba
    from leo_core.stages.risk.categories import category_features, load_network, read_words  # noqa: PLC0415 - as above

    words, network = read_words(texts[0]), load_network()
    found, nothing = category_features(words, len(network.hashed)), np.zeros(0, dtype=np.int64)
    layers = (network.hashed, found, network.hashed_scale, network.bias, network.dense, nothing, network.bias)
    return [
        compare(
            f"hashed features of {len(words)} words",
            "Python set of CRC-32",
            lambda: category_features(words, len(network.hashed)),
            lambda: text_peers.hash_words(words, len(network.hashed)),
            kernel="categories.hash_words",
        ),
        compare(
            f"harm of a question by {len(found)} features",
            "numpy",
            partial(categories.read_outputs, *layers, network.outputs),
            partial(text_peers.read_outputs, *layers, network.outputs),
            kernel="categories.read_outputs",
        ),
    ]


def _compare_letters(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.kernels import pairs  # noqa: PLC0415 - loads numba

    long, other = (" ".join(texts[at : at + 2]) for at in (0, 2))
    letters = [
        np.frombuffer(text.encode("utf-32-le"), dtype=np.dtype("<u4")).astype(np.uint32) for text in (long, other)
    ]
    arrays = [pairs.read_trigrams(each) for each in letters]
    sets = [text_peers.cut_trigrams(text) for text in (long, other)]
    read = partial(compare, f"runs of three letters in {len(long)}", kernel="pairs.read_trigrams")
    count = partial(compare, "runs of three letters in common", kernel="pairs.count_shared")
    own, own_count = partial(pairs.read_trigrams, letters[0]), partial(pairs.count_shared, *arrays)
    return [
        read("Python set of slices", own, partial(text_peers.cut_trigrams, long)),
        read("numpy unique", own, partial(text_peers.find_trigrams, letters[0])),
        count("Python sets", own_count, lambda: len(sets[0] & sets[1])),
        count("numpy intersect1d", own_count, partial(np.intersect1d, *arrays, assume_unique=True)),
    ]


def _compare_alignment(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import pairs  # noqa: PLC0415 - loads numba

    units = random.standard_normal((WORDS_A + WORDS_B, 256)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    a, b = units[:WORDS_A], units[WORDS_A:]
    arguments = (
        *(a @ b.T, a @ a.T, b @ b.T),
        *(random.uniform(1, 5, WORDS_A), random.uniform(1, 5, WORDS_B)),
        *(random.random(WORDS_A) < 0.5, random.random(WORDS_B) < 0.5),  # noqa: PLR2004 - half of the words
    )
    return [
        compare(
            f"pair features: {WORDS_A} words aligned with {WORDS_B}",
            "numpy",
            lambda: pairs.align_words(*arguments),
            lambda: text_peers.align_words(*arguments),
            kernel="pairs.align_words",
        )
    ]


def _compare_readings(texts: Sequence[str]) -> list[Comparison]:
    from leo_core.stages.cache.pair_network import PairNetwork, read_network  # noqa: PLC0415 - not needed by the others
    from leo_core.stages.embed.load import load_static  # noqa: PLC0415 - loads numba

    arrays, embedder, two = read_network(), load_static(), texts[:2]
    own, peer = PairNetwork(arrays, embedder.read_pieces), NumpyNetwork(arrays)
    rows = [embedder.read_pieces(text) for text in two]
    one, other = (reading for reading in own.read_rows(rows) if reading is not None)
    peers = peer.read(rows)
    return [
        compare(
            f"two questions read in context: {sum(map(len, rows))} pieces",
            "numpy, BLAS",
            lambda: own.read_rows(rows),
            lambda: peer.read(rows),
            kernel="reading.encode",
        ),
        compare(
            "two questions aligned, twice",
            "numpy, BLAS",
            lambda: own.compare(one, other),
            lambda: peer.compare(*peers),
            kernel="reading.compare_pieces",
        ),
    ]


def _compare_trees(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import pairs  # noqa: PLC0415 - loads numba

    forest = grow_trees(random)
    ensemble = find_module("sklearn.ensemble")
    model = None
    if ensemble is not None:
        settings = {"max_iter": TREES, "max_leaf_nodes": 2**DEPTH, "early_stopping": False}
        sample = random.standard_normal((2_000, COLUMNS))
        model = ensemble.HistGradientBoostingRegressor(**settings).fit(sample, sample[:, 0] * sample[:, 1])
    rows = []
    for count in (1, MANY):
        few = random.standard_normal((count, COLUMNS))
        add = partial(compare, f"pair model: {count} rows through {TREES} trees", kernel="pairs.sum_trees")
        own = partial(pairs.sum_trees, few, *forest)
        rows.append(add("numpy, all trees at once", own, partial(text_peers.sum_trees, few, *forest)))
        if model is not None:
            rows.append(add("sklearn HistGradientBoosting", own, partial(model.predict, few), rounds=SLOW_ROUNDS))
    return rows


def grow_trees(random: np.random.Generator, trees: int = TREES, depth: int = DEPTH) -> tuple[Any, ...]:
    """Complete trees with random questions: feature, number, skip (k,) each, roots (t,), and levels."""
    skip = np.zeros(1, dtype=np.int16)
    for _ in range(depth):
        skip = np.concatenate([[len(skip) + 1], skip, skip]).astype(np.int16)
    size = trees * len(skip)
    feature, number = random.integers(0, COLUMNS, size).astype(np.int16), random.standard_normal(size)
    return feature, number, np.tile(skip, trees), np.arange(trees) * len(skip), depth


def _compare_sketches(random: np.random.Generator) -> list[Comparison]:
    from leo_core.kernels import sketch  # noqa: PLC0415 - loads numba

    units = random.standard_normal((SKETCHES + 1, 256)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    query, rows = units[0], units[1:]
    sketches, asked = sketch.sketch_rows(rows), sketch.sketch_query(query)
    rounded, scales = sketch.quantise_rows(rows)
    short, planes = sketch.quantise_query(query), np.ascontiguousarray(sketches.T)
    nothing = (np.empty(0, dtype=np.int32), np.ones(SKETCHES, dtype=np.bool_), np.empty(0))
    spans = np.array([[0, SKETCHES]])
    find = partial(compare, f"{WANTED} candidates of {SKETCHES:,} sketches", kernel="sketch.find_candidates")
    own = partial(sketch.find_candidates, planes, *nothing, rounded, scales, spans, asked, short, 0.0, WANTED)
    numbers, rotation = np.arange(SKETCHES, dtype=np.int32), sketch.make_rotation(256)
    whole = (*nothing, numbers, rounded, scales, spans, rotation, query, 0.0, WANTED, NEAREST)
    search = partial(compare, f"the {NEAREST} nearest of {SKETCHES:,}", kernel="sketch.search_sketches")
    past = sketches[:4096]
    strange = partial(compare, "strangeness against 4,096 past requests", kernel="sketch.measure_strangeness")
    measure = partial(sketch.measure_strangeness, past, asked, CROWD, CROWD_SHARE)
    peer = partial(text_peers.measure_strangeness, past, asked, CROWD, CROWD_SHARE)
    found = [
        find("numpy", own, lambda: text_peers.find_candidates(sketches, rounded, scales, asked, short, WANTED)),
        find("numpy, all inner products (BLAS)", own, lambda: np.argpartition(-(rows @ query), WANTED)[:WANTED]),
        search(
            "numpy, all inner products (BLAS)",
            partial(sketch.search_sketches, planes, *whole),
            lambda: np.argpartition(-(rows @ query), NEAREST)[:NEAREST],
        ),
        strange("numpy", measure, peer),
    ]
    faiss = find_module("faiss")
    if faiss is not None:
        index = faiss.IndexBinaryFlat(256)
        index.add(sketches.view(np.uint8).reshape(SKETCHES, 32))
        bits = asked[:1].view(np.uint8).reshape(1, 32)
        found.append(find("faiss IndexBinaryFlat, without the exact scores", own, lambda: index.search(bits, WANTED)))
    neighbours = find_module("sklearn.neighbors")
    if neighbours is not None:
        signs = np.unpackbits(past.view(np.uint8).reshape(len(past), 32), axis=1).astype(bool)
        model = neighbours.NearestNeighbors(n_neighbors=2, metric="hamming", algorithm="brute").fit(signs)
        ask = np.unpackbits(asked[:1].view(np.uint8).reshape(1, 32), axis=1).astype(bool)
        name = "sklearn NearestNeighbors (Hamming), the two nearest only"
        found.append(strange(name, measure, partial(model.kneighbors, ask), rounds=SLOW_ROUNDS))
    return found
