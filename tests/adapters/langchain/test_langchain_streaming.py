"""Streams of the chat model: policies, corrections, protocol events with the receipt, and what later turns see."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

from leo_core import verify_receipt
from leo_core.adapting.corrections import WITHDRAWN
from leo_core.providers.scripted import ScriptedModel
from leo_langchain import LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai
from tests.contracts.event_loop import never_blocked
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply
from tests.servers.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore:Support for class-based `config` is deprecated"),
]

WRONG, RIGHT = "It is Sydney.", "It is Canberra."
QUESTION = "What is the capital of Australia?"
WAYS = ("stream_events", "astream_events")


def overruled(**settings: Any) -> LEOChatModel:
    """A small member whose words are shown, and a large one that says otherwise."""
    named = {"route": "cascade", "max_error": 0.0, "stream_policy": "optimistic", **settings}
    return LEOChatModel(small=ScriptedModel("small", WRONG), large=ScriptedModel("large", RIGHT), **named)


async def read(model: Any, way: str, prompt: Any = QUESTION, **kwargs: Any) -> tuple[list[Any], AIMessage, str]:
    """All events of the third version, the assembled message, and the text as it was shown."""
    if way == "stream_events":
        stream = model.stream_events(prompt, version="v3", **kwargs)
        events = list(stream)
        return events, stream.output, str(stream.text)
    with never_blocked():
        stream = await model.astream_events(prompt, version="v3", **kwargs)
        events = [event async for event in stream]
        return events, await stream.output, await stream.text


def values(message: AIMessage) -> list[dict[str, Any]]:
    return [block["value"] for block in message.content_blocks if block["type"] == "non_standard"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("member", ["openai", "anthropic", "core"])
async def test_the_events_of_an_answer_end_with_its_facts(
    way: str, member: str, openai: OpenAIServer, anthropic: AnthropicServer
) -> None:
    small = {
        "openai": lambda: chat_openai(openai.base_url),
        "anthropic": lambda: chat_anthropic(anthropic.base_url),
        "core": lambda: "openai:gpt-core",
    }[member]()
    with LEOChatModel(small=small, base_url=openai.base_url, api_key="sk-test") as model:
        await model.ainvoke("Warm up, please.")
        for hit in (False, True):
            events, message, shown = await read(model, way)
            assert_valid_event_stream(events)
            (facts,) = values(message)
            assert facts.pop("type") == "leo"
            assert facts == message.response_metadata["leo"]
            assert facts["cache"]["hit"] is hit
            receipt = model.leo.log.get(facts["receipt"]) if model.leo.log else None
            assert receipt is not None
            verify_receipt(receipt, public_key=model.leo.public_key, contents={"answer": message.text})
            assert shown == message.text == "Hello, this is a short answer."
            assert message.id is not None
            assert message.id.startswith("lc_run-")
            assert message.usage_metadata is not None
            model.leo.flush()


@pytest.mark.filterwarnings("ignore:astream_events version='v1' is deprecated")
async def test_events_of_the_older_versions_have_no_such_block() -> None:
    with LEOChatModel(small=ScriptedModel("small", RIGHT)) as model:
        for version in ("v1", "v2"):
            events = [event async for event in model.astream_events(QUESTION, version=version)]
            pieces = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
            assert reduce(add, pieces).content == RIGHT
        assert reduce(add, model.stream(QUESTION)).content == RIGHT


class Handler(BaseCallbackHandler):
    """Hears protocol events, so that LangChain takes the way over events for ``invoke`` too."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_stream_event(self, event: Any, **_: Any) -> None:
        self.events.append(event)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["core", "openai", "anthropic"])
async def test_words_that_are_overruled_are_withdrawn_from_the_message(
    way: str, provider: str, openai: OpenAIServer, anthropic: AnthropicServer
) -> None:
    openai.brain = anthropic.brain = lambda _: Reply(text=WRONG)
    small = {
        "core": lambda: ScriptedModel("small", WRONG),
        "openai": lambda: chat_openai(openai.base_url, model="small"),
        "anthropic": lambda: chat_anthropic(anthropic.base_url, model="small"),
    }[provider]()
    heard = Handler()
    with LEOChatModel(
        small=small,
        large=ScriptedModel("large", RIGHT),
        route="cascade",
        max_error=0.0,
        stream_policy="optimistic",
    ) as model:
        await model.ainvoke("Warm up, please.")
        events, message, shown = await read(model, way, config={"callbacks": [heard]})
    assert_valid_event_stream(events)
    assert message.text == RIGHT
    assert shown == WRONG + WITHDRAWN + RIGHT
    withdrawn, correction, facts = values(message)
    assert withdrawn["block"]["text"] == WRONG + WITHDRAWN
    name = {"core": "small", "openai": "openai:small", "anthropic": "anthropic:small"}[provider]
    assert correction == {"type": "leo_correction", "reason": "overruled", "member": name}
    assert facts["stream"] == {"policy": "optimistic", "corrected": {"reason": "overruled", "member": name}}
    assert heard.events[: len(events) - 1] == events[:-1], "the last one may be told later"
    kinds = [(event["event"], event["index"]) for event in events if "index" in event]
    assert kinds.index(("content-block-finish", 1)) < kinds.index(("content-block-start", 2)), "it is told at once"


def test_chunks_of_a_corrected_stream_say_so_to_programs_and_to_readers() -> None:
    with overruled() as model:
        whole = reduce(add, model.stream(QUESTION))
        text = (model | StrOutputParser()).invoke(QUESTION, config={"callbacks": []})
        assert (StrOutputParser().invoke(whole), text) == (WRONG + WITHDRAWN + RIGHT, RIGHT)
    assert values(whole) == [{"type": "leo_correction", "reason": "overruled", "member": "small"}]
    assert whole.response_metadata["leo"]["stream"]["corrected"]["reason"] == "overruled"


@pytest.fixture
def replies() -> dict[str, Any]:
    """A stream, events, and a corrected one of each, beside what ``invoke`` gives."""
    with LEOChatModel(small=ScriptedModel("small", RIGHT)) as model:
        plain = model.stream_events(QUESTION, version="v3")
        list(plain)
        found = {
            "invoke": model.invoke(QUESTION),
            "events": plain.output,
            "stream": reduce(add, model.stream(QUESTION)),
        }
    with overruled() as model:
        corrected = model.stream_events(QUESTION, version="v3")
        list(corrected)
        found |= {"corrected events": corrected.output, "corrected stream": reduce(add, model.stream(QUESTION))}
    return found


def test_leos_blocks_reach_no_provider_and_change_no_key(
    replies: dict[str, Any], openai: OpenAIServer, anthropic: AnthropicServer
) -> None:
    members = {
        "core": "openai:gpt-core",
        "openai": chat_openai(openai.base_url),
        "anthropic": chat_anthropic(anthropic.base_url),
    }
    for name, small in members.items():
        server: Any = anthropic if name == "anthropic" else openai
        server.requests.clear()
        with LEOChatModel(small=small, base_url=openai.base_url, api_key="sk-test") as model:
            answers = []
            for reply in replies.values():
                answers.append(model.invoke([HumanMessage(QUESTION), reply, HumanMessage("And of Austria?")]))
                model.leo.flush()
        assert [answer.response_metadata["leo"]["cache"]["hit"] for answer in answers] == [False, *[True] * 4]
        (request,) = server.requests
        assert "leo" not in str(request.body["messages"])
        assert "Sydney" not in str(request.body["messages"])


def test_leos_blocks_do_not_reach_a_provider_in_any_form_of_history(
    replies: dict[str, Any], openai: OpenAIServer, anthropic: AnthropicServer
) -> None:
    for reply in replies.values():
        for server, small in (
            (openai, chat_openai(openai.base_url)),
            (anthropic, chat_anthropic(anthropic.base_url)),
        ):
            server.requests.clear()
            with LEOChatModel(small=small, use_cache=False) as model:
                model.invoke([HumanMessage(QUESTION), reply, HumanMessage("And of Austria?")])
            sent = server.requests[0].body["messages"]
            assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
            assert RIGHT in str(sent[1])
            assert "leo" not in str(sent)
            assert "Sydney" not in str(sent)


def test_a_conversation_with_tools_goes_on_after_events(openai: OpenAIServer) -> None:
    def weather(city: str) -> str:
        """The weather in a city."""
        return city

    with LEOChatModel(small=chat_openai(openai.base_url), use_cache=False) as model:
        bound = model.bind_tools([weather])
        stream = bound.stream_events("weather in 'Bern'", version="v3")
        assert_valid_event_stream(list(stream))
        call = stream.output.tool_calls[0]
        turns = [HumanMessage("weather"), stream.output, ToolMessage("Rain", tool_call_id=call["id"])]
        assert bound.invoke(turns).text == "The tool has answered."
    assert "leo" not in str(openai.requests[-1].body["messages"])


@pytest.mark.parametrize(("policy", "asked"), [("optimistic", 0), ("cascade", 1), ("verified", 1)])
def test_the_policy_is_the_calls_or_the_models(policy: str, asked: int) -> None:
    for given, kwargs in (({"stream_policy": policy}, {}), ({}, {"stream_policy": policy})):
        large = ScriptedModel("large", RIGHT)
        with LEOChatModel(
            small=ScriptedModel("small", RIGHT), large=large, route="cascade", max_error=0.0, **given
        ) as m:
            chunks = m.stream(QUESTION, **kwargs)
            next(chunks)
            assert large.calls == asked
            facts = list(chunks)[-1].response_metadata["leo"]
        assert facts["stream"] == {"policy": policy, "corrected": None}
