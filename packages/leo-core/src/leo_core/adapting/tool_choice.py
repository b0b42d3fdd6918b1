"""Tool choices in the forms that frameworks and providers have for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from leo_core.errors import ConfigError

__all__ = ["to_tool_choice"]

_CHOICES: Final = {"required": "any", "any": "any", "auto": "auto", "none": "none"}


def to_tool_choice(choice: object, names: Sequence[str] = ()) -> str | None:
    """A tool choice in any of the usual forms as ``None``, ``"auto"``, ``"any"``, ``"none"`` or a tool's name.

    Args:
        choice: ``None``, a bool, ``"any"``, ``"required"``, a name, or OpenAI's or Anthropic's mapping.
        names: Names of the tools; a tool may be called ``"any"``.

    Raises:
        ConfigError: The form is unknown.
    """
    if choice is None or isinstance(choice, bool):
        return "any" if choice else None
    if isinstance(choice, str):
        return choice if choice in names else _CHOICES.get(choice, choice)
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        if name or choice.get("type") in _CHOICES:
            return str(name) if name else _CHOICES[choice["type"]]
    message = f"tool_choice={choice!r} is not understood: use 'auto', 'any', 'none' or the name of a tool"
    raise ConfigError(message)
