"""run-llama/llama_index#22647, #12082, #10645, PR#21894, #12214, #19740, #17673, #16208, #16428, GPTCache#597.

LlamaIndex has no cache of answers and no fallback, wrappers count tokens twice, and agents lose their tools in them.
"""

from __future__ import annotations

import pytest
from llama_index.core import Document, Settings, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import ChatMemoryBuffer

from leo_llamaindex import LEOLLM
from tests.adapters.llamaindex.reference_llm import ReferenceLLM
from tests.adapters.pains.pain_models import QUESTION, leo_llm
from tests.servers.loopback import Fault
from tests.servers.openai_server import OpenAIServer

FACT = "Hello, this is a short answer."


@pytest.fixture
def reference(server: OpenAIServer) -> ReferenceLLM:
    return ReferenceLLM(base_url=server.base_url, api_key="sk-test")


def test_the_pain(reference: ReferenceLLM, server: OpenAIServer) -> None:
    for _ in range(2):
        reference.complete(QUESTION)
    assert len(server.requests) == 2
    assert "cache" not in MockLLM.model_fields


def test_a_query_engine_is_answered_from_the_cache(llm: LEOLLM, server: OpenAIServer) -> None:
    Settings.llm = llm
    engine = SummaryIndex.from_documents([Document(text=FACT)]).as_query_engine()
    told = [str(engine.query("What is it?")) for _ in range(2)]
    assert told == [FACT] * 2
    assert len(server.requests) == 1


def test_a_member_that_is_out_is_replaced(server: OpenAIServer) -> None:
    server.fault = lambda body: Fault(status=500) if body["model"] == "gpt-5-mini" else Fault()
    with leo_llm(server.base_url, large="openai:large") as llm:
        answer = llm.complete(QUESTION)
    assert (answer.text, answer.raw["leo"]["route"]) == (FACT, "large")


def test_tokens_are_counted_once(reference: ReferenceLLM) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    with LEOLLM(small=reference, callback_manager=CallbackManager([counter])) as llm:
        usage = llm.complete(QUESTION).raw["usage"]
    assert counter.total_llm_token_count == usage["total_tokens"] > 0


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # the workflow looks at everything
@pytest.mark.filterwarnings("ignore:is_running called from within a step")
async def test_an_agent_keeps_its_tools(llm: LEOLLM, server: OpenAIServer) -> None:
    def weigh(what: str) -> str:
        """Weigh a thing."""
        return f"{what}: 2 kg"

    agent = FunctionAgent(llm=llm, tools=[weigh], streaming=False)
    answer = await agent.run("Weigh 'salt'.", memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
    assert str(answer) == "The tool has answered."
    assert server.requests[-1].body["messages"][-1]["content"] == "salt: 2 kg"
