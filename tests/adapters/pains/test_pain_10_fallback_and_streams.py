"""langchain-ai/langchain#15191, #15195, BerriAI/litellm#6957, #29808: a stream falls back too late or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leo_core.errors import LEOError
from leo_langchain import LEOChatModel
from leo_llamaindex import LEOLLM
from tests.adapters.langchain.langchain_servers import chat_openai
from tests.adapters.pains.pain_models import QUESTION, join
from tests.servers.brain import Reply
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

GOOD, BAD = "The whole of a good answer.", "The start of an answer that never ends."


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """The small model fails as each test says; the large one is well."""
    with OpenAIServer(lambda asked: Reply(text=GOOD if asked.model == "large" else BAD)) as server:
        yield server


def fail_small(server: OpenAIServer, fault: Fault) -> None:
    server.fault = lambda body: fault if body["model"] != "large" else Fault()


@pytest.fixture
def pair(server: OpenAIServer) -> Iterator[LEOChatModel]:
    members = {name: chat_openai(server.base_url, model=name) for name in ("small", "large")}
    with LEOChatModel(**members, route="small") as model:
        yield model


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(reset_after=0), Fault(empty=True)], ids=repr)
async def test_before_the_first_token_the_other_one_streams(
    pair: LEOChatModel, server: OpenAIServer, fault: Fault
) -> None:
    fail_small(server, fault)
    assert join(pair.stream(QUESTION)).text == GOOD
    assert join([chunk async for chunk in pair.astream("Name another.")]).text == GOOD


def test_after_the_first_token_two_answers_are_never_glued_together(pair: LEOChatModel, server: OpenAIServer) -> None:
    fail_small(server, Fault(cut_after_events=4))
    told: list[str] = []
    with pytest.raises(LEOError):
        told.extend(chunk.text for chunk in pair.stream(QUESTION))
    assert "".join(told)
    assert BAD.startswith("".join(told))
    server.fault = None
    assert pair.invoke(QUESTION).text == BAD, "half an answer was not kept for reuse"


def test_llamaindex(server: OpenAIServer) -> None:
    fail_small(server, Fault(status=503))
    with LEOLLM(
        small="openai:gpt-5-mini",
        large="openai:large",
        base_url=server.base_url,
        api_key="sk-test",
        max_retries=0,
        route="small",
    ) as llm:
        assert list(llm.stream_complete(QUESTION))[-1].text == GOOD
