"""Arguments of an adapter's classes."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from leo_core.adapting.plain import plain
from leo_core.config import LEOConfig
from leo_core.errors import ConfigError
from leo_core.privacy.config import pick_privacy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

    from leo_core.privacy.config import PrivacyConfig

__all__ = ["CRITERIA", "PolicyDigest", "configure", "refuse_unknown", "reveal"]


CRITERIA: Final = frozenset({"tenant", "ids", "tags", "sources", "model", "where"})
"""What :meth:`leo_core.engine.answer_cache.AnswerCache.invalidate` takes."""


def configure(
    config: LEOConfig | None, max_wrong_hits: float | None, privacy: PrivacyConfig | str | None = None
) -> LEOConfig:
    """The settings, with the cache's promise and the privacy where they were given apart.

    Raises:
        ConfigError: ``privacy`` is neither settings nor the name of a mode.
    """
    settings = config or LEOConfig()
    if privacy is not None:
        settings = replace(settings, privacy=pick_privacy(privacy))
    if max_wrong_hits is None:
        return settings
    return replace(settings, cache=replace(settings.cache, max_wrong_hits=max_wrong_hits))


class PolicyDigest:
    """The digest of settings, taken anew only when they are others: a framework asks for it with every request."""

    __slots__ = ("_digest", "_given")

    def __init__(self) -> None:
        self._given: tuple[object, ...] | None = None
        self._digest = ""

    def digest(
        self, config: LEOConfig | None, max_wrong_hits: float | None, privacy: PrivacyConfig | str | None = None
    ) -> str:
        """SHA-256 (hex) of the settings that :func:`configure` makes of these, without secrets."""
        given = (config, max_wrong_hits, privacy)
        known = self._given
        if known is None or any(one is not other for one, other in zip(given, known, strict=True)):
            settings = plain(configure(config, max_wrong_hits, privacy).to_dict())
            digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
            self._given, self._digest = given, digest
            return digest
        return self._digest


def refuse_unknown(given: Iterable[object], known: Iterable[str], *, owner: str) -> None:
    """A misspelt argument is an error, not silently nothing.

    Args:
        given: Names of the arguments given.
        known: Names of the arguments that there are.
        owner: Whose arguments they are.

    Raises:
        ConfigError: An argument is unknown; the message names the nearest known one.
    """
    names = sorted(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            message = f"{owner} has no argument {name!r}{hint}"
            raise ConfigError(message)


def reveal(key: SecretStr | dict[str, SecretStr] | None) -> str | dict[str, str] | None:
    """A key, or keys by provider, in the clear."""
    if isinstance(key, dict):
        return {provider: secret.get_secret_value() for provider, secret in key.items()}
    return None if key is None else key.get_secret_value()
