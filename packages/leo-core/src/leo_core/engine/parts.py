"""What a LEO is made of, looked at before anything is opened: the error says what to give instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from leo_core.config import LEOConfig
from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["check_parts"]


def _has(*methods: str) -> Callable[[Any], bool]:
    return lambda value: all(callable(getattr(value, name, None)) for name in methods)


def _is_path(value: Any) -> bool:
    return isinstance(value, str | PathLike)


_RULES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "config": ("a LEOConfig", lambda value: isinstance(value, LEOConfig)),
    "jury": (
        "a list of members",
        lambda value: isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray),
    ),
    "signing_key": ("a SigningKey or the path of a key file", lambda value: _is_path(value) or _has("sign")(value)),
    "seal_key": ("the path of a key file", _is_path),
    "embedder": ("a name or has a method embed", lambda value: isinstance(value, str) or _has("embed")(value)),
    "listeners": (
        "a list of objects with a method notify",
        lambda value: isinstance(value, Sequence) and all(map(_has("notify"), value)),
    ),
    "checker": ("a function of (request, answer)", callable),
    "lifetime": ("a function of (request, message)", callable),
    "clock": ("an object with methods now and monotonic", _has("now", "monotonic")),
}
"""In words what each argument is where it is given, and whether a value is that."""


def check_parts(given: Mapping[str, Any]) -> None:
    """Refuse what no LEO can be made of.

    Values are not shown: keys are among them.

    Args:
        given: Arguments of :class:`leo_core.LEO` by name; those without a rule, and ``None``, are passed over.

    Raises:
        ConfigError: One is of no kind that can be used.
    """
    for name, (words, holds) in _RULES.items():
        value = given.get(name)
        if value is not None and not holds(value):
            message = f"{name} is {words}; this is of type {type(value).__name__}"
            raise ConfigError(message)
