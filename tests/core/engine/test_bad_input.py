"""Bad input and failing surroundings: each has one defined outcome, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import importlib.util
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from leo_core import LEO, LEOConfig, Message, Request, Route, verify_receipt
from leo_core.errors import (
    CapabilityError,
    ConfigError,
    LEOError,
    MalformedReplyError,
    MissingExtraError,
    NoAnswerError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    RequestError,
    SigningKeyError,
    StorageError,
    StoreCorruptError,
    StoreLockedError,
    StoreMismatchError,
    StreamInterruptedError,
)
from leo_core.providers.anthropic import AnthropicModel
from leo_core.providers.openai import OpenAIModel
from leo_core.providers.scripted import ScriptedModel
from leo_core.records import Capabilities, Constraints, Draft, ToolCall, Usage
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.stages.resilience.config import ResilienceConfig
from leo_core.storage.database import Database
from leo_core.storage.receipt_log import SqliteReceiptLog
from leo_core.storage.sqlite import SqliteStore
from tests.servers.anthropic_server import AnthropicServer
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

QUESTION = "How many days does February have in 2028?"
CALL = ToolCall(id="c1", name="f", arguments={})
LONE = "\ud800"
REQUIRED = LEOConfig(receipts=ReceiptConfig(required=True))


def model(name="parrot", reply="The answer is 29.", **settings):
    return ScriptedModel(name, replies=reply, **settings)


def user(content="go on", **more):
    return Message(role="user", content=content, **more)


def ways(leo):
    """Ask in all four ways; each way returns the answer or raises."""

    def stream(prompt, **settings):
        return list(leo.stream(prompt, **settings))[-1].answer

    def aask(prompt, **settings):
        return asyncio.run(leo.aask(prompt, **settings))

    def astream(prompt, **settings):
        async def collect():
            return [chunk async for chunk in leo.astream(prompt, **settings)]

        return asyncio.run(collect())[-1].answer

    return {"ask": leo.ask, "stream": stream, "aask": aask, "astream": astream}


WAYS = ("ask", "stream", "aask", "astream")


# ------------------------------------------------------------------------------------------------- requests

BAD_PROMPTS = {
    "empty": ("", "no content"),
    "blank": (" \n", "no content"),
    "no messages": ([], "no messages"),
    "huge": ("x" * 5001, "max_prompt_chars=5000"),
    "surrogate": ("a" + LONE, "unpaired surrogate at character 1"),
    "a number": (3, "not int"),
    "bytes": (b"abc", "needs the form"),
    "unknown role": ([{"role": "wizard", "content": "hi"}], "unknown role 'wizard'"),
    "role of a wrong type": ([{"role": ["user"], "content": "hi"}], "unknown role"),
    "record with a role of a wrong type": ([Message(role=["user"], content="hi")], "unknown role"),
    "content of a wrong type": ([{"role": "user", "content": 42}], "not int"),
    "record with content of a wrong type": ([Message(role="user", content=b"abc")], "not bytes"),
    "a number among blocks": ([{"role": "user", "content": ["hello", 3]}], "content block"),
    "a string among a record's blocks": ([user(("hello", {"type": "text", "text": "x"}))], "content block"),
    "a block without type": ([user(({"text": "hi"},))], "content block"),
    "a text block without text": ([user(({"type": "text", "text": 3},))], "text block without text"),
    "bytes in a block": ([user(({"type": "image", "data": b"x"},))], "bytes, which is not JSON"),
    "a number that is none": ([user(({"type": "text", "text": "x", "at": float("nan")},))], "nan"),
    "a key that is no text": ([user(({"type": "text", "text": "x", 3: 4},))], "key 3 must be text"),
    "a surrogate in a block": ([user(({"type": "image", "url": LONE},))], "unpaired surrogate"),
    "a surrogate in a name": ([user("x", name=LONE)], "unpaired surrogate"),
    "tool calls that are none": ([{"role": "assistant", "tool_calls": [3]}], "tool call without"),
    "tool calls in no list": ([{"role": "assistant", "tool_calls": 3}], "must be a list"),
    "tool arguments that are no object": (
        [{"role": "assistant", "tool_calls": [{"id": "a", "name": "f", "arguments": "[1]"}]}],
        "JSON arguments",
    ),
    "a tool call without result": ([user(), Message(role="assistant", tool_calls=(CALL,)), user()], "without results"),
    "a result without tool call": ([user(), Message(role="tool", tool_call_id="c9", content="3")], "nobody made"),
    "a surrogate in tool arguments": (
        [
            user(),
            Message(role="assistant", tool_calls=(replace(CALL, arguments={"x": [LONE]}),)),
            Message(role="tool", tool_call_id="c1", content="3"),
        ],
        "unpaired surrogate",
    ),
    "tool arguments of a record that are no mapping": (
        [
            user(),
            Message(role="assistant", tool_calls=(replace(CALL, arguments=[1]),)),
            Message(role="tool", tool_call_id="c1", content="3"),
        ],
        "must be a mapping",
    ),
    "no message at all": (Request(messages=({"role": "user", "content": "x"},)), "not a Message"),
    "a limit out of range in a request": (
        Request(messages=(user(),), constraints=Constraints(max_error=7)),
        r"max_error must lie in \[0, 1\]",
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BAD_PROMPTS)
def test_a_bad_prompt_is_a_request_error_and_costs_nothing(name, way):
    prompt, said = BAD_PROMPTS[name]
    member = model()
    with LEO(small=member, config=LEOConfig(max_prompt_chars=5000)) as leo:
        with pytest.raises(RequestError, match=said):
            ways(leo)[way](prompt)
        leo.flush()
        assert (member.calls, leo.log.size(), leo.store.count_entries()) == (0, 0, 0)


def nested(levels):
    value = {}
    for _ in range(levels):
        value = {"x": value}
    return value


BAD_SETTINGS = {
    "max_error": ["x", 1.5, float("nan"), True],
    "max_cost_usd": [-1, "x", float("nan")],
    "max_latency_s": [-1.0],
    "cache": ["semantic", 1],
    "route": ["fastest", "cache", 3],
    "temperature": ["hot", -0.1, float("nan")],
    "top_p": [1.1],
    "max_tokens": [0, -4, 1.5],
    "seed": ["x"],
    "stop": [(LONE,), (3,), 4],
    "tags": ["abc", (3,), (LONE,)],
    "tenant": [3, "a" + LONE],
    "session": [4, LONE],
    "model": [3, LONE],
    "tool_choice": [4],
    "tools": [[42], ({"description": "no name"},), ({"name": "f", "description": LONE},)],
    "response_format": ["json", {"type": "json_schema", "schema": {"x": LONE}}],
    "options": [3, {"x": object()}, {"x": float("inf")}, {"x": LONE}, {3: 4}, nested(100)],
    "nonsense": [1],
}


@pytest.mark.parametrize(
    ("setting", "value"), [(name, value) for name, values in BAD_SETTINGS.items() for value in values]
)
def test_a_bad_setting_is_refused_by_name_and_costs_nothing(setting, value):
    member = model()
    with LEO(small=member) as leo:
        with pytest.raises(
            (RequestError, ConfigError), match=r"route|tool 0" if setting in ("route", "tools") else setting
        ):
            leo.ask(QUESTION, **{setting: value})
        assert (member.calls, leo.log.size()) == (0, 0)


def test_what_can_be_understood_is():
    with LEO(small=model("small"), large=model("large")) as leo:
        mixed = leo.ask([{"role": "human", "content": ["How many days ", {"type": "text", "text": "in 2028?"}]}])
        assert mixed.text == "The answer is 29."
        assert leo.ask(QUESTION, route="large", stop="END").route is Route.LARGE
        assert leo.ask("\x00 \u202e \U0001f600", options={"big": 10**40, "none": None}).receipt


@pytest.mark.parametrize(
    "shape", ["\n", "-", ".", " a", "In 2027 Bob's 3.5 km isn't `f(x)` > 2? ", "<context>", "1,", "(", '"']
)
def test_a_huge_prompt_takes_time_in_proportion_to_its_length(shape):
    with LEO(small=model("small"), large=model("large")) as leo:
        leo.warm_up()
        leo.ask(QUESTION)
        started = time.process_time()
        for ending in ("q", "q z"):
            answer = leo.ask(shape * (200_000 // len(shape)) + ending)
            verify_receipt(answer.receipt, public_key=leo.public_key)
        leo.flush()
        # Anything quadratic takes minutes here. Time of this process alone: other work on the machine does not count.
        assert time.process_time() - started < 30


# -------------------------------------------------------------------------------------------------- members


def test_what_is_no_store_is_refused():
    for wrong in (3, object(), {}):
        with pytest.raises(ConfigError, match="store is a path, ':memory:', or a store of leo_core"):
            LEO(small=model(), store=wrong)


def test_a_jury_that_cannot_do_what_is_needed_is_not_asked_for_a_second_opinion():
    blind = [model(name, cost=0.001, capabilities=Capabilities(images=False)) for name in ("blind", "blinder")]
    picture = Message(role="user", content=({"type": "text", "text": "What is it?"}, {"type": "image", "url": "x"}))
    small, large = model("small", cost=0.01), model("large", cost=1.0)
    with LEO(small=small, large=large, jury=blind) as leo:
        answer = leo.ask([picture], route="cascade")
    assert set(answer.members) <= {"small", "large"}
    assert "small" in answer.members


def test_members_that_disagree_on_capabilities_are_asked_for_what_they_can_do():
    blind = model("blind", capabilities=Capabilities(images=False))
    handless = model("handless", capabilities=Capabilities(tools=False))
    image = user(({"type": "text", "text": "What?"}, {"type": "image", "url": "https://x/y.png"}))
    tools = ({"name": "f", "description": "", "parameters": {"type": "object"}},)
    with LEO(small=blind, large=handless, jury=[blind, handless]) as leo:
        for way, ask in ways(leo).items():
            assert ask([image], tags=(way,)).members == ("handless",)
            assert ask(QUESTION, tools=tools).model == "blind"
            with pytest.raises(CapabilityError, match="images, tools"):
                ask([image], tools=tools)


@pytest.mark.parametrize("cost", [-0.01, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused_or_unknown(cost):
    with pytest.raises(ConfigError, match="at least 0"):
        model(cost=cost)
    with pytest.raises(ConfigError, match="at least 0"):
        OpenAIModel("x", api_key="k", prices={"x": {"input": cost, "output": 1.0}})
    draft = Draft(member="m", model="m", message=Message(role="assistant", content="29"), usage=Usage(cost_usd=cost))

    class Cheat(ScriptedModel):
        def estimate(self, request):
            return Usage(cost_usd=cost)

        def price(self, usage):
            return cost

    with LEO(small=model("small"), large=Cheat("m", replies=lambda request: draft)) as leo:
        answer = leo.ask(QUESTION, route="large")
        assert answer.usage.cost_usd is None
        verify_receipt(answer.receipt, public_key=leo.public_key)
        with pytest.raises(LEOError, match=r"no price is known|unknown price|no route is known"):
            leo.ask(QUESTION + " again", route="large", max_cost_usd=1.0)
        assert leo.ask(QUESTION + " small", route="small").receipt


class Odd(ScriptedModel):
    """A member that hands back what it should not."""

    def __init__(self, brought):
        super().__init__("odd", replies="x")
        self.brought = brought

    def generate(self, request):
        return self.brought

    async def agenerate(self, request):
        return self.brought

    def estimate(self, request):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "brought",
    [
        None,
        "29",
        Draft(member="odd", model="odd", message=Message(role="assistant", content=({"type": "image", "data": b"x"},))),
        Draft(
            member="odd",
            model="odd",
            message=Message(role="assistant", tool_calls=(replace(CALL, arguments={"x": float("nan")}),)),
        ),
    ],
    ids=["nothing", "text", "bytes", "nan"],
)
def test_a_reply_that_could_not_be_signed_is_the_members_failure(brought):
    with LEO(small=Odd(brought), large=model("good")) as leo:
        for answer in (leo.ask(QUESTION, route="small"), asyncio.run(leo.aask(QUESTION + " again", route="small"))):
            assert answer.model == "good"
            assert isinstance(answer.failures[0].error, MalformedReplyError)
            verify_receipt(answer.receipt, public_key=leo.public_key)
    with LEO(small=Odd(brought)) as leo, pytest.raises(MalformedReplyError, match="odd"):
        leo.ask(QUESTION)


def test_a_missing_extra_says_what_to_install_when_it_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name in ("openai", "anthropic"):
        with pytest.raises(MissingExtraError, match=rf"pip install 'leo-core\[{name}\]'"):
            LEO(small=f"{name}:some-model")


def test_an_extra_that_cannot_be_imported_is_the_members_failure(monkeypatch):
    for name, member in {
        "openai": OpenAIModel("gpt-5", api_key="k"),
        "anthropic": AnthropicModel("claude", api_key="k"),
    }.items():
        monkeypatch.setitem(sys.modules, name, None)
        with LEO(small=member) as leo:
            for ask in ways(leo).values():
                with pytest.raises(MissingExtraError, match=rf"pip install 'leo-core\[{name}\]'"):
                    ask(QUESTION)
        with LEO(small=member, large=model("good")) as leo:
            assert leo.ask(QUESTION, route="small").model == "good"


# ------------------------------------------------------------------------------------------------ providers

PROVIDERS = {
    "openai": (OpenAIServer, OpenAIModel, "gpt-5-mini"),
    "anthropic": (AnthropicServer, AnthropicModel, "claude-haiku-4-5"),
}
FAULTS = {
    "times out": (Fault(delay_s=5), ProviderTimeoutError),
    "429": (Fault(status=429, retry_after="1"), RateLimitError),
    "500": (Fault(status=500), ProviderUnavailableError),
    "malformed JSON": (Fault(malformed=True), (MalformedReplyError, StreamInterruptedError)),
    "empty": (Fault(empty=True), MalformedReplyError),
    "resets": (Fault(reset_after=0), ProviderUnavailableError),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_provider_is_its_own_error_alone_and_replaced_in_company(provider, fault):
    serve, kind, name = PROVIDERS[provider]
    broken, expected = FAULTS[fault]
    with serve(fault=broken) as server:
        member = kind(
            name,
            base_url=server.base_url,
            api_key="sk-secret",
            max_retries=0,
            timeout_s=0.3 if fault == "times out" else 30.0,
        )
        with LEO(small=member) as leo:
            for ask in ways(leo).values():
                with pytest.raises(expected) as caught:
                    ask(QUESTION)
                assert "sk-secret" not in str(caught.value)
                assert QUESTION not in str(caught.value)
                if fault == "429":
                    assert caught.value.retry_after_s == 1.0
            leo.flush()
            assert (leo.log.size(), leo.store.count_entries()) == (0, 0)
        with LEO(small=member, large=model("good")) as leo:
            for way, ask in ways(leo).items():
                if fault == "malformed JSON" and "stream" in way:
                    continue  # text was shown before the malformed event, so that nobody else may go on
                answer = ask(f"{QUESTION} {way}", route="small")
                assert (answer.model, len(answer.failures)) == ("good", 1)
                verify_receipt(answer.receipt, public_key=leo.public_key)
            assert leo.counts["member.failed"] >= 2
            assert leo.log.audit() >= 2


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "fault",
    [Fault(cut_after_events=5), Fault(reset_after=900), Fault(error_after_events=5)],
    ids=["cut", "reset", "error"],
)
def test_a_stream_that_dies_says_what_was_shown_and_keeps_nothing(provider, fault):
    serve, kind, name = PROVIDERS[provider]
    with serve(brain=lambda asked: "one two three four five six seven " * 20, fault=fault) as server:
        member = kind(name, base_url=server.base_url, api_key="k", max_retries=0)
        with LEO(small=member, large=model("good")) as leo:
            for way in ("stream", "astream"):
                with pytest.raises(StreamInterruptedError, match="after its first token") as caught:
                    ways(leo)[way](QUESTION, route="small")
                assert caught.value.partial.startswith("one")
                assert isinstance(caught.value.__cause__, LEOError)
            leo.flush()
            assert (leo.log.size(), leo.store.count_entries()) == (0, 0)


def test_several_failed_providers_are_all_named():
    with OpenAIServer(fault=Fault(status=500)) as one, AnthropicServer(fault=Fault(status=429)) as two:
        small = OpenAIModel("gpt-5-mini", base_url=one.base_url, api_key="k", max_retries=0)
        large = AnthropicModel("claude-haiku-4-5", base_url=two.base_url, api_key="k", max_retries=0)
        always = LEOConfig(resilience=ResilienceConfig(breaker=False))
        with LEO(small=small, large=large, jury=[small, large], config=always) as leo:
            for ask in ways(leo).values():
                for route in (Route.SMALL, Route.CASCADE, Route.CONSENSUS):
                    with pytest.raises(NoAnswerError) as caught:
                        ask(QUESTION, route=route)
                    assert {type(error) for error in caught.value.failures} == {
                        ProviderUnavailableError,
                        RateLimitError,
                    }


# ---------------------------------------------------------------------------------------------------- store


@pytest.fixture
def impatient(monkeypatch):
    """Databases wait 50 ms for a lock."""
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "busy_timeout_s", 0.05)


class Holder:
    """Another connection that holds the write lock."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("BEGIN EXCLUSIVE")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.execute("ROLLBACK")
        self.connection.close()


def seeded(path):
    """A store with one acknowledged answer; returns its receipt and the public key."""
    with LEO(small=model(), store=path) as leo:
        return leo.ask(QUESTION).receipt, leo.public_key


def check_nothing_lost(path, receipt, *, size):
    with LEO(small=model(), store=path) as leo:
        assert leo.log.audit() == size
        assert leo.log.get(receipt.id).document["envelope"] == receipt.document["envelope"]
        assert leo.ask(QUESTION).cache.hit


def test_a_store_that_is_locked_while_it_is_opened_is_an_error(tmp_path, impatient):
    path = tmp_path / "leo.db"
    receipt, _ = seeded(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreLockedError, match=r"end the other writer or raise busy_timeout_s"):
        LEO(small=model(), store=path)
    connection.execute("ROLLBACK")
    connection.close()
    check_nothing_lost(path, receipt, size=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_is_locked_meanwhile_costs_the_receipt_and_never_the_answer(tmp_path, impatient, way, caplog):
    path = tmp_path / "leo.db"
    receipt, _ = seeded(path)
    with LEO(small=model(), store=path) as leo:
        with Holder(path):
            assert ways(leo)[way](QUESTION).cache.hit  # readers do not wait for a writer
            answer = ways(leo)[way](QUESTION + " again")
            assert (answer.text, answer.receipt) == ("The answer is 29.", None)
            assert leo.counts["receipt.failed"] == 2
            assert leo.flush(30)
            assert leo.counts["store.failed"] >= 1
        later = ways(leo)[way](QUESTION + " and again")
        verify_receipt(later.receipt, public_key=leo.public_key)
    assert sum("the store failed" in record.message for record in caplog.records if record.levelname == "WARNING") == 1
    check_nothing_lost(path, receipt, size=2)


@pytest.mark.parametrize("way", WAYS)
def test_a_receipt_that_is_required_and_cannot_be_written_is_an_error(tmp_path, impatient, way):
    path = tmp_path / "leo.db"
    receipt, _ = seeded(path)
    with LEO(small=model(), store=path, config=REQUIRED) as leo:
        with Holder(path), pytest.raises(StoreLockedError, match="busy_timeout_s"):
            ways(leo)[way](QUESTION)
        assert leo.ask(QUESTION).receipt
    check_nothing_lost(path, receipt, size=2)


def test_what_was_learned_while_the_store_was_locked_is_written_at_the_end(tmp_path, impatient):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=path) as leo, Holder(path):
        for number in range(5):
            leo.ask(f"{QUESTION} {number}")
        leo.flush()
        assert not list(leo.store.observations())
        # the guard still rests; closing tries once more all the same
    with LEO(small=model(), store=path) as leo:
        kinds = [item.kind for _, item in leo.store.observations()]
        assert kinds.count("route") == 5


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "leo.db"
    path.write_bytes(content)
    with pytest.raises(StoreCorruptError, match="restore a copy or choose another path"):
        LEO(small=model(), store=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_is_damaged_while_open_costs_hits_and_receipts_only(tmp_path, way):
    path = tmp_path / "leo.db"
    seeded(path)
    with LEO(small=model(), store=path) as leo:
        for damaged in (path, path.with_name("leo.db-wal")):
            if damaged.exists():
                with damaged.open("r+b") as file:
                    file.write(b"\xff" * damaged.stat().st_size)
        for number in range(5):
            answer = ways(leo)[way](f"{QUESTION} {number}")
            assert answer.text == "The answer is 29."
            assert answer.receipt is None
        assert leo.counts["receipt.failed"] == 5
        assert leo.counts["store.failed"] >= 1
    with pytest.raises(StorageError):
        LEO(small=model(), store=path)


@pytest.mark.parametrize("way", WAYS)
def test_a_full_store_keeps_what_it_acknowledged(tmp_path, way):
    path = tmp_path / "leo.db"
    receipts = []
    with LEO(small=model(), store=SqliteStore(Database(path, max_bytes=400_000))) as leo:
        for number in range(60):
            answer = ways(leo)[way](f"{QUESTION} {number} " + "x" * 9000)
            assert answer.text == "The answer is 29."
            receipts.append(answer.receipt)
        leo.flush()
        assert receipts[0] is not None
        assert leo.counts["store.failed"] >= 1
        public_key = leo.public_key
        leo.store.inner.database.close()
    acknowledged = [receipt for receipt in receipts if receipt is not None]
    with LEO(small=model(), store=path) as leo:
        assert leo.log.audit() == len(acknowledged)
        for receipt in acknowledged:
            verify_receipt(receipt, public_key=public_key)
            assert leo.log.get(receipt.id) is not None


FULL_DISK = """
import resource, signal, sys
from leo_core import LEO, LEOConfig
from leo_core.errors import StoreFullError
from leo_core.providers.scripted import ScriptedModel
from leo_core.stages.receipt.config import ReceiptConfig
from leo_core.stages.resilience.config import ResilienceConfig
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
config = LEOConfig(receipts=ReceiptConfig(required=True))
leo = LEO(small=ScriptedModel("m", replies="29"), store=sys.argv[1], config=config)
leo.ask("first")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
done = 0
try:
    for number in range(1000):
        answer = leo.ask(f"{number} " + "x" * 3000)
        print(answer.receipt.id, flush=True)
        done += 1
except StoreFullError as error:
    assert "nothing acknowledged is lost" in str(error), error
    print("full", flush=True)
leo.close()
"""


def test_a_full_disk_keeps_what_it_acknowledged(tmp_path):
    path = tmp_path / "leo.db"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, timeout=280)
    *acknowledged, last = done.stdout.split()
    assert last == "full", done.stderr
    assert done.returncode == 0, done.stderr
    assert acknowledged
    with LEO(small=model(), store=path) as leo:
        assert leo.log.audit() == len(acknowledged) + 1
        assert all(leo.log.get(receipt) for receipt in acknowledged)


class Failing:
    """A store whose every operation but the first fails; a port of ours, so with errors of our tree."""

    def __init__(self, error):
        self.error = error
        self.closed = 0

    def open_for(self, fingerprint):
        """The embedder is declared while all is well."""

    def __getattr__(self, name):
        def fail(*_, **__):
            raise self.error

        return fail


@pytest.mark.parametrize("error", [StorageError("out"), StoreCorruptError("damaged"), OSError("gone")])
@pytest.mark.parametrize("way", WAYS)
def test_a_store_that_always_fails_costs_hits_and_learning_only(error, way, caplog):
    closed = []

    class Closing(ScriptedModel):
        def close(self):
            closed.append(self.id)

    leo = LEO(
        small=Closing("small", replies="The answer is 29."), large=Closing("large", replies="29"), store=Failing(error)
    )
    for number in range(4):
        answer = ways(leo)[way](f"{QUESTION} {number}", session="s", tenant=f"t{number}")
        verify_receipt(answer.receipt, public_key=leo.public_key)
    leo.feedback(answer, wrong=True)
    leo.flush(30)
    leo.close()
    assert closed == ["small", "large"]
    assert leo.counts["store.failed"] >= 3
    assert sum("the store failed" in record.message for record in caplog.records if record.levelname == "WARNING") == 1


def test_an_answer_that_was_on_its_way_to_the_store_can_be_taken_back():
    with LEO(small=model()) as leo:
        for number in range(50):
            leo.feedback(leo.ask(f"{QUESTION} {number}"), wrong=True)
        leo.flush()
        assert leo.store.count_entries() == 0


def test_closing_meanwhile_costs_the_keeping_and_not_the_answer():
    leo = LEO(small=ScriptedModel("closer", replies=lambda request: leo.close() or "29"))
    answer = leo.ask(QUESTION)
    assert answer.text == "29"
    assert answer.receipt is None
    assert leo.counts["background.closed"] == 1
    leo.close()
    assert leo.flush(1)
    for ask in (leo.ask, lambda prompt: next(leo.stream(prompt)), lambda prompt: leo.feedback(answer, wrong=True)):
        with pytest.raises(ConfigError, match="closed"):
            ask(QUESTION)


def test_a_checker_that_fails_cannot_tell(caplog):
    def check(request, answer):
        raise KeyError("bug of the user")

    with LEO(small=model(), checker=check, config=LEOConfig(audit_rate=1.0)) as leo:
        leo.ask(QUESTION)
        leo.flush()
        assert leo.counts["checker.failed"] == 1
        assert "audit.done" not in leo.counts
        assert [item.kind for _, item in leo.store.observations()].count("route") == 1
    assert "the checker failed" in caplog.text


# ----------------------------------------------------------------------------------------------------- keys


def test_another_key_than_the_one_that_signed_is_refused(tmp_path):
    path = tmp_path / "leo.db"
    receipt, _ = seeded(path)
    key = path.with_name("leo.db.key")
    kept = key.read_bytes()
    other = tmp_path / "other.key"
    with LEO(small=model(), signing_key=other):
        pass
    for give in ({"signing_key": other}, {}):
        if not give:
            key.unlink()
        with pytest.raises(SigningKeyError, match="give the key file that signed them"):
            LEO(small=model(), store=path, **give)
    key.write_bytes(kept)
    key.chmod(0o600)
    check_nothing_lost(path, receipt, size=1)


@pytest.mark.parametrize("flaw", ["mode", "garbage", "public", "folder"])
def test_a_key_file_that_is_none_is_refused_and_the_store_stays_whole(tmp_path, flaw):
    path = tmp_path / "leo.db"
    receipt, public_key = seeded(path)
    key = path.with_name("leo.db.key")
    kept = key.read_bytes()
    if flaw == "mode":
        key.chmod(0o644)
    elif flaw == "folder":
        key.unlink()
        key.mkdir()
    else:
        key.write_bytes(b"garbage" if flaw == "garbage" else public_key.encode())
    with pytest.raises(SigningKeyError, match=r"chmod 600|private key|cannot be read"):
        LEO(small=model(), store=path)
    if flaw == "folder":
        key.rmdir()
    key.write_bytes(kept)
    key.chmod(0o600)
    check_nothing_lost(path, receipt, size=1)


def test_another_embedder_is_refused(tmp_path):
    path = tmp_path / "leo.db"
    receipt, _ = seeded(path)
    from leo_core.stages.embed.callable import CallableEmbedder

    other = CallableEmbedder(embed=lambda texts: [[1.0, 0.0]] * len(texts), name="other", version="1", dimension=2)
    with pytest.raises(StoreMismatchError, match="clear it, or choose another path"):
        LEO(small=model(), store=path, embedder=other)
    check_nothing_lost(path, receipt, size=1)


def test_closing_brings_everything_into_one_file(tmp_path):
    path = tmp_path / "leo.db"
    seeded(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["leo.db", "leo.db.key", "leo.db.seal"]


def test_a_store_object_in_a_file_keeps_the_receipts_in_that_file(tmp_path):
    path = tmp_path / "leo.db"
    with LEO(small=model(), store=SqliteStore(path)) as leo:
        assert isinstance(leo.log, SqliteReceiptLog)
        receipt = leo.ask(QUESTION).receipt
    check_nothing_lost(path, receipt, size=1)


def test_a_statement_that_cannot_be_built_costs_the_receipt_unless_it_is_required(monkeypatch):
    from leo_core.engine import pipeline
    from leo_core.errors import ReceiptError

    def refuse(*_, **__):
        raise ReceiptError("a figure is out of range", check="figure")

    monkeypatch.setattr(pipeline, "build_statement", refuse)
    with LEO(small=model()) as leo:
        answer = leo.ask(QUESTION)
        assert (answer.text, answer.receipt, leo.counts["receipt.failed"]) == ("The answer is 29.", None, 1)
    with LEO(small=model(), config=REQUIRED) as leo, pytest.raises(ReceiptError):
        leo.ask(QUESTION)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("config", {"cache": {}}, "a LEOConfig, not dict"),
        ("jury", 5, "a list of members, not 5"),
        ("jury", "openai:gpt-5-mini", "a list of members, not 'openai:gpt-5-mini'"),
        ("signing_key", b"swordfish", "a signing key, or the path of a key file, not bytes"),
        ("seal_key", b"swordfish", "the path of a key file, not bytes"),
        ("embedder", 5, "a name like 'default', or an embedder of leo_core, not 5"),
        ("listeners", print, "a list of listeners, each with a method notify(event), not builtin_function_or_method"),
        ("listeners", [print], "a list of listeners, each with a method notify(event), not list"),
        ("checker", True, "a function of (request, answer), not True"),
        ("lifetime", 60.0, "a function of (request, message), not 60.0"),
        ("clock", time.time, "an object with methods now() and monotonic(), not builtin_function_or_method"),
    ],
)
def test_what_no_leo_can_be_made_of_is_refused_before_a_store_is_opened(tmp_path, name, value, words):
    with pytest.raises(ConfigError) as refusal:
        LEO(store=tmp_path / "leo.db", **{name: value})
    assert str(refusal.value) == f"LEO: {name} is {words}"
    assert list(tmp_path.iterdir()) == []
