"""All settings of LEO in one frozen object: the settings of each stage, side by side, and a few of the engine.

The library reads no environment variable; providers' SDKs read their own keys.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from leo_core.errors import ConfigError
from leo_core.privacy.config import PrivacyConfig
from leo_core.privacy.personal.redaction_config import PersonalDataConfig
from leo_core.records import StreamPolicy
from leo_core.stages.budget.config import Budget, check_budgets
from leo_core.stages.cache.config import CacheConfig
from leo_core.stages.consensus.config import ConsensusConfig
from leo_core.stages.embed.config import EmbedConfig
from leo_core.stages.memory.config import MemoryConfig
from leo_core.stages.novelty.config import NoveltyConfig
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.stages.risk.config import RiskConfig
from leo_core.stages.route.config import RouteConfig

__all__ = ["LEOConfig", "Preset"]

_SHORTEST_RESERVATION_S = 60.0
Preset = Literal["economy", "balanced", "verified", "private"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LEOConfig:
    """Settings of every stage.

    Attributes:
        embed: Which embedder.
        memory: Micro-memory of a session.
        novelty: Novelty of a request.
        cache: When a kept answer may be served, and for how long it is kept.
        risk: Risk before and after the answer.
        route: What is weighed when a route is chosen.
        consensus: How a committee decides, and trust.
        receipts: Whether and how receipts are signed.
        resilience: When a member is asked again, left alone, or asked twice at once.
        privacy: How the store is kept from knowing what is in it; ``None`` for a store that holds texts as they are.
        budgets: What may be spent per tenant, user, session, or in all; each with a name of its own.
        reservation_ttl_s: Seconds after which a reservation that nobody settled counts as spent, at least 60; longer
            than any call takes. A request whose ``max_latency_s`` is longer than half of it gets twice that.
        audit_rate: Share of the answers that is checked afterwards, in [0, 1]; by the ``checker`` where there is
            one, otherwise by asking the members that were not asked, which costs what they cost.
        require_tenant: Refuse requests that name no tenant.
        max_prompt_chars: Longest request admitted, in characters.
        background_capacity: Answers that may wait to be written before new requests have to wait.
        personal_data: What becomes of personal data in requests, before anything is embedded, looked up, sent or kept.
        stream_policy: What a caller who is streaming sees before there is a verdict: ``"cascade"`` the tokens of a
            member that answers alone, ``"verified"`` nothing, ``"optimistic"`` also those of a draft that is still to
            be judged, with a correction where it is overruled.
        idempotency_ttl_s: Seconds for which the answer of an idempotency key is kept, greater than 0.
    """

    embed: EmbedConfig = field(default_factory=EmbedConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    novelty: NoveltyConfig = field(default_factory=NoveltyConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    route: RouteConfig = field(default_factory=RouteConfig)
    consensus: ConsensusConfig = field(default_factory=ConsensusConfig)
    receipts: ReceiptConfig = field(default_factory=ReceiptConfig)
    resilience: ResilienceConfig = field(default_factory=ResilienceConfig)
    privacy: PrivacyConfig | None = None
    personal_data: PersonalDataConfig = field(default_factory=PersonalDataConfig)
    budgets: tuple[Budget, ...] = ()
    reservation_ttl_s: float = 3600.0
    audit_rate: float = 0.0
    require_tenant: bool = False
    max_prompt_chars: int = 4_000_000
    background_capacity: int = 1024
    stream_policy: StreamPolicy = "cascade"
    idempotency_ttl_s: float = 86_400.0

    def __post_init__(self) -> None:
        check_budgets(self.budgets)
        if self.privacy is not None and not isinstance(self.privacy, PrivacyConfig):
            message = f"LEOConfig.privacy is a PrivacyConfig or None, not {type(self.privacy).__name__}"
            raise ConfigError(message)
        if not _SHORTEST_RESERVATION_S <= self.reservation_ttl_s < float("inf"):
            message = (
                f"reservation_ttl_s must be finite and at least {_SHORTEST_RESERVATION_S:g}, "
                f"got {self.reservation_ttl_s!r}"
            )
            raise ConfigError(message)
        if not 0.0 <= self.audit_rate <= 1.0:
            message = f"audit_rate must lie in [0, 1], got {self.audit_rate!r}"
            raise ConfigError(message)
        for name in ("max_prompt_chars", "background_capacity"):
            if getattr(self, name) < 1:
                message = f"{name} must be at least 1, got {getattr(self, name)!r}"
                raise ConfigError(message)
        if self.stream_policy not in get_args(StreamPolicy):
            message = f"stream_policy is one of {', '.join(get_args(StreamPolicy))}, not {self.stream_policy!r}"
            raise ConfigError(message)
        if not 0.0 < self.idempotency_ttl_s < float("inf"):
            message = f"idempotency_ttl_s must be finite and greater than 0, got {self.idempotency_ttl_s!r}"
            raise ConfigError(message)

    @classmethod
    def preset(cls, name: Preset) -> LEOConfig:
        """A named set of settings; ``docs/how-to/presets.md`` says what each costs.

        ``balanced`` is the default. ``economy`` weighs a wrong answer a tenth as much and allows wrong hits for 5 % of
        the requests. ``verified`` weighs it a hundred times as much, insists on receipts, serves exact hits only,
        raises ``AbstainedError`` where the committee abstains, and streams nothing before there is a verdict.
        ``private`` seals the store, so that whoever has it learns nothing, and lets stand-ins take the place of
        personal data on the way to the members.

        Raises:
            ConfigError: There is no preset of that name; the message names the nearest.
        """
        balanced = cls()
        match name:
            case "economy":
                return replace(
                    balanced,
                    route=replace(balanced.route, loss_usd=balanced.route.loss_usd / 10),
                    cache=replace(balanced.cache, max_wrong_hits=0.05),
                )
            case "balanced":
                return balanced
            case "verified":
                return replace(
                    balanced,
                    route=replace(balanced.route, loss_usd=balanced.route.loss_usd * 100),
                    receipts=replace(balanced.receipts, required=True),
                    cache=replace(balanced.cache, max_wrong_hits=0.0),
                    consensus=replace(balanced.consensus, on_abstain="raise"),
                    stream_policy="verified",
                )
            case "private":
                return replace(balanced, privacy=PrivacyConfig(), personal_data=PersonalDataConfig(mode="reversible"))
            case _:
                near = difflib.get_close_matches(str(name), get_args(Preset), n=1)
                hint = f"did you mean {near[0]!r}? There" if near else "there"
                message = f"there is no preset {name!r}; {hint} are {', '.join(get_args(Preset))}"
                raise ConfigError(message)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, as receipts digest them."""
        return asdict(replace(self, privacy=None)) | {"privacy": self.privacy and self.privacy.to_dict()}
