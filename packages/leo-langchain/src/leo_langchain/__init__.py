"""LEO for LangChain: a chat model, a cache and callbacks whose answers carry receipts."""

from __future__ import annotations

from leo_langchain._version import __version__
from leo_langchain.cache import LEOCache
from leo_langchain.callbacks import AsyncLEOCallbackHandler, LEOCallbackHandler
from leo_langchain.chat_model import ChatLEO, LEOChatModel
from leo_langchain.embeddings import LEOEmbeddings
from leo_langchain.members import LangChainModel
from leo_langchain.tenancy import tenant, user

__all__ = [
    "AsyncLEOCallbackHandler",
    "ChatLEO",
    "LEOCache",
    "LEOCallbackHandler",
    "LEOChatModel",
    "LEOEmbeddings",
    "LangChainModel",
    "__version__",
    "tenant",
    "user",
]
