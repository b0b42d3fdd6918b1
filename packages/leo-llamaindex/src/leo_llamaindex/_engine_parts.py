"""What of a query engine can change its answers: its parts and their settings, and the indexes that it reads.

Engines say little of themselves, so their attributes are read: retrievers, synthesizers, postprocessors, prompts,
models and further engines, each down to its plain settings. Stores are passed over: what they hold is the corpus, whose
version is found apart (:mod:`leo_llamaindex._corpus`).
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.indices.base import BaseIndex
from llama_index.core.indices.vector_store.retrievers import VectorIndexRetriever
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate, SelectorPromptTemplate
from llama_index.core.schema import BaseNode
from llama_index.core.storage import StorageContext
from llama_index.core.storage.docstore import BaseDocumentStore
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from pydantic import BaseModel

from leo_core.adapting.plain import plain
from leo_llamaindex._corpus import live_nodes
from leo_llamaindex._fingerprint import fingerprint_llm
from leo_llamaindex.llm import LEOLLM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.base.base_query_engine import BaseQueryEngine

    from leo_core.records import Json

__all__ = ["EngineParts", "read_engine"]

MOST_PARTS = 2_000
DEEPEST = 8
_NOT_SETTINGS = frozenset({
    "callback_manager", "embeddings_cache", "num_workers", "object_map", "rate_limiter", "show_progress", "streaming",
    "use_async", "verbose",
})  # fmt: skip
_STORES = (BaseDocumentStore, BaseKVStore, BasePydanticVectorStore, StorageContext, CallbackManager, BaseNode)
_PLAIN = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What was read of a query engine.

    Attributes:
        settings: Everything that can change its answers, but for the documents (JSON, no secret).
        indexes: The indexes that it reads, in the order in which they were found.
        whole: Which of its retrievers (by ``id``) see all nodes of their index.
    """

    settings: Json
    indexes: tuple[BaseIndex[Any], ...]
    whole: frozenset[int]


def read_engine(engine: BaseQueryEngine, *, whole: frozenset[int] = frozenset()) -> EngineParts:
    """The parts of a query engine as they are now.

    Args:
        engine: The engine.
        whole: Retrievers that are taken to see all nodes, although nodes may have come since they were made.
    """
    reader = _Reader(whole=set(whole))
    return EngineParts(reader.read(engine, 0), tuple(reader.indexes), frozenset(reader.whole))


@dataclass(slots=True)
class _Reader:
    indexes: list[BaseIndex[Any]] = field(default_factory=list)
    seen: dict[int, str] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)

    def read(self, part: Any, depth: int) -> Json:  # noqa: PLR0911 - one per kind
        """The part as JSON; one that was read before by its class alone."""
        if isinstance(part, _PLAIN):
            return part.hex() if isinstance(part, bytes) else plain(part)
        if isinstance(part, list | tuple | set | frozenset):
            return [self.read(inner, depth + 1) for inner in part]
        if isinstance(part, dict):
            return self._read_items(part, depth)
        name = _name(type(part))
        if id(part) in self.seen or len(self.seen) > MOST_PARTS or depth > DEEPEST:
            return name
        self.seen[id(part)] = name
        if isinstance(part, BaseIndex):
            self.indexes.append(part)
            return name
        if isinstance(part, _STORES):
            return name
        return self._read_object(part, name, depth)

    def _read_object(self, part: Any, name: str, depth: int) -> Json:
        if isinstance(part, LLM):
            return _read_llm(part)
        if isinstance(part, BasePromptTemplate):
            return _read_prompt(part)
        if isinstance(part, type) or inspect.isroutine(part):
            return _read_code(part)
        if isinstance(part, BaseModel):
            fields = {each: getattr(part, each, None) for each in type(part).model_fields}
            private = {} if isinstance(part, BaseEmbedding) else dict(part.__pydantic_private__ or {})
            return {"class": name, **self._read_items({**fields, **private}, depth)}
        items = dict(getattr(part, "__dict__", {}))
        if isinstance(part, VectorIndexRetriever) and (id(part) in self.whole or _sees_all(items)):
            self.whole.add(id(part))
            items["_node_ids"] = "all"  # they change with the documents, which is the corpus's business
        return {"class": name, **self._read_items(items, depth)}

    def _read_items(self, items: Mapping[Any, Any], depth: int) -> dict[str, Json]:
        return {
            str(name): self.read(value, depth + 1)
            for name, value in items.items()
            if str(name).lstrip("_") not in _NOT_SETTINGS
        }


def _sees_all(retriever: Mapping[str, Any]) -> bool:
    """Whether a retriever's list of nodes holds all those of its index."""
    named = retriever["_node_ids"]
    return named is not None and live_nodes(retriever["_index"]) <= set(named)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _read_llm(llm: LLM) -> Json:
    if not isinstance(llm, LEOLLM):
        return dict(fingerprint_llm(llm))
    members = [plain(dict(member.fingerprint)) for member in llm._members]  # noqa: SLF001 - a class of this package
    return {"class": _name(type(llm)), "settings": plain(llm.to_dict()), "members": members}


def _read_prompt(prompt: BasePromptTemplate) -> Json:
    templates = [prompt]
    if isinstance(prompt, SelectorPromptTemplate):
        templates = [prompt.default_template, *(template for _, template in prompt.conditionals or ())]
    return [{"text": each.get_template(), "given": plain(each.kwargs)} for each in templates]


def _read_code(code: Any) -> Json:
    named = f"{getattr(code, '__module__', '')}.{getattr(code, '__qualname__', type(code).__qualname__)}"
    if isinstance(code, type) and issubclass(code, BaseModel):
        return {"class": named, "schema": plain(code.model_json_schema())}
    return named
