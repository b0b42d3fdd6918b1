"""What users give as members, as members of the core."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from leo_core.adapting.plain import without_user
from leo_core.errors import ConfigError
from leo_core.ports import Model

__all__ = ["OPTIONS", "MemberNames", "MemberPicker", "OwnModels", "Panel", "check_members", "name_member"]

_REMOTE: Final = frozenset({"openai", "anthropic"})
OPTIONS: Final = frozenset({"api_key", "base_url", "timeout_s", "max_retries"})
"""For members given by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModels:
    """A framework's own models.

    Attributes:
        kind: Their class.
        called: What users call one, with its article.
        name: Provider and name of one.
        wrap: Makes one a member; takes the keywords ``id`` and ``prices``.
    """

    kind: type[Any]
    called: str
    name: Callable[[Any], tuple[str, str]]
    wrap: Callable[..., Model]


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


def check_members(given: Collection[object], own: OwnModels, *, owner: str, needed: bool = False) -> None:
    """Refuse what is no member; whether there is a model of a name is found out when it is made.

    Raises:
        ConfigError: One of them is neither a name nor a model, or there is none, and one is needed.
    """
    if needed and not given:
        message = f"{owner} needs a member: give small=, large=, jury= or model=; {owner}.offline() has its own"
        raise ConfigError(message)
    for member in given:
        if not isinstance(member, str | own.kind | Model):
            message = f"{owner}: {_wanted(own)}, not {type(member).__name__}"
            raise ConfigError(message)


def _wanted(own: OwnModels) -> str:
    return f"a member is a name like 'openai:gpt-5-mini', {own.called} or a leo_core model"


def name_member(given: object, own: OwnModels) -> str:
    """What a member is called before anything is built."""
    if isinstance(given, str):
        return given
    if isinstance(given, own.kind):
        return ":".join(own.name(given))
    return without_user(str(getattr(given, "id", type(given).__name__)))


class MemberNames:
    """What members are called, put together anew only when they are others: tracers ask for it with every request."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: tuple[tuple[object, ...], str] = ((), "")

    def join(self, given: tuple[object, ...], own: OwnModels) -> str:
        """The different names of these members, with "+" between them."""
        known, names = self._known
        if len(known) != len(given) or any(one is not other for one, other in zip(known, given, strict=True)):
            names = "+".join(dict.fromkeys(name_member(member, own) for member in given))
            self._known = given, names
        return names


@dataclass(slots=True, kw_only=True)
class MemberPicker:
    """Turns what users give into members of the core; the same thing given twice is the same member.

    Attributes:
        own: The framework's own models.
        options: For members given by name: ``api_key``, ``base_url``, ``timeout_s``, ``max_retries``; each may be a
            mapping by provider.
        prices: Prices by model name on top of the shipped table.
    """

    own: OwnModels
    options: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    _known: list[tuple[object, Model]] = field(default_factory=list)

    def pick_panel(self, small: object, large: object, jury: Sequence[object]) -> Panel:
        """All members in their roles; ``None`` is no member.

        Raises:
            ConfigError: One of them is neither a name nor a model.
        """
        seats = tuple(self._pick(given) for given in jury if given is not None)
        return Panel(
            small=None if small is None else self._pick(small),
            large=None if large is None else self._pick(large),
            jury=seats,
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
        if isinstance(given, self.own.kind):
            wanted = ":".join(self.own.name(given))
            return self.own.wrap(given, id=self._free_id(wanted), prices=self.prices or None)
        if isinstance(given, Model):
            return given
        message = f"{_wanted(self.own)}, not {type(given).__name__}"
        raise ConfigError(message)

    def _by_name(self, name: str) -> Model:
        from leo_core.providers.names import resolve_model  # noqa: PLC0415 - providers load when they are named

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
