"""Streams of the LLM: policies, and what a correction does to the message, the deltas and the events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.llms.types import ChatMessage

from leo_core.adapting.corrections import WITHDRAWN
from leo_core.providers.scripted import ScriptedModel
from leo_llamaindex import LEOLLM
from leo_llamaindex.testing import record_events
from tests.contracts.event_loop import never_blocked

WRONG, RIGHT = "It is Sydney.", "It is Canberra."
STREAMS = ("stream_chat", "astream_chat", "stream_complete", "astream_complete")


def cascade(small: str = WRONG, **settings: Any) -> LEOLLM:
    named = {"route": "cascade", "max_error": 0.0, "cache": False, **settings}
    return LEOLLM(small=ScriptedModel("small", small), large=ScriptedModel("large", RIGHT), **named)


async def read(llm: LEOLLM, method: str, **settings: Any) -> AsyncIterator[Any]:
    prompt: Any = [ChatMessage(content="What?")] if method.endswith("chat") else "What?"
    if method.startswith("astream"):
        with never_blocked():
            async for response in await getattr(llm, method)(prompt, **settings):
                yield response
    else:
        for response in getattr(llm, method)(prompt, **settings):
            yield response


def text_of(response: Any) -> str:
    return response.text if hasattr(response, "text") else response.message.content or ""


@pytest.mark.parametrize("method", STREAMS)
async def test_a_correction_sets_the_message_right_and_tells_readers_of_the_deltas(method: str) -> None:
    with cascade(stream_policy="optimistic") as llm:
        await llm.acomplete("Warm up, please.")
        with record_events() as seen:
            responses = [response async for response in read(llm, method)]
    texts = [text_of(response) for response in responses]
    at = next(place for place, each in enumerate(responses) if "leo_correction" in each.additional_kwargs)
    assert responses[at].additional_kwargs["leo_correction"] == {"reason": "overruled", "member": "small"}
    assert (texts[at - 1], texts[at], texts[-1]) == (WRONG, "", RIGHT)
    assert all(RIGHT.startswith(text.strip()) for text in texts[at:])
    assert "".join(response.delta or "" for response in responses) == WRONG + WITHDRAWN + RIGHT
    (event,) = [event for event in seen.events if type(event).__name__ == "LEOCorrectionEvent"]
    facts = responses[-1].raw["leo"]
    assert (event.answer_id, event.reason, event.member) == (facts["answer_id"], "overruled", "small")
    assert "Sydney" not in event.model_dump_json()
    assert facts["stream"] == {"policy": "optimistic", "corrected": {"reason": "overruled", "member": "small"}}


@pytest.mark.parametrize(("policy", "asked"), [("optimistic", 0), ("cascade", 1), ("verified", 1)])
async def test_the_policy_is_the_calls_or_the_llms(policy: str, asked: int) -> None:
    for given, kwargs in (({"stream_policy": policy}, {}), ({}, {"stream_policy": policy})):
        with cascade(RIGHT, **given) as llm:
            responses = llm.stream_chat([ChatMessage(content="What?")], **kwargs)
            next(responses)
            assert llm.leo.members[1].calls == asked
            assert list(responses)[-1].raw["leo"]["stream"] == {"policy": policy, "corrected": None}


def test_without_a_correction_there_is_no_event() -> None:
    with cascade(RIGHT, stream_policy="optimistic") as llm, record_events() as seen:
        list(llm.stream_complete("What?"))
    assert "LEOCorrectionEvent" not in seen.names


def test_a_query_engine_that_streams_says_what_was_withdrawn() -> None:
    with cascade(stream_policy="optimistic") as llm:
        engine = SummaryIndex.from_documents([Document(text="Canberra.")]).as_query_engine(llm=llm, streaming=True)
        response = engine.query("What?")
        assert "".join(response.response_gen) == WRONG + WITHDRAWN + RIGHT
        assert response.metadata["leo"]["stream"]["corrected"]["reason"] == "overruled"
