"""What it is, what it answers, and that copies of it do the same and show no secret."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate

from leo_llamaindex.testing.asking import METHODS, QUESTION, ask, call, never_blocked, text_of
from leo_llamaindex.testing.recording import record_events
from leo_llamaindex.testing.scenes import Scenes

__all__ = ["AnswerTests"]

_STREAMS = [method for method in METHODS if "stream" in method]


class AnswerTests(Scenes):
    """The eight methods agree with each other."""

    # --------------------------------------------------------------------------------------- what it is

    def test_is_an_llm_with_a_name(self, llm: Any) -> None:
        """A class of its own name among LlamaIndex's LLMs; agents and programs want a ``FunctionCallingLLM``."""
        assert BaseLLM in type(llm).__mro__, f"{type(llm).__name__} is no LLM of LlamaIndex"
        if self.has_tools:
            assert isinstance(llm, FunctionCallingLLM), f"{type(llm).__name__} is no FunctionCallingLLM: no tools"
        assert llm.class_name() not in ("", "base_component", LLM.class_name()), "class_name() is not its own"

    def test_metadata_are_sane(self, llm: Any) -> None:
        """Prompts are cut to what ``metadata`` says."""
        facts = llm.metadata
        assert facts.is_function_calling_model or not self.has_tools, "metadata deny that it calls tools"
        assert 0 < facts.num_output < facts.context_window, "num_output leaves no room for a prompt"
        assert facts.model_name not in ("", "unknown"), "metadata name no model"
        assert PromptHelper.from_llm_metadata(facts).repack(PromptTemplate("{context_str}"), ["a", "b"])

    def test_settings_take_it_as_it_is(self, llm: Any) -> None:
        """``Settings.llm`` wraps what it does not know."""
        Settings.llm = llm
        assert Settings.llm is llm, "Settings.llm wrapped it"

    # ------------------------------------------------------------------------------------------ answers

    async def test_all_ways_of_asking_agree(self, llm: Any) -> None:
        """The same question has the same answer in all eight ways."""
        texts = {}
        for method in METHODS:
            responses = await call(llm, method)
            texts[method] = text_of(responses[-1])
            assert texts[method], f"{method} answers nothing"
            if isinstance(responses[-1], ChatResponse):
                assert responses[-1].message.role is MessageRole.ASSISTANT, f"{method}: the answer is not the model's"
        assert len(set(texts.values())) == 1, f"the ways of asking disagree: {texts}"

    @pytest.mark.parametrize("method", _STREAMS)
    async def test_deltas_join_to_the_text(self, llm: Any, method: str) -> None:
        """Each response of a stream holds all of the text so far, and what is new of it apart."""
        responses = await call(llm, method)
        shown = ""
        for response in responses:
            shown += response.delta or ""
            assert text_of(response) == shown, f"{method}: the deltas do not join to the text so far"
        assert len(responses) > 1, f"{method}: the stream is one piece"

    @pytest.mark.parametrize("method", ["astream_chat", "astream_complete"])
    async def test_asynchronous_streams_are_awaited(self, llm: Any, method: str) -> None:
        """``gen = await llm.astream_chat(…)``: a coroutine that returns an asynchronous generator."""
        waiting = getattr(llm, method)(ask(method))
        assert inspect.isawaitable(waiting), f"{method} is not awaited"
        stream = await waiting
        assert inspect.isasyncgen(stream), f"{method} gives no asynchronous generator"
        await stream.aclose()

    async def test_predict_in_all_ways(self, llm: Any) -> None:
        """Prompt templates have the same answer in all four ways."""
        prompt = PromptTemplate("What is {it}?")
        whole = llm.predict(prompt, it="it")
        assert whole, "predict answers nothing"
        assert await llm.apredict(prompt, it="it") == whole, "apredict disagrees"
        assert "".join(llm.stream(prompt, it="it")) == whole, "stream disagrees"
        assert "".join([token async for token in await llm.astream(prompt, it="it")]) == whole, "astream disagrees"

    async def test_a_stream_may_be_left(self, llm: Any) -> None:
        """A caller who has read enough closes the stream, and asks again."""
        stream = llm.stream_chat(ask("chat"))
        next(stream)
        stream.close()
        stream = await llm.astream_chat(ask("chat"))
        await anext(stream)
        await stream.aclose()
        await _let_others_finish()
        assert text_of(llm.chat(ask("chat"))), "no answer after streams that were left"

    def test_messages_are_left_alone(self, llm: Any) -> None:
        """The conversation belongs to the caller."""
        messages = [ChatMessage(role="system", content="Be short."), *ask("chat")]
        before = copy.deepcopy(messages)
        llm.chat(messages)
        assert messages == before, "chat() changed the caller's messages"

    async def test_many_at_once(self, llm: Any) -> None:
        """Threads and tasks share one object."""
        with ThreadPoolExecutor(8) as pool:
            texts = set(pool.map(lambda _: text_of(llm.chat(ask("chat"))), range(8)))
        answers = await asyncio.gather(*(llm.achat(ask("chat")) for _ in range(8)))
        assert len(texts | {text_of(answer) for answer in answers}) == 1, "calls at the same time disagree"

    @pytest.mark.parametrize("method", [method for method in METHODS if method.startswith("a")])
    async def test_the_event_loop_is_not_blocked(self, llm: Any, method: str) -> None:
        """Asynchronous methods that call synchronous ones answer one request after the other."""
        self.needs("has_native_async")
        with never_blocked():
            assert text_of((await call(llm, method))[-1])

    # ------------------------------------------------------------------------------- copies and secrets

    def test_copies_answer_alike(self, llm: Any) -> None:
        """Pickled, deep and shallow copies keep their settings."""
        whole = text_of(llm.complete(QUESTION))
        pickled = pickle.loads(pickle.dumps(llm))  # noqa: S301 - made a moment ago
        for copied, how in ((pickled, "pickled"), (copy.deepcopy(llm), "deep"), (copy.copy(llm), "shallow")):
            assert type(copied) is type(llm), f"a {how} copy is of another class"
            assert copied.metadata == llm.metadata, f"a {how} copy has lost settings: metadata differ"
            assert text_of(copied.complete(QUESTION)) == whole, f"a {how} copy answers differently"

    def test_serialises(self, llm: Any) -> None:
        """Pipelines and stores write it down."""
        assert llm.to_dict()["class_name"] == llm.class_name(), "to_dict() does not name the class"
        assert json.loads(llm.to_json())["class_name"] == llm.class_name(), "to_json() does not name the class"

    def test_no_credentials_are_seen(self, llm: Any) -> None:
        """Not in what it says of itself, and not in its events, which tracers send elsewhere."""
        with record_events() as seen:
            response = llm.chat(ask("chat"))
        shown = {
            "to_payload()": llm.to_payload(),
            "to_dict()": llm.to_dict(),
            "to_json()": llm.to_json(),
            "repr": repr(llm),
            "str": str(llm),
            "the response": response,
            "an event": [event.model_dump() for event in seen.events],
        }
        where = [name for name, value in shown.items() if self.secret in repr(value)]
        assert not where, f"the secret is seen in {', '.join(where)}"


async def _let_others_finish() -> None:
    """LlamaIndex's wrapper leaves the generator inside to the event loop, which closes it by tasks of its own."""
    for _ in range(5):
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5.0)
