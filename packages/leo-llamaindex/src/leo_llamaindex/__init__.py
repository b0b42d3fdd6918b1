"""LEO for LlamaIndex: answers that carry receipts, checked nodes, answers held against their nodes."""

from __future__ import annotations

from leo_llamaindex._version import __version__
from leo_llamaindex.embedding import LEOEmbedding
from leo_llamaindex.events import (
    LEOCacheHitEvent,
    LEOCorrectionEvent,
    LEOGroundingEvent,
    LEOProofEvent,
    LEORouteEvent,
    LEOVerifyEvent,
)
from leo_llamaindex.handler import LEOEventHandler, LEOSummary
from leo_llamaindex.kvstore import LEOKVStore
from leo_llamaindex.llm import LEOLLM
from leo_llamaindex.members import LlamaIndexModel
from leo_llamaindex.postprocessor import LEONodePostprocessor
from leo_llamaindex.query_cache import LEOCachedQueryEngine
from leo_llamaindex.synthesizer import LEOVerifiedSynthesizer, verified_query_engine

__all__ = [
    "LEOLLM",
    "LEOCacheHitEvent",
    "LEOCachedQueryEngine",
    "LEOCorrectionEvent",
    "LEOEmbedding",
    "LEOEventHandler",
    "LEOGroundingEvent",
    "LEOKVStore",
    "LEONodePostprocessor",
    "LEOProofEvent",
    "LEORouteEvent",
    "LEOSummary",
    "LEOVerifiedSynthesizer",
    "LEOVerifyEvent",
    "LlamaIndexModel",
    "__version__",
    "verified_query_engine",
]
