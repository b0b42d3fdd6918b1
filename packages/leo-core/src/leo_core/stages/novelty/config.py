"""Settings of the novelty score."""

from __future__ import annotations

from dataclasses import dataclass

from leo_core.errors import ConfigError

__all__ = ["NoveltyConfig"]

MAX_CENTRES = 127
MAX_RESERVOIR = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyConfig:
    """How novelty is measured.

    Attributes:
        centres: Most centres k, from 1 to 127.
        growth: Requests seen per centre before another may open, at least 1.
        temperature: τ of the softmax over distances to the centres, > 0.
        deviation_weight: λ, the weight of the cluster deviation beside the regional entropy, ≥ 0.
        strangeness_weight: Weight of the distance to the most similar past requests beside the two, ≥ 0.
        memory: Past requests that this distance is measured to, from 1 to 65,536; 32 bytes each.
        radius_quantile: Quantile of the distances in a cluster that counts as its radius, in (0, 1).
        reservoir: Past scores kept, from ``min_samples`` to 65,536.
        min_samples: Past scores below which novelty is unknown, at least 1.
        window: Requests over which a centre averages; the learning rate is never below 1/window. At least 1.
    """

    centres: int = 8
    growth: int = 8
    temperature: float = 0.1
    deviation_weight: float = 1.0
    strangeness_weight: float = 1000.0
    memory: int = 4096
    radius_quantile: float = 0.75
    reservoir: int = 512
    min_samples: int = 50
    window: int = 1024

    def __post_init__(self) -> None:
        checks = (
            ("centres", 1 <= self.centres <= MAX_CENTRES, f"from 1 to {MAX_CENTRES}"),
            ("growth", self.growth >= 1, "of at least 1"),
            ("temperature", self.temperature > 0, "above 0"),
            ("deviation_weight", self.deviation_weight >= 0, "of at least 0"),
            ("strangeness_weight", self.strangeness_weight >= 0, "of at least 0"),
            ("memory", 1 <= self.memory <= MAX_RESERVOIR, f"from 1 to {MAX_RESERVOIR}"),
            ("radius_quantile", 0 < self.radius_quantile < 1, "between 0 and 1"),
            ("min_samples", self.min_samples >= 1, "of at least 1"),
            ("reservoir", self.min_samples <= self.reservoir <= MAX_RESERVOIR, f"from min_samples to {MAX_RESERVOIR}"),
            ("window", self.window >= 1, "of at least 1"),
        )
        for name, holds, allowed in checks:
            if not holds:
                message = f"novelty.{name} is {getattr(self, name)}; use a value {allowed}"
                raise ConfigError(message)
