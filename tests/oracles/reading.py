"""Slow twin of ``leo_core.kernels.reading``: one piece, one head, one partner after the other, in double precision."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def _normalise(row: Any, gain: Any, shift: Any) -> Any:
    return (row - np.mean(row)) / math.sqrt(np.var(row) + 1e-5) * gain + shift


def _softmax(values: list[float]) -> Any:
    powers = np.exp(np.array(values) - max(values))
    return powers / powers.sum()


def _softplus(value: float) -> float:
    return float(np.logaddexp(value, 0.0))


def encode(rows: Any, at: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """What the layers begin with, and the last states of the pieces, one row and one head after the other."""
    states = []
    for place, row in enumerate(np.asarray(rows, dtype=np.float64)):
        length = max(math.sqrt(row @ row), 1e-3)
        start = (row / length * 16.0) @ at["input"] + math.log(length) * at["input_length"] + at["input_bias"]
        states.append(_normalise(start + at["position"][place], at["input_gain"], at["input_shift"]))
    first = list(states)
    for layer in range(int(at["layers"])):
        own = {name.split(".")[1]: each for name, each in at.items() if name.startswith(f"layer{layer}.")}
        width, heads = len(states[0]), int(at["heads"])
        size = width // heads
        mixed = [
            _normalise(state, own["gain_attend"], own["shift_attend"]) @ own["query_key_value"]
            + own["query_key_value_bias"]
            for state in states
        ]
        seen = [np.zeros(width) for _ in states]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            query = [row[:width][part] for row in mixed]
            key = [row[width : 2 * width][part] for row in mixed]
            value = [row[2 * width :][part] for row in mixed]
            for mine, asked in enumerate(query):
                shares = _softmax([float(asked @ other) / math.sqrt(size) for other in key])
                seen[mine][part] = sum(share * row for share, row in zip(shares, value, strict=True))
        states = [state + row @ own["out"] + own["out_bias"] for state, row in zip(states, seen, strict=True)]
        inner = [_normalise(state, own["gain"], own["shift"]) @ own["up"] + own["up_bias"] for state in states]
        states = [
            state + np.maximum(row, 0.0) @ own["down"] + own["down_bias"]
            for state, row in zip(states, inner, strict=True)
        ]
    return first, [_normalise(state, at["gain"], at["shift"]) for state in states]


def read(rows: Any, at: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """Pieces of a text, and the text as one unit row; a map that is wider than a state sees the first states too."""
    first, states = encode(rows, at)
    strict = len(at["piece"]) > len(states[0])
    seen = [np.concatenate(each) for each in zip(states, first, strict=True)] if strict else states
    pieces = [state @ at["piece"] + at["piece_bias"] for state in seen]
    whole = sum(_softplus(state @ at["share"] + at["share_bias"]) * state for state in states) @ at["whole"]
    return [row / math.sqrt(np.mean(row * row) + 1e-3) for row in pieces], whole / np.linalg.norm(whole)


def _gather(mine: list[Any], others: list[Any], at: Mapping[str, Any]) -> tuple[Any, Any]:
    found, weights = [], []
    for row in mine:
        shares = _softmax([float(row @ other) * float(at["sharpness"]) for other in others])
        partner = sum(share * other for share, other in zip(shares, others, strict=True))
        both = np.concatenate([row, partner, np.abs(row - partner), row * partner])
        found.append(np.maximum(both @ at["compare"] + at["compare_bias"], 0.0))
        weights.append(_softplus(float(row @ at["weight"] + at["weight_bias"])))
    return np.average(found, axis=0, weights=weights), np.max(found, axis=0)


def compare(a: Any, b: Any, at: Mapping[str, Any]) -> tuple[float, float, float]:
    """The usual comparison, and the strict one, which has parameters of its own over the same encoder."""
    odds, cosine = _compare_by(a, b, at)
    own = {name.removeprefix("strict."): each for name, each in at.items() if name.startswith("strict.")}
    assert own
    strict, _ = _compare_by(a, b, {**at, **own})
    return odds, cosine, strict


def _compare_by(a: Any, b: Any, at: Mapping[str, Any]) -> tuple[float, float]:
    (one, whole_one), (two, whole_two) = read(a, at), read(b, at)
    (mean_one, most_one), (mean_two, most_two) = _gather(one, two, at), _gather(two, one, at)
    cosine = float(whole_one @ whole_two)
    found = [mean_one + mean_two, np.abs(mean_one - mean_two)]
    found += [np.maximum(most_one, most_two), np.minimum(most_one, most_two), [3.0 * cosine]]
    deep = np.maximum(np.concatenate(found) @ at["judge"] + at["judge_bias"], 0.0)
    return float(deep @ at["last"] + at["last_bias"]), cosine
