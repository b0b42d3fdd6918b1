"""Models by name."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from leo_core.ports import Model

__all__ = ["family_of", "nearest_models", "resolve_model"]

_FORMS: Final = '"openai:<model>", "anthropic:<model>", "replay:<path>#<model>", "student:<path>" or "extractive"'
_KINDS: Final = ("openai", "anthropic", "replay", "student", "extractive")
_HOSTS: Final = {"gpt": "openai", "claude": "anthropic"}

_FAMILIES: Final = (
    ("claude", "claude"),
    ("gemini", "gemini"),
    ("gemma", "gemma"),
    ("mixtral", "mistral"),
    ("ministral", "mistral"),
    ("magistral", "mistral"),
    ("codestral", "mistral"),
    ("mistral", "mistral"),
    ("llama", "llama"),
    ("qwen", "qwen"),
    ("qwq", "qwen"),
    ("deepseek", "deepseek"),
    ("command", "command"),
    ("grok", "grok"),
    ("phi", "phi"),
    ("nova", "nova"),
    ("glm", "glm"),
    ("kimi", "kimi"),
    ("gpt", "gpt"),
    ("o1", "gpt"),
    ("o3", "gpt"),
    ("o4", "gpt"),
)


def family_of(model: str) -> str:
    """Family of a model, read from its name: ``gpt``, ``claude``, ``gemini``, ``gemma``, ``llama``, ``mistral`` ….

    Models of one family are presumed to err together. A name without a known family is its own, in lower case.
    """
    name = model.lower()
    words = re.split(r"[^a-z0-9]+", name)
    for mark, family in _FAMILIES:
        if any(re.fullmatch(rf"(?:chat|meta)?{mark}\d*[a-z]?", word) for word in words):
            return family
    return name


def resolve_model(name: str, **options: Any) -> Model:
    """The model that a name stands for.

    Args:
        name: ``"openai:gpt-5-mini"``, ``"anthropic:claude-haiku-4-5"``, ``"replay:answers.jsonl.gz#gpt-4o"``,
            ``"student:leo.student"``, ``"extractive"``, ``"extractive:vectors"`` or ``"extractive:letters"``.
        **options: Further arguments of the model's class, such as ``api_key`` or ``base_url``.

    Raises:
        ConfigError: The name has none of these forms.
        MissingExtraError: The provider's package is not installed.
    """
    kind, _, rest = name.partition(":")
    if kind == "openai" and rest:
        from leo_core.providers.openai import OpenAIModel  # noqa: PLC0415 - only what is asked for is loaded

        return OpenAIModel(rest, **options)
    if kind == "anthropic" and rest:
        from leo_core.providers.anthropic import AnthropicModel  # noqa: PLC0415 - only what is asked for is loaded

        return AnthropicModel(rest, **options)
    if kind == "replay":
        return _replay(name, rest, options)
    if kind == "student" and rest:
        from leo_core.providers.student import StudentModel  # noqa: PLC0415 - only what is asked for is loaded

        return StudentModel.load(rest, **options)
    if name == "extractive" or (kind == "extractive" and rest):
        from leo_core.providers.extractive import ExtractiveModel  # noqa: PLC0415 - only what is asked for is loaded

        return ExtractiveModel(**({**options, "method": rest} if rest else options))
    likely = _guess(kind, rest)
    hint = f"did you mean {likely!r}? Else" if likely else "please"
    message = f"no model is called {name!r}; {hint} write {_FORMS}"
    raise ConfigError(message)


def nearest_models(name: str, most: int = 3) -> tuple[str, ...]:
    """Names in the shipped price table that are most like a name, the nearest first; none may be like it."""
    from leo_core.telemetry.prices import load_prices  # noqa: PLC0415 - read where a name is wrong

    return tuple(difflib.get_close_matches(name.lower(), load_prices().prices, n=most, cutoff=0.75))


def _guess(kind: str, rest: str) -> str:
    """What a name that has none of the forms was probably to be; empty where nothing is near."""
    near = difflib.get_close_matches(kind.lower(), _KINDS, n=1, cutoff=0.7)
    if near:
        return f"{near[0]}:{rest}" if rest else near[0] if near[0] == "extractive" else f"{near[0]}:<model>"
    host = _HOSTS.get(family_of(kind))
    return f"{host}:{kind}" if host and not rest else ""


def _replay(name: str, rest: str, options: dict[str, Any]) -> Model:
    from leo_core.providers.replay import ReplayModel  # noqa: PLC0415 - only what is asked for is loaded

    path, _, model = rest.rpartition("#")
    if not path or not model:
        message = f"{name!r} names no file or no model; write {_FORMS}"
        raise ConfigError(message)
    return ReplayModel(path, model, **options)
