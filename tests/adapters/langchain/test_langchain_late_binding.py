"""What comes with the call: schemas in every member's own form, tools, fields, alternatives, another model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import ConfigurableField, RunnableBinding
from pydantic import BaseModel

from leo_core.errors import CapabilityError, ConfigError
from leo_core.providers.scripted import ScriptedModel
from leo_langchain import LEOChatModel
from tests.adapters.langchain.langchain_servers import chat_anthropic, chat_openai, obey
from tests.contracts.event_loop import never_blocked
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta.*:langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore:Support for class-based `config` is deprecated"),
]


class Place(BaseModel):
    """A place on a map."""

    city: str
    country: str


def weather(city: str) -> str:
    """The weather in a city."""
    return city


class Bindable(GenericFakeChatModel):
    """A chat model of somebody's, which binds tools and knows no schema."""

    seen: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        return self.bind(tools=tools, tool_choice=tool_choice, **kwargs)

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.seen.append((messages, kwargs))
        return super()._generate(messages, *args)


class Servers:
    """One server of each protocol."""

    def __init__(self, openai: OpenAIServer, anthropic: AnthropicServer) -> None:
        self.openai, self.anthropic = openai, anthropic

    def member(self, kind: str) -> dict[str, Any]:
        given: dict[str, Callable[[], Any]] = {
            "openai": lambda: "openai:gpt-core",
            "anthropic": lambda: "anthropic:claude-core",
            "ChatOpenAI": lambda: chat_openai(self.openai.base_url),
            "ChatAnthropic": lambda: chat_anthropic(self.anthropic.base_url),
        }
        urls = {"openai": self.openai.base_url, "anthropic": self.anthropic.base_url}
        return {"small": given[kind](), "base_url": urls, "api_key": "sk-test", "use_cache": False}

    def take_body(self) -> Any:
        (request,) = [*self.openai.requests, *self.anthropic.requests]
        self.openai.requests.clear()
        self.anthropic.requests.clear()
        return request.body


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with OpenAIServer(obey) as openai, AnthropicServer(obey) as anthropic:
        yield Servers(openai, anthropic)


def as_tool(body: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Name, description, strictness and openness of the one tool, and the choice, whatever the protocol."""
    (tool,) = body["tools"]
    inner = tool.get("function", tool)
    schema = inner.get("parameters") or inner["input_schema"]
    choice = body["tool_choice"]
    chosen = choice.get("function", choice)["name"]
    return inner["name"], inner["description"], inner.get("strict"), schema.get("additionalProperties"), chosen


@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize("kind", ["openai", "anthropic", "ChatOpenAI", "ChatAnthropic"])
class TestStructuredOutput:
    def test_function_calling(self, servers: Servers, kind: str, strict: bool | None) -> None:
        with LEOChatModel(**servers.member(kind)) as model:
            place = model.with_structured_output(Place, method="function_calling", strict=strict).invoke("'Bern'")
        assert isinstance(place, Place)
        name, description, sent, further, chosen = as_tool(servers.take_body())
        assert (name, description, chosen) == ("Place", "A place on a map.", "Place")
        assert bool(sent) is bool(strict), "a demand for strictness reaches every provider"
        assert further is (False if strict else None)

    def test_json_schema(self, servers: Servers, kind: str, strict: bool | None) -> None:
        with LEOChatModel(**servers.member(kind)) as model:
            place = model.with_structured_output(Place, method="json_schema", strict=strict).invoke("'Bern'")
        assert isinstance(place, Place)
        body = servers.take_body()
        assert "tools" not in body
        if kind in ("anthropic", "ChatAnthropic"):  # always strict there: the provider has no other kind
            form = body["output_config"]["format"]
            assert form["schema"]["additionalProperties"] is False
        else:
            form = body["response_format"]["json_schema"]
            assert form["description"] == "A place on a map."
            assert bool(form.get("strict")) is bool(strict)
        assert form["schema"]["required"] == ["city", "country"]

    def test_json_mode(self, servers: Servers, kind: str, strict: bool | None) -> None:
        with LEOChatModel(**servers.member(kind)) as model:
            if strict is not None:
                with pytest.raises(ConfigError, match="use 'json_schema'"):
                    model.with_structured_output(Place, method="json_mode", strict=strict)
                return
            place = model.with_structured_output(Place, method="json_mode").invoke("JSON: 'city', 'country'")
        assert isinstance(place, Place)
        body = servers.take_body()
        if kind in ("anthropic", "ChatAnthropic"):  # there is no such mode: it is asked for in words
            assert "one JSON object" in str(body["system"])
        else:
            assert body["response_format"] == {"type": "json_object"}


class TestMembersWithoutAWayOfTheirOwn:
    def bindable(self, **call: Any) -> Bindable:
        reply = AIMessage("", tool_calls=[{"name": "Place", "args": {"city": "Bern", "country": "CH"}, "id": "1"}])
        return Bindable(messages=iter([reply]), **call)

    @pytest.mark.parametrize("method", ["function_calling", "json_schema"])
    @pytest.mark.parametrize("strict", [None, True])
    def test_a_schema_becomes_a_tool(self, method: Any, strict: bool | None) -> None:
        member = self.bindable()
        with LEOChatModel(small=member, use_cache=False) as model:
            place = model.with_structured_output(Place, method=method, strict=strict).invoke("'Bern'")
        assert place == Place(city="Bern", country="CH")
        (tool,) = member.seen[0][1]["tools"]
        assert (tool["function"]["name"], tool["function"].get("strict")) == ("Place", strict)

    def test_beside_tools_a_schema_is_asked_for_in_words_and_never_promised(self) -> None:
        member = self.bindable()
        with LEOChatModel(small=member, use_cache=False) as model:
            wanted = {"type": "json_schema", "json_schema": {"name": "Place", "schema": Place.model_json_schema()}}
            model.bind_tools([weather], response_format=wanted).invoke("'Bern'")
            assert '"required": ["city", "country"]' in member.seen[0][0][0].content
            wanted["json_schema"]["strict"] = True
            with pytest.raises(CapabilityError, match="leave strict out, or take a member"):
                model.bind_tools([weather], response_format=wanted).invoke("'Bern'")

    def test_one_that_can_do_nothing_of_the_kind_says_what_to_do(self) -> None:
        with LEOChatModel(small=FakeListChatModel(responses=["no"]), use_cache=False) as model:
            for method, needed in (("function_calling", "tools"), ("json_schema", "structured_output")):
                with pytest.raises(CapabilityError, match=f"it needs {needed}.*add a member that can"):
                    model.with_structured_output(Place, method=method).invoke("'Bern'")

    def test_one_that_cannot_is_passed_over_for_one_that_can(self, servers: Servers) -> None:
        settings = {**servers.member("ChatOpenAI"), "large": FakeListChatModel(responses=["no"])}
        with LEOChatModel(**settings, max_error=0.0) as model:
            bound = model.with_structured_output(Place)
            assert isinstance(bound.invoke("'Bern'"), Place)
            servers.take_body()
            with pytest.raises(ConfigError, match="route 'large' was forced, but only small can be taken"):
                bound.invoke("'Bern'", route="large")


def test_tools_are_as_strict_as_each_was_bound(servers: Servers) -> None:
    for kind in ("anthropic", "ChatAnthropic", "openai", "ChatOpenAI"):
        with LEOChatModel(**servers.member(kind)) as model:
            one = model.bind_tools([weather], strict=True)
            assert isinstance(one, RunnableBinding)
            other = model.bind_tools([Place])
            assert isinstance(other, RunnableBinding)
            model.invoke("'Bern'", tools=[*one.kwargs["tools"], *other.kwargs["tools"]])
        tools = [tool.get("function", tool) for tool in servers.take_body()["tools"]]
        assert [(tool["name"], bool(tool.get("strict"))) for tool in tools] == [("weather", True), ("Place", False)]


# --------------------------------------------------------------------------------------------- late binding


def echo(name: str) -> ScriptedModel:
    return ScriptedModel(name, lambda request: f"{name} at {request.sampling.temperature} for {request.tenant}")


def test_fields_come_with_the_call_and_the_engine_stays() -> None:
    with LEOChatModel(small=echo("a")) as model:
        late = model.configurable_fields(
            temperature=ConfigurableField(id="temperature"), tenant=ConfigurableField(id="whose")
        )
        config: Any = {"configurable": {"temperature": 0.5, "whose": "acme"}}
        first = late.invoke("Hello", config)
        model.leo.flush()
        again = late.invoke("Hello", config)
        assert first.content == again.content == "a at 0.5 for acme"
        assert again.response_metadata["leo"]["cache"]["hit"], "one engine, one cache"
        assert late.invoke("Hello").content == "a at None for default"
        assert model.leo.log is not None
        assert model.leo.log.size() == 3


async def test_members_come_with_the_call_each_choice_with_an_engine_of_its_own() -> None:
    small, large, other = echo("small"), echo("large"), echo("other")
    async with LEOChatModel(small=small, large=large, route="small") as model:
        late = model.configurable_fields(small=ConfigurableField(id="small"), route=ConfigurableField(id="route"))
        assert (await late.ainvoke("Hello", {"configurable": {"small": other}})).content.startswith("other")
        assert (await late.ainvoke("Hello", {"configurable": {"route": "large"}})).content.startswith("large")
        again = late.invoke("Hello", {"configurable": {"small": other}})
        assert again.content.startswith("other")
        assert other.calls + small.calls <= 2
        with never_blocked():
            pieces = [piece.text async for piece in late.astream("Bye", {"configurable": {"small": other}})]
            events = await late.astream_events("So?", {"configurable": {"small": other}}, version="v3")
            assert (await events.output).text.startswith("other")
        assert "".join(pieces).startswith("other")
        stream = late.stream_events("So?", {"configurable": {"route": "large"}}, version="v3")
        assert stream.output.text.startswith("large")
    assert small.calls == 0


@pytest.mark.parametrize("bind", ["before", "after"])
def test_tools_and_schemas_bind_to_what_the_call_configures(servers: Servers, bind: str) -> None:
    with LEOChatModel(**servers.member("ChatOpenAI")) as model:
        late = model.configurable_fields(temperature=ConfigurableField(id="t"))
        config: Any = {"configurable": {"t": 0.25}}
        if bind == "before":
            late = late.with_config(tags=["x"])  # type: ignore[assignment]  # it stays what it is
        message = late.bind_tools([weather]).invoke("weather in 'Bern'", config)
        assert message.tool_calls[0]["args"] == {"city": "Bern"}
        assert servers.take_body()["temperature"] == 0.25
        place = late.with_structured_output(Place, strict=True).invoke("'Bern'", config)
        body = servers.take_body()
        assert isinstance(place, Place)
        assert (body["temperature"], as_tool(body)[2]) == (0.25, True)


def test_fields_and_alternatives_together_come_with_the_call_bound_or_not() -> None:
    def named(name: str) -> LEOChatModel:
        replies = lambda request: f"{name}, {len(request.tools)} tools, {request.sampling.temperature}"  # noqa: E731 - short
        return LEOChatModel(small=ScriptedModel(name, replies=replies))

    with named("first") as first, named("second") as second:
        fields = first.configurable_fields(temperature=ConfigurableField(id="warmth"))
        late = fields.configurable_alternatives(ConfigurableField(id="llm"), default_key="first", second=second)
        bound = late.bind_tools([weather])
        chosen, warm = {"configurable": {"llm": "second"}}, {"configurable": {"warmth": 0.5}}
        assert [late.invoke("x", each).text for each in (chosen, warm)] == [
            "second, 0 tools, None",
            "first, 0 tools, 0.5",
        ]
        assert [bound.invoke("x", each).text for each in (chosen, warm)] == [
            "second, 1 tools, None",
            "first, 1 tools, 0.5",
        ]


def test_alternatives_come_with_the_call_bound_or_not(servers: Servers) -> None:
    def other() -> LEOChatModel:
        return LEOChatModel(**servers.member("anthropic"))

    with LEOChatModel(**servers.member("openai")) as model:
        late = model.configurable_alternatives(
            ConfigurableField(id="who"), default_key="leo", plain=chat_openai(servers.openai.base_url), lazy=other
        )
        for who, name in (("leo", "gpt-core"), ("plain", "gpt-loopback"), ("lazy", "claude-core")):
            config: Any = {"configurable": {"who": who}}
            late.invoke("Hello", config)
            assert servers.take_body()["model"] == name
            message = late.bind_tools([weather]).invoke("weather in 'Bern'", config)
            assert message.tool_calls[0]["name"] == "weather"
            assert servers.take_body()["model"] == name
            assert isinstance(late.with_structured_output(Place).invoke("'Bern'", config), Place)
            assert servers.take_body()["model"] == name


def test_another_model_comes_with_the_call_or_with_its_configuration(servers: Servers) -> None:
    settings = servers.member("openai") | {"small": None, "model": "openai:gpt-one"}
    with LEOChatModel(**settings) as model:
        model.invoke("Hello")
        assert servers.take_body()["model"] == "gpt-one"
        model.invoke("Hello", model="gpt-two")
        assert servers.take_body()["model"] == "gpt-two"
        late = model.configurable_fields(model=ConfigurableField(id="model"))
        answer = late.invoke("Hello", {"configurable": {"model": "anthropic:claude-three"}})
        assert servers.take_body()["model"] == "claude-three"
        assert answer.response_metadata["leo"]["members"] == ["anthropic:claude-three"]
        late.bind_tools([weather]).invoke("'Bern'", {"configurable": {"model": "openai:gpt-four"}})
        assert servers.take_body()["model"] == "gpt-four"


def test_one_member_and_several_are_not_given_at_once() -> None:
    with pytest.raises(ValueError, match="model= is the one member: give either it, or small="):
        LEOChatModel(model="openai:gpt-5", small=echo("a"))
    late = LEOChatModel(small=echo("a")).configurable_fields(model=ConfigurableField(id="model"))
    with pytest.raises(ValueError, match="model= is the one member"):
        late.invoke([HumanMessage("Hello")], {"configurable": {"model": "openai:gpt-5"}})
