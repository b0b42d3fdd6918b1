"""Building the core's LEO from what users of LangChain give, when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from leo_core.config import LEOConfig
from leo_core.errors import ConfigError
from leo_core.ports import Model
from leo_langchain._fingerprint import name_model
from leo_langchain.members import LangChainModel

if TYPE_CHECKING:
    from leo_core import LEO

__all__ = ["LazyEngine", "Members", "configure", "name_member"]


_REMOTE = frozenset({"openai", "anthropic"})


class LazyEngine:
    """A LEO that is built on first use. Copies and pickles of it start empty and build their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leo: LEO | None = None

    def __reduce__(self) -> tuple[type[LazyEngine], tuple[()]]:
        return LazyEngine, ()

    @property
    def built(self) -> LEO | None:
        """The LEO, where it has been built."""
        return self._leo

    def get(self, build: Callable[[], LEO]) -> LEO:
        """The LEO; built by the first caller while others wait."""
        if self._leo is None:
            with self._lock:
                if self._leo is None:
                    self._leo = build()
        return self._leo

    def close(self) -> None:
        """Close the LEO, if there is one; the next use builds a new one."""
        with self._lock:
            leo, self._leo = self._leo, None
        if leo is not None:
            leo.close()


def configure(config: LEOConfig | None, max_wrong_hits: float | None) -> LEOConfig:
    """The settings, with the cache's promise where it was given apart."""
    settings = config or LEOConfig()
    if max_wrong_hits is None:
        return settings
    return replace(settings, cache=replace(settings.cache, max_wrong_hits=max_wrong_hits))


def name_member(given: object) -> str:
    """What a member is called before anything is built."""
    if isinstance(given, str):
        return given
    if isinstance(given, BaseChatModel):
        return ":".join(name_model(given))
    return str(getattr(given, "id", type(given).__name__))


@dataclass(slots=True)
class Members:
    """Turns what users give into members of the core; the same thing given twice is the same member.

    Attributes:
        options: For members given by name: ``api_key``, ``base_url``, ``timeout_s``, ``max_retries``; each may be a
            mapping by provider.
        prices: Prices by model name on top of the shipped table.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    _known: list[tuple[object, Model]] = field(default_factory=list)

    def pick(self, given: object) -> Model | None:
        """A member from a name, a chat model of LangChain or a model of the core.

        Raises:
            ConfigError: It is none of these.
        """
        if given is None:
            return None
        for item, member in self._known:
            if item is given or (isinstance(given, str) and item == given):
                return member
        member = self._make(given)
        self._known.append((given, member))
        return member

    def pick_all(self, given: Sequence[object]) -> tuple[Model, ...]:
        """Members from a sequence."""
        picked = (self.pick(item) for item in given)
        return tuple(member for member in picked if member is not None)

    def _make(self, given: object) -> Model:
        if isinstance(given, str):
            return self._by_name(given)
        if isinstance(given, BaseChatModel):
            return LangChainModel(given, id=self._free_id(":".join(name_model(given))), prices=self.prices or None)
        if isinstance(given, Model):
            return given
        message = (
            f"a member is a name like 'openai:gpt-5-mini', a chat model or a leo_core model, not {type(given).__name__}"
        )
        raise ConfigError(message)

    def _by_name(self, name: str) -> Model:
        from leo_core.providers.names import resolve_model  # noqa: PLC0415 - SDKs load when they are used

        provider = name.partition(":")[0]
        if provider not in _REMOTE:
            return resolve_model(name)
        given = {option: _of_provider(value, provider) for option, value in self.options.items()}
        if self.prices:
            given["prices"] = self.prices
        return resolve_model(name, **{option: value for option, value in given.items() if value is not None})

    def _free_id(self, wanted: str) -> str:
        """The id, with a number where another member already has it (one model in two settings)."""
        taken = {member.id for _, member in self._known}
        numbered = (f"{wanted}#{number}" for number in range(2, len(taken) + 3))
        return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def _of_provider(value: Any, provider: str) -> Any:
    """A setting of one provider, where the setting is given per provider."""
    return value.get(provider) if isinstance(value, Mapping) else value
