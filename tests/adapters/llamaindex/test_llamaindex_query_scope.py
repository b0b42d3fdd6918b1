"""The scope of a cached query engine: engines share answers only where nothing differs that can change one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.llms.mock import MockLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import BaseModel

from leo_core.providers.scripted import ScriptedModel
from leo_llamaindex import LEOLLM, LEOCachedQueryEngine, LEOEmbedding, LEONodePostprocessor, verified_query_engine
from leo_llamaindex._engine_parts import read_engine
from leo_llamaindex.members import LlamaIndexModel
from tests.adapters.llamaindex.engines import route


class Ferry(BaseModel):
    """A ferry."""

    leaves: str


class Ticket(BaseModel):
    """A ticket."""

    price: int


class Applied(BaseNodePostprocessor):
    """Applies a function to the nodes."""

    function: Any

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        found: list[NodeWithScore] = self.function(nodes)
        return found


def cut(nodes: list[NodeWithScore], most: int) -> list[NodeWithScore]:
    return nodes[:most]


def cutting(most: int) -> Callable[[list[NodeWithScore]], list[NodeWithScore]]:
    return lambda nodes: nodes[:most]


class Cutter:
    """Holds a setting that one of its methods uses."""

    def __init__(self, most: int) -> None:
        self.most = most

    def cut(self, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        return nodes[: self.most]


@dataclass(slots=True)
class Slotted:
    """Holds a setting outside ``__dict__``."""

    most: int

    def __call__(self, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        return nodes[: self.most]


def prompted(**settings: Any) -> dict[str, Any]:
    template = PromptTemplate("{context_str} {query_str} {tone}", **{"tone": "calm"} | settings)
    return {"text_qa_template": template}


@pytest.fixture
def index() -> VectorStoreIndex:
    Settings.embed_model = LEOEmbedding()
    texts = {"one": "The ferry leaves at 9:40.", "two": "A day ticket costs 12 euros."}
    return VectorStoreIndex.from_documents([Document(text=text, id_=name) for name, text in texts.items()])


def model(**settings: Any) -> LEOLLM:
    return LEOLLM(small=ScriptedModel("parrot", replies=lambda request: "It leaves at 9:40."), cache=False, **settings)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"llm": model().as_structured_llm(Ferry)}, {"llm": model().as_structured_llm(Ticket)}),
        ({"llm": model().as_structured_llm(Ferry)}, {"llm": model(temperature=0.3).as_structured_llm(Ferry)}),
        ({"llm": MockLLM(completion_to_prompt=str.upper)}, {"llm": MockLLM(completion_to_prompt=str.lower)}),
        (
            prompted(function_mappings={"tone": lambda **_: "in French"}),
            prompted(function_mappings={"tone": lambda **_: "in German"}),
        ),
        (
            prompted(template_var_mappings={"context_str": "context_str", "query_str": "query_str"}),
            prompted(template_var_mappings={"context_str": "query_str", "query_str": "context_str"}),
        ),
        (prompted(output_parser=PydanticOutputParser(Ferry)), prompted(output_parser=PydanticOutputParser(Ticket))),
        *(
            ({"node_postprocessors": [Applied(function=few)]}, {"node_postprocessors": [Applied(function=many)]})
            for few, many in (
                (functools.partial(cut, most=1), functools.partial(cut, most=2)),
                (cutting(1), cutting(2)),
                (Cutter(1).cut, Cutter(2).cut),
                (Slotted(1), Slotted(2)),
                (lambda nodes: nodes[:1], lambda nodes: nodes[:2]),
            )
        ),
    ],
    ids=[
        "schema", "inner-llm", "to-prompt", "computed-word", "named-words", "parser", "partial", "closure", "method",
        "slots", "lambda",
    ],
)  # fmt: skip
def test_engines_that_differ_in_one_part_share_nothing(index: VectorStoreIndex, one: Any, other: Any) -> None:
    given = {"llm": MockLLM()}
    first, second = (read_engine(index.as_query_engine(**given | parts)).settings for parts in (one, other))
    assert first != second
    assert read_engine(index.as_query_engine(**given | one)).settings == first


def test_settings_and_indexes_are_seen_however_deep_an_engine_stands(index: VectorStoreIndex) -> None:
    def deep(top_k: int) -> BaseQueryEngine:
        retriever = index.as_retriever(similarity_top_k=top_k)
        fused = QueryFusionRetriever([retriever], llm=MockLLM(), num_queries=1)
        engine: BaseQueryEngine = RetrieverQueryEngine.from_args(fused, llm=MockLLM())
        for _ in range(6):
            engine = route(engine)
        return engine

    few, many = read_engine(deep(1)), read_engine(deep(2))
    assert few.settings != many.settings
    assert few.indexes == (index,)


class Holding(BaseRetriever):
    """Holds what it finds, and much else."""

    def __init__(self, held: list[Any]) -> None:
        self.held = held
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return []


@pytest.mark.parametrize("much", [[TextNode(text=str(at)) for at in range(3_000)], [Cutter(at) for at in range(3_000)]])
def test_settings_and_indexes_are_seen_however_much_stands_before_them(
    index: VectorStoreIndex, much: list[Any]
) -> None:
    def fused(top_k: int) -> BaseQueryEngine:
        retrievers = [Holding(much), index.as_retriever(similarity_top_k=top_k)]
        return RetrieverQueryEngine.from_args(
            QueryFusionRetriever(retrievers, llm=MockLLM(), num_queries=1), llm=MockLLM()
        )

    few, many = read_engine(fused(1)), read_engine(fused(2))
    assert few.settings != many.settings
    assert few.indexes == (index,)


def test_a_set_is_the_same_setting_in_every_order(index: VectorStoreIndex) -> None:
    words = [f"word {at}" for at in range(8)]
    first, again = (
        read_engine(index.as_query_engine(llm=MockLLM(), node_postprocessors=[Applied(function=set(given))])).settings
        for given in (words, words[::-1])
    )
    assert first == again
    kept: Any = first
    assert kept["_node_postprocessors"][0]["function"] == words


def test_answers_of_members_that_write_their_prompts_otherwise_are_not_shared() -> None:
    one, other = (
        LlamaIndexModel(MockLLM(messages_to_prompt=to_prompt)).fingerprint
        for to_prompt in (lambda messages: f"[INST] {messages}", lambda messages: f"<s> {messages}")
    )
    assert one != other


def test_what_a_function_holds_is_not_shown() -> None:
    def holding(word: str, api_key: str) -> Callable[[Any], str]:
        return lambda messages: f"{word} {api_key} {messages}"

    found = [
        LlamaIndexModel(MockLLM(messages_to_prompt=holding(*given))).fingerprint
        for given in (("hidden", "one"), ("hidden", "other"), ("shown", "one"))
    ]
    assert found[0] == found[1] != found[2]
    assert "hidden" not in str(found[0])


def test_engines_with_leos_own_parts_are_served_from_their_second_question_on(index: VectorStoreIndex) -> None:
    """What they load when they are first used is no setting."""
    inner = verified_query_engine(index, llm=model(), postprocessors=[LEONodePostprocessor()])
    with LEOCachedQueryEngine(LEOCachedQueryEngine(inner)) as engine:
        for _ in range(2):
            engine.query("When does the ferry leave?")
            engine.flush()
        assert engine.counts == {"cache.miss": 1, "cache.hit": 1}
