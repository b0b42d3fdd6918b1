"""A conformance suite for LLMs of LlamaIndex, to be inherited by test classes (extra ``testing``)."""

from __future__ import annotations

from leo_core.errors import ConfigError

try:
    import pytest

    for part in ("announcements", "answers", "engines", "tools"):
        pytest.register_assert_rewrite(f"leo_llamaindex.testing.{part}")
    from leo_llamaindex.testing.asking import METHODS, ask, call
    from leo_llamaindex.testing.recording import EventRecorder, record_events
    from leo_llamaindex.testing.suite import LLMConformance
except ModuleNotFoundError as error:
    if error.name not in {"pytest", "blockbuster"}:
        raise
    message = f"the conformance suite needs {error.name}: pip install 'leo-llamaindex[testing]'"
    raise ConfigError(message) from error

__all__ = ["METHODS", "EventRecorder", "LLMConformance", "ask", "call", "record_events"]
