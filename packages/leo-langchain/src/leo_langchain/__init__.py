"""LEO for LangChain: a chat model, a cache, callbacks and middlewares whose answers carry receipts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from leo_langchain._version import __version__
from leo_langchain.cache import LEOCache
from leo_langchain.callbacks import AsyncLEOCallbackHandler, LEOCallbackHandler
from leo_langchain.chat_model import ChatLEO, LEOChatModel
from leo_langchain.embeddings import LEOEmbeddings
from leo_langchain.members import LangChainModel
from leo_langchain.tenancy import tenant, user

if TYPE_CHECKING:
    from leo_langchain.graph_cache import LEOGraphCache
    from leo_langchain.middleware.cache import LEOCacheMiddleware
    from leo_langchain.middleware.router import LEORouterMiddleware
    from leo_langchain.middleware.tool_cache import LEOToolCacheMiddleware
    from leo_langchain.middleware.verify import LEOVerifyMiddleware

__all__ = [
    "AsyncLEOCallbackHandler",
    "ChatLEO",
    "LEOCache",
    "LEOCacheMiddleware",
    "LEOCallbackHandler",
    "LEOChatModel",
    "LEOEmbeddings",
    "LEOGraphCache",
    "LEORouterMiddleware",
    "LEOToolCacheMiddleware",
    "LEOVerifyMiddleware",
    "LangChainModel",
    "__version__",
    "tenant",
    "user",
]

_WITH_AGENTS = {
    "LEOCacheMiddleware": "leo_langchain.middleware.cache",
    "LEOGraphCache": "leo_langchain.graph_cache",
    "LEORouterMiddleware": "leo_langchain.middleware.router",
    "LEOToolCacheMiddleware": "leo_langchain.middleware.tool_cache",
    "LEOVerifyMiddleware": "leo_langchain.middleware.verify",
}
"""What needs ``langchain`` and ``langgraph``, and where it is; loaded when it is first named."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_AGENTS:
        message = f"module 'leo_langchain' has no attribute {name!r}"
        raise AttributeError(message)
    try:
        value = getattr(import_module(_WITH_AGENTS[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("langchain", "langgraph"):
            raise
        from leo_core.errors import MissingExtraError  # noqa: PLC0415 - only where it is missing

        extra = "agents"
        raise MissingExtraError(extra, name, package="leo-langchain") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
