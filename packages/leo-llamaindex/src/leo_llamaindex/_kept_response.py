"""Responses of query engines as text that a store can keep, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_selector import MultiSelection
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.schema import NodeWithScore
from llama_index.core.storage.docstore.utils import doc_to_json, json_to_doc

from leo_core.errors import StoreCorruptError
from leo_core.records import Usage
from leo_llamaindex._answers import to_usage_dict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from leo_core.records import CacheDecision, CacheEntry, Json

__all__ = ["KeptResponse", "describe_hit", "find_sources", "measure_usage", "text_of"]

_LEO, _GROUNDING = "leo", "grounding"
_CHOICE, _TUPLE = "leo:choice", "leo:tuple"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResponse:
    """What is kept of a response.

    Attributes:
        text: Its text; of a pydantic object, its JSON.
        is_object: Whether it is a pydantic object.
        is_stream: Whether it was streamed.
        nodes: Its source nodes with their scores, without embeddings.
        metadata: Its metadata but for LEO's facts.
        answers: LEO's facts of the answers behind it; the last one is that of the text.
        grounding: What a verifying synthesizer found about it; empty where there was none.
    """

    text: str
    is_object: bool
    is_stream: bool
    nodes: tuple[NodeWithScore, ...]
    metadata: Mapping[str, Any]
    answers: tuple[Mapping[str, Any], ...]
    grounding: Mapping[str, Any]

    @classmethod
    def of(cls, response: Any, text: str, found: Sequence[Mapping[str, Any]] = ()) -> KeptResponse:
        """What is to be kept of a response whose whole text is this.

        Args:
            response: The response.
            text: Its text.
            found: LEO's facts of all answers that were given meanwhile; the response names those of its text.
        """
        metadata = dict(response.metadata or {})
        facts = metadata.pop(_LEO, None) or {}
        own = tuple(facts.get("answers", ()))
        return cls(
            text=text,
            is_object=isinstance(response, PydanticResponse),
            is_stream=isinstance(response, StreamingResponse | AsyncStreamingResponse),
            nodes=tuple(response.source_nodes),
            metadata=metadata,
            answers=(*(other for other in found if other not in own), *own),
            grounding=facts.get(_GROUNDING) or {},
        )

    @property
    def is_keepable(self) -> bool:
        """Whether it may be served again: it says something, stands on a node, and nobody abstained on it."""
        abstained = self.grounding.get("action") == "abstained" or any(facts.get("abstained") for facts in self.answers)
        return bool(self.text.strip() and self.nodes) and not abstained

    def to_json(self) -> str:
        """The JSON that :meth:`from_json` reads.

        Raises:
            TypeError: Something is not JSON, or would come back as something else.
        """
        bare = tuple(map(_bare, self.nodes))
        nodes = [{**doc_to_json(found.node), "score": found.score} for found in bare]
        text = json.dumps(
            {
                "text": self.text,
                "is_object": self.is_object,
                "is_stream": self.is_stream,
                "nodes": nodes,
                "metadata": _pack(self.metadata),
                "answers": self.answers,
                "grounding": self.grounding,
            }
        )
        again = KeptResponse.from_json(text)
        if [type(found.node) for found in again.nodes] != [type(found.node) for found in bare]:
            message = "a source node is of a class that LlamaIndex does not read back"
            raise TypeError(message)
        if again.metadata != self.metadata or again.nodes != bare:
            message = "metadata would come back as something else"
            raise TypeError(message)
        return text

    @classmethod
    def from_json(cls, text: str) -> KeptResponse:
        """The response that was kept.

        Raises:
            StoreCorruptError: It is not what :meth:`to_json` writes.
        """
        try:
            kept = json.loads(text)
            nodes = tuple(NodeWithScore(node=json_to_doc(found), score=found["score"]) for found in kept["nodes"])
            return cls(
                text=kept["text"],
                is_object=kept["is_object"],
                is_stream=kept["is_stream"],
                nodes=nodes,
                metadata=_unpack(kept["metadata"]),
                answers=tuple(kept["answers"]),
                grounding=kept["grounding"],
            )
        except (KeyError, TypeError, ValueError) as error:
            message = "a kept response cannot be read"
            raise StoreCorruptError(message) from error

    def to_response(self, facts: Mapping[str, Any], output_cls: type[BaseModel] | None) -> Response | PydanticResponse:
        """A new response with LEO's facts of the hit; those of the answers behind it stand under ``answers``."""
        found = {_GROUNDING: self.grounding} if self.grounding else {}
        metadata = {**self.metadata, _LEO: {**facts, **found, "answers": list(self.answers)}}
        if self.is_object and output_cls is not None:
            parsed = output_cls.model_validate_json(self.text)
            return PydanticResponse(parsed, source_nodes=list(self.nodes), metadata=metadata)
        return Response(self.text, source_nodes=list(self.nodes), metadata=metadata)


def describe_hit(decision: CacheDecision, entry: CacheEntry) -> dict[str, Json]:
    """LEO's facts of an answer that was served from the cache: nothing spent, and what was saved."""
    saved = entry.usage
    return {
        "route": "cache",
        "model": entry.model,
        "risk": decision.error_bound or 0.0,
        "cost_usd": 0.0,
        "saved_usd": saved.cost_usd,
        "cache": {"hit": True, "action": decision.action, "kind": decision.kind, "why": decision.why},
        "receipt": entry.receipt_id or None,
        "answer_id": entry.id,
        "sources": list(entry.sources),
        "saved_usage": {**to_usage_dict(saved), "cost_usd": saved.cost_usd},
    }


def text_of(response: Any) -> str:
    """The text of a response that does not stream; of a pydantic object, its JSON."""
    if isinstance(response, PydanticResponse):
        return "" if response.response is None else response.response.model_dump_json()
    return str(getattr(response, "response", None) or "")


def find_sources(nodes: tuple[NodeWithScore, ...]) -> tuple[str, ...]:
    """Ids of the documents that nodes come from; of a node without one, its own. Sorted."""
    return tuple(sorted({found.node.ref_doc_id or found.node.node_id for found in nodes}))


def measure_usage(answers: tuple[Mapping[str, Any], ...]) -> Usage:
    """What LEO's answers cost together; of an answer that is none of LEO's nothing is known."""
    if not answers:
        return Usage(cost_usd=None)
    return sum((_usage_of(facts) for facts in answers), Usage())


def _usage_of(facts: Mapping[str, Any]) -> Usage:
    tokens = facts.get("usage", {})
    return Usage(
        input_tokens=tokens.get("prompt_tokens", 0),
        output_tokens=tokens.get("completion_tokens", 0),
        calls=1,
        cost_usd=facts.get("cost_usd"),
    )


def _pack(value: Any) -> Any:
    """Metadata as JSON, with the tuples of SQL engines and the choices of routers so that they come back."""
    if isinstance(value, MultiSelection):
        return {_CHOICE: value.model_dump()}
    if isinstance(value, tuple):
        return {_TUPLE: [_pack(inner) for inner in value]}
    if isinstance(value, dict):
        return {name: _pack(inner) for name, inner in value.items()}
    return [_pack(inner) for inner in value] if isinstance(value, list) else value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_CHOICE}:
        return MultiSelection.model_validate(value[_CHOICE])
    if value.keys() == {_TUPLE}:
        return tuple(_unpack(inner) for inner in value[_TUPLE])
    return {name: _unpack(inner) for name, inner in value.items()}


def _bare(found: NodeWithScore) -> NodeWithScore:
    """The node without its embedding, which is many times as large as its text."""
    if found.node.embedding is None:
        return found
    return NodeWithScore(node=found.node.model_copy(update={"embedding": None}), score=found.score)
