"""What an argument cannot be is refused where it is given, in LEO's own errors, and the error says what to give."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index_instrumentation.dispatcher import instrument_tags
from pydantic import ValidationError

import leo_langchain
import leo_llamaindex
from leo_core import LEO
from leo_core.adapting.judging import SETTINGS
from leo_core.adapting.settings import CRITERIA
from leo_core.engine.answer_cache import AnswerCache
from leo_core.engine.arguments import _RULES, check_arguments
from leo_core.errors import ConfigError, LEOError
from leo_langchain import (
    AsyncLEOCallbackHandler,
    LangChainModel,
    LEOCache,
    LEOCacheMiddleware,
    LEOCallbackHandler,
    LEOChatModel,
    LEOEmbeddings,
    LEOGraphCache,
    LEORouterMiddleware,
    LEOToolCacheMiddleware,
    LEOVerifyMiddleware,
)
from leo_llamaindex import (
    LEOLLM,
    LEOCachedQueryEngine,
    LEOEmbedding,
    LEOEventHandler,
    LEOKVStore,
    LEONodePostprocessor,
    LEOVerifiedSynthesizer,
    LlamaIndexModel,
    verified_query_engine,
)

NAN, INF = math.nan, math.inf
NO_NUMBER = ("one", [1], object())
NO_SHARE = (-0.1, 1.1, NAN, True, *NO_NUMBER)
NO_SECONDS = (-1, NAN, INF, True, *NO_NUMBER)
NO_COUNT = (0, -1, 1.5, NAN, True, *NO_NUMBER)
NO_NAME = ("", 7, True, ["acme"])
NO_SWITCH = (2, "perhaps", [1])
NO_LIST = (1, "notify", object())

STORE = {"store": ("", 1, None, [":memory:"])}
KEEPER = {
    "max_wrong_hits": (-0.1, 1.0, NAN, True, *NO_NUMBER),
    "config": ("verified", {}, 1),
    "embedder": ("", 1, object()),
    "listeners": (*NO_LIST, [1]),
    "seal_key": ("", 1, b"0" * 32),
    "privacy": ("sealed", 1),
    "single_flight_wait_s": NO_SECONDS,
    "comparator": ("same", 1, [1]),
    "seed": (1.5, True, "one"),
}
MODEL = {
    "max_wrong_hits": KEEPER["max_wrong_hits"],
    "max_error": NO_SHARE,
    "max_cost_usd": NO_SECONDS,
    "route": ("", "fastest", 1),
    "store": ("", 1, [":memory:"]),
    "signing_key": ("", 1),
    "seal_key": ("", 1),
    "privacy": ("sealed", 1),
    "tenant": NO_NAME,
    "config": ("verified", 1),
    "embedder": ("", 1),
    "listeners": (*NO_LIST, [1]),
    "checker": ("yes", 1),
    "engine_seed": (1.5, True, "one"),
    "prices": ("cheap", [1]),
    "stream_policy": ("", "fast", 1),
    "temperature": (-0.1, NAN, INF, True, *NO_NUMBER),
    "top_p": NO_SHARE,
    "seed": (1.5, True, "one"),
    "max_tokens": NO_COUNT,
    "stop": (1, True, [1], {"a": 1}),
    "timeout": (0, *NO_SECONDS),
    "max_retries": (-1, 1.5, True, "one"),
    "small": (1, ["extractive"]),
    "jury": (1, "extractive", [1]),
}
TTL = {"ttl_s": NO_SECONDS}
TENANT_OF = {"tenant": ("", 1.5, True, ["acme"])}


def index():
    return VectorStoreIndex.from_documents([Document(text="One thing is so.")], embed_model=MockEmbedding(embed_dim=8))


def engine():
    return index().as_query_engine(llm=MockLLM())


ENTRIES = {
    "LEOChatModel": (
        lambda given: LEOChatModel(**{"small": "extractive", **given}),
        {**MODEL, "use_cache": ("near", "renew", 2)},
    ),
    "LEOLLM": (
        lambda given: LEOLLM(**{"small": "extractive", **given}),
        {**MODEL, "cache": ("near", 2), "context_window": NO_COUNT, "num_output": NO_COUNT},
    ),
    "LEOCache": (lambda given: LEOCache(**given), {**STORE, **KEEPER, "tenant": NO_NAME}),
    "LEOCacheMiddleware": (
        lambda given: LEOCacheMiddleware(**given),
        {
            **STORE, **KEEPER, **TTL, **TENANT_OF,
            "share": ("group", 1), "semantic": NO_SWITCH, "namespace": (1, ["a"]),
        },
    ),
    "LEOToolCacheMiddleware": (
        lambda given: LEOToolCacheMiddleware(**{"tools": ["search"], **given}),
        {
            **STORE, **KEEPER, **TENANT_OF,
            "ttl_s": (*NO_SECONDS, {"search": -1}, {"search": "long"}),
            "tools": ("search", [], 1, [1], object()),
            "share": ("group", 1),
            "namespace": (1, ["a"]),
        },
    ),
    "LEOVerifyMiddleware": (
        lambda given: LEOVerifyMiddleware(**{"jury": ["extractive"], **given}),
        {
            **TENANT_OF,
            **{name: KEEPER[name] for name in ("config", "embedder", "listeners", "seal_key", "comparator", "seed")},
            "jury": ("extractive", 1, [1]),
            "large": (1, ["extractive"]),
            "route": ("", "large", "fastest", ["small"], 1),
            "on_overruled": ("", "ignore", 1),
            "on_doubt": ("", "ignore", 1),
            "abstention": (1, ["no"]),
            "max_error": NO_SHARE,
            "hold_tokens": NO_SWITCH,
            "options": ("key", {"api_keys": "k"}),
            "prices": ("cheap", [1]),
            "store": ("", 1),
            "signing_key": ("", 1),
            "checker": ("yes", 1),
        },
    ),
    "LEORouterMiddleware": (
        lambda given: LEORouterMiddleware(**({"small": "extractive"} if "model" not in given else {}) | given),
        {**TENANT_OF, "jury": ("extractive", 1, [1]), "model": ("gpt", 1), "use_cache": ("near", 2), "max_error": (7,)},
    ),
    "LEOGraphCache": (
        lambda given: LEOGraphCache(**given),
        {**STORE, "tenant": NO_NAME, "privacy": ("sealed", 1), "config": ("verified", 1), "serde": ("pickle", 1)},
    ),
    "LEOEmbeddings": (
        lambda given: LEOEmbeddings(**given), {"embedder": ("", "bert", 1), "dimension": (*NO_COUNT, 3, 257)},
    ),
    "LEOCallbackHandler": (lambda given: LEOCallbackHandler(**given), {"max_cost_usd": NO_SECONDS}),
    "AsyncLEOCallbackHandler": (lambda given: AsyncLEOCallbackHandler(**given), {"max_cost_usd": NO_SECONDS}),
    "LangChainModel": (
        lambda given: LangChainModel(**{"model": FakeListChatModel(responses=["yes"]), **given}),
        {"model": ("gpt", 1), "id": NO_NAME, "family": NO_NAME, "prices": ("cheap", [1])},
    ),
    "LEOCachedQueryEngine": (
        lambda given: LEOCachedQueryEngine(**{"engine": engine(), **given}),
        {
            **STORE, **KEEPER,
            "engine": ("engine", 1),
            "invalidation": ("never", 1),
            "version": (1, ["1"]),
            "tenant": NO_NAME,
            "streaming": NO_SWITCH,
        },
    ),
    "LEOEmbedding": (
        lambda given: LEOEmbedding(**given), {"embedder": ("", "bert", 1), "dimension": (*NO_COUNT, 3, 257)},
    ),
    "LEOKVStore": (
        lambda given: LEOKVStore(**given),
        {
            **STORE, **TTL,
            "tenant": NO_NAME, "privacy": ("sealed", 1), "seal_key": ("", 1), "config": ("verified", 1),
        },
    ),
    "LEONodePostprocessor": (
        lambda given: LEONodePostprocessor(**given),
        {
            "top_n": NO_COUNT,
            "agreement": NO_SHARE,
            "duplicate_cosine": (0, -1, NAN, True, "one"),
            "max_injection_risk": (0, -1, NAN, True, "one"),
            "note_injection": NO_SWITCH,
            "embedder": ("", 1),
        },
    ),
    "LEOVerifiedSynthesizer": (
        lambda given: LEOVerifiedSynthesizer(**{"llm": MockLLM(), **given}),
        {
            "llm": ("gpt", 1),
            "inner": ("compact", 1),
            "response_mode": ("", "fast", 1),
            "streaming": NO_SWITCH,
            "on_unsupported": ("", "ignore", 1),
            "max_risk": NO_SHARE,
            "abstention": (1, ["no"]),
            "mark": (1, ["no"]),
        },
    ),
    "LlamaIndexModel": (
        lambda given: LlamaIndexModel(**{"model": MockLLM(), **given}),
        {"model": ("gpt", 1), "id": NO_NAME, "family": NO_NAME, "prices": ("cheap", [1])},
    ),
    "verified_query_engine": (
        lambda given: verified_query_engine(**{"index": index(), "llm": MockLLM(), **given}),
        {
            "index": ("index", 1),
            "llm": ("gpt", 1),
            "synthesizer": ("compact", 1),
            "postprocessors": (1, "order", ["order"]),
            "response_mode": ("", "fast"),
            "max_risk": NO_SHARE,
        },
    ),
}  # fmt: skip
CASES = [(owner, name) for owner, (_, wrong) in ENTRIES.items() for name in wrong]
BY_PYDANTIC = ("LEOChatModel", "LEOLLM", "LEONodePostprocessor", "LEOEmbedding")


def test_every_public_entry_is_here() -> None:
    """What is not: events and records that LEO itself makes, blocks, another name of a class."""
    passed_over = {"ChatLEO", "LEOSummary", "LEOEventHandler", "__version__", "tenant", "user"}
    public = {*leo_langchain.__all__, *leo_llamaindex.__all__} - passed_over
    assert {name for name in public if not name.endswith("Event")} == set(ENTRIES)


@pytest.mark.parametrize(("owner", "name"), CASES)
def test_a_wrong_value_is_refused_where_it_is_given(owner, name) -> None:
    make, wrong = ENTRIES[owner]
    refused, said = (ConfigError, ValidationError) if owner in BY_PYDANTIC else ConfigError, []
    for value in wrong[name]:
        try:
            make({name: value})
        except refused as error:
            said.append(str(error))
        else:
            pytest.fail(f"{owner}({name}={value!r}) is taken")
    assert not [text for text in said if "AnswerKeeper" in text or len(text) < 20]


@pytest.mark.parametrize("owner", ENTRIES)
def test_what_is_right_is_taken(owner) -> None:
    """So that the cases above fail for what is wrong in them."""
    ENTRIES[owner][0]({})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("store", ":memory:"),
        ("store", Path("leo.db")),
        ("max_wrong_hits", 0),
        ("ttl_s", 0),
        ("single_flight_wait_s", 0.0),
        ("max_error", 1.0),
        ("temperature", 2),
        ("max_tokens", 1),
        ("seed", -1),
        ("max_injection_risk", INF),
        ("stop", "END"),
        ("stop", ()),
        ("stop", ["END", "STOP"]),
        ("comparator", lambda question, first, second: True),
        ("comparator", "exact"),
        ("cache", "renew"),
        ("listeners", ()),
        ("jury", (name for name in "ab")),
    ],
)
def test_the_bounds_themselves_are_in(name, right) -> None:
    check_arguments({name: right}, owner="a test")


def test_secrets_are_not_shown() -> None:
    for name in (name for name, rule in _RULES.items() if rule.kind == "secret"):
        with pytest.raises(ConfigError) as caught:
            check_arguments({name: ["sk-very-secret"]}, owner="a test")
        assert "sk-very" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        check_arguments({"signing_key": 123456789}, owner="a test")
    assert "123456789" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- misspelt

MISSPELT = [
    ("LEOChatModel", "temprature", "temperature"),
    ("LEOLLM", "temprature", "temperature"),
    ("LEOCacheMiddleware", "max_wrong_hit", "max_wrong_hits"),
    ("LEOCacheMiddleware", "semantc", "semantic"),
    ("LEOToolCacheMiddleware", "max_wrong_hit", "max_wrong_hits"),
    ("LEOVerifyMiddleware", "signing_kye", "signing_key"),
    ("LEOVerifyMiddleware", "max_eror", "max_error"),
    ("LEORouterMiddleware", "max_eror", "max_error"),
    ("LEOCachedQueryEngine", "single_flight_wait", "single_flight_wait_s"),
    ("LEOCachedQueryEngine", "invalidations", "invalidation"),
    ("LEONodePostprocessor", "topn", "top_n"),
    ("LEOEmbedding", "dimensions", "dimension"),
    ("verified_query_engine", "on_unsuported", "on_unsupported"),
    ("verified_query_engine", "similarity_topk", "similarity_top_k"),
]


@pytest.mark.parametrize(("owner", "given", "meant"), MISSPELT)
def test_a_misspelt_argument_names_the_class_and_the_right_one(owner, given, meant) -> None:
    with pytest.raises((ConfigError, ValidationError)) as caught:
        ENTRIES[owner][0]({given: 1})
    said = str(caught.value)
    assert f"{owner if owner != 'LEORouterMiddleware' else 'LEOChatModel'} has no argument {given!r}" in said
    assert f"did you mean {meant!r}?" in said


@pytest.mark.parametrize(
    "owner", [name for name, (make, _) in ENTRIES.items() if name not in {each for each, _, _ in MISSPELT}]
)
def test_python_itself_names_the_class_of_the_others(owner) -> None:
    with pytest.raises(TypeError, match=owner):
        ENTRIES[owner][0]({"misspelt": 1})


def test_an_event_handler_takes_nothing() -> None:
    with pytest.raises(ConfigError, match="LEOEventHandler has no argument 'budget'"):
        LEOEventHandler(budget=1)


def test_options_of_an_index_pass() -> None:
    verified_query_engine(index(), llm=MockLLM(), similarity_top_k=3, vector_store_query_mode="default", filters=None)


# ---------------------------------------------------------------------------------------------------- calls


@pytest.mark.parametrize("wrong", [{"stop": 5}, {"stop": [1]}, {"entry_tags": 5}, {"cache": ["exact"]}, {"tools": 5}])
async def test_a_wrong_keyword_of_a_call_is_an_error_of_leo(wrong) -> None:
    (name,) = wrong
    with LEOChatModel(small="extractive") as model, LEOLLM(small="extractive") as llm:
        for call in (model.invoke, llm.complete):
            with pytest.raises(LEOError, match=name):
                call("Is it so?", **wrong)
        with pytest.raises(LEOError, match=name):
            await model.ainvoke([HumanMessage("Is it so?")], **wrong)
        with pytest.raises(LEOError, match=name):
            await llm.acomplete("Is it so?", **wrong)


@pytest.mark.parametrize("owner", ["LEOCache", "LEOCachedQueryEngine"])
def test_criteria_are_lists_and_well_spelt(owner) -> None:
    with ENTRIES[owner][0]({}) as cache:
        with pytest.raises(ConfigError, match="did you mean 'tags'"):
            cache.invalidate(tag=["a"])
        with pytest.raises(ConfigError, match=r"tags=\['a'\]"):
            cache.invalidate(tags="a")


@pytest.mark.parametrize("empty", ["", 0])
def test_an_empty_tenant_is_nobody_and_nought_is_somebody(empty) -> None:
    with LEOKVStore(tenant="acme") as store:
        store.put("key", {"value": 1})
        with instrument_tags({"tenant": empty}):
            if empty == "":
                with pytest.raises(ConfigError, match="a tenant is a text that is not empty"):
                    store.delete("key")
            assert store.get("key") is None
        assert store.get("key") == {"value": 1}


# ------------------------------------------------------------------------------------- lists of names are true


def test_the_names_that_are_written_down_are_those_of_the_classes() -> None:
    assert {*inspect.signature(LEO).parameters} - {"small", "large", "jury"} == SETTINGS
    assert {*inspect.signature(AnswerCache.invalidate).parameters} - {"self"} == CRITERIA
