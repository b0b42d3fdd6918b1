"""JSON schemas in the narrow form that providers demand for guaranteed structured output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from leo_core.records import Json

__all__ = ["close_objects"]

_UNSUPPORTED: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "maxItems", "uniqueItems", "minProperties", "maxProperties",
    }
)  # fmt: skip
_NESTED: Final = ("properties", "$defs", "definitions")
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")


def close_objects(schema: Mapping[str, Json]) -> dict[str, Any]:
    """A copy in which every object refuses further properties.

    Constraints that the provider's grammar does not know (ranges, lengths) move into the description, where the model
    still reads them.
    """
    closed: dict[str, Any] = {name: value for name, value in schema.items() if name not in _UNSUPPORTED}
    moved = [f"{name}: {value}" for name, value in schema.items() if name in _UNSUPPORTED]
    if moved:
        closed["description"] = " ".join(filter(None, [closed.get("description"), f"({', '.join(moved)})"]))
    for name in _NESTED:
        if isinstance(closed.get(name), Mapping):
            closed[name] = {key: _close(value) for key, value in closed[name].items()}
    for name in _ALTERNATIVES:
        if isinstance(closed.get(name), list):
            closed[name] = [_close(value) for value in closed[name]]
    if "items" in closed:
        closed["items"] = _close(closed["items"])
    if "properties" in closed or closed.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def _close(schema: Json) -> Json:
    return close_objects(schema) if isinstance(schema, Mapping) else schema
