"""What a LEO can do: what all of its members can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models import BaseChatModel, ModelProfile

from leo_core.ports import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["intersect_profiles"]

_FROM_CAPABILITIES = {
    "tool_calling": "tools",
    "structured_output": "structured_output",
    "image_inputs": "images",
    "audio_inputs": "audio",
    "pdf_inputs": "files",
}


def intersect_profiles(members: Iterable[object]) -> ModelProfile | None:
    """The profile that holds for whichever member answers.

    A capability is claimed when every member claims it, and denied when one denies it; a limit is the smallest. What
    one of them does not say is left out.

    Args:
        members: LangChain chat models and members of the core; a member that is only a name says nothing.
    """
    profiles = [_profile_of(member) for member in members]
    if not profiles or not any(profiles):
        return None
    names = {name for profile in profiles for name in profile}
    joined = {name: _join([profile.get(name) for profile in profiles]) for name in sorted(names)}
    return cast("ModelProfile", {name: value for name, value in joined.items() if value is not None})


def _profile_of(member: object) -> Mapping[str, Any]:
    if isinstance(member, BaseChatModel):
        return member.profile or {}
    if isinstance(member, Model):
        capabilities = member.capabilities
        known = {name: getattr(capabilities, field) for name, field in _FROM_CAPABILITIES.items()}
        limits = {
            "max_input_tokens": capabilities.max_input_tokens,
            "max_output_tokens": capabilities.max_output_tokens,
        }
        return {**known, **{name: limit for name, limit in limits.items() if limit is not None}}
    return {}


def _join(values: list[Any]) -> Any:
    said = [value for value in values if value is not None]
    if any(value is False for value in said):
        return False
    if len(said) < len(values):
        return None
    if all(isinstance(value, bool) for value in said):
        return True
    if all(isinstance(value, int) for value in said):
        return min(said)
    return said[0] if all(value == said[0] for value in said) else None
