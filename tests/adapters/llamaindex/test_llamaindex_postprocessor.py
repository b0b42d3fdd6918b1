"""The order that agreement gives to nodes."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import ImageNode, NodeWithScore, QueryBundle, TextNode

from leo_core import load_embedder
from leo_core.errors import ConfigError
from leo_llamaindex import LEONodePostprocessor
from leo_llamaindex.testing import record_events
from tests.contracts.event_loop import never_blocked

SAME = ("The capital of France is Paris.", "Paris is the capital city of France.", "France's capital is called Paris.")
ODD = "Bananas are yellow and rich in potassium."


def nodes(*texts: str, scores: Any = None) -> list[NodeWithScore]:
    given = scores or [None] * len(texts)
    return [NodeWithScore(node=TextNode(text=text), score=score) for text, score in zip(texts, given, strict=True)]


def texts(found: list[NodeWithScore]) -> list[str]:
    return [item.node.get_content() for item in found]


def test_what_the_others_bear_out_comes_first() -> None:
    given = nodes(ODD, *SAME)
    found = LEONodePostprocessor(agreement=1.0).postprocess_nodes(given)
    assert texts(found)[-1] == ODD
    assert sorted(texts(found)) == sorted(texts(given))
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert all(0 <= item.score <= 1 for item in found)


def test_nodes_are_new_and_the_old_ones_as_they_were() -> None:
    given = nodes(*SAME, scores=[0.3, 0.2, 0.1])
    found = LEONodePostprocessor().postprocess_nodes(given, query_str="capital?")
    assert not {id(item) for item in found} & {id(item) for item in given}
    assert {id(item.node) for item in found} == {id(item.node) for item in given}
    assert [item.score for item in given] == [0.3, 0.2, 0.1]


def test_the_retriever_has_the_rest_of_the_weight() -> None:
    given = nodes(*SAME, ODD, scores=[0.1, 0.2, 0.3, 0.9])
    assert texts(LEONodePostprocessor(agreement=0.0).postprocess_nodes(given)) == [ODD, *reversed(SAME)]
    assert texts(LEONodePostprocessor(agreement=1.0).postprocess_nodes(given))[-1] == ODD


def test_the_query_stands_in_for_missing_scores() -> None:
    found = LEONodePostprocessor(agreement=0.0).postprocess_nodes(nodes(*SAME, ODD), query_str="yellow bananas")
    assert texts(found)[0] == ODD
    partly = nodes(*SAME, ODD, scores=[0.5, None, 0.7, 0.6])
    assert texts(LEONodePostprocessor(agreement=0.0).postprocess_nodes(partly))[0] == SAME[2]


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_missing(strange: float) -> None:
    """Cosines with an empty vector are such scores."""
    given = nodes(*SAME, scores=[strange, 0.2, 0.6])
    postprocessor = LEONodePostprocessor(agreement=0.0)
    assert [item.score for item in postprocessor.postprocess_nodes(given)] == [1.0, 0.0, 0.0]
    assert texts(postprocessor.postprocess_nodes(given))[0] == SAME[2]


def test_near_duplicates_are_dropped() -> None:
    given = nodes(SAME[0], SAME[0], SAME[0] + " ", ODD)
    assert len(LEONodePostprocessor().postprocess_nodes(given)) == 2
    assert len(LEONodePostprocessor(duplicate_cosine=1.5).postprocess_nodes(given)) == 4
    assert len(LEONodePostprocessor(duplicate_cosine=1.5, top_n=3).postprocess_nodes(given)) == 3


@pytest.mark.parametrize(
    "given",
    [
        ("Alice pays Bob.", "Bob pays Alice."),
        ("The drug is safe for children.", "The drug is not safe for children."),
        ("Revenue in 2021 was 5.2 million euros.", "Revenue in 2022 was 5.3 million euros."),
    ],
)
def test_what_an_embedding_blurs_is_no_repetition(given: tuple[str, str]) -> None:
    """The vectors are the same, as an embedding that sees no order or figures gives them."""
    same = nodes(*given, given[0])
    for item in same:
        item.node.embedding = [1.0, 0.0]
    assert texts(LEONodePostprocessor().postprocess_nodes(same)) == list(given)


def test_pictures_are_not_repetitions_of_each_other_and_bear_nothing_out() -> None:
    pictures = [
        NodeWithScore(node=ImageNode(image_url=f"https://example.org/{name}.png"), score=0.5) for name in "abcd"
    ]
    found = LEONodePostprocessor(agreement=1.0).postprocess_nodes([*pictures, *nodes(*SAME, scores=[0.5] * 3)])
    assert len(found) == 7
    assert sorted(texts(found[:3])) == sorted(SAME)
    assert [item.score for item in found[3:]] == [0.5] * 4


def test_embeddings_of_the_nodes_are_used() -> None:
    given = nodes("a", "b", "c", "d")
    for item, vector in zip(given, ([1.0, 0.0], [2.0, 0.1], [1.0, 0.2], [0.0, 0.0]), strict=True):
        item.node.embedding = vector
    found = LEONodePostprocessor(agreement=1.0, duplicate_cosine=2.0).postprocess_nodes(given)
    assert texts(found)[0] == "b"
    assert texts(found)[-1] == "d"
    given[0].node.embedding = [1.0]
    assert len(LEONodePostprocessor().postprocess_nodes(given)) == 4


async def test_nothing_and_one() -> None:
    postprocessor = LEONodePostprocessor()
    assert postprocessor.postprocess_nodes([]) == []
    assert await postprocessor.apostprocess_nodes([]) == []
    (only,) = postprocessor.postprocess_nodes(nodes("alone"))
    assert only.score == 1.0


async def test_async_agrees_and_does_not_block() -> None:
    postprocessor, given = LEONodePostprocessor(), nodes(ODD, *SAME)
    whole = postprocessor.postprocess_nodes(given, query_bundle=QueryBundle("capital"))
    with never_blocked():
        found = await postprocessor.apostprocess_nodes(given, query_bundle=QueryBundle("capital"))
    assert texts(found) == texts(whole)


async def test_events_and_callbacks() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    postprocessor = LEONodePostprocessor(top_n=2, callback_manager=CallbackManager([debug]))
    with record_events() as seen:
        postprocessor.postprocess_nodes(nodes(*SAME))
        await postprocessor.apostprocess_nodes(nodes(*SAME))
    assert seen.names["ReRankStartEvent"] == seen.names["ReRankEndEvent"] == 2
    (start, *_) = [event for event in seen.events if type(event).__name__ == "ReRankStartEvent"]
    assert (start.top_n, start.query, start.model_name) == (2, None, "LEONodePostprocessor")
    (end, *_) = [event for event in seen.events if type(event).__name__ == "ReRankEndEvent"]
    assert len(end.nodes) == 2
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 2


def test_embedders_and_settings() -> None:
    own = LEONodePostprocessor(embedder=load_embedder("hashed", dimension=64))
    assert len(own.postprocess_nodes(nodes(*SAME))) == 3
    assert own.to_dict()["embedder"] == "default"
    assert LEONodePostprocessor(embedder="hashed").to_dict()["embedder"] == "hashed"
    assert LEONodePostprocessor.from_dict(own.to_dict()).to_dict() == own.to_dict()
    with pytest.raises(ConfigError, match="did you mean 'top_n'"):
        LEONodePostprocessor(top_m=3)
    with pytest.raises(ConfigError, match=r"embedder is a name .* not 3"):
        LEONodePostprocessor(embedder=3)
