"""Recorded, scripted and resolved models."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leo_core.errors import (
    ConfigError,
    InvalidRequestError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from leo_core.providers.names import family_of, resolve_model
from leo_core.providers.replay import Recording, ReplayModel
from leo_core.providers.scripted import ScriptedModel
from leo_core.providers.tokens import estimate_input_tokens, estimate_text_tokens
from leo_core.records import Chunk, Constraints, Draft, Message, Request, ToolCall, Usage
from tests.contracts.model import ModelContract, ask

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "replay" / "gsm.jsonl.gz"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of two models."""
    rows = [
        {"question": " How many? ", "gold": "GOLD",
         "answers": {"gpt-4o": {"text": "Four words are here.", "correct": True}, "house": {"text": "Five."}}},
        {"question": "Why?", "gold": "GOLD", "answers": {"gpt-4o": {"text": "Because."}}},
    ]  # fmt: skip
    path = tmp_path / "answers.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def test_replay(path: Path) -> None:
    """Tokens are characters over four, priced by the table; unknown prices are unknown."""
    recording = Recording(path)
    assert not recording.is_loaded
    model = recording.model("gpt-4o")
    draft = model.generate(ask("How many?"))
    assert draft.text == "Four words are here."
    assert (draft.usage.input_tokens, draft.usage.output_tokens) == (3, 5)
    assert draft.usage.cost_usd == pytest.approx((3 * 2.5 + 5 * 10) / 1e6)
    assert draft.metadata["usage_estimated"] is True
    assert (model.id, model.family) == ("replay:gpt-4o", "gpt")
    assert recording.is_loaded
    assert recording.models == ("gpt-4o", "house")
    assert (
        recording.model("house", prices={"other": {"input": 1, "output": 1}}).generate(ask("How many?")).usage.cost_usd
        is None
    )
    assert "GOLD" not in repr(recording.load())
    assert str(path) in repr(recording)


def test_replay_of_unknown_questions(path: Path) -> None:
    """The error says what is missing."""
    with pytest.raises(InvalidRequestError, match="this question"):
        ReplayModel(path, "house").generate(ask("Why?"))
    with pytest.raises(InvalidRequestError, match="gpt-4o, house"):
        ReplayModel(path, "gpt-9").generate(ask("Why?"))
    estimate = ReplayModel(path, "gpt-4o").estimate(ask("Unheard of?"))
    assert estimate.output_tokens == 1_024
    assert estimate.cost_usd is not None


@pytest.mark.parametrize(
    "text",
    ["not json", '{"question": "a"}', '{"question": 1, "answers": {}}', '{"question": "a", "answers": {"m": 1}}'],
)
def test_broken_recordings(tmp_path: Path, text: str) -> None:
    """A file that cannot be read is a setting that is wrong."""
    path = tmp_path / "broken.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="row 1"):
        Recording(path).load()
    with pytest.raises(ConfigError, match="absent"):
        Recording(tmp_path / "absent.jsonl.gz").load()


def test_replay_latency(path: Path) -> None:
    """With latency it waits as a provider would, and keeps to the time allowed."""
    model = ReplayModel(path, "gpt-4o", latency=True)
    started = time.perf_counter()
    draft = model.generate(ask("How many?"))
    assert draft.latency_s == pytest.approx(0.4 + 5 / 80)
    assert time.perf_counter() - started >= draft.latency_s
    with pytest.raises(ProviderTimeoutError):
        model.generate(ask("How many?", constraints=Constraints(max_latency_s=0.1)))
    with pytest.raises(ProviderTimeoutError):
        list(model.stream(ask("How many?", constraints=Constraints(max_latency_s=0.1))))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers are not on this machine")
def test_real_recording() -> None:
    """All eleven models have an answer and a price."""
    recording = Recording(RECORDED)
    questions = list(recording.load())
    assert len(questions) == 1_319
    assert len(recording.models) == 11
    for name in recording.models:
        draft = recording.model(name).generate(ask(questions[0]))
        assert draft.usage.cost_usd is not None, name
        assert draft.usage.cost_usd > 0
        assert "".join(chunk.text for chunk in recording.model(name).stream(ask(questions[0]))) == draft.text


async def test_waiting_in_a_loop(path: Path) -> None:
    """The async ways wait as long, without holding the loop up."""
    model = ReplayModel(path, "gpt-4o", latency=True)
    started = time.perf_counter()
    whole, chunks = await asyncio.gather(model.agenerate(ask("Why?")), collect(model, ask("Why?")))
    assert time.perf_counter() - started >= whole.latency_s
    assert ModelContract.whole(chunks) == whole
    slow = ScriptedModel("m", "A.", delay_s=0.05)
    assert ModelContract.whole(await collect(slow, ask("?"))) == await slow.agenerate(ask("?"))
    streams = await asyncio.to_thread(lambda: [list(one.stream(ask("Why?"))) for one in (model, slow)])
    assert [ModelContract.whole(stream).text for stream in streams] == ["Because.", "A."]


async def collect(model: ReplayModel | ScriptedModel, request: Request) -> list[Chunk]:
    """All chunks of a stream."""
    return [chunk async for chunk in model.astream(request)]


def test_scripts() -> None:
    """One text, a mapping, a sequence, a function; texts, messages, drafts."""
    call = ToolCall(id="1", name="add", arguments={"a": 1})
    message = Message(role="assistant", tool_calls=(call,))
    draft = Draft(member="x", model="y", message=Message(role="assistant", content="Whole."))
    assert ScriptedModel("m", "Always.").generate(ask("?")).text == "Always."
    script = ScriptedModel("m", {"a?": "A.", "b?": message, "c?": draft})
    assert script.generate(ask("a?")).text == "A."
    asked = script.generate(ask("b?"))
    assert (asked.message.tool_calls, asked.finish_reason) == ((call,), "tool_calls")
    assert script.generate(ask("c?")) is draft
    with pytest.raises(InvalidRequestError, match="no reply"):
        script.generate(ask("d?"))
    assert script.calls == 4
    listed = ScriptedModel("m", ["One.", "Two."], usage=Usage(input_tokens=5, output_tokens=6, calls=1), cost=0.25)
    assert [listed.generate(ask("?")).text for _ in range(2)] == ["One.", "Two."]
    with pytest.raises(InvalidRequestError, match="over after 2"):
        listed.generate(ask("?"))
    echo = ScriptedModel("m", lambda request: request.question.upper(), cost=0.25)
    assert echo.generate(ask("hello")).usage.cost_usd == echo.price(Usage()) == echo.estimate(ask("?")).cost_usd == 0.25


async def test_scripted_streams() -> None:
    """Tool calls and blocks stream as they do from a provider."""
    blocks = ({"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "Two words."})
    message = Message(role="assistant", content=blocks, tool_calls=(ToolCall(id="1", name="add", arguments={"a": 1}),))
    chunks = [chunk async for chunk in ScriptedModel("m", lambda _: message).astream(ask("?"))]
    assert ModelContract.whole(chunks).message == message
    assert chunks[0].blocks == (blocks[0],)
    assert "".join(delta.arguments for chunk in chunks for delta in chunk.tool_calls) == '{"a": 1}'


def test_scripted_failures() -> None:
    """Always, in turn, by the request, in mid-stream, and too late."""
    limit = RateLimitError("slow down", provider="scripted", model="m")
    with pytest.raises(RateLimitError):
        ScriptedModel("m", "A.", fail=limit).generate(ask("?"))
    in_turn = ScriptedModel("m", "A.", fail=[limit, None])
    with pytest.raises(RateLimitError):
        list(in_turn.stream(ask("?")))
    assert in_turn.generate(ask("?")).text == in_turn.generate(ask("?")).text == "A."
    by_request = ScriptedModel("m", "A.", fail=lambda request: limit if "bad" in request.question else None)
    assert by_request.generate(ask("good")).text == "A."
    with pytest.raises(RateLimitError):
        asyncio.run(by_request.agenerate(ask("bad")))
    dying = ScriptedModel("m", "one two three", fail_after_chunks=2)
    seen = []
    with pytest.raises(ProviderUnavailableError):
        seen.extend(chunk.text for chunk in dying.stream(ask("?")))
    slow = ScriptedModel("m", "A.", delay_s=0.2)
    with pytest.raises(ProviderTimeoutError):
        slow.generate(ask("?", constraints=Constraints(max_latency_s=0.1)))
    assert slow.generate(ask("?")).latency_s == 0.2


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt"), ("chatgpt-4o-latest", "gpt"), ("o3-mini", "gpt"),
        ("claude-3-haiku-20240307", "claude"), ("anthropic/claude-opus-4-5", "claude"),
        ("Meta-Llama-3.1-8B-Instruct", "llama"), ("Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("Mistral-Large-2", "mistral"), ("gemma-2-9b-it", "gemma"), ("gemini-2.5-pro", "gemini"),
        ("Qwen2.5-72B", "qwen"),
        ("deepseek-chat", "deepseek"), ("codellama-7b", "codellama-7b"), ("House-Model", "house-model"),
    ],
)  # fmt: skip
def test_families(name: str, family: str) -> None:
    """Read from the name; a name without a known family is its own."""
    assert family_of(name) == family


def test_names(path: Path) -> None:
    """Every form of a name, and what is said about others."""
    assert resolve_model("openai:gpt-5-mini", api_key="k").id == "openai:gpt-5-mini"
    assert resolve_model("anthropic:claude-haiku-4-5", api_key="k").family == "claude"
    assert resolve_model("extractive").id == "extractive"
    assert resolve_model(f"replay:{path}#gpt-4o").generate(ask("Why?")).text == "Because."
    for name in ("gpt-5", "openai:", "anthropic", "replay:file", "replay:#m", "replay:file#", ""):
        with pytest.raises(ConfigError, match="openai:<model>"):
            resolve_model(name)
    with pytest.raises(ConfigError, match="there are words, vectors, letters"):
        resolve_model("extractive:x")


def test_token_estimates() -> None:
    """Conservative: above a tokenizer's count for English, code and scripts with a token per character."""
    assert estimate_text_tokens("") == 0
    assert estimate_text_tokens("a" * 35) == 10
    assert estimate_text_tokens("你好吗") == 3
    tool = {"name": "add", "parameters": {}}
    base = estimate_input_tokens(ask("?"))
    assert estimate_input_tokens(ask("?", tools=(tool,))) > base + 24
    assert estimate_input_tokens(ask("?", response_format={"type": "json_object"})) > base
    image = {"type": "image_url", "image_url": {"url": "https://x"}}
    pdf = {"type": "file", "base64": "A" * 100_000, "mime_type": "application/pdf"}
    text = {"type": "text", "text": "?"}
    tokens = [
        estimate_input_tokens(Request(messages=(Message(role="user", content=(block,)),)))
        for block in (text, image, pdf)
    ]
    assert tokens[0] == base
    assert tokens[1] >= 1_600
    assert tokens[2] >= 6_000
    call = Message(role="assistant", tool_calls=(ToolCall(id="1", name="add", arguments={"a": 1}),))
    assert estimate_input_tokens(Request(messages=(call,))) > 16
    other = {"type": "reasoning", "reasoning": "x" * 350}
    assert estimate_input_tokens(Request(messages=(Message(role="user", content=(other,)),))) > 100


def test_nothing_heavy_is_loaded() -> None:
    """Importing every provider loads neither an SDK nor numba; making a local model does not either."""
    code = """
import sys, pkgutil, importlib
import leo_core.providers as providers
for module in pkgutil.iter_modules(providers.__path__):
    importlib.import_module(f"leo_core.providers.{module.name}")
from leo_core.providers.names import resolve_model
resolve_model("extractive")
resolve_model("openai:gpt-5-mini", api_key="k")
resolve_model("anthropic:claude-haiku-4-5", api_key="k")
print([name for name in ("openai", "anthropic", "numba", "numpy", "httpx", "httpx2") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
