"""What users give as members, as members of the core; and parts that are built when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from llama_index.core.llms import LLM

from leo_core.errors import ConfigError
from leo_core.ports import Model
from leo_llamaindex._fingerprint import name_llm
from leo_llamaindex._plain import without_user
from leo_llamaindex.members import LlamaIndexModel

__all__ = ["Lazy", "MemberMaker", "Panel", "name_member"]

T = TypeVar("T")
_REMOTE = frozenset({"openai", "anthropic"})


class Lazy(Generic[T]):
    """Something that is built on first use. Copies and pickles of it start empty and build their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None

    def __reduce__(self) -> tuple[type[Lazy[Any]], tuple[()]]:
        return Lazy, ()

    @property
    def built(self) -> T | None:
        """The value, where it has been built."""
        return self._value

    def get(self, build: Callable[[], T]) -> T:
        """The value; built by the first caller while others wait."""
        if self._value is None:
            with self._lock:
                if self._value is None:
                    self._value = build()
        return self._value

    def take(self) -> T | None:
        """The value, if there is one; the next use builds a new one."""
        with self._lock:
            value, self._value = self._value, None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The members in their roles."""

    small: Model | None
    large: Model | None
    jury: tuple[Model, ...]

    @property
    def members(self) -> tuple[Model, ...]:
        """Every member once."""
        given = [member for member in (self.small, self.large, *self.jury) if member is not None]
        return tuple({id(member): member for member in given}.values())


def name_member(given: object) -> str | None:
    """What a member is called before anything is built."""
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, LLM):
        return ":".join(name_llm(given))
    return without_user(str(getattr(given, "id", type(given).__name__)))


@dataclass(slots=True)
class MemberMaker:
    """Turns what users give into members of the core; the same thing given twice is the same member.

    Attributes:
        options: For members given by name: ``api_key``, ``base_url``, ``timeout_s``, ``max_retries``; each may be a
            mapping by provider.
        prices: Prices by model name on top of the shipped table.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    _known: list[tuple[object, Model]] = field(default_factory=list)

    def make_panel(self, small: object, large: object, jury: Sequence[object]) -> Panel:
        """All members in their roles.

        Raises:
            ConfigError: One of them is neither a name nor a model.
        """
        seats = [self._pick(given) for given in jury if given is not None]
        return Panel(
            small=None if small is None else self._pick(small),
            large=None if large is None else self._pick(large),
            jury=tuple(seats),
        )

    def _pick(self, given: object) -> Model:
        for item, member in self._known:
            if item is given or (isinstance(given, str) and item == given):
                return member
        member = self._make(given)
        self._known.append((given, member))
        return member

    def _make(self, given: object) -> Model:
        if isinstance(given, str):
            return self._by_name(given)
        if isinstance(given, LLM):
            return LlamaIndexModel(given, id=self._free_id(":".join(name_llm(given))), prices=self.prices or None)
        if isinstance(given, Model):
            return given
        message = (
            "a member is a name like 'openai:gpt-5-mini', an LLM of LlamaIndex or a leo_core model, "
            f"not {type(given).__name__}"
        )
        raise ConfigError(message)

    def _by_name(self, name: str) -> Model:
        from leo_core.providers.names import resolve_model  # noqa: PLC0415 - SDKs load when they are used

        provider = name.partition(":")[0]
        if provider not in _REMOTE:
            return resolve_model(name)
        given = {
            option: value.get(provider) if isinstance(value, Mapping) else value
            for option, value in self.options.items()
        }
        if self.prices:
            given["prices"] = self.prices
        return resolve_model(name, **{option: value for option, value in given.items() if value is not None})

    def _free_id(self, wanted: str) -> str:
        """The id, with a number where another member already has it (one model in two settings)."""
        taken = {member.id for _, member in self._known}
        numbered = (f"{wanted}#{number}" for number in range(2, len(taken) + 3))
        return wanted if wanted not in taken else next(name for name in numbered if name not in taken)
