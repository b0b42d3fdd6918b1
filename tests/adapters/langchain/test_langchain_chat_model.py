"""LEO as a chat model of LangChain: construction, answers, metadata, tools, errors, concurrency."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import openai as openai_sdk
import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, trim_messages
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ValidationError

import leo_langchain
from leo_core import Budget, LEOConfig, verify_receipt
from leo_core.errors import (
    BudgetExceededError,
    ConfigError,
    NoAnswerError,
    RateLimitError,
    RequestError,
    StreamInterruptedError,
    TenantRequiredError,
)
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.resilience.config import RateLimit, ResilienceConfig
from leo_langchain import ChatLEO, LangChainModel, LEOChatModel, tenant, user
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai, openai_url
from tests.contracts.event_loop import never_blocked
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Asked, Reply, ToolUse, answer_by_default
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

FACTS = {
    "route", "model", "risk", "risk_interval", "novelty", "coherence", "cost_usd", "saved_usd", "cache", "receipt",
    "answer_id",
}  # fmt: skip


class Place(BaseModel):
    """A place."""

    city: str
    inhabitants: int


def fake(*responses: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(responses) or ["fine"])


@pytest.fixture
def model(openai: OpenAIServer) -> Any:
    with LEOChatModel(small="openai:gpt-loopback", base_url=openai.base_url, api_key="sk-secret") as model:
        yield model


# --------------------------------------------------------------------------------------------------- construction


class TestConstruction:
    def test_a_misspelt_argument_is_an_error_with_a_suggestion(self) -> None:
        with pytest.raises(ValidationError, match="no argument 'max_wrong_hit'; did you mean 'max_wrong_hits'"):
            LEOChatModel(small=fake(), max_wrong_hit=0.1)
        with pytest.raises(ValidationError, match="no argument 'zzz'"):
            LEOChatModel(small=fake(), zzz=1)

    @pytest.mark.parametrize(
        "wrong",
        [{"max_wrong_hits": 1.0}, {"max_wrong_hits": -0.1}, {"max_error": 1.5}, {"max_cost_usd": -1}],
    )
    def test_values_out_of_range(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValidationError):
            LEOChatModel(small=fake(), **wrong)

    def test_it_needs_a_member(self) -> None:
        with pytest.raises(ValidationError, match="needs a member"):
            LEOChatModel()

    def test_model_is_the_one_member(self) -> None:
        with LEOChatModel(model="openai:gpt-5-mini", api_key="sk-test") as model:
            assert [member.id for member in model.leo.members] == ["openai:gpt-5-mini"]

    def test_an_unusable_member_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="a member is a name"):
            LEOChatModel(small=object())

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no model is called"):
            _ = LEOChatModel(small="nobody:x").leo

    def test_the_repr_shows_members_and_no_secret(self) -> None:
        model = LEOChatModel(small="openai:a", large="openai:b", jury=["openai:c"], api_key="sk-secret")
        assert repr(model) == "LEOChatModel(small='openai:a', large='openai:b', jury=['openai:c'], store=':memory:')"
        for text in (repr(model), str(model), json.dumps(dict(model._identifying_params)), str(model._get_ls_params())):
            assert "sk-secret" not in text

    def test_a_call_is_told_to_tracers_as_langchain_would_tell_it(self) -> None:
        model = LEOChatModel(small="openai:a", large=fake(), temperature=0.5)
        told = model._get_invocation_params(stop=["END"], tenant="acme")
        assert list(told.items()) == list(
            BaseChatModel._get_invocation_params(model, stop=["END"], tenant="acme").items()
        )
        assert model._get_ls_params()["ls_model_name"] == "openai:a+fakelistchatmodel:FakeListChatModel"

    def test_the_alias(self) -> None:
        assert ChatLEO is LEOChatModel
        assert leo_langchain.__all__ == sorted(leo_langchain.__all__)

    def test_presets(self) -> None:
        model = LEOChatModel.from_preset("private", small=fake())
        assert model.config == LEOConfig.preset("private")
        with pytest.raises(ConfigError, match="no preset"):
            LEOChatModel.from_preset("cheap", small=fake())

    def test_one_object_in_two_roles_is_one_member(self) -> None:
        small, other = chat_openai("http://127.0.0.1:1"), chat_openai("http://127.0.0.1:1", temperature=1.0)
        model = LEOChatModel(small=small, jury=[small, other, "openai:named", "openai:named"], api_key="sk")
        assert [member.id for member in model.leo.members] == [
            "openai:gpt-loopback",
            "openai:gpt-loopback#2",
            "openai:named",
        ]

    def test_members_of_the_core_are_taken_as_they_are(self) -> None:
        scripted, wrapped = ScriptedModel("core", replies=lambda _: "hi"), LangChainModel(fake("hi"))
        with LEOChatModel(small=scripted, large=wrapped) as model:
            assert model.leo.members == (scripted, wrapped)
            assert model.invoke("Hello", route="small").text == "hi"

    def test_settings_per_provider(self, openai: OpenAIServer, anthropic: AnthropicServer) -> None:
        openai.api_key, anthropic.api_key = "sk-o", "sk-a"
        keys, urls = (
            {"openai": "sk-o", "anthropic": "sk-a"},
            {"openai": openai.base_url, "anthropic": anthropic.base_url},
        )
        model = LEOChatModel(
            small="openai:a", large="anthropic:b", api_key=keys, base_url=urls, max_retries=0, timeout=5
        )
        with model:
            model.invoke("Hello", route="small")
            model.invoke("Hello again", route="large")
        assert (len(openai.requests), len(anthropic.requests)) == (1, 1)

    def test_prices_of_the_user(self, openai: OpenAIServer) -> None:
        prices = {"gpt-loopback": {"input": 1.0, "output": 1.0}}
        model = LEOChatModel(small="openai:gpt-loopback", base_url=openai.base_url, api_key="sk", prices=prices)
        with model:
            message = model.invoke("Hello")
        assert message.response_metadata["leo"]["cost_usd"] == message.usage_metadata["total_tokens"] / 1e6

    def test_what_the_engine_was_built_from_cannot_change(self, model: LEOChatModel) -> None:
        model.max_wrong_hits = 0.2
        model.invoke("Hello")
        model.temperature = 0.3
        with pytest.raises(ConfigError, match="make another"):
            model.max_wrong_hits = 0.1
        assert model.model_copy(update={"max_wrong_hits": 0.1}).leo.config.cache.max_wrong_hits == 0.1
        assert model.leo.config.cache.max_wrong_hits == 0.2


class TestCopies:
    def test_it_survives_pickling_before_and_after_use(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        before = pickle.loads(pickle.dumps(model))
        model.invoke("Hello")
        after = pickle.loads(pickle.dumps(model))
        deep = copy.deepcopy(model)
        for twin in (before, after, deep):
            assert twin.leo is not model.leo
            assert twin.invoke("Hello").text
            twin.close()
        assert len(openai.requests) == 4

    def test_a_store_on_disk_is_shared_by_a_pickle(self, openai: OpenAIServer, tmp_path: Path) -> None:
        model = LEOChatModel(
            small="openai:gpt-loopback", base_url=openai.base_url, api_key="sk", store=str(tmp_path / "leo.db")
        )
        with model:
            model.invoke("Hello")
        with pickle.loads(pickle.dumps(model)) as twin:
            assert twin.invoke("Hello").response_metadata["leo"]["cache"]["hit"]
        assert len(openai.requests) == 1

    def test_a_binding_shares_the_engine(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        model.invoke("Hello")
        assert model.with_config(tags=["x"]).invoke("Hello").response_metadata["leo"]["cache"]["hit"]

    def test_close_is_idempotent_and_not_final(self, model: LEOChatModel) -> None:
        model.close()
        model.invoke("Hello")
        model.close()
        model.close()
        assert model.invoke("Hello").text

    async def test_async_context(self) -> None:
        async with LEOChatModel(small=fake("hi")) as model:
            assert (await model.ainvoke("Hello")).text == "hi"
            leo = model.leo
        with pytest.raises(ConfigError, match="closed"):
            leo.ask("Hello")

    def test_threads_build_one_engine(self, model: LEOChatModel) -> None:
        engines: set[int] = set()
        threads = [threading.Thread(target=lambda: engines.add(id(model.leo))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(engines) == 1


class TestIdentity:
    def test_everything_that_changes_the_answer_is_in_it(self) -> None:
        def params(**settings: Any) -> str:
            return json.dumps(
                dict(LEOChatModel(**{"small": "openai:a", **settings})._identifying_params), sort_keys=True
            )

        variants = [
            params(),
            params(small="openai:b"),
            params(small=chat_openai("http://127.0.0.1:1")),
            params(small=chat_openai("http://127.0.0.1:1", temperature=0.3)),
            params(small=ScriptedModel("s", replies=lambda _: "")),
            params(large="openai:b"),
            params(jury=["openai:b", "openai:c"]),
            params(max_wrong_hits=0.2),
            params(max_error=0.2),
            params(max_cost_usd=1.0),
            params(route="small"),
            params(tenant="acme"),
            params(temperature=0.5),
            params(top_p=0.5),
            params(max_tokens=5),
            params(stop=["x"]),
            params(small=None, model="openai:b"),
            params(base_url="http://x"),
            params(cache=False),
            params(use_cache="exact"),
            params(prices={"m": {"input": 1.0, "output": 1.0}}),
            params(config=LEOConfig(audit_rate=0.5)),
        ]
        assert len(set(variants)) == len(variants)
        assert params(api_key="one") == params(api_key="two")
        with tenant("other"):
            assert params() != variants[0]

    def test_tracing_parameters(self) -> None:
        model = LEOChatModel(
            small="openai:a", large="openai:b", jury=["openai:a"], temperature=0.5, max_tokens=9, stop="x"
        )
        assert model._get_ls_params() == {
            "ls_provider": "leo",
            "ls_model_name": "openai:a+openai:b",
            "ls_model_type": "chat",
            "ls_temperature": 0.5,
            "ls_max_tokens": 9,
            "ls_stop": ["x"],
        }
        assert model._get_ls_params(model="m", stop=["y"])["ls_model_name"] == "m"
        assert model._llm_type == "leo"
        assert model.metadata["lc_versions"]["leo-langchain"] == leo_langchain.__version__

    def test_the_profile_is_what_all_members_can(self) -> None:
        one = chat_openai("http://x", profile={"tool_calling": True, "image_inputs": True, "max_input_tokens": 100})
        two = chat_openai("http://x", profile={"tool_calling": True, "image_inputs": False, "max_input_tokens": 50})
        model = LEOChatModel(small=one, large=two)
        assert model.profile == {"tool_calling": True, "image_inputs": False, "max_input_tokens": 50}
        assert LEOChatModel(small=one, large="openai:gpt-5").profile == {}
        assert LEOChatModel(small="openai:gpt-5").profile is None
        own = LEOChatModel(small=ScriptedModel("s", replies=lambda _: "")).profile
        assert own is not None
        assert own["tool_calling"] is True
        assert LEOChatModel(small=one, profile={"tool_calling": False}).profile == {"tool_calling": False}


# --------------------------------------------------------------------------------------------------------- answers


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(name) is str and is_plain(inner) for name, inner in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


class TestAnswers:
    def test_metadata(self, model: LEOChatModel) -> None:
        message = model.invoke("How many days has February in 2028?")
        facts = message.response_metadata["leo"]
        assert facts.keys() >= FACTS
        assert is_plain(facts)
        assert (facts["route"], facts["model"]) == ("small", "gpt-loopback")
        assert {"hit", "why"} <= facts["cache"].keys()
        assert "saved_usage" not in facts
        assert message.response_metadata["model_name"] == "gpt-loopback"
        assert message.response_metadata["finish_reason"] == "stop"
        assert message.id.startswith("lc_run--")

    def test_receipt_explain_feedback(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        message = model.invoke("Hello")
        facts = message.response_metadata["leo"]
        receipt = model.leo.log.get(facts["receipt"])
        verify_receipt(receipt, public_key=model.leo.public_key)
        assert model.leo.explain(message)["receipt"] == facts["receipt"]
        model.leo.flush()
        model.leo.feedback(message, wrong=True)
        model.leo.flush()
        assert not model.invoke("Hello").response_metadata["leo"]["cache"]["hit"]
        assert len(openai.requests) == 2

    def test_a_hit_spends_nothing_and_says_what_it_saved(self, model: LEOChatModel) -> None:
        cold, hit = model.invoke("Hello"), model.invoke("Hello")
        assert hit.text == cold.text
        assert hit.id != cold.id
        assert hit.usage_metadata == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        facts = hit.response_metadata["leo"]
        assert facts["cache"]["hit"] is True
        assert facts["saved_usage"].items() >= dict(cold.usage_metadata).items()
        assert facts["cost_usd"] == 0.0
        assert is_plain(facts)

    async def test_the_four_ways_agree(self, openai: OpenAIServer) -> None:
        for member in ("openai:gpt-loopback", chat_openai(openai.base_url)):
            with LEOChatModel(small=member, base_url=openai.base_url, api_key="sk", cache=False) as model:
                whole = await asyncio.to_thread(model.invoke, "Hello")
                streamed = await asyncio.to_thread(lambda: joined(list(model.stream("Hello"))))
                messages = [await model.ainvoke("Hello"), streamed, joined([c async for c in model.astream("Hello")])]
                for message in messages:
                    assert (message.text, message.usage_metadata) == (whole.text, whole.usage_metadata)
                    for name in ("model_name", "finish_reason"):
                        assert message.response_metadata[name] == whole.response_metadata[name]
                    assert message.response_metadata["leo"].keys() == whole.response_metadata["leo"].keys()

    def test_usage_counts_every_member_that_was_asked(self, openai: OpenAIServer) -> None:
        jury = [chat_openai(openai.base_url, model=name) for name in ("a-1", "b-1", "c-1")]
        with LEOChatModel(jury=jury) as model:
            message = model.invoke("Name a colour.")
            streamed = joined(list(model.stream("Name a number.")))
        assert message.response_metadata["leo"]["route"] == "consensus"
        assert len(openai.requests) == 6
        for whole in (message, streamed):
            assert whole.usage_metadata["output_tokens"] == 3 * 6

    def test_an_idempotency_key_gives_the_same_answer_and_receipt(
        self, model: LEOChatModel, openai: OpenAIServer
    ) -> None:
        asked = {"idempotency_key": "17/1", "cache": False}
        first, again = (model.invoke("Where is order 17?", **asked) for _ in range(2))
        assert len(openai.requests) == 1
        assert "idempotency_key" not in json.dumps(openai.requests[0].body)
        assert again.response_metadata["leo"]["receipt"] == first.response_metadata["leo"]["receipt"]
        assert (again.content, again.usage_metadata["total_tokens"]) == (first.content, 0)

    def test_constraints_and_options_of_a_call(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        model.invoke("Hello", cache=False)
        model.invoke("Hello", cache=False, user="u-1", top_p=0.5, seed=4, max_completion_tokens=9, stop=["x"])
        body = openai.requests[-1].body
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        assert (body["user"], body["top_p"], body["seed"], limit) == ("u-1", 0.5, 4, 9)
        assert body["stop"] in (["x"], "x")
        with pytest.raises(ConfigError, match="no route"):
            model.invoke("Hello", route="scenic")
        with pytest.raises(ConfigError, match="max_error"):
            model.invoke("Hello", max_error=2.0)
        with pytest.raises(BudgetExceededError):
            model.invoke("Something else", max_cost_usd=0.0)

    def test_cache_off(self, openai: OpenAIServer) -> None:
        with LEOChatModel(small=chat_openai(openai.base_url), cache=False) as model:
            model.invoke("Hello")
            hit = model.invoke("Hello")
        assert len(openai.requests) == 2
        assert hit.response_metadata["leo"]["cache"]["action"] == "off"

    def test_members_of_langchain_get_the_messages_unchanged(self, openai: OpenAIServer) -> None:
        image = {"type": "image_url", "image_url": {"url": "http://x/y.png", "detail": "low"}}
        with LEOChatModel(small=chat_openai(openai.base_url)) as model:
            model.invoke([HumanMessage([{"type": "text", "text": "Look"}, image])])
        assert openai.requests[0].body["messages"][0]["content"][1] == image

    def test_exact_only(self, openai: OpenAIServer) -> None:
        with LEOChatModel(small=chat_openai(openai.base_url), use_cache="exact") as model:
            model.invoke("Name a colour, please.")
            assert model.invoke("Name a colour, please.").response_metadata["leo"]["cache"]["hit"]
            near = model.invoke("Please name a colour.").response_metadata["leo"]["cache"]
        assert near["action"] == "miss"

    def test_entry_tags_allow_removal(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        model.invoke("Hello", entry_tags=["doc-7"])
        model.leo.flush()
        assert model.leo.store.remove("default", tags=["doc-7"]) == 1
        model.invoke("Hello")
        assert len(openai.requests) == 2

    def test_entry_sources_and_a_lifetime_are_kept_with_the_entry(
        self, model: LEOChatModel, openai: OpenAIServer
    ) -> None:
        model.invoke("Hello", entry_sources="doc-7", ttl_s=60.0)
        model.leo.flush()
        ((kept,),) = [tuple(model.leo.store.entries("default"))]
        assert (kept.entry.sources, kept.entry.expires_at) == (("doc-7",), kept.entry.created_at + 60.0)
        assert model.leo.cache.invalidate(sources=["doc-7"]) == 1
        model.invoke("Hello", cache="renew")
        assert len(openai.requests) == 2
        assert all("sources" not in str(request.body) for request in openai.requests)

    def test_the_settings_of_resilience_are_reached(self) -> None:
        """As a config, as plain values, and the number of retries as LangChain's own argument."""
        limits = {"s": RateLimit(requests_per_minute=1)}
        small, large = ScriptedModel("s", replies="Hi."), ScriptedModel("l", replies="Hello.")
        config = LEOConfig(resilience=ResilienceConfig(limits=limits, longest_wait_s=0.0))
        with LEOChatModel(small=small, large=large, config=config, route="small", use_cache=False) as model:
            assert [model.invoke("Hello").text for _ in range(2)] == ["Hi.", "Hello."]
        given = {"resilience": {"hedge_after_s": "p95", "limits": {"s": {"requests_per_minute": 1}}}}
        with LEOChatModel(small=small, config=given) as model:
            assert model.leo.config.resilience == ResilienceConfig(hedge_after_s="p95", limits=limits)
        with LEOChatModel(small="openai:gpt-5-mini", api_key="k", max_retries=5) as model:
            assert model.leo.members[0].max_retries == 5

    def test_a_multi_tenant_policy_refuses_a_request_without_one(self) -> None:
        with LEOChatModel(small=fake(), config=LEOConfig(require_tenant=True)) as model:
            with pytest.raises(TenantRequiredError):
                model.invoke("Hello")
            assert model.invoke("Hello", config={"configurable": {"tenant": "acme"}}).text
            with pytest.raises(ConfigError, match="not empty"):
                model.invoke("Hello", config={"configurable": {"tenant": 7}})
            with pytest.raises(ConfigError, match="not empty"), tenant(""):
                pass

    def test_an_empty_name_is_no_tenant(self) -> None:
        with LEOChatModel(small=fake()) as model, pytest.raises(TenantRequiredError):
            model.invoke("Hello", tenant="")
        with pytest.raises(ValidationError, match="tenant is a text that is not empty"):
            LEOChatModel(small=fake(), tenant="")

    async def test_each_user_has_a_budget(self) -> None:
        heard: list[Any] = []

        class Ear(BaseCallbackHandler):
            def on_chat_model_start(self, *given: Any, **facts: Any) -> None:
                heard.append((given, facts))

        member = ScriptedModel("parrot", replies="Hello.", cost=0.01)
        config = LEOConfig(budgets=(Budget(limit_usd=0.01, per="user"),))
        with LEOChatModel(small=member, config=config, callbacks=[Ear()]) as model:
            with user("ann"):
                model.invoke("One?")
                with pytest.raises(BudgetExceededError, match="user/month"):
                    await model.ainvoke("Two?")
                with pytest.raises(BudgetExceededError, match="user/month"):
                    list(model.stream("Two?"))
            for again in (
                lambda: model.invoke("Two?", end_user="ann"),
                lambda: model.invoke("Two?", {"metadata": {"user_id": "ann"}}),
                lambda: (model | StrOutputParser()).invoke("Two?", {"configurable": {"user": "ann"}}),
            ):
                with pytest.raises(BudgetExceededError, match="user/month"):
                    again()
            [_ async for _ in model.astream("Two?", {"configurable": {"user": "bob"}})]
            assert model.invoke("One?", end_user="bob").response_metadata["leo"]["cache"]["hit"]
            with pytest.raises(ConfigError, match="user is a text"), user(""):
                pass
            with user("cleo"):
                model.invoke("Three?")
        assert member.calls == 3
        assert heard
        assert "cleo" not in repr(heard)

    def test_an_empty_prompt_is_refused(self, model: LEOChatModel) -> None:
        with pytest.raises(RequestError):
            model.invoke("")

    def test_sync_calls_inside_a_running_loop(self, model: LEOChatModel) -> None:
        async def main() -> list[str]:
            return [model.invoke("Hello").text, "".join(chunk.text for chunk in model.stream("Hello you"))]

        assert all(asyncio.run(main()))

    async def test_async_paths_never_block_the_loop(self, openai: OpenAIServer, tmp_path: Path) -> None:
        model = LEOChatModel(
            small="openai:gpt-loopback", base_url=openai.base_url, api_key="sk", store=str(tmp_path / "leo.db")
        )
        with never_blocked():
            assert (await model.ainvoke("Hello")).text
            assert (await model.ainvoke("Hello")).response_metadata["leo"]["cache"]["hit"]
            assert [chunk async for chunk in model.astream("Hello")]
            assert [chunk async for chunk in model.astream("Something new")]
            await model.abatch(["a b", "c d", "e f"])
            await model.aclose()

    async def test_async_paths_with_a_langchain_member_never_block(self, openai: OpenAIServer) -> None:
        model = LEOChatModel(small=chat_openai(openai.base_url))
        await model.ainvoke("warm up")
        with never_blocked():
            assert (await model.ainvoke("Hello")).text
            assert [chunk async for chunk in model.astream("Hello you")]
            await model.aclose()

    def test_threads_share_it(self, model: LEOChatModel) -> None:
        answers = model.batch([f"Question {number}" for number in range(8)], config={"max_concurrency": 4})
        assert len({answer.response_metadata["leo"]["answer_id"] for answer in answers}) == 8

    def test_a_stream_may_be_left(self, openai: OpenAIServer) -> None:
        openai.fault = Fault(drip_s=0.05)
        with LEOChatModel(small=chat_openai(openai.base_url)) as model:
            stream = model.stream("Hello")
            next(stream)
            stream.close()
            openai.fault = None
            assert model.invoke("Hello again").text

    def test_messages_are_trimmed_by_its_count_of_tokens(self) -> None:
        history = [HumanMessage("a" * 700), AIMessage("b" * 700), HumanMessage("c" * 700)]
        png = {"type": "image", "base64": "iVBO" * 10_000, "mime_type": "image/png"}

        @tool
        def look_up(city: str) -> str:
            """When the ferry to a city leaves."""
            return city

        with LEOChatModel(small="extractive") as model:
            assert trim_messages(history, max_tokens=460, token_counter=model) == history[1:]
            assert model.get_num_tokens("c" * 700) == 200
            assert 1_600 <= model.get_num_tokens_from_messages([HumanMessage([png])]) < 1_700
            bare = model.get_num_tokens_from_messages(history)
            assert model.get_num_tokens_from_messages(history, tools=[look_up]) > bare
        with LEOChatModel(small="extractive", custom_get_token_ids=lambda text: [0] * len(text.split())) as model:
            assert model.get_num_tokens("a b c") == 3
            assert model.get_num_tokens_from_messages([HumanMessage("a b")]) == 3  # "Human: a b"

    def test_in_a_chain(self, model: LEOChatModel) -> None:
        chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | model | StrOutputParser()
        assert chain.invoke({"question": "Hello"}) == "".join(chain.stream({"question": "Hello"}))

    def test_reasoning_blocks_stream_and_replay(self, anthropic: AnthropicServer) -> None:
        anthropic.brain = lambda _: Reply(text="It is four.", thinking="two and two")
        for member in ("anthropic:claude-loopback", chat_anthropic(anthropic.base_url, thinking={"type": "adaptive"})):
            with LEOChatModel(small=member, base_url=anthropic.base_url, api_key="sk-ant") as model:
                cold = joined(list(model.stream("2+2?")))
                hits = [model.invoke("2+2?"), joined(list(model.stream("2+2?")))]
                live = model.invoke("2+2? Please.")
            for message in (cold, live, *hits):
                kinds = [block["type"] for block in message.content_blocks]
                assert kinds == ["reasoning", "text"], message
                assert message.text == "It is four."
            assert all(hit.response_metadata["leo"]["cache"]["hit"] for hit in hits)


def joined(chunks: list[Any]) -> Any:
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


# -------------------------------------------------------------------------------------------------- tools, schemas


@tool
def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"It is sunny in {city}."


def grounded(asked: Asked) -> Reply:
    """Says what the tool said."""
    return Reply(text="It is sunny in Oslo.") if asked.last_role == "tool" else answer_by_default(asked)


class TestTools:
    def test_tool_calls_replay(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        bound = model.bind_tools([get_weather], tool_choice="any")
        assert isinstance(bound, RunnableBinding)
        cold, hit = bound.invoke("Weather in Oslo?"), bound.invoke("Weather in Oslo?")
        streamed = joined(list(bound.stream("Weather in Oslo?")))
        assert len(openai.requests) == 1
        for message in (cold, hit, streamed):
            assert [(call["name"], call["args"]) for call in message.tool_calls] == [("get_weather", {"city": "Oslo"})]
        assert hit.tool_calls[0]["id"] == cold.tool_calls[0]["id"]

    def test_text_and_tool_calls_stream_apart(self, openai: OpenAIServer) -> None:
        openai.brain = lambda _: Reply(
            text="Let me see.", tool_uses=(ToolUse(name="get_weather", arguments={"city": "X"}),)
        )
        for version in (None, "v1"):
            jury = [chat_openai(openai.base_url, model=name) for name in ("a-1", "b-1")]
            with LEOChatModel(jury=jury, output_version=version) as model:
                whole = joined(list(model.bind_tools([get_weather]).stream("Weather?")))
            assert whole.text == "Let me see."
            assert [call["args"] for call in whole.tool_calls] == [{"city": "X"}]
            assert [block["type"] for block in whole.content_blocks] == ["text", "tool_call"]

    @pytest.mark.parametrize(
        "choice", ["none", "auto", {"type": "function", "function": {"name": "get_weather"}}, True]
    )
    def test_tool_choices(self, model: LEOChatModel, choice: Any) -> None:
        message = model.bind_tools([get_weather], tool_choice=choice).invoke("Weather in Oslo?")
        assert bool(message.tool_calls) == (choice != "none")

    def test_a_tool_choice_that_is_not_understood(self, model: LEOChatModel) -> None:
        with pytest.raises(ConfigError, match="tool_choice"):
            model.bind_tools([get_weather], tool_choice={"type": "?"}).invoke("x")

    def test_strict_and_builtin_tools(self) -> None:
        bound = LEOChatModel(small=fake()).bind_tools([get_weather, {"type": "web_search"}], strict=True)
        assert bound.kwargs["tools"][0]["function"]["strict"] is True
        assert bound.kwargs["tools"][1] == {"type": "web_search"}

    @pytest.mark.parametrize("method", ["function_calling", "json_schema"])
    def test_structured_output(self, model: LEOChatModel, openai: OpenAIServer, method: Any) -> None:
        structured = model.with_structured_output(Place, method=method, include_raw=True)
        cold, hit = (structured.invoke("How big is 'Oslo' with 7 people?") for _ in range(2))
        assert cold["parsed"] == hit["parsed"] == Place(city="Oslo", inhabitants=7)
        assert hit["raw"].response_metadata["leo"]["cache"]["hit"]
        body = openai.requests[0].body
        assert ("tools" in body) == (method == "function_calling")
        assert ("response_format" in body) == (method == "json_schema")

    def test_structured_output_that_does_not_parse(self) -> None:
        with LEOChatModel(small=ScriptedModel("s", replies=lambda _: "no JSON")) as model:
            result = model.with_structured_output(Place, method="json_schema", include_raw=True).invoke("x")
        assert result["parsed"] is None
        assert result["parsing_error"] is not None

    def test_structured_output_refuses_what_it_does_not_know(self, model: LEOChatModel) -> None:
        with pytest.raises(ConfigError, match="no method"):
            model.with_structured_output(Place, method="magic")
        with pytest.raises(ConfigError, match="does not take tools"):
            model.with_structured_output(Place, tools=[])
        with pytest.raises(ConfigError, match="strict"):
            model.with_structured_output(Place, method="json_mode", strict=True)
        with pytest.raises(ConfigError, match="response_format"):
            model.invoke("x", response_format=3)

    def test_an_agent_with_a_tool(self, model: LEOChatModel, openai: OpenAIServer) -> None:
        openai.brain = grounded
        agent = create_agent(model, [get_weather], checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t-1", "tenant": "acme"}}
        result = agent.invoke({"messages": [HumanMessage("Weather in Oslo?")]}, config)
        assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "ai"]
        assert result["messages"][2].content == "It is sunny in Oslo."
        assert len(openai.requests) == 2
        again = agent.invoke(
            {"messages": [HumanMessage("Weather in Oslo?")]}, {"configurable": {"thread_id": "t-2", "tenant": "acme"}}
        )
        assert [message.type for message in again["messages"]] == ["human", "ai", "tool", "ai"]
        assert len(openai.requests) == 2, "the second thread is served from the cache, turn by turn"
        model.leo.flush()
        assert model.leo.store.tenants() == ("acme",)

    async def test_an_agent_streams_messages(self, model: LEOChatModel) -> None:
        agent = create_agent(model, [get_weather])
        inputs: Any = {"messages": [HumanMessage("Weather in Oslo?")]}
        pieces = [piece async for piece, _ in agent.astream(inputs, stream_mode="messages")]
        assert any(isinstance(piece, ToolMessage) for piece in pieces)
        assert "".join(piece.text for piece in pieces if isinstance(piece, AIMessage)).endswith(
            "The tool has answered."
        )

    def test_an_agent_with_the_providers_structured_output(self, openai: OpenAIServer) -> None:
        for member in ("openai:gpt-loopback", chat_openai(openai.base_url)):
            with LEOChatModel(small=member, base_url=openai.base_url, api_key="sk") as model:
                agent = create_agent(model, [], response_format=ProviderStrategy(Place))
                result = agent.invoke({"messages": [HumanMessage("How big is 'Oslo' with 7 people?")]})
            assert result["structured_response"] == Place(city="Oslo", inhabitants=7)


# ----------------------------------------------------------------------------------------------------------- errors


class TestErrors:
    def test_the_only_members_error_comes_through(self, openai: OpenAIServer) -> None:
        openai.fault = Fault(status=429)
        with LEOChatModel(small=chat_openai(openai.base_url)) as model, pytest.raises(RateLimitError) as caught:
            model.invoke("Hello")
        assert isinstance(caught.value.__cause__, openai_sdk.RateLimitError)
        assert caught.value.response.status_code == 429

    def test_another_member_takes_over(self, openai: OpenAIServer, anthropic: AnthropicServer) -> None:
        openai.fault = Fault(status=500)
        with LEOChatModel(small=chat_openai(openai.base_url), large=chat_anthropic(anthropic.base_url)) as model:
            assert model.invoke("Hello", route="small").response_metadata["leo"]["model"] == "claude-loopback"
            text = "".join(chunk.text for chunk in model.stream("Hello you", route="small"))
        assert text

    def test_all_members_failed(self, openai: OpenAIServer, anthropic: AnthropicServer) -> None:
        openai.fault, anthropic.fault = Fault(status=500), Fault(status=401)
        model = LEOChatModel(small=chat_openai(openai.base_url), large=chat_anthropic(anthropic.base_url))
        with model, pytest.raises(NoAnswerError) as caught:
            model.invoke("Hello")
        assert len(caught.value.failures) == 2

    @pytest.mark.parametrize("named", [True, False])
    def test_a_stream_that_dies(self, openai: OpenAIServer, named: bool) -> None:
        openai.fault = Fault(cut_after_events=4)
        member: Any = "openai:gpt-loopback" if named else chat_openai(openai.base_url)
        shown: list[str] = []
        with LEOChatModel(small=member, base_url=openai.base_url, api_key="sk", max_retries=0) as model:
            stream = model.stream("Hello")
            with pytest.raises(StreamInterruptedError) as caught:
                shown.extend(chunk.text for chunk in stream)
        assert caught.value.partial == "".join(shown) != ""


def test_importing_it_loads_no_numba_and_no_sdk() -> None:
    import subprocess

    code = (
        "import sys, leo_langchain; print({'numba', 'openai', 'anthropic', 'leo_core.engine.leo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_urls_are_on_the_loopback() -> None:
    assert openai_url().startswith("http://127.0.0.1:")


def test_the_default_brain_is_asked(openai: OpenAIServer) -> None:
    seen: list[Asked] = []
    openai.brain = lambda asked: seen.append(asked) or Reply(text="ok")
    with LEOChatModel(small=chat_openai(openai.base_url), temperature=0.5) as model:
        model.invoke([("system", "Be brief."), ("human", "Hello")])
    assert seen[0].prompt == "Be brief.\nHello"
