"""The models that ship with the package, read once."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from leo_core.stages.risk.linear import LinearModel, read_linear

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leo_core.records import Json

__all__ = ["read_document", "shipped_linear"]


@cache
def read_document(name: str) -> Mapping[str, Json]:
    """The JSON document ``models/<name>.json`` of this package."""
    text = files("leo_core.stages.risk").joinpath("models", f"{name}.json").read_text(encoding="utf-8")
    document: Mapping[str, Json] = json.loads(text)
    return document


@cache
def shipped_linear(name: str, head: str) -> LinearModel:
    """The linear model ``head`` of a document."""
    return read_linear(read_document(name)["heads"][head])
