"""LEO: a request comes in, and leaves as an answer with a receipt, by the cheapest route that can be trusted.

The public door. Importing it is light; the engine loads when :class:`LEO` is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leo_core._version import __version__

if TYPE_CHECKING:
    from leo_core.config import LEOConfig
    from leo_core.engine.assembly import load_pair_model
    from leo_core.engine.grounding import ground
    from leo_core.engine.leo import LEO
    from leo_core.privacy.config import PrivacyConfig
    from leo_core.providers.extractive import OFFLINE_JURY
    from leo_core.records import Answer, Chunk, Message, Receipt, Request, Route
    from leo_core.stages.budget.config import Budget
    from leo_core.stages.embed.load import load_embedder
    from leo_core.stages.grounding.injection import score_injection
    from leo_core.stages.receipt.verify import verify_receipt

__all__ = [
    "LEO",
    "OFFLINE_JURY",
    "Answer",
    "Budget",
    "Chunk",
    "LEOConfig",
    "Message",
    "PrivacyConfig",
    "Receipt",
    "Request",
    "Route",
    "__version__",
    "ground",
    "load_embedder",
    "load_pair_model",
    "score_injection",
    "verify_receipt",
]

_HOMES = {
    "LEO": "leo_core.engine.leo",
    "OFFLINE_JURY": "leo_core.providers.extractive",
    "Answer": "leo_core.records",
    "Budget": "leo_core.stages.budget.config",
    "Chunk": "leo_core.records",
    "LEOConfig": "leo_core.config",
    "Message": "leo_core.records",
    "PrivacyConfig": "leo_core.privacy.config",
    "Receipt": "leo_core.records",
    "Request": "leo_core.records",
    "Route": "leo_core.records",
    "ground": "leo_core.engine.grounding",
    "load_embedder": "leo_core.stages.embed.load",
    "load_pair_model": "leo_core.engine.assembly",
    "score_injection": "leo_core.stages.grounding.injection",
    "verify_receipt": "leo_core.stages.receipt.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module 'leo_core' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
