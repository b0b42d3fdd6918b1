"""The version of what a query engine's indexes hold."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from llama_index.core.data_structs.data_structs import (
    IndexDict,
    IndexGraph,
    IndexList,
    IndexStruct,
    KeywordTable,
)

from leo_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llama_index.core.indices.base import BaseIndex

__all__ = ["CorpusVersions", "check_documents", "live_nodes", "mark_documents", "name_corpus"]

_STRUCTS = (IndexDict, IndexList, IndexGraph, KeywordTable)


class CorpusVersions:
    """The version of what indexes hold; computed anew only where they look different from the last time."""

    def __init__(self) -> None:
        self._last: tuple[Any, str] = (None, "")

    def read(self, indexes: Sequence[BaseIndex[Any]]) -> str:
        """SHA-256 over the nodes of the indexes and the hashes of their documents: another one after each change.

        Raises:
            ConfigError: There is no index, or one keeps its nodes where changes cannot be seen.
        """
        if not indexes:
            message = "the query engine has no index that LEO can see: give version=, and change it with the documents"
            raise ConfigError(message)
        structs = [_struct_of(index) for index in indexes]
        hashes = [index.docstore.get_all_document_hashes() for index in indexes]
        look = [(_glance(struct), hash(frozenset(each.items()))) for struct, each in zip(structs, hashes, strict=True)]
        seen, version = self._last
        if look != seen or None in [glance for glance, _ in look]:
            version = _digest([vars(struct) for struct in structs] + [sorted(each.items()) for each in hashes])
            self._last = (look, version)
        return version


def _glance(struct: IndexStruct) -> int | None:
    """A hash of the nodes that this process can compare quickly; ``None`` where there is none."""
    if isinstance(struct, IndexDict):
        return hash((struct.index_id, frozenset(struct.nodes_dict.items())))
    return hash((struct.index_id, tuple(struct.nodes))) if isinstance(struct, IndexList) else None


def name_corpus(indexes: Sequence[BaseIndex[Any]]) -> str:
    """A name for the indexes that stays when their documents change."""
    return _digest([index.index_id for index in indexes])


def mark_documents(indexes: Sequence[BaseIndex[Any]], documents: Iterable[str]) -> dict[str, str]:
    """What each of the documents is like now: a digest of its hash and of its nodes in the indexes."""
    live = [live_nodes(index) for index in indexes]
    return {document: _mark(indexes, live, document) for document in documents}


def check_documents(indexes: Sequence[BaseIndex[Any]], marks: Mapping[str, str]) -> list[str]:
    """The documents that changed, or went, since they were marked."""
    now = mark_documents(indexes, marks)
    return [document for document, mark in marks.items() if now[document] != mark]


def _mark(indexes: Sequence[BaseIndex[Any]], live: Sequence[frozenset[str]], document: str) -> str:
    found = []
    for index, nodes in zip(indexes, live, strict=True):
        known = index.docstore.get_ref_doc_info(document)
        held = sorted(nodes.intersection(() if known is None else known.node_ids))
        found.append([index.docstore.get_document_hash(document), held])
    return _digest(found)


def _struct_of(index: BaseIndex[Any]) -> IndexStruct:
    struct: IndexStruct = index.index_struct
    elsewhere = getattr(getattr(index, "_vector_store", None), "stores_text", False)
    if not isinstance(struct, _STRUCTS) or (elsewhere and not getattr(index, "_store_nodes_override", False)):
        message = (
            f"a {type(index).__name__} keeps its nodes where LEO does not see them change: give version=, a text or a "
            "function that gives one, and change it whenever documents change"
        )
        raise ConfigError(message)
    return struct


def live_nodes(index: BaseIndex[Any]) -> frozenset[str]:
    """Ids of the nodes that an index names."""
    struct = index.index_struct
    if isinstance(struct, IndexDict):
        return frozenset(struct.nodes_dict.values())
    if isinstance(struct, IndexList):
        return frozenset(struct.nodes)
    if isinstance(struct, KeywordTable):
        return frozenset(struct.node_ids)
    return frozenset(struct.all_nodes.values() if isinstance(struct, IndexGraph) else ())


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=sorted).encode()).hexdigest()
