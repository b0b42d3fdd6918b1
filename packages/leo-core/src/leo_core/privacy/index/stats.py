"""Figures of an account, by tenant and index, as JSON in a reply."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from leo_core.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["pack_stats", "read_stats"]


def pack_stats(stats: Mapping[str, Mapping[str, Mapping[str, int]]]) -> bytes:
    """As bytes."""
    return json.dumps(stats, sort_keys=True, separators=(",", ":")).encode()


def read_stats(payload: bytes) -> dict[str, dict[str, dict[str, int]]]:
    """From bytes.

    Raises:
        EnvelopeError: They are no figures.
    """
    try:
        return {
            str(tenant): {
                str(name): {str(key): int(value) for key, value in figures.items()} for name, figures in indexes.items()
            }
            for tenant, indexes in json.loads(payload).items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        message = "the figures of the account cannot be read"
        raise EnvelopeError(message, check="payload") from error
