"""What of a query engine can change its answers: its parts and their settings, and the indexes that it reads.

Engines say little of themselves, so their attributes are read: retrievers, synthesizers, postprocessors, prompts,
models and further engines, each down to its plain settings. Stores are passed over: what they hold is the corpus, whose
version is found apart (:mod:`leo_llamaindex._corpus`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager
from llama_index.core.indices.base import BaseIndex
from llama_index.core.indices.vector_store.retrievers import VectorIndexRetriever
from llama_index.core.llms import LLM
from llama_index.core.prompts import BasePromptTemplate, SelectorPromptTemplate
from llama_index.core.prompts.mixin import PromptMixin
from llama_index.core.schema import BaseNode, TransformComponent
from llama_index.core.storage import StorageContext
from llama_index.core.storage.docstore import BaseDocumentStore
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.tools import BaseTool
from llama_index.core.types import BaseOutputParser
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from pydantic import BaseModel

from leo_core.adapting.keeper import AnswerKeeper
from leo_core.adapting.lazy import Lazy
from leo_core.adapting.plain import plain
from leo_llamaindex._code import is_code, read_code
from leo_llamaindex._corpus import CorpusVersions, live_nodes
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
_COMPONENTS = (BaseIndex, BaseTool, LLM, PromptMixin, TransformComponent)
"""What engines are made of, all of which is read; of other things only so many, and so many steps away from one."""
_PASSED_OVER = (
    BaseDocumentStore, BaseKVStore, BasePydanticVectorStore, StorageContext, CallbackManager, BaseNode, AnswerKeeper,
    CorpusVersions, Lazy,
)  # fmt: skip
_IN_LLMS = (LLM, BaseOutputParser, BasePromptTemplate)
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


def read_engine(
    engine: BaseQueryEngine, *, whole: frozenset[int] = frozenset(), with_streaming: bool = False
) -> EngineParts:
    """The parts of a query engine as they are now.

    Args:
        engine: The engine.
        whole: Retrievers that are taken to see all nodes, although nodes may have come since they were made.
        with_streaming: Whether it is a setting if a part streams.
    """
    left_out = _NOT_SETTINGS - {"streaming"} if with_streaming else _NOT_SETTINGS
    reader = _Reader(left_out=left_out, whole=set(whole))
    return EngineParts(reader.read(engine, 0), tuple(reader.indexes), frozenset(reader.whole))


@dataclass(slots=True)
class _Reader:
    left_out: frozenset[str]
    indexes: list[BaseIndex[Any]] = field(default_factory=list)
    seen: dict[int, Any] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)

    def read(self, part: Any, depth: int) -> Json:
        """The part as JSON; one that was read before by its class alone."""
        if isinstance(part, _PLAIN):
            return part.hex() if isinstance(part, bytes) else plain(part)
        if isinstance(part, list | tuple | set | frozenset):
            read = [self.read(inner, depth + 1) for inner in part]
            return read if isinstance(part, list | tuple) else sorted(read, key=repr)  # a set has no order of its own
        if isinstance(part, dict):
            return self._read_items(part, depth)
        if isinstance(part, MethodType) and isinstance(part.__self__, _COMPONENTS):
            return [read_code(part.__func__), self.read(part.__self__, depth)]
        return read_code(part) if is_code(part) else self._read_part(part, depth)

    def _read_part(self, part: Any, depth: int) -> Json:
        name = _name(type(part))
        if id(part) in self.seen or isinstance(part, _PASSED_OVER):
            return name
        if isinstance(part, _COMPONENTS):
            depth = 0
        elif len(self.seen) > MOST_PARTS or depth > DEEPEST:
            return name
        self.seen[id(part)] = part  # held, so that nothing else gets its id
        if isinstance(part, BaseIndex):
            self.indexes.append(part)
            return name
        return self._read_object(part, name, depth)

    def _read_object(self, part: Any, name: str, depth: int) -> Json:
        if isinstance(part, LLM):
            return self._read_llm(part)
        if isinstance(part, BasePromptTemplate):
            return self._read_prompt(part, depth)
        if isinstance(part, BaseModel):
            fields = {each: getattr(part, each, None) for each in type(part).model_fields}
            private = {} if isinstance(part, BaseEmbedding) else dict(part.__pydantic_private__ or {})
            return {"class": name, **self._read_items({**fields, **private}, depth)}
        items = {each: getattr(part, each) for each in _slots(type(part)) if hasattr(part, each)}
        items |= getattr(part, "__dict__", {})
        if isinstance(part, VectorIndexRetriever) and (id(part) in self.whole or _sees_all(items)):
            self.whole.add(id(part))
            items["_node_ids"] = "all"  # they change with the documents, which is the corpus's business
        return {"class": name, **self._read_items(items, depth)}

    def _read_items(self, items: Mapping[Any, Any], depth: int) -> dict[str, Json]:
        return {
            str(name): self.read(value, depth + 1)
            for name, value in items.items()
            if str(name).lstrip("_") not in self.left_out
        }

    def _read_llm(self, llm: LLM) -> Json:
        """An LLM: its settings, and the LLMs, classes and functions that it works with."""
        fields = {name: getattr(llm, name, None) for name in type(llm).model_fields}
        inside = {name: value for name, value in fields.items() if isinstance(value, _IN_LLMS) or is_code(value)}
        settings: Json = dict(fingerprint_llm(llm))
        if isinstance(llm, LEOLLM):
            members = [plain(dict(member.fingerprint)) for member in llm._members]  # noqa: SLF001 - a class of this package
            settings = {"class": _name(type(llm)), "settings": plain(llm.to_dict()), "members": members}
            inside = {name: value for name, value in inside.items() if name not in ("small", "large")}
        return {"llm": settings, "inside": self._read_items(inside, 0)}

    def _read_prompt(self, prompt: BasePromptTemplate, depth: int) -> Json:
        templates = [prompt]
        if isinstance(prompt, SelectorPromptTemplate):
            templates = [prompt.default_template, *(template for _, template in prompt.conditionals or ())]
        texts = [
            {
                "text": each.get_template(),
                "given": plain(each.kwargs),
                "named": plain(each.template_var_mappings),
                "computed": self.read(each.function_mappings or {}, depth),
            }
            for each in templates
        ]
        return [*texts, self.read(prompt.output_parser, depth + 1)]


def _sees_all(retriever: Mapping[str, Any]) -> bool:
    """Whether a retriever's list of nodes holds all those of its index."""
    named = retriever["_node_ids"]
    return named is not None and live_nodes(retriever["_index"]) <= set(named)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _slots(kind: type) -> list[str]:
    """Names of the attributes that an object has outside its ``__dict__``."""
    declared = [vars(each).get("__slots__", ()) for each in kind.__mro__]
    named = [name for names in declared for name in ([names] if isinstance(names, str) else names)]
    return [name for name in named if name not in ("__dict__", "__weakref__")]
