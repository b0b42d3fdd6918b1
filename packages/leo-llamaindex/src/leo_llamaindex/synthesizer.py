"""A response synthesizer that holds every sentence of an answer against the retrieved nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Generator, Iterable
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.response_synthesizers import BaseSynthesizer, ResponseMode, get_response_synthesizer
from llama_index.core.schema import MetadataMode
from llama_index_instrumentation import get_dispatcher

from leo_core.adapting.settings import refuse_unknown
from leo_core.adapting.verifying import ABSTENTION, MARK, VerifiedText, check_verifying
from leo_core.engine.arguments import check_arguments
from leo_core.errors import ConfigError
from leo_core.records import Source
from leo_llamaindex.events import LEOGroundingEvent
from leo_llamaindex.postprocessor import LEONodePostprocessor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.response.schema import RESPONSE_TYPE
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType
    from llama_index.core.schema import NodeWithScore, QueryType
    from llama_index.core.types import RESPONSE_TEXT_TYPE

    from leo_core.adapting.verifying import OnUnsupported
    from leo_core.records import Json

__all__ = ["LEOVerifiedSynthesizer", "verified_query_engine"]

_dispatcher = get_dispatcher(__name__)
_METADATA = "#metadata"
_NEAR = 0.85
"""Likeness from which an option is taken for a misspelt one."""
_OWN = frozenset({"on_unsupported", "max_risk", "abstention", "mark"})
_INNER = frozenset(signature(get_response_synthesizer).parameters) - {"llm", "callback_manager", "verbose"}
"""What LlamaIndex's own synthesizers take."""


class _Synthesis:
    """The nodes of one synthesis, and what was found about its answer: plain values, filled when it is there."""

    def __init__(self, nodes: Sequence[NodeWithScore]) -> None:
        self.sources = _read_nodes(nodes)
        self.facts: dict[str, Json] = {}


_SYNTHESIS: ContextVar[_Synthesis | None] = ContextVar("leo_synthesis", default=None)


class LEOVerifiedSynthesizer(BaseSynthesizer):
    """Lets another synthesizer answer, and holds each sentence of its answer against the retrieved nodes.

    ``response.metadata["leo"]["grounding"]`` says in plain values what was found: ``action``, ``risk`` of the
    answer, and per sentence its text, risk, the spans (node id, characters of the node's text) that bear it out,
    and what speaks against it. A span in the metadata that the LLM was shown has the node id with ``#metadata``
    behind it. Objects (``output_cls``, a structured LLM) pass as they are, and nothing is found about them. Figures
    and limits: ``docs/stages/grounding.md``. A stream is shown sentence by sentence; with ``note`` piece by piece,
    with ``abstain`` at its end.

    Args:
        llm: The LLM that answers; ``Settings.llm`` by default.
        inner: The synthesizer that answers; by default one of ``response_mode``.
        response_mode: Of the default ``inner``.
        streaming: Whether the default ``inner`` streams.
        on_unsupported: ``note`` leaves the text alone, ``mark`` marks unsupported sentences, ``drop`` leaves them out
            (and abstains where none is left), ``abstain`` replaces an answer that is unsupported as a whole.
        max_risk: Risk above which a sentence, or for ``abstain`` the answer, is unsupported, in [0, 1].
        abstention: What an abstention says.
        mark: What is put behind an unsupported sentence.
        callback_manager: LlamaIndex's callbacks.

    Raises:
        ConfigError: ``on_unsupported`` or ``max_risk`` makes no sense.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        inner: BaseSynthesizer | None = None,
        response_mode: ResponseMode | str = ResponseMode.COMPACT,
        streaming: bool = False,
        on_unsupported: OnUnsupported = "mark",
        max_risk: float = 0.5,
        abstention: str = ABSTENTION,
        mark: str = MARK,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        check_verifying(on_unsupported, max_risk, owner="LEOVerifiedSynthesizer")
        own = {"streaming": streaming, "abstention": abstention, "mark": mark}
        check_arguments(own, owner="LEOVerifiedSynthesizer")
        _check_kind("LEOVerifiedSynthesizer", "llm", llm, LLM)
        _check_kind("LEOVerifiedSynthesizer", "inner", inner, BaseSynthesizer)
        self._inner = inner or get_response_synthesizer(
            llm=llm, response_mode=_read_mode(response_mode), streaming=streaming, callback_manager=callback_manager
        )
        super().__init__(
            llm=llm or self._inner._llm,  # noqa: SLF001 - the base class keeps it there and shows it nowhere
            callback_manager=callback_manager,
            streaming=self._inner._streaming,  # noqa: SLF001 - as above
            empty_response=abstention,
        )
        self._settings: dict[str, Any] = {
            "on_unsupported": on_unsupported,
            "max_risk": max_risk,
            "abstention": abstention,
            "mark": mark,
        }

    def _get_prompts(self) -> PromptDictType:
        return self._inner._get_prompts()  # noqa: SLF001 - prompts are named as those of the synthesizer inside

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self._inner._update_prompts(prompts)  # noqa: SLF001 - as above

    def _get_prompt_modules(self) -> PromptMixinType:
        return self._inner._get_prompt_modules()  # noqa: SLF001 - as above

    # ------------------------------------------------------------------------------------------------- with nodes

    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """The verified answer to a query from nodes; without nodes an abstention."""
        with _opened(nodes) as synthesis:
            response = super().synthesize(query, nodes, additional_source_nodes, **response_kwargs)
        return _annotate(response, synthesis, empty=not nodes)

    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """The same, asynchronously."""
        with _opened(nodes) as synthesis:
            response = await super().asynthesize(query, nodes, additional_source_nodes, **response_kwargs)
        return _annotate(response, synthesis, empty=not nodes)

    def _prepare_response_output(
        self, response_str: RESPONSE_TEXT_TYPE | None, source_nodes: list[NodeWithScore]
    ) -> RESPONSE_TYPE:
        response = super()._prepare_response_output(response_str, source_nodes)
        synthesis = _SYNTHESIS.get()
        return response if synthesis is None else _annotate(response, synthesis)

    # ------------------------------------------------------------------------------------------------- with texts

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> RESPONSE_TEXT_TYPE:
        """The verified answer from texts; their ids are their numbers where there are no nodes."""
        given = self._inner.get_response(query_str, text_chunks, **response_kwargs)
        if self._is_object:
            return given
        synthesis = _SYNTHESIS.get()
        if isinstance(given, Generator):
            return self._read(given, query_str, text_chunks, synthesis)
        return self._verify(given, query_str, text_chunks, synthesis) if isinstance(given, str) else given

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """The same, asynchronously."""
        given = await self._inner.aget_response(query_str, text_chunks, **response_kwargs)
        if self._is_object:
            return given
        synthesis = _SYNTHESIS.get()
        if isinstance(given, AsyncGenerator):
            return self._aread(given, query_str, text_chunks, synthesis)
        if isinstance(given, str):
            return await asyncio.to_thread(self._verify, given, query_str, text_chunks, synthesis)
        return given

    @property
    def _is_object(self) -> bool:
        """Whether the text is the JSON of an object, which would not be one any more with marks in it."""
        return isinstance(self._llm, StructuredLLM) or isinstance(self._inner._llm, StructuredLLM)  # noqa: SLF001 - as above

    def _open(self, query: str, chunks: Sequence[str], synthesis: _Synthesis | None) -> VerifiedText:
        sources = [Source(str(at), text) for at, text in enumerate(chunks)] if synthesis is None else synthesis.sources
        return VerifiedText(sources, query, **self._settings)

    def _verify(self, answer: str, query: str, chunks: Sequence[str], synthesis: _Synthesis | None) -> str:
        verified = self._open(query, chunks, synthesis)
        shown = verified.verify(answer)
        _close(verified, synthesis)
        return shown

    def _read(
        self, pieces: Generator[str, None, None], query: str, chunks: Sequence[str], synthesis: _Synthesis | None
    ) -> Generator[str, None, None]:
        """A stream, verified as it comes."""
        verified = self._open(query, chunks, synthesis)
        with closing(pieces):
            for piece in pieces:
                if shown := verified.feed(piece):
                    yield shown
        rest = verified.finish()
        _close(verified, synthesis)
        if rest:
            yield rest

    async def _aread(
        self, pieces: AsyncGenerator[str, None], query: str, chunks: Sequence[str], synthesis: _Synthesis | None
    ) -> AsyncGenerator[str, None]:
        verified = await asyncio.to_thread(self._open, query, chunks, synthesis)
        async with aclosing(pieces):
            async for piece in pieces:
                if shown := await asyncio.to_thread(verified.feed, piece):
                    yield shown
        rest = await asyncio.to_thread(verified.finish)
        _close(verified, synthesis)
        if rest:
            yield rest


def verified_query_engine(
    index: BaseIndex[Any],
    *,
    llm: LLM | None = None,
    synthesizer: LEOVerifiedSynthesizer | None = None,
    postprocessors: Sequence[Any] | None = None,
    **options: Any,
) -> BaseQueryEngine:
    """A query engine over an index whose nodes are checked and whose answers are verified.

    Args:
        index: The index.
        llm: The LLM that answers; ``Settings.llm`` by default.
        synthesizer: By default a :class:`LEOVerifiedSynthesizer`, with those of the ``options`` that are for it.
        postprocessors: What the nodes go through; by default :class:`LEONodePostprocessor`.
        options: ``on_unsupported``, ``max_risk``, ``abstention`` and ``mark`` of :class:`LEOVerifiedSynthesizer`, and
            what ``index.as_query_engine`` takes: ``similarity_top_k``, ``response_mode``, ``streaming``, …

    Raises:
        ConfigError: Options of a synthesizer are given beside ``synthesizer``, or nodes' postprocessors under
            LlamaIndex's own name.
    """
    _check_kind("verified_query_engine", "index", index, BaseIndex)
    _check_kind("verified_query_engine", "llm", llm, LLM)
    _check_kind("verified_query_engine", "synthesizer", synthesizer, LEOVerifiedSynthesizer)
    _check_postprocessors(postprocessors)
    _refuse_misspelt(options)
    if "node_postprocessors" in options or "response_synthesizer" in options:
        message = "verified_query_engine takes postprocessors= and synthesizer="
        raise ConfigError(message)
    own, inner = ({name: options.pop(name) for name in names & options.keys()} for names in (_OWN, _INNER))
    if synthesizer is not None and (own or inner):
        message = f"the synthesizer has its own {', '.join(sorted(own | inner))}: give them to it"
        raise ConfigError(message)
    if synthesizer is None:
        inner["response_mode"] = _read_mode(inner.get("response_mode", ResponseMode.COMPACT))
        synthesizer = LEOVerifiedSynthesizer(llm, inner=get_response_synthesizer(llm=llm, **inner), **own)
    return index.as_query_engine(
        llm=llm,
        response_synthesizer=synthesizer,
        node_postprocessors=[LEONodePostprocessor()] if postprocessors is None else list(postprocessors),
        **options,
    )


def _check_kind(owner: str, name: str, given: object, kind: type) -> None:
    if given is not None and not isinstance(given, kind):
        message = f"{owner}: {name} is of the class {kind.__name__}, not {type(given).__name__}"
        raise ConfigError(message)


def _check_postprocessors(given: Any) -> None:
    listed = isinstance(given, Collection) and not isinstance(given, str)
    if given is not None and not (listed and all(isinstance(each, BaseNodePostprocessor) for each in given)):
        message = "verified_query_engine: postprocessors is a list of node postprocessors"
        raise ConfigError(message)


def _read_mode(given: ResponseMode | str) -> ResponseMode:
    try:
        return ResponseMode(given)
    except ValueError:
        message = f"response_mode is one of {', '.join(mode.value for mode in ResponseMode)}, not {given!r}"
        raise ConfigError(message) from None


def _refuse_misspelt(options: Iterable[str]) -> None:
    """An option that is nearly one of those known here is no index's own: LlamaIndex would take it for nothing."""
    known = {*_OWN, *_INNER, "synthesizer", "postprocessors", "similarity_top_k"}
    near = {name for name in options if name not in known and get_close_matches(name, known, n=1, cutoff=_NEAR)}
    refuse_unknown(sorted(near), known, owner="verified_query_engine")


@contextmanager
def _opened(nodes: Sequence[NodeWithScore]) -> Iterator[_Synthesis]:
    synthesis = _Synthesis(nodes)
    token = _SYNTHESIS.set(synthesis)
    try:
        yield synthesis
    finally:
        _SYNTHESIS.reset(token)


def _read_nodes(nodes: Sequence[NodeWithScore]) -> list[Source]:
    """Texts of the nodes by id, and what the LLM is shown of their metadata; of nodes with one id the first."""
    first = {item.node.node_id: item.node for item in reversed(nodes)}
    found = []
    for node_id, node in reversed(first.items()):
        found.append(Source(node_id, node.get_content(metadata_mode=MetadataMode.NONE)))
        if shown := node.get_metadata_str(mode=MetadataMode.LLM):
            found.append(Source(f"{node_id}{_METADATA}", shown))
    return found


def _close(verified: VerifiedText, synthesis: _Synthesis | None) -> None:
    """Put down what was found and tell LlamaIndex's events."""
    found = verified.grounding
    if found is None:
        return
    facts = verified.describe()
    if synthesis is not None:
        synthesis.facts.update(facts)
    _dispatcher.event(
        LEOGroundingEvent(
            risk=found.risk,
            sentences=len(found.sentences),
            unsupported=sum(not row["supported"] for row in facts["sentences"]),
            action=verified.action,
            node_ids=sorted(
                {span.source_id.removesuffix(_METADATA) for sentence in found.sentences for span in sentence.spans[:1]}
            ),
        )
    )


def _annotate(response: RESPONSE_TYPE, synthesis: _Synthesis, *, empty: bool = False) -> RESPONSE_TYPE:
    """The response with what was found, or will have been at the end of its stream, in its metadata."""
    if empty:
        synthesis.facts.update({"action": "abstained", "risk": 1.0, "sentences": []})
    if response.metadata is None:
        response.metadata = {}
    response.metadata["leo"] = {**response.metadata.get("leo", {}), "grounding": synthesis.facts}
    return response
