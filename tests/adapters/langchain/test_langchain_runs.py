"""What tracers of LangChain get to see of a run of LEO."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import Client

from leo_core.providers.scripted import ScriptedModel
from leo_langchain import LEOChatModel

QUESTION = "How many days does February have in 2028?"


class Collector(BaseTracer):
    """A tracer that keeps the runs that have ended."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        """Nothing: runs are collected as they end."""

    def _on_chat_model_start(self, run: Any) -> None:
        """Nothing."""

    def _on_llm_end(self, run: Any) -> None:
        self.runs.append(run)


@pytest.fixture
def model() -> Iterator[LEOChatModel]:
    small = ScriptedModel("openai:gpt-loopback", "29.", cost=0.002)
    jury = [ScriptedModel(f"p:m{number}", "29.") for number in range(3)]
    with LEOChatModel(small=small, jury=jury) as model:
        yield model


async def test_route_cost_and_receipt_are_in_the_metadata_of_the_run(model: LEOChatModel) -> None:
    tracer = Collector()
    config: Any = {"callbacks": [tracer], "metadata": {"mine": "kept"}}
    messages = [
        model.invoke(QUESTION, config, cache=False, route="small"),
        await model.ainvoke(QUESTION, config, cache=False, route="small"),
    ]
    assert len(tracer.runs) == 2
    for run, message in zip(tracer.runs, messages, strict=True):
        metadata = run.extra["metadata"]
        assert metadata["mine"] == "kept"
        assert (metadata["leo.route"], metadata["leo.cost_usd"], metadata["leo.cache.hit"]) == ("small", 0.002, False)
        assert metadata["leo.receipt"] == message.response_metadata["leo"]["receipt"]
        assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("openai", "openai:gpt-loopback")
        assert "February" not in json.dumps(metadata)


def test_a_streamed_run_has_them_in_its_output(model: LEOChatModel) -> None:
    tracer = Collector()
    list(model.stream(QUESTION, {"callbacks": [tracer]}, route="small"))
    (run,) = tracer.runs
    told = run.outputs["generations"][0][0]["message"]["kwargs"]["response_metadata"]["leo"]
    assert (told["route"], told["cost_usd"]) == ("small", 0.002)
    assert told["receipt"].startswith("leo:rcpt:")


def test_a_committee_keeps_the_name_of_leo_and_a_hit_says_so(model: LEOChatModel) -> None:
    tracer = Collector()
    chain = RunnableLambda(lambda text: text) | model
    chain.invoke(QUESTION, {"callbacks": [tracer]})
    chain.invoke(QUESTION, {"callbacks": [tracer]})
    model.invoke(f"{QUESTION} Think.", {"callbacks": [tracer]}, route="consensus")
    _, hit, voted = (run.extra["metadata"] for run in tracer.runs)
    assert (hit["leo.route"], hit["leo.cache.kind"], hit["leo.saved_usd"]) == ("cache", "exact", 0.002)
    assert (voted["leo.route"], voted["ls_provider"]) == ("consensus", "leo")
    assert len(voted["leo.members"]) > 1


class _Inbox(BaseHTTPRequestHandler):
    """As much of LangSmith's API as its client needs; what comes is kept."""

    received: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.received.append(json.loads(body))
        self._reply({})

    def _reply(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_langsmiths_own_client_sends_them(model: LEOChatModel) -> None:
    handler = type("Inbox", (_Inbox,), {"received": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        client = Client(api_url=url, api_key="key", auto_batch_tracing=False, info={})
        message = model.invoke(QUESTION, {"callbacks": [LangChainTracer(client=client)]}, route="small")
        client.flush()
        client.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    ended = [run for run in handler.received if run.get("outputs")]
    assert len(ended) == 1
    metadata = ended[0]["extra"]["metadata"]
    assert metadata["leo.receipt"] == message.response_metadata["leo"]["receipt"]
    assert (metadata["leo.route"], metadata["leo.cost_usd"], metadata["ls_provider"]) == ("small", 0.002, "openai")
