"""The pair network in JAX, as it is trained; what is shipped runs in kernels (``leo_core.stages.cache.pair_network``).

Parameters are nested dicts of arrays. Texts come as padded batches: rows (b, l, d) with a mask (b, l).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "adam",
    "align",
    "attend",
    "draw_matrix",
    "encode",
    "in_batches",
    "make_alignment",
    "make_encoder",
    "normalise",
    "project",
    "read",
    "start_adam",
    "start_layers",
]

HEADS = 4
LENGTHS = (12, 20, 32)
"""Batches are padded to one of these lengths."""
NEVER = -1e9

Parameters = dict[str, Any]


def draw_matrix(key: jax.Array, rows: int, columns: int, scale: float = 1.0) -> jax.Array:
    """Glorot and Bengio (2010)."""
    return scale * jax.random.normal(key, (rows, columns)) * np.sqrt(2.0 / (rows + columns))


def make_encoder(key: jax.Array, *, row: int, width: int, wide: int, layers: int, positions: int) -> Parameters:
    """An encoder over rows of ``row`` numbers and their length."""
    keys = jax.random.split(key, 2 + 4 * layers)
    found: Parameters = {
        "input": draw_matrix(keys[0], row + 1, width),
        "input_bias": jnp.zeros(width),
        "position": 0.02 * jax.random.normal(keys[1], (positions, width)),
        "input_gain": jnp.ones(width),
        "input_shift": jnp.zeros(width),
        "gain": jnp.ones(width),
        "shift": jnp.zeros(width),
    }
    for layer in range(layers):
        own = keys[2 + 4 * layer :]
        found[f"layer{layer}"] = {
            "query_key_value": draw_matrix(own[0], width, 3 * width),
            "query_key_value_bias": jnp.zeros(3 * width),
            "out": draw_matrix(own[1], width, width, 0.5),
            "out_bias": jnp.zeros(width),
            "up": draw_matrix(own[2], width, wide),
            "up_bias": jnp.zeros(wide),
            "down": draw_matrix(own[3], wide, width, 0.5),
            "down_bias": jnp.zeros(width),
            "gain_attend": jnp.ones(width),
            "shift_attend": jnp.zeros(width),
            "gain": jnp.ones(width),
            "shift": jnp.zeros(width),
        }
    return found


def normalise(rows: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
    """Layer normalisation (Ba et al. 2016)."""
    rows = rows - rows.mean(-1, keepdims=True)
    return rows / jnp.sqrt((rows * rows).mean(-1, keepdims=True) + 1e-5) * gain + shift


def encode(at: Parameters, rows: jax.Array, mask: jax.Array) -> jax.Array:
    """States (b, l, width) of rows (b, l, row + 1), the last number of a row being the log of its length."""
    return normalise(attend(at, start_layers(at, rows), mask), at["gain"], at["shift"])


def start_layers(at: Parameters, rows: jax.Array) -> jax.Array:
    """What the layers begin with, (b, l, width), of rows (b, l, row + 1)."""
    hidden = rows @ at["input"] + at["input_bias"] + at["position"][: rows.shape[1]]
    return normalise(hidden, at["input_gain"], at["input_shift"])


def attend(at: Parameters, hidden: jax.Array, mask: jax.Array) -> jax.Array:
    """What all layers make of ``hidden`` (b, l, width)."""
    count, length, width = hidden.shape
    for layer in range(sum(name.startswith("layer") for name in at)):
        own = at[f"layer{layer}"]
        mixed = normalise(hidden, own["gain_attend"], own["shift_attend"])
        mixed = mixed @ own["query_key_value"] + own["query_key_value_bias"]
        query, key, value = (part.reshape(count, length, HEADS, width // HEADS) for part in jnp.split(mixed, 3, -1))
        score = jnp.einsum("bihd,bjhd->bhij", query, key) / np.sqrt(width // HEADS)
        seen = jax.nn.softmax(jnp.where(mask[:, None, None, :], score, NEVER), -1)
        seen = jnp.einsum("bhij,bjhd->bihd", seen, value).reshape(count, length, width)
        hidden = hidden + seen @ own["out"] + own["out_bias"]
        inner = jax.nn.relu(normalise(hidden, own["gain"], own["shift"]) @ own["up"] + own["up_bias"])
        hidden = hidden + inner @ own["down"] + own["down_bias"]
    return hidden


def project(at: Parameters, states: jax.Array) -> jax.Array:
    """What is compared of each piece: a linear map, scaled to mean square 1."""
    pieces = states @ at["piece"] + at["piece_bias"]
    return pieces / jnp.sqrt((pieces * pieces).mean(-1, keepdims=True) + 1e-3)


def read(at: Parameters, rows: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Pieces (b, l, h) and the text as a whole (b, s), unit rows."""
    states = encode(at["encoder"], rows, mask)
    share = jax.nn.softplus(states @ at["share"] + at["share_bias"]) * mask
    whole = (share[..., None] * states).sum(1) @ at["whole"]
    return project(at, states), whole / jnp.sqrt((whole * whole).sum(-1, keepdims=True) + 1e-12)


def make_alignment(key: jax.Array, *, piece: int, compare: int, judge: int, extra: int) -> Parameters:
    """Decomposable attention between pieces of ``piece`` numbers, with ``extra`` features of the pair beside it."""
    keys = jax.random.split(key, 4)
    return {
        "compare": draw_matrix(keys[0], 4 * piece, compare),
        "compare_bias": jnp.zeros(compare),
        "weight": 0.1 * jax.random.normal(keys[1], (piece,)),
        "weight_bias": jnp.zeros(()),
        "judge": draw_matrix(keys[2], 4 * compare + extra, judge),
        "judge_bias": jnp.zeros(judge),
        "last": draw_matrix(keys[3], judge, 1)[:, 0],
        "last_bias": jnp.zeros(()),
        "sharpness": jnp.ones(()) / np.sqrt(piece),
    }


def align(
    at: Parameters, one: jax.Array, mask_one: jax.Array, two: jax.Array, mask_two: jax.Array, extra: jax.Array
) -> jax.Array:
    """Log-odds (b,) that two texts have the same answer, of their pieces and ``extra`` (b, e)."""
    score = jnp.einsum("bih,bjh->bij", one, two) * at["sharpness"]
    to_two = jax.nn.softmax(jnp.where(mask_two[:, None, :], score, NEVER), -1)
    to_one = jax.nn.softmax(jnp.where(mask_one[:, :, None], score, NEVER), 1)

    def gather(mine: jax.Array, partners: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
        both = jnp.concatenate([mine, partners, jnp.abs(mine - partners), mine * partners], -1)
        found = jax.nn.relu(both @ at["compare"] + at["compare_bias"])
        weight = jax.nn.softplus(mine @ at["weight"] + at["weight_bias"]) * mask
        mean = (found * weight[..., None]).sum(1) / (weight.sum(1)[:, None] + 1e-6)
        return mean, jnp.where(mask[..., None], found, 0.0).max(1)

    mean_one, most_one = gather(one, jnp.einsum("bij,bjh->bih", to_two, two), mask_one)
    mean_two, most_two = gather(two, jnp.einsum("bij,bih->bjh", to_one, one), mask_two)
    found = [
        mean_one + mean_two,
        jnp.abs(mean_one - mean_two),
        jnp.maximum(most_one, most_two),
        jnp.minimum(most_one, most_two),
        extra,
    ]
    return jax.nn.relu(jnp.concatenate(found, -1) @ at["judge"] + at["judge_bias"]) @ at["last"] + at["last_bias"]


def start_adam(at: Parameters) -> tuple[Parameters, Parameters, int]:
    """Moments and the count of steps."""
    return jax.tree.map(jnp.zeros_like, at), jax.tree.map(jnp.zeros_like, at), 0


def adam(
    at: Parameters, slope: Parameters, state: tuple[Parameters, Parameters, int], rate: float, decay: float
) -> tuple[Parameters, tuple[Parameters, Parameters, int]]:
    """One step (Kingma and Ba 2015) with decoupled weight decay; slopes are cut to norm 1."""
    first, second, count = state
    count = count + 1
    norm = jnp.sqrt(sum(jnp.sum(each * each) for each in jax.tree.leaves(slope)))
    slope = jax.tree.map(lambda each: each * jnp.minimum(1.0, 1.0 / (norm + 1e-9)), slope)
    first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, first, slope)
    second = jax.tree.map(lambda old, new: 0.98 * old + 0.02 * new * new, second, slope)

    def move(old: jax.Array, one: jax.Array, two: jax.Array) -> jax.Array:
        step = one / (1 - 0.9**count) / (jnp.sqrt(two / (1 - 0.98**count)) + 1e-8)
        return old - rate * (step + decay * old)

    return jax.tree.map(move, at, first, second), (first, second, count)


def in_batches(
    lengths: np.ndarray, size: int, draw: np.random.Generator | None = None
) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Places of a batch, the length that it is padded to, and weights: 0 where places only fill it up.

    Args:
        lengths: Of what is put into batches, pieces, shape (n,).
        size: Of a batch.
        draw: For the order; without it everything comes once, in order of length.
    """
    needed = np.searchsorted(LENGTHS, lengths)
    found = []
    for each, length in enumerate(LENGTHS):
        places = np.flatnonzero(needed == each)
        places = draw.permutation(places) if draw else places
        for first in range(0, len(places), size):
            part = places[first : first + size]
            weights = np.zeros(size, dtype=np.float32)
            weights[: len(part)] = 1.0
            found.append((np.concatenate([part, np.full(size - len(part), part[0])]), length, weights))
    for at in draw.permutation(len(found)) if draw else range(len(found)):
        yield found[at]
