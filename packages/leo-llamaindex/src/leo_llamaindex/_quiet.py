"""A LlamaIndex LLM that answers without telling anybody.

The public methods of an LLM are decorated: each call emits start and end events, feeds the callback manager and takes
the rate limiter. A member is asked *inside* such a call of LEO's own, so its events would be counted twice. The quiet
copy of a member has the functions under the decorators in place of the decorated ones, also for calls that it makes
of itself, and a callback manager without handlers; an ``LEOLLM`` does not tell of its answers. The original is not
touched, and its clients are shared.
"""

from __future__ import annotations

import copy
import inspect
from types import FunctionType, MethodType
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.llms import callbacks as decorators

__all__ = ["quieten", "undecorate"]

_PUBLIC = (
    "chat",
    "complete",
    "stream_chat",
    "stream_complete",
    "achat",
    "acomplete",
    "astream_chat",
    "astream_complete",
)


def quieten(model: LLM) -> LLM:
    """A shallow copy of an LLM whose public methods are undecorated."""
    quiet = copy.copy(model)
    quiet.__dict__["callback_manager"] = CallbackManager([])
    if "_tells" in type(model).__private_attributes__:
        quiet._tells = False  # type: ignore[attr-defined]  # noqa: SLF001 - an LEOLLM, whose module imports this one
    for name in _PUBLIC:
        function = undecorate(inspect.getattr_static(type(model), name))
        if isinstance(function, FunctionType):
            quiet.__dict__[name] = MethodType(function, quiet)
    return quiet


def undecorate(method: Any) -> Any:
    """The function under LlamaIndex's own decorators: spans, and the LLM callbacks."""
    while True:
        if hasattr(method, "_self_wrapper"):  # how wrapt marks what ``dispatcher.span`` makes
            method = method.__wrapped__
        elif _is_callback(method):
            method = inspect.getclosurevars(method).nonlocals["f"]
        else:
            return method


def _is_callback(method: Any) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and code.co_filename == decorators.__file__ and "f" in code.co_freevars
