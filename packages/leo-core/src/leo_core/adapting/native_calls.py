"""What a framework's own model is called with, where every framework calls it the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from leo_core.records import Json, Request

__all__ = ["JSON_ONLY", "sampling_options"]

JSON_ONLY: Final = "Reply with one JSON object and with nothing else: no explanation, no code fence."
"""Asks for JSON in words, where a model has no way of its own."""


def sampling_options(request: Request) -> dict[str, Json]:
    """Sampling and model of a request as keywords, those that are given; stop sequences are left to the caller."""
    sampling = request.sampling
    named = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "model": request.model,
    }
    return {name: value for name, value in named.items() if value is not None}
