"""Reading LangChain's serialised objects, with an allow-list and nothing else."""

from __future__ import annotations

import inspect
import json
from typing import Any

from langchain_core.load import load

__all__ = ["read_objects"]

_load = inspect.unwrap(load)  # LangChain marks it as beta, which would warn every user of a cache


def read_objects(text: str, allowed: Any) -> Any:
    """The objects that a JSON text describes; no class outside of the allow-list is ever built.

    Args:
        text: What ``langchain_core.load.dumps`` wrote.
        allowed: Classes, or LangChain's own list ``"messages"``.

    Raises:
        ValueError: The text is no JSON, or names another class.
    """
    return _load(json.loads(text), allowed_objects=allowed, secrets_from_env=False)
