"""Everything that a provider can do wrong has its own kind of error, in all four ways of asking."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing

import pytest

from leo_core.errors import (
    AuthenticationError,
    ConfigError,
    InvalidRequestError,
    LEOError,
    MalformedReplyError,
    MissingExtraError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
)
from leo_core.providers import remote
from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.openai import OpenAIModel
from leo_core.records import Constraints, Message, Request
from tests.contracts.model import SECRET, FailureContract, ask
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.brain import Reply, ToolUse
from tests.servers.loopback import Fault, LoopbackServer
from tests.servers.openai_server import OpenAIServer

Model = OpenAIModel | AnthropicModel
MakeModel = Callable[..., Model]
PROVIDERS = {
    "openai": (OpenAIServer, OpenAIModel, "gpt-5-mini"),
    "anthropic": (AnthropicServer, AnthropicModel, "claude-haiku-4-5"),
}
TOOL = {
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> str:
    """Both providers."""
    return str(request.param)


@pytest.fixture
def server(provider: str) -> Iterator[LoopbackServer]:
    """A server of the provider."""
    with PROVIDERS[provider][0]() as server:
        yield server


@pytest.fixture
def make(provider: str, server: LoopbackServer) -> Iterator[MakeModel]:
    """Makes models of the provider that ask the server."""
    made: list[Model] = []

    def make_model(**options: object) -> Model:
        _, kind, name = PROVIDERS[provider]
        settings = {"base_url": server.base_url, "api_key": SECRET, "max_retries": 0, "timeout_s": 60.0, **options}
        made.append(kind(name, **settings))
        return made[-1]

    yield make_model
    for model in made:
        model.close()


class TestFaults(FailureContract):
    """Faults of the wire."""

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault(status=400), InvalidRequestError),
            (Fault(status=404), InvalidRequestError),
            (Fault(status=413), InvalidRequestError),
            (Fault(status=422), InvalidRequestError),
            (Fault(status=401), AuthenticationError),
            (Fault(status=403), AuthenticationError),
            (Fault(status=408), ProviderTimeoutError),
            (Fault(status=409), ProviderUnavailableError),
            (Fault(status=429), RateLimitError),
            (Fault(status=500), ProviderUnavailableError),
            (Fault(status=503), ProviderUnavailableError),
            (Fault(status=529), ProviderUnavailableError),
            (Fault(reset_after=0), ProviderUnavailableError),
            (Fault(reset_after=40), ProviderUnavailableError),
            (Fault(empty=True), MalformedReplyError),
            (Fault(malformed=True), MalformedReplyError),
            (Fault(content_type="text/html", body=b"<html>welcome</html>"), MalformedReplyError),
            (Fault(body=b'["not", "an", "object"]'), MalformedReplyError),
            (Fault(body=b'{"unexpected": "object"}'), MalformedReplyError),
        ],
        ids=lambda value: "" if isinstance(value, type) else str(value).split("(")[1][:60],
    )
    def test_fault(
        self, make: MakeModel, server: LoopbackServer, provider: str, fault: Fault, kind: type[LEOError]
    ) -> None:
        """Each has its kind; the message names provider and model, the cause is kept, secrets are not."""
        server.fault = fault
        model = make()
        error = self.check_raises(model, ask("A private question?"), kind)
        assert isinstance(error, ProviderError)
        assert (error.provider, error.model) == (provider, model.model)
        assert "private question" not in str(error)

    def test_timeout(self, make: MakeModel, server: LoopbackServer) -> None:
        """A server that is silent for too long."""
        server.fault = Fault(delay_s=5)
        self.check_raises(make(timeout_s=0.05), ask("?"), ProviderTimeoutError)

    def test_deadline(self, make: MakeModel, server: LoopbackServer) -> None:
        """The request's own deadline is stricter than the model's timeout, and the SDK does not retry past it."""
        server.fault = Fault(delay_s=5)
        request = ask("?", constraints=Constraints(max_latency_s=0.05))
        self.check_raises(make(max_retries=5), request, ProviderTimeoutError)
        assert 1 <= len(server.requests) <= 4

    def test_slow_drip(self, make: MakeModel, server: LoopbackServer) -> None:
        """A stream whose every piece is in time but whose whole is not."""
        server.brain = lambda _: "word " * 200
        server.fault = Fault(drip_s=0.02)
        request = ask("?", constraints=Constraints(max_latency_s=0.2))
        model = make()
        with pytest.raises(ProviderTimeoutError):
            list(model.stream(request))

        async def drain() -> None:
            async for _ in model.astream(request):
                pass

        with pytest.raises(ProviderTimeoutError):
            asyncio.run(drain())

    def test_retry_after(self, make: MakeModel, server: LoopbackServer) -> None:
        """What a 429 asks for is kept."""
        server.fault = Fault(status=429, retry_after="7")
        error = self.check_raises(make(), ask("?"), RateLimitError)
        assert isinstance(error, RateLimitError)
        assert error.retry_after_s == 7.0
        assert error.retryable

    def test_sdk_retries(self, make: MakeModel, server: LoopbackServer) -> None:
        """A passing fault is retried as often as allowed."""
        server.fault = Fault(status=500, retry_after="0.01", times=2)
        assert make(max_retries=2).generate(ask("?")).text
        assert len(server.requests) == 3

    def test_no_retries_once(self, make: MakeModel, server: LoopbackServer) -> None:
        """The model that makes each call once leaves retries to whoever calls it."""
        server.fault = Fault(status=500, retry_after="0.01")
        with pytest.raises(ProviderUnavailableError):
            make(max_retries=2).once().generate(ask("?"))
        assert len(server.requests) == 1

    def test_no_server(self, make: MakeModel, server: LoopbackServer) -> None:
        """Connection refused."""
        model = make()
        server.close()
        self.check_raises(model, ask("?"), ProviderUnavailableError)

    def test_malformed_arguments(self, make: MakeModel, server: LoopbackServer, provider: str) -> None:
        """Arguments that are no JSON object make the reply malformed."""
        for raw in ('{"a": ', "[1]", "5"):
            server.brain = lambda _, raw=raw: Reply(tool_uses=(ToolUse(name="add", raw=raw),))
            request = ask("?", tools=(TOOL,))
            if provider == "anthropic":  # a whole reply carries them parsed; only a stream can break them
                with pytest.raises(MalformedReplyError, match="add"):
                    list(make().stream(request))
            else:
                self.check_raises(make(), request, MalformedReplyError)

    def test_no_choices(self, make: MakeModel, server: LoopbackServer, provider: str) -> None:
        """A reply without a choice is malformed; without content (Anthropic) it is an empty answer."""
        server.fault = Fault(no_choices=True)
        if provider == "openai":
            self.check_raises(make(), ask("?"), MalformedReplyError)
        else:
            assert make().generate(ask("?")).text == ""

    def test_hidden_key(self, make: MakeModel, server: LoopbackServer) -> None:
        """A refused key is not shown."""
        server.api_key = "another"
        error = self.check_raises(make(), ask("?"), AuthenticationError)
        assert error.__cause__ is not None
        assert all(SECRET not in str(dict(recorded.headers)) for recorded in server.requests)


class TestMidStream(FailureContract):
    """Streams that die after they began."""

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(cut_after_events=5),
            Fault(stop_after_events=5),
            Fault(error_after_events=5),
            Fault(reset_after=1_200),
        ],
        ids=["cut", "stopped", "error event", "reset"],
    )
    def test_dies(self, make: MakeModel, server: LoopbackServer, fault: Fault) -> None:
        """What came is yielded; then the iterator raises."""
        server.brain = lambda _: "one two three four five six seven eight nine ten eleven twelve"
        server.fault = fault
        model = make()
        seen: list[str] = []
        with pytest.raises(ProviderUnavailableError) as caught:  # noqa: PT012 - what came before it counts
            for chunk in model.stream(ask("?")):
                seen.append(chunk.text)
                assert chunk.draft is None
        assert "".join(seen).startswith("one two")
        assert SECRET not in str(caught.value)
        assert asyncio.run(self.collect(model)) == seen

    @staticmethod
    async def collect(model: Model) -> list[str]:
        """Texts that an async stream yields before it dies."""
        seen: list[str] = []
        chunks = model.astream(ask("?"))
        try:
            while True:
                seen.append((await anext(aiter(chunks))).text)
        except ProviderUnavailableError:
            return seen

    def test_early_close_hangs_up(self, make: MakeModel, server: LoopbackServer) -> None:
        """Closing a stream closes its connection, long before the reply is over."""
        server.brain = lambda _: "word " * 5_000
        server.fault = Fault(drip_s=0.02)
        with closing(make().stream(ask("?"))) as chunks:
            assert next(iter(chunks)).text
        assert server.disconnected.wait(60)

    async def test_early_async_close_hangs_up(self, make: MakeModel, server: LoopbackServer) -> None:
        """As above, in a loop."""
        server.brain = lambda _: "word " * 5_000
        server.fault = Fault(drip_s=0.02)
        async with aclosing(make().astream(ask("?"))) as chunks:
            assert (await anext(aiter(chunks))).text
        assert await asyncio.to_thread(server.disconnected.wait, 60)

    async def test_cancelled(self, make: MakeModel, server: LoopbackServer) -> None:
        """A cancelled task stops waiting at once and the model stays usable."""
        server.fault = Fault(delay_s=60, times=1)
        model = make()
        task = asyncio.create_task(model.agenerate(ask("?")))
        assert await asyncio.to_thread(server.asked.wait, 60)
        started = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.perf_counter() - started < 30, "it did not wait for the reply"
        assert (await model.agenerate(ask("?"))).text


class TestBadRequests(FailureContract):
    """Requests that no provider can answer."""

    @pytest.mark.parametrize(
        "request_",
        [
            Request(messages=()),
            Request(messages=(Message(role="wizard", content="?"),)),
            Request(messages=(Message(role="user", content="?"), Message(role="tool", content="3"))),
            ask("a lone \ud800 surrogate"),
            ask("?", options={"metadata": object()}),
            ask("?", options={"metadata": float("nan")}),
            ask("?", tool_choice="any"),
            ask("?", tools=(TOOL,), tool_choice="subtract"),
            ask("?", tools=({"name": "add"},)),
            ask("?", response_format={"type": "xml"}),
        ],
        ids=["empty", "role", "result", "surrogate", "object", "nan", "no tool", "other tool", "half a tool", "format"],
    )
    def test_refused(self, make: MakeModel, server: LoopbackServer, request_: Request) -> None:
        """Refused before anything is sent."""
        self.check_raises(make(), request_, RequestError)
        assert server.requests == []

    def test_surrogate_is_named(self, make: MakeModel) -> None:
        """The message says which, not what else was written."""
        with pytest.raises(RequestError, match=r"U\+D800") as caught:
            make().generate(ask("secret plan \ud800"))
        assert "secret" not in str(caught.value)

    def test_huge_prompt(self, make: MakeModel, server: LoopbackServer) -> None:
        """Two megabytes go through; where the provider refuses them, it is an invalid request."""
        model = make()
        draft = model.generate(ask("word " * 400_000))
        assert draft.text
        server.fault = Fault(status=413)
        self.check_raises(model, ask("word " * 400_000), InvalidRequestError)

    def test_arguments(self, make: MakeModel) -> None:
        """Settings out of range."""
        for options in ({"timeout_s": 0}, {"max_retries": -1}, {"prices": {"gpt-5-mini": {"input": -1, "output": 1}}}):
            with pytest.raises(ConfigError):
                make(**options)


class TestKeysAndExtras:
    """What must be there before the first call."""

    def test_no_key(self, make: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        """Without a key the error says how to give one, in all four ways."""
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
        model = make(api_key=None)
        with pytest.raises(ConfigError, match="API_KEY"):
            model.generate(ask("?"))
        with pytest.raises(ConfigError, match="API_KEY"):
            asyncio.run(model.agenerate(ask("?")))

    def test_key_of_the_environment(
        self, make: MakeModel, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The SDK reads its own variable."""
        server.api_key = SECRET
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
        assert make(api_key=None).generate(ask("?")).text

    def test_missing_package(self, make: MakeModel, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the extra."""
        monkeypatch.setattr(remote.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(MissingExtraError, match=rf"leo-core\[{provider}\]"):
            make()

    def test_address_without_secrets(self, provider: str) -> None:
        """User, password and query of an address stay out of fingerprint and repr."""
        _, kind, name = PROVIDERS[provider]
        model = kind(name, base_url=f"http://user:{SECRET}@127.0.0.1:9/v1/?key={SECRET}", api_key=SECRET)
        shown = repr(model) + json.dumps(dict(model.fingerprint))
        assert SECRET not in shown
        assert "http://127.0.0.1:9/v1" in shown
