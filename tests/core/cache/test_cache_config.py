"""Bad settings are refused with their name and value."""

from __future__ import annotations

from typing import Any

import pytest

from leo_core.errors import ConfigError
from leo_core.stages.cache.config import CacheConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_wrong_hits", -0.1), ("max_wrong_hits", 1.0), ("max_wrong_hits", float("nan")), ("confidence", 0.4),
        ("confidence", 1.0), ("candidates", 0), ("candidates", 65), ("max_hit_error", 0.0), ("max_hit_error", 1.1),
        ("min_explored", 0), ("explore_rate", 1.1), ("explore_rate", 0.0), ("min_trust", 2.0),
        ("ttl_s", 0.0), ("max_entries", 0), ("max_bytes", -1),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"CacheConfig\.{name} is"):
        CacheConfig(**{name: value})


def test_defaults_and_borders_are_fine() -> None:
    CacheConfig()
    CacheConfig(max_wrong_hits=0.0, ttl_s=1.0, max_entries=None, max_bytes=1, explore_rate=1.0, min_trust=0.0)
