"""Ordering of retrieved nodes by how well they agree with each other, without those that give orders to the model."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher
from pydantic import Field, PrivateAttr, field_serializer

from leo_core.adapting.lazy import Lazy
from leo_core.adapting.settings import refuse_unknown
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.ports import Embedder
from leo_core.stages.cache.guards import Profile, find_conflict_between, read_profile
from leo_core.stages.grounding.injection import score_injection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leo_core.records import InjectionRisk

__all__ = ["LEONodePostprocessor"]

_dispatcher = get_dispatcher(__name__)
_NOTE = "leo_injection"
Rows = npt.NDArray[np.float32]


class LEONodePostprocessor(BaseNodePostprocessor):
    """Puts nodes that the others bear out first, and drops those that say the same again.

    The agreement of a node is the cosine of its embedding with the robust centre of all nodes (their geometric
    median, which up to half of them cannot move far), mapped to [0, 1]; that of a node without a text and an embedding,
    such as a picture, is 0.5. It is blended with the retriever's score, scaled to [0, 1] over the nodes; where a node
    has no (finite) score, the cosine with the query stands in. Each node is returned as a new ``NodeWithScore`` whose
    score is the blend.

    A node that gives orders to the model that reads it (prompt injection), in its text or in the metadata that the
    LLM is shown, is dropped before that, so that it has no say in the agreement. Figures and limits of the risk:
    ``docs/stages/grounding.md``. With ``note_injection`` the risk and its signs stand in
    ``node.metadata["leo_injection"]`` of a copy, which neither the LLM nor an embedding sees.

    Args:
        top_n: Most nodes to return; all by default.
        agreement: Weight of the agreement in the blend, in [0, 1]; the retriever's score has the rest.
        duplicate_cosine: A node whose embedding is this near to one that is placed before it is dropped, unless the two
            texts differ in what an embedding blurs (a number, a date, a negation, who does what to whom); more than 1
            keeps all.
        max_injection_risk: Injection risk from which a node is dropped, in [0, 1]; more than 1 keeps all.
        note_injection: Whether to note the injection risk of each node that stays.
        embedder: A name or an embedder of leo_core, for nodes that carry no embedding of their own.
    """

    top_n: int | None = Field(default=None, ge=1)
    agreement: float = Field(default=0.5, ge=0.0, le=1.0)
    duplicate_cosine: float = Field(default=0.97, gt=0.0)
    max_injection_risk: float = Field(default=0.9, gt=0.0)
    note_injection: bool = False
    embedder: Any = "default"

    _loaded: Lazy[Embedder] = PrivateAttr(default_factory=Lazy)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class, as LlamaIndex serialises it."""
        return "LEONodePostprocessor"

    def __init__(self, **settings: Any) -> None:
        """Check the arguments.

        Raises:
            ConfigError: An argument is unknown.
        """
        given = {name: value for name, value in settings.items() if name != "class_name"}
        refuse_unknown(given, type(self).model_fields, owner=self.class_name())
        check_arguments(given, owner=self.class_name(), by_pydantic=True)
        super().__init__(**given)

    @field_serializer("embedder")
    def _dump_embedder(self, given: Any) -> str:
        return given if isinstance(given, str) else "default"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        with self._reported(nodes, query_bundle) as ordered:
            ordered.extend(self._order(nodes, query_bundle))
        return ordered

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        with self._reported(nodes, query_bundle) as ordered:
            ordered.extend(await asyncio.to_thread(self._order, nodes, query_bundle))
        return ordered

    @contextmanager
    def _reported(self, nodes: list[NodeWithScore], query: QueryBundle | None) -> Iterator[list[NodeWithScore]]:
        """Tell LlamaIndex's events and callbacks of the ordering that happens inside."""
        top_n = self.top_n or len(nodes)
        _dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=self.class_name()))
        ordered: list[NodeWithScore] = []
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.class_name(),
            EventPayload.QUERY_STR: "" if query is None else query.query_str,
            EventPayload.TOP_K: top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield ordered
            event.on_end(payload={EventPayload.NODES: ordered})
        _dispatcher.event(ReRankEndEvent(nodes=ordered))

    def _order(self, nodes: list[NodeWithScore], query: QueryBundle | None) -> list[NodeWithScore]:
        from leo_core.stages.consensus.coherence import measure_alignment  # noqa: PLC0415 - loads numba

        nodes = self._screen(nodes)
        if not nodes:
            return []
        rows = self._rows(nodes)
        aligned = np.full(len(nodes), 0.5)
        speaking = rows.any(axis=1)
        if speaking.any():
            aligned[speaking] = (1.0 + np.asarray(measure_alignment(rows[speaking]))) / 2.0
        blend = self.agreement * aligned + (1.0 - self.agreement) * self._relevance(nodes, query)
        order = sorted(range(len(nodes)), key=lambda index: (-blend[index], index))
        near = rows @ rows.T >= self.duplicate_cosine
        compared = _Compared([_text(item) for item in nodes])
        kept: list[int] = []
        for index in order:
            if not any(near[index, other] and compared.agree(index, other) for other in kept):
                kept.append(index)
        return [NodeWithScore(node=nodes[index].node, score=float(blend[index])) for index in kept[: self.top_n]]

    def _screen(self, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        """The nodes that give no orders to the model."""
        if self.max_injection_risk > 1.0 and not self.note_injection:
            return nodes
        kept = []
        for item in nodes:
            shown = _text(item), item.node.get_metadata_str(mode=MetadataMode.LLM)
            found = max(map(score_injection, shown), key=lambda each: each.risk)
            if found.risk < self.max_injection_risk:
                kept.append(_note(item, found) if self.note_injection else item)
        return kept

    # -------------------------------------------------------------------------------------------------- vectors

    def _rows(self, nodes: list[NodeWithScore]) -> Rows:
        """Unit rows, shape (n, d): the nodes' own embeddings where all have one, else of their texts."""
        own = [node.node.embedding for node in nodes]
        lengths = {0 if vector is None else len(vector) for vector in own}
        if len(lengths) == 1 and 0 not in lengths:
            return _unit(np.asarray(own, dtype=np.float32))
        texts = [_text(item) for item in nodes]
        said = np.asarray([bool(text.strip()) for text in texts], dtype=np.float32)
        return self._embed(texts) * said[:, None]  # what says nothing is near to nothing

    def _relevance(self, nodes: list[NodeWithScore], query: QueryBundle | None) -> npt.NDArray[np.float64]:
        """How well each node fits the query, in [0, 1], shape (n,)."""
        scores = [None if node.score is None or not isfinite(node.score) else node.score for node in nodes]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores) and query is not None and query.query_str:
            vectors = self._embed([query.query_str, *map(_text, nodes)])
            return _scaled(vectors[1:] @ vectors[0])
        lowest = min(known, default=0.0)
        return _scaled(np.asarray([lowest if score is None else score for score in scores], dtype=np.float64))

    def _embed(self, texts: list[str]) -> Rows:
        return self._loaded.get(self._load).embed(texts)

    def _load(self) -> Embedder:
        from leo_core import load_embedder  # noqa: PLC0415 - loads numba

        if isinstance(self.embedder, str):
            return load_embedder(self.embedder)
        if isinstance(self.embedder, Embedder):
            return self.embedder
        message = f"embedder is a name or an embedder of leo_core, not {type(self.embedder).__name__}"
        raise ConfigError(message)


class _Compared:
    """Texts that are compared where their embeddings are near, each read once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._profiles: dict[int, Profile] = {}

    def agree(self, one: int, other: int) -> bool:
        """Whether nothing is found in which the two texts differ."""
        if self._texts[one] == self._texts[other]:
            return True
        return find_conflict_between(self._read(one), self._read(other)) is None

    def _read(self, index: int) -> Profile:
        if index not in self._profiles:
            self._profiles[index] = read_profile(self._texts[index])
        return self._profiles[index]


def _text(item: NodeWithScore) -> str:
    return item.node.get_content(metadata_mode=MetadataMode.NONE)


def _note(item: NodeWithScore, found: InjectionRisk) -> NodeWithScore:
    """The node with its injection risk in the metadata of a copy."""
    node = item.node.model_copy()
    node.metadata = {**node.metadata, _NOTE: found.to_dict()}
    node.excluded_llm_metadata_keys = [*node.excluded_llm_metadata_keys, _NOTE]
    node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, _NOTE]
    return NodeWithScore(node=node, score=item.score)


def _unit(rows: Rows) -> Rows:
    """Rows of length one; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float32)


def _scaled(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Values mapped to [0, 1] over their range; all 1 where they are equal."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.ones(len(values))
    scaled: npt.NDArray[np.float64] = (values.astype(np.float64) - low) / (high - low)
    return scaled
