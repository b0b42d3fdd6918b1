"""LEO for LlamaIndex: an LLM and a node postprocessor whose answers carry receipts."""

from __future__ import annotations

from leo_llamaindex._version import __version__
from leo_llamaindex.embedding import LEOEmbedding
from leo_llamaindex.events import LEOCacheHitEvent, LEOCorrectionEvent, LEOProofEvent, LEORouteEvent, LEOVerifyEvent
from leo_llamaindex.handler import LEOEventHandler, LEOSummary
from leo_llamaindex.kvstore import LEOKVStore
from leo_llamaindex.llm import LEOLLM
from leo_llamaindex.members import LlamaIndexModel
from leo_llamaindex.postprocessor import LEONodePostprocessor
from leo_llamaindex.query_cache import LEOCachedQueryEngine

__all__ = [
    "LEOLLM",
    "LEOCacheHitEvent",
    "LEOCachedQueryEngine",
    "LEOCorrectionEvent",
    "LEOEmbedding",
    "LEOEventHandler",
    "LEOKVStore",
    "LEONodePostprocessor",
    "LEOProofEvent",
    "LEORouteEvent",
    "LEOSummary",
    "LEOVerifyEvent",
    "LlamaIndexModel",
    "__version__",
]
